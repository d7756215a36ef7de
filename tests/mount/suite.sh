#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tables of cases of posix_suite, on a fresh mount. Prints TAP.
#
#   suite.sh [GROUP...]    only these groups
. "$(dirname "$0")/lib.sh"

mount_start
chmod 755 "$mnt"
code=0
LSMFS_TEST_DIR=$mnt timeout 300 "$programs/suite/posix_suite" "$@" || code=$?
if [ "$code" = 124 ]; then
	fail "posix_suite takes longer than 300 s"
fi
[ "$(find "$mnt" -mindepth 1 -maxdepth 1 | wc -l)" = 0 ] || code=1
mount_stop
exit "$code"
