#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A root of its own in the mount: packages are built, installed, upgraded and purged by dpkg --root, as debootstrap does
# it, and programs run in it by chroot, unshare and pivot_root. Prints TAP.
. "$(dirname "$0")/lib.sh"

needs dpkg dpkg-deb
[ "$(id -u)" = 0 ] || skip "dpkg --root and chroot need root"
busybox=$(command -v busybox || true)
if [ -z "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then
	needs "busybox, statically linked (busybox-static)"
fi
new_root=$mnt/root

# package NAME VERSION DEPENDS: what is in $mnt/NAME becomes a package; its scripts write down what they were called for.
package()
{
	local script
	mkdir -p "$mnt/$1/DEBIAN"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Tests <tests@localhost>\n' "$1" "$2"
		printf 'Depends: %s\nDescription: a test\n' "$3"
	} | grep -v '^Depends: $' >"$mnt/$1/DEBIAN/control"
	for script in preinst postinst prerm postrm; do
		printf '#!/bin/sh\necho "%s %s $1" >>/log\n' "$1" $script >"$mnt/$1/DEBIAN/$script"
		chmod 755 "$mnt/$1/DEBIAN/$script"
	done
	dpkg-deb --root-owner-group -Zgzip -z1 -b "$mnt/$1" "$mnt/${1}_$2.deb" >/dev/null
}

build_packages()
{
	local i
	mkdir -p "$mnt/base/bin" "$mnt/base/tmp" "$mnt/base/proc" "$mnt/base/dev"
	cp "$busybox" "$mnt/base/bin/busybox"
	ln -s busybox "$mnt/base/bin/sh"
	chmod 1777 "$mnt/base/tmp"
	mkdir -p "$mnt/many/usr/share/many" "$mnt/many/etc"
	for i in $(seq 120); do
		echo "$i" >"$mnt/many/usr/share/many/$i"
	done
	ln "$mnt/many/usr/share/many/1" "$mnt/many/usr/share/many/hard"
	ln -s ../share/many/2 "$mnt/many/usr/share/soft"
	cp "$busybox" "$mnt/many/usr/share/many/setuid"
	chmod 4755 "$mnt/many/usr/share/many/setuid"
	echo "setting=1" >"$mnt/many/etc/many.conf"
	mkdir -p "$mnt/many/DEBIAN"
	echo /etc/many.conf >"$mnt/many/DEBIAN/conffiles"
	mkdir -p "$mnt/top/usr/share/top"
	echo top >"$mnt/top/usr/share/top/file"
	package base 1 ""
	package many 1 base
	package top 1 "many (>= 1)"
	[ "$(dpkg-deb -c "$mnt/many_1.deb" | wc -l)" -gt 120 ] || fail "files are missing in the package"
}

# As debootstrap does it: what the scripts need is unpacked by hand first.
installed()
{
	mkdir -p "$new_root/var/lib/dpkg/info" "$new_root/var/lib/dpkg/updates"
	: >"$new_root/var/lib/dpkg/status"
	: >"$new_root/var/lib/dpkg/available"
	dpkg-deb -x "$mnt/base_1.deb" "$new_root"
	dpkg --root="$new_root" -i "$mnt"/{base,many,top}_1.deb >"$work/dpkg" 2>&1 || { cat "$work/dpkg"; fail "dpkg -i"; }
	[ "$(dpkg --root="$new_root" -l | grep -c '^ii')" = 3 ] || fail "not all are installed: $(dpkg --root="$new_root" -l)"
	grep -qx 'top postinst configure' "$new_root/log" || fail "the scripts have not run in the new root"
	diff -r "$mnt/many/usr" "$new_root/usr/" -x top || fail "what was installed differs"
	[ "$(stat -c '%a %h' "$new_root/usr/share/many/setuid" "$new_root/usr/share/many/1" | tr '\n' ' ')" = "4755 1 644 2 " ] ||
		fail "modes or links differ"
	verified
	[ -z "$(find "$new_root" -name '*.dpkg-new' -o -name '*.dpkg-tmp')" ] || fail "dpkg has left temporary files"
}

verified()
{
	dpkg --root="$new_root" -V >"$work/verify" || true
	[ ! -s "$work/verify" ] || { cat "$work/verify"; fail "dpkg -V"; }
	dpkg --root="$new_root" --audit >"$work/audit"
	[ ! -s "$work/audit" ] || { cat "$work/audit"; fail "dpkg --audit"; }
}

upgraded()
{
	echo "setting=mine" >"$new_root/etc/many.conf"
	rm "$mnt"/many/usr/share/many/{100,101}
	echo changed >"$mnt/many/usr/share/many/50"
	echo "setting=2" >"$mnt/many/etc/many.conf"
	package many 2 base
	dpkg --root="$new_root" --force-confold -i "$mnt/many_2.deb" >"$work/dpkg" 2>&1 || { cat "$work/dpkg"; fail "dpkg -i"; }
	[ ! -e "$new_root/usr/share/many/100" ] || fail "an old file is left"
	[ "$(cat "$new_root/usr/share/many/50")" = changed ] || fail "a file is the old one"
	[ "$(cat "$new_root/etc/many.conf")" = setting=mine ] || fail "the configuration is lost"
	[ "$(cat "$new_root/etc/many.conf.dpkg-dist")" = setting=2 ] || fail "the new configuration is not there"
}

purged()
{
	dpkg --root="$new_root" -r top >/dev/null
	dpkg --root="$new_root" -P many >/dev/null
	[ ! -e "$new_root/usr/share/many" ] && [ ! -e "$new_root/etc/many.conf" ] || fail "files are left"
	grep -qx 'many postrm purge' "$new_root/log" || fail "the script was not called"
	[ "$(dpkg --root="$new_root" -l | grep -c '^ii')" = 1 ] || fail "packages are left"
}

chrooted()
{
	chroot "$new_root" /bin/busybox --install -s /bin
	[ "$(find "$new_root/bin" -type l | wc -l)" -gt 100 ] || fail "busybox has made few links"
	chroot "$new_root" /bin/sh -e -c '
		[ "$(pwd)" = / ]
		cd /tmp
		seq 1000 | tac | sort -n >sorted
		[ "$(tail -n 1 sorted)" = 1000 ]
		mkdir -p a/b && echo x >a/b/c && cp -a a d && diff -r a d
		tar -cf t.tar a && rm -r a && tar -xf t.tar && cat a/b/c
		vi --help 2>/dev/null || true
		find / -xdev -name busybox | grep -q /bin/busybox
		rm -r a d t.tar sorted' >/dev/null || fail "in the new root"
	[ -z "$(ls -A "$new_root/tmp")" ] || fail "files are left"
}

# Root file system of a name space of its own; what is mounted in there goes with it.
unshared()
{
	unshare -m -p -f -u true 2>/dev/null || skip "no right to make name spaces"
	unshare -m -p -f -u --propagation private sh -e -c '
		hostname in-the-mount
		mount --bind "$1" "$1"
		cd "$1"
		mkdir -p old
		pivot_root . old
		exec chroot . /bin/sh -e -c "
			mount -t proc proc /proc
			umount -l /old
			[ \$(hostname) = in-the-mount ]
			[ -d /proc/1 ] && [ ! -e /old/bin ]
			grep -q \" / fuse\\| / ext4\" /proc/mounts
			echo written >/tmp/from-inside"' sh "$new_root" || fail "pivot_root"
	[ "$(cat "$new_root/tmp/from-inside")" = written ] || fail "what was written inside is not there"
}

mount_start
point "dpkg-deb -b" build_packages
point "dpkg --root: three packages, their scripts in the new root" installed
point "an upgrade that keeps a changed configuration" upgraded
point "remove, purge" purged
point "chroot, busybox --install" chrooted
point "unshare, pivot_root" unshared
mount_kill
mount_start
point "dpkg --audit and -V after the daemon's death" verified
mount_stop
points_done
