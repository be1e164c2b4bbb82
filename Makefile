# Every way to run, test and deploy LLM Bridge. `make` lists the commands. Each of them works on a fresh
# clone. Required: Rust (by rustup), Node.js 20 or newer with npm, and for `make test` Python 3 with pip.
# Everything else is installed once, into node_modules/ and .tools/ here.

# ── Options: make dev PORT=8080 CONFIG=~/my-bridge.yaml ──────────────────────────────────────────────────────────

PORT   ?= 1219
CONFIG ?= configs/config.yaml
export PORT CONFIG
# Where `make serve` stores keys, receipts and sessions.
DATA   ?= data

# ── The tools and their versions ─────────────────────────────────────────────────────────────────────────────────────────────
# wrangler, workerd, esbuild, wasm-opt and Node.js 22 are npm packages, pinned by package-lock.json. The rest is part of
# this workspace: scripts/bindgen.

NPM_PACKAGES := node_modules/.package-lock.json
BROWSER      := .tools/browser/node_modules/.package-lock.json
PROMTOOL     := .tools/prometheus/promtool
CLIS         := .tools/clis/node_modules/.package-lock.json
AIDER        := .tools/aider/.installed

# How the gateway is compiled: `release`, or `quick` for `make dev`, in which a build of either kind is good enough.
WASM ?= release
export WASM

# The sources of the wasm. src/worker.mjs is not one of them: wrangler bundles it with the wasm and the YAML.
TUNNEL_SOURCES := $(shell find tunnel -type f -name '[a-z]*.rs' -path 'tunnel/src/*') tunnel/Cargo.toml Cargo.toml Cargo.lock .cargo/config.toml
RUST_SOURCES := $(shell find src -type f -name '[a-z]*.*' ! -name '*.mjs') $(wildcard build.rs build_script/*.rs configs/catalogue.yaml configs/causes.yaml) Cargo.toml Cargo.lock .cargo/config.toml
# In bytes, gzipped: a guard against accidental growth. Cloudflare allows 3 MB for the whole Worker on the free plan. Calls
# of providers by the Responses API, translation for Responses and Gemini clients with its claims, the choice of targets by
# price, speed and conversation, and recovery in mid-answer are the newest parts.
WASM_GZIP_LIMIT := 2150000
# The same for the wasm that calls providers through proxies, which is loaded by the first such call.
TUNNEL_GZIP_LIMIT := 530000

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

.PHONY: help setup dev serve schema release logs egress build test check explain pin deploy bench clean

help: ## list these commands
	@echo "LLM Bridge: one OpenAI-format endpoint in front of all your model providers."
	@echo
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done
	@echo
	@echo "New here? Run 'make dev' and follow its output. Options: PORT=… CONFIG=path/to/config.yaml."

setup: $(NPM_PACKAGES) wasm-target ## install missing tools (every other command does this by itself)

dev: WASM = quick
dev: options setup check-config build ## serve the gateway on http://localhost:1219 and rebuild as you edit
	@exec scripts/dev.sh

serve: setup check-config build ## serve the gateway on this machine without wrangler, until it is stopped: docs/self-hosting.md
	@exec node scripts/npm/llm-bridge.mjs serve --config "$(CONFIG)" --data "$(DATA)" --listen "http://127.0.0.1:$(PORT)" $$([ ! -f .dev.vars ] || echo --env-file .dev.vars) $(SERVE)

logs: ## show the newest lines of log files; options: TAIL=… LEVEL=… REQUEST_ID=… FROM=… URL=https://…
	@scripts/logs.sh

egress: ## show from where the calls of each provider leave; options: URL=https://…
	@PORT=$(PORT) node scripts/egress.mjs

build: build/index.js build/index_bg.wasm build/tunnel.js build/tunnel_bg.wasm build/assets/cl100k_base.bin config-link dashboard ## compile the gateway into build/, if a source has changed

test: test-rust test-size test-types test-workerd test-serve test-clis test-page test-pin test-make test-python ## run every test, including those on the real runtime

check: lint test-rust check-config dry-run ## quick checks before a commit: format, lints, docs, native tests, configuration

explain: ## show what the gateway knows of a model, and where from: make explain MODEL=openai/gpt-5-mini
	@[ -n "$(MODEL)" ] || { echo "Name a model: make explain MODEL=openai/gpt-5-mini" >&2; exit 1; }
	@cargo run --quiet --locked --bin llm-bridge-check -- --explain "$(MODEL)" "$(CONFIG)"

schema: ## write the JSON Schema of configuration files, after a change of what they may say
	@cargo run --quiet --locked --bin llm-bridge-check -- --schema > target/config.schema.json && mv target/config.schema.json configs/

pin: build ## compare 15,000 exchanges with an older build (a few minutes): make pin BASE=path/to/its/checkout
	@[ -f "$(BASE)/build/index_bg.wasm" ] || { echo "BASE must be the path of a built checkout: make pin BASE=path" >&2; exit 1; }
	@node tests/pin/pin.mjs --base "$(BASE)" $(PIN)

deploy: CHECK_OPTIONS = --deploy
deploy: setup check-config build ## publish to Cloudflare (wrangler.toml lists the secrets to set)
	@wrangler deploy

release: setup check-config build ## write the npm package, for those without Rust, into target/package
	@mkdir -p target/package && node scripts/npm/pack.mjs target/package

bench: setup ## compare with bare Workers and other gateways (about an hour; Ctrl-C prints what is done; options: bench/Makefile)
	@$(MAKE) --no-print-directory -C bench

clean: ## remove build results (not installed tools)
	rm -rf build .wrangler
	cargo clean

# ── Set-up: each step does nothing if its result exists ──────────────────────────────────────────────────────────────────

.PHONY: wasm-target python-packages promtool

# npm writes this file last, so it proves a complete node_modules that is no older than the lock file.
$(NPM_PACKAGES): package-lock.json
	$(call need,npm,Node.js 20 or newer)
	@echo "Installing the npm packages (about a minute)…"
	@PATH="$(SYSTEM_PATH)" npm ci --no-audit --no-fund --loglevel=error
	@wrangler --version >/dev/null && workerd --version >/dev/null || { rm -f $@; \
	  echo "wrangler or workerd does not start. If npm ignores install scripts here, allow them: npm config set ignore-scripts false" >&2; exit 1; }

wasm-target:
	$(call need,cargo,Rust from https://rustup.rs)
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

# Coding agents, each as its vendor publishes it: 1.3 GB. The last two commands are their install scripts, which put
# the program of this machine in place.
# Not `npm ci`: it refuses a lock without opencode's packages for other systems, which not every registry has.
$(CLIS): tests/clis/package-lock.json
	$(call need,npm,Node.js 20 or newer)
	@echo "Installing the coding agents of the tests (about a minute)…"
	@mkdir -p .tools/clis && cp tests/clis/package.json tests/clis/package-lock.json .tools/clis/
	@PATH="$(SYSTEM_PATH)" npm install --no-save --prefix .tools/clis --ignore-scripts --no-audit --no-fund --loglevel=error
	@cd .tools/clis/node_modules/opencode-ai && node postinstall.mjs >/dev/null
	@cd .tools/clis/node_modules/@anthropic-ai/claude-code && node install.cjs >/dev/null
	@touch $@

# A coding agent from PyPI, in an environment of its own: 700 MB. Without it, its test is skipped and says why.
$(AIDER): tests/clis/requirements.txt
	$(call need,python3,Python 3 with pip)
	@echo "Installing aider for the tests (a minute or two)…"
	@rm -rf .tools/aider && { python3 -m venv .tools/aider && \
	  .tools/aider/bin/pip install --quiet --disable-pip-version-check -r tests/clis/requirements.txt && touch $@; } || \
	  { rm -rf .tools/aider; echo "aider could not be installed: the test that needs it is skipped." >&2; }

python-packages:
	$(call need,python3,Python 3 with pip)
	@wanted="$$(python3 --version), requirements $$(cksum < tests/python/requirements.txt)"; \
	 [ "$$wanted" = "$$(cat .tools/python/.stamp 2>/dev/null)" ] || { \
	  echo "Installing the Python packages of the tests…"; rm -rf .tools/python; \
	  python3 -m pip install --quiet --disable-pip-version-check --target .tools/python -r tests/python/requirements.txt && \
	  echo "$$wanted" > .tools/python/.stamp; }

# Prometheus' own judge of metrics. It is in no registry of npm or PyPI, but in Debian's package.
promtool:
	@command -v promtool >/dev/null || [ -x $(PROMTOOL) ] || { echo "Installing promtool for the tests…"; scripts/install-promtool.sh $(PROMTOOL); } || \
	  echo "promtool could not be installed: the test of metrics that needs it is skipped. Install Prometheus, and run make again." >&2

# ── Building ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: options config-link dashboard check-config dry-run quick-build

# $(call unfit,file): what `make dev` has built is built again for all else. The file says how it was built.
unfit = $(if $(filter quick,$(shell cat build/$(1) 2>/dev/null)),$(if $(filter dev,$(MAKECMDGOALS))$(filter quick,$(WASM)),,quick-build))

# The result gets the time of the start, so that a file edited during the build is newer and built next time.
build/index.js: $(RUST_SOURCES) scripts/build-wasm.mjs scripts/worker-shim.js $(NPM_PACKAGES) $(call unfit,.built-as) | wasm-target
	@mkdir -p build && touch build/.began
	@node scripts/build-wasm.mjs $(WASM)
	@touch -r build/.began build/index_bg.wasm build/index.js && echo $(WASM) > build/.built-as

build/index_bg.wasm: build/index.js

# Shares compiled crates with the gateway. Its own ones, TLS and cryptography, take most of the time.
build/tunnel_bg.wasm: $(TUNNEL_SOURCES) scripts/build-tunnel.sh $(NPM_PACKAGES) $(call unfit,.tunnel-built-as) | wasm-target
	@echo "Compiling the tunnel to proxies to WebAssembly…"
	@mkdir -p build && touch build/.tunnel-began
	@scripts/build-tunnel.sh $(WASM)
	@touch -r build/.tunnel-began build/tunnel.js build/tunnel_bg.wasm && echo $(WASM) > build/.tunnel-built-as

build/tunnel.js: build/tunnel_bg.wasm

# Static files that the gateway fetches when it needs them: vocabularies. The one written last proves that all
# exist.
build/assets/cl100k_base.bin: $(wildcard scripts/vocabularies/src/*.rs) Cargo.lock
	@echo "Packing the vocabularies for counting tokens…"
	@cargo run --quiet --locked --package vocabularies -- build/assets

# A source that disappears (an editor's temporary file) must not stop the build.
$(sort $(RUST_SOURCES) $(TUNNEL_SOURCES)):

# What is typed after `make dev`, checked before anything is built.
options:
	@[[ "$$PORT" =~ ^[1-9][0-9]{0,4}$$ ]] && [ "$$PORT" -le 65535 ] || { \
	  echo "PORT=$$PORT is no port: it must be a number from 1 to 65535, such as make dev PORT=8080." >&2; exit 1; }
	@[ -f "$$CONFIG" ] || { \
	  echo "CONFIG=$$CONFIG is no file: name a configuration, such as make dev CONFIG=path/to/config.yaml." >&2; exit 1; }

# The gateway imports build/config.yaml as text: a copy, which scripts/dev.sh keeps up to date. While `wrangler dev` serves,
# a configuration that is away leaves the last one in place.
config-link:
	@[ -f "$$CONFIG" ] || { [ "$$WRANGLER_COMMAND" = dev ] && [ -f build/config.yaml ]; } || { \
	  echo "The configuration file '$$CONFIG' does not exist." >&2; exit 1; }
	@mkdir -p build; [ ! -f "$$CONFIG" ] || { cmp -s "$$CONFIG" build/config.yaml && [ ! -L build/config.yaml ]; } || \
	 { cp "$$CONFIG" build/.config.yaml && mv -f build/.config.yaml build/config.yaml; }

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

.PHONY: pictures lint test-rust test-size test-types test-workerd test-serve test-clis test-clis-all test-page test-pin bless-pin test-make test-python

# Each suite has a time limit in seconds, far above its time on a busy machine: $(call limit,seconds,name)
# command. Each test in Node has one (tests/limits.mjs), each file (in milliseconds), and each test in Python
# (tests/python/pytest.ini).
limit = @scripts/limit.sh $(1) "$(2)"
NODE_TEST := node tests/run.mjs

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

# Most of these tests wait most of the time: two files at once.
test-workerd: build $(BROWSER)
	$(call limit,4000,tests on workerd) $(NODE_TEST) --concurrency=2 'tests/workerd/**/*.test.mjs'

# Each agent by a model of another format than its own; `test-clis-all` by those of every format.
test-clis: build $(CLIS) $(AIDER)
	$(call limit,600,tests of coding agents) $(NODE_TEST) 'tests/clis/**/*.test.mjs'

test-clis-all: build $(CLIS) $(AIDER)
	$(call limit,3000,tests of coding agents by models of every format) env CLIS_MATRIX=all $(NODE_TEST) 'tests/clis/**/*.test.mjs'

test-serve: build python-packages
	$(call limit,900,tests of serving without wrangler) $(NODE_TEST) 'tests/serve/**/*.test.mjs'

# Takes the pictures of the dashboard in docs/img/. LOOK=folder takes all views there instead, in light and dark, in Chinese and
# at the width of a phone; VIEW=keys,config some of them.
pictures: build $(BROWSER)
	@node tests/page/pictures.mjs

test-page: build $(BROWSER)
	$(call limit,1800,tests of the dashboard) $(NODE_TEST) 'tests/page/**/*.test.mjs'

test-pin: build
	$(call limit,900,pinned behaviour and stored data) $(NODE_TEST) 'tests/pin/**/*.test.mjs' 'tests/stored/**/*.test.mjs'

# Rewrites the transcripts of tests/pin and the data of tests/stored.
bless-pin: build
	BLESS=1 $(NODE_TEST) 'tests/pin/**/*.test.mjs'
	node tests/stored/make.mjs

test-make: setup build
	$(call limit,1800,tests of the make commands) $(NODE_TEST) 'tests/make/**/*.test.mjs'

test-python: build python-packages promtool
	$(call limit,900,tests of the Python SDK) env PYTHONPATH=.tools/python python3 -m pytest tests/python
