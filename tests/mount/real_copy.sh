#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# cp -a and rsync -a keep everything, and rsync finds nothing to do the second time.
. "$(dirname "$0")/lib.sh"

make_tree()
{
	mkdir -p "$1/d/e"
	cp -r /usr/include/linux "$1/linux"
	echo text >"$1/d/text"
	ln "$1/d/text" "$1/d/e/hard"
	ln -s ../text "$1/d/e/soft"
	mkfifo "$1/d/fifo"
	chmod 2750 "$1/d/e"
	chmod 600 "$1/d/text"
	truncate -s 30M "$1/d/sparse"
	setfattr -n user.k -v value "$1/d/text"
	touch -d '1999-12-31 23:59:59.123456789' "$1/d/text" "$1/d"
}

make_tree "$work/original"
mount_start
step "cp -a"
cp -a "$work/original" "$mnt/cp"
diff <(fingerprint "$work/original") <(fingerprint "$mnt/cp") || fail "cp -a has changed something"
[ "$(getfattr --absolute-names --only-values -n user.k "$mnt/cp/d/text")" = value ] || fail "cp -a has lost an xattr"
cp -a "$mnt/cp" "$mnt/cp2"
diff <(fingerprint "$work/original") <(fingerprint "$mnt/cp2") || fail "cp -a inside of the mount"

step "rsync -a twice"
rsync -aHX "$work/original/" "$mnt/rsync/"
diff <(fingerprint "$work/original") <(fingerprint "$mnt/rsync") || fail "rsync -a has changed something"
again=$(rsync -aHX --itemize-changes "$work/original/" "$mnt/rsync/")
[ -z "$again" ] || fail "rsync copies again: $again"
remount
again=$(rsync -aHX --itemize-changes "$work/original/" "$mnt/rsync/")
[ -z "$again" ] || fail "rsync copies again after a remount: $again"
again=$(rsync -aHXc --itemize-changes "$work/original/" "$mnt/rsync/")
[ -z "$again" ] || fail "checksums differ: $again"
step "one change, one copy"
echo more >>"$work/original/d/text"
again=$(rsync -aHX --itemize-changes "$work/original/" "$mnt/rsync/" | grep -c '^>f')
[ "$again" = 1 ] || fail "rsync copies $again files, wanted 1"
mount_stop
