# visavis: everything that is done with this tree. `make help` lists it.
# Each target does its own set-up: on a fresh Debian 12 with Rust, `make run` is all it takes.

CARGO    ?= cargo
CACHE    := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
SUDO     := $(if $(filter 0,$(shell id -u)),,sudo)

# What the build compiles against: ALSA; bindgen for V4L2's structures; C and C++ for the codecs, with their assembly.
BUILD_PACKAGES := g++ cmake nasm pkg-config libasound2-dev libclang-dev
# What the lab's kernel is built with, and what its scenarios handle devices and networks with.
LAB_PACKAGES := make gcc flex bison bc xz-utils libc6-dev kmod iproute2 procps v4l-utils alsa-utils busybox udev systemd \
	e2fsprogs dmsetup

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
.PHONY: help setup setup-lab build run test check lab soak bench fuzz loom fmt clean install

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

# How far the unit is open at most, in tenths, as `systemd-analyze security` counts it: 0 is shut, 100 is open.
EXPOSURE_MAX := 20
check: setup ## format, lints, documentation, licences, minimum Rust version, the unit's sandbox
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --locked --no-deps --document-private-items
	$(CARGO) test --locked --test tidy
	$(call need,systemd)
	@mkdir -p target && sed 's|@PREFIX@|/usr|g' deploy/visavis.service >target/visavis.service
	@systemd-analyze security --offline=true --threshold=$(EXPOSURE_MAX) --no-pager target/visavis.service \
		>target/visavis.security || { cat target/visavis.security; exit 1; }
	@tail -n 1 target/visavis.security

# SCENARIO=NAME: only those with NAME in their name.
lab: setup-lab ## calls on real drivers, in a kernel of their own (first time: builds it, 5 minutes)
	VISAVIS_LAB=1 $(CARGO) test --release --locked --test lab -- $(SCENARIO)

# SECONDS=N: for how long.
soak: SECONDS := 3600
soak: setup-lab ## an hour's call in the lab: at the end it must be as at the start
	VISAVIS_LAB=1 VISAVIS_LAB_SECONDS=$(SECONDS) $(CARGO) test --release --locked --test lab -- soak

bench: setup ## what a frame costs on this machine, beside other programs
	$(call need,$(shell cat tests/bench/packages.txt))
	$(CARGO) bench --locked --test bench -- $(ARGS)

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
install: ## the program, its unit, users and device rules, man pages and completion (DESTDIR=, PREFIX=/usr/local)
	@test -x $(PROGRAM) || { echo "make build first (not as root)"; exit 1; }
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/visavis
	install -d $(DESTDIR)/etc/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|g' deploy/visavis.service >$(DESTDIR)/etc/systemd/system/visavis.service
	install -D -m 644 deploy/visavis.sysusers $(DESTDIR)/etc/sysusers.d/visavis.conf
	install -D -m 644 deploy/visavis.tmpfiles $(DESTDIR)/etc/tmpfiles.d/visavis.conf
	install -D -m 644 udev/70-visavis.rules $(DESTDIR)/etc/udev/rules.d/70-visavis.rules
	$(PROGRAM) man --out $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	$(PROGRAM) completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/visavis
	$(PROGRAM) completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_visavis
	$(PROGRAM) completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/visavis.fish
	test -e $(DESTDIR)/etc/visavis/station.toml || install -D -m 644 deploy/station.toml $(DESTDIR)/etc/visavis/station.toml
ifeq ($(DESTDIR),)
	systemd-sysusers visavis.conf
	systemd-tmpfiles --create visavis.conf
	udevadm control --reload && udevadm trigger
	systemctl daemon-reload
endif
