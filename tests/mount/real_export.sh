#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# NFS-Ganesha, a server in user space, exports the mount over NFSv3 and NFSv4 to clients with libnfs. In a network and a /run
# of its own, so that it meets no other server.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "only root can open by handle, as the server does"
for program in ganesha.nfsd rpcbind nfs-ls nfs-cat nfs-cp ip unshare; do
	command -v $program >/dev/null ||
		skip "$program is not installed (Debian's nfs-ganesha, rpcbind, libnfs-utils, iproute2, util-linux)"
done
[ -x "$programs/nfs_hold" ] || skip "nfs_hold is not built (Debian's libnfs-dev)"
plugins=$(dirname "$(find /usr/lib -name libfsalvfs.so -print -quit)")
[ -f "$plugins/libfsalvfs.so" ] || skip "Debian's nfs-ganesha-vfs is not installed"

if [ -z "${LSMFS_OWN_NETWORK:-}" ]; then
	unshare -n -m true 2>/dev/null || skip "no namespaces here"
	rmdir "$work"
	LSMFS_OWN_NETWORK=1 exec unshare -n -m bash "$0"
fi
# mounts of other tests are here, too, and would not end before we do
while read -r _ at _; do
	umount -l "$(printf '%b' "$at")"
done < <(grep ' fuse\.lsmfs ' /proc/self/mounts)
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir /run/lock

ours=() # processes to end: rpcbind, the server, the client
device_is_new=
gone=1
server=
server_log=$work/server.log

end_all()
{
	local code=$? pid
	set +e
	for pid in "${ours[@]}"; do
		kill -9 "$pid"
	done 2>/dev/null
	wait "${ours[@]}" 2>/dev/null
	if [ "$code" != 0 ] && [ -s "$server_log" ]; then
		echo "--- the server said:" >&2
		grep -vE 'DBUS|svc_vc_wait|krb5' "$server_log" | tail -n 20 >&2
	fi
	(exit "$code")
	lib_cleanup
}
trap end_all EXIT

server_is_ready()
{
	grep -q 'NFS SERVER INITIALIZED' "$server_log" || ! kill -0 "$server" 2>/dev/null
}

server_is_gone()
{
	! kill -0 "$server" 2>/dev/null
}

server_start()
{
	: >"$server_log"
	ganesha.nfsd -F -f "$work/server.conf" -L "$server_log" -p "$work/server.pid" >/dev/null 2>&1 &
	server=$!
	ours+=("$server")
	wait_for 1500 server_is_ready || fail "the server isn't ready after 30 s"
	kill -0 "$server" 2>/dev/null || fail "the server doesn't start"
}

server_stop()
{
	kill "$server"
	wait_for 1500 server_is_gone || kill -9 "$server"
	wait "$server" || true
}

# url VERSION PATH
url()
{
	if [ "$1" = 3 ]; then
		echo "nfs://127.0.0.1$mnt/$2?version=3"
	else
		echo "nfs://127.0.0.1/x/$2?version=4"
	fi
}

nfs()
{
	local program=$1
	shift
	timeout 60 "nfs-$program" "$@"
}

as_other()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups timeout 60 "$@"
}

# What the server shows of a directory is what is there: modes, links, owners' numbers aside, sizes and names.
same_listing()
{
	local version
	for version in 3 4; do
		diff <(nfs ls "$(url $version "$1")" | awk '{ print $1, $2, $5, $NF }' | LC_ALL=C sort) \
			<(cd "$mnt/$1" && find . -mindepth 1 -maxdepth 1 -printf '%M %n %s %f\n' | LC_ALL=C sort) ||
			fail "NFSv$version shows something else of $1 than there is: $2"
	done
}

same_content()
{
	local name version
	for version in 3 4; do
		for name in "${names[@]}"; do
			nfs cat "$(url $version "tree/$name")" | cmp - "$work/$name" || fail "$name, NFSv$version: $1"
		done
	done
}

drop_caches()
{
	sync
	echo 2 2>/dev/null >/proc/sys/vm/drop_caches || true
}

# again HOW: ends the mount and mounts again. The server takes the mount's device number into its handles, since the kernel gives
# a FUSE mount no other id; so the mount must have the same one again, which is the lowest that is free. If somebody else has
# it now, the client begins anew.
again()
{
	local before now tries fillers=()
	before=$(stat -c %d "$mnt")
	"$1"
	[ -z "$LSMFS_NATIVE" ] || return 0
	for ((tries = 0; tries < 40; tries++)); do
		mount_start
		now=$(stat -c %d "$mnt")
		if [ "$now" = "$before" ]; then
			break
		fi
		mount_stop
		if [ "$now" -lt "$before" ]; then
			mkdir -p "$work/filler.$tries"
			mount -t tmpfs tmpfs "$work/filler.$tries"
			fillers+=("$work/filler.$tries")
		else
			sleep 0.1
		fi
	done
	if [ ${#fillers[@]} -gt 0 ]; then
		umount "${fillers[@]}"
	fi
	if [ "$now" != "$before" ]; then
		echo "# another mount has the device number now: the client begins anew"
		mount_start
		device_is_new=1
	fi
}

server_and_mount_stop()
{
	server_stop
	mount_stop
}

# The server sees errors at last.
mount_kill_and_server_stop()
{
	mount_kill
	server_stop
}

# The server is there again.
server_again()
{
	server_start
	if [ -n "$device_is_new" ]; then
		device_is_new=
		client_stop
		client_start
	fi
}

client_start()
{
	local line
	coproc hold { exec "$programs/nfs_hold" "$(url 3 tree)" "$work/held" "${names[@]}" doomed; }
	# shellcheck disable=SC2154
	ours+=("$hold_PID")
	read -r -t 60 line <&"${hold[0]}"
	[ "$line" = ready ] || fail "the client says $line"
}

client_stop()
{
	local pid=$hold_PID
	kill "$pid"
	wait "$pid" 2>/dev/null || true
}

# ask: the client that holds handles reads all of them; what it says is in $said
ask()
{
	local line
	said=
	echo >&"${hold[1]}"
	while read -r -t 60 line <&"${hold[0]}" && [ "$line" != "done" ]; do
		said+="$line "
	done
	[ "${line:-}" = "done" ] || fail "the client doesn't come back: $said"
}

held_are_good()
{
	local name
	ask
	for name in "${names[@]}"; do
		cmp "$work/held/$name" "$work/$name" || fail "a handle of $name: $1"
	done
	[ -z "$said" ] || fail "a handle: $1: $said"
}

cat >"$work/server.conf" <<-END
	NFS_CORE_PARAM { Protocols = 3, 4; Enable_NLM = false; Enable_RQUOTA = false;
	                 Plugins_Dir = $plugins; }
	NFSV4 { Graceless = true; RecoveryRoot = $work/server; }
	EXPORT { Export_Id = 1; Path = $mnt; Pseudo = /x; Access_Type = RW; Squash = No_Root_Squash; SecType = sys;
	         Filesystem_Id = 77.7; FSAL { Name = VFS; } }
	LOG { Default_Log_Level = EVENT; }
END
mkdir "$work/server" "$work/held"
rpcbind -f &
ours+=($!)
head -c 3000000 /dev/urandom >"$work/large"
head -c 200000 /dev/urandom >"$work/medium"
echo small >"$work/small"
names=(large medium small)

mount_start
chmod 755 "$mnt"
mkdir -p "$mnt/tree/a/b/c"
for ((i = 0; i < 300; i++)); do
	echo "$i" >"$mnt/tree/a/b/f$i"
done
ln "$mnt/tree/a/b/f7" "$mnt/tree/a/b/hard"
server_start

step "written through the server"
for name in "${names[@]}"; do
	nfs cp "$work/$name" "$(url 3 "tree/$name")" >/dev/null
	cmp "$work/$name" "$mnt/tree/$name" || fail "$name, written by NFSv3"
done
nfs cp "$work/small" "$(url 4 tree/small4)" >/dev/null # more isn't written by libnfs 4.0 over NFSv4
cmp "$work/small" "$mnt/tree/small4" || fail "written by NFSv4"
same_content "at once"
same_listing tree/a/b "at once"

step "with nothing in the kernel's caches"
drop_caches
same_content "after the caches were dropped"
drop_caches
same_listing tree/a/b "after the caches were dropped"

step "rights of another user"
for version in 3 4; do
	echo secret >"$mnt/tree/secret"
	chmod 600 "$mnt/tree/secret"
	as_other nfs-cat "$(url $version tree/secret)" >/dev/null 2>&1 && fail "anybody can read it"
	echo theirs >"$mnt/tree/theirs$version"
	chmod 600 "$mnt/tree/theirs$version"
	chown 65534:65534 "$mnt/tree/theirs$version"
	[ "$(as_other nfs-cat "$(url $version "tree/theirs$version")")" = theirs ] || fail "its owner can't read it"
	as_other nfs-cp "$work/small" "$(url $version tree/forbidden)" >/dev/null 2>&1 && fail "anybody can write"
	[ ! -e "$mnt/tree/forbidden" ] || fail "anybody can write"
	mkdir -m 777 "$mnt/tree/open$version"
	as_other nfs-cp "$work/small" "$(url $version "tree/open$version/theirs")" >/dev/null
	[ "$(stat -c %u:%g "$mnt/tree/open$version/theirs")" = 65534:65534 ] || fail "the owner of what another user makes"
	cmp "$work/small" "$mnt/tree/open$version/theirs"
done

step "a client that knows only handles"
cp "$work/small" "$mnt/tree/doomed"
client_start
held_are_good "at once"
drop_caches
held_are_good "after the caches were dropped"
mv "$mnt/tree/large" "$mnt/tree/a/renamed"
held_are_good "of a file that was renamed"
mv "$mnt/tree/a/renamed" "$mnt/tree/large"
server_stop
server_start
held_are_good "after the server has begun anew"
again server_and_mount_stop
server_again
held_are_good "after a remount"
again mount_kill_and_server_stop
server_again
held_are_good "after kill -9"
rm "$mnt/tree/doomed"
cp "$work/medium" "$mnt/tree/doomed" # not the file that it was
again server_and_mount_stop
[ -z "$device_is_new" ] || gone= # and nothing is to be said of it
server_again
ask
[[ -z $gone || $said =~ ^doomed:\ .*NFS3ERR_STALE && ! $said =~ (large|medium|small): ]] ||
	fail "the handle of a deleted file: $said"

step "all is as it was"
same_content "at the end"
same_listing tree/a/b "at the end"
server_stop
mount_stop
