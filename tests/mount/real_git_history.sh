#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# git's everyday work on a repository in the mount: many commits, rebases, worktrees, submodules, refs, locks. Prints TAP.
. "$(dirname "$0")/lib.sh"

needs git
export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_EDITOR=true
git config --global safe.directory '*'
git config --global user.name "lsmfs tests"
git config --global user.email tests@localhost
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git config --global protocol.file.allow always
git config --global gc.auto 0

repo=$mnt/repo

sound()
{
	[ -z "$(git -C "$1" status --porcelain)" ] || fail "$1 is not clean"
	git -C "$1" fsck --full --strict --no-dangling >"$work/fsck" 2>&1 || { cat "$work/fsck"; fail "fsck of $1"; }
	[ -z "$(grep -v '^notice' "$work/fsck")" ] || { cat "$work/fsck"; fail "fsck of $1 finds something"; }
}

commit()
{
	git add -A
	git commit -q -m "$1"
}

many_commits()
{
	local i
	git init -q "$repo"
	cd "$repo"
	for i in $(seq 40); do
		mkdir -p "dir$((i % 7))"
		echo "$i" >>"dir$((i % 7))/file$((i % 13))"
		commit "commit $i"
	done
	[ "$(git rev-list --count HEAD)" = 40 ] || fail "40 commits made $(git rev-list --count HEAD)"
	sound "$repo"
}

rebases()
{
	local i
	cd "$repo"
	git checkout -q -b topic HEAD~5
	for i in $(seq 8); do
		echo "topic $i" >>topic
		commit "topic $i"
	done
	git rebase -q main
	[ "$(git merge-base main topic)" = "$(git rev-parse main)" ] || fail "the rebase has another base"
	[ "$(git rev-list --count main..topic)" = 8 ] || fail "the rebase lost commits"
	echo fixed >fixed
	git add fixed
	git commit -q --fixup=HEAD~5
	GIT_SEQUENCE_EDITOR=true git rebase -q -i --autosquash main
	[ "$(git rev-list --count main..topic)" = 8 ] || fail "autosquash has not squashed"
	sound "$repo"
}

rebase_aborted()
{
	local before
	cd "$repo"
	before=$(git rev-parse topic)
	git checkout -q -b other main
	echo "not the same" >topic
	commit "a conflict"
	git checkout -q topic
	git rebase -q other >"$work/rebase" 2>&1 && fail "no conflict"
	[ -d .git/rebase-merge ] || fail "git does not know that it rebases"
	git rebase --abort
	[ "$(git rev-parse topic)" = "$before" ] || fail "the abort went elsewhere"
	sound "$repo"
}

stashes()
{
	cd "$repo"
	echo more >>topic
	echo new >new
	git stash push -q -u
	sound "$repo"
	git stash pop -q
	[ "$(cat new)" = new ] || fail "the stash lost a file"
	commit "from the stash"
}

refs()
{
	local head i
	cd "$repo"
	head=$(git rev-parse HEAD)
	for i in $(seq 500); do
		echo "create refs/heads/many/$i $head"
	done | git update-ref --stdin
	git pack-refs --all --prune
	[ ! -e .git/refs/heads/many ] || fail "loose references are left"
	git branch -q -D many/77
	git update-ref refs/heads/many/78 HEAD~1
	[ "$(git for-each-ref 'refs/heads/many/*' | wc -l)" = 499 ] || fail "references are missing"
	[ "$(git rev-parse many/78)" = "$(git rev-parse HEAD~1)" ] || fail "the packed reference hides the loose one"
	sound "$repo"
}

# Four processes make references while a fifth packs them, and each takes the locks that it needs.
refs_at_once()
{
	local i j pids=() head
	cd "$repo"
	head=$(git rev-parse HEAD)
	for i in 1 2 3 4; do
		for j in $(seq 12); do
			git update-ref "refs/race/$i/$j" "$head" || exit 1
		done &
		pids+=($!)
	done
	for j in $(seq 8); do
		git pack-refs --all --prune || fail "pack-refs"
	done
	for i in "${pids[@]}"; do
		wait "$i" || fail "a reference could not be made"
	done
	[ "$(git for-each-ref refs/race | wc -l)" = 48 ] || fail "references are missing"
	git for-each-ref --format='delete %(refname)' refs/race refs/heads/many | git update-ref --stdin
	[ -z "$(find .git -name '*.lock')" ] || fail "locks are left"
}

locks()
{
	cd "$repo"
	echo locked >locked
	: >.git/index.lock
	git add locked 2>"$work/locked" && fail "git ignores index.lock"
	grep -q "index.lock': File exists" "$work/locked" || fail "git says something else: $(cat "$work/locked")"
	rm .git/index.lock
	: >.git/refs/heads/topic.lock
	git commit -q --allow-empty -m none 2>"$work/locked" && fail "git ignores the branch's lock"
	rm .git/refs/heads/topic.lock
	commit "after the locks"
	sound "$repo"
}

worktrees()
{
	cd "$repo"
	git worktree add -q "$mnt/tree" -b in-tree main
	echo tree >"$mnt/tree/tree"
	cd "$mnt/tree"
	commit "in the other worktree"
	sound "$mnt/tree"
	git -C "$repo" worktree move "$mnt/tree" "$mnt/tree2"
	cd "$repo"
	[ "$(git -C "$mnt/tree2" rev-parse HEAD)" = "$(git rev-parse in-tree)" ] || fail "the worktree lost its branch"
	git worktree remove "$mnt/tree2"
	[ ! -e "$mnt/tree2" ] || fail "the worktree is still there"
	[ "$(git worktree list | wc -l)" = 1 ] || fail "git still lists it"
}

clones()
{
	local from
	cd "$mnt"
	from=$(git -C "$repo" rev-parse HEAD)
	git clone -q "file://$repo" by-pack
	git clone -q --local "$repo" by-links
	git clone -q --shared "$repo" by-reference
	git clone -q --bare "file://$repo" bare.git
	git clone -q --depth 3 "file://$repo" shallow
	for r in by-pack by-links by-reference shallow; do
		[ "$(git -C $r rev-parse HEAD)" = "$from" ] || fail "$r has another head"
		sound "$mnt/$r"
	done
	[ -n "$(find by-links/.git/objects -type f -links +1)" ] || fail "a local clone makes no links"
	cd by-pack
	git push -q "$mnt/bare.git" HEAD:refs/heads/pushed
	[ "$(git -C "$mnt/bare.git" rev-parse pushed)" = "$from" ] || fail "nothing was pushed"
	git -C "$mnt/by-links" pull -q "$mnt/bare.git" pushed
}

submodules()
{
	git init -q "$mnt/super"
	cd "$mnt/super"
	git submodule --quiet add "file://$mnt/bare.git" sub
	commit "a submodule"
	git clone -q --recurse-submodules "file://$mnt/super" "$mnt/super2"
	diff -r --exclude=.git --no-dereference sub "$mnt/super2/sub" || fail "the submodule differs"
	sound "$mnt/super2"
	sound "$mnt/super2/sub"
	git submodule --quiet deinit -f sub
	[ -z "$(ls -A sub)" ] || fail "deinit has left files"
}

collected()
{
	cd "$repo"
	git reflog expire --expire=now --all
	git gc -q --prune=now
	[ "$(git count-objects | cut -d' ' -f1)" = 0 ] || fail "gc has left loose objects"
	git repack -q -a -d -f --depth=20 --window=20 --write-bitmap-index
	git commit-graph write --reachable 2>/dev/null
	git multi-pack-index write 2>/dev/null
	git multi-pack-index verify 2>/dev/null || fail "the index of packs"
	git bundle create -q "$mnt/all.bundle" --all
	git bundle verify -q "$mnt/all.bundle" 2>/dev/null || fail "the bundle"
	sound "$repo"
}

# git's own look at whether the times of directories tell what was made and removed in them. It sleeps most of its time.
probe()
{
	local code=0
	git -C "$mnt/probe" update-index --test-untracked-cache >"$work/probe" 2>&1 || code=$?
	echo $code >"$work/probe.code"
}

probed()
{
	wait_for 3000 test -s "$work/probe.code" || fail "git does not come to an end"
	[ "$(cat "$work/probe.code")" = 0 ] || { cat "$work/probe"; fail "git does not trust the times of directories"; }
}

last_commit()
{
	cd "$repo"
	echo last >last
	commit "the last one"
	git tag -a -m tagged last-tag
	git rev-parse HEAD >"$work/head"
}

# What was acknowledged is there after the daemon's death.
last_commit_is_there()
{
	[ "$(git -C "$repo" rev-parse HEAD)" = "$(cat "$work/head")" ] || fail "the last commit is lost"
	[ "$(git -C "$repo" rev-parse 'last-tag^{}')" = "$(cat "$work/head")" ] || fail "the tag is lost"
	sound "$repo"
}

mount_start
git init -q "$mnt/probe"
probe &
started $!
point "40 small commits" many_commits
point "rebase, and one with --autosquash" rebases
point "a rebase with a conflict, aborted" rebase_aborted
point "stash" stashes
point "500 references, packed" refs
point "references made while they are packed" refs_at_once
point "lock files" locks
point "worktrees" worktrees
point "clone: file://, --local, --shared, --bare, --depth; push and pull" clones
point "submodules" submodules
point "gc, repack, commit-graph, multi-pack-index, bundle" collected
point "the untracked cache trusts the times of directories" probed
point "a last commit" last_commit
mount_kill
mount_start
point "it is there after the daemon's death" last_commit_is_there
mount_stop
points_done
