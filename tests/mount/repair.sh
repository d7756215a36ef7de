#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lsmfs repair: the plan, which changes nothing; a store without manifest, with a damaged table, with a damaged log.
. "$(dirname "$0")/lib.sh"

[ -z "$LSMFS_NATIVE" ] || skip "there is no store to repair"

# repair_is CODE [ARGUMENT...]
repair_is()
{
	local want=$1 code=0
	shift
	"$LSMFS" repair "$@" >"$work/out" 2>"$work/err" || code=$?
	[ "$code" = "$want" ] || fail "repair $*: exit code $code, wanted $want: $(cat "$work/out" "$work/err")"
}

sum_of()
{
	(cd "$1" && find . -type f ! -name LOCK -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
}

contents_are()
{
	mount_start
	sum_of "$mnt/tree" | cmp - "$work/contents" || fail "$1: files are missing or others"
	mount_stop
	"$LSMFS" check -q "$store" || fail "$1: the repaired store is not clean"
}

damage()
{
	cp -a "$work/whole" "$store"
	rm -rf "$store.lost+found"
}

mount_start
mkdir "$mnt/tree" "$mnt/tree/"{0..9}
for i in $(seq 300); do
	head -c $((i * 37)) /dev/urandom >"$mnt/tree/$((i % 10))/$i"
done
head -c 3000000 /dev/urandom >"$mnt/tree/large"
sum_of "$mnt/tree" >"$work/contents"
cp -r "$mnt/tree" "$work/tree"
step "not of a mounted store"
repair_is 8 --yes "$store"
grep -q 'lsmfs umount' "$work/err" || fail "it says: $(cat "$work/err")"
mount_stop
mount_start # its memtable becomes a table
echo more >"$mnt/more"
mount_stop

step "nothing to repair"
repair_is 0 "$store"
repair_is 0 --yes "$store"
repair_is 16
repair_is 8 "$work/nowhere"
mv "$store" "$work/whole"

step "no manifest: first the plan, which changes nothing"
damage
rm "$store"/*.manifest "$store/CURRENT"
before=$(sum_of "$store")
repair_is 4 "$store"
grep -q 'Nothing was changed' "$work/out" || fail "the plan doesn't say that it is one"
[ "$(sum_of "$store")" = "$before" ] || fail "the plan has changed the store"
[ ! -e "$store.lost+found" ] || fail "the plan has made $store.lost+found"
repair_is 1 --yes "$store"
contents_are "without manifest"
rm -rf "$store"

step "a flipped byte of a table: the rest is there, and the damaged table is kept"
damage
table=$(ls -S "$store"/*.sst | head -1)
middle=$(($(stat -c %s "$table") / 2)) # not the volume's own rows, which come first
printf '\377\377' | dd of="$table" bs=1 seek="$middle" conv=notrunc status=none
cp "$table" "$work/table"
repair_is 4 "$store"
code=0
"$LSMFS" repair --yes "$store" >"$work/out" 2>&1 || code=$?
case $code in 1 | 4) ;; *) fail "exit code $code: $(cat "$work/out")" ;; esac
cmp "$work/table" "$store.lost+found/${table##*/}" || fail "the damaged table is not kept"
mount_start
find "$mnt/tree" -type f >"$work/names" 2>"$work/said" || true
there=$(wc -l <"$work/names")
[ "$there" -ge 200 ] || fail "of 301 files $there are left, of one damaged block: $(cat "$work/said")"
while read -r f; do # what can be read is what was written, or zeros where that was lost
	cp "$f" "$work/file" 2>/dev/null || continue
	{ cmp -l "$work/file" "$work/tree/${f#"$mnt/tree/"}" || true; } | awk '$2 != 0 { exit 1 }' ||
		fail "$f is not what was written"
done <"$work/names"
mount_stop
rm -rf "$store"
