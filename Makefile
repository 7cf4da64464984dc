# The everyday commands; `make` alone lists them. All of it also works by hand: a target is a line or two of cargo.

.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash

# Compiled dependencies, the compiler cache and the test tools outlive the checkout: a fresh clone builds warm.
DOLMEN_CACHE ?= $(HOME)/.cache/dolmen
CARGO_TARGET_DIR ?= $(DOLMEN_CACHE)/target
CCACHE_DIR ?= $(DOLMEN_CACHE)/ccache
CARGO_HOME ?= $(HOME)/.cargo
export DOLMEN_CACHE CARGO_TARGET_DIR CCACHE_DIR CARGO_HOME
export PATH := $(CARGO_HOME)/bin:$(DOLMEN_CACHE)/node/bin:$(PATH)

# RocksDB is C++ and takes longer to compile than the rest together. A CC or CXX from outside is left as it is.
ifneq ($(shell command -v ccache),)
ifeq ($(origin CC),default)
export CC := ccache gcc
endif
ifeq ($(origin CXX),default)
export CXX := ccache g++
endif
endif

# Settings of `make run`, and what the targets under "Measure" pass on, e.g. `make run BOXES=7 BASE_PORT=30000`.
BOXES ?= 4
DEVNET_DIR ?= devnet
BASE_PORT ?= 8545
BENCH_ARGS ?=
# Where `make image` leaves the image for the others, and what is passed on, e.g.
# `make image IMAGE_ARGS="--production --keys /media/keys"` and `make boot VM_ARGS="--fresh --rpc-port 8545"`.
IMAGE_DIR ?= out/image
IMAGE_ARGS ?=
VM_ARGS ?=
# Settings of `make sim`: how many seeds, and from which one on.
SEEDS ?= 10000
FIRST ?= 0
# Settings of `make monitoring`: files with what `/metrics` of boxes and registrars answered.
METRICS ?=
# Settings of `make churn`: for how many minutes, and a file for what the boxes take meanwhile.
MINUTES ?= 120
REPORT ?=
# Settings of `make bench-page`: for how many minutes.
PAGE_MINUTES ?= 5

STEP := scripts/step.sh
IMAGE_TOOL = "$(CARGO_TARGET_DIR)/debug/dolmen-image"
TEST_IMAGE = $(CARGO_TARGET_DIR)/test-image
NEXT_IMAGE = $(CARGO_TARGET_DIR)/next-image
# Targets call setup first and do their work in a second make: setup may install ccache, which the lines above look for.
MAKEFLAGS += --no-print-directory

##@ Run

.PHONY: run devnet
run: ## Build, then run a chain of four boxes on this machine until Ctrl-C
	@scripts/setup.sh build
	@$(MAKE) devnet

# exec: the node itself is what make waits for, so Ctrl-C reaches it and it shuts down in order.
devnet:
	@$(STEP) "build dolmen (dependencies optimised; the first time takes a while)" cargo build --locked -p dolmen
	@exec "$(CARGO_TARGET_DIR)/debug/dolmen" devnet --boxes $(BOXES) --dir "$(DEVNET_DIR)" --base-port $(BASE_PORT)

.PHONY: boot boot-run
boot: ## Run the built image in a virtual machine until Ctrl-C, e.g. `make boot VM_ARGS="--fresh"`
	@scripts/setup.sh all
	@$(MAKE) boot-run

# exec: Ctrl-C reaches the program, which asks the box to shut down.
boot-run:
	@$(STEP) "build the virtual machine" cargo build --locked -p dolmen-image-vmtest --bin dolmen-vm
	@exec "$(CARGO_TARGET_DIR)/debug/dolmen-vm" --image "$(IMAGE_DIR)/dolmen.img" $(VM_ARGS)

##@ Test

.PHONY: test lint fmt doc monitoring unit e2e sim soak churn fuzz test-boot
.PHONY: fmt-check clippy console-check deny doc-run monitoring-run tests-build test-image nextest unit-run e2e-run sim-run soak-run
.PHONY: churn-run fuzz-run test-boot-run fuzz-decoders fuzz-votes
test: ## Everything: format, lints, documents, monitoring, dependencies, all tests; ends with the test summary
	@scripts/setup.sh all
	@$(MAKE) fmt-check clippy console-check doc-run monitoring-run deny nextest

lint: ## Formatting, clippy and the dependency rules
	@scripts/setup.sh all
	@$(MAKE) fmt-check clippy console-check deny

fmt: ## Format the Rust code
	@cargo fmt --all

fmt-check:
	@$(STEP) "format" cargo fmt --all --check

clippy:
	@$(STEP) "clippy" cargo clippy --locked --workspace --all-targets -- -D warnings

# Types against the API's description, lints, format and unit tests of the box's page.
console-check:
	@$(STEP) "the page's own checks" npm --prefix appliance/console run --silent check

# Licences, banned crates and sources. Advisories need a database from the network: see deny.toml.
deny:
	@$(STEP) "dependency rules" cargo deny --locked check bans licenses sources

doc: ## Build the API documentation and the book, and check their links
	@scripts/setup.sh all
	@$(MAKE) doc-run

doc-run:
	@RUSTDOCFLAGS="-D warnings" $(STEP) "API documentation" cargo doc --locked --workspace --no-deps
	@$(STEP) "book" mdbook build docs --dest-dir "$(CARGO_TARGET_DIR)/book"
	@$(STEP) "links" python3 scripts/check_links.py "$(CARGO_TARGET_DIR)/book"

monitoring: ## Alert rules, dashboards and the tables of metrics, e.g. `make monitoring METRICS=box.txt`
	@scripts/setup.sh all
	@$(MAKE) monitoring-run

monitoring-run:
	@$(STEP) "monitoring" python3 -B scripts/check_monitoring.py $(addprefix --metrics ,$(METRICS))

# The end-to-end tests start the dolmen binary, and nextest alone would not build it. Together with the test targets,
# so that both see the same dependency features and nothing compiles twice.
tests-build:
	@$(STEP) "build the node and the tests" cargo build --locked --workspace --bins --tests

nextest: tests-build test-image
	@DOLMEN_IMAGE="$(TEST_IMAGE)" $(STEP) --last "tests" cargo nextest run --locked --workspace

# An image with the node that the other tests use: one test boots it.
test-image: tests-build
	@$(STEP) "image of this node (150 MB from Debian, once)" $(IMAGE_TOOL) build \
		--dolmen "$(CARGO_TARGET_DIR)/debug/dolmen" --out "$(TEST_IMAGE)"

unit: ## The tests that need no running node
	@scripts/setup.sh build
	@$(MAKE) unit-run

unit-run:
	@$(STEP) --last "unit tests" cargo nextest run --locked --workspace -E 'not (package(dolmen-tests) or binary(=boot))'

e2e: ## The end-to-end tests: real boxes, stock Ethereum tools, a browser
	@scripts/setup.sh all
	@$(MAKE) e2e-run

e2e-run: tests-build
	@$(STEP) --last "end-to-end tests" cargo nextest run --locked --workspace -E 'package(dolmen-tests)'

sim: ## Consensus in simulated networks, e.g. `make sim SEEDS=10000 FIRST=200` (200 seeds in `make test`)
	@scripts/setup.sh build
	@$(MAKE) sim-run

sim-run:
	@DOLMEN_SIM_SEEDS=$(SEEDS) DOLMEN_SIM_FIRST=$(FIRST) $(STEP) --last "simulation" \
		cargo nextest run --locked --workspace --lib --profile soak -E 'package(dolmen-consensus) and test(simulation)'

soak: ## The tests that run for hours (not part of `make test`)
	@scripts/setup.sh all
	@$(MAKE) soak-run

soak-run: tests-build
	@$(STEP) --last "soak tests" cargo nextest run --locked --workspace --profile soak --run-ignored only -E 'test(soak)'

churn: ## Boxes that come and go, and what they take, e.g. `make churn MINUTES=120 REPORT=churn.csv` (in `make soak` too)
	@scripts/setup.sh all
	@$(MAKE) churn-run

churn-run: tests-build
	@DOLMEN_CHURN_MINUTES=$(MINUTES) $(if $(REPORT),DOLMEN_CHURN_REPORT="$(abspath $(REPORT))") $(STEP) --last "churn" \
		cargo nextest run --locked --workspace --profile soak --run-ignored only --no-capture -E 'test(soak_membership_churns)'

fuzz: ## Decoders by libFuzzer, an hour; then votes, a million histories, and signatures, a hundred million cases
	@scripts/setup.sh build
	@$(MAKE) fuzz-decoders
	@PROPTEST_CASES=$${PROPTEST_CASES:-1000000} $(MAKE) fuzz-votes
	@DOLMEN_FUZZ_CASES=$${DOLMEN_FUZZ_CASES:-100000000} $(MAKE) fuzz-run

# Each target of tests/fuzz for DOLMEN_FUZZ_SECONDS.
fuzz-decoders:
	@$(STEP) "fuzz decoders" scripts/fuzz.sh

# PROPTEST_CASES histories of a box.
fuzz-votes: tests-build
	@$(STEP) "fuzz votes" cargo nextest run --locked --workspace --profile soak -E 'test(no_two_votes_conflict)'

fuzz-run: tests-build
	@$(STEP) --last "fuzz signatures" cargo nextest run --locked --workspace --profile soak -E 'package(dolmen-accel-cpu) and test(differential)'

test-boot: ## Boot the built image in virtual machines, and break it in every way that we know; build it twice (an hour)
	@scripts/setup.sh all
	@$(MAKE) test-boot-run

# The version after the image's is the same node again.
test-boot-run: image-build
	@$(STEP) "the next image" $(IMAGE_TOOL) build --dolmen "$(CARGO_TARGET_DIR)/release/dolmen" \
		--image-version 999.0.0 --no-usb --out "$(NEXT_IMAGE)"
	@DOLMEN_IMAGE="$(abspath $(IMAGE_DIR))" DOLMEN_NEXT_IMAGE="$(NEXT_IMAGE)" $(STEP) --last "boot tests" \
		cargo nextest run --locked -p dolmen-image-vmtest -p dolmen-image-builder --profile boot --run-ignored all \
		-E 'binary(=boot) or test(two_builds)'

##@ Measure

.PHONY: bench bench-chain bench-page bench-sync bench-run bench-chain-run bench-page-run bench-sync-run
bench: ## Criterion benchmarks, release profile
	@scripts/setup.sh build
	@$(MAKE) bench-run

bench-run:
	@$(STEP) --last "benchmarks" cargo bench --locked -p dolmen-benches -p dolmen-accel-cpu $(BENCH_ARGS)

bench-chain: ## A chain of boxes under load, release profile: throughput, latency, CPU time
	@scripts/setup.sh build
	@$(MAKE) bench-chain-run

bench-chain-run:
	@$(STEP) "build dolmen (release)" cargo build --locked --release -p dolmen
	@exec "$(CARGO_TARGET_DIR)/release/dolmen" bench chain $(BENCH_ARGS)

bench-page: ## A tab that shows a chain of 5,000 transactions a second, release profile, e.g. `make bench-page PAGE_MINUTES=2`
	@scripts/setup.sh all
	@$(MAKE) bench-page-run

bench-page-run:
	@$(STEP) "build dolmen (release)" cargo build --locked --release -p dolmen
	@cd tests/e2e && DOLMEN_BIN="$(CARGO_TARGET_DIR)/release/dolmen" MINUTES=$(PAGE_MINUTES) exec node web/growth.mjs

bench-sync: ## Boxes that join a chain of a million accounts, release profile: from a snapshot and block by block
	@scripts/setup.sh build
	@$(MAKE) bench-sync-run

bench-sync-run:
	@$(STEP) "build dolmen (release)" cargo build --locked --release -p dolmen
	@exec "$(CARGO_TARGET_DIR)/release/dolmen" bench sync $(BENCH_ARGS)

##@ Image

.PHONY: image usb image-lock image-build image-run usb-run image-lock-run
image: ## The bootable image in out/image: disk, stick, update bundle, bill of materials (needs 150 MB from Debian, once)
	@scripts/setup.sh image
	@$(MAKE) image-run

image-build:
	@$(STEP) "build dolmen-image" cargo build --locked -p dolmen-image-builder

image-run: image-build
	@$(STEP) "build dolmen (release)" cargo build --locked --release -p dolmen
	@$(STEP) --last "image" $(IMAGE_TOOL) build --dolmen "$(CARGO_TARGET_DIR)/release/dolmen" \
		--out "$(IMAGE_DIR)" $(IMAGE_ARGS)

usb: ## The stick alone, for the image in out/image
	@scripts/setup.sh image
	@$(MAKE) usb-run

usb-run: image-build
	@$(STEP) --last "stick" $(IMAGE_TOOL) usb --image "$(IMAGE_DIR)" $(IMAGE_ARGS)

image-lock: ## Look up the image's Debian packages anew; commit what changes in image/recipes/box.lock
	@scripts/setup.sh image
	@$(MAKE) image-lock-run

image-lock-run: image-build
	@$(STEP) --last "lock" $(IMAGE_TOOL) lock

##@ Other

.PHONY: setup clean help
setup: ## Install what this machine lacks for all of the above
	@scripts/setup.sh all

clean: ## Remove the devnet and all build output; the next build is a cold one (ccache stays)
	@rm -rf devnet
	@cargo clean

help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
