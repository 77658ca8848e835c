# What can be done here: `make help`. Needs Rust (rustup reads rust-toolchain.toml, if there is one), a C compiler and
# Python 3.11; installs the C compiler itself where it may.
#
# One profile serves everything, so that nothing is built twice: tests, the simulator and `make up` share their
# dependencies in target/debug.

CARGO ?= cargo
ONCE ?=
export ONCE
JOBS ?= 1
ROUNDS ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help up test lint licences measure fuzz broken needs networks

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14

up: needs ## build, start 12 local nodes, send a dark message (ONCE=1: stop after it)
	@echo "→ building mainframe (the first time takes a few minutes)"
	$(CARGO) build --locked --bin mainframe
	@$(CARGO) run --locked --quiet --bin mainframe -- devnet demo

test: needs networks lint licences ## everything: format, lints, licences, all tests, the commands of the docs
	@echo "→ testing"
	$(CARGO) test --locked --workspace
	@echo "→ all good"

lint: needs ## format and lints, warnings are errors
	@echo "→ checking the format"
	$(CARGO) fmt --all --check
	@echo "→ linting"
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

licences: needs ## every dependency under a permissive licence
	@echo "→ checking licences"
	@python3 scripts/licences.py

measure: needs ## play the simulator's whole suite (hours), write docs/measurements.md; JOBS=2 plays two runs at a time
	@echo "→ building the simulator"
	$(CARGO) build --locked --release --bin sim
	@echo "→ playing (may be interrupted: what is done is kept in target/measure)"
	@python3 scripts/measure.py --jobs $(JOBS)

fuzz: needs ## ROUNDS (a million) of damaged frames, records and stores, outside of the tests
	@echo "→ $(ROUNDS) rounds"
	MAINFRAME_FUZZ_ROUNDS=$(ROUNDS) $(CARGO) test --locked -p mainframe-core --test main fuzz
	MAINFRAME_FUZZ_ROUNDS=$(ROUNDS) $(CARGO) test --locked -p mainframe-core --lib mutation
	MAINFRAME_FUZZ_ROUNDS=$(ROUNDS) $(CARGO) test --locked -p mainframe-node --lib store
	@echo "→ nothing broke"

broken: needs ## break what protects keys and wishes, one at a time: a test has to notice each (half an hour)
	@python3 scripts/broken.py

# Rust links with the system's C compiler, and SQLite is compiled from source.
needs:
	@command -v $(CARGO) >/dev/null || { \
	  echo "error: no cargo. Install Rust 1.95 or newer: https://rustup.rs"; exit 1; }
	@command -v python3 >/dev/null || { echo "error: no python3. Install Python 3.11 or newer."; exit 1; }
	@command -v cc >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "→ no C compiler: installing build-essential"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq build-essential; \
	  else \
	    echo "error: no C compiler. As root: apt-get install build-essential"; exit 1; \
	  fi; }

# The link's tests make networks of namespaces with routers between. Without these programs, or without the right to do
# so, those tests pass by and say so.
networks:
	@command -v ip >/dev/null && command -v nft >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "→ no ip or nft: installing iproute2 and nftables"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq iproute2 nftables; \
	  else \
	    echo "→ no ip or nft: tests across routers will be passed by. As root: apt-get install iproute2 nftables"; \
	  fi; }
