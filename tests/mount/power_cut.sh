#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Power cuts: a store on an ext4 of its own, which is told to forget what it has not written (FS_IOC_SHUTDOWN) while two
# writers are at work. What is there afterwards must be what was at some moment, and all that an fsync acknowledged. With
# syncs that do nothing, the same must fail. LSMFS_CUT_ROUNDS and LSMFS_CUT_SEED may be given.
. "$(dirname "$0")/lib.sh"

[ -z "$LSMFS_NATIVE" ] || skip "this is about the store's files"
[ "$(id -u)" = 0 ] || skip "only root may shut a file system down"
rounds=${LSMFS_CUT_ROUNDS:-4}
seed=${LSMFS_CUT_SEED:-$(date +%s)}
oracle=$programs/crash_oracle
disk=$work/disk
store=$disk/store
preload=
echo "seed $seed, $rounds rounds"
RANDOM=$((seed % 32768))

end_started()
{
	[ -z "$daemon" ] || mount_kill
	umount "$disk" 2>/dev/null
}

disk_new()
{
	rm -f "$work/image"
	truncate -s 512M "$work/image"
	mkfs.ext4 -q "$work/image"
	mount -o loop "$work/image" "$disk" 2>/dev/null || skip "no loop device here"
}

# Nothing more is written, not even what the journal has gathered: as a cut of the power.
power_cut()
{
	python3 - "$disk" <<'END'
import fcntl, os, struct, sys
FS_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
END
	mount_kill
	umount "$disk"
	mount -o loop "$work/image" "$disk"
}

write_and_cut()
{
	local w pids=()
	mkdir "$mnt/$round.1" "$mnt/$round.2"
	sync "$mnt/$round.2"
	for w in 1 2; do
		: >"$work/log$w"
		"$oracle" write "$mnt/$round.$w" "$work/log$w" $((seed + round * 2 + w)) 2>"$work/writer$w" &
		pids+=($!)
	done
	sleep "0.$(printf %03d $((300 + RANDOM % 600)))"
	power_cut
	for w in 1 2; do
		wait "${pids[w - 1]}" || fail "round $round: $(cat "$work/writer$w")"
	done
}

# What the writers were told is there. Not `fail`: it is wanted to fail without syncs.
holds()
{
	local w
	"$LSMFS" check "$store" >"$work/check" 2>&1 || {
		cat "$work/check"
		return 1
	}
	LD_PRELOAD=$preload mount_start || return 1
	for w in 1 2; do
		echo -n "round $round, writer $w: "
		"$oracle" cut "$mnt/$round.$w" "$work/log$w" || return 1
	done
}

mkdir "$disk"
command -v mkfs.ext4 >/dev/null || skip "mkfs.ext4 is not there"
disk_new
mount_start
for ((round = 1; round <= rounds; round++)); do
	write_and_cut
	holds || fail "round $round: not what was acknowledged"
done
mount_stop
store_check
umount "$disk"

step "without syncs it fails"
preload=$(realpath "$programs/libno_sync.so")
round=0
disk_new
mount_start
mount_stop
sync -f "$disk"
LD_PRELOAD=$preload mount_start
write_and_cut
(holds) >"$work/unsynced" 2>&1 && fail "syncs that do nothing are not noticed"
tail -n 3 "$work/unsynced"
