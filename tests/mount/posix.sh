#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The POSIX cases of mount_test, on a fresh mount. Prints TAP.
. "$(dirname "$0")/lib.sh"

mount_start
chmod 755 "$mnt"
code=0
LSMFS_TEST_DIR=$mnt CMOCKA_MESSAGE_OUTPUT=TAP timeout 300 "$programs/mount_test" || code=$?
if [ "$code" = 124 ]; then
	fail "mount_test takes longer than 300 s"
fi
[ "$(find "$mnt" -mindepth 1 -maxdepth 1 | wc -l)" = 0 ] || code=1
mount_stop
exit "$code"
