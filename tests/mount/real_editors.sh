#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Editors save in the mount in all their ways: by renaming, by copying, with backups, swap files and locks. Prints TAP.
. "$(dirname "$0")/lib.sh"

export HOME=$work TERM=xterm
dir=$mnt/edited

# fresh NAME: an empty directory to work in, with a file of two names, one of them a symbolic link's target.
fresh()
{
	mkdir -p "$dir/$1"
	cd "$dir/$1"
	printf 'first\nold\nlast\n' >file
	chmod 640 file
	setfattr -n user.note -v kept file
	ln -s file soft
}

inode()
{
	stat -c %i "$1"
}

holds()
{
	[ "$(cat "$1")" = "$2" ] || fail "$1 holds: $(cat "$1")"
}

new_text=$(printf 'first\nnew\nlast')
old_text=$(printf 'first\nold\nlast')

vim_program=$(command -v vim || command -v vim.tiny || echo vim)
vim()
{
	# it makes no backups of what lies in /tmp unless it is told to
	"$vim_program" -N -u NONE -i NONE -e -s -c 'set backupskip=' "$@" </dev/null
}

vim_saves()
{
	local before
	needs "$vim_program"
	fresh vim
	before=$(inode file)
	vim -c 'set backup backupcopy=yes' -c '%s/old/new/' -c 'wq' file
	holds file "$new_text"
	holds file~ "$old_text"
	[ "$(inode file)" = "$before" ] || fail "backupcopy=yes made another file"
	vim -c 'set backup backupcopy=no backupext=.bak' -c '%s/new/old/' -c 'wq' file
	holds file "$old_text"
	holds file.bak "$new_text"
	[ "$(inode file)" != "$before" ] || fail "backupcopy=no kept the file"
	[ "$(stat -c %a file)" = 640 ] || fail "the mode is $(stat -c %a file)"
	ln file hard
	vim -c 'set writebackup backupcopy=auto' -c '%s/old/new/' -c 'wq' file
	[ "$(inode file)" = "$(inode hard)" ] || fail "backupcopy=auto broke a hard link"
	holds hard "$new_text"
	vim -c '%s/new/old/' -c 'wq' soft
	[ -L soft ] || fail "the symbolic link is gone"
	holds file "$old_text"
	chmod 444 file
	vim -c 'set backupcopy=no' -c '%s/old/new/' -c 'wq!' file
	holds file "$new_text"
	[ "$(stat -c %a file)" = 444 ] || fail "the mode is $(stat -c %a file)"
	[ -z "$(find . -name '.*.sw?' -o -name '4913')" ] || fail "vim has left files"
}

# What a killed vim had in its swap file comes back.
vim_recovers()
{
	local pid
	needs "$vim_program"
	fresh vim-killed
	mkfifo "$work/vim-input"
	"$vim_program" -N -u NONE -i NONE -e -s file <"$work/vim-input" &
	pid=$!
	started $pid
	exec 3>"$work/vim-input"
	printf 'set directory=.\n%%s/old/new/\npreserve\n!touch %s\n' "$work/preserved" >&3
	wait_for 500 test -e "$work/preserved" || fail "vim does not get on"
	kill -9 $pid
	wait $pid 2>/dev/null || true
	exec 3>&-
	[ -e .file.swp ] || fail "there is no swap file"
	holds file "$old_text"
	"$vim_program" -N -u NONE -i NONE -e -s -r file -c 'wq!' </dev/null || true
	holds file "$new_text"
}

nano_is_up()
{
	grep -q 'GNU nano' "$work/screen"
}

# nano KEYS ARGUMENTS...: it runs on a terminal of its own, and gets the keys when it has set that up.
nano()
{
	local keys=$1
	shift
	: >"$work/screen"
	{
		wait_for 500 nano_is_up || true
		printf '%b' "$keys"
	} | timeout 20 script -q -f -e -c "nano --ignorercfiles $*" /dev/null >"$work/screen" ||
		{ cat "$work/screen"; fail "nano $*"; }
}
save_and_exit='\x0f\r\x18'

nano_saves()
{
	local before
	needs script
	[ -n "$(type -P nano)" ] || needs "the editor nano"
	fresh nano
	before=$(inode file)
	nano "zero\r$save_and_exit" --backup file
	holds file "$(printf 'zero\n%s' "$old_text")"
	holds file~ "$old_text"
	[ "$(inode file)" = "$before" ] || fail "nano made another file"
	[ "$(getfattr --only-values -n user.note file)" = kept ] || fail "the xattr is gone"
	mkdir backups
	nano "again\r$save_and_exit" --backup --backupdir=backups --locking file
	[ "$(find backups -type f | wc -l)" = 1 ] || fail "no backup in the directory for them"
	[ ! -e .file.swp ] || fail "nano's lock is left"
	nano "new$save_and_exit" fresh
	holds fresh new
}

emacs_batch()
{
	# nor does this one
	emacs -Q --batch --eval '(setq backup-enable-predicate (lambda (name) t))' "$@" 2>"$work/emacs" || { cat "$work/emacs"; fail "emacs"; }
}

emacs_saves()
{
	local before edit='(progn (find-file "file") (goto-char (point-max)) (insert "line\n")'
	needs emacs
	fresh emacs
	before=$(inode file)
	emacs_batch --eval "$edit (setq make-backup-files t backup-by-copying nil) (save-buffer))"
	holds file~ "$old_text"
	[ "$(inode file~)" = "$before" ] || fail "the backup is not the old file, renamed"
	[ "$(stat -c %a file)" = 640 ] || fail "the mode is $(stat -c %a file)"
	before=$(inode file)
	emacs_batch --eval "$edit (setq make-backup-files t backup-by-copying t version-control t) (save-buffer))"
	[ "$(inode file)" = "$before" ] || fail "backup-by-copying made another file"
	[ "$(wc -l <'file.~1~')" = 4 ] || fail "the numbered backup"
	emacs_batch --eval "$edit (setq file-precious-flag t) (save-buffer))"
	[ "$(inode file)" != "$before" ] || fail "file-precious-flag has written into the file"
	[ "$(wc -l <file)" = 6 ] || fail "lines are missing"
	emacs_batch --eval "$edit (setq create-lockfiles t) (lock-buffer) (unless (file-symlink-p \".#file\") (kill-emacs 3))
		(do-auto-save t) (setq buffer-auto-save-file-name (make-auto-save-file-name)) (auto-save-mode 1) (do-auto-save t)
		(unless (file-exists-p \"#file#\") (kill-emacs 4)) (save-buffer) (when (file-symlink-p \".#file\") (kill-emacs 5)))"
	[ -z "$(find . -name '.#*' -o -name '#*')" ] || fail "emacs has left files"
	[ "$(wc -l <file)" = 7 ] || fail "lines are missing"
	emacs_batch --eval '(progn (copy-directory "." "../emacs2" t) (delete-directory "../emacs2" t))'
	emacs_batch --eval '(progn (set-file-modes "file" #o600) (byte-compile-file (progn (with-temp-file "a.el" (insert "(defun a () 1)\n")) "a.el")))'
	[ -s a.elc ] || fail "nothing was compiled"
}

in_place()
{
	local before
	fresh in-place
	before=$(inode file)
	ln file hard
	sed -i.bak 's/old/new/' file
	holds file "$new_text"
	holds file.bak "$old_text"
	[ "$(inode file)" != "$before" ] || fail "sed -i writes into the file"
	holds hard "$old_text"
	[ "$(stat -c %a file)" = 640 ] || fail "the mode is $(stat -c %a file)"
	sed -i --follow-symlinks 's/new/old/' soft
	[ -L soft ] || fail "the symbolic link is gone"
	holds file "$old_text"
	sed -i 's/old/new/' file hard
	holds hard "$new_text"
	needs perl
	perl -i.orig -pe 's/new/perl/' file
	grep -q '^perl$' file || fail "perl -i"
	holds file.orig "$new_text"
	perl -i -ne 'print unless /perl/' file
	holds file "$(printf 'first\nlast')"
	[ -z "$(find . -name 'sed*')" ] || fail "sed has left files"
}

with_ed()
{
	needs ed
	fresh ed
	printf '/old/s//new/\na\nmore\n.\nw\nq\n' | ed -s file
	holds file "$(printf 'first\nnew\nmore\nlast')"
}

with_patch()
{
	needs patch
	fresh patch
	mkdir -p a/sub b/sub
	seq 100 >a/sub/numbers
	sed 's/^50$/fifty/' a/sub/numbers >b/sub/numbers
	echo gone >a/gone
	echo made >b/made
	diff -ruN a b >p || true
	cp -r a c
	patch -s -b -p1 -d c <p
	diff -r -x '*.orig' b c || fail "what was patched is not what was wanted"
	[ -e c/sub/numbers.orig ] || fail "there is no backup"
	patch -s -R -p1 -d c <p
	diff -r -x '*.orig' a c || fail "the patch can't be taken back"
	seq 200 300 >c/sub/numbers
	patch -s -p1 -d c <p >/dev/null && fail "the patch fits everywhere"
	[ -e c/sub/numbers.rej ] || fail "there are no rejects"
}

mount_start
echo "# $("$vim_program" --version 2>/dev/null | head -n 1 || true)"
point "vim: backupcopy yes, no, auto; links, read-only files" vim_saves
point "vim: recovery from the swap file" vim_recovers
point "nano: backups, locks" nano_saves
point "emacs: backups by renaming and copying, precious files, locks, auto-save" emacs_saves
point "sed -i, perl -i" in_place
point "ed" with_ed
point "patch, diff -r" with_patch
fingerprint "$dir" >"$work/before"
remount
same_tree()
{
	fingerprint "$dir" | diff "$work/before" - || fail "it has changed"
}
point "all of it is there after a remount" same_tree
mount_stop
points_done
