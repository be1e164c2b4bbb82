// Responds to open requests when the wasm has failed.
//
// After a panic or a trap, nothing in the wasm runs again: it neither responds, nor ends a stream, nor
// cancels a call to a provider. This module therefore responds to each open request and ends each open
// stream. It does so in the request's own context, because the runtime lets no request touch the streams of
// another. No receipt is written: the request's lease expires, and its account records the request as lost.

const MESSAGE = "The gateway failed while it handled this request. Send it again.";

/** What the promise of a response resolves to when the wasm has failed. */
const FAILED = Symbol("the wasm has failed");

/** The response bodies that the wasm writes, by response and by writable side. */
const streams = new WeakMap();

/** A response body that the wasm writes. */
class ResponseStream {
  /** The writer that holds the lock, or held it last: a failed wasm cannot release it. */
  writer = null;
  /** Stops the runtime's copying, if there is one; */
  stop = null;
  /** resolves when it has stopped. */
  piped = null;
  ended = false;
  onEnd = null;

  constructor(response, writable, isEvents) {
    Object.assign(this, { response, writable, isEvents });
    const getWriter = writable.getWriter.bind(writable);
    writable.getWriter = () => (this.writer = getWriter());
  }

  /** The wasm writes nothing more: the stream no longer has to be watched. */
  end() {
    this.ended = true;
    this.onEnd?.();
  }

  /**
   * The client has disconnected. If the runtime has not started to read the response by then, it never does,
   * and a write would never end.
   */
  disconnect() {
    this.end();
    if (!this.response.body.locked) this.response.body.cancel().catch(() => {});
  }

  /**
   * Ends the stream after the wasm has failed: events with an error frame, other bytes with a broken
   * connection.
   */
  async fail(request) {
    this.stop?.abort();
    await this.piped;
    const writer = this.writable.locked ? this.writer : this.writable.getWriter();
    if (!this.isEvents) return writer.abort();
    await writer.write(new TextEncoder().encode(errorFrame(request)));
    await writer.close();
  }
}

/**
 * A response whose body the wasm writes: server-sent events, or the bytes of a whole response, with their
 * number if it is known.
 */
export function streamedResponse(init, isEvents, length) {
  const { readable, writable } = length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length);
  const stream = new ResponseStream(new Response(readable, init), writable, isEvents);
  streams.set(stream.response, stream);
  streams.set(writable, stream);
  return stream;
}

/** Tells that the wasm writes nothing more to such a response. */
export function ended(writable) {
  streams.get(writable)?.end();
}

/**
 * Lets the runtime copy `readable` to such a response until it ends or `stop` fires. The response stays open.
 */
export function pipe(readable, writable, stop) {
  const piped = readable.pipeTo(writable, { preventClose: true, preventAbort: true, signal: stop.signal });
  const stream = streams.get(writable);
  if (stream) {
    stream.stop = stop;
    stream.piped = piped.catch(() => {});
  }
  return piped;
}

/**
 * Returns a function that responds to a request with what `serve` gives to `respond` of its argument, or with
 * an error if the wasm fails. `state` is that of scripts/worker-shim.js.
 */
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
    const entry = { respond: null, fail: null };
    open.add(entry);
    const responded = new Promise((resolve) => {
      entry.respond = resolve;
      entry.fail = () => resolve(FAILED);
      try {
        serve(entry);
      } catch {
        // A trap, or an error of the runtime, has left the wasm in the middle of something.
        entry.fail();
        state.criticalError = true;
      }
    });
    // The callback runs in the context of this request, whichever context resolved the promise.
    return responded.then((response) => {
      const stream = streams.get(response);
      if (!stream || stream.ended) open.delete(entry);
      else {
        stream.onEnd = () => open.delete(entry);
        if (request.signal.aborted) stream.disconnect();
        else request.signal.addEventListener("abort", () => stream.disconnect(), { once: true });
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

/** An error in the caller's format, with a request id, for a request without a response. */
function errorResponse(request) {
  const own = request.headers.get("x-request-id") ?? "";
  const id = /^[\w.:-]{1,128}$/.test(own) ? own : `req_${crypto.randomUUID().replaceAll("-", "")}`;
  const headers = { "content-type": "application/json", "x-request-id": id, "access-control-allow-origin": "*", "access-control-expose-headers": "*" };
  if (isMessages(request)) headers["request-id"] = id;
  return new Response(errorBody(request), { status: 500, headers });
}

/**
 * The end of a stream of events, in the caller's format. The blank line before it ends an event that was cut
 * off.
 */
const errorFrame = (request) => `\n\n${isMessages(request) ? "event: error\n" : ""}data: ${errorBody(request)}\n\n${isMessages(request) ? "" : "data: [DONE]\n\n"}`;
