#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/run: the first time, again, over a dead mount, and where it can't work. Prints TAP.
. "$(dirname "$0")/lib.sh"

if [ -n "$LSMFS_NATIVE" ]; then
	skip "scripts/run needs a mount"
fi
kv="$work/a place/kv"
mkdir "$work/a place"

run()
{
	"$root/scripts/run" "$@" 2>&1 </dev/null
}

says()
{
	local pattern=$1 out
	shift
	out=$(run "$@") || true
	echo "$out"
	grep -qE -- "$pattern" <<<"$out" || fail "it does not say: $pattern"
}

pid_of_mount()
{
	local p
	for p in /proc/[0-9]*; do
		if { tr '\0' '\n' <"$p/cmdline"; } 2>/dev/null | grep -qxF -- "$kv.lsmfs"; then
			basename "$p"
			return
		fi
	done
	fail "no process has $kv.lsmfs"
}

first_time()
{
	run "$kv"
	[ "$(cat "$kv/greeting")" = hello ]
	[ -d "$kv.lsmfs" ]
	echo hi >"$kv/a"
	[ "$(cat "$kv/a")" = hi ]
}

second_time()
{
	echo mine >"$kv/greeting"
	says "already" "$kv"
	[ "$(cat "$kv/greeting")" = mine ]
	[ "$(grep -c " fuse.lsmfs " /proc/self/mounts)" -ge 1 ]
}

over_a_dead_mount()
{
	kill -9 "$(pid_of_mount)"
	sleep 0.2
	run "$kv"
	[ "$(cat "$kv/greeting")" = mine ]
}

other_store()
{
	says "another store" "$kv" "$work/other"
	[ ! -e "$work/other" ]
}

unmounts()
{
	"$LSMFS" umount "$kv"
	[ -z "$(ls -A "$kv")" ]
	run "$kv" "$kv.lsmfs"
	[ "$(cat "$kv/greeting")" = mine ]
	"$LSMFS" umount "$kv"
}

bad_places()
{
	mkdir "$work/full"
	touch "$work/full/x"
	says "not empty" "$work/full"
	touch "$work/file"
	says "not a directory" "$work/file"
	says "below" "$work/in" "$work/in/store"
	says "usage" --nonsense
	run "$work/full" >/dev/null && fail "exit code 0"
	[ ! -e "$work/full.lsmfs" ]
}

point "builds, mounts, has a first key" first_time
point "a second time it says so" second_time
point "another store at the same place is refused" other_store
point "a dead mount is replaced" over_a_dead_mount
point "unmounted, and mounted again" unmounts
point "places where it can't work" bad_places
[ "$bad_points" = 0 ]
