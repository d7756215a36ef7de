#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Inode numbers and file handles, as NFS servers keep them: through remounts, kill -9, and a store that was restored.
. "$(dirname "$0")/lib.sh"

[ -z "$LSMFS_NATIVE" ] || skip "it is about remounts"
[ "$(id -u)" = 0 ] || skip "only root can open by handle"

# populate DIR: each file's content is its path in DIR
populate()
{
	local i
	mkdir -p "$1/a/b/c" "$1/d"
	for ((i = 0; i < 200; i++)); do
		printf 'a/b/f%d' $i >"$1/a/b/f$i"
	done
	printf 'a/b/c/deep' >"$1/a/b/c/deep"
	ln -s nowhere "$1/d/link"
	mkfifo "$1/d/fifo"
	mkdir "$1/d/sub"
}

numbers()
{
	(cd "$1" && find . -printf '%P %i\n' | LC_ALL=C sort)
}

same()
{
	diff "$work/numbers" <(numbers "$mnt/t") || fail "inode numbers have changed: $*"
	"$programs/handles" same "$mnt/t" "$work/handles" || fail "$*"
	"$programs/handles" stale "$mnt/t" "$work/gone" || fail "what is deleted: $*"
}

mount_start
populate "$mnt/t"
cp -a "$mnt/t" "$mnt/gone"
"$programs/handles" save "$mnt/gone" "$work/gone"
rm -r "$mnt/gone"
numbers "$mnt/t" >"$work/numbers"
"$programs/handles" save "$mnt/t" "$work/handles"
same "at once"
remount
same "after a remount"
mount_kill
mount_start
same "after kill -9"

step "renamed, while others come and go"
mkdir "$mnt/t2"
mv "$mnt/t" "$mnt/t2/t"
populate "$mnt/t"
rm -r "$mnt/t"
mv "$mnt/t2/t" "$mnt/t"
remount
same "renamed"

step "a past that was lost"
mount_stop
"$LSMFS" backup "$store" "$work/saved" >/dev/null
mount_start
populate "$mnt/later"
numbers "$mnt/later" >"$work/later-numbers"
"$programs/handles" save "$mnt/later" "$work/later"
mount_stop
rm -r "$store"
"$LSMFS" restore "$work/saved" "$store" >/dev/null
mount_start
same "restored"
# until the counters have gone on to where they had been
for ((i = 0; i < 2; i++)); do
	populate "$mnt/again$i"
done
again=$(comm -12 <(cut -d ' ' -f 2 "$work/later-numbers" | LC_ALL=C sort) \
	<(find "$mnt"/again* -printf '%i\n' | LC_ALL=C sort) | wc -l)
echo "$again numbers were given again"
[ "$again" -gt 100 ] || fail "no number has come again: the test tests nothing"
"$programs/handles" stale "$mnt" "$work/later" || fail "a handle of a lost past leads to something"
mount_stop
