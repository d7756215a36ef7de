#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Files that lost their name while open: they live on, and their space comes back with the last close, at an unmount
# and after kill -9. LSMFS_UNLINKED_FILES and LSMFS_UNLINKED_MIB may be given.
. "$(dirname "$0")/lib.sh"

files=${LSMFS_UNLINKED_FILES:-1500}
mib=${LSMFS_UNLINKED_MIB:-48}
dir=$mnt/dir
holder=

# What the log takes is neither here nor there.
store_kib()
{
	find "$store" -type f ! -name 'wal-*' -printf '%b\n' 2>/dev/null | awk '{ kib += $1 / 2 } END { print int(kib) }'
}

holder_says()
{
	grep -q "$1" "$work/out" || ! kill -0 "$holder" 2>/dev/null
}

hold()
{
	mkdir -p "$dir"
	rm -f "$work/in"
	mkfifo "$work/in"
	: >"$work/out"
	python3 "$root/tests/mount/unlinked_files.py" "$dir" "$files" "$mib" <"$work/in" >"$work/out" &
	holder=$!
	exec 9>"$work/in"
	wait_for 15000 holder_says held
	grep -q held "$work/out" || fail "the files are not as they were written"
}

go_on()
{
	echo >&9
	wait_for 15000 holder_says checked
	grep -q checked "$work/out" || fail "the files without a name have changed"
}

let_go()
{
	local code=0
	echo >&9
	exec 9>&-
	wait "$holder" || code=$?
	[ "$code" = 0 ] || fail "the process that held the files: exit code $code"
}

# Its mount has died.
end_holder()
{
	exec 9>&-
	kill -9 "$holder"
	wait "$holder" 2>/dev/null || true
}

space_is_back()
{
	[ "$(store_kib)" -lt $((mib * 1024 / 4)) ]
}

space_comes_back()
{
	[ -z "$LSMFS_NATIVE" ] || return 0
	local i
	for ((i = 0; i < 120; i++)); do
		! space_is_back || return 0
		sleep 0.5
	done
	fail "$1: the store still has $(store_kib) KiB"
}

# Nothing of them is left in the store, which isn't mounted: neither large values nor rows.
nothing_is_left()
{
	[ -z "$LSMFS_NATIVE" ] || return 0
	"$LSMFS" stat "$store" >"$work/stat"
	grep -q '(0.0 MiB alive' "$work/stat" || fail "$1: $(grep alive "$work/stat")"
	awk '/^level  tables/ { in_levels = 1; next } in_levels { mib += $3 } END { exit mib >= 1 }' "$work/stat" ||
		fail "$1: $(cat "$work/stat")"
}

mount_start

step "the last close frees"
hold
if [ -z "$LSMFS_NATIVE" ]; then
	[ "$(store_kib)" -ge $((mib * 1024)) ] || fail "the store has $(store_kib) KiB, and the files take $mib MiB"
fi
go_on
let_go
space_comes_back "after the close"
mount_stop
nothing_is_left "after the close"

step "a new mount after kill -9 frees"
mount_start
hold
mount_kill
end_holder
mount_start
[ -z "$(ls -A "$dir")" ] || fail "names have come back"
space_comes_back "after kill -9"
mount_stop
nothing_is_left "after kill -9"

step "killed while it frees"
mount_start
hold
mount_kill
end_holder
if [ -z "$LSMFS_NATIVE" ]; then
	"$LSMFS" mount "$store" "$mnt" -f >>"$work/daemon.log" 2>&1 </dev/null &
	daemon=$!
	sleep 0.1
	mount_kill
fi
mount_start
space_comes_back "after two kills"
mount_stop
nothing_is_left "after two kills"
store_check
