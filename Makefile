# All that a person or a CI needs; every target does its own set-up.

CARGO ?= cargo
TOOLS := $(CURDIR)/.tools
DENY_VERSION := 0.20.2

.PHONY: help run test check bench fmt clean

help: ## what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

run: ## build and serve on 127.0.0.1:8080 with data/analytics.db
	$(CARGO) build --release -p local-runtime
	./target/release/local-runtime serve $(ARGS)

test: ## all tests, the product from outside included
	$(CARGO) build --workspace --bins
	$(CARGO) test --workspace --all-features

check: $(TOOLS)/cargo-deny-$(DENY_VERSION) ## formatting, lints, documentation, dependency policy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features --document-private-items
	$(TOOLS)/bin/cargo-deny --all-features check bans licenses sources

$(TOOLS)/cargo-deny-$(DENY_VERSION):
	$(CARGO) install --locked --root $(TOOLS) cargo-deny --version $(DENY_VERSION)
	@touch $@

bench: ## measure this machine's ceiling and the product beside it (ARGS=--quick for a minute's worth)
	$(CARGO) build --release -p local-runtime -p tests --bins
	./target/release/bench $(ARGS)

fmt: ## format the code
	$(CARGO) fmt --all

clean: ## remove what was built, not what was stored
	$(CARGO) clean
