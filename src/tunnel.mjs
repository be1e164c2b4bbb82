// Calls providers through proxies. A wasm of its own speaks to proxies, TLS and HTTP. The first such call loads
// it, so that a gateway without proxies never pays for it.
//
// A panic in it ends its calls and their responses, each in the context of its own request, because the runtime
// lets no request touch the connections of another. The next call gets a fresh instance.
import { connect } from "cloudflare:sockets";

/** The functions of the wasm, once it has been loaded. */
let wasm = null;

/** What ends each call, connection and body that the wasm is busy with. */
const open = new Set();

const ready = Promise.resolve();

// Each request imports it for itself: one that ended meanwhile would leave the others waiting.
async function load() {
  const [{ default: module }, functions] = await Promise.all([import("../build/tunnel_bg.wasm"), import("../build/tunnel.js")]);
  if (!wasm) {
    functions.initSync({ module });
    wasm = functions;
  }
  return wasm;
}

/** Calls `end` in the context of this request if the wasm fails before `done` has settled. */
function watch(done, end) {
  let fire;
  new Promise((resolve) => open.add((fire = resolve))).then(end).catch(() => {});
  const forget = () => open.delete(fire);
  done.then(forget, forget);
}

/** The error of calls and bodies that the wasm was busy with when it failed. */
const failure = () => Object.assign(new Error("the tunnel failed"), { code: "tunnel_failed" });

/** The wasm has failed: nothing in it runs again. */
function fail(error) {
  console.error("The tunnel failed", error);
  const all = [...open];
  open.clear();
  for (const fire of all) fire();
  wasm?.__wbg_reset_state();
}

/** How deep in the wasm the thread is: it calls JavaScript, which may call it again. */
let depth = 0;

/** What has unwound the wasm, while some of it is still on the stack. */
let fatal = null;

/**
 * A function of the wasm. What it throws has unwound the wasm without a word to it, so that this has failed, even
 * if JavaScript in between catches it. The error that goes on is no `WebAssembly.RuntimeError`, which would mean to
 * the entry module that the gateway's own wasm has failed.
 */
function guarded(call) {
  return (...args) => {
    let result;
    depth++;
    try {
      result = call(...args);
    } catch (error) {
      fatal ??= error;
    }
    depth--;
    if (!fatal) return result;
    if (depth === 0) {
      const error = fatal;
      fatal = null;
      fail(error);
    }
    throw failure();
  };
}

/** An instance of the wasm, whose functions are guarded. */
class Instance {
  constructor(module, imports) {
    const { exports } = new WebAssembly.Instance(module, imports);
    this.exports = Object.fromEntries(Object.entries(exports).map(([name, item]) => [name, typeof item === "function" ? guarded(item) : item]));
  }
}

/** Runs a task of the wasm. One of an instance that has failed throws, and means nothing. */
function queueTask(task) {
  ready.then(task).catch(() => {});
}

/**
 * The body of a response, which the wasm writes: what it sees of an `IdentityTransformStream`. The runtime pipes
 * from no such stream to another, and responses end in one, so that this is a stream of JavaScript. A write
 * completes when somebody reads.
 */
class Body {
  #controller;
  #isAwaited = false;
  #writing = null;
  #gone = null;
  #end;

  constructor() {
    const source = { type: "bytes", start: (controller) => void (this.#controller = controller), pull: () => this.#read(), cancel: (reason) => this.#leave(reason) };
    this.readable = new ReadableStream(source, { highWaterMark: 0 });
    this.writable = { getWriter: () => this };
    this.closed = new Promise((resolve) => (this.#end = resolve));
    watch(this.closed, () => this.abort(failure()));
  }

  #read() {
    this.#isAwaited = true;
    this.#writing?.resolve();
  }

  #leave(reason) {
    this.#gone = { reason };
    this.#end();
    this.#writing?.reject(reason);
  }

  async write(bytes) {
    if (this.#gone) throw this.#gone.reason;
    if (!this.#isAwaited) await new Promise((resolve, reject) => (this.#writing = { resolve, reject }));
    this.#isAwaited = false;
    this.#controller.enqueue(bytes);
  }

  async close() {
    this.#end();
    this.#controller.close();
    // A reader with a buffer of its own waits until it is given back.
    this.#controller.byobRequest?.respond(0);
  }

  async abort(reason) {
    this.#end();
    this.#controller.error(reason);
  }
}

// What the build puts in the place of `queueMicrotask`, `IdentityTransformStream` and `WebAssembly.Instance`
// (scripts/build-tunnel.sh).
globalThis.LLM_BRIDGE_TUNNEL = { queueTask, Body, Instance };

/** A connection that is closed if the wasm fails. */
function dial(...args) {
  const socket = connect(...args);
  watch(socket.closed, () => socket.close());
  return socket;
}

/** The longest time until a connection through a proxy stands, in milliseconds. */
const DIAL_MS = 10_000;

/**
 * Calls a provider through a proxy. `init` is what `fetch` takes: `method`, `headers` as a plain object, `body`,
 * `signal`; `length` is that of the body in bytes. `via` has the address of the `proxy`, and as PEM the `ca` that
 * is trusted besides the public ones. A response is unpacked to `maxLength` bytes at most.
 *
 * Resolves to the response when its head has come. Rejects with an error that has a `code`.
 */
export async function tunnel(url, { method, headers, body = null, signal }, via, length, maxLength) {
  const { tunnel } = wasm ?? (await load());
  const flat = ["content-length", String(length), ...Object.entries(headers).flat()];
  const limits = { dial_ms: DIAL_MS, max_answer_bytes: maxLength };
  // As `fetch` has an address: percent-encoded, and the name of its host in ASCII.
  const { href } = new URL(url);
  const response = tunnel({ ...via, url: href, method, headers: flat, body, signal, limits, connect: dial });
  return new Promise((resolve, reject) => {
    watch(response, () => reject(failure()));
    response.then(resolve, reject);
  });
}
