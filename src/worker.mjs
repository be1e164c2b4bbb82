// The entry module: hands the operator's YAML to the gateway, and each request to its wasm.
// The YAML is a module of its own, so that editing it needs no Rust.
import config from "../build/config.yaml";
import Bridge, { Account, Directory, Session, Vault } from "../build/index.js";

// The Durable Objects, as wrangler.toml names them.
export { Account, Directory, Session, Vault };

globalThis.LLM_BRIDGE_CONFIG = config;

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

// When the wasm is spoilt by a panic, nobody in it answers any more, ends a stream, or lets go of a provider. Each request is told so in its own
// context, for the runtime lets none touch another's streams. No receipt is written here: the request is lost, and its account finds that out.

const WORDS = "The gateway failed while it worked on this request. Ask again.";

const isMessages = (request) => new URL(request.url).pathname.includes("/messages") || request.headers.has("anthropic-version");

const body = (request) =>
  JSON.stringify(
    isMessages(request)
      ? { type: "error", error: { type: "api_error", message: WORDS }, request_id: null }
      : { error: { message: WORDS, type: "configuration_error", param: null, code: "internal_error" } },
  );

/** The answer to a request that got none: an error in the caller's format, with an id. */
function apology(request) {
  const own = request.headers.get("x-request-id") ?? "";
  const id = /^[\w.:-]{1,128}$/.test(own) ? own : `req_${crypto.randomUUID().replaceAll("-", "")}`;
  const headers = { "content-type": "application/json", "x-request-id": id, "access-control-allow-origin": "*", "access-control-expose-headers": "*" };
  if (isMessages(request)) headers["request-id"] = id;
  return new Response(body(request), { status: 500, headers });
}

/** The last words of a stream. What was cut within an event is ended first. */
const lastWords = (request) => `\n\n${isMessages(request) ? "event: error\n" : ""}data: ${body(request)}\n\n${isMessages(request) ? "" : "data: [DONE]\n\n"}`;

/** The streams that the wasm writes, by the side that is read. */
const joints = new WeakMap();
/** What has to be told of them, by the side that is written. */
const pumps = new WeakMap();

const Identity = globalThis.IdentityTransformStream;
globalThis.IdentityTransformStream = class extends Identity {
  constructor() {
    super();
    const { readable, writable } = this;
    const joint = { writable, writer: null, stop: null, done: false, over: () => (joint.done = true) };
    const getWriter = writable.getWriter.bind(writable);
    // Whoever writes last has the lock, and with the wasm gone nobody gives it back.
    writable.getWriter = () => {
      const writer = (joint.writer = getWriter());
      // A lock that is given back is no end.
      writer.closed.then(() => joint.over(), (fault) => /released/.test(fault?.message) || joint.over());
      return writer;
    };
    joints.set(readable, joint);
    pumps.set(writable, joint);
  }
};

const { pipeTo } = ReadableStream.prototype;
ReadableStream.prototype.pipeTo = function (sink, options) {
  const joint = pumps.get(sink);
  if (!joint) return pipeTo.call(this, sink, options);
  joint.stop = new AbortController();
  const pumped = pipeTo.call(this, sink, { ...options, preventClose: true, preventAbort: true, signal: AbortSignal.any([options.signal, joint.stop.signal]) });
  // Stopped by a signal, it goes on in another way.
  joint.pumped = pumped.catch(() => options.signal.aborted || joint.stop.signal.aborted || joint.over());
  return pumped;
};

/** Ends a stream of spoilt wasm. */
async function end(joint, request) {
  joint.stop?.abort();
  await joint.pumped;
  const writer = joint.writable.locked ? joint.writer : joint.writable.getWriter();
  await writer.write(new TextEncoder().encode(lastWords(request)));
  await writer.close();
}

/** Watches for the spoiling. Gives what answers a request by `serve`, and sees to it that there is an answer, and an end. */
function watch(state) {
  const live = new Set();
  let critical = state.criticalError;
  Object.defineProperty(state, "criticalError", {
    get: () => critical,
    set(value) {
      critical = value;
      if (!value) return;
      const all = [...live];
      live.clear();
      for (const spoil of all) spoil();
    },
  });
  return (request, serve) => {
    let spoil, joint;
    // Whoever waits for this goes on in the request's own context, wherever it is resolved.
    const spoilt = new Promise((resolve) => live.add((spoil = resolve)));
    const begun = (response) => {
      joint = response.body && joints.get(response.body);
      if (!joint || joint.done) live.delete(spoil);
      else {
        joint.over = () => live.delete(spoil);
        spoilt.then(() => end(joint, request)).catch(() => {});
      }
      return response;
    };
    const failed = () => (live.delete(spoil), apology(request));
    let served;
    try {
      served = serve();
    } catch (fault) {
      if (fault instanceof WebAssembly.RuntimeError) state.criticalError = true;
      return Promise.resolve(failed());
    }
    return Promise.race([served.then(begun, failed), spoilt.then(() => joint ? served : apology(request))]);
  };
}
