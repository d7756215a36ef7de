#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The everyday tools on a mount: archives, copies, holes, locks, FIFOs, inotify, searching, sorting, compressing. Prints TAP.
. "$(dirname "$0")/lib.sh"

same_tree()
{
	diff <(fingerprint "$1") <(fingerprint "$2") || fail "$2 is not what $1 is"
}

# With all that archives must keep.
make_tree()
{
	local i
	mkdir -p "$1/d/e/f" "$1/empty"
	for i in $(seq 30); do
		seq "$i" "$((i * 50))" >"$1/d/e/numbers $i"
	done
	ln "$1/d/e/numbers 1" "$1/d/hard"
	ln -s "e/numbers 2" "$1/d/soft"
	ln -s nowhere "$1/dangling"
	mkfifo "$1/d/fifo"
	if [ "$(id -u)" = 0 ]; then
		mknod "$1/null" c 1 3
		chown 12345:23456 "$1/d/e/numbers 3"
	fi
	printf 'end' | dd of="$1/sparse" bs=1M seek=4 status=none
	printf 'start' | dd of="$1/sparse" conv=notrunc status=none
	setfattr -n user.key -v value "$1/d/e/numbers 5"
	chmod 2751 "$1/d/e/f"
	chmod 600 "$1/d/e/numbers 4"
	touch "$1/$(printf 'a\nname\twith\\ everything\xff')"
	touch -d '1965-05-05 05:05:05.5' "$1/d/e/numbers 6"
	touch -h -d '2030-01-01 00:00:00.123456789' "$1/d/soft"
	touch -d '2001-02-03 04:05:06.000000007' "$1/d/e/f" "$1/d/e" "$1/d"
}

# Bytes that a file takes on its disk.
taken()
{
	echo $(($(stat -c '%b * %B' "$1")))
}

with_tar()
{
	cd "$mnt"
	tar --xattrs --sparse -C tree -cf tree.tar .
	[ "$(stat -c %s tree.tar)" -lt 2000000 ] || fail "tar sees no holes"
	mkdir from-tar
	tar --xattrs -C from-tar -xpf tree.tar 2>/dev/null # it warns of times
	same_tree tree from-tar
	tar --xattrs -df tree.tar -C from-tar || fail "tar -d"
	[ "$(getfattr --only-values -n user.key 'from-tar/d/e/numbers 5')" = value ] || fail "the xattr is gone"
	[ "$(taken from-tar/sparse)" -lt 1000000 ] || fail "the holes are gone"
	tar -C from-tar --listed-incremental=state -cf full.tar . 2>/dev/null
	echo new >from-tar/new
	rm from-tar/d/hard
	tar -C from-tar --listed-incremental=state -cf next.tar . 2>/dev/null
	# (what has a time in the future comes again each time, and what lost a link)
	[ "$(tar -tf next.tar | grep -v '/$' | sort)" = "$(printf './d/e/numbers 1\n./d/soft\n./new')" ] ||
		fail "the increment holds $(tar -tf next.tar)"
	mkdir restored
	tar -C restored --listed-incremental=/dev/null -xpf full.tar
	tar -C restored --listed-incremental=/dev/null -xpf next.tar
	[ -e restored/new ] && [ ! -e restored/d/hard ] || fail "the increment was not applied"
}

with_cpio()
{
	needs cpio
	cd "$mnt/tree"
	find . -depth -print0 | cpio -0 --quiet -o -H newc >../tree.cpio
	mkdir ../from-cpio ../by-cpio
	(cd ../from-cpio && cpio --quiet -idm --no-absolute-filenames <../tree.cpio)
	diff -r --no-dereference -x fifo -x null . ../from-cpio || fail "cpio -i"
	find . -depth -print0 | cpio -0 --quiet -pdm --sparse ../by-cpio
	diff -r --no-dereference -x fifo -x null . ../by-cpio || fail "cpio -p"
	[ "$(stat -c %h ../from-cpio/d/hard ../by-cpio/d/hard | sort -u)" = 2 ] || fail "hard links were broken"
}

with_rsync()
{
	needs rsync
	cd "$mnt"
	rsync -aHXSA --numeric-ids tree/ copy1/ 2>/dev/null || rsync -aHXS --numeric-ids tree/ copy1/
	same_tree tree copy1
	[ "$(taken copy1/sparse)" -lt 1000000 ] || fail "rsync -S made no holes"
	rsync -aHX --link-dest=../copy1 tree/ copy2/
	[ "$(stat -c %i 'copy1/d/e/numbers 7')" = "$(stat -c %i 'copy2/d/e/numbers 7')" ] || fail "--link-dest made no links"
	rm -r copy2
	echo extra >copy1/extra
	seq 100000 >copy1/d/e/big
	cp copy1/d/e/big big
	rsync -aHX --delete --exclude=big tree/ copy1/
	[ ! -e copy1/extra ] || fail "--delete has left a file"
	sed -i 's/^50000$/changed/' big
	rsync -a --inplace --no-whole-file --checksum big copy1/d/e/big
	cmp big copy1/d/e/big
	seq 100001 150000 >>big
	rsync --append-verify big copy1/d/e/big
	cmp big copy1/d/e/big
}

with_cp()
{
	cd "$mnt"
	cp -a tree cp-a
	same_tree tree cp-a
	cp -a --sparse=always tree cp-sparse
	same_tree tree cp-sparse
	[ "$(taken cp-sparse/sparse)" -lt 1000000 ] || fail "--sparse=always made no holes"
	cp --sparse=never tree/sparse never
	[ "$(taken never)" -ge 4000000 ] || fail "--sparse=never made holes"
	cp --sparse=always never again
	[ "$(taken again)" -lt 1000000 ] || fail "the zeros have become no hole"
	cp --reflink=auto never reflink
	cmp never tree/sparse
	cmp reflink tree/sparse
	cp -al tree cp-links
	[ "$(stat -c %i 'tree/d/e/numbers 9')" = "$(stat -c %i 'cp-links/d/e/numbers 9')" ] || fail "cp -l made no links"
	cp --backup=numbered 'tree/d/e/numbers 1' never
	cp --backup=numbered 'tree/d/e/numbers 2' never
	[ -e never.~1~ ] && [ -e never.~2~ ] || fail "no backups"
	mv -n 'tree/d/e/numbers 1' never 2>/dev/null || true
	[ -e 'tree/d/e/numbers 1' ] || fail "mv -n has moved"
	cp -u 'tree/d/e/numbers 3' updated
	mv never.~1~ "$work/moved" # across file systems
	mv "$work/moved" back
	cmp back tree/sparse
}

with_dd()
{
	cd "$mnt"
	seq 20000 >in
	dd if=in of=out bs=7 status=none
	cmp in out
	dd if=in of=out bs=4096 seek=1 conv=notrunc status=none
	cmp -n 4096 in out
	tail -c +4097 out | cmp - in || fail "seek"
	dd if=in of=appended oflag=append conv=notrunc status=none
	dd if=in of=appended oflag=append conv=notrunc,fsync status=none
	cat in in | cmp - appended
	dd if=in of=upper conv=ucase,fdatasync status=none
	dd if=/dev/zero of=zeros bs=64K count=16 conv=sparse status=none
	[ "$(stat -c %s zeros)" = 1048576 ] && [ "$(taken zeros)" -lt 65536 ] || fail "conv=sparse"
	dd if=/dev/urandom of=random bs=64K count=16 oflag=dsync status=none
	dd if=random of=direct bs=64K iflag=direct oflag=direct status=none
	cmp random direct
	dd if=random of=excl conv=excl status=none
	dd if=random of=excl conv=excl status=none 2>/dev/null && fail "conv=excl"
	dd if=random of=none conv=nocreat status=none 2>/dev/null && fail "conv=nocreat"
	dd if=random of=excl bs=1 count=0 seek=1000 status=none # truncates
	[ "$(stat -c %s excl)" = 1000 ] || fail "dd has not truncated"
}

with_holes()
{
	cd "$mnt"
	head -c 1048576 /dev/urandom >holes
	fallocate --punch-hole --offset 65536 --length 131072 holes
	[ "$(dd if=holes bs=65536 skip=1 count=2 status=none | tr -d '\0' | wc -c)" = 0 ] || fail "the hole holds data"
	[ "$(taken holes)" -le 917504 ] || fail "the hole takes space"
	fallocate --zero-range --offset 0 --length 4096 holes
	fallocate --length 2097152 holes
	[ "$(stat -c %s holes)" = 2097152 ] || fail "fallocate has not extended"
	fallocate --keep-size --length 3145728 holes
	[ "$(stat -c %s holes)" = 2097152 ] || fail "fallocate --keep-size has extended"
	cp --sparse=never holes dug
	fallocate --dig-holes dug
	cmp holes dug
	[ "$(taken dug)" -lt 950000 ] || fail "no holes were dug"
	truncate -s 1T huge
	[ "$(stat -c %s huge)" = 1099511627776 ] && [ "$(taken huge)" -lt 1048576 ] || fail "a file of 1 TiB"
	echo end >>huge
	[ "$(tail -c 4 huge)" = end ] || fail "its end"
	rm huge
}

with_find()
{
	local files
	cd "$mnt"
	cp -a tree found
	files=$(find tree | wc -l)
	[ "$(find found | wc -l)" = "$files" ] || fail "find counts differently"
	[ "$(find found -type f -links +1 | wc -l)" = 2 ] || fail "find -links"
	[ "$(find found -newermt 2029-01-01 -printf x)" = x ] || fail "find -newermt"
	[ "$(find found -samefile found/d/hard | wc -l)" = 2 ] || fail "find -samefile"
	[ "$(find found -empty -type d | wc -l)" = 2 ] || fail "find -empty"
	[ "$(ls -AR found | grep -c numbers)" = 30 ] || fail "ls -R"
	find found -xdev -depth -print0 | xargs -0 stat >/dev/null
	find found -type f -name 'numbers *' -delete
	[ "$(find found -name 'numbers *' | wc -l)" = 0 ] || fail "find -delete has left files"
	find found -delete
	[ ! -e found ] || fail "find -delete has left the directory"
	mkdir -p "$(printf 'deep/%.0s' $(seq 200))"
	[ "$(find deep -type d | wc -l)" = 200 ] || fail "a deep tree"
	chmod -R u=rwX,go= deep
	rm -r deep
}

with_du()
{
	local bytes
	cd "$mnt"
	bytes=$(du -sb --apparent-size copy1/d/e/big | cut -f1)
	[ "$bytes" = "$(stat -c %s copy1/d/e/big)" ] || fail "du -b says $bytes"
	[ "$(du -sB1 copy1/d/e/big | cut -f1)" = "$(taken copy1/d/e/big)" ] || fail "du says another number than stat"
	[ "$(du -sB1 tree | cut -f1)" -lt 2000000 ] || fail "du counts holes, or links twice"
	[ "$(df --output=target . | tail -n 1)" = "$(df --output=target "$mnt" | tail -n 1)" ] || fail "df: another mount"
	df -B1 --output=size,used,avail,itotal,iused "$mnt" | tail -n 1 |
		awk '{ if (!($1 > 0 && $2 + $3 <= $1 && $4 > 0)) exit 1 }' || fail "df: $(df -B1 "$mnt")"
}

with_ncdu()
{
	needs ncdu
	ncdu -0 -x -o "$work/ncdu" "$mnt/tree"
	[ "$(grep -o '"name":"numbers [0-9]*"' "$work/ncdu" | wc -l)" = 30 ] || fail "ncdu has not seen all files"
}

with_flock()
{
	local i
	cd "$mnt"
	echo 0 >counter
	: >lock
	for i in 1 2 3 4; do
		(for _ in $(seq 8); do
			flock lock sh -c 'n=$(cat counter); echo $((n + 1)) >counter'
		done) &
	done
	wait
	[ "$(cat counter)" = 32 ] || fail "32 additions under a lock made $(cat counter)"
	flock lock sh -c 'flock -n lock true' && fail "the lock is given twice"
	flock lock sh -c 'flock -w 0.1 lock true' && fail "the lock is given after a while"
	flock -s lock sh -c 'flock -s -n lock true' || fail "shared locks exclude each other"
	flock lock sh -c 'kill -9 $$' || true
	flock -n lock true || fail "a killed holder keeps the lock"
	if command -v lockfile >/dev/null; then
		lockfile -r 0 dotlock
		lockfile -r 0 dotlock 2>/dev/null && fail "a dot lock is given twice"
		rm -f dotlock
	fi
}

with_fifo()
{
	cd "$mnt"
	mkfifo pipe
	seq 50000 >pipe &
	cat pipe | cmp - <(seq 50000)
	wait $!
	mktemp -p . name.XXXXXX >/dev/null
	mktemp -d -p . dir.XXXXXX >/dev/null
	[ "$(stat -c %a name.*)" = 600 ] && [ "$(stat -c %a dir.*)" = 700 ] || fail "mktemp's modes"
	install -D -m 4755 /bin/true a/b/c/true
	[ "$(stat -c %a a/b/c/true)" = 4755 ] || fail "install -m"
	a/b/c/true
	install -d -m 1777 tmp
	[ "$(stat -c %a tmp)" = 1777 ] || fail "install -d"
}

followed()
{
	[ "$(tail -n 1 "$work/followed")" = "$1" ]
}

# It doesn't use inotify on what it takes for a network's file system, and FUSE is among these.
with_tail()
{
	local pid
	cd "$mnt"
	echo first >log
	tail -n +1 -s 0.1 -F log >"$work/followed" 2>"$work/tail" &
	pid=$!
	started $pid
	wait_for 500 followed first || fail "tail does not begin"
	echo second >>log
	wait_for 500 followed second || fail "tail does not see what is appended"
	mv log log.1
	echo third >log
	wait_for 500 followed third || fail "tail -F does not follow the new file"
	kill $pid
}

events_have()
{
	grep -qF "$1" "$work/events"
}

with_inotify()
{
	local pid
	needs inotifywait
	cd "$mnt"
	mkdir watched
	inotifywait -q -m -r --format '%e %f' watched >"$work/events" 2>"$work/inotify" &
	pid=$!
	started $pid
	sleep 0.3 # it has no way to tell when it is ready that is not also printed before
	while ! events_have "ATTRIB probe"; do
		touch watched/probe
		sleep 0.05
		[ $((tries++)) -lt 200 ] || fail "inotifywait sees nothing"
	done
	echo text >watched/a
	cat watched/a >/dev/null
	mv watched/a watched/b
	chmod 600 watched/b
	truncate -s 1 watched/b
	ln watched/b watched/c
	rm watched/b
	mkdir watched/sub
	wait_for 500 events_have "CREATE,ISDIR sub" || fail "no event of a new directory"
	for e in "CREATE a" "MODIFY a" "CLOSE_WRITE,CLOSE a" "ACCESS a" "MOVED_FROM a" "MOVED_TO b" "ATTRIB b" "MODIFY b" "CREATE c" "DELETE b"; do
		events_have "$e" || { cat "$work/events"; fail "no event: $e"; }
	done
	kill $pid
}
tries=0

with_sort()
{
	cd "$mnt"
	mkdir tmp-sort
	seq 20000 | shuf >unsorted
	sort -n -S 128K --batch-size=8 -T tmp-sort unsorted -o unsorted # over itself
	cmp unsorted <(seq 20000)
	[ -z "$(ls -A tmp-sort)" ] || fail "sort has left temporary files"
	split -n l/7 unsorted piece.
	cat piece.* | cmp - unsorted
	split -b 10000 -d unsorted chunk.
	cat chunk.* | cmp - unsorted
	csplit -s -f part. unsorted /^10000$/
	cat part.* | cmp - unsorted
	tac unsorted | tac | cmp - unsorted
	tee copy-a copy-b <unsorted >/dev/null
	cmp copy-a copy-b
	paste -d, copy-a copy-b | cut -d, -f2 | cmp - unsorted
	shred -n 1 -z -u copy-a
	[ ! -e copy-a ] || fail "shred -u has left the file"
}

with_compressors()
{
	local p
	cd "$mnt"
	for p in gzip bzip2 xz "zstd --rm"; do
		command -v "${p%% *}" >/dev/null || continue
		cp unsorted z
		touch -d 2001-01-01 z
		chmod 640 z
		$p -q z
		[ ! -e z ] || fail "$p has left the original"
		$p -q -t z.* || fail "$p -t"
		[ "$(stat -c '%a %y' z.* | cut -c1-14)" = "640 2001-01-01" ] || fail "$p has lost mode or time"
		$p -q -d z.*
		cmp z unsorted
		rm z
	done
	needs zip unzip
	zip -q -r -y tree.zip tree -x '*everything*' -x '*fifo' -x '*null'
	unzip -q -t tree.zip || fail "unzip -t"
	zip -q -d tree.zip 'tree/d/e/numbers 1*'
	zip -q -u tree.zip 'tree/d/e/numbers 1'
	unzip -q tree.zip -d unzipped
	cmp 'unzipped/tree/d/e/numbers 23' 'tree/d/e/numbers 23'
}

mount_start
make_tree "$mnt/tree"
point "tar: sparse, xattrs, incremental" with_tar
point "cpio" with_cpio
point "rsync: --link-dest, --inplace, --append-verify, --delete, -S" with_rsync
point "cp -a, --sparse, --reflink=auto, -l, --backup; mv" with_cp
point "dd: notrunc, append, sparse, excl, direct, dsync" with_dd
point "fallocate(1), truncate(1)" with_holes
point "find, ls -R, chmod -R" with_find
point "du, df" with_du
point "ncdu" with_ncdu
point "flock(1), dot locks" with_flock
point "mkfifo, mktemp, install" with_fifo
point "tail -F" with_tail
point "inotifywait" with_inotify
point "sort, split, csplit, tee, shred" with_sort
point "gzip, bzip2, xz, zstd, zip" with_compressors
fingerprint "$mnt/tree" >"$work/before"
remount
unchanged()
{
	fingerprint "$mnt/tree" | diff "$work/before" - || fail "it has changed"
}
point "the tree is the same after a remount" unchanged
clean()
{
	(shopt -s dotglob && rm -rf "${mnt:?}"/*)
	[ -z "$(ls -A "$mnt")" ] || fail "files are left"
}
point "rm -r" clean
mount_stop
points_done
