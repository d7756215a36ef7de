#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Times of access with each mount option, and that they are kept. Prints TAP.
. "$(dirname "$0")/lib.sh"

if [ -n "$LSMFS_NATIVE" ]; then
	skip "options of a mount need one"
fi

extra=
eval "base_$(declare -f mount_options)"
mount_options()
{
	echo "$(base_mount_options)${extra:+,$extra}"
}

# mount_with OPTIONS: anew
mount_with()
{
	if [ -n "$daemon" ]; then
		mount_stop
	fi
	extra=$1
	mount_start
}

# A file and a directory that were read since they were changed, and one of each that were not.
prepare()
{
	rm -rf "${mnt:?}"/{old,new,dir,dir2}
	mkdir "$mnt/dir" "$mnt/dir2"
	echo x >"$mnt/old"
	sleep 0.02
	read_file old
	list dir
	echo x >"$mnt/new"
}

# Past the page cache, so that the file system is asked.
read_file()
{
	dd if="$mnt/$1" of=/dev/null bs=4096 iflag=direct status=none
}

list()
{
	ls "$mnt/$1" >/dev/null
}

atime()
{
	stat -c %x "$mnt/$1"
}

# moves COMMAND NAME, stays COMMAND NAME: whether the command on NAME moves its time of access
moves()
{
	local before
	before=$(atime "$2")
	sleep 0.02
	"$@"
	[ "$(atime "$2")" != "$before" ]
}

stays()
{
	if moves "$@"; then
		return 1
	fi
}

relative()
{
	stays read_file old
	moves read_file new
	moves list dir2
	stays list dir2
}

not_at_all()
{
	stays read_file old
	stays read_file new
	stays list dir2
	grep -F " $mnt fuse" /proc/self/mounts | grep -q noatime
}

always()
{
	moves read_file old
	moves read_file old
	moves read_file new
}

not_of_directories()
{
	stays list dir
	stays list dir2
	moves read_file old
}

nothing_changes()
{
	stays read_file old
	stays read_file new
	stays list dir
}

kept()
{
	[ "$(atime old)" = "$old" ]
	[ "$(atime dir)" = "$dir" ]
	[ "$old" != "$(stat -c %y "$mnt/old")" ]
}

mount_with ""
prepare
point "relative to the last change, if nothing is said" relative
old=$(atime old)
dir=$(atime dir)
mount_with ""
point "kept across an unmount" kept
mount_with relatime,noatime
prepare
point "noatime" not_at_all
mount_with noatime,strictatime
prepare
point "strictatime" always
mount_with strictatime,nodiratime
prepare
point "nodiratime" not_of_directories
mount_with noatime,strictatime,relatime
prepare
point "the last word counts" relative
mount_with ro,strictatime
point "ro" nothing_changes
mount_stop
[ "$bad_points" = 0 ]
