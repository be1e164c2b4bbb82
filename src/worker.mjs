// The entry module: hands the operator's YAML to the gateway, and each request to its wasm.
// The YAML is a module of its own, so that editing it needs no Rust.
import config from "../build/config.yaml";
import { ended, pipe, streamedResponse, watch } from "./wasm-failure.mjs";
import Bridge, { Account, Directory, Session, Vault } from "../build/index.js";

// The Durable Objects, as wrangler.toml names them.
export { Account, Directory, Session, Vault };

// What the wasm asks of this module (src/edge/js/entry_module.rs).
globalThis.LLM_BRIDGE = { config, ended, pipe, streamedResponse };

// Rust's futures are woken by queueMicrotask. The runtime's own wraps each task in an object of its own; a promise does the same for
// a fraction of it. The panic of a task then ends in a rejection instead of an error: the wasm is spoilt all the same.
const ready = Promise.resolve();
globalThis.queueMicrotask = (task) => void ready.then(task);
const state = globalThis.__worker_init_state;
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof WebAssembly.RuntimeError) state.criticalError = true;
});

// worker-build's own entry is a class behind two proxies, made anew for each request. Its one use is to put up fresh wasm after a panic.
const serve = Bridge.prototype.fetch;
const answered = watch(state);

export default {
  fetch(request, env, ctx) {
    if (state.criticalError) new Bridge(ctx, env);
    const response = answered(request, () => serve.call({ env, ctx }, request));
    // Goes on to its receipt, even if the client leaves before the answer begins.
    ctx.waitUntil(response);
    return response;
  },
};
