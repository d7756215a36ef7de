#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Random operations on one file against a copy in memory, over clean unmounts and kill -9.
# LSMFS_EXERCISER_SECONDS (of all rounds together) and LSMFS_SEED may be given.
. "$(dirname "$0")/lib.sh"

seconds=${LSMFS_EXERCISER_SECONDS:-10}
seed=${LSMFS_SEED:-$(date +%s)}
rounds=$((seconds < 8 ? 4 : seconds / 2))
echo "LSMFS_SEED=$seed, $rounds rounds of 2 s"

mount_start
for ((round = 0; round < rounds; round++)); do
	"$programs/file_exerciser" "$mnt/file" "$work/model" $((seed + round)) 2 || fail "round $round"
	cmp "$mnt/file" "$work/model" || fail "round $round: read as a whole it differs"
	if ((round % 2)); then
		mount_kill
		mount_start
	else
		remount
	fi
	cmp "$mnt/file" "$work/model" || fail "round $round: after a new mount it differs"
	if ((round % 4 == 3)); then
		rm "$mnt/file" "$work/model"
	fi
done
mount_stop
