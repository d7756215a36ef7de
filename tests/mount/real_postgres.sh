#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# PostgreSQL with its cluster in the mount: load, kill -9 of the postmaster and of the daemon, recovery, checks of all
# pages, rows and indexes. Prints TAP.
#
#   LSMFS_PGBENCH_SECONDS   how long each load runs (2)
. "$(dirname "$0")/lib.sh"

seconds=${LSMFS_PGBENCH_SECONDS:-2}
data=$mnt/cluster
clients=4
server=
children=()

# Debian keeps each version's programs apart, and out of PATH.
newest=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
PATH=${newest:+$newest:}$PATH
needs initdb postgres pgbench psql pg_amcheck pg_checksums pg_controldata pg_isready
export PGHOST=$work/sockets PGUSER=tests PGDATABASE=postgres PGCONNECT_TIMEOUT=10 PGOPTIONS='-c client_min_messages=warning'

# The server will not run as root.
user=$(id -un)
if [ "$(id -u)" = 0 ]; then
	user=nobody
	getent passwd postgres >/dev/null && user=postgres
fi
as_user()
{
	if [ "$user" = "$(id -un)" ]; then
		"$@"
	else
		setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
	fi
}

server_answers()
{
	pg_isready -q || ! kill -0 "$server" 2>/dev/null
}

server_start()
{
	# exec: the process that we know is the postmaster
	(cd "$work" && as_exec postgres -D "$data" -k "$PGHOST" -c listen_addresses= -c fsync=on -c shared_buffers=32MB \
		-c max_wal_size=64MB -c checkpoint_timeout=30s) >>"$work/server.log" 2>&1 </dev/null &
	server=$!
	started "$server"
	wait_for 1500 server_answers
	pg_isready -q || { tail -n 40 "$work/server.log"; fail "the server does not answer"; }
}

as_exec()
{
	if [ "$user" = "$(id -un)" ]; then
		exec "$@"
	else
		exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
	fi
}

# Processes whose postmaster has died need a moment to see that.
none_left()
{
	local p
	for p in "${children[@]}"; do
		[ ! -e "/proc/$p" ] || return 1
	done
}

note_children()
{
	read -r -a children <"/proc/$server/task/$server/children" || true # the line has no end
}

# It may have ended by itself, when the mount has died.
server_kill()
{
	kill -9 "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
}

server_stop()
{
	local code=0
	kill -INT "$server" # a fast shutdown
	wait "$server" || code=$?
	[ "$code" = 0 ] || { tail -n 40 "$work/server.log"; fail "the server ended with code $code"; }
}

query()
{
	psql -X -q -t -A -v ON_ERROR_STOP=1 -c "$1"
}

make_cluster()
{
	as_user initdb -k -D "$data" -U tests -A trust --no-locale -E UTF8 >"$work/initdb" 2>&1 ||
		{ cat "$work/initdb"; fail "initdb"; }
	as_user pg_controldata "$data" | grep '^Data page checksum version: *1$' >/dev/null || fail "no checksums"
}

load()
{
	pgbench -q -i -s 2 >"$work/pgbench" 2>&1 || { cat "$work/pgbench"; fail "pgbench -i"; }
	pgbench -n -c "$clients" -j 2 -T "$seconds" >"$work/pgbench" 2>&1 || { cat "$work/pgbench"; fail "pgbench"; }
	grep -q 'number of failed transactions: 0 ' "$work/pgbench" || { cat "$work/pgbench"; fail "transactions failed"; }
	grep '^tps' "$work/pgbench" | sed 's/^/# /'
	balanced
}

# Each of pgbench's transactions adds the same to one row of each table, and to the history.
balanced()
{
	local sums
	sums=$(query "select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers),
		(select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history)")
	[ "$(tr '|' '\n' <<<"$sums" | sort -u | wc -l)" = 1 ] || fail "the sums differ: $sums"
}

other_work()
{
	as_user mkdir "$mnt/space"
	query "create tablespace other location '$mnt/space'"
	query "create table wide (id int primary key, t text) tablespace other;
		alter table wide alter t set storage external;
		insert into wide select i, repeat(md5(i::text), 1000) from generate_series(1, 300) i"
	query "copy wide to stdout" >"$work/wide"
	query "delete from wide where id % 3 = 0"
	query "vacuum full wide"
	query "create index on wide (md5(t)); cluster wide using wide_pkey"
	[ "$(query 'select count(*), sum(length(t)) from wide')" = "200|6400000" ] || fail "rows are missing"
	query "truncate wide"
	psql -X -q -c "copy wide from stdin" <"$work/wide"
	[ "$(query "select count(*) from wide where t = repeat(md5(id::text), 1000)")" = 300 ] || fail "copied rows differ"
	query "create unlogged table fleeting as select generate_series(1, 100) i"
	query "create database second template template0"
}

# A load, and beside it rows that are noted here when the server has said that they are committed.
load_begin()
{
	query "create table if not exists acked (i int primary key)"
	pgbench -n -c "$clients" -j 2 -T 600 >"$work/pgbench" 2>&1 </dev/null &
	started $!
	from=$(query "select coalesce(max(i), 0) + 1 from acked")
	seq "$from" 10000000 | sed 's/.*/insert into acked values (&) returning i;/' 2>/dev/null | psql -X -q -t -A >>"$work/acked" 2>/dev/null &
	started $!
	sleep "$seconds"
	[ -s "$work/acked" ] || fail "the load does not get on"
}

recovered()
{
	grep -q 'database system was not properly shut down' "$work/server.log" || fail "there was nothing to recover"
	query "select i from acked" | sort >"$work/have"
	grep -v '^$' "$work/acked" | sort >"$work/want"
	[ -z "$(comm -23 "$work/want" "$work/have")" ] || fail "acknowledged rows are lost: $(comm -23 "$work/want" "$work/have" | wc -l)"
	echo "# $(wc -l <"$work/want") rows acknowledged, all there"
	balanced
}

checked()
{
	pg_amcheck --install-missing --all --heapallindexed >"$work/amcheck" 2>&1 || { cat "$work/amcheck"; fail "pg_amcheck"; }
	[ ! -s "$work/amcheck" ] || { cat "$work/amcheck"; fail "pg_amcheck finds something"; }
}

stopped()
{
	as_user pg_controldata "$data" | grep '^Database cluster state: *shut down$' >/dev/null || fail "not shut down"
	as_user pg_checksums --check -D "$data" >"$work/checksums" 2>&1 || { cat "$work/checksums"; fail "pg_checksums"; }
	grep -q '^Bad checksums: *0$' "$work/checksums" || { cat "$work/checksums"; fail "pages are damaged"; }
	grep -qE '^Blocks scanned: *[1-9][0-9]{3}' "$work/checksums" || fail "pg_checksums has looked at little"
}

mkdir "$PGHOST"
chmod 777 "$PGHOST"
mount_start
chmod 1777 "$mnt"
echo "# $(postgres --version)"
point "initdb with checksums" make_cluster
server_start
point "pgbench, $clients clients, $seconds s" load
point "a tablespace, large values, copy, vacuum full, cluster" other_work

point "a load" load_begin
note_children
server_kill
point "the postmaster is killed, and the others end" wait_for 1500 none_left
: >"$work/server.log"
server_start
point "recovery: what was committed is there" recovered
point "pg_amcheck" checked

point "a load again" load_begin
note_children
mount_kill
server_kill
point "the daemon is killed, and all of the server ends" wait_for 1500 none_left
mount_start
: >"$work/server.log"
server_start
point "recovery after the daemon's death" recovered
point "pg_amcheck again" checked

server_stop
remount
point "clean shutdown, pg_checksums" stopped
server_start
point "the rows are there after a remount" balanced
server_stop
mount_stop
points_done
