#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# stories.sh prepare|ready|run|check NAME - the stories of bench_mount: what people do, by the programs that they do it with.
#
#   STORY_DIR        where it is told: a directory on the file system that is measured
#   STORY_MATERIAL   a directory elsewhere, for what is made once
#   STORY_FILES, STORY_ENTRIES, STORY_ROWS   how many
#
# `prepare` comes before all is made cold, `ready` has the programs in memory again. Only `run` is measured. Exit code 77: what it takes is not installed.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$STORY_DIR
material=$STORY_MATERIAL
units=$((STORY_FILES / 500)) # of the project that is built
exec </dev/null
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null CCACHE_DISABLE=1 LC_ALL=C

needs()
{
	local p
	for p in "$@"; do
		if ! command -v "$p" >/dev/null; then
			echo "bench_mount: the story $name is left out: $p is not installed" >&2
			exit 77
		fi
	done
}

wrong()
{
	echo "bench_mount: $name: $*" >&2
	exit 1
}

# made NAME COMMAND...: once for all targets
made()
{
	local what=$1
	shift
	if [ ! -e "$material/$what.done" ]; then
		needs python3
		mkdir -p "$material"
		rm -rf "${material:?}/$what"
		"$@"
		touch "$material/$what.done"
	fi
}

make_tree()
{
	python3 "$here/material.py" "$1" "$material/$1" "$2"
}

make_repository()
{
	made sources make_tree sources $((STORY_FILES / 6))
	cp -r "$material/sources" "$material/repository"
	cd "$material/repository"
	git init -q .
	git add -A
	git -c user.name=Bench -c user.email=bench@example.org commit -q -m "all of it" --date "2024-01-01 00:00:00 +0000"
	git gc -q
}

make_archive()
{
	made sources make_tree sources $((STORY_FILES / 6))
	tar -C "$material" -cf "$material/archive" sources
}

prepare()
{
	case $name in
	git-*)
		needs git
		made repository make_repository
		;;
	tar-*) made archive make_archive ;;
	npm | rm-rf) made modules make_tree modules "$STORY_FILES" ;;
	ls-many-cold)
		needs python3
		python3 "$here/material.py" entries "$dir/many" "$STORY_ENTRIES"
		;;
	meson-build)
		needs meson ninja cc
		made project make_tree project "$units"
		;;
	sqlite) needs python3 ;;
	esac
	mkdir -p "$material"
}

# The programs are not what is measured.
ready()
{
	case $name in
	git-clone) git -C "$material/repository" fsck --no-progress ;;
	git-status*) git -C "$material/repository" status --porcelain ;;
	tar-*) tar -tf "$material/archive" ;;
	npm | rm-rf) rm -rf "$material/copy" && mkdir "$material/copy" && cp -r "$here/stories.sh" "$material/copy" ;;
	ls-many-cold) ls "$material" ;;
	sqlite) rm -f "$material/db" && python3 "$here/material.py" rows "$material/db" 1 ;;
	esac >"$material/out" 2>&1
}

run()
{
	case $name in
	# the objects of a clone beside its origin would be links to it
	git-clone) git clone -q --no-hardlinks "$material/repository" "$dir/clone" ;;
	git-status*) git -C "$dir/clone" status --porcelain >"$material/out" ;;
	tar-in) tar -C "$dir" -xf "$material/archive" ;;
	# into a pipe: to /dev/null it would not read
	tar-out-cold) tar -C "$dir" -cf - sources | wc -c >"$material/out" ;;
	npm) cp -r "$material/modules" "$dir/modules" ;;
	rm-rf) rm -rf "$dir/modules" ;;
	ls-many-cold)
		# shellcheck disable=SC2012
		ls "$dir/many" | wc -l >"$material/out"
		;;
	meson-build)
		meson setup "$dir/build" "$material/project" >"$material/out"
		ninja -C "$dir/build" >>"$material/out"
		;;
	sqlite) python3 "$here/material.py" rows "$dir/db" "$STORY_ROWS" ;;
	esac
}

check()
{
	case $name in
	git-clone)
		[ "$(git -C "$dir/clone" ls-files | wc -l)" = "$(find "$material/sources" -type f | wc -l)" ] ||
			wrong "the clone has not all files"
		git -C "$dir/clone" fsck --no-progress >/dev/null || wrong "the clone is damaged"
		;;
	git-status*) [ ! -s "$material/out" ] || wrong "a file has changed that nobody changed" ;;
	tar-in) tar -C "$dir" -df "$material/archive" || wrong "what was extracted is not what is in the archive" ;;
	tar-out-cold)
		[ "$(cat "$material/out")" = "$(stat -c %s "$material/archive")" ] || wrong "the archive has a wrong length"
		;;
	npm) diff -r "$material/modules" "$dir/modules" >/dev/null || wrong "the copy is not the same" ;;
	rm-rf) [ -z "$(ls -A "$dir")" ] || wrong "something is left" ;;
	ls-many-cold) [ "$(cat "$material/out")" = "$STORY_ENTRIES" ] || wrong "entries are missing" ;;
	meson-build) [ "$("$dir/build/program")" = "$units" ] || wrong "the program does not work" ;;
	sqlite) python3 "$here/material.py" count "$dir/db" "$STORY_ROWS" || wrong "rows are missing" ;;
	esac
}

step=$1
name=$2
"$step"
