#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A disk that fills up, again and again: writers get ENOSPC, reading, unlink and truncate go on and free space, and writing
# resumes without a new mount. LSMFS_FULL_CYCLES and LSMFS_SEED may be given.
. "$(dirname "$0")/lib.sh"

[ -z "$LSMFS_NATIVE" ] || skip "this is about the disk below a store"
[ "$(id -u)" = 0 ] || skip "only root may make a small disk"
command -v mkfs.ext4 >/dev/null || skip "mkfs.ext4 is not there"
cycles=${LSMFS_FULL_CYCLES:-4}
seed=${LSMFS_SEED:-$(date +%s)}
disk=$work/disk
store=$disk/store
echo "LSMFS_SEED=$seed, $cycles cycles"
end_started()
{
	[ -z "$daemon" ] || mount_kill
	umount "$disk"
}
mkdir "$disk"
truncate -s 128M "$work/image"
mkfs.ext4 -q "$work/image"
mount -o loop "$work/image" "$disk" 2>/dev/null || skip "no loop device here"
# fsck's journal and what is mounted over it must not stand in the way of the count
empty=$(df --output=avail "$disk" | tail -1)

cat >"$work/cycle.py" <<'END'
"""cycle.py TOP SEED HOW - fills TOP with files until ENOSPC, and frees all again as HOW says. What was written and synced must
be there in between, and at least a fifth of the disk must have been taken."""
import errno, os, random, sys, time

top, seed, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rng = random.Random(seed)
sizes = {"small": (1, 3000), "medium": (3000, 60000), "large": (200000, 3000000)}[how.split("-")[0]]
files = {}


def content(n):
    return random.Random(seed * 1000003 + n).randbytes(rng_size[n])


rng_size = []


def fill():
    for n in range(200000):
        rng_size.append(rng.randrange(*sizes))
        name = f"{top}/{n}"
        try:
            with open(name, "wb", buffering=0) as f:
                data = content(n)
                if f.write(data) != len(data):
                    continue  # a short write, and the next one says why
                if n % 200 == 0:
                    os.fsync(f.fileno())
            files[n] = name
        except OSError as e:
            if e.errno != errno.ENOSPC:
                raise
            return
    raise SystemExit("the disk has no end")


def check():
    for n in rng.sample(sorted(files), min(len(files), 200)):
        with open(files[n], "rb") as f:
            if f.read() != content(n):
                raise SystemExit(f"{files[n]} is not what was written")
        os.stat(files[n])


def free():
    for name in os.listdir(top):
        path = f"{top}/{name}"
        if how.endswith("truncate"):
            os.truncate(path, 0)
        else:
            os.unlink(path)
    if how.endswith("truncate"):
        for name in os.listdir(top):
            os.unlink(f"{top}/{name}")


os.makedirs(top, exist_ok=True)
fill()
check()
taken = sum(rng_size[n] for n in files)
print(f"{how}: {len(files)} files, {taken / 1e6:.1f} MB", flush=True)
if taken < 20e6:
    raise SystemExit("much of the disk was not given")
free()
END

mount_start
hows=(small-unlink large-unlink medium-unlink large-truncate)
for ((cycle = 0; cycle < cycles; cycle++)); do
	python3 "$work/cycle.py" "$mnt/files" $((seed + cycle)) "${hows[cycle % 4]}" || fail "cycle $cycle"
done

is_free()
{
	[ "$(df --output=avail "$disk" | tail -1)" -ge $((empty - 44 * 1024)) ]
}
step "the space is free, but for the log and its spares"
echo one >"$mnt/one"
wait_for 1000 is_free || fail "of $empty KiB only $(df --output=avail "$disk" | tail -1) are free again"

step "somebody else fills the disk: reads go on, and writing resumes when there is room"
dd if=/dev/zero of="$disk/other" bs=1M status=none 2>/dev/null && fail "the disk has no end"
refused()
{
	! head -c 100000 /dev/zero >"$mnt/two" 2>/dev/null
}
wait_for 1000 refused || fail "100 times a file was written to a full disk"
[ "$(cat "$mnt/one")" = one ] || fail "it can't be read"
stat "$mnt/one" >/dev/null
rm "$disk/other"
head -c 100000 /dev/zero >"$mnt/two" || fail "there is room, and nothing can be written"
mount_stop
store_check
