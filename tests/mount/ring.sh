#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Requests by io_uring: the POSIX cases, kills, and the mount's end, while others wait and while others go on. (Where the
# kernel offers it all tests run so: echo Y >/sys/module/fuse/parameters/enable_uring before scripts/test.)
. "$(dirname "$0")/lib.sh"

[ -z "$LSMFS_NATIVE" ] || skip "a native file system has no requests"
switch=/sys/module/fuse/parameters/enable_uring
[ -e "$switch" ] || skip "this kernel has no FUSE over io_uring (it came with Linux 6.14)"
[ "$(id -u)" = 0 ] || skip "only root may have the kernel offer it"
ldd "$LSMFS" | grep -q liburing || skip "built without liburing"
[ "$(getconf _NPROCESSORS_CONF)" -le 32 ] || skip "more processors than it serves"
before=$(cat "$switch")
echo Y >"$switch" || skip "the kernel doesn't let itself be told to offer it"
user=
end_started()
{
	echo "$before" >"$switch"
	[ -z "$user" ] || kill "$user"
}

ring_threads()
{
	cat "/proc/$daemon/task/"*/comm | grep -c lsmfs-ring
}

step "there is a ring, unless the mount says otherwise"
mount_start
[ "$(ring_threads)" -ge 16 ] || fail "the kernel offers it, and there are $(ring_threads) threads for it"
more_options=nouring
remount
[ "$(ring_threads)" = 0 ] || fail "-o nouring has a ring all the same"
more_options=
mount_stop

step "the POSIX cases"
timeout 200 bash "$root/tests/mount/posix.sh" >"$work/posix" 2>&1 || {
	cat "$work/posix"
	fail "the POSIX cases fail by io_uring"
}

step "kills of the daemon while it waits for pages"
LSMFS_GUARD_ROUNDS=2 timeout 200 bash "$root/tests/mount/guard.sh" || fail "the guard can't free a mount by io_uring"

step "what is large arrives as it was"
mount_start
head -c 70000001 /dev/urandom >"$work/large"
copies=()
for i in 1 2 3 4; do
	cp "$work/large" "$mnt/$i" &
	copies+=($!)
done
wait "${copies[@]}"
remount
for i in 1 2 3 4; do
	cmp "$work/large" "$mnt/$i" || fail "copy $i differs"
done

step "an unmount while programs use the mount"
sleep 100 <"$mnt/1" &
user=$!
"$LSMFS" umount "$mnt" 2>/dev/null && fail "a mount in use was unmounted"
kill -TERM "$daemon"
wait_for 1500 daemon_is_gone || fail "the daemon is still there 30 s after SIGTERM"
wait "$daemon" || fail "it ended with code $?"
daemon=
mount_start
cmp "$work/large" "$mnt/4" || fail "the store is not what it was"
mount_stop
