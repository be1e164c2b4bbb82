// What is done for open requests when the wasm has failed.
//
// After a panic or a trap nothing in the wasm runs again: it answers no request, ends no stream and lets go of no provider. So each open request
// is answered from here, and each open stream is ended from here, in the request's own context: the runtime lets no request touch the streams
// of another. No receipt is written. The request's lease lapses, and its account then records it as lost.

const MESSAGE = "The gateway failed while it worked on this request. Ask again.";

/** What a promise of an answer resolves to when the wasm has failed. */
const FAILED = Symbol("the wasm has failed");

/** The streams that the wasm writes, by their response and by their writable side. */
const streams = new WeakMap();

/** A response body that the wasm writes. */
class ResponseStream {
  /** The writer that holds the lock, or held it last: the wasm cannot give it back once it has failed. */
  writer = null;
  /** Stops the runtime's copying, if that is under way, … */
  stop = null;
  /** … and resolves when it has stopped. */
  piped = null;
  ended = false;
  onEnd = null;

  constructor(response, writable, isEvents) {
    Object.assign(this, { response, writable, isEvents });
    const getWriter = writable.getWriter.bind(writable);
    writable.getWriter = () => (this.writer = getWriter());
  }

  /** Nothing more is written to it: it need not be watched over. */
  end() {
    this.ended = true;
    this.onEnd?.();
  }

  /** Its client has left. A response that the runtime has not taken by then is never read: a write to it would never end. */
  leave() {
    this.end();
    if (!this.response.body.locked) this.response.body.cancel().catch(() => {});
  }

  /** Ends it for a client whose request the wasm has left behind: events by an error frame, other bytes by a broken connection. */
  async fail(request) {
    this.stop?.abort();
    await this.piped;
    const writer = this.writable.locked ? this.writer : this.writable.getWriter();
    if (!this.isEvents) return writer.abort();
    await writer.write(new TextEncoder().encode(errorFrame(request)));
    await writer.close();
  }
}

/** A response whose body the wasm writes: server-sent events, or the bytes of a whole answer, of which there are `length` if that is known. */
export function streamedResponse(init, isEvents, length) {
  const { readable, writable } = length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length);
  const stream = new ResponseStream(new Response(readable, init), writable, isEvents);
  streams.set(stream.response, stream);
  streams.set(writable, stream);
  return stream;
}

/** The wasm writes nothing more to such a response. */
export function ended(writable) {
  streams.get(writable)?.end();
}

/** Lets the runtime copy `readable` to such a response until its end, or until `stop` says so. The response stays open. */
export function pipe(readable, writable, stop) {
  const piped = readable.pipeTo(writable, { preventClose: true, preventAbort: true, signal: stop.signal });
  const stream = streams.get(writable);
  if (stream) {
    stream.stop = stop;
    stream.piped = piped.catch(() => {});
  }
  return piped;
}

/** Gives a function that answers a request by `serve`, and answers it in its stead when the wasm fails. `state`: worker-build's. */
export function watch(state) {
  const open = new Set();
  let critical = state.criticalError;
  Object.defineProperty(state, "criticalError", {
    get: () => critical,
    set(value) {
      critical = value;
      if (!value) return;
      const all = [...open];
      open.clear();
      for (const entry of all) entry.fail();
    },
  });

  return (request, serve) => {
    const entry = { fail: null };
    open.add(entry);
    const answered = new Promise((resolve) => {
      entry.fail = () => resolve(FAILED);
      try {
        serve().then(resolve, entry.fail);
      } catch (error) {
        entry.fail();
        if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
      }
    });
    // What follows runs in the context of this request, no matter in which one the promise was resolved.
    return answered.then((response) => {
      const stream = streams.get(response);
      if (!stream || stream.ended) open.delete(entry);
      else {
        stream.onEnd = () => open.delete(entry);
        if (request.signal.aborted) stream.leave();
        else request.signal.addEventListener("abort", () => stream.leave(), { once: true });
        new Promise((resolve) => (entry.fail = resolve)).then(() => stream.fail(request)).catch(() => {});
      }
      return response === FAILED ? errorResponse(request) : response;
    });
  };
}

const isMessages = (request) => new URL(request.url).pathname.includes("/messages") || request.headers.has("anthropic-version");

const errorBody = (request) =>
  JSON.stringify(
    isMessages(request)
      ? { type: "error", error: { type: "api_error", message: MESSAGE }, request_id: null }
      : { error: { message: MESSAGE, type: "configuration_error", param: null, code: "internal_error" } },
  );

/** The answer to a request that got none: an error in the caller's format, with an id. */
function errorResponse(request) {
  const own = request.headers.get("x-request-id") ?? "";
  const id = /^[\w.:-]{1,128}$/.test(own) ? own : `req_${crypto.randomUUID().replaceAll("-", "")}`;
  const headers = { "content-type": "application/json", "x-request-id": id, "access-control-allow-origin": "*", "access-control-expose-headers": "*" };
  if (isMessages(request)) headers["request-id"] = id;
  return new Response(errorBody(request), { status: 500, headers });
}

/** The end of a stream of events in the caller's format. The blank line before it ends an event that was cut. */
const errorFrame = (request) => `\n\n${isMessages(request) ? "event: error\n" : ""}data: ${errorBody(request)}\n\n${isMessages(request) ? "" : "data: [DONE]\n\n"}`;
