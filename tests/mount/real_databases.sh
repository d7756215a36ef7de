#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# SQLite in all its journal modes, redis with its append-only file, LMDB with a writable map. Prints TAP.
. "$(dirname "$0")/lib.sh"

# The system's own: it is the one that Debian's python3-lmdb is for.
python=/usr/bin/python3
[ -x $python ] || python=python3

sqlite()
{
	$python "$root/tests/mount/sqlite_modes.py" "$mnt/$1-$2.db" "$1" "$2"
}

sqlite_check()
{
	local db
	for db in "$mnt"/*.db; do
		$python "$root/tests/mount/sqlite_modes.py" "$db" check 0 || fail "$db"
	done
}

# ---- redis: Debian's redis-tools bring the server, too, as what checks its files ----

redis_program()
{
	local tool
	if command -v redis-server >/dev/null; then
		exec redis-server "$@"
	fi
	tool=$(command -v redis-check-rdb)
	exec -a redis-server "$tool" "$@"
}

redis()
{
	redis-cli -s "$work/redis" "$@"
}

redis_is_up()
{
	[ "$(redis ping 2>/dev/null)" = PONG ]
}

redis_start()
{
	redis_program --port 0 --unixsocket "$work/redis" --dir "$mnt/redis" --daemonize no --appendonly yes \
		--appendfsync always --save "" --enable-debug-command yes --auto-aof-rewrite-percentage 0 \
		>>"$work/redis.log" 2>&1 </dev/null &
	redis_pid=$!
	echo "$redis_pid" >"$work/redis.pid"
	started "$redis_pid"
	wait_for 500 redis_is_up || { tail -n 20 "$work/redis.log"; fail "redis does not answer"; }
}

redis_gone()
{
	! kill -0 "$1" 2>/dev/null
}

redis_kill()
{
	local pid
	pid=$(cat "$work/redis.pid")
	disown "$pid" 2>/dev/null || true # bash need not tell of its death
	kill -9 "$pid"
	wait_for 500 redis_gone "$pid" || fail "redis is still there"
}

set_keys()
{
	seq "$1" "$2" | sed 's/.*/set key:& value-&-&/' | redis
}

redis_same_after_kill()
{
	local digest
	mkdir "$mnt/redis"
	redis_start
	[ "$(set_keys 1 500 | grep -c '^OK$')" = 500 ] || fail "not all keys were taken"
	seq 200 | sed 's/.*/rpush list &/' | redis >/dev/null
	seq 200 | sed 's/.*/hset hash f& v&/' | redis >/dev/null
	redis bgrewriteaof >/dev/null
	[ "$(set_keys 501 800 | grep -c '^OK$')" = 300 ] || fail "not all keys were taken while it rewrites"
	wait_for 500 rewritten || fail "the rewrite does not end"
	redis del key:1 key:2 >/dev/null
	digest=$(redis debug digest)
	redis_kill
	redis-check-aof "$mnt/redis/appendonlydir/appendonly.aof.manifest" >"$work/aof" 2>&1 || { cat "$work/aof"; fail "redis-check-aof"; }
	redis_start
	[ "$(redis debug digest)" = "$digest" ] || fail "what was reloaded is not what was there"
	[ "$(redis dbsize)" = 800 ] || fail "$(redis dbsize) keys, wanted 800"
	[ "$(redis debug reload)" = OK ] || fail "debug reload"
	[ "$(redis save)" = OK ] || fail "save"
	redis-check-rdb "$mnt/redis/dump.rdb" >/dev/null || fail "redis-check-rdb"
	[ "$(redis debug digest)" = "$digest" ] || fail "another digest after save and reload"
}

rewritten()
{
	redis info persistence >"$work/info"
	grep -q '^aof_rewrite_in_progress:0' "$work/info" && grep -q '^aof_last_bgrewrite_status:ok' "$work/info"
}

# Killed while it writes: what it has said OK to must be there.
redis_killed_in_load()
{
	local acked pid
	set_keys 10001 14000 >"$work/acked" 2>/dev/null &
	pid=$!
	started $pid
	wait_for 500 many_acked || fail "redis does not get on"
	redis_kill
	wait "$pid" 2>/dev/null || true
	acked=$(grep -c '^OK$' "$work/acked")
	redis_start
	seq 10001 $((10000 + acked)) | sed 's/.*/get key:&/' | redis | grep -c '^value-' >"$work/there" || true
	[ "$(cat "$work/there")" = "$acked" ] || fail "$(cat "$work/there") keys are there, $acked were acknowledged"
	echo "# $acked keys acknowledged, all there"
	redis shutdown save
}

many_acked()
{
	[ "$(grep -c '^OK$' "$work/acked")" -gt 200 ]
}

# ---- LMDB ----

lmdb()
{
	$python -c 'import lmdb' 2>/dev/null || needs python3-lmdb
	$python "$root/tests/mount/lmdb_rows.py" "$1" "$mnt/lmdb"
}

lmdb_tools()
{
	needs mdb_stat mdb_copy mdb_dump mdb_load
	mkdir "$mnt/lmdb2" "$mnt/lmdb3"
	[ -e "$mnt/lmdb" ] || { mkdir "$mnt/lmdb"; seq 2000 | sed 'h;s/^/key/;p;g;s/^/value/' | mdb_load -T "$mnt/lmdb"; }
	mdb_dump "$mnt/lmdb" >"$work/dump"
	mdb_copy -c "$mnt/lmdb" "$mnt/lmdb2"
	mdb_dump "$mnt/lmdb2" | cmp - "$work/dump" || fail "the copy differs"
	mdb_load -f "$work/dump" "$mnt/lmdb3" 2>/dev/null
	[ "$(mdb_stat "$mnt/lmdb3" | grep Entries)" = "$(mdb_stat "$mnt/lmdb" | grep Entries)" ] || fail "another number of entries"
	mdb_dump "$mnt/lmdb3" | grep -v '^mapsize=' | diff - <(grep -v '^mapsize=' "$work/dump") >/dev/null || fail "the loaded one differs"
}

lmdb_same()
{
	mdb_dump "$mnt/lmdb" | cmp - "$work/dump" || fail "after a remount another dump"
}

mount_start
for mode in delete truncate persist memory off wal; do
	point "SQLite, $mode" sqlite $mode 0
done
for mode in delete wal; do
	point "SQLite, $mode, mmap" sqlite $mode 67108864
done
if command -v redis-check-rdb >/dev/null; then
	echo "# $(redis_program --version)"
fi
redis_points()
{
	needs redis-cli redis-check-aof redis-check-rdb
	"$@"
}
point "redis: append-only file, rewritten; the same after kill -9" redis_points redis_same_after_kill
point "redis: killed while it writes" redis_points redis_killed_in_load
point "LMDB, writable map: written and read by two" lmdb write
point "LMDB: the writer is killed" lmdb kill
point "LMDB: copy, dump, load" lmdb_tools
remount
point "SQLite after a remount" sqlite_check
point "LMDB after a remount" lmdb check
point "LMDB's dump after a remount" lmdb_same
mount_stop
points_done
