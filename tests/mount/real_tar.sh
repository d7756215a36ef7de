#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tar of /usr/include in and out, and diff -r with the original.
. "$(dirname "$0")/lib.sh"

mount_start
step "in"
mkdir "$mnt/in"
tar -C /usr/include -cf - . | tar -C "$mnt/in" -xpf -
diff -r --no-dereference /usr/include "$mnt/in" || fail "what came in is not what went in"
remount
step "out"
mkdir "$work/out"
tar -C "$mnt/in" -cf "$mnt/all.tar" .
tar -C "$work/out" -xpf "$mnt/all.tar"
diff -r --no-dereference /usr/include "$work/out" || fail "what came out is not what went in"
same_modes()
{
	(cd "$1" && find . ! -type l -printf '%P %y %m %Ts\n' | LC_ALL=C sort)
}
diff <(same_modes "$mnt/in") <(same_modes "$work/out") || fail "modes or times differ"
step "away"
rm -r "$mnt/in"
[ ! -e "$mnt/in" ] || fail "rm -r has left the directory"
mount_stop
