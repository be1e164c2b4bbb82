#!/usr/bin/env bash
# Builds the wasm that calls providers through proxies: build/tunnel_bg.wasm, and build/tunnel.js, its functions.
# `make build` calls it if a source has changed, with wasm-opt and esbuild on the PATH.
#
# usage: scripts/build-tunnel.sh release|quick (see build-wasm.mjs)
set -euo pipefail

profile=$1
target=${CARGO_TARGET_DIR:-target}
between=$target/tunnel

cargo build --profile "$profile" --locked --package llm-bridge-tunnel --features edge --target wasm32-unknown-unknown
mkdir -p build "$between"
cargo run --locked --package bindgen -- web "$target/wasm32-unknown-unknown/$profile/llm_bridge_tunnel.wasm" "$between" tunnel
# Calls, tasks and streams of this wasm are watched by src/tunnel.mjs, which ends them if the wasm fails.
esbuild "$between/tunnel.js" --minify --format=esm --log-level=warning --outfile=build/tunnel.js \
  --define:queueMicrotask=LLM_BRIDGE_TUNNEL.queueTask --define:IdentityTransformStream=LLM_BRIDGE_TUNNEL.Body \
  --define:WebAssembly.Instance=LLM_BRIDGE_TUNNEL.Instance
if [ "$profile" = quick ]; then
  cp "$between/tunnel_bg.wasm" build/tunnel_bg.wasm
  exit
fi
wasm-opt -O3 --enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int --enable-reference-types \
  --enable-sign-ext --enable-multivalue --enable-exception-handling --enable-simd "$between/tunnel_bg.wasm" -o build/tunnel_bg.wasm
