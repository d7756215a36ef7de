#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Rounds of kill -9 at random moments under two writers, each of which notes what was acknowledged; after each the
# mount must hold exactly that. LSMFS_CRASH_ROUNDS and LSMFS_CRASH_SEED may be given.
. "$(dirname "$0")/lib.sh"

rounds=${LSMFS_CRASH_ROUNDS:-14}
seed=${LSMFS_CRASH_SEED:-$(date +%s)}
oracle=$programs/crash_oracle
echo "seed $seed, $rounds rounds"
RANDOM=$((seed % 32768))

size_of_log()
{
	stat -c %s "$work/log$1"
}

# Both writers have begun: one that starts after the kill would find no mount.
have_grown()
{
	[ "$(size_of_log 1)" != "$1" ] && [ "$(size_of_log 2)" != "$2" ]
}

write_and_kill()
{
	local size1 size2 pids=() w
	size1=$(size_of_log 1)
	size2=$(size_of_log 2)
	for w in 1 2; do
		"$oracle" write "$mnt/w$w" "$work/log$w" $((seed + round * 2 + w)) &
		pids+=($!)
	done
	wait_for 500 have_grown "$size1" "$size2" || fail "round $round: the writer does not get to write"
	sleep "0.$(printf %03d $((RANDOM % 900)))"
	if [ -n "$LSMFS_NATIVE" ]; then
		kill "${pids[@]}"
	else
		mount_kill
	fi
	for w in "${pids[@]}"; do
		wait "$w" || fail "round $round: a writer met an error that is none of a dying mount"
	done
}

check()
{
	local w
	for w in 1 2; do
		echo -n "round $round, writer $w: "
		"$oracle" check "$mnt/w$w" "$work/log$w" || fail "round $round: acknowledged operations are not there"
	done
}

mount_start
mkdir "$mnt/w1" "$mnt/w2"
touch "$work/log1" "$work/log2"
for ((round = 1; round <= rounds; round++)); do
	write_and_kill
	store_check
	mount_start
	if ((round % 5 == 0)); then # killed again before anything else happens
		mount_kill
		mount_start
	fi
	check
done

step "the oracle sees damage"
victim=$(find "$mnt/w1" -type f -links 1 -size +0 -print -quit)
cp "$victim" "$work/whole"
printf 'DAMAGED!' | dd of="$victim" bs=1 conv=notrunc status=none
"$oracle" check "$mnt/w1" "$work/log1" >/dev/null && fail "a changed file is not noticed"
cat "$work/whole" >"$victim"
"$oracle" check "$mnt/w1" "$work/log1" >/dev/null || fail "a repaired file is still reported"
rm "$victim"
"$oracle" check "$mnt/w1" "$work/log1" >/dev/null && fail "a missing file is not noticed"
mount_stop
store_check
