#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# This repository is cloned into the mount, built there, and unit tests of it run there (LSMFS_GIT_TESTS: which, "" for all
# that have one thread); then git looks after itself.
. "$(dirname "$0")/lib.sh"

# Whoever owns the checkout, and whatever the caller's git is set to.
export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
git config --global safe.directory '*'
git config --global user.name "lsmfs tests"
git config --global user.email tests@localhost
git config --global init.defaultBranch main
git config --global advice.detachedHead false

# The checkout as it is now, changes that are not committed included, as a repository to clone from.
make_source()
{
	local top
	top=$(git -C "$root" rev-parse --show-toplevel 2>/dev/null || true)
	if [ "$top" = "$root" ] && git -C "$root" rev-parse -q --verify HEAD >/dev/null 2>&1 &&
		[ -z "$(git -C "$root" status --porcelain 2>/dev/null)" ]; then
		echo "file://$root"
		return
	fi
	if [ "$top" = "$root" ]; then
		if ! git clone -q --no-local "$root" "$work/source" 2>/dev/null; then
			rm -rf "$work/source"
			git init -q "$work/source"
		fi
		git -C "$root" ls-files -z --cached --others --exclude-standard >"$work/names"
	else # no repository: a release's archive
		git init -q "$work/source"
		(cd "$root" && find . -path './build*' -prune -o -path ./.git -prune -o -type f -print0) >"$work/names"
	fi
	rsync -a --from0 --files-from="$work/names" --ignore-missing-args "$root/" "$work/source/"
	git -C "$work/source" add -A
	git -C "$work/source" commit -q --allow-empty -m "the checkout as it is"
	echo "file://$work/source"
}

source_url=$(make_source)
step "clone $source_url"
mount_start
cd "$mnt"
git clone -q --no-local "$source_url" clone
cd clone
[ -z "$(git status --porcelain)" ] || fail "the fresh clone is not clean"
git fsck --full --strict 2>&1 | tee "$work/fsck" || fail "git fsck"
grep -qE '^(error|missing|broken|corrupt)' "$work/fsck" && fail "git fsck finds something"

if [ "${1:-}" = build ]; then
	step "build, and run unit tests there"
	meson setup build --buildtype=debug -Dtests=enabled -Dbench=disabled >"$work/setup.log" 2>&1 || { cat "$work/setup.log"; fail "meson setup"; }
	ninja -C build >"$work/ninja.log" 2>&1 || { grep -v '^\[' "$work/ninja.log"; fail "ninja"; }
	# shellcheck disable=SC2086
	meson test -C build --no-rebuild --suite unit --no-suite threads --print-errorlogs \
		${LSMFS_GIT_TESTS-blob db_open log manifest schema volume_data volume_names wal} >"$work/test.log" 2>&1 ||
		{ tail -n 100 "$work/test.log"; fail "the unit tests"; }
	tail -n 12 "$work/test.log"
	[ -z "$(git status --porcelain)" ] || fail "building has left something that git sees"
	ninja -C build | grep -q "no work to do" || fail "ninja would build again: time stamps"
fi

step "commits, branches, gc"
git checkout -q -b work
for i in 1 2 3 4 5 6 7 8 9 10; do
	echo "line $i" >>notes
	git add notes
	git commit -q -m "commit $i"
done
git checkout -q -
git merge -q --no-edit work
git gc -q --aggressive --prune=now
git fsck --full --strict || fail "git fsck after gc"
[ "$(wc -l <notes)" = 10 ] || fail "the merge lost lines"
git stash list
cd /
remount
git -C "$mnt/clone" fsck --full --strict || fail "git fsck after a remount"
[ -z "$(git -C "$mnt/clone" status --porcelain)" ] || fail "the clone is not clean after a remount"
mount_stop
