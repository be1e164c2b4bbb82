# The doors of LLM Bridge: every way to run, test and ship it. `make` lists them. Any of them may come first on a fresh clone.
# Needed beforehand: Rust (by rustup), Node.js 20 or newer with npm, and for `make test` Python 3 with pip.
# All else is installed on the way, once: into node_modules/ and .tools/ here, and a cache that other clones share.

# ── What you may choose: make dev PORT=8080 CONFIG=~/my-bridge.yaml ──────────────────────────────────────────────────────────

PORT   ?= 1219
CONFIG ?= configs/config.yaml
export PORT CONFIG

# ── The tools and their versions ─────────────────────────────────────────────────────────────────────────────────────────────
# wrangler, workerd, esbuild, wasm-opt and Node.js 22 are npm packages, fixed by package-lock.json. worker-build and wasm-bindgen
# are crates that take minutes to compile, so they are kept outside the checkout, by version, for every clone on the machine.

WORKER_BUILD_VERSION := 0.8.7
WASM_BINDGEN_VERSION := 0.2.129
TOOL_CACHE           := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/llm-bridge/tools

NPM_PACKAGES := node_modules/.package-lock.json
BROWSER      := .tools/browser/node_modules/.package-lock.json
WORKER_BUILD := .tools/bin/worker-build-$(WORKER_BUILD_VERSION)
WASM_BINDGEN := .tools/bin/wasm-bindgen-$(WASM_BINDGEN_VERSION)

# Everything that the wasm is made of. src/worker.mjs is not: wrangler puts it around the wasm, as it does the YAML.
RUST_SOURCES := $(shell find src -type f -name '[a-z]*.*' ! -name '*.mjs') $(wildcard build.rs configs/catalogue.yaml) Cargo.toml Cargo.lock
# Translation between three formats made it grow from 580 to 782 KB; signed keys, leases, bounds of memory and WebSockets that wait for
# their key, to 941 KB. The platform takes 64 MB, not compressed.
WASM_GZIP_LIMIT := 955000

SHELL       := bash
MAKEFLAGS   += --no-builtin-rules
unexport MAKEFLAGS MFLAGS   # cargo, wrangler and the make that wrangler calls get what they need to know from the lines above
SYSTEM_PATH := $(PATH)
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
export WRANGLER_SEND_METRICS = false
# Locally wrangler would ask Cloudflare for a sample of what it tells a Worker about its caller; the gateway does not use it.
export CLOUDFLARE_CF_FETCH_ENABLED = false

# $(call need,command,who brings it): stops with a clear word where a command is missing.
need = @command -v $(1) >/dev/null || { echo "LLM Bridge needs '$(1)' on the PATH: install $(2)." >&2; exit 1; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# ── The doors ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: help setup dev build test check pin deploy bench clean

help: ## list these doors
	@echo "LLM Bridge: one OpenAI-format endpoint in front of all your model providers."
	@echo
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r door text; do printf '  make %-8s %s\n' "$$door" "$$text"; done
	@echo
	@echo "New here? 'make dev', then do as it says. PORT=… and CONFIG=path/to/config.yaml may follow."

setup: $(NPM_PACKAGES) $(WORKER_BUILD) $(WASM_BINDGEN) wasm-target ## install what is missing (every other door does this by itself)

dev: setup check-config build ## serve the gateway on http://localhost:1219, rebuilt as you edit
	@exec scripts/dev.sh

build: build/index.js build/index_bg.wasm build/assets/cl100k_base.bin config-link ## compile the gateway into build/, if something changed

test: test-rust test-size test-types test-workerd test-pin test-doors test-python ## run every test, on the real runtime too

check: lint test-rust check-config dry-run ## the quick look before a commit: format, lints, docs, native tests, configuration

pin: build ## compare with an older build: make pin BASE=path/to/its/checkout (a few minutes; 15,000 exchanges)
	@[ -f "$(BASE)/build/index_bg.wasm" ] || { echo "BASE has to name a checkout that is built: make pin BASE=path" >&2; exit 1; }
	@node tests/pin/pin.mjs --base "$(BASE)" $(PIN)

deploy: setup check-config build ## publish to Cloudflare (set your secrets as wrangler.toml says)
	@wrangler deploy

bench: setup ## measure the gateway beside bare Workers and other gateways (about 12 minutes; knobs: bench/Makefile)
	@$(MAKE) --no-print-directory -C bench

clean: ## remove what was built (not what was installed)
	rm -rf build .wrangler
	cargo clean

# ── Set-up: each step does nothing when its result is there ──────────────────────────────────────────────────────────────────

.PHONY: wasm-target python-packages

# npm writes this file last, so it stands for a complete node_modules that is no older than the lock file.
$(NPM_PACKAGES): package-lock.json
	$(call need,npm,Node.js 20 or newer)
	@echo "Installing the npm packages (about a minute)…"
	@PATH="$(SYSTEM_PATH)" npm ci --no-audit --no-fund --loglevel=error
	@wrangler --version >/dev/null && workerd --version >/dev/null || { rm -f $@; \
	  echo "wrangler or workerd does not start. If npm ignores install scripts here, allow them: npm config set ignore-scripts false" >&2; exit 1; }

$(WORKER_BUILD):
	$(call cargo-tool,worker-build,worker-build,$(WORKER_BUILD_VERSION),4)

$(WASM_BINDGEN):
	$(call cargo-tool,wasm-bindgen,wasm-bindgen-cli,$(WASM_BINDGEN_VERSION),3)

# $(call cargo-tool,command,crate,version,minutes): finds the tool in the cache, or compiles it into there, and links to it.
define cargo-tool
	$(call need,cargo,Rust from https://rustup.rs)
	@root="$(TOOL_CACHE)/$(1)-$(3)"; [ -x "$$root/bin/$(1)" ] || { \
	  echo "Compiling $(2) $(3) (once per machine, about $(4) minutes)…"; \
	  cargo install $(2)@$(3) --locked --root "$$root"; } && mkdir -p .tools/bin && ln -sfn "$$root/bin/$(1)" $@
endef

wasm-target:
	$(call need,rustc,Rust from https://rustup.rs)
	@[ -d "$$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown/lib" ] || { \
	  echo "Adding Rust's WebAssembly target…"; rustup target add wasm32-unknown-unknown; } || { \
	  echo "Rust's standard library for wasm32-unknown-unknown is missing, and rustup did not bring it. Either repeat" >&2; \
	  echo "'rustup target add wasm32-unknown-unknown' where it can be downloaded, or, with a Rust that came from Debian," >&2; \
	  echo "install the package libstd-rust-dev-wasm32; then run make again." >&2; exit 1; }

# A Chromium that comes with an npm package, for the test of what a web page does. Its version is fixed by a lock file of its own.
$(BROWSER): tests/browser/package-lock.json
	$(call need,npm,Node.js 20 or newer)
	@echo "Installing the browser of the tests…"
	@mkdir -p .tools/browser && cp tests/browser/package.json tests/browser/package-lock.json .tools/browser/
	@PATH="$(SYSTEM_PATH)" npm ci --prefix .tools/browser --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

python-packages:
	$(call need,python3,Python 3 with pip)
	@wanted="$$(python3 --version), requirements $$(cksum < tests/python/requirements.txt)"; \
	 [ "$$wanted" = "$$(cat .tools/python/.stamp 2>/dev/null)" ] || { \
	  echo "Installing the Python packages of the tests…"; rm -rf .tools/python; \
	  python3 -m pip install --quiet --disable-pip-version-check --target .tools/python -r tests/python/requirements.txt && \
	  echo "$$wanted" > .tools/python/.stamp; }

# ── Building ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: config-link check-config dry-run

# The result is dated back to the start, so that a file edited while the compiler ran is newer and built next time.
build/index.js: $(RUST_SOURCES) $(NPM_PACKAGES) $(WORKER_BUILD) $(WASM_BINDGEN) | wasm-target
	@echo "Building the gateway$(if $(wildcard $@),, (the first time it takes about two minutes))…"
	@mkdir -p build && touch build/.began
	@WASM_BINDGEN_BIN="$(CURDIR)/$(WASM_BINDGEN)" \
	 WASM_OPT_BIN="$(CURDIR)/node_modules/.bin/wasm-opt" \
	 ESBUILD_BIN="$(CURDIR)/node_modules/.bin/esbuild" \
	 $(WORKER_BUILD) --release --features edge --locked
	@touch -r build/.began build/index_bg.wasm build/index.js

build/index_bg.wasm: build/index.js

# Static files, which the gateway fetches when it needs them: vocabularies. The one that is written last stands for them all.
build/assets/cl100k_base.bin: scripts/vocabularies.mjs Cargo.lock | $(NPM_PACKAGES)
	@node scripts/vocabularies.mjs build/assets

# A source that vanishes (an editor's passing file) is no reason to stop.
$(RUST_SOURCES):

# The gateway imports build/config.yaml as text. It is a link, so that wrangler sees each edit of the file behind it.
config-link:
	@[ -f "$(CONFIG)" ] || { echo "There is no configuration file '$(CONFIG)'." >&2; exit 1; }
	@mkdir -p build; case "$(CONFIG)" in /*) to="$(CONFIG)" ;; *) to="../$(CONFIG)" ;; esac; \
	 [ "$$(readlink build/config.yaml)" = "$$to" ] || ln -sfn "$$to" build/config.yaml

check-config:
	@echo "Checking $(CONFIG)…"
	@cargo run --quiet --locked --bin llm-bridge-check -- "$(CONFIG)"

dry-run: setup build
	@wrangler deploy --dry-run --outdir target/dry-run

# ── Checks and tests, also one by one ────────────────────────────────────────────────────────────────────────────────────────

.PHONY: lint test-rust test-size test-types test-workerd test-pin bless-pin test-doors test-python

# Each suite has a limit in seconds, far above what it takes on a busy machine: $(call limit,seconds,name) command. Within it, each test
# of Node's has one (tests/limits.mjs), each file (in milliseconds), and each test of Python's (tests/python/pytest.ini).
limit = @scripts/limit.sh $(1) "$(2)"
NODE_TEST := node --import ./tests/limits.mjs --test --test-force-exit --test-timeout=1200000 \
	--test-reporter=spec --test-reporter-destination=stdout --test-reporter=./tests/under-way.mjs --test-reporter-destination=stderr

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features edge -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --features edge

test-rust:
	cargo test --locked --no-run
	$(call limit,900,native tests) scripts/native-tests.sh

test-size: build
	@size=$$(gzip -9c build/index_bg.wasm | wc -c); \
	 echo "The wasm: $$(($$(wc -c < build/index_bg.wasm) / 1000)) KB, $$((size / 1000)) KB gzipped, of $$(($(WASM_GZIP_LIMIT) / 1000)) KB allowed."; \
	 [ $$size -le $(WASM_GZIP_LIMIT) ]

test-types: $(NPM_PACKAGES)
	$(call limit,600,tests of the SDKs' types) $(NODE_TEST) 'tests/types/**/*.test.mjs'

test-workerd: build $(BROWSER)
	$(call limit,3000,tests on workerd) $(NODE_TEST) 'tests/workerd/**/*.test.mjs'

test-pin: build
	$(call limit,900,pinned behaviour and stored data) $(NODE_TEST) 'tests/pin/**/*.test.mjs' 'tests/stored/**/*.test.mjs'

# Writes the transcripts of tests/pin and the dump of tests/stored anew.
bless-pin: build
	BLESS=1 $(NODE_TEST) 'tests/pin/**/*.test.mjs'
	node tests/stored/make.mjs

test-doors: setup build
	$(call limit,1800,tests of the make commands) $(NODE_TEST) 'tests/doors/**/*.test.mjs'

test-python: build python-packages
	$(call limit,900,tests of the Python SDK) env PYTHONPATH=.tools/python python3 -m pytest tests/python
