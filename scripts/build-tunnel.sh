#!/usr/bin/env bash
# Builds the wasm that calls providers through proxies: build/tunnel_bg.wasm, and build/tunnel.js, its functions.
# `make build` calls it if a source has changed, with WASM_BINDGEN, and with wasm-opt and esbuild on the PATH.
set -euo pipefail

target=${CARGO_TARGET_DIR:-target}
between=$target/tunnel

cargo build --release --locked --package llm-bridge-tunnel --features edge --target wasm32-unknown-unknown
"$WASM_BINDGEN" --target web --no-typescript --experimental-reset-state-function --out-dir "$between" --out-name tunnel \
  "$target/wasm32-unknown-unknown/release/llm_bridge_tunnel.wasm"
mkdir -p build
# Tasks and streams of this wasm are watched by src/tunnel.mjs, which ends them if the wasm fails.
esbuild "$between/tunnel.js" --minify --format=esm --log-level=warning --outfile=build/tunnel.js \
  --define:queueMicrotask=LLM_BRIDGE_TUNNEL.queueTask --define:IdentityTransformStream=LLM_BRIDGE_TUNNEL.Body
wasm-opt -O3 --enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int --enable-reference-types \
  --enable-sign-ext --enable-multivalue --enable-exception-handling "$between/tunnel_bg.wasm" -o build/tunnel_bg.wasm
