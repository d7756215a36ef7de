#!/bin/sh
# SPDX-License-Identifier: MIT
# check_tutorial.sh TUTORIAL.md tutorial.c [PROGRAM]: the C block of the page is the program, to the letter, and the
# program prints what the page says.
set -eu

page=$1
source=$2
program=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$page" >"$work/block.c"
if ! diff -u "$source" "$work/block.c"; then
	echo "check_tutorial: $page and $source differ" >&2
	exit 1
fi
[ -n "$program" ] || exit 0

# The output in the page: the indented lines between "prints" and "and leaves".
awk '/^prints$/ { on = 1; next } /^and leaves/ { on = 0 } on && sub(/^    /, "")' "$page" >"$work/expected"
for round in first second; do
	"$program" "$work/store" >"$work/output"
	if ! diff -u "$work/expected" "$work/output"; then
		echo "check_tutorial: $program prints something else than $page says ($round run)" >&2
		exit 1
	fi
done
