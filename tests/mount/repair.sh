#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lsmfs repair: a store that was damaged checks clean again, can be mounted, and has lost no more than was damaged. Prints
# TAP.
. "$(dirname "$0")/lib.sh"

if [ -n "$LSMFS_NATIVE" ]; then
	skip "there is no store to repair"
fi

# repair_is CODE [ARGUMENT...]
repair_is()
{
	local want=$1 code=0
	shift
	"$LSMFS" repair "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
	[ "$code" = "$want" ] || fail "exit code $code instead of $want: $(cat "$work/out" "$work/err")"
}

says()
{
	grep -q -- "$1" "$work/out" "$work/err" || fail "it doesn't say '$1': $(cat "$work/out" "$work/err")"
}

fill()
{
	mkdir -p "$mnt/dir/sub"
	for i in $(seq 2000); do
		echo "content of file $i, which is a little longer than nothing" >"$mnt/dir/file$i"
	done
	head -c 3000000 /dev/urandom >"$mnt/dir/sub/large"
	ln "$mnt/dir/file1" "$mnt/dir/sub/link"
	cp "$mnt/dir/sub/large" "$work/large"
}

# Each test begins with the same store, all of it in tables.
begin()
{
	rm -rf "$store" "$store.lost+found"
	cp -a "$work/whole" "$store"
}

files_of()
{
	(cd "$store" && stat -c '%n %s %Y %i' -- * | grep -v '^LOCK ')
}

# What is there is right. Prints how many files are.
survivors()
{
	python3 - "$mnt/dir" <<-'end' || fail "a file is wrong"
		import os, sys
		n = 0
		for name in os.listdir(sys.argv[1]):
		    if name.startswith("file"):
		        with open(sys.argv[1] + "/" + name) as f:
		            if f.read() != f"content of file {name[4:]}, which is a little longer than nothing\n":
		                sys.exit(name)
		        n += 1
		print(n)
	end
}

# repaired: it was, checks clean, can be mounted and written
repaired()
{
	repair_is 4 "$store"
	says "Nothing was changed. To do it"
	[ ! -e "$store.lost+found" ] || fail "a plan has made something"
	repair_is 1 --yes "$store"
	says "$store: repaired"
	cp "$work/out" "$work/steps"
	store_check
	repair_is 0 --yes "$store"
	mount_start
	echo new >"$mnt/new"
	[ "$(cat "$mnt/new")" = new ] || fail "it can't be written"
}

nothing_to_do()
{
	local before
	begin
	before=$(files_of)
	repair_is 0 "$store"
	says "there is nothing to repair"
	[ "$(files_of)" = "$before" ] || fail "a file was changed"
	[ ! -e "$store.lost+found" ] || fail "$store.lost+found was made"
	repair_is 16
	repair_is 8 "$work/nowhere"
	mount_start
	repair_is 8 --yes "$store"
	says "is mounted on"
	mount_stop
}

no_current()
{
	begin
	rm "$store/CURRENT"
	repaired
	[ "$(survivors)" = 2000 ] || fail "files are lost"
	cmp "$mnt/dir/sub/large" "$work/large" || fail "large is wrong"
	mount_stop
	store_check
}

a_block()
{
	local table n
	begin
	table=$(cd "$store" && ls -S -- *.sst | head -n 1)
	xor "$store/$table" $(($(stat -c %s "$store/$table") / 2))
	repaired
	n=$(survivors)
	[ "$n" -gt 1700 ] && [ "$n" -le 2000 ] || fail "$n files"
	[ -e "$store.lost+found/1/$table" ] || fail "$table is not kept"
	mount_stop
	store_check
}

a_value()
{
	local blob
	begin
	blob=$(cd "$store" && ls -S -- *.blob | head -n 1)
	xor "$store/$blob" 1500000
	repaired
	grep -q "^/dir/sub/large: .*is set right" "$work/steps" || fail "no step: $(cat "$work/steps")"
	[ "$(survivors)" = 2000 ] || fail "files are lost"
	[ "$(stat -c %s "$mnt/dir/sub/large")" = 3000000 ] || fail "its size"
	cmp "$mnt/dir/sub/large" "$work/large" >/dev/null && fail "nothing is missing"
	cmp -n 1000000 "$mnt/dir/sub/large" "$work/large" || fail "more is missing than was damaged"
	ls "$store.lost+found/1/" | grep -q '^value-' || fail "what can be read of it is not kept"
	mount_stop
	store_check
}

a_log()
{
	begin
	mount_start
	for i in $(seq 200); do
		echo "later $i" >"$mnt/later$i"
	done
	mount_stop
	xor "$store/$(cd "$store" && grep -l later100 wal-* | head -n 1)" \
		"$(cd "$store" && grep -abo later100 wal-* | head -n 1 | sed 's/^[^0-9]*[0-9]*://; s/:.*//')"
	repaired
	[ "$(cat "$mnt/later90")" = "later 90" ] || fail "what stood in front of the damage is lost"
	[ ! -e "$mnt/later120" ] || fail "something behind the damage is there"
	[ "$(survivors)" = 2000 ] || fail "files are lost"
	mount_stop
	store_check
}

mount_start
fill
"$LSMFS" check -q "$store" || fail "check" # which writes the log out to tables
mount_stop
cp -a "$store" "$work/whole"
point "nothing to repair, and usage" nothing_to_do
point "no CURRENT" no_current
point "a damaged block" a_block
point "a damaged value" a_value
point "a damaged log" a_log
[ "$bad_points" = 0 ]
