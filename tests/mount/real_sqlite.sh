#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SQLite with two processes, in rollback-journal (delete) and in WAL mode: real_sqlite.sh delete|wal
. "$(dirname "$0")/lib.sh"

mode=${1:-delete}
mount_start
python3 "$root/tests/mount/sqlite_rows.py" "$mnt/rows.db" "$mode" 100000 || fail "$mode"
ls -l "$mnt"
remount
python3 "$root/tests/mount/sqlite_rows.py" "$mnt/rows.db" check 100000 || fail "$mode, after a remount"

step "killed in the middle of a transaction"
if [ -z "$LSMFS_NATIVE" ]; then
	python3 "$root/tests/mount/sqlite_rows.py" "$mnt/rows.db" endless 0 >"$work/endless" 2>&1 &
	writer=$!
	wait_for 500 test -s "$work/endless" || fail "the writer does not get to write"
	sleep 0.5
	mount_kill
	wait "$writer" || true
	mount_start
	python3 "$root/tests/mount/sqlite_rows.py" "$mnt/rows.db" after "$(grep -c committed "$work/endless")" ||
		fail "$mode, after kill -9"
fi
mount_stop
