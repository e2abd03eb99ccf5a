# viokit: Meson and Ninja do the work, tools/ the rest.
#
## make                 build everything into build/
## make run ARGS=...    vmnet, the kexts on a simulated Mac and a Linux guest at work (ARGS=--help)
## make test            static checks and all tests; T=regex picks test programs by name
## make quick           unit and model tests only
## make soak            the long tests
## make kext            the macOS kexts into build/kext/ (CLANG=clang-NN for another compiler)
## make kext-check      check them: shape, names, vtables, stack
## make pkg             the installer package and the zip for OpenCore into build/
## make bench           the benchmarks of the guest half
## make bench-host      vmnet beside vde_switch, QEMU's hub, slirp4netns and passt
## make install         vmnet into PREFIX (/usr/local), below DESTDIR
## make deb             vmnet as a Debian package into build/
## make coverage        which lines of the guest core the tests reach
## make gate            the static checks; tools/gate.sh STEP runs one of them
## make fmt             put all C files into the project's format
## make deps            install all that any of these needs
## make clean           remove what was built
##
## Each target first installs what it needs and is missing, from Debian (tools/deps.sh).

MAKEFLAGS += --no-print-directory

ARGS ?=
KEXTS = build/kext/VirtioPCI.kext build/kext/VirtioNet.kext
T ?=
J ?= $(shell nproc 2>/dev/null || echo 2)

all: build

build: deps-build
	@tools/build.sh build

# Nothing stands between make and the program: its output, Ctrl-C and status are its own.
run: deps-run build/.pkg
	@tools/build.sh build vmnet tools/viorun/viorun tools/kdp/kdp
	@exec tools/demo/run --build build $(ARGS)

# The installer package, made again if anything of it changed.
PKG_SOURCES = $(shell find common wire guest packaging tools/kext tools/kextld tools/mkpkg \
	-type f) meson.build
build/.pkg: $(PKG_SOURCES)
	@echo "building the kexts and their installer package" >&2
	@log=$$(mktemp); $(MAKE) pkg >$$log 2>&1 || { cat $$log; rm -f $$log; exit 1; }; rm -f $$log
	@touch $@

# What the tests see is the sanitizer build. Suites that move much data run once more as people
# build it, and valgrind needs a build without sanitizers.
TESTS = build-asan:all build:qemu,plain,valgrind

test: deps-test
	@tools/runtests --gate -j $(J) $(if $(T),-k '$(T)') $(TESTS)

quick: deps-gate
	@tools/runtests -j $(J) $(if $(T),-k '$(T)') build-asan:unit,model

soak: deps-test
	@tools/runtests -j $(J) $(if $(T),-k '$(T)') build-asan:soak

bench: deps-bench kext
	@tools/build.sh build bench/bench_model bench/bench_qemu bench/bench_mac bench/bench_guest \
		tools/viorun/viorun
	@bench/run $(ARGS)

# root; sets up what it measures in network namespaces of its own
bench-host: deps-bench
	@tools/build.sh build vmnet bench/host/standin
	@bench/host/run $(ARGS)

install: deps-build
	@tools/install.sh

deb: deps-build
	@tools/install.sh deb

kext: deps-pkg
	@tools/build.sh build tools/kextld/kextld
	@tools/kext/build

kext-check: kext
	@tools/kextcheck/kextcheck --su build/kext/obj $(KEXTS)

pkg: kext
	@tools/build.sh build tools/mkpkg/mkpkg
	@build/tools/mkpkg/mkpkg pkg -o build packaging/viokit.conf $(KEXTS)
	@build/tools/mkpkg/mkpkg zip -o build packaging/viokit.conf $(KEXTS)

coverage: deps-test
	@tools/coverage.sh

gate: deps-gate
	@tools/gate.sh

fmt: deps-gate
	@python3 -B tools/sources.py '\.(c|h|cpp)$$' | xargs clang-format -i

deps-build deps-run deps-gate deps-test deps-bench deps-pkg:
	@tools/deps.sh $(@:deps-%=%)

deps:
	@tools/deps.sh all

clean:
	@rm -rf build build-asan build-cov build-install build-deb

help:
	@sed -n 's/^## //p' Makefile

export PREFIX DESTDIR

.PHONY: all build run test quick soak bench bench-host install deb kext kext-check pkg coverage
.PHONY: gate fmt deps clean help
.PHONY: deps-build deps-run deps-gate deps-test deps-bench deps-pkg
