#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sparse files, up to the largest one that can be: what programs do with them, in a time that depends on their data.
. "$(dirname "$0")/lib.sh"

largest=9223372036854775807
if [ -n "$LSMFS_NATIVE" ]; then
	largest=17592186040320 # what ext4 has
fi
dir=$mnt/dir
mount_start
mkdir "$dir"
cd "$dir"

# Where the data is, as "begin+size" in pages, by SEEK_DATA and SEEK_HOLE.
data_of()
{
	python3 - "$1" <<'EOF'
import errno, os, sys

fd = os.open(sys.argv[1], os.O_RDONLY)
at, size, found = 0, os.fstat(fd).st_size, []
while at < size:
    try:
        data = os.lseek(fd, at, os.SEEK_DATA)
    except OSError as e:
        if e.errno != errno.ENXIO:
            raise
        break
    at = os.lseek(fd, data, os.SEEK_HOLE)
    first, last = data // 4096, (at - 1) // 4096
    if found and found[-1][1] >= first:
        found[-1][1] = last + 1
    else:
        found.append([first, last + 1])
print(*["%d+%d" % (b, e - b) for b, e in found])
EOF
}

# byte FILE OFFSET
byte()
{
	dd if="$1" bs=1 count=1 skip="$2" iflag=skip_bytes status=none
}

# same_sparse A B: size, data and where it lies; B takes no more space than the data needs
same_sparse()
{
	local at
	[ "$(stat -c %s "$1")" = "$(stat -c %s "$2")" ] || fail "$2: its size is $(stat -c %s "$2")"
	[ "$(data_of "$1")" = "$(data_of "$2")" ] || fail "$2: its data is at $(data_of "$2"), not at $(data_of "$1")"
	for at in $offsets; do
		[ "$(byte "$1" "$at")" = "$(byte "$2" "$at")" ] || fail "$2: byte $at differs"
	done
	[ $(($(stat -c %b "$2") * 512)) -lt 4194304 ] || fail "$2: it takes $(stat -c %b "$2") blocks"
}

offsets="0 5000000000 $((largest / 2)) $((largest - 1))"
# shellcheck disable=SC2086
timeout 60 python3 - large "$largest" $offsets <<'EOF' || fail "making a sparse file"
import os, sys

fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
os.ftruncate(fd, int(sys.argv[2]))
for at in map(int, sys.argv[3:]):
    assert os.pwrite(fd, b"%d" % (at % 10), at) == 1
EOF
want="0+1 1220703+1 $((largest / 2 / 4096))+1 $(((largest - 1) / 4096))+1"

step "its data is found"
[ "$(stat -c %s large)" = "$largest" ] || fail "its size is $(stat -c %s large)"
[ "$(data_of large)" = "$want" ] || fail "its data is at $(data_of large), not at $want"
[ "$(stat -c %b large)" -le 64 ] || fail "it takes $(stat -c %b large) blocks"
cd /
remount
cd "$dir"
[ "$(data_of large)" = "$want" ] || fail "after a new mount its data is at $(data_of large), not at $want"

step "cp, tar, rsync, mv"
for option in auto always; do
	timeout 60 cp --sparse=$option large "copy-$option" || fail "cp --sparse=$option"
	same_sparse large "copy-$option"
	rm "copy-$option"
done
mkdir out
if [ -z "$LSMFS_NATIVE" ]; then
	# GNU tar can't store sizes beyond 8 EiB - 1 - 512 in any format: so one a little smaller
	truncate -s -4096 large
	offsets="0 5000000000 $((largest / 2))"
fi
timeout 60 tar -cSf large.tar large || fail "tar -cS"
timeout 60 tar -xSf large.tar -C out || fail "tar -xS"
same_sparse large out/large
rm -r out large.tar
mv large moved
mv moved large

step "smaller and larger again"
timeout 60 truncate -s 4999995392 large # a whole number of pages
[ "$(data_of large)" = "0+1" ] || fail "cut, its data is at $(data_of large)"
timeout 60 truncate -s "$largest" large
[ "$(data_of large)" = "0+1" ] || fail "what was cut off is there again: $(data_of large)"
printf x | dd of=large bs=1 seek=4194304000 conv=notrunc status=none
timeout 60 fallocate --punch-hole -o 0 -l $((largest - 4096)) large
[ -z "$(data_of large)" ] || fail "punched, it has data at $(data_of large)"

step "much data, scattered"
timeout 120 python3 - scattered <<'EOF' || fail "scattered data"
import os, sys

STEP, COUNT = 1 << 28, 4000
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
for i in range(COUNT):
    os.pwrite(fd, b"%08d" % i, i * STEP + 5)
os.fsync(fd)
at = 0
for i in range(COUNT):
    at = os.lseek(fd, at, os.SEEK_DATA)
    assert at // 4096 == (i * STEP + 5) // 4096
    at = os.lseek(fd, at, os.SEEK_HOLE)
    assert os.pread(fd, 8, i * STEP + 5) == b"%08d" % i
EOF
timeout 60 cp --sparse=auto scattered copy || fail "cp of scattered data"
[ "$(data_of scattered)" = "$(data_of copy)" ] || fail "cp of scattered data put it elsewhere"
timeout 60 fallocate --punch-hole -o 4096 -l $((1 << 39)) copy
[ "$(data_of copy | wc -w)" = $((4000 - 2048)) ] || fail "punched: $(data_of copy | wc -w) stretches of data"
timeout 60 rm large scattered copy

cd /
mount_stop
