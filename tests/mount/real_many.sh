#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 50,000 files (LSMFS_MANY) in one directory: created, listed, read, renamed and removed, with remounts in between.
. "$(dirname "$0")/lib.sh"

count=${LSMFS_MANY:-50000}
mount_start
mkdir "$mnt/dir"
for pass in create list stat; do
	"$programs/many_files" "$pass" "$mnt/dir" "$count" || fail "$pass"
done
remount
for pass in list stat read rename list-renamed; do
	"$programs/many_files" "$pass" "$mnt/dir" "$count" || fail "$pass after a remount"
done
[ "$(find "$mnt/dir" -type f -name 'renamed-*' | wc -l)" = "$count" ] || fail "find counts differently"
mount_kill
mount_start
for pass in list-renamed remove; do
	"$programs/many_files" "$pass" "$mnt/dir" "$count" || fail "$pass after kill -9"
done
rmdir "$mnt/dir" || fail "the directory is not empty"
mount_stop
