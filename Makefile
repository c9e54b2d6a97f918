# The usual ways to use the checkout. `make` alone lists them.

# Where rustup puts cargo, for shells that were opened before.
export PATH := $(PATH):$(HOME)/.cargo/bin

PREFIX ?= /usr/local
BUILD ?= target/release

# Most of the time most tests wait for other programs.
TEST_THREADS := $(shell echo $$((2 * $$(nproc))))

# Window tests draw on a screen of their own, in software.
HEADLESS := GSK_RENDERER=cairo GDK_BACKEND=x11 xvfb-run -a dbus-run-session --

.PHONY: help run build translations install uninstall strings test lint docs unit soak ring-figures swarm-figures bench bench-tracker bench-pipe bench-window bench-sharing bench-instructions fmt audit setup setup-test setup-count

help: ## This list.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: build ## Build what changed, and start the window with the settings in config.toml.
	target/release/dtorrent --config config.toml

build: setup translations ## Build the programs into target/release.
	cargo build --release --locked

# Where they are found from target/release and target/debug alike.
translations:
	@for language in $(basename $(notdir $(wildcard po/*.po))); do \
		folder=target/share/locale/$$language/LC_MESSAGES && mkdir -p $$folder && \
		msgfmt -o $$folder/dtorrent.mo po/$$language.po || exit 1; done

install: ## Install what was built, for all users of this machine (PREFIX=/usr/local, DESTDIR= for packages).
	tools/install.sh install "$(PREFIX)" "$(DESTDIR)" "$(BUILD)"

uninstall: ## Take away what `make install` with the same PREFIX has put there.
	tools/install.sh uninstall "$(PREFIX)" "$(DESTDIR)" "$(BUILD)"

strings: setup ## Collect the texts of the window into po/, for translators.
	tools/strings.py

test: setup-test lint docs unit ## Everything that must pass: format, lints, docs, all tests.

# clippy, check and doc share what they compile; only the tests need machine code.
lint: setup ## Format and lints, with the window and without it.
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	cargo clippy --locked --no-default-features -- -D warnings

docs: setup ## The documentation of the library, with its links checked, into target/doc.
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features

unit: setup-test translations ## All tests, those with other clients and those of the window included.
	cargo test --locked --all-features --no-run
	RUST_TEST_THREADS=$(TEST_THREADS) $(HEADLESS) cargo test --locked --all-features

soak: setup ## 100,000 simulated histories of a tracker ring (RING_SCHEDULES=n) and 10,000 with data (RING_DATA_SCHEDULES=n).
	cargo test --release --locked --no-default-features --lib ring::sim::tests::soak -- --ignored --nocapture
	cargo test --release --locked --no-default-features --lib ring::replica::tests -- --ignored --nocapture

ring-figures: setup ## Measure docs/ring-simulation.md anew, and draw its charts.
	cargo test --release --locked --no-default-features --lib ring::sim::figures -- --ignored --nocapture

swarm-figures: setup ## Simulated swarms of up to a thousand peers: how near to the optimum they come.
	cargo test --release --locked --no-default-features --test swarm -- --ignored --nocapture --test-threads 1

bench: setup ## Measure dtorrent-cli beside libtorrent, aria2, rtorrent and mktorrent where installed (BENCH="--rounds 5 one-seed four-seeds").
	cargo build --release --locked --no-default-features --bin dtorrent-cli
	cargo bench --locked --no-default-features --bench client -- $(BENCH)

bench-tracker: setup ## Measure dtracker beside opentracker and aquatic_udp where installed (BENCH="--rounds 5 udp").
	cargo bench --locked --no-default-features --bench tracker -- $(BENCH)

bench-pipe: setup ## Measure how one peer fills a long path, beside libtorrent where installed (BENCH="--delays 100 ours/ours").
	cargo bench --locked --no-default-features --bench pipe -- $(BENCH)

bench-window: setup-test ## Measure the window with 5,000 torrents, 50 of them active (BENCH="--torrents 10000 --active 100").
	cargo bench --locked --bench window -- $(BENCH)

bench-sharing: build ## A seed and 20 leechers of us, libtorrent and Transmission as real processes (BENCH="--rounds 1 --piece 1024").
	benches/sharing/swarm.py $(BENCH)

bench-instructions: setup-count ## Count the instructions of the hot paths, and compare with those that are kept (BENCH=--write keeps the new ones).
	cargo bench --locked --no-default-features --bench instructions -- $(BENCH)

fmt: ## Format the code.
	cargo fmt

audit: setup ## Licences, sources and known holes of the dependencies.
	tools/audit.sh

setup: ## Install the system packages that the programs need, where missing.
	@tools/setup.sh build

setup-test: ## The same for the tests.
	@tools/setup.sh test

setup-count: ## The same for counting instructions.
	@tools/setup.sh count
