#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Access control lists through setfacl, cp, rsync, tar, remounts, kill -9, the offline verbs and a backup.
. "$(dirname "$0")/lib.sh"

for program in setfacl rsync tar; do
	command -v $program >/dev/null || skip "$program is not installed (Debian's acl, rsync, tar)"
done

# Everything that getfacl knows of a tree.
lists()
{
	(cd "$1" && find . -print0 | LC_ALL=C sort -z | xargs -0 getfacl -nP --)
}

same_lists()
{
	diff <(lists "$1") <(lists "$2") || fail "$3"
}

make_tree()
{
	mkdir -p "$1/shared/sub" "$1/plain"
	echo text >"$1/plain/file"
	echo text >"$1/plain/named"
	setfacl -m u:1001:rwx,g:1002:r,m::rw "$1/plain/named"
	setfacl -m u:1001:r,d:u:1001:rwx,d:g:1002:rx,d:o::- "$1/shared"
	echo inherited >"$1/shared/file"
	mkdir "$1/shared/dir"
	echo deeper >"$1/shared/dir/file"
	mkfifo "$1/shared/fifo"
	ln -s file "$1/shared/link"
	chmod 2770 "$1/shared/dir"
	chmod 640 "$1/shared/dir/file"
	setfacl -m m::r "$1/shared/sub"
	if [ "$(id -u)" = 0 ]; then
		chown -R 1003:1004 "$1/shared"
	fi
}

umask 027
make_tree "$work/original"
lists "$work/original" | grep -q '^default:user:1001:rwx' || fail "the file system of $work has no ACLs"
mount_start

step "the same commands, the same lists"
make_tree "$mnt/made"
same_lists "$work/original" "$mnt/made" "made on the mount"

step "cp, rsync, tar"
cp -a "$work/original" "$mnt/cp"
same_lists "$work/original" "$mnt/cp" "cp -a to the mount"
cp -a "$mnt/cp" "$mnt/cp2"
same_lists "$work/original" "$mnt/cp2" "cp -a on the mount"
cp -a "$mnt/cp" "$work/cp"
same_lists "$work/original" "$work/cp" "cp -a from the mount"
rsync -aA "$work/original/" "$mnt/rsync/"
same_lists "$work/original" "$mnt/rsync" "rsync -A to the mount"
again=$(rsync -aA --itemize-changes "$work/original/" "$mnt/rsync/")
[ -z "$again" ] || fail "rsync copies again: $again"
setfacl -m u:1001:x "$mnt/rsync/shared/file"
again=$(rsync -aA --itemize-changes "$work/original/" "$mnt/rsync/" | grep -c 'a\.\? *shared/file$')
[ "$again" = 1 ] || fail "rsync doesn't see that a list has changed"
same_lists "$work/original" "$mnt/rsync" "rsync -A of a changed list"
tar -C "$mnt/cp" --acls -cf "$work/t.tar" .
mkdir "$mnt/tar" "$work/tar"
tar -C "$mnt/tar" --acls -xpf "$work/t.tar"
tar -C "$work/tar" --acls -xpf "$work/t.tar"
chmod --reference="$work/original" "$mnt/tar" "$work/tar"
same_lists "$work/original" "$mnt/tar" "tar to the mount"
same_lists "$work/original" "$work/tar" "tar from the mount"

step "saved, removed, restored"
(cd "$mnt/cp2" && getfacl -nPR . >"$work/saved" && setfacl -PRb . && setfacl -PRk .)
[ "$(lists "$mnt/cp2" | grep -c '^mask\|^default')" = 0 ] || fail "setfacl -b and -k leave something"
(cd "$mnt/cp2" && setfacl --restore="$work/saved")
same_lists "$work/original" "$mnt/cp2" "setfacl --restore"
[ -z "$LSMFS_NATIVE" ] || exit 0

step "after a remount, and after kill -9"
remount
same_lists "$work/original" "$mnt/cp" "after a remount"
setfacl -m u:1005:rw "$mnt/rsync/plain/file" "$work/original/plain/file"
mount_kill
mount_start
same_lists "$work/original" "$mnt/rsync" "after kill -9"
mount_stop

step "noacl"
mount_options_before=$(mount_options)
mount_options()
{
	echo "$mount_options_before,noacl"
}
mount_start
getfattr -m - "$mnt/cp/plain/named" 2>&1 | grep -q posix_acl && fail "noacl shows a list"
[ "$(getfacl -nP --absolute-names "$mnt/cp/plain/named" | grep -c '^user:1001')" = 0 ] || fail "noacl shows a list"
setfacl -m u:1001:r "$mnt/cp/plain/file" 2>/dev/null && fail "noacl takes a list"
echo x >"$mnt/cp/shared/without"
mount_stop
mount_options()
{
	echo "$mount_options_before"
}

step "put, get, backup, restore"
echo new | "$LSMFS" put "$store" cp/plain/named
echo new | "$LSMFS" put "$store" cp/shared/put
"$LSMFS" put -p "$store" cp/shared/a/b "$work/saved"
[ "$("$LSMFS" get "$store" cp/shared/put)" = new ] || fail "put, get"
"$LSMFS" backup "$store" "$work/backups" >/dev/null
"$LSMFS" restore "$work/backups" "$work/restored" >/dev/null || fail "restore"
store=$work/restored
mount_start
[ "$(cat "$mnt/cp/plain/named")" = new ] || fail "put"
diff <(cd "$work/original/plain" && getfacl -n named) <(cd "$mnt/cp/plain" && getfacl -n named) || fail "put over a file with a list"
umask 077
echo x >"$work/original/shared/put"
echo x >"$work/original/shared/without"
mkdir "$work/original/shared/a"
echo x >"$work/original/shared/a/b"
for name in put without a a/b; do
	diff <(cd "$work/original/shared" && getfacl -nc $name) <(cd "$mnt/cp/shared" && getfacl -nc $name) ||
		fail "what is made by put, or under noacl, inherits"
done
mount_stop
