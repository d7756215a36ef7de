#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lsmfs check: what it prints and exits with, for whole and damaged stores, mounted and not. Prints TAP.
. "$(dirname "$0")/lib.sh"

if [ -n "$LSMFS_NATIVE" ]; then
	skip "there is no store to check"
fi

# check_is CODE [ARGUMENT...]: runs the verb, whose output goes to $work/out and $work/err
check_is()
{
	local want=$1 code=0
	shift
	"$LSMFS" check "$@" >"$work/out" 2>"$work/err" || code=$?
	[ "$code" = "$want" ] || fail "exit code $code instead of $want: $(cat "$work/out" "$work/err")"
}

says()
{
	grep -q -- "$1" "$work/out" "$work/err" || fail "it doesn't say '$1': $(cat "$work/out" "$work/err")"
}

fill()
{
	mkdir -p "$mnt/dir/sub"
	for i in $(seq 400); do
		echo "content of file $i" >"$mnt/dir/file$i"
	done
	head -c 3000000 /dev/urandom >"$mnt/dir/sub/large"
	ln "$mnt/dir/file1" "$mnt/dir/sub/link"
	ln -s nowhere "$mnt/link"
}

files_of()
{
	(cd "$store" && stat -c '%n %s %Y %i' -- * | grep -v '^LOCK ')
}

clean()
{
	local before
	before=$(files_of)
	check_is 0 "$store"
	says "$store: clean, 401 files, 3 directories, 1 others"
	[ "$(wc -l <"$work/out")" = 1 ] || fail "more than one line"
	check_is 0 --quiet "$store"
	[ ! -s "$work/out" ] || fail "not quiet"
	[ "$(files_of)" = "$before" ] || fail "a file was changed"
}

usage()
{
	check_is 16
	check_is 16 "$store" more
	check_is 16 --nonsense "$store"
	check_is 8 "$work/nowhere"
	says nowhere
	mkdir "$work/empty"
	check_is 8 "$work/empty"
	says "is not a store"
	"$LSMFS" check --help | grep -q "Exit status" || fail "--help"
}

# A value in a blob segment: the file of the store, and the path of the file that has lost it.
flipped_value()
{
	local blob
	blob=$(cd "$store" && ls -S -- *.blob | head -n 1)
	xor "$store/$blob" 1500000
	check_is 4 "$store"
	says "^$store/$blob, byte 1[0-9]*: .* bytes at byte 1[0-9]* of .* are damaged"
	says "^/dir/sub/large: its content at byte [0-9]* and behind can't be read"
	says "2 finds of damage"
	check_is 4 --quiet "$store"
	xor "$store/$blob" 1500000
	check_is 0 "$store"
}

# The table is compressed: a few bytes in its middle are in a block of rows.
flipped_block()
{
	local table half at
	table=$(cd "$store" && ls -S -- *.sst | head -n 1)
	half=$(($(stat -c %s "$store/$table") / 2))
	for at in 100 "$half"; do # the first block has the superblock
		xor "$store/$table" "$at"
		check_is 4 "$store"
		says "^$store/$table, byte [0-9]*: .*checksum"
		says "link counts, and whether a way leads to everything, were not checked"
		[ "$at" != 100 ] || says "superblock can't be read"
		[ "$at" = 100 ] || says "/dir.*can't be read"
		xor "$store/$table" "$at"
		check_is 0 "$store"
	done
}

flipped_manifest()
{
	local manifest
	manifest=$(cd "$store" && ls -- *.manifest)
	mv "$store/$manifest" "$work/manifest"
	check_is 4 "$store"
	says "$manifest"
	says "the files in it were not checked, since the store doesn't open"
	mv "$work/manifest" "$store/$manifest"
	mv "$store/CURRENT" "$work/CURRENT"
	check_is 4 "$store"
	says "has no file CURRENT"
	mv "$work/CURRENT" "$store/CURRENT"
	check_is 0 "$store"
}

strays()
{
	echo x >"$store/900000.sst"
	echo x >"$store/notes.txt"
	check_is 0 "$store"
	says "nothing refers to .*900000.sst"
	says "notes.txt is no file of a store"
	check_is 0 -q "$store"
	[ ! -s "$work/out" ] || fail "not quiet"
	rm "$store/900000.sst" "$store/notes.txt"
}

mounted()
{
	local writer
	(while :; do echo x >>"$mnt/dir/growing" || break; done) 2>/dev/null &
	writer=$!
	check_is 0 "$store"
	says "$store: clean, 40[12] files"
	check_is 0 "$store"
	kill "$writer"
	wait "$writer" 2>/dev/null || true
	rm -f "$mnt/dir/growing"
	[ ! -e "$store.check" ] || fail "$store.check is left"
	mkdir "$store.check"
	check_is 8 "$store"
	says "left over from a check"
	rmdir "$store.check"
}

# A signal leaves nothing behind.
interrupted()
{
	local pid code=0
	head -c 300000000 /dev/urandom >"$mnt/ballast"
	"$LSMFS" check "$store" >"$work/out" 2>"$work/err" &
	pid=$!
	wait_for 500 test -e "$store.check" || fail "no copy is made"
	kill -TERM "$pid"
	wait "$pid" || code=$?
	rm "$mnt/ballast"
	[ "$code" = 8 ] || [ "$code" = 0 ] || fail "exit code $code"
	[ ! -e "$store.check" ] || fail "$store.check is left"
}

others()
{
	chmod 755 "$work"
	if [ "$(id -u)" != 0 ] || ! setpriv --reuid=nobody --clear-groups /usr/bin/python3 -c ''; then
		skip "needs root, nobody, and a Python for everybody"
	fi
	# what the ioctl says to somebody else, the mount being open to all
	setpriv --reuid=nobody --clear-groups /usr/bin/python3 - "$mnt" "$work/theirs" <<-'end' || fail "somebody else may"
		import errno, fcntl, os, sys
		fd = os.open(sys.argv[1], os.O_RDONLY)
		try:
		    fcntl.ioctl(fd, (1 << 30) | (4096 << 16) | (ord("L") << 8) | 1, bytearray(sys.argv[2].encode().ljust(4096, b"\0")))
		except OSError as e:
		    sys.exit(0 if e.errno == errno.EPERM else 1)
		sys.exit(1)
	end
	[ ! -e "$work/theirs" ] || fail "it was made nevertheless"
}

mount_start
fill
point "a mounted store" mounted
point "only for owner and root" others
mount_stop
point "a whole store" clean
point "usage" usage
point "a byte of a large file" flipped_value
mount_start
check_is 0 "$store" # which writes the log out to tables
mount_stop
point "a byte of a table" flipped_block
point "manifest and CURRENT" flipped_manifest
point "strays" strays
mount_start
point "ended by a signal" interrupted
mount_stop
[ "$bad_points" = 0 ]
