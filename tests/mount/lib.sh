# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# lib.sh - what the mount tests share: a store and a mount of it in a temporary directory, ended whatever happens.
#
#   LSMFS             the program (build/fs/lsmfs)
#   LSMFS_BUILD       where meson built, for the test programs (build)
#   LSMFS_NATIVE=1    no mount: a plain directory takes its place, which shows whether the test itself is right
#
# A test sources this and has $root (the checkout), $work (temporary, native), $store, $mnt (mounted by mount_start).
# It ends with exit code 0, or 77 if it was skipped, or anything else.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LSMFS_BUILD=${LSMFS_BUILD:-$root/build}
LSMFS=${LSMFS:-$LSMFS_BUILD/fs/lsmfs}
LSMFS_NATIVE=${LSMFS_NATIVE:-}
# shellcheck disable=SC2034
programs=$LSMFS_BUILD/tests/mount
work=$(mktemp -d "${TMPDIR:-/tmp}/lsmfs-test.XXXXXX")
chmod 755 "$work"
store=$work/store
mnt=$work/mnt
daemon=

fail()
{
	echo "FAILED: $*" >&2
	if [ -s "$work/daemon.log" ]; then
		echo "--- the daemon said:" >&2
		tail -n 40 "$work/daemon.log" >&2
	fi
	exit 1
}

skip()
{
	echo "# skipped: $*"
	exit 77
}

step()
{
	echo "== $*"
}

is_mounted()
{
	# a mount whose daemon is dead can't be asked; the table of mounts can
	grep -qF " $1 fuse" /proc/self/mounts
}

detach()
{
	if [ "$(id -u)" = 0 ]; then
		umount -l "$1" 2>/dev/null || true
	else
		fusermount3 -u -z "$1" 2>/dev/null || true
	fi
}

# Options with which the mount behaves as a native file system does, as far as the caller may ask for it. A test may set
# $more_options.
more_options=
mount_options()
{
	if [ "$(id -u)" = 0 ]; then
		echo "allow_other,suid,dev${more_options:+,$more_options}"
	else
		echo "rw${more_options:+,$more_options}"
	fi
}

wait_for()
{
	local tries=$1 i
	shift
	for ((i = 0; i < tries; i++)); do
		if "$@"; then
			return 0
		fi
		sleep 0.02
	done
	return 1
}

daemon_is_up()
{
	is_mounted "$mnt" || ! kill -0 "$daemon" 2>/dev/null
}

daemon_is_gone()
{
	! kill -0 "$daemon" 2>/dev/null
}

# Mounts $store at $mnt. The daemon stays our child, so that we know whom we end.
mount_start()
{
	mkdir -p "$mnt"
	if [ -n "$LSMFS_NATIVE" ]; then
		return
	fi
	if [ ! -c /dev/fuse ]; then
		fail "no /dev/fuse: mount tests can't run here (load the module fuse, or give the container the device)"
	fi
	if [ ! -x "$LSMFS" ]; then
		fail "$LSMFS is not built"
	fi
	"$LSMFS" mount "$store" "$mnt" -f -o "$(mount_options)" >>"$work/daemon.log" 2>&1 </dev/null &
	daemon=$!
	wait_for 1500 daemon_is_up || fail "the mount does not answer after 30 s"
	is_mounted "$mnt" || fail "the daemon ended at once"
	stat -f "$mnt" >/dev/null || fail "the mount does not answer"
}

# A clean unmount. The daemon must end by itself, with code 0.
mount_stop()
{
	local code=0
	if [ -n "$LSMFS_NATIVE" ]; then
		return
	fi
	"$LSMFS" umount "$mnt" || fail "umount: exit code $?"
	wait_for 1500 daemon_is_gone || fail "the daemon is still there 30 s after the unmount"
	wait "$daemon" || code=$?
	daemon=
	[ "$code" = 0 ] || fail "the daemon ended with code $code"
}

# The daemon dies in the middle of whatever it does; the dead mount stays, and its users see it dead.
daemon_kill()
{
	kill -9 "$daemon" || fail "the daemon had ended by itself"
	wait "$daemon" 2>/dev/null || true
	daemon=
}

# The same, and the dead mount is taken away.
mount_kill()
{
	if [ -n "$LSMFS_NATIVE" ]; then
		return
	fi
	daemon_kill
	detach "$mnt"
}

# The store that nobody has mounted is whole, files and all.
store_check()
{
	if [ -z "$LSMFS_NATIVE" ]; then
		"$LSMFS" check -q "$store" || fail "lsmfs check: exit code $?"
	fi
}

remount()
{
	mount_stop
	mount_start
}

lib_cleanup()
{
	local code=$? at
	trap - EXIT
	set +e
	cd /
	end_started
	while read -r _ at _; do
		case $at in
		"$work"/*) fusermount3 -u "$at" 2>/dev/null || umount -f -l "$at" 2>/dev/null || detach "$at" ;;
		esac
	done </proc/self/mounts
	if [ -n "$daemon" ]; then
		wait_for 250 daemon_is_gone || kill -9 "$daemon"
		wait "$daemon" 2>/dev/null
	fi
	if [ "$code" != 0 ] && [ "$code" != 77 ] && [ -n "${LSMFS_TEST_KEEP:-}" ]; then
		echo "kept: $work"
	else
		rm -rf --one-file-system "$work"
	fi
	exit "$code"
}
trap lib_cleanup EXIT
trap 'exit 130' INT TERM HUP

# point NAME COMMAND...: one point of a TAP test, good if the command is. Fails in it end only it.
points=0
bad_points=0
point()
{
	local name=$1 code
	shift
	points=$((points + 1))
	set +e
	(
		set -e
		"$@"
	)
	code=$?
	set -e
	case $code in
	0) echo "ok $points - $name" ;;
	77) echo "ok $points - $name # SKIP" ;;
	*)
		echo "not ok $points - $name"
		bad_points=$((bad_points + 1))
		;;
	esac
}

# needs PROGRAM...: skips, saying why, what can't run without one of them; a whole test, or the point that calls it.
# LSMFS_TEST_ALL=1: whoever runs the tests has installed everything, so that nothing may be missing.
needs()
{
	local p
	for p in "$@"; do
		if ! command -v "$p" >/dev/null; then
			[ -z "${LSMFS_TEST_ALL:-}" ] || fail "$p is missing, although everything should be installed"
			skip "$p is not installed"
		fi
	done
}

# started PID: this process is ended with the test, however that ends, unless it has ended by itself.
started()
{
	echo "$1 $(start_time "$1")" >>"$work/started"
}

start_time()
{
	# behind the command's name, which may hold anything
	sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

end_started()
{
	local pid begin
	[ -f "$work/started" ] || return 0
	while read -r pid begin; do
		if [ -n "$begin" ] && [ "$(start_time "$pid")" = "$begin" ]; then
			kill -9 "$pid" 2>/dev/null
		fi
	done <"$work/started"
}

# points_done: the end of a TAP test.
points_done()
{
	echo "1..$points"
	[ "$bad_points" = 0 ]
}

# xor FILE BYTE: turns all bits of one byte
xor()
{
	python3 - "$1" "$2" <<-'end'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(int(sys.argv[2]))
		    byte = f.read(1)[0]
		    f.seek(int(sys.argv[2]))
		    f.write(bytes([byte ^ 255]))
	end
}

# The same tree: names, types, modes, links, sizes, times, owners and contents.
fingerprint()
{
	(
		cd "$1"
		find . -printf '%P|%y|%m|%n|%U:%G|%T@|%l|' \( -type d -printf '-\n' -o -printf '%s\n' \) | LC_ALL=C sort
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
	)
}
