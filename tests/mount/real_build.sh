#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A C project is built in the mount by make, cmake and ninja, with the tools of gcc and binutils, and run from there; an npm
# package is packed and installed. Prints TAP. (real_git.sh builds lsmfs itself, by meson and ninja.)
. "$(dirname "$0")/lib.sh"

needs gcc make
units=12
project=$mnt/project
unset MAKEFLAGS MAKELEVEL LD_LIBRARY_PATH CFLAGS LDFLAGS

# A program, a static and a shared library; each unit gives its number, the program's output is their sum.
generate()
{
	local i
	mkdir -p "$project/src"
	cd "$project"
	echo "#define BONUS 1000" >src/common.h
	: >src/units.h
	for i in $(seq $units); do
		printf '#include "common.h"\n#include <stdio.h>\nint unit%d(void) { return %d; }\n' "$i" "$i" >"src/unit$i.c"
		echo "int unit$i(void);" >>src/units.h
	done
	echo 'int from_shared(void) { return 500; }' >src/shared.c
	{
		echo '#include "common.h"'
		echo '#include "units.h"'
		echo '#include <stdio.h>'
		echo 'int from_shared(void);'
		echo 'int main(void) { int sum = BONUS + from_shared();'
		seq $units | sed 's/.*/sum += unit&();/'
		echo 'printf("%d\n", sum); return 0; }'
	} >src/main.c
	cat >Makefile <<'MAKE'
CFLAGS = -O1 -g -pipe -Wall -fPIC
UNITS = $(patsubst %.c,%.o,$(wildcard src/unit*.c))
program: src/main.o libunits.a libshared.so
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ src/main.o -L. -lunits -lshared -Wl,-rpath,'$$ORIGIN'
libunits.a: $(UNITS)
	$(AR) cq $@ $(UNITS)
	ranlib $@
libshared.so: src/shared.o
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libshared.so -o $@ $<
%.o: %.c
	$(CC) $(CFLAGS) -MMD -c -o $@ $<
clean:
	rm -rf program libunits.a libshared.so src/*.o src/*.d
-include $(wildcard src/*.d)
MAKE
	cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.10)
project(small C)
file(GLOB UNITS src/unit*.c)
add_library(units STATIC ${UNITS})
add_library(shared SHARED src/shared.c)
add_executable(program src/main.c)
target_link_libraries(program units shared)
install(TARGETS program shared RUNTIME DESTINATION bin LIBRARY DESTINATION lib)
set_target_properties(program PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
enable_testing()
add_test(NAME runs COMMAND program)
CMAKE
}
sum=$((1000 + 500 + units * (units + 1) / 2))

logged()
{
	"$@" >"$work/log" 2>&1 || { tail -n 50 "$work/log"; fail "$*"; }
}

by_make()
{
	generate
	logged make -j2
	[ "$(./program)" = $sum ] || fail "the program says $(./program), wanted $sum"
	[ "$(ar t libunits.a | wc -l)" = $units ] || fail "the library lacks units"
	make -q || fail "make would build again: time stamps"
	sed -i 's/1000/2000/' src/common.h
	make -q && fail "make does not see the change"
	logged make -j2
	[ "$(./program)" = $((sum + 1000)) ] || fail "the program has not changed"
	sed -i 's/2000/1000/' src/common.h
	logged make
}

by_cmake()
{
	needs cmake ninja
	cd "$project"
	logged cmake -S . -B "$mnt/cmake" -G Ninja -DCMAKE_INSTALL_PREFIX="$mnt/installed"
	logged cmake --build "$mnt/cmake" --parallel 2
	(cd "$mnt/cmake" && logged ctest)
	logged cmake --install "$mnt/cmake"
	[ "$("$mnt/installed/bin/program")" = $sum ] || fail "the installed program says something else"
	logged ninja -C "$mnt/cmake"
	grep -q 'no work to do' "$work/log" || fail "ninja would build again"
}

ccache_counter()
{
	ccache --print-stats | awk -v name="$1" '$1 == name { n = $2 } END { print n + 0 }'
}

by_ccache()
{
	local before after
	needs ccache
	cd "$project"
	export CCACHE_DIR=$mnt/ccache CCACHE_CONFIGPATH=/dev/null CCACHE_BASEDIR=$mnt CC="ccache gcc"
	before=$(sha256sum src/*.o)
	logged make clean
	logged make -j2 CC="ccache gcc"
	[ "$(ccache_counter cache_miss)" -ge $((units + 2)) ] || { ccache -s; fail "nothing was put into the cache"; }
	logged make clean
	logged make -j2 CC="ccache gcc"
	[ "$(ccache_counter direct_cache_hit)" = $((units + 2)) ] || { ccache -s; fail "the second build has not hit"; }
	after=$(sha256sum src/*.o)
	[ "$before" = "$after" ] || fail "the cache gives other objects"
	[ "$(./program)" = $sum ] || fail "the program says $(./program)"
}

# gold and lld write their output through a shared map of it.
by_linker()
{
	needs "ld.$1"
	cd "$project"
	rm -f program libshared.so
	logged make LDFLAGS="-fuse-ld=$1"
	[ "$(./program)" = $sum ] || fail "the program says $(./program)"
	readelf -a program >/dev/null || fail "readelf"
}

with_binutils()
{
	cd "$project"
	cp program stripped
	strip stripped
	[ "$(./stripped)" = $sum ] || fail "stripped, it says $(./stripped)"
	[ "$(stat -c %s stripped)" -lt "$(stat -c %s program)" ] || fail "stripping has not made it smaller"
	objcopy --only-keep-debug program program.debug
	objcopy --add-gnu-debuglink=program.debug stripped
	[ "$(./stripped)" = $sum ] || fail "with a link to its debug file it says $(./stripped)"
	ar d libunits.a unit1.o
	ar r libunits.a src/unit1.o
	ar s libunits.a
	ar rcT thin.a src/unit*.o
	gcc -o thin src/main.o thin.a -L. -lshared -Wl,-rpath,"$project"
	[ "$(./thin)" = $sum ] || fail "linked with a thin archive it says $(./thin)"
	gcc -static -o static src/main.o src/shared.o libunits.a
	[ "$(./static)" = $sum ] || fail "linked statically it says $(./static)"
}

# gcc maps a precompiled header at the address at which it was made.
with_headers()
{
	cd "$project"
	gcc -o src/units.h.gch src/units.h
	gcc -Winvalid-pch -H -c -o pch.o -include src/units.h src/main.c 2>"$work/headers"
	grep -q '^! .*units.h.gch' "$work/headers" || { cat "$work/headers"; fail "the precompiled header is not taken"; }
	gcc -save-temps -c -o temps.o src/unit2.c
	gcc -flto -O2 -o lto src/main.c src/unit*.c src/shared.c
	[ "$(./lto)" = $sum ] || fail "with -flto it says $(./lto)"
}

# Two processes add to the same counters, under fcntl's locks.
with_coverage()
{
	local i
	mkdir "$mnt/cov"
	cd "$mnt/cov"
	printf 'int main(void) { return 0; }\n' >c.c
	gcc --coverage -o c c.c
	for i in $(seq 20); do ./c; done &
	for i in $(seq 20); do ./c; done
	wait
	gcov c >/dev/null
	grep -qE '^ +40: +1:' c.c.gcov || { cat c.c.gcov; fail "counts are lost"; }
}

running()
{
	local pid
	cd "$mnt"
	printf '#include <unistd.h>\n#include <dlfcn.h>\n#include <stdio.h>\nint main(int c, char **v) { if (c > 1) { void *h = dlopen(v[1], RTLD_NOW); if (!h) { puts(dlerror()); return 1; } int (*f)(void) = (int (*)(void))dlsym(h, "from_shared"); printf("%%d\\n", f()); return 0; } puts("up"); fflush(stdout); pause(); return 0; }\n' >wait.c
	gcc -o wait wait.c
	[ "$(./wait "$project/libshared.so")" = 500 ] || fail "dlopen"
	./wait >"$work/up" &
	pid=$!
	started $pid
	wait_for 500 grep -q up "$work/up" || fail "it does not run"
	{ echo x >>wait; } 2>"$work/busy" && fail "a running program can be written to"
	grep -q 'Text file busy' "$work/busy" || fail "another error: $(cat "$work/busy")"
	cp /bin/true other
	mv other wait # replaced, as installers do
	./wait
	[ "$(readlink "/proc/$pid/exe")" = "$mnt/wait (deleted)" ] || fail "what runs is $(readlink "/proc/$pid/exe")"
	kill "$pid"
	wait "$pid" || true
	printf '#!/bin/sh\necho "script $1"\n' >script
	chmod +x script
	[ "$(./script a)" = "script a" ] || fail "a script"
	chmod -x script
	./script a 2>/dev/null && fail "a file without x runs"
	return 0
}

by_npm()
{
	local i
	needs npm node
	export npm_config_cache=$mnt/npm-cache npm_config_update_notifier=false npm_config_audit=false npm_config_fund=false \
		npm_config_offline=true npm_config_userconfig=$work/npmrc HOME=$work
	mkdir -p "$mnt/js/left" "$mnt/js/right/lib" "$mnt/js/app"
	cd "$mnt/js"
	echo '{"name":"left","version":"1.2.3","main":"index.js","bin":{"left":"cli.js"}}' >left/package.json
	echo 'module.exports = () => "left";' >left/index.js
	printf '#!/usr/bin/env node\nconsole.log("cli " + require("./index.js")());\n' >left/cli.js
	echo '{"name":"right","version":"2.0.0","main":"index.js"}' >right/package.json
	echo 'module.exports = () => require("./lib/300.js");' >right/index.js
	for i in $(seq 300); do echo "module.exports = $i;" >"right/lib/$i.js"; done
	(cd left && logged npm pack --pack-destination ..)
	(cd right && logged npm pack --pack-destination ..)
	cd app
	echo '{"name":"app","version":"1.0.0","dependencies":{"left":"file:../left-1.2.3.tgz","right":"file:../right-2.0.0.tgz"},"scripts":{"go":"left"}}' >package.json
	logged npm install
	[ "$(node -p 'require("left")() + require("right")()')" = left300 ] || fail "the installed packages do not work"
	[ "$(npm run -s go)" = "cli left" ] || fail "its program does not run"
	logged npm ci # takes node_modules away, and makes it again from the lock file
	diff -r ../right node_modules/right || fail "the installed package differs"
	logged npm cache verify
	rm -r node_modules
	[ "$(ls -A)" = "$(printf 'package-lock.json\npackage.json')" ] || fail "something is left: $(ls -A)"
}

mount_start
point "make, gcc -pipe, ar, ranlib, a shared library" by_make
point "cmake, ninja, ctest, install" by_cmake
point "ccache: the second build hits" by_ccache
point "ld.bfd" by_linker bfd
point "ld.gold, which maps its output" by_linker gold
point "strip, objcopy, ar, thin archives, a static program" with_binutils
point "precompiled headers, -save-temps, -flto" with_headers
point "coverage counters of two processes" with_coverage
point "dlopen, ETXTBSY, a running program replaced, scripts" running
point "npm pack, install, ci; node_modules removed" by_npm
mount_stop
points_done
