# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# lib.sh - what the scripts share: messages, packages, builds.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# shellcheck disable=SC2034
packages_build="build-essential meson ninja-build pkg-config libfuse3-dev fuse3 liblz4-dev libzstd-dev libxxhash-dev liburing-dev"

say()
{
	echo "$*"
}

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		return 1
	fi
}

missing_packages()
{
	local p
	for p in "$@"; do
		if [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" != installed ]; then
			echo "$p"
		fi
	done
}

apt_install()
{
	as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install -y -q --no-install-recommends "$@"
}

# Installs those of the packages that are not there, or says why not and returns 1. Calls apt, and asks for rights, only
# if there are any.
install_missing()
{
	local missing log
	command -v dpkg-query >/dev/null || die "this is for Debian and its kin. Install by hand what stands for: $*"
	mapfile -t missing < <(missing_packages "$@")
	if [ "${#missing[@]}" = 0 ]; then
		return
	fi
	say "Installing ${missing[*]}"
	if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
		say "No rights to install packages, and no sudo. As root: apt-get install ${missing[*]}"
		return 1
	fi
	log=$(mktemp)
	# the package lists may be missing or too old: then once more with fresh ones
	if ! apt_install "${missing[@]}" >"$log" 2>&1 </dev/null; then
		if ! { as_root apt-get update -q && apt_install "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
			cat "$log" >&2
			rm -f "$log"
			say "The packages could not be installed (see above): ${missing[*]}"
			return 1
		fi
	fi
	rm -f "$log"
}

install_packages()
{
	install_missing "$@" || die "these packages are needed: $*"
}

# set_up DIR [MESON OPTIONS]: configures a build directory, anew if it is broken; CC may be set.
set_up()
{
	local dir=$1 log
	shift
	log=$(mktemp)
	if [ -f "$dir/build.ninja" ] && meson setup --reconfigure "$dir" "$root" "$@" >"$log" 2>&1 </dev/null; then
		rm -f "$log"
		return
	fi
	if [ -d "$dir/meson-private" ]; then
		rm -rf "$dir"
	fi
	if ! meson setup "$dir" "$root" "$@" >"$log" 2>&1 </dev/null; then
		cat "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

# build DIR [TARGETS]: quiet if all is well.
build()
{
	local dir=$1 log
	shift
	log=$(mktemp)
	if ! ninja -k 0 -C "$dir" "$@" >"$log" 2>&1 </dev/null; then
		grep -v '^\[[0-9]*/[0-9]*\] \(Compiling\|Linking\|Generating\)' "$log" >&2 || true
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}
