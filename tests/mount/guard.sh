#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The daemon is killed while it has the kernel drop pages, which waits for answers of the daemon's own: nobody who uses
# the mount may hang, and the store must be free for the next mount. Also, the guard goes when the daemon does.
. "$(dirname "$0")/lib.sh"

rounds=${LSMFS_GUARD_ROUNDS:-4}
writers=()

# Dirty pages, and a question that makes the daemon ask for them, until the mount is dead.
cat >"$work/writer.py" <<'END'
import mmap, os, sys

fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 1 << 22)
m = mmap.mmap(fd, 1 << 20)
try:
    while True:
        for at in range(0, 1 << 20, 4096):
            m[at] = (m[at] + 1) % 256
        os.lseek(fd, 0, os.SEEK_HOLE)
        os.lseek(fd, 0, os.SEEK_DATA)
        os.ftruncate(fd, 0)
        os.ftruncate(fd, 1 << 22)
except OSError:
    pass
END

guard_of()
{
	pgrep -f -- "^lsmfs --guard $1 " || true
}

writers_are_gone()
{
	local pid
	for pid in "${writers[@]}"; do
		kill -0 "$pid" 2>/dev/null && return 1
	done
	return 0
}

all_have_begun()
{
	[ -s "$mnt/file1" ] && [ -s "$mnt/file2" ] && [ -s "$mnt/file3" ] && [ -s "$mnt/file4" ]
}

guard_is_gone()
{
	[ -z "$(guard_of "$1")" ]
}

step "$rounds times killed while pages are asked for"
for ((round = 0; round < rounds; round++)); do
	mount_start
	pid=$daemon
	wait_for 250 eval '[ -n "$(guard_of $pid)" ]' || fail "the daemon has no guard"
	writers=()
	rm -f "$mnt"/file*
	for i in 1 2 3 4; do
		python3 "$work/writer.py" "$mnt/file$i" &
		writers+=($!)
	done
	wait_for 500 all_have_begun || fail "round $round: the writers do not begin"
	sleep "0.$((1 + RANDOM % 4))"
	kill -9 "$daemon"
	# SIGBUS or an error ends them
	wait_for 1000 writers_are_gone || fail "round $round: a program hangs on a mount whose daemon was killed"
	wait "${writers[@]}" 2>/dev/null || true
	wait_for 500 daemon_is_gone || fail "round $round: the daemon was killed and does not go"
	wait "$daemon" 2>/dev/null || true
	daemon=
	wait_for 250 guard_is_gone "$pid" || fail "round $round: the guard stays"
	is_mounted "$mnt" || fail "round $round: the dead mount has gone, and its users write below it"
	detach "$mnt"
done

step "a clean end"
mount_start
pid=$daemon
[ -n "$(guard_of "$pid")" ] || wait_for 250 eval '[ -n "$(guard_of $pid)" ]' || fail "the daemon has no guard"
echo kept >"$mnt/kept"
mount_stop
wait_for 250 guard_is_gone "$pid" || fail "the guard stays after a clean unmount"

step "a guard that is killed is no loss"
mount_start
wait_for 250 eval '[ -n "$(guard_of $daemon)" ]' || fail "the daemon has no guard"
kill -9 "$(guard_of "$daemon")"
[ "$(cat "$mnt/kept")" = kept ] || fail "the mount needs its guard"
mount_stop
store_check
