# What people, CI and a fresh machine run. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO  ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
DATA   ?= ./var

# Where cargo puts what a target builds. `run` uses the release profile, `demo` what the tests have built.
BUILT       = $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
run image: PROFILE = release
demo: PROFILE = dev

# The export of spans is in the package and the image, and in what the tests build; a plain build leaves it out.
FEATURES = --features avs-kms/otlp

# The program as the tests have built it. With another selection cargo resolves other features and builds again.
BUILD_TESTED = $(CARGO) build --workspace $(FEATURES) --locked --bins --example demo

SOFTHSM_MODULE := /usr/lib/softhsm/libsofthsm2.so
LIBRARIES      := /usr/lib/$(shell uname -m)-linux-gnu
CARGO_DENY     := 0.20.2
CARGO_FUZZ     := 0.13.2
SCHEMATHESIS   := 4.32.5

# Cases of each call for `make fuzz-api`; seconds of each target for `make fuzz`.
CASES   ?= 300
SECONDS_EACH ?= 60

# LONG=1: many more random cases, crashes and schedules.
ifdef LONG
export AVS_KMS_LONG := 1
endif

# In this order a mistake shows early and nothing is built twice.
CI_STEPS := fmt-check lint doc test test-modules demo fuzz-api-short deploy-check ct deny test-txtx test-chain test-containers

.PHONY: help
help: ## List the targets.
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

## Use

.PHONY: run
run: softhsm compiler ## Build, create ./var (or DATA=…) if there is none, serve on 127.0.0.1:8254.
	$(CARGO) build --profile $(PROFILE) --locked
	@test -e '$(DATA)' || '$(BUILT)/avs-kms' --data '$(DATA)' init
	exec '$(BUILT)/avs-kms' --data '$(DATA)' serve

.PHONY: demo
demo: softhsm compiler ## Create a key and sign on a service of its own, or on yours: AVS_KMS_URL=http://127.0.0.1:8254.
	$(BUILD_TESTED)
	'$(BUILT)/examples/demo' $(if $(AVS_KMS_URL),'$(DATA)' '$(AVS_KMS_URL:http://%=%)')

.PHONY: image
image: softhsm compiler docker ## Build the container image avs-kms:<version>, and its bill of materials in target/; PROFILE=dev of what is built already.
	$(if $(filter dev,$(PROFILE)),$(BUILD_TESTED),$(CARGO) build --profile $(PROFILE) $(FEATURES) --locked)
	deploy/image/build '$(BUILT)/avs-kms' >'$(TARGET)/avs-kms.cdx.json'

## Development

.PHONY: test
test: softhsm compiler curl strace openssl gdb ## Run every test and count them, or TEST='--test architecture' and the like; LONG=1 for the long forms.
	.ci/test $(if $(TEST),,--guarantees) $(CARGO) test --workspace $(FEATURES) --locked $(TEST)

.PHONY: test-modules
test-modules: softhsm compiler modules $(if $(LONG),modules-long) ## Run one suite on every PKCS#11 module and emulated device; ROWS='softhsm nss' for some, LONG=1 for all.
	ROWS='$(ROWS)' $(CARGO) test --workspace $(FEATURES) --locked --test modules

.PHONY: ci-container
ci-container: compiler docker ## Run `make test` in a container, as CI services do; TEST='--test architecture' for some of it.
	deploy/image/test TEST='$(TEST)'

# The service against what others wrote: one workspace, one target directory, features resolved once for all of it.
# The program under test is the one that `demo` has built, by the same command, so that nothing is built twice.
ECOSYSTEM = $(CARGO) test --locked --workspace --target-dir '$(TARGET)/ecosystem' \
	--manifest-path tests/ecosystem/Cargo.toml
PROGRAM   = AVS_KMS_PROGRAM='$(abspath $(TARGET))/debug/avs-kms'

.PHONY: test-txtx
test-txtx: softhsm compiler openssl-dev ## Run the shipped runbooks, and every refusal, in the real TXTX engine.
	$(BUILD_TESTED)
	$(PROGRAM) $(ECOSYSTEM) --test login --test rotation --test runbooks -- --nocapture

.PHONY: test-chain
test-chain: softhsm compiler openssl-dev node ## Register with EigenLayer's real contracts on a real EVM, from Rust and JavaScript.
	$(BUILD_TESTED)
	mkdir -p '$(TARGET)/ecosystem/node'
	cd tests/ecosystem/chain && cp package.json package-lock.json register.mjs '$(abspath $(TARGET))/ecosystem/node'
	npm ci --prefix '$(TARGET)/ecosystem/node' --ignore-scripts --no-audit --no-fund --loglevel=error
	AVS_KMS_ANVIL="$$(echo '$(abspath $(TARGET))'/ecosystem/node/node_modules/@foundry-rs/anvil-linux-*/bin/anvil)" \
		AVS_KMS_JAVASCRIPT='$(abspath $(TARGET))/ecosystem/node/register.mjs' \
		$(PROGRAM) $(ECOSYSTEM) --test abis --test contracts -- --nocapture

.PHONY: test-containers
test-containers: softhsm compiler openssl-dev docker ## Run the image in a real Docker engine: kills, full disks, wrong PINs, two at once.
	$(MAKE) --no-print-directory image PROFILE=dev
	$(PROGRAM) $(ECOSYSTEM) --test image --test life --test numbers --test refusals -- --nocapture

.PHONY: deploy-check
deploy-check: softhsm compiler curl prometheus compose systemd ## Evaluate every query of dashboard and alerts in Prometheus; check the unit and the compose file.
	$(BUILD_TESTED)
	deploy/check '$(TARGET)/debug/avs-kms'

.PHONY: residue
residue: softhsm compiler gdb ## Search the memory of the release binary for scalars and the PIN; as root, some minutes.
	$(CARGO) build --release $(FEATURES) --locked --bin avs-kms
	AVS_KMS_LONG=1 AVS_KMS_PROGRAM='$(abspath $(TARGET))/release/avs-kms' \
		.ci/test $(CARGO) test --locked --test service residue:: -- --nocapture

.PHONY: login-anvil
login-anvil: softhsm compiler ## Log in through anvil's JSON-RPC signer; fetches anvil with npm.
	npm install --silent --no-save --prefix '$(TARGET)/anvil' @foundry-rs/anvil@1.7.1
	ANVIL="$$(echo '$(abspath $(TARGET))'/anvil/node_modules/@foundry-rs/anvil-*/bin/anvil)" \
		$(CARGO) test --package avs-kms --test service --locked anvil -- --ignored

.PHONY: ct
ct: compiler valgrind ## Prove by valgrind that no branch and no address depends on a scalar.
	hsm/bn254/ct/run memcheck

.PHONY: dudect
dudect: compiler ## Look for a dependence on the scalar in measured times; wants a quiet machine.
	hsm/bn254/ct/run dudect

.PHONY: bench
bench: softhsm compiler ## Measure enclave, service and audit log: signatures per second, latency, what the sync costs.
	$(CARGO) bench --package hsm --bench enclave --locked
	$(CARGO) bench --package avs-kms --bench service --locked
	$(CARGO) bench --package audit-log --bench audit --locked

.PHONY: load
load: softhsm compiler ## Measure goodput and latency at 1, 2, 4 and 10 times the load that the service can carry.
	$(CARGO) bench --package avs-kms --bench load --locked

.PHONY: load-hostile
load-hostile: softhsm compiler ## Attack the service for 60 s at 10 times the honest rate; fails if a figure misses its must. SECONDS=10
	SECONDS='$(SECONDS)' $(CARGO) bench --package avs-kms --bench hostile --locked

.PHONY: fuzz-api
fuzz-api: softhsm compiler curl schemathesis ## Run schemathesis against the service, all checks on; CASES=300 for each call.
	$(BUILD_TESTED)
	fuzz/api/run '$(TARGET)/debug/avs-kms' '$(TARGET)/schemathesis' '$(CASES)'

.PHONY: fuzz-api-short
fuzz-api-short: ## Run schemathesis with 10 cases for each call, for CI.
	@$(MAKE) --no-print-directory fuzz-api CASES=10

.PHONY: fuzz
fuzz: compiler cargo-fuzz ## Run each cargo-fuzz target of the service (nightly Rust); SECONDS_EACH=60.
	for target in fuzz/fuzz_targets/*.rs; do \
		$(CARGO) +nightly fuzz run --fuzz-dir fuzz --target-dir '$(TARGET)/fuzz' --sanitizer none \
			"$$(basename "$$target" .rs)" -- -max_total_time=$(SECONDS_EACH) -print_final_stats=1; \
	done

.PHONY: docs-browser
docs-browser: softhsm compiler chromium python ## Open /docs in headless Chromium, click a call, take a screenshot.
	$(BUILD_TESTED)
	tests/docs-browser/run '$(TARGET)/debug/avs-kms' '$(TARGET)/docs.png'

.PHONY: bench-curve
bench-curve: compiler cmake ## Measure the curve against arkworks and mcl, interleaved.
	$(CARGO) run --release --locked --manifest-path hsm/bn254/bench-peers/Cargo.toml --target-dir '$(TARGET)/bench-peers'

.PHONY: fmt
fmt: ## Format the source.
	$(CARGO) fmt --all
	$(CARGO) fmt --all --manifest-path tests/ecosystem/Cargo.toml

.PHONY: fmt-check
fmt-check: ## Check the format.
	$(CARGO) fmt --all --check
	$(CARGO) fmt --all --check --manifest-path tests/ecosystem/Cargo.toml

.PHONY: lint
lint: compiler locks words links ## Run clippy (warnings are errors), the word list and the link check.
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- --deny warnings
	$(CARGO) check --package avs-kms --all-targets --locked # a plain build, without the export of spans

.PHONY: locks
locks: ## Check that every Cargo.lock fits its manifests.
	@stale=; for lock in $$(git ls-files '*Cargo.lock'); do \
		$(CARGO) update --quiet --workspace --locked --manifest-path "$${lock%.lock}.toml" 2>/dev/null || stale="$$stale $$lock"; \
	done; \
	[ -z "$$stale" ] || { echo "stale:$$stale; cargo update --workspace --manifest-path <its Cargo.toml>, then commit" >&2; exit 1; }

.PHONY: words
words: ## Find words that CONTRIBUTING.md keeps out (lint/words.txt).
	@lint/self-test
	@lint/words

.PHONY: links
links: ## Check that every link and every path in pages and comments exists.
	@lint/self-test
	@lint/links

.PHONY: doc
doc: compiler ## Build the documentation, private items too; warnings are errors.
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --workspace --no-deps --document-private-items --locked

.PHONY: deny
deny: cargo-deny ## Check dependencies: bans, licences, sources (deny.toml).
	$(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources

.PHONY: advisories
advisories: cargo-deny ## Check dependencies for known holes; not in `make ci`, it fetches the RustSec database.
	$(CARGO) deny --locked check advisories

.PHONY: ci
ci: ## Run everything that must pass before a merge, with the seconds of each step.
	@for step in $(CI_STEPS); do \
		begin=$$SECONDS; \
		$(MAKE) --no-print-directory "$$step"; \
		echo "ci: $$step took $$((SECONDS - begin)) s"; \
	done

# What the targets above need. Each installs only what is missing.

# $(call need,TEST,PACKAGE): the Debian package is installed where the test fails; where that cannot be, says how.
define need
@$(1) >/dev/null 2>&1 || { \
	command -v apt-get >/dev/null || { echo 'error: missing: $(2), and there is no apt-get to install it' >&2; exit 1; }; \
	as_root=; \
	if [ "$$(id -u)" != 0 ]; then \
		command -v sudo >/dev/null || { \
			echo 'error: missing: $(2). As root: apt-get update && apt-get install --yes $(2)' >&2; exit 1; }; \
		as_root=sudo; \
	fi; \
	echo 'installing $(2)'; \
	$$as_root apt-get update --quiet=2 >/dev/null; \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends $(2) >/dev/null; \
	$(1) >/dev/null || { echo 'error: installed $(2), but this still fails: $(1)' >&2; exit 1; }; \
}
endef

.PHONY: softhsm
softhsm:
	$(call need,{ test -e $(SOFTHSM_MODULE) && command -v softhsm2-util; },softhsm2)

# What `test-modules` takes from Debian 12, with the tools that make their tokens and change their PINs.
.PHONY: modules
modules:
	$(call need,{ command -v pkcs11-tool && command -v softhsm2-util; },opensc softhsm2)
	$(call need,{ command -v p11-kit && test -e $(LIBRARIES)/pkcs11/p11-kit-client.so; },p11-kit p11-kit-modules)
	$(call need,{ PATH=$$PATH:/usr/sbin command -v pkcsslotd && command -v unshare && command -v setpriv; },opencryptoki util-linux)
	$(call need,{ command -v certutil && test -e $(LIBRARIES)/libsoftokn3.so; },libnss3 libnss3-tools)

# More: two from the crate registry, whose sources never come near ours; a TPM in software; a newer Debian, whose modules
# need a newer C library than this machine's.
define MODULES_LONG
[package]
name = "modules"
version = "0.0.0"
edition = "2024"

[dependencies]
kryoptic = { version = "=1.5.4", default-features = false, features = ["minimal"] }
kryoptic-lib = { version = "=1.5.4", default-features = false, features = ["dynamic"] }
craton-hsm = "=0.10.6"

[workspace]
endef
export MODULES_LONG

# One that was interrupted is laid again.
NEWER_DEBIAN = { rm -rf '$(TARGET)/modules/sid' && mkdir -p '$(TARGET)/modules' && \
	debootstrap --variant=minbase --include=opencryptoki,p11-kit,p11-kit-modules,softhsm2,opensc,util-linux \
		sid '$(abspath $(TARGET))/modules/sid' >'$(TARGET)/modules/sid.log' && touch '$(TARGET)/modules/sid/complete'; }

.PHONY: modules-long
modules-long: compiler
	$(call need,{ command -v swtpm && command -v tpm2-abrmd && command -v tpm2_ptool && command -v tpm2_getrandom && command -v dbus-daemon && test -e $(LIBRARIES)/libtpm2_pkcs11.so.1 && test -e $(LIBRARIES)/libtss2-tcti-swtpm.so.0 && test -e $(LIBRARIES)/libtss2-tcti-tabrmd.so.0; },swtpm libtpm2-pkcs11-1 libtpm2-pkcs11-tools tpm2-tools tpm2-abrmd dbus-daemon libtss2-tcti-swtpm0 libtss2-tcti-tabrmd0)
	$(call need,command -v debootstrap,debootstrap)
	test -e '$(TARGET)/modules/sid/complete' || $(NEWER_DEBIAN)
	$(call need,{ pkg-config --exists openssl sqlite3 && test -e /usr/lib/llvm-14/lib/libclang-14.so.1; },pkg-config libssl-dev libsqlite3-dev libclang1-14 libclang-common-14-dev)
	@mkdir -p '$(TARGET)/modules/src'
	@touch '$(TARGET)/modules/src/lib.rs'
	@echo "$$MODULES_LONG" >'$(TARGET)/modules/Cargo.toml'
	LIBCLANG_PATH=/usr/lib/llvm-14/lib $(CARGO) build --release --package kryoptic --package craton-hsm \
		--manifest-path '$(TARGET)/modules/Cargo.toml' --target-dir '$(TARGET)/modules'

# Rust links with it, and SQLite is compiled from source.
.PHONY: compiler
compiler:
	$(call need,command -v cc,gcc libc6-dev)

.PHONY: valgrind
valgrind:
	$(call need,command -v valgrind,valgrind)

# gcore and gdb write core files of a process that writes none itself.
.PHONY: gdb
gdb:
	$(call need,command -v gcore,gdb)

# mcl, a peer of bench-curve, is C++.
.PHONY: cmake
cmake:
	$(call need,{ command -v cmake && command -v c++; },cmake g++ make)

# eigen-utils asks for an HTTP client with the system's TLS.
.PHONY: openssl-dev
openssl-dev:
	$(call need,{ command -v pkg-config && pkg-config --exists openssl; },pkg-config libssl-dev)

# anvil comes from npm, and so does the JavaScript client.
.PHONY: node
node:
	$(call need,{ command -v node && command -v npm; },nodejs npm)

# A running engine, and the tools that make its images where no registry is reachable.
.PHONY: docker
docker:
	$(call need,{ docker version 2>&1 || command -v dockerd && command -v docker; },docker.io)
	$(call need,{ command -v debootstrap && command -v jq && command -v strip; },debootstrap debian-archive-keyring jq binutils)
	@deploy/image/engine

.PHONY: prometheus
prometheus:
	$(call need,{ command -v prometheus && command -v promtool && command -v jq && command -v python3; },prometheus jq python3)

.PHONY: compose
compose:
	$(call need,{ docker compose version 2>&1 || command -v docker-compose; },docker-compose)

.PHONY: systemd
systemd:
	$(call need,command -v systemd-analyze,systemd)

# The README's calls are made with it.
.PHONY: curl
curl:
	$(call need,command -v curl,curl)

# The kill test counts system calls with it.
.PHONY: strace
strace:
	$(call need,command -v strace,strace)

# Checks the signature of webhooks.
.PHONY: openssl
openssl:
	$(call need,command -v openssl,openssl)

.PHONY: chromium
chromium:
	$(call need,command -v chromium,chromium)

.PHONY: python
python:
	$(call need,python3 -c 'import ensurepip',python3 python3-venv)

# A pinned version in an environment of its own, made once.
.PHONY: schemathesis
schemathesis: python
	@'$(TARGET)/schemathesis/bin/schemathesis' --version 2>/dev/null | grep -qF '$(SCHEMATHESIS)' || { \
		python3 -m venv '$(TARGET)/schemathesis' && \
		'$(TARGET)/schemathesis/bin/pip' install --quiet --disable-pip-version-check schemathesis==$(SCHEMATHESIS); \
	}

.PHONY: cargo-fuzz
cargo-fuzz: compiler
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked --quiet cargo-fuzz@$(CARGO_FUZZ)

# Built from source, which works on every platform. Without its fat LTO that is minutes faster.
.PHONY: cargo-deny
cargo-deny: compiler
	@$(CARGO) deny --version >/dev/null 2>&1 || \
		CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
		$(CARGO) install --locked --quiet cargo-deny@$(CARGO_DENY)
