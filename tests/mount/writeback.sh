#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# -o writeback: all paths to the bytes of a file agree, several who append don't overwrite one another, what was synced
# survives kill -9, and small writes arrive together.
. "$(dirname "$0")/lib.sh"

[ -z "$LSMFS_NATIVE" ] || skip "a native file system always works like this"
seed=${LSMFS_SEED:-$(date +%s)}
program=$programs/data_paths
model=$work/model
tracefs=/sys/kernel/tracing
instance=
end_started()
{
	[ -z "$instance" ] || rmdir "$instance"
}
echo "LSMFS_SEED=$seed"

step "not together with sync"
mkdir "$mnt"
"$LSMFS" mount "$store" "$mnt" -o writeback,sync 2>"$work/said" && fail "it is mounted"
grep -q 'exclude each other' "$work/said" || fail "it says: $(cat "$work/said")"

more_options=writeback
mount_start
mkdir "$mnt/files" "$mnt/at-once"
for processes in 1 3; do
	step "all paths agree, and after a new mount: $processes at once"
	"$program" turns "$mnt/files" -s $((seed + processes)) -t 2 -p $processes -m "$model" ||
		fail "seed $((seed + processes))"
	remount
	"$program" check "$mnt/files" -m "$model" || fail "after a new mount"
done

step "several write ranges of a file, and several append"
"$program" ranges "$mnt/at-once" -s "$seed" -t 2 || fail "seed $seed"
"$program" append "$mnt/at-once" -s "$seed" -t 2 || fail "seed $seed"

step "what was synced survives kill -9"
head -c 3000001 /dev/urandom >"$work/synced"
for i in 1 2 3; do
	dd if="$work/synced" of="$mnt/synced$i" bs=1000 conv=fsync status=none &
	pids[i]=$!
done
wait "${pids[@]}"
mount_kill
mount_start
for i in 1 2 3; do
	cmp "$work/synced" "$mnt/synced$i" || fail "copy $i was synced, and is not what was written"
done

step "small writes arrive together"
[ -d "$tracefs/events" ] || mount -t tracefs none "$tracefs" 2>/dev/null || true
if [ "$(id -u)" = 0 ] && [ -d "$tracefs/events/fuse" ]; then
	instance=$tracefs/instances/lsmfs-test-$$
	mkdir "$instance"
	echo 1 >"$instance/events/fuse/fuse_request_send/enable"
	dd if=/dev/zero of="$mnt/many" bs=4096 count=2000 conv=fsync status=none
	writes=$(grep -c 'FUSE_WRITE' "$instance/trace")
	echo "2000 writes of 4096 bytes: $writes requests"
	[ "$writes" -le 1000 ] || fail "2000 small writes are $writes requests"
else
	echo "# not counted: the requests can't be traced here"
fi
mount_stop
