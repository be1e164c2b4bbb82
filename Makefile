# Every way to run, test and deploy LLM Bridge. `make` lists the commands. Each of them works on a fresh
# clone. Required: Rust (by rustup), Node.js 20 or newer with npm, and for `make test` Python 3 with pip.
# Everything else is installed once: into node_modules/ and .tools/ here, and into a cache that other clones
# share.

# ── Options: make dev PORT=8080 CONFIG=~/my-bridge.yaml ──────────────────────────────────────────────────────────

PORT   ?= 1219
CONFIG ?= configs/config.yaml
export PORT CONFIG

# ── The tools and their versions ─────────────────────────────────────────────────────────────────────────────────────────────
# wrangler, workerd, esbuild, wasm-opt and Node.js 22 are npm packages, pinned by package-lock.json.
# worker-build and wasm-bindgen are crates that take minutes to compile, so they are cached by version outside
# the checkout, for every clone on the machine.

WORKER_BUILD_VERSION := 0.8.7
WASM_BINDGEN_VERSION := 0.2.129
TOOL_CACHE           := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/llm-bridge/tools

NPM_PACKAGES := node_modules/.package-lock.json
BROWSER      := .tools/browser/node_modules/.package-lock.json
WORKER_BUILD := .tools/bin/worker-build-$(WORKER_BUILD_VERSION)
WASM_BINDGEN := .tools/bin/wasm-bindgen-$(WASM_BINDGEN_VERSION)

# The sources of the wasm. src/worker.mjs is not one of them: wrangler bundles it with the wasm and the YAML.
TUNNEL_SOURCES := $(shell find tunnel -type f -name '[a-z]*.rs' -path 'tunnel/src/*') tunnel/Cargo.toml Cargo.toml Cargo.lock
RUST_SOURCES := $(shell find src -type f -name '[a-z]*.*' ! -name '*.mjs') $(wildcard build.rs build_script/*.rs configs/catalogue.yaml configs/causes.yaml) Cargo.toml Cargo.lock
# In bytes, gzipped: a guard against accidental growth. Cloudflare allows 64 MB, uncompressed. The live view, calls
# from regions and through proxies, and the formats of Responses and Gemini clients are the newest parts.
WASM_GZIP_LIMIT := 1950000
# The same for the wasm that calls providers through proxies, which is loaded by the first such call.
TUNNEL_GZIP_LIMIT := 480000

SHELL       := bash
MAKEFLAGS   += --no-builtin-rules
unexport MAKEFLAGS MFLAGS   # cargo, wrangler and the make that wrangler calls get the options that they need from the lines above
SYSTEM_PATH := $(PATH)
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
export WRANGLER_SEND_METRICS = false
# Otherwise wrangler fetches sample data about callers (request.cf) from Cloudflare, which the gateway does
# not use.
export CLOUDFLARE_CF_FETCH_ENABLED = false

# $(call need,command,source): stops with a message if a command is missing.
need = @command -v $(1) >/dev/null || { echo "LLM Bridge needs '$(1)' on the PATH: install $(2)." >&2; exit 1; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# ── Commands ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: help setup dev logs egress build test check explain pin deploy bench clean

help: ## list these commands
	@echo "LLM Bridge: one OpenAI-format endpoint in front of all your model providers."
	@echo
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done
	@echo
	@echo "New here? Run 'make dev' and follow its output. Options: PORT=… CONFIG=path/to/config.yaml."

setup: $(NPM_PACKAGES) $(WORKER_BUILD) $(WASM_BINDGEN) wasm-target ## install missing tools (every other command does this by itself)

dev: setup check-config build ## serve the gateway on http://localhost:1219 and rebuild as you edit
	@exec scripts/dev.sh

logs: ## show the newest lines of log files; options: TAIL=… LEVEL=… REQUEST_ID=… FROM=… URL=https://…
	@scripts/logs.sh

egress: ## show from where the calls of each provider leave; options: URL=https://…
	@PORT=$(PORT) node scripts/egress.mjs

build: build/index.js build/index_bg.wasm build/tunnel.js build/tunnel_bg.wasm build/assets/cl100k_base.bin config-link dashboard ## compile the gateway into build/, if a source has changed

test: test-rust test-size test-types test-workerd test-page test-pin test-make test-python ## run every test, including those on the real runtime

check: lint test-rust check-config dry-run ## quick checks before a commit: format, lints, docs, native tests, configuration

explain: ## show what the gateway knows of a model, and where from: make explain MODEL=openai/gpt-5-mini
	@[ -n "$(MODEL)" ] || { echo "Name a model: make explain MODEL=openai/gpt-5-mini" >&2; exit 1; }
	@cargo run --quiet --locked --bin llm-bridge-check -- --explain "$(MODEL)" "$(CONFIG)"

pin: build ## compare 15,000 exchanges with an older build (a few minutes): make pin BASE=path/to/its/checkout
	@[ -f "$(BASE)/build/index_bg.wasm" ] || { echo "BASE must be the path of a built checkout: make pin BASE=path" >&2; exit 1; }
	@node tests/pin/pin.mjs --base "$(BASE)" $(PIN)

deploy: CHECK_OPTIONS = --deploy
deploy: setup check-config build ## publish to Cloudflare (wrangler.toml lists the secrets to set)
	@wrangler deploy

bench: setup ## compare with bare Workers and other gateways (about 18 minutes; options: bench/Makefile)
	@$(MAKE) --no-print-directory -C bench

clean: ## remove build results (not installed tools)
	rm -rf build .wrangler
	cargo clean

# ── Set-up: each step does nothing if its result exists ──────────────────────────────────────────────────────────────────

.PHONY: wasm-target python-packages

# npm writes this file last, so it proves a complete node_modules that is no older than the lock file.
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

# $(call cargo-tool,command,crate,version,minutes): links to the tool in the cache, and compiles it there if
# it is missing.
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
	  echo "Rust's standard library for wasm32-unknown-unknown is missing, and rustup could not install it. Either run" >&2; \
	  echo "'rustup target add wasm32-unknown-unknown' with access to the network or, if Rust was installed by Debian," >&2; \
	  echo "install the package libstd-rust-dev-wasm32. Then run make again." >&2; exit 1; }

# A Chromium from an npm package, for the tests of web pages. A lock file of its own pins its version.
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

.PHONY: config-link dashboard check-config dry-run

# The result gets the time of the start, so that a file edited during the build is newer and built next time.
build/index.js: $(RUST_SOURCES) $(NPM_PACKAGES) $(WORKER_BUILD) $(WASM_BINDGEN) | wasm-target
	@echo "Building the gateway$(if $(wildcard $@),, (the first time it takes about two minutes))…"
	@mkdir -p build && touch build/.began
	@WASM_BINDGEN_BIN="$(CURDIR)/$(WASM_BINDGEN)" \
	 WASM_OPT_BIN="$(CURDIR)/node_modules/.bin/wasm-opt" \
	 ESBUILD_BIN="$(CURDIR)/node_modules/.bin/esbuild" \
	 $(WORKER_BUILD) --release --features edge --locked
	@touch -r build/.began build/index_bg.wasm build/index.js

build/index_bg.wasm: build/index.js

# Shares compiled crates with the gateway. Its own ones, TLS and cryptography, take most of the time.
build/tunnel_bg.wasm: $(TUNNEL_SOURCES) scripts/build-tunnel.sh $(NPM_PACKAGES) $(WASM_BINDGEN) | wasm-target
	@echo "Building the tunnel to proxies$(if $(wildcard $@),, (the first time it takes about a minute))…"
	@mkdir -p build && touch build/.tunnel-began
	@WASM_BINDGEN="$(CURDIR)/$(WASM_BINDGEN)" scripts/build-tunnel.sh
	@touch -r build/.tunnel-began build/tunnel.js build/tunnel_bg.wasm

build/tunnel.js: build/tunnel_bg.wasm

# Static files that the gateway fetches when it needs them: vocabularies. The one written last proves that all
# exist.
build/assets/cl100k_base.bin: $(wildcard scripts/vocabularies/src/*.rs) Cargo.lock
	@echo "Packing the vocabularies for counting tokens…"
	@cargo run --quiet --locked --package vocabularies -- build/assets

# A source that disappears (an editor's temporary file) must not stop the build.
$(sort $(RUST_SOURCES) $(TUNNEL_SOURCES)):

# The gateway imports build/config.yaml as text. It is a link, so that wrangler sees each edit of its target.
config-link:
	@[ -f "$(CONFIG)" ] || { echo "The configuration file '$(CONFIG)' does not exist." >&2; exit 1; }
	@mkdir -p build; case "$(CONFIG)" in /*) to="$(CONFIG)" ;; *) to="../$(CONFIG)" ;; esac; \
	 [ "$$(readlink build/config.yaml)" = "$$to" ] || ln -sfn "$$to" build/config.yaml

# The dashboard's files, beside the vocabularies. It takes less than a second, and whether the configuration wants
# them is in the file, so it is done each time.
dashboard: config-link $(NPM_PACKAGES)
	@node scripts/build-page.mjs build/config.yaml build/assets

check-config:
	@echo "Checking $(CONFIG)…"
	@cargo run --quiet --locked --bin llm-bridge-check -- $(CHECK_OPTIONS) "$(CONFIG)"

dry-run: setup build
	@wrangler deploy --dry-run --outdir target/dry-run

# ── Checks and tests, one by one ────────────────────────────────────────────────────────────────────────────────────────

.PHONY: lint test-rust test-size test-types test-workerd test-page test-pin bless-pin test-make test-python

# Each suite has a time limit in seconds, far above its time on a busy machine: $(call limit,seconds,name)
# command. Each test in Node has one (tests/limits.mjs), each file (in milliseconds), and each test in Python
# (tests/python/pytest.ini).
limit = @scripts/limit.sh $(1) "$(2)"
NODE_TEST := node --import ./tests/limits.mjs --test --test-force-exit --test-timeout=1200000 \
	--test-reporter=spec --test-reporter-destination=stdout --test-reporter=./tests/under-way.mjs --test-reporter-destination=stderr

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features edge -- -D warnings
	cargo clippy --locked --package llm-bridge-tunnel --all-targets --features edge -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --features edge
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --features edge --package llm-bridge-tunnel

test-rust:
	cargo test --locked --workspace --no-run
	$(call limit,900,native tests) scripts/native-tests.sh

test-size: build
	@size=$$(gzip -9c build/index_bg.wasm | wc -c); \
	 echo "The wasm: $$(($$(wc -c < build/index_bg.wasm) / 1000)) KB, $$((size / 1000)) KB gzipped, of $$(($(WASM_GZIP_LIMIT) / 1000)) KB allowed."; \
	 [ $$size -le $(WASM_GZIP_LIMIT) ]
	@size=$$(gzip -9c build/tunnel_bg.wasm | wc -c); \
	 echo "The tunnel: $$(($$(wc -c < build/tunnel_bg.wasm) / 1000)) KB, $$((size / 1000)) KB gzipped, of $$(($(TUNNEL_GZIP_LIMIT) / 1000)) KB allowed."; \
	 [ $$size -le $(TUNNEL_GZIP_LIMIT) ]
	@! grep -aq x-toy- build/index_bg.wasm || { echo "The wasm holds src/formats/toy, which is for tests only." >&2; exit 1; }

test-types: $(NPM_PACKAGES)
	$(call limit,600,tests of the SDKs' types) $(NODE_TEST) 'tests/types/**/*.test.mjs'

test-workerd: build $(BROWSER)
	$(call limit,3000,tests on workerd) $(NODE_TEST) 'tests/workerd/**/*.test.mjs'

test-page: build $(BROWSER)
	$(call limit,1200,tests of the dashboard) $(NODE_TEST) 'tests/page/**/*.test.mjs'

test-pin: build
	$(call limit,900,pinned behaviour and stored data) $(NODE_TEST) 'tests/pin/**/*.test.mjs' 'tests/stored/**/*.test.mjs'

# Rewrites the transcripts of tests/pin and the data of tests/stored.
bless-pin: build
	BLESS=1 $(NODE_TEST) 'tests/pin/**/*.test.mjs'
	node tests/stored/make.mjs

test-make: setup build
	$(call limit,1800,tests of the make commands) $(NODE_TEST) 'tests/make/**/*.test.mjs'

test-python: build python-packages
	$(call limit,900,tests of the Python SDK) env PYTHONPATH=.tools/python python3 -m pytest tests/python
