#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What Python's library does with files, and mail delivered by procmail and read by Python, in the mount. Prints TAP.
. "$(dirname "$0")/lib.sh"

python=/usr/bin/python3
[ -x $python ] || python=python3
needs $python
export PYTHONDONTWRITEBYTECODE=

does()
{
	$python "$root/tests/mount/python_programs.py" "$1" "$mnt/$1"
}

# Two deliveries at a time into a Maildir, and into one mbox, which they lock by a dot file.
mail()
{
	local i
	needs procmail formail lockfile
	mkdir -p "$mnt/mail"
	cd "$mnt/mail"
	printf '%s\n' "MAILDIR=$mnt/mail" LOGFILE=log LOCKSLEEP=1 ':0c' 'new/' ':0:' 'box' >rc
	for i in $(seq 6); do
		printf 'From sender@example.com Mon Jan  1 00:00:00 2024\nSubject: %d\n\nText of %d\n' "$i" "$i" |
			procmail -p -m rc &
		[ $((i % 2)) != 0 ] || wait
	done
	wait
	[ "$(find new/new -type f | wc -l)" = 6 ] || { cat log; fail "$(find new/new -type f | wc -l) mails in the Maildir"; }
	[ -z "$(ls -A new/tmp)" ] || fail "mails are left in tmp"
	[ "$(formail -s echo <box | wc -l)" = 6 ] || fail "mails are missing in the mbox"
	[ "$(formail -s formail -c -x Subject: <box | sort -n | tr -d ' \n')" = "$(seq -s '' 6)" ] || fail "mails are mixed up in the mbox"
	[ ! -e box.lock ] || fail "a lock is left"
	$python -c 'import mailbox, sys
m = mailbox.Maildir("new", create=False)
sys.exit(sorted(int(x["Subject"]) for x in m) != list(range(1, 7)))' || fail "Python reads other mails"
}

mount_start
echo "# $($python --version)"
point "venv, with links and with copies" does venv
point "compileall" does compileall
point "shelve, dbm" does shelve
point "mailbox: Maildir and mbox, three writers" does mailbox
point "multiprocessing: shared maps, locks, appends" does multiprocessing
point "zipfile, tarfile, shutil" does archives
point "tempfile, sendfile, copy_file_range, rotated logs, names" does files
point "procmail, formail: deliveries at once" mail
mount_stop
points_done
