#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# All paths to the bytes of a file agree: random operations against a model, by one process and several, over clean
# unmounts and kill -9. LSMFS_PATHS_SECONDS (of all rounds together) and LSMFS_SEED may be given.
. "$(dirname "$0")/lib.sh"

seconds=${LSMFS_PATHS_SECONDS:-24}
seed=${LSMFS_SEED:-$(date +%s)}
program=$programs/data_paths
model=$work/model
dir=$mnt/files
round=0
echo "LSMFS_SEED=$seed, $seconds s"
RANDOM=$((seed % 32768))

# turns SECONDS PROCESSES [OPTION...]: goes on from the model
turns()
{
	local time=$1 processes=$2
	shift 2
	round=$((round + 1))
	"$program" turns "$dir" -s $((seed + round)) -t "$time" -p "$processes" -m "$model" "$@" ||
		fail "round $round, seed $((seed + round))"
}

has_ended()
{
	! kill -0 "$1" 2>/dev/null
}

# The processes see that their mount is dead; but the kernel (6.18) may populate a mapping of it without end.
end_processes()
{
	wait_for 500 has_ended "$1" || pkill -9 -P "$1" || true
}

# The daemon dies somewhere in the middle.
turns_with_kill()
{
	local pid code=0
	if [ -n "$LSMFS_NATIVE" ]; then
		turns 1 "$1"
		return
	fi
	round=$((round + 1))
	: >"$work/out"
	"$program" turns "$dir" -k -s $((seed + round)) -t 60 -p "$1" -m "$model" >"$work/out" &
	pid=$!
	wait_for 1500 grep -q begin "$work/out" || fail "round $round, seed $((seed + round)): it does not begin"
	sleep "0.$(printf %03d $((200 + RANDOM % 800)))"
	daemon_kill
	end_processes "$pid"
	wait "$pid" || code=$?
	detach "$mnt"
	grep '^seed' "$work/out"
	[ "$code" = 3 ] || fail "round $round, seed $((seed + round)): exit code $code of a process whose mount died"
	mount_start
	cp "$model" "$work/model.dead"
	if ! "$program" check "$dir" -u -m "$model"; then
		cat "$work/out"
		fail "round $round, seed $((seed + round)): after kill -9"
	fi
}

mount_start
mkdir "$dir"

step "a seed repeats a run"
for i in 1 2; do
	mkdir "$mnt/again"
	"$program" turns "$mnt/again" -s "$seed" -n 250 -p 2 -m "$work/again$i" -d 0 || fail "seed $seed"
	rm -r "$mnt/again"
done
cmp "$work/again1" "$work/again2" || fail "the same seed, and other operations"

for ((part = 0; part < seconds; part += 12)); do
	step "one after the other"
	turns 2 1
	remount
	turns 2 3
	remount
	"$program" check "$dir" -m "$model" || fail "after a new mount"
	step "the daemon dies"
	turns_with_kill 1
	turns_with_kill 3
	step "all at once"
	mkdir "$mnt/at-once"
	"$program" ranges "$mnt/at-once" -s $((seed + part)) -t 3 || fail "seed $((seed + part))"
	"$program" append "$mnt/at-once" -s $((seed + part)) -t 2 || fail "seed $((seed + part))"
	rm -r "$mnt/at-once"
done

step "the model sees damage"
turns 0.2 1
victim=$(find "$dir" -name 'file0.*')
if [ -n "$victim" ]; then
	cp "$victim" "$work/whole"
	truncate -s +1 "$victim"
	"$program" check "$dir" -m "$model" >/dev/null 2>&1 && fail "another size is not noticed"
	cp "$work/whole" "$victim"
	"$program" check "$dir" -m "$model" || fail "a repaired file is still reported"
fi
mount_stop
