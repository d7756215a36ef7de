#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tables of cases of posix_suite, on a fresh mount, and then on one that is read-only. Prints TAP.
#
#   suite.sh [GROUP...]    only these groups
#   suite.sh --short       those which ask most of the daemon and least of the kernel
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" != 0 ]; then
	skip "posix_suite needs root: it becomes other users"
fi
code=0
if [ "${1:-}" = --short ]; then
	set -- made_in_setgid_dirs times_changed times_kept times_set link_counts removed_dirs statx_fields rename_pairs \
		rename_loops rename_more symlinks listing listing_changes content_sizes content_holes content_copy content_io \
		content_maps xattr_rules xattr_rights
fi

suite()
{
	local r=0
	LSMFS_TEST_DIR=$mnt timeout 300 "$programs/suite/posix_suite" "$@" || r=$?
	[ "$r" != 124 ] || fail "posix_suite takes longer than 300 s"
	[ "$r" = 0 ] || code=1
}

read_only()
{
	if [ -n "$LSMFS_NATIVE" ]; then
		mount --bind "$mnt" "$mnt"
		mount -o remount,bind,ro "$mnt"
	else
		mount_stop
		more_options=ro
		mount_start
	fi
}

writable()
{
	if [ -n "$LSMFS_NATIVE" ]; then
		umount "$mnt"
	else
		mount_stop
		more_options=
		mount_start
	fi
}

nothing_left()
{
	[ -z "$(find "$mnt" -mindepth 1 -maxdepth 1)" ] || fail "the suite left something"
}

mount_start
chmod 755 "$mnt"
suite "$@"
if [ $# = 0 ]; then
	[ -n "$LSMFS_NATIVE" ] || suite large_files large_xattrs large_times
	nothing_left
	suite read_only_tree
	read_only
	suite read_only
	writable
	rm -r "$mnt/tree" "$mnt/o"
fi
nothing_left
mount_stop
exit "$code"
