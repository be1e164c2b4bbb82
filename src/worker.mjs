// The entry module: gives the wasm the operator's YAML and each request.
// The YAML is a module of its own, so an edit of it compiles no Rust.
import config from "../build/config.yaml";
import { ended, pipe, streamedResponse, watch } from "./wasm-failure.mjs";
import { runtime } from "./runtime.mjs";
import { tunnel } from "./tunnel.mjs";
import { zoneOffsets } from "./zones.mjs";
import Bridge, { Account, Directory, Health, LogFiles, Operations, Region, Session, Vault } from "../build/index.js";

// The Durable Objects, by their names in wrangler.toml.
export { Account, Directory, Health, LogFiles, Operations, Region, Session, Vault };

const state = globalThis.__worker_init_state;

// What the wasm imports from this module (src/edge/js/entry_module.rs, src/edge/js/runtime.rs).
globalThis.LLM_BRIDGE = { config, dataCenter: () => place, ended, pipe, streamedResponse, tunnel, zoneOffsets, ...runtime(state, Bridge.prototype) };

/** The data center where this isolate runs, as the first request says that has come here from a client. */
let place;

// The futures of Durable Objects are woken by queueMicrotask. The runtime's implementation allocates an
// object for each task; a resolved promise costs a fraction of that. A panic in a task then becomes an
// unhandled rejection instead of an error, hence the listener.
const ready = Promise.resolve();
globalThis.queueMicrotask = (task) => void ready.then(task);
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof WebAssembly.RuntimeError) state.criticalError = true;
});

// The shim's own entry is a class behind two proxies, constructed for each request. It is used only to
// instantiate new wasm after a panic.
const { serve_request } = Bridge.prototype;
const respond = watch(state);

export default {
  fetch(request, env, ctx) {
    if (state.criticalError) new Bridge(ctx, env);
    place ||= request.cf?.colo;
    const response = respond(request, (open) => serve_request(request, env, ctx, open));
    // Keeps the request running up to its receipt, even if the client disconnects before the response begins.
    ctx.waitUntil(response);
    return response;
  },
};
