#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# File systems inside of files in the mount, beside it and over it: loop devices, qemu-img, swap, overlayfs, sftp, sshfs.
# Prints TAP.
. "$(dirname "$0")/lib.sh"

PATH=$PATH:/usr/sbin:/sbin

need_root()
{
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# unmount DIR: also when somebody has looked into it just now.
unmount()
{
	wait_for 250 umount "$1" 2>/dev/null || fail "$1 can't be unmounted"
}

# ---- a file system in a file ----

loop_made()
{
	need_root
	[ -e /dev/loop-control ] && losetup -f >/dev/null 2>&1 || skip "there are no loop devices"
	needs mkfs.ext4 e2fsck fstrim
	truncate -s 96M "$mnt/disk"
	mkfs.ext4 -q -F "$mnt/disk"
	e2fsck -fn "$mnt/disk" >"$work/fsck" 2>&1 || { cat "$work/fsck"; fail "e2fsck of the new one"; }
	mkdir -p "$work/disk"
	mount -o loop "$mnt/disk" "$work/disk"
	cp -r /usr/include/linux "$work/disk/tree"
	head -c 20000000 /dev/urandom >"$work/disk/random"
	sha256sum <"$work/disk/random" >"$work/sum"
	rm -r "$work/disk/tree/"*[a-m].h
	sync -f "$work/disk"
	unmount "$work/disk"
	e2fsck -fn "$mnt/disk" >"$work/fsck" 2>&1 || { cat "$work/fsck"; fail "e2fsck"; }
}

loop_again()
{
	local before
	[ -e "$work/sum" ] || skip "there are no loop devices"
	e2fsck -fn "$mnt/disk" >"$work/fsck" 2>&1 || { cat "$work/fsck"; fail "e2fsck"; }
	mount -o loop "$mnt/disk" "$work/disk"
	sha256sum <"$work/disk/random" | cmp - "$work/sum" || fail "the file in it has changed"
	diff -r /usr/include/linux "$work/disk/tree" | grep -v "^Only in /usr/include/linux" && fail "the tree in it differs"
	before=$(stat -c %b "$mnt/disk")
	rm "$work/disk/random"
	sync -f "$work/disk"
	fstrim "$work/disk" || fail "fstrim"
	unmount "$work/disk"
	[ $(((before - $(stat -c %b "$mnt/disk")) * 512)) -gt 15000000 ] || fail "what was trimmed still takes space"
	e2fsck -fn "$mnt/disk" >"$work/fsck" 2>&1 || { cat "$work/fsck"; fail "e2fsck after the trim"; }
}

# Requests go past the page cache.
loop_direct()
{
	local dev
	[ -e "$work/sum" ] || skip "there are no loop devices"
	truncate -s 16M "$mnt/direct"
	dev=$(losetup -f --show --direct-io=on "$mnt/direct")
	head -c 8000000 /dev/urandom >"$work/random"
	dd if="$work/random" of="$dev" bs=1M conv=fsync status=none
	cmp -n 8000000 "$work/random" "$dev" || { losetup -d "$dev"; fail "the device holds something else"; }
	losetup -d "$dev"
	cmp -n 8000000 "$work/random" "$mnt/direct" || fail "the file holds something else"
}

# ---- qemu-img ----

has_locks()
{
	grep -q '^lock:' "/proc/$1/fdinfo"/* 2>/dev/null
}

with_qemu()
{
	local aio
	needs qemu-img qemu-io
	cd "$mnt"
	qemu-img create -q -f qcow2 base.qcow2 64M
	qemu-io -f qcow2 -c 'write -P 0xaa 0 1M' -c 'write -P 0xbb 10M 3M' -c 'write -z 11M 1M' -c 'discard 12M 512k' base.qcow2 >/dev/null
	qemu-img check -q base.qcow2 || fail "qemu-img check"
	qemu-img convert -O raw base.qcow2 base.raw
	[ "$(stat -c %s base.raw)" = 67108864 ] && [ $(($(stat -c %b base.raw) * 512)) -lt 8000000 ] || fail "the raw image has no holes"
	qemu-img compare -q -f raw -F qcow2 base.raw base.qcow2 || fail "the raw image differs"
	qemu-img convert -c -O qcow2 base.raw packed.qcow2
	qemu-img compare -q packed.qcow2 base.qcow2 || fail "the compressed image differs"
	qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
	qemu-img snapshot -c before top.qcow2
	qemu-io -f qcow2 -c 'write -P 0xcc 512k 1M' top.qcow2 >/dev/null
	qemu-img commit -q top.qcow2
	qemu-io -f qcow2 -c 'read -P 0xaa 0 512k' -c 'read -P 0xcc 512k 1M' -c 'read -P 0 11M 1M' -c 'read -P 0xbb 12800k 512k' base.qcow2 >"$work/qemu"
	grep -q 'verification failed' "$work/qemu" && { cat "$work/qemu"; fail "the committed image"; }
	qemu-img snapshot -a before top.qcow2
	qemu-img resize -q top.qcow2 100M
	qemu-img check -q top.qcow2 || fail "qemu-img check after all"
	# the image is locked while somebody has it
	qemu-io -f qcow2 -c 'sleep 60000' packed.qcow2 >"$work/holder" 2>&1 &
	started $!
	wait_for 500 has_locks $! || fail "qemu-io takes no locks"
	qemu-io -f qcow2 -c 'write 0 512' packed.qcow2 >"$work/locked" 2>&1 && fail "an image in use is written to"
	grep -q 'Failed to get .* lock' "$work/locked" || { cat "$work/locked"; fail "it is not the lock"; }
	kill $!
	wait $! 2>/dev/null || true
	for aio in threads native io_uring; do
		qemu-img bench -q -w -c 300 -d 16 -s 16k -t none -i $aio -f raw --pattern=0x5a base.raw >/dev/null || fail "direct writes, $aio"
		qemu-io -f raw -c 'read -P 0x5a 0 4800k' base.raw | grep 'verification failed' && fail "what was written by $aio"
		qemu-io -f raw -c 'write -P 0x11 0 4800k' base.raw >/dev/null
	done
}

# ---- swap ----

with_swap()
{
	needs mkswap swapon
	dd if=/dev/zero of="$mnt/swap" bs=1M count=4 status=none
	chmod 600 "$mnt/swap"
	mkswap "$mnt/swap" >/dev/null || fail "mkswap"
	[ "$(blkid -p -o value -s TYPE "$mnt/swap")" = swap ] || fail "there is no swap area in the file"
	need_root
	[ -z "$LSMFS_NATIVE" ] || skip "a native file system may take it"
	swapon "$mnt/swap" 2>"$work/swapon" && { swapoff "$mnt/swap"; fail "the kernel swaps to it"; }
	grep -q 'Invalid argument' "$work/swapon" || fail "refused with: $(cat "$work/swapon")"
	grep -qF "$mnt" /proc/swaps && fail "it is in use"
	echo more >>"$mnt/swap" || fail "after the refusal the file can't be written to"
	rm "$mnt/swap"
}

# ---- overlayfs ----

lower_tree()
{
	mkdir -p "$1/dir/sub" "$1/gone" "$1/moved"
	echo lower >"$1/file"
	echo lower >"$1/dir/sub/file"
	echo lower >"$1/gone/file"
	echo lower >"$1/moved/file"
	seq 200000 >"$1/big"
	ln "$1/file" "$1/hard"
	ln -s file "$1/soft"
	setfattr -n user.key -v value "$1/file"
}

# What overlayfs does to its upper layer: copies, whiteouts, opaque directories, redirects.
used_as_overlay()
{
	local m=$1
	echo upper >>"$m/file"
	[ "$(cat "$m/file")" = "$(printf 'lower\nupper')" ] || fail "a copied file"
	[ "$(getfattr --absolute-names --only-values -n user.key "$m/file")" = value ] || fail "its xattr"
	echo end >>"$m/big"
	[ "$(wc -l <"$m/big")" = 200001 ] || fail "a large copied file"
	chmod 700 "$m/dir/sub"
	rm "$m/dir/sub/file"
	[ ! -e "$m/dir/sub/file" ] || fail "a removed file"
	rm -r "$m/gone"
	mkdir "$m/gone"
	[ -z "$(ls -A "$m/gone")" ] || fail "a removed directory comes back"
	mv "$m/moved" "$m/there" || fail "a moved directory"
	[ "$(cat "$m/there/file")" = lower ] && [ ! -e "$m/moved" ] || fail "a moved directory"
	mv "$m/soft" "$m/dir/soft"
	mkfifo "$m/fifo"
	seq 100 >"$m/new"
	mv "$m/new" "$m/file"
	[ "$(ls "$m" | tr '\n' ' ')" = "big dir fifo file gone hard there " ] || fail "listed: $(ls "$m" | tr '\n' ' ')"
}

left_as_was()
{
	[ "$(cat "$1/file" "$1/dir/sub/file" "$1/gone/file" "$1/moved/file" | sort -u)" = lower ] || fail "the lower layer has changed"
	[ "$(wc -l <"$1/big")" = 200000 ] || fail "the lower layer has changed"
}

overlay()
{
	need_root
	grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || skip "the kernel has no overlayfs"
	mkdir -p "$work/over"
	if ! mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work,redirect_dir=on" "$work/over" 2>"$work/overlay"; then
		[ -z "$LSMFS_NATIVE" ] || skip "what is below $work can't be a layer"
		cat "$work/overlay"
		fail "overlayfs refuses: $(dmesg 2>/dev/null | tail -n 3)"
	fi
}

overlay_lower()
{
	mkdir -p "$work/layers"
	mount -t tmpfs none "$work/layers" 2>/dev/null || skip "no right to mount a tmpfs"
	mkdir "$work/layers/upper" "$work/layers/work"
	lower_tree "$mnt/lower"
	overlay "$mnt/lower" "$work/layers"
	used_as_overlay "$work/over"
	unmount "$work/over"
	unmount "$work/layers"
	left_as_was "$mnt/lower"
}

overlay_upper()
{
	mkdir "$mnt/layers" "$mnt/layers/upper" "$mnt/layers/work"
	overlay "$mnt/lower" "$mnt/layers"
	used_as_overlay "$work/over"
	unmount "$work/over"
	left_as_was "$mnt/lower"
	[ "$(stat -c '%F %t %T' "$mnt/layers/upper/moved")" = "character special file 0 0" ] || fail "there is no whiteout"
	overlay "$mnt/lower" "$mnt/layers"
	[ "$(cat "$work/over/there/file")" = lower ] && [ ! -e "$work/over/moved" ] && [ -z "$(ls -A "$work/over/gone")" ] ||
		fail "mounted again, it looks different"
	unmount "$work/over"
}

overlay_by_fuse()
{
	needs fuse-overlayfs fusermount3
	[ -c /dev/fuse ] || skip "there is no /dev/fuse"
	rm -rf "$mnt/layers"
	mkdir -p "$mnt/layers" "$mnt/layers/upper" "$mnt/layers/work" "$work/over"
	[ -d "$mnt/lower" ] || lower_tree "$mnt/lower"
	fuse-overlayfs -o "lowerdir=$mnt/lower,upperdir=$mnt/layers/upper,workdir=$mnt/layers/work" "$work/over" >"$work/overlay" 2>&1 ||
		{ cat "$work/overlay"; fail "fuse-overlayfs"; }
	used_as_overlay "$work/over"
	fusermount3 -u "$work/over"
	left_as_was "$mnt/lower"
}

# ---- sftp, sshfs: their server without a network ----

find_sftp_server()
{
	local p
	for p in /usr/lib/openssh/sftp-server /usr/lib/sftp-server /usr/libexec/openssh/sftp-server; do
		if [ -x $p ]; then
			echo $p
			return
		fi
	done
	needs sftp-server >&2
}

with_sftp()
{
	local server
	needs sftp
	server=$(find_sftp_server) || skip "sftp-server is not installed"
	mkdir "$mnt/sftp"
	cat >"$work/batch" <<BATCH
cd $mnt/sftp
put -r -p /usr/include/asm-generic tree
rename tree moved
mkdir empty
ln -s moved/errno.h soft
ln moved/errno.h hard
chmod 640 hard
put -f /bin/bash program
rename program program2
rm moved/ioctl.h
rmdir empty
df
ls -l moved
get -r -p moved $work/sftp-got
!truncate -s 100000 $mnt/sftp/program2
reput /bin/bash program2
BATCH
	sftp -q -D "$server" -b "$work/batch" >"$work/sftp" 2>&1 || { cat "$work/sftp"; fail "sftp"; }
	cmp /bin/bash "$mnt/sftp/program2"
	diff -r "$mnt/sftp/moved" "$work/sftp-got" || fail "what came back differs"
	diff -r /usr/include/asm-generic "$mnt/sftp/moved" | grep -v '^Only in /usr/include/asm-generic: ioctl.h$' && fail "the copy differs"
	[ "$(stat -c '%a %h' "$mnt/sftp/hard")" = "640 2" ] || fail "mode and links of hard: $(stat -c '%a %h' "$mnt/sftp/hard")"
	[ "$(readlink "$mnt/sftp/soft")" = moved/errno.h ] || fail "the symbolic link"
}

with_sshfs()
{
	local server
	needs sshfs fusermount3
	[ -c /dev/fuse ] || skip "there is no /dev/fuse"
	server=$(find_sftp_server) || skip "sftp-server is not installed"
	mkdir -p "$work/far" "$mnt/served"
	printf '#!/bin/sh\nexec %s\n' "$server" >"$work/ssh"
	chmod 755 "$work/ssh"
	sshfs -o "ssh_command=$work/ssh" "nowhere:$mnt/served" "$work/far" >"$work/sshfs" 2>&1 || { cat "$work/sshfs"; fail "sshfs"; }
	cp -r /usr/include/asm-generic "$work/far/tree"
	mv "$work/far/tree" "$work/far/moved"
	diff -r /usr/include/asm-generic "$work/far/moved" || fail "seen from far it differs"
	diff -r /usr/include/asm-generic "$mnt/served/moved" || fail "seen from here it differs"
	dd if=/bin/bash of="$work/far/program" bs=64K conv=fsync status=none
	cmp /bin/bash "$mnt/served/program"
	echo more >>"$work/far/program"
	truncate -s 1000 "$work/far/program"
	cmp -n 1000 /bin/bash "$mnt/served/program"
	[ "$(stat -c %s "$mnt/served/program")" = 1000 ] || fail "it was not truncated"
	rm -r "$work/far/moved" "$work/far/program"
	[ -z "$(ls -A "$mnt/served")" ] || fail "files are left"
	fusermount3 -u "$work/far"
}

mount_start
point "mkfs.ext4 and a mount of a file by a loop device" loop_made
point "a loop device with direct I/O" loop_direct
point "qemu-img: qcow2, convert, check, commit, locks, direct I/O" with_qemu
point "mkswap; swapon is refused" with_swap
point "the lower layer of an overlayfs" overlay_lower
point "the upper layer of an overlayfs" overlay_upper
point "the upper layer of fuse-overlayfs" overlay_by_fuse
point "sftp" with_sftp
point "sshfs" with_sshfs
remount
point "the ext4 in the file after a remount; fstrim" loop_again
mount_stop
points_done
