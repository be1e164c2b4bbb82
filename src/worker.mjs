// The entry module: gives the wasm the operator's YAML and each request.
// The YAML is a module of its own, so an edit of it compiles no Rust.
import config from "../build/config.yaml";
import { ended, pipe, streamedResponse, watch } from "./wasm-failure.mjs";
import { tunnel } from "./tunnel.mjs";
import { zoneOffsets } from "./zones.mjs";
import Bridge, { Account, Directory, Health, LogFiles, Operations, Region, Session, Vault } from "../build/index.js";

// The Durable Objects, by their names in wrangler.toml.
export { Account, Directory, Health, LogFiles, Operations, Region, Session, Vault };

// What the wasm imports from this module (src/edge/js/entry_module.rs).
globalThis.LLM_BRIDGE = { config, ended, pipe, streamedResponse, tunnel, zoneOffsets };

// Rust's futures are woken by queueMicrotask. The runtime's implementation allocates an object for each task;
// a resolved promise costs a fraction of that. A panic in a task then becomes an unhandled rejection instead
// of an error, hence the listener.
const ready = Promise.resolve();
globalThis.queueMicrotask = (task) => void ready.then(task);
const state = globalThis.__worker_init_state;
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof WebAssembly.RuntimeError) state.criticalError = true;
});

// worker-build's own entry is a class behind two proxies, constructed for each request. It is used only to
// instantiate new wasm after a panic.
const serve = Bridge.prototype.fetch;
const respond = watch(state);

export default {
  fetch(request, env, ctx) {
    if (state.criticalError) new Bridge(ctx, env);
    const response = respond(request, () => serve.call({ env, ctx }, request));
    // Keeps the request running up to its receipt, even if the client disconnects before the response begins.
    ctx.waitUntil(response);
    return response;
  },
};
