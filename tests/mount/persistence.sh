#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What was done is there after a clean unmount, and after the daemon was killed.
. "$(dirname "$0")/lib.sh"

populate()
{
	local dir=$1 i
	mkdir -p "$dir/a/b/c" "$dir/many" "$dir/gone"
	echo small >"$dir/a/small"
	: >"$dir/a/empty"
	head -c 3000000 /dev/urandom >"$dir/a/b/large"
	head -c 100000 /dev/urandom >"$dir/a/b/medium"
	printf middle | dd of="$dir/a/b/medium" bs=1 seek=50000 conv=notrunc status=none
	dd if=/dev/urandom of="$dir/a/sparse" bs=4096 count=1 seek=1000 status=none
	truncate -s 20M "$dir/a/sparse"
	for ((i = 0; i < 500; i++)); do
		echo "content $i" >"$dir/many/file $i"
	done
	for ((i = 0; i < 500; i += 3)); do
		rm "$dir/many/file $i"
	done
	for ((i = 1; i < 500; i += 3)); do
		mv "$dir/many/file $i" "$dir/many/moved $i"
	done
	ln "$dir/a/small" "$dir/a/b/hard"
	ln -s ../nowhere "$dir/a/soft"
	mkfifo "$dir/a/fifo"
	chmod 4750 "$dir/a/small"
	chmod 1777 "$dir/a/b/c"
	touch -d '2001-02-03 04:05:06.789012345' "$dir/a/b/medium" "$dir/a"
	setfattr -n user.note -v "an attribute" "$dir/a/empty"
	for ((i = 0; i < 20; i++)); do
		echo "version $i" >"$dir/a/saved.tmp"
		mv "$dir/a/saved.tmp" "$dir/a/saved"
		echo "line $i" >>"$dir/a/appended"
	done
	touch "$dir/gone/x"
	rm -r "$dir/gone"
}

compare()
{
	fingerprint "$mnt" >"$work/after" || fail "$1: the tree can't be read"
	diff "$work/before" "$work/after" || fail "$1: the tree is not what it was"
	[ "$(getfattr --absolute-names --only-values -n user.note "$mnt/first/a/empty")" = "an attribute" ] || fail "$1: xattr"
}

step "populate, look, unmount, mount, compare"
mount_start
populate "$mnt/first"
fingerprint "$mnt" >"$work/before"
compare "at once"
remount
compare "after a clean unmount"

step "populate more, kill -9, mount, compare"
populate "$mnt/second"
fingerprint "$mnt" >"$work/before"
mount_kill
mount_start
compare "after kill -9"

step "kill -9 with nothing to do, and during the recovery"
mount_kill
for _ in 1 2 3; do
	mount_start
	mount_kill
done
mount_start
compare "after four more"

step "an unlinked file that was open leaves nothing behind"
head -c 5000000 /dev/urandom >"$mnt/orphan"
exec 7<"$mnt/orphan"
rm "$mnt/orphan"
mount_kill
exec 7<&-
mount_start
[ ! -e "$mnt/orphan" ] || fail "the orphan has its name back"
fingerprint "$mnt" | grep -q orphan && fail "an orphan shows"
mount_stop
store_check
