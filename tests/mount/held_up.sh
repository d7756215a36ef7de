#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A request that is held up (the disk is frozen under a write) holds up no other: one that needs no disk is answered.
. "$(dirname "$0")/lib.sh"

[ -z "$LSMFS_NATIVE" ] || skip "a native file system has no daemon"
[ "$(id -u)" = 0 ] || skip "only root may freeze a file system"
command -v mkfs.ext4 >/dev/null || skip "mkfs.ext4 is not there"
disk=$work/disk
mkdir "$disk"
truncate -s 256M "$work/image"
mkfs.ext4 -q "$work/image"
mount -o loop "$work/image" "$disk" 2>/dev/null || skip "no loop device here"
end_started()
{
	fsfreeze -u "$disk" 2>/dev/null
	if [ -n "$daemon" ]; then
		umount "$mnt"
		wait "$daemon"
		daemon=
	fi
	umount "$disk"
}
store=$disk/store
mount_start
echo 1 >"$mnt/file"
for name in $(seq 100); do
	[ ! -e "$mnt/$name" ]
done

step "a write waits for the disk; a look-up does not wait for the write"
fsfreeze -f "$disk"
echo 2 >"$mnt/file" &
writer=$!
sleep 0.3
kill -0 "$writer" 2>/dev/null || fail "the disk is frozen, and the write is done: this tests nothing"
code=0
timeout -s KILL 10 stat "$mnt/missing" >"$work/stat" 2>&1 || code=$?
fsfreeze -u "$disk"
wait "$writer"
[ "$code" = 1 ] || fail "a look-up had to wait for another client's write (exit code $code)"
[ "$(cat "$mnt/file")" = 2 ] || fail "the write that had to wait is lost"
