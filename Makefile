# visavis: everything that is done with this tree. `make help` lists it.
# Each target does its own set-up: on a fresh Debian 12 with Rust, `make run` is all it takes.

CARGO    ?= cargo
CACHE    := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
SUDO     := $(if $(filter 0,$(shell id -u)),,sudo)

# What the build compiles against: ALSA; OpenSSL; bindgen for V4L2's structures; C and C++ for the codecs, with their assembly.
BUILD_PACKAGES := g++ cmake nasm pkg-config libasound2-dev libclang-dev libssl-dev
# What the lab's kernel is built with, and what its scenarios handle devices and networks with.
LAB_PACKAGES := make gcc flex bison bc xz-utils libc6-dev kmod iproute2 procps v4l-utils alsa-utils busybox udev systemd \
	e2fsprogs dmsetup
# What the emulated boards are made of and run in.
BOARD_PACKAGES := qemu-system-arm qemu-user-static mmdebstrap uidmap libarchive-tools cpio kmod

# $(call need,PACKAGES): installs what is missing; silent, and without network, if nothing is.
define need
@missing=$$(for package in $(1); do \
	dpkg-query -W -f='$${db:Status-Abbrev}' $$package 2>/dev/null | grep -q ^ii || printf '%s ' $$package; done); \
if [ -n "$$missing" ] && ! command -v apt-get >/dev/null; then \
	echo "Not a Debian system; if the build fails, install what these Debian packages hold: $(1)"; \
elif [ -n "$$missing" ]; then \
	echo "Installing $$missing"; \
	install() { $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; }; \
	install 2>/dev/null || { $(SUDO) apt-get update -qq && install; }; \
fi
@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs, or apt-get install rustc-web cargo-web"; exit 1; }
endef

.DEFAULT_GOAL := help
.PHONY: help setup setup-lab build run test test-web test-mqtt check lab soak bench bench-network fuzz loom fmt clean install deb test-deb setup-cross cross test-arm board

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1@\2/p' $(MAKEFILE_LIST) | column -t -s @

setup: ## installs what the build needs (every target does, by itself)
	$(call need,$(BUILD_PACKAGES))

setup-lab: setup
	$(call need,$(LAB_PACKAGES))

build: setup ## the program, in target/release/visavis
	$(CARGO) build --release --locked

run: setup ## two stations on this machine call each other
	$(CARGO) run --release --locked -- demo $(ARGS)

test: setup ## all tests that need no special device
	$(CARGO) test --locked

# PICTURES=FOLDER: keeps pictures of the page there.
test-web: setup ## the page for phones and laptops, in a real browser; players and media servers, by aiortc
	$(call need,chromium chromium-driver python3-venv)
	@[ target/aiortc/done -nt tests/web/requirements.txt ] || { /usr/bin/python3 -m venv --clear target/aiortc && \
		target/aiortc/bin/pip install -q --no-deps --only-binary :all: --require-hashes -r tests/web/requirements.txt && \
		touch target/aiortc/done; }
	VISAVIS_BROWSER=1 VISAVIS_AIORTC=$(CURDIR)/target/aiortc/bin/python $(if $(PICTURES),VISAVIS_PICTURES=$(abspath $(PICTURES))) $(CARGO) test --locked --test web

test-mqtt: setup ## the house's own automation, with a real MQTT broker
	$(call need,mosquitto mosquitto-clients)
	VISAVIS_BROKER=1 $(CARGO) test --locked --test mqtt

# How far the unit is open at most, in tenths, as `systemd-analyze security` counts it: 0 is shut, 100 is open.
EXPOSURE_MAX := 20
check: setup ## format, lints, documentation, licences, minimum Rust version, the unit's sandbox
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --locked --no-deps --document-private-items
	$(CARGO) test --locked --test tidy
	$(call need,systemd)
	@mkdir -p target && for unit in visavis visavis-web visavis-mqtt; do \
		sed 's|@PREFIX@|/usr|g' deploy/$$unit.service >target/$$unit.service; \
		systemd-analyze security --offline=true --threshold=$(EXPOSURE_MAX) --no-pager target/$$unit.service \
			>target/$$unit.security || { cat target/$$unit.security; exit 1; }; \
		tail -n 1 target/$$unit.security; \
	done

# SCENARIO=NAME: only those with NAME in their name. One of them is of the Debian package.
lab: setup-lab $(if $(filter-out package,$(SCENARIO)),,deb) ## calls on real drivers, in a kernel of their own (first time: builds it, 5 minutes)
	VISAVIS_LAB=1 $(CARGO) test --release --locked --test lab -- $(SCENARIO)

# SECONDS=N: for how long.
soak: SECONDS := 3600
soak: setup-lab ## an hour's call in the lab: at the end it must be as at the start
	VISAVIS_LAB=1 VISAVIS_LAB_SECONDS=$(SECONDS) $(CARGO) test --release --locked --test lab -- soak

bench: setup ## what a frame costs on this machine, beside other programs
	$(call need,$(shell cat tests/bench/packages.txt))
	$(CARGO) bench --locked --test bench -- $(ARGS)

bench-network: setup ## the picture on bad networks, beside GStreamer's (7 minutes)
	$(call need,$(shell cat tests/bench/packages.txt))
	$(CARGO) bench --locked --test bench -- --network $(ARGS)

# The parsers under libFuzzer, each for FUZZ_SECONDS. Works with stable Rust: LLVM's coverage pass needs no nightly
# option. The address sanitizer does: SANITIZER=address adds it with RUSTC_BOOTSTRAP=1.
FUZZ_SECONDS ?= 60
FUZZ_TARGET  := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
FUZZ_FLAGS   := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions
FUZZ_BINS     = $(basename $(notdir $(wildcard tests/fuzz/targets/*.rs)))
fuzz: setup ## every parser of foreign bytes against random ones (FUZZ_SECONDS=60 each)
	$(if $(SANITIZER),RUSTC_BOOTSTRAP=1) RUSTFLAGS="$(FUZZ_FLAGS) $(if $(SANITIZER),-Zsanitizer=$(SANITIZER))" \
		$(CARGO) build --manifest-path tests/fuzz/Cargo.toml --target-dir target/fuzz --release --target $(FUZZ_TARGET)
	@target/fuzz/$(FUZZ_TARGET)/release/seeds target/fuzz/corpus $(FUZZ_BINS) 2>target/fuzz/seeds.log || { cat target/fuzz/seeds.log; exit 1; }
	@set -e; for bin in $(FUZZ_BINS); do \
		echo "fuzz $$bin, $(FUZZ_SECONDS) s"; \
		target/fuzz/$(FUZZ_TARGET)/release/$$bin -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -max_len=4096 \
			-timeout=10 -print_final_stats=1 -artifact_prefix=target/fuzz/$$bin- target/fuzz/corpus/$$bin \
			>target/fuzz/$$bin.log 2>&1 || { tail -n 40 target/fuzz/$$bin.log; exit 1; }; \
		grep -E 'number_of_executed_units|peak_rss_mb' target/fuzz/$$bin.log; \
	done

loom: setup ## the rings under a model checker: every interleaving of two threads
	RUSTFLAGS="--cfg loom" $(CARGO) test --locked --target-dir target/loom --release --lib ring::

fmt: ## formats the source
	$(CARGO) fmt

clean: ## removes what was built, but not the lab's kernel in ~/.cache/visavis-lab
	$(CARGO) clean

# A station on this machine. Nothing is started; `systemctl enable --now visavis` does that.
PREFIX  ?= /usr/local
PROGRAM ?= target/release/visavis
# What writes the man pages and the completion: the same program, built for this machine.
WRITER  ?= $(PROGRAM)
# A command that takes the symbols out of the installed program.
STRIP   :=
# Beneath /usr are a distribution's own; in /etc systemd and udev look too, whatever the prefix is.
SYSTEM   = $(DESTDIR)$(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)
SHARE    = $(DESTDIR)$(PREFIX)/share
install: ## the program, its unit, users and device rules, man pages and completion (DESTDIR=, PREFIX=/usr/local)
	@test -x $(PROGRAM) || { echo "$(PROGRAM) is missing: make build first, not as root (for another architecture make cross)"; exit 1; }
	install -D -m 755 $(if $(STRIP),-s --strip-program=$(STRIP)) $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/visavis
	for unit in visavis visavis-web visavis-mqtt; do sed 's|@PREFIX@|$(PREFIX)|g' deploy/$$unit.service | \
		install -D -m 644 /dev/stdin $(SYSTEM)/systemd/system/$$unit.service || exit 1; done
	install -D -m 644 deploy/visavis.sysusers $(SYSTEM)/sysusers.d/visavis.conf
	install -D -m 644 deploy/visavis.tmpfiles $(SYSTEM)/tmpfiles.d/visavis.conf
	install -D -m 644 udev/70-visavis.rules $(SYSTEM)/udev/rules.d/70-visavis.rules
	install -D -m 644 -t $(SHARE)/doc/visavis/examples udev/71-visavis-actions.rules.example deploy/station.toml
	umask 022 && $(WRITER) man --out $(SHARE)/man/man1
	$(WRITER) completion bash | install -D -m 644 /dev/stdin $(SHARE)/bash-completion/completions/visavis
	$(WRITER) completion zsh | install -D -m 644 /dev/stdin $(SHARE)/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)/_visavis
	$(WRITER) completion fish | install -D -m 644 /dev/stdin $(SHARE)/fish/vendor_completions.d/visavis.fish
	test -e $(DESTDIR)/etc/visavis/station.toml || install -D -m 644 deploy/station.toml $(DESTDIR)/etc/visavis/station.toml
ifeq ($(DESTDIR),)
	systemd-sysusers visavis.conf
	systemd-tmpfiles --create visavis.conf
	udevadm control --reload && udevadm trigger
	systemctl daemon-reload
endif

# The Debian package holds what `install` puts into a folder, and papers. Another architecture is that of TARGET, as Rust
# calls it; Debian's tools call it by GNU.
CARGO_DEB := $(CACHE)/visavis-tools/cargo-deb-3.8.0
STAGE     := target/stage
# The one for TARGET, or this machine, that was made last.
DEB        = $$(ls -t target/debian/*_$(or $(ARCHITECTURE),$$(dpkg --print-architecture)).deb | head -n 1)
GNU        = $(subst armv7-,arm-,$(subst -unknown,,$(TARGET)))
$(CARGO_DEB)/bin/cargo-deb:
	$(CARGO) install cargo-deb --quiet --locked --version 3.8.0 --root $(CARGO_DEB)

deb: build $(CARGO_DEB)/bin/cargo-deb ## the Debian package, in target/debian (TARGET=: of what `make cross TARGET=` built)
	$(call need,dpkg-dev binutils$(if $(TARGET),-$(GNU)) $(if $(SYSROOT),mmdebstrap uidmap))
	$(if $(SYSROOT),@deploy/cross/sysroot $(ARCHITECTURE) $(SYSROOT))
	rm -rf $(STAGE)
	$(MAKE) --no-print-directory install DESTDIR=$(STAGE) PREFIX=/usr STRIP=$(if $(TARGET),$(GNU)-)strip \
		WRITER=target/release/visavis PROGRAM=$(if $(TARGET),target/$(TARGET)/release/visavis,target/release/visavis)
	install -D -m 644 deploy/debian/lintian-overrides $(STAGE)/usr/share/lintian/overrides/visavis
	deploy/debian/licences $(TARGET) | gzip -9n | install -m 644 /dev/stdin $(STAGE)/usr/share/doc/visavis/licences.gz
	$(if $(SYSROOT),LD_LIBRARY_PATH=$(SYSROOT)/lib/$(GNU):$(SYSROOT)/usr/lib/$(GNU)) \
		$(CARGO_DEB)/bin/cargo-deb --locked --no-build --no-strip $(if $(TARGET),--target $(TARGET)) --output target/debian/

test-deb: deb ## installs, upgrades, removes and purges the package in small roots of Debian's releases (TARGET=: emulated)
	$(call need,mmdebstrap lintian uidmap $(if $(TARGET),qemu-user-static))
	lintian --fail-on error,warning --tag-display-limit 0 $(DEB)
	tests/package/run $(DEB)

# For boards of another architecture: TARGET, as Rust calls it. Where there is `cross`, it brings all that is needed. Else
# Debian's cross compilers do it, and Debian's own Rust: the standard library of rustup's is not to be had from Debian.
#   aarch64-unknown-linux-gnu       Pi 3, 4, 5, Zero 2 W, 64-bit; libraries for arm64 are installed beside this machine's
#   armv7-unknown-linux-gnueabihf   Pi 2, 3, 4, Zero 2 W, 32-bit, Bookworm; Rust's standard library is built anew from
#                                   its source, since Debian has it for armhf in the compiler's version not on every
#                                   mirror, and ALSA's is unpacked into SYSROOT
#   arm-unknown-linux-gnueabihf     Pi 1, Zero, Zero W (ARMv6): `cross` alone, since Debian's compiler makes ARMv7 of it
# What .cargo/config.toml says to the C++ compiler and to nasm holds for ARM too, where nothing looks at AVX2.
CROSS        := $(shell command -v cross)
ARCHITECTURE  = $(if $(filter aarch64-%,$(TARGET)),arm64)$(if $(filter armv7-%,$(TARGET)),armhf)
SYSROOT       = $(if $(filter armhf,$(ARCHITECTURE)),$(CURDIR)/target/armhf)
CROSS_PACKAGES_arm64 = libstd-rust-web-dev:arm64 libstdc++6:arm64 libasound2-dev:arm64 libssl-dev:arm64
CROSS_PACKAGES_armhf = rust-web-src mmdebstrap uidmap
CROSS_OPTIONS_armhf  = -Zbuild-std
EMULATOR_arm64       = qemu-aarch64-static
EMULATOR_armhf       = qemu-arm-static -L $(SYSROOT)
CROSS_SETTING = CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)
# RUSTC_BOOTSTRAP: a stable compiler builds its own standard library only if it is told that this is meant.
CROSS_CARGO   = $(or $(CROSS),env RUSTC=/usr/bin/rustc $(if $(CROSS_OPTIONS_$(ARCHITECTURE)),RUSTC_BOOTSTRAP=1) \
	$(CROSS_SETTING)_LINKER=$(GNU)-gcc $(CROSS_SETTING)_RUNNER="$(EMULATOR_$(ARCHITECTURE))" \
	PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_SYSROOT_DIR_$(subst -,_,$(TARGET))=$(SYSROOT) \
	PKG_CONFIG_LIBDIR_$(subst -,_,$(TARGET))=$(SYSROOT)/usr/lib/$(GNU)/pkgconfig:$(SYSROOT)/usr/share/pkgconfig \
	/usr/bin/cargo $(CROSS_OPTIONS_$(ARCHITECTURE)))
setup-cross cross test-arm board: TARGET := aarch64-unknown-linux-gnu
setup-cross: setup
ifeq ($(CROSS),)
	@test -n "$(ARCHITECTURE)" || { echo "For $(TARGET) the command cross is needed: see https://github.com/cross-rs/cross"; exit 1; }
	@[ $(ARCHITECTURE) != arm64 ] || ! command -v dpkg >/dev/null || dpkg --print-foreign-architectures | grep -qx arm64 || \
		$(SUDO) dpkg --add-architecture arm64
	$(call need,cargo-web rustc-web g++-$(GNU) $(CROSS_PACKAGES_$(ARCHITECTURE)))
	$(if $(SYSROOT),@deploy/cross/sysroot $(ARCHITECTURE) $(SYSROOT))
endif

cross: setup-cross ## the program for ARM boards (TARGET=aarch64-unknown-linux-gnu, armv7-unknown-linux-gnueabihf), in target/TARGET/release
	$(CROSS_CARGO) build --release --locked --target $(TARGET)

# ROOMS=NAME: only those of one room. Left out is what emulation of a program does not have, calls of V4L2 and netlink, and what takes
# minutes there: whole simulated networks, hours of sound and thousands of symbols.
ARM_SKIPS := device::v4l2 sys::wireless link::endpoint codec::qr voice::network_tests voice::table_tests an_hour_at_300_ppm
test-arm: setup-cross ## the unit tests as an ARM board runs them, under emulation (TARGET= as with cross, ROOMS=NAME)
	$(call need,qemu-user-static)
	$(CROSS_CARGO) test --release --locked --lib --target $(TARGET) -- $(or $(ROOMS),$(addprefix --skip ,$(ARM_SKIPS)))

# BOARD=virt, BOARD=raspi3b: only that one.
board: cross ## the package on emulated 64-bit boards, with cameras, sound and GPIO of Debian's own kernel
	$(call need,$(BOARD_PACKAGES))
	$(MAKE) --no-print-directory deb TARGET=$(TARGET)
	tests/board/run "$(DEB)" $(BOARD)
