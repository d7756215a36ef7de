#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The verbs: round trips, and a sentence for every mistake. Prints TAP.
. "$(dirname "$0")/lib.sh"

if [ -n "$LSMFS_NATIVE" ]; then
	skip "the verbs need a mount"
fi
cd "$work"
err=$work/err

# refused PATTERN COMMAND...: fails, and tells what matches the pattern, on one to three lines without a stack or an assert
refused()
{
	local pattern=$1 code=0
	shift
	"$@" >"$work/out" 2>"$err" </dev/null || code=$?
	cat "$err"
	[ "$code" != 0 ] || fail "succeeded: $*"
	[ "$code" -lt 126 ] || fail "died with code $code: $*"
	grep -qiE -- "$pattern" "$err" || fail "does not say '$pattern': $*"
	[ "$(wc -l <"$err")" -le 3 ] || fail "says too much: $*"
}

not()
{
	if "$@"; then
		fail "succeeds: $*"
	fi
}

# The process that has this store open, or nothing.
pids_of()
{
	local p
	for p in /proc/[0-9]*; do
		if { tr '\0' '\n' <"$p/cmdline"; } 2>/dev/null | grep -qxF -- "$1"; then
			basename "$p"
		fi
	done
}

mount_in_background()
{
	mkdir -p "$2"
	"$LSMFS" mount "$(realpath -m "$1")" "$2" "${@:3}"
}

help_and_version()
{
	local verb
	"$LSMFS" --help | grep -q mount
	"$LSMFS" --version | grep -qE '[0-9]+\.[0-9]+\.[0-9]+'
	for verb in mount umount get put rm ls scan stat dump backup restore check repair; do
		"$LSMFS" "$verb" --help | grep -q "$verb"
	done
	"$LSMFS" mount --help | grep -q 'memory='
}

wrong_commands()
{
	not "$LSMFS" 2>"$err"
	grep -qi usage "$err"
	refused 'frobnicate' "$LSMFS" frobnicate
	refused 'usage|help' "$LSMFS" mount
	refused 'usage|help' "$LSMFS" mount one
	refused 'usage|help' "$LSMFS" umount
	refused 'usage|help' "$LSMFS" get
	refused 'nonsense' "$LSMFS" ls --nonsense s
}

round_trip()
{
	refused 'no store' "$LSMFS" ls s
	mount_in_background s m
	"$LSMFS" umount m
	head -c 3000000 /dev/urandom >blob
	"$LSMFS" put s large <blob
	"$LSMFS" get s large | cmp - blob
	echo small | "$LSMFS" put s name
	[ "$("$LSMFS" get s name)" = small ]
	echo other | "$LSMFS" put s name
	[ "$("$LSMFS" get s name)" = other ]
	: | "$LSMFS" put s empty
	[ -z "$("$LSMFS" get s empty)" ]
	"$LSMFS" ls s >out
	for name in large name empty; do
		grep -q "$name" out
	done
	"$LSMFS" stat s name | grep -q 6
	(umask 077 && "$LSMFS" put -p s private/name </dev/null)
	"$LSMFS" stat s private | grep -q 0700
	"$LSMFS" stat s private/name | grep -q 0600
	"$LSMFS" stat s >out
	[ -s out ]
	"$LSMFS" rm s name
	refused 'name' "$LSMFS" get s name
	refused 'name' "$LSMFS" rm s name
	refused 'name' "$LSMFS" stat s name
	refused 'none' "$LSMFS" ls s none
	"$LSMFS" ls s | not grep -q name
}

offline_and_mounted_agree()
{
	echo offline | "$LSMFS" put s both
	mount_in_background s m
	[ "$(cat m/both)" = offline ]
	cmp m/large blob
	mkdir -p m/dir/sub
	echo mounted >m/dir/sub/file
	"$LSMFS" umount m
	[ "$("$LSMFS" get s dir/sub/file)" = mounted ]
	[ "$("$LSMFS" get s /dir/sub/file)" = mounted ]
	"$LSMFS" ls s dir | grep -q sub
	refused 'dir' "$LSMFS" get s dir
	echo into | "$LSMFS" put s dir/new
	[ "$("$LSMFS" get s dir/new)" = into ]
	refused 'dir' "$LSMFS" put s dir
	refused 'file' "$LSMFS" put s dir/sub/file/x
}

# What the verbs do to a mounted store, its programs see and are told.
through_the_mount()
{
	mount_in_background s m
	echo by-mount >m/seen
	[ "$("$LSMFS" get s seen)" = by-mount ]
	cmp <("$LSMFS" get s large) blob
	echo by-put | "$LSMFS" put s seen
	[ "$(cat m/seen)" = by-put ]
	"$programs/inotify_log" "$work/m" "$LSMFS" put s seen blob >log
	grep -qx 'to seen' log || fail "nobody is told of a put over a file: $(cat log)"
	cmp m/seen blob
	"$programs/inotify_log" "$work/m" "$LSMFS" put s fresh blob >log
	grep -qxE '(to|create) fresh' log || fail "nobody is told of a put: $(cat log)"
	# a file that has no name yet is called "/"
	not grep -vE 'fresh|lsmfs-put|^[a-z_]+ /$' log
	cmp m/fresh blob
	"$programs/inotify_log" "$work/m" "$LSMFS" put -p s newdir/sub/file blob >log
	grep -qx 'create newdir' log
	[ -z "$(find m -name '*lsmfs-put*')" ]
	"$LSMFS" ls s | diff - <(ls -A m)
	"$LSMFS" ls -l s newdir | grep -q '^drwx.* sub$'
	[ "$("$LSMFS" stat s newdir/sub/file | sed -n 's/^inode *//p')" = "$(stat -c %i m/newdir/sub/file)" ]
	"$LSMFS" scan s >out
	(cd m && find . ! -type d -printf '%P\n') | LC_ALL=C sort | diff out -
	ln -s newdir m/link
	refused 'link' "$LSMFS" get s link
	refused 'not a directory' "$LSMFS" ls s link/sub
	refused 'not a directory' "$LSMFS" put s link/x
	[ "$("$LSMFS" ls s ../../..)" = "$("$LSMFS" ls s)" ]
	refused "can't be removed" "$LSMFS" rm -r s newdir/..
	refused 'is a directory' "$LSMFS" rm s newdir
	"$programs/inotify_log" "$work/m" "$LSMFS" rm -r s newdir fresh >log
	printf 'delete newdir\ndelete fresh\n' | diff log -
	[ ! -e m/newdir ]
	[ -L m/link ]
	"$LSMFS" rm s link
	refused 'none' "$LSMFS" rm s none
	"$LSMFS" rm -f s none none/none
	[ "$(cat m/both)" = offline ]
	"$LSMFS" umount m
	cmp <("$LSMFS" get s seen) blob
	"$LSMFS" rm s seen
}

# A put that ends in the middle leaves what was there, and nothing else.
interrupted_put()
{
	local i
	mount_in_background s m
	echo old >m/kept
	for i in TERM HUP; do # a shell makes its background jobs ignore INT
		mkfifo feed
		"$LSMFS" put s kept feed &
		local pid=$!
		exec 9>feed
		head -c 3000000 /dev/zero >&9
		kill -$i $pid
		not wait $pid
		exec 9>&-
		rm feed
		[ "$(cat m/kept)" = old ]
		[ -z "$(find m -name '*lsmfs-put*')" ] || fail "left behind after $i"
	done
	mkfifo feed
	"$LSMFS" put s kept feed &
	exec 9>feed
	head -c 3000000 /dev/zero >&9
	[ "$(cat m/kept)" = old ] # while it is written
	exec 9>&-
	wait $!
	rm feed
	[ "$(stat -c %s m/kept)" = 3000000 ]
	"$LSMFS" umount m
	"$LSMFS" rm s kept
}

# Rights and owner of what is replaced; the caller's rights, if it isn't root.
rights_through_the_mount()
{
	mount_in_background s m
	(umask 027 && echo x | "$LSMFS" put s rights)
	[ "$(stat -c %a m/rights)" = 640 ]
	chmod 4711 m/rights
	echo y | "$LSMFS" put s rights
	[ "$(stat -c %a m/rights)" = 4711 ]
	if [ "$(id -u)" = 0 ]; then
		local other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
		cp "$LSMFS" ./program
		chmod 755 program
		chown 12:34 m/rights
		echo z | "$LSMFS" put s rights
		[ "$(stat -c %u:%g:%a m/rights)" = 12:34:711 ] || [ "$(stat -c %u:%g:%a m/rights)" = 12:34:4711 ]
		chmod 700 s # the mount can be used by those who can't see the store
		mkdir m/theirs
		chown 65534 m/theirs
		"${other[@]}" ./program put s theirs/file blob
		[ "$(stat -c %u m/theirs/file)" = 65534 ]
		"${other[@]}" ./program get s theirs/file | cmp - blob
		refused 'permission denied' "${other[@]}" ./program put s file blob
		refused 'permission denied' "${other[@]}" ./program rm s both
		refused 'permission denied' "${other[@]}" ./program get s rights
		chmod 755 s
		"$LSMFS" rm -r s theirs
	fi
	"$LSMFS" rm s rights
	"$LSMFS" umount m
}

# Anybody can mount something and call it by the name of our store.
false_mounts()
{
	if [ "$(id -u)" != 0 ] || [ ! -u "$(command -v fusermount3)" ]; then
		echo "# only root can become another user, who needs fusermount3"
		exit 77
	fi
	cp "$LSMFS" ./program
	mkdir -p theirs
	chown 65534 theirs
	mkdir -p "$work/fake/s"
	chown -R 65534 fake
	local other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	"${other[@]}" ./program mount fake/s theirs || exit 77
	"${other[@]}" sh -c 'echo theirs >theirs/both'
	# the store's path leads to ours, its mount's name is the same
	mv fake/s fake/t
	ln -s "$work/s" fake/s
	[ "$("$LSMFS" get fake/s both)" = offline ]
	echo mine | "$LSMFS" put fake/s false
	[ "$("$LSMFS" get s false)" = mine ]
	not "${other[@]}" test -e theirs/false
	"$LSMFS" rm s false
	rm fake/s
	# who is no stranger uses it: its owner
	mv fake/t fake/s
	[ "$("${other[@]}" ./program get fake/s both)" = theirs ]
	"${other[@]}" ./program umount theirs
}

# What is mounted within, or over it, is not of the store.
mounts_within()
{
	if [ "$(id -u)" != 0 ]; then
		echo "# only root can mount over it"
		exit 77
	fi
	mount_in_background s m
	mkdir m/inner
	mount -t tmpfs tmpfs m/inner
	echo x >m/inner/file
	refused 'cross-device' "$LSMFS" get s inner/file
	refused 'cross-device' "$LSMFS" rm -r s inner
	[ "$(cat m/inner/file)" = x ]
	umount m/inner
	"$LSMFS" rm -r s inner
	mkdir -p bound
	mkdir m/inner
	mount --bind m/inner bound
	[ "$("$LSMFS" get s both)" = offline ]
	umount bound
	mount -t tmpfs tmpfs m
	refused 'mounted on' "$LSMFS" get s both # our mount can't be reached
	umount m
	[ "$("$LSMFS" get s both)" = offline ]
	"$LSMFS" rm -r s inner
	"$LSMFS" umount m
}

# Names that are hard to write: every one of them can be had by the verbs, mounted or not.
# shellcheck disable=SC1003,SC2016
hard_names=($'new\nline' '-dash' '--help' $'\xff\xfe' $'\x80' $'tab\there' $'\e[31mred' ' ' '  x ' '*' '?' '"' "'" '\' '$(x)' $'\x01' '...' '.x' "$(printf 'n%.0s' {1..255})")

hard_names_are_reached()
{
	local name dir=hard/
	for name in "${hard_names[@]}"; do
		printf '%s' "$name" | "$LSMFS" put -p s "$dir$name"
		"$LSMFS" get s "$dir$name" | cmp - <(printf '%s' "$name")
	done
	# without a directory in front: behind --, or with ./ or /
	for name in -dash --help; do
		printf '%s' "$name" | "$LSMFS" put -- s "$name"
		[ "$("$LSMFS" get s -- "$name")" = "$name" ]
		[ "$("$LSMFS" get s "./$name")" = "$name" ]
		[ "$("$LSMFS" get s "/$name")" = "$name" ]
		"$LSMFS" rm -- s "$name"
		refused 'no such' "$LSMFS" get s "/$name"
	done
	"$LSMFS" ls -0 s hard | LC_ALL=C sort -z | cmp - <(printf '%s\0' "${hard_names[@]}" | LC_ALL=C sort -z)
	"$LSMFS" scan -0 s hard/ | cmp - <(printf 'hard/%s\0' "${hard_names[@]}" | LC_ALL=C sort -z)
	"$LSMFS" scan -v0 s hard/ | cmp - <(printf '%s\0' "${hard_names[@]}" | LC_ALL=C sort -z | while IFS= read -rd '' name; do
		printf '%d hard/%s\0%s\n' "$(printf %s "$name" | wc -c)" "$name" "$name"
	done)
}

hard_names_are_removed()
{
	"$LSMFS" rm s "${hard_names[@]/#/hard/}"
	[ -z "$("$LSMFS" ls s hard)" ]
	"$LSMFS" rm -r s hard
}

hard_names_mounted()
{
	local name
	mount_in_background s m
	for name in "${hard_names[@]}"; do
		[ "$(<"m/hard/$name")" = "$name" ]
	done
	hard_names_are_reached
	(cd m && find hard -type f -print0 | LC_ALL=C sort -z) | cmp - <("$LSMFS" scan -0 s hard)
	"$LSMFS" umount m
}

hard_names_mounted_and_removed()
{
	local name
	mount_in_background s m
	mkdir m/hard
	for name in "${hard_names[@]}"; do
		printf '%s' "$name" >"m/hard/$name"
	done
	hard_names_are_removed
	"$LSMFS" umount m
}

# scanned ARGUMENT...: what a scan tells is on standard input
scanned()
{
	diff <("$LSMFS" scan "$@") -
}

# In the order of the paths' bytes: "a-b" < "a.b" < "a/…" < "a0", whatever the locale.
scans()
{
	local path
	for path in scan/a/x scan/a/b/c scan/a-b scan/a.b scan/a0 scan/B scan/ä scan/aa/1 scan/aa/2; do
		printf '%s' "$path" | "$LSMFS" put -p s "$path"
	done
	if [ "$1" = mounted ]; then
		mount_in_background s m
		mkdir m/scan/empty
		ln -s target m/scan/link
		mkfifo m/scan/pipe
	fi
	printf '%s\n' scan/B scan/a-b scan/a.b scan/a/b/c scan/a/x scan/a0 scan/aa/1 scan/aa/2 scan/link scan/pipe scan/ä >all
	scanned s scan <all
	scanned s scan/ <all
	scanned s /scan/ <all
	scanned s sc <all
	"$LSMFS" scan s | grep ^scan/ | diff - all
	printf '%s\n' scan/a/b/c scan/a/x | scanned s scan/a/
	printf '%s\n' scan/a-b scan/a.b scan/a/b/c scan/a/x scan/a0 scan/aa/1 scan/aa/2 | scanned s scan/a
	printf '%s\n' scan/aa/2 | scanned s scan/aa/2
	printf '%s\n' scan/B scan/a-b | scanned -n 2 s scan
	printf '%s\n' scan/a/b/ scan/a/b/c scan/a/x | scanned -d s scan/a/
	printf '%s\n' scan/empty/ | scanned -d s scan/e
	printf '%s\n' '8 scan/a-b' '6 scan/link' '0 scan/pipe' >sizes
	"$LSMFS" scan -l s scan | grep -E ' scan/(a-b|link|pipe)$' | diff - sizes
	printf '9 scan/aa/1\nscan/aa/1\n9 scan/aa/2\nscan/aa/2\n' | scanned -v s scan/aa
	printf '6 scan/link\ntarget\n' | scanned -v s scan/l
	for path in none none/none scan/none/ scan/a-b/ scan//a ./scan scan/../scan scan/a/../; do
		scanned s "$path" </dev/null
	done
	"$LSMFS" scan -v s large | tail -c +15 | head -c 3000000 | cmp - blob
	refused 'number' "$LSMFS" scan -n 0 s
	refused 'number' "$LSMFS" scan -n x s
	refused 'store' "$LSMFS" scan none
	[ "$1" != mounted ] || "$LSMFS" umount m
}

sorted_as_ls_does()
{
	local name
	mkdir -p m names
	mount_in_background s m
	mkdir m/names
	for name in B a b A Z10 Z9 .hidden 'with space' -dash ä 1 _; do
		touch "names/$name" "m/names/$name"
	done
	"$LSMFS" umount m
	"$LSMFS" ls s names | diff - <(ls -A names)
	"$LSMFS" ls -l s names | sed 's/.*:.. //' | diff - <(ls -A names)
	LC_ALL=C "$LSMFS" ls s names | diff - <(LC_ALL=C ls -A names)
}

# "dir/.." must not be taken for the whole of what lies above
dots_are_not_removed()
{
	echo keep | "$LSMFS" put -p s dots/keep
	refused "can't be removed" "$LSMFS" rm -r s dots/.
	refused "can't be removed" "$LSMFS" rm -r s dots/..
	refused "can't be removed" "$LSMFS" rm -rf s .
	refused "can't be removed" "$LSMFS" rm -rf s ..
	[ "$("$LSMFS" get s dots/keep)" = keep ]
	[ "$("$LSMFS" get s both)" = offline ]
}

answers_when_it_returns()
{
	local i
	for i in 1 2 3 4 5; do
		mount_in_background s m
		echo "$i" >m/round
		[ "$(cat m/round)" = "$i" ]
		[ "$(findmnt -n -o FSTYPE m)" = fuse.lsmfs ]
		[ "$(findmnt -n -o SOURCE m)" = "$work/s" ]
		"$LSMFS" umount m
		# all is on disk and the process has gone: the store can be had at once
		[ "$("$LSMFS" get s round)" = "$i" ]
		[ -z "$(pids_of "$work/s")" ]
		not mountpoint -q m
	done
}

umount_by_the_system()
{
	mount_in_background s m
	echo by-system >m/round
	if [ "$(id -u)" = 0 ]; then
		umount m
	else
		fusermount3 -u m
	fi
	for i in $(seq 100); do
		if "$LSMFS" get s round >out 2>"$err"; then
			break
		fi
		sleep 0.1
	done
	[ "$(cat out)" = by-system ]
}

bad_directories()
{
	refused 'exist' "$LSMFS" mount s "$work/none"
	touch file
	refused 'not a directory' "$LSMFS" mount s file
	mkdir -p full
	touch full/x
	refused 'not empty|nonempty' "$LSMFS" mount s full
	[ -e full/x ]
	refused 'nothing is mounted' "$LSMFS" umount full
	refused 'nothing is mounted|exist|find' "$LSMFS" umount "$work/none"
}

bad_stores()
{
	mkdir -p m nostore
	touch nostore/something
	refused 'nostore' "$LSMFS" mount nostore m
	[ "$(ls nostore)" = something ]
	touch file
	refused 'directory|not a store' "$LSMFS" mount file m
	refused 'lie in' "$LSMFS" mount none/store m
	[ ! -e none ]
	for verb in get rm stat; do
		refused 'none' "$LSMFS" "$verb" none x
		[ ! -e none ]
		refused 'nostore' "$LSMFS" "$verb" nostore x
	done
	refused 'none' "$LSMFS" ls none
	not mountpoint -q m
}

bad_options()
{
	refused 'memroy' "$LSMFS" mount s m -o memroy=10M
	refused 'memory' "$LSMFS" mount s m -o memory=lots
	refused 'memory' "$LSMFS" mount s m -o memory=1K
	refused 'unknown|option' "$LSMFS" mount s m --nonsense
	not mountpoint -q m
}

one_owner()
{
	mount_in_background s m
	mkdir -p m2
	local pid
	pid=$(grep -oE '[0-9]+' <<<"$(pids_of "$work/s")" | head -n 1)
	refused "$pid" "$LSMFS" mount s m2
	refused "$pid" "$LSMFS" stat s
	refused "$pid" "$LSMFS" backup s saved-not
	[ ! -e saved-not ]
	refused 'already|mounted' "$LSMFS" mount other m
	[ ! -e other ] || [ -z "$(ls -A other)" ] || fail "a store was made for nothing"
	[ "$(cat m/both)" = offline ] # the owner is unharmed
	"$LSMFS" umount m
}

busy()
{
	mount_in_background s m
	exec 8<m/both
	refused 'busy|use' "$LSMFS" umount m
	exec 8<&-
	[ "$(cat m/both)" = offline ]
	"$LSMFS" umount m
}

read_only()
{
	mount_in_background s m -o ro
	[ "$(cat m/both)" = offline ]
	refused 'read-only' touch m/new
	refused 'read-only' rm m/both
	"$LSMFS" umount m
}

options_take_effect()
{
	mount_in_background s m -o sync,noatime,noexec,memory=32M
	findmnt -n -o OPTIONS m | grep -q noexec
	cp /bin/true m/true
	not ./m/true
	rm m/true
	"$LSMFS" umount m
}

helper()
{
	ln -sf "$LSMFS" "$1"
	"./$1" s m -o rw,noatime "${@:2}" >out 2>"$err" </dev/null
	cat out "$err"
	[ ! -s out ] # quiet
	[ ! -s "$err" ]
	[ "$(cat m/both)" = offline ]
	[ "$(findmnt -n -o SOURCE,FSTYPE m | tr -s ' ')" = "$work/s fuse.lsmfs" ]
	"$LSMFS" umount m
	refused 'memroy' "./$1" s m -o memroy=1
	refused 'exist' "./$1" s "$work/none" -o rw
}

# As another user, who has no rights to this store.
no_rights()
{
	if [ "$(id -u)" != 0 ]; then
		echo "# only root can become another user"
		exit 77
	fi
	mkdir -p theirs
	chown nobody theirs
	chmod 700 s
	# the program may lie where that user can't reach it
	cp "$LSMFS" ./program
	chmod 755 program
	refused 'permission|rights' setpriv --reuid=65534 --regid=65534 --clear-groups ./program get s both
	refused 'permission|rights|denied|allowed' setpriv --reuid=65534 --regid=65534 --clear-groups ./program mount s theirs
	chmod 755 s
}

# A mount whose process is dead.
dead_mount()
{
	mount_in_background s m
	kill -9 "$(pids_of "$work/s" | head -n 1)"
	sleep 0.2
	not ls m 2>/dev/null
	mount_in_background s m 2>"$err" # takes it away
	grep -q dead "$err"
	[ "$(cat m/both)" = offline ]
	kill -9 "$(pids_of "$work/s" | head -n 1)"
	sleep 0.2
	"$LSMFS" umount m
	not mountpoint -q m
	mount_in_background s m
	[ "$(cat m/both)" = offline ]
	"$LSMFS" umount m
}

awkward_paths()
{
	local dir
	for dir in "with space" "with,comma" 'with\back' "with	tab" "wïth"; do
		mkdir "$dir"
		mount_in_background "$dir/s" "$dir/m"
		echo x >"$dir/m/x"
		"$LSMFS" umount "$dir/m"
		[ "$("$LSMFS" get "$dir/s" x)" = x ]
	done
}

relative_and_linked_paths()
{
	ln -s s sl
	ln -s m ml
	(cd m && cd .. && "$LSMFS" mount ./sl ./ml)
	[ "$(cat m/both)" = offline ]
	"$LSMFS" umount ml
	[ "$("$LSMFS" get sl both)" = offline ]
}

# Each file of a store can be looked into, mounted or not; damage is named, and the rest shown.
dumps()
{
	local file
	mount_in_background d m
	echo content-of-a-file >m/dumped
	"$LSMFS" dump --wal --full d/wal-0000 >out
	grep -q 'content-of-a-file' out
	"$LSMFS" umount m
	for file in d/CURRENT d/*.manifest d/wal-*; do
		"$LSMFS" dump "$file" >out
		[ -s out ]
	done
	"$LSMFS" dump --manifest --hex d/*.manifest >out
	grep -q 'record 0' out
	refused 'kind' "$LSMFS" dump d/LOCK
	refused 'none' "$LSMFS" dump d/none
	refused 'usage|help' "$LSMFS" dump
	printf X | dd of=d/CURRENT bs=1 seek=8 conv=notrunc status=none
	refused 'CURRENT.*checksum' "$LSMFS" dump d/CURRENT
	grep -q DAMAGED "$work/out"
	rm -r d
}

backups()
{
	"$LSMFS" backup s saved | grep -q '^backup 1: '
	echo second | "$LSMFS" put s both
	"$LSMFS" backup s saved | grep -q '^backup 2: '
	"$LSMFS" backup -q s saved >out
	[ ! -s out ]
	[ "$("$LSMFS" backup --list saved | wc -l)" = 3 ]
	"$LSMFS" backup --verify saved
	"$LSMFS" backup --verify saved 2
	"$LSMFS" restore saved 1 again
	[ "$("$LSMFS" get again both)" = offline ]
	"$LSMFS" restore saved newest
	[ "$("$LSMFS" get newest both)" = second ]
	mount_in_background newest m
	cmp m/large blob
	refused 'mounted on' "$LSMFS" backup newest saved
	"$LSMFS" umount m
	refused 'exists already' "$LSMFS" restore saved 1 again
	refused 'no backup 9' "$LSMFS" backup --delete 9 saved
	refused 'such backup' "$LSMFS" restore saved 9 ninth
	[ ! -e ninth ]
	refused 'not a directory of backups' "$LSMFS" backup s s
	refused 'not a directory' "$LSMFS" backup --list none
	refused 'no store' "$LSMFS" backup none saved
	refused 'number' "$LSMFS" restore saved first again
	refused 'number' "$LSMFS" backup --delete x saved
	refused 'only one' "$LSMFS" backup --list --verify saved
	"$LSMFS" backup --delete 1 saved
	[ "$("$LSMFS" backup --list saved | wc -l)" = 2 ]
	"$LSMFS" backup --verify saved
	local file
	file=$(ls -S saved/*.sst saved/*.blob 2>/dev/null | head -n 1)
	printf 'x' | dd of="$file" bs=1 seek=100 conv=notrunc status=none
	refused "$(basename "$file")" "$LSMFS" backup --verify saved
	refused "$(basename "$file")" "$LSMFS" restore saved 2 damaged
	[ ! -e damaged ]
	echo offline | "$LSMFS" put s both
}

point "help and version" help_and_version
point "wrong commands" wrong_commands
point "put, get, ls, stat, rm" round_trip
point "dump" dumps
point "offline and mounted agree" offline_and_mounted_agree
point "verbs on a mounted store" through_the_mount
point "an interrupted put on a mounted store" interrupted_put
point "rights on a mounted store" rights_through_the_mount
point "mounts that only have the store's name" false_mounts
point "what is mounted within or above" mounts_within
point "scan, mounted" scans mounted
point "scan" scans unmounted
point "hard names" hard_names_are_reached
point "hard names, mounted" hard_names_mounted
point "hard names removed" hard_names_are_removed
point "hard names removed, mounted" hard_names_mounted_and_removed
point "ls sorts as ls(1) does" sorted_as_ls_does
point "rm -r of . and .. is refused" dots_are_not_removed
point "mount answers when it returns, umount when all is done" answers_when_it_returns
point "unmounted by the system" umount_by_the_system
point "bad directories" bad_directories
point "bad stores" bad_stores
point "bad options" bad_options
point "a store has one owner" one_owner
point "a busy mount stays" busy
point "read-only" read_only
point "options take effect" options_take_effect
point "mount.lsmfs" helper mount.lsmfs
point "mount.lsmfs, the flags of mount(8)" helper mount.lsmfs -n -s -t fuse.lsmfs
point "mount.fuse.lsmfs" helper mount.fuse.lsmfs
point "no rights" no_rights
point "a mount whose process is dead" dead_mount
point "backup and restore" backups
point "awkward paths" awkward_paths
point "relative and linked paths" relative_and_linked_paths
[ "$bad_points" = 0 ]
