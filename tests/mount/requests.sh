#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The kernel asks the daemon for no more than the budget in docs/ARCHITECTURE.md, "Requests": counts don't depend on
# the machine.
. "$(dirname "$0")/lib.sh"

[ -z "$LSMFS_NATIVE" ] || skip "a native file system has no requests"
[ "$(id -u)" = 0 ] || skip "only root may trace requests"
tracefs=/sys/kernel/tracing
[ -d "$tracefs/events" ] || mount -t tracefs none "$tracefs" 2>/dev/null || skip "no tracefs here"
[ -d "$tracefs/events/fuse" ] || skip "the kernel can't trace the requests of FUSE (from 6.10 on it can)"
instance=$tracefs/instances/lsmfs-test-$$
mkdir "$instance"
end_started()
{
	echo 0 >"$instance/events/enable" 2>/dev/null
	rmdir "$instance"
}
# A test beside this one may drop all caches of the machine at any time: then some more is asked for.
for try in 1 2 3; do
	mount_start
	python3 "$(dirname "$0")/requests.py" "$mnt" "$instance" >"$work/points"
	mount_stop
	grep -q '^not ok' "$work/points" || break
	[ "$try" = 3 ] || rm -rf "$store"
done
cat "$work/points"
