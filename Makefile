# All that a person or a CI needs; every target does its own set-up.

CARGO ?= cargo
TOOLS := $(CURDIR)/.tools
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
DENY_VERSION := 0.20.2

# Node, where the machine has none.
export PATH := $(TOOLS)/node/bin:$(PATH)

# One choice of targets and features for building, testing and linting, so that nothing is
# compiled twice.
EVERYTHING := --workspace --all-features

# What npm builds: the dashboard and the tracker.
PAGES := $(patsubst %/package-lock.json,%,$(wildcard local-runtime/*/package-lock.json))

.PHONY: help run test with-servers check bench fmt clean tools pages $(PAGES)

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

run: ## build and serve on 127.0.0.1:8080 with data/analytics.db
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory pages; \
	else echo 'no npm here: the dashboard stays out (install Node 20.19 or newer for it)' >&2; fi
	$(CARGO) build --release -p local-runtime
	$(TARGET)/release/local-runtime serve $(ARGS)

test: tools pages tests/browser/node_modules/.package-lock.json ## all tests on all engines, with servers and a browser; installs what is missing (ARGS=name: only these)
	$(CARGO) build $(EVERYTHING) --bins --tests
	$(TARGET)/debug/with-servers tests/all '$(CARGO)' '$(TARGET)/debug' $(ARGS)

with-servers: tools ## a command beside throw-away servers (COMMAND='cargo test -p common --test postgres')
	$(CARGO) build -p tests --bin with-servers
	$(TARGET)/debug/with-servers sh -c '$(COMMAND)'

tools: # what tests need beside Rust
	@CARGO='$(CARGO)' tests/tools

pages: $(PAGES) # what npm builds

$(PAGES): %: %/node_modules/.package-lock.json
	cd $@ && npm run build

# npm writes this file when it has installed what the lock says.
%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

check: $(TOOLS)/cargo-deny-$(DENY_VERSION) ## formatting, lints, documentation, dependency policy
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(EVERYTHING) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(EVERYTHING) --no-deps --document-private-items
	$(TOOLS)/bin/cargo-deny --all-features check bans licenses sources

$(TOOLS)/cargo-deny-$(DENY_VERSION):
	$(CARGO) install --locked --root $(TOOLS) cargo-deny --version $(DENY_VERSION)
	@touch $@

bench: ## measure this machine's ceiling and the product beside it (ARGS=--quick for a minute's worth)
	$(CARGO) build --release -p local-runtime -p tests --bins
	$(TARGET)/release/bench $(ARGS)

fmt: ## format the code
	$(CARGO) fmt --all

clean: ## remove what was built, not what was stored
	$(CARGO) clean
