// What the wasm asks of the runtime, each in one call: to wait for a promise or for some time, to keep a
// request running, to call a provider, and to make a response. A call of the runtime by the wasm costs more
// than what most of these calls do, and a closure for each callback costs more than a call.
//
// A future in the wasm waits on a numbered slot (src/edge/slots.rs). Here the slot is filled with what the
// future waits for, and that runs the wasm.

/** Lists of names and values are given as one text, in lines. */
function record(lines, first) {
  const record = {};
  for (let at = first; at + 1 < lines.length; at += 2) record[lines[at]] = lines[at + 1];
  return record;
}

/** A copy of bytes of the wasm, in a buffer that nothing else uses, if it has room. A new one would be cleared first. */
function copy(bytes, spare) {
  if (!(spare?.byteLength >= bytes.length)) return bytes.slice();
  const copy = new Uint8Array(spare, 0, bytes.length);
  copy.set(bytes);
  return copy;
}

/** A request to a provider, which can be aborted. */
class ProviderCall {
  #cancel = new AbortController();

  constructor(init, client) {
    const own = this.#cancel.signal;
    // The client's own signal has no effect on a call, but one that is derived from it has.
    init.signal = client ? AbortSignal.any([own, client]) : own;
    this.init = init;
  }

  abort() {
    this.#cancel.abort();
  }
}

/** `state` is that of scripts/worker-shim.js; `wasm` has the functions of src/edge/slots.rs and src/edge/tasks.rs. */
export function runtime(state, wasm) {
  /**
   * Enters the instance of the wasm that asked, if it still runs. An error that comes out of it has left it in the
   * middle of something, whether it is a trap or the runtime's: another instance is needed.
   */
  function enter(instance, run, ...given) {
    if (instance !== state.instanceId || state.criticalError) return;
    try {
      run(...given);
    } catch (error) {
      state.criticalError = true;
      throw error;
    }
  }

  const ready = Promise.resolve();

  return {
    /** Fills a slot with what a promise resolves to, or with the reason why it is rejected. */
    settle(promise, slot, generation) {
      const instance = state.instanceId;
      promise.then(
        (value) => enter(instance, wasm.fill, slot, generation, value, false),
        (fault) => enter(instance, wasm.fill, slot, generation, fault, true),
      );
    },

    /** Fills a slot after some milliseconds; returns the id of the timer. */
    sleep(time, slot, generation) {
      const instance = state.instanceId;
      return setTimeout(() => enter(instance, wasm.fill, slot, generation, undefined, false), time);
    },

    /** Runs the tasks that are ready, when what runs now has ended. */
    soon() {
      const instance = state.instanceId;
      void ready.then(() => enter(instance, wasm.run_tasks));
    },

    /** Keeps the event of a context running until the function that this returns is called. */
    keep(context) {
      let done;
      context.waitUntil(new Promise((resolve) => (done = resolve)));
      return done;
    },

    /**
     * A request to a provider. `head` has the method and the headers. The body is copied, into the buffer `spare` if
     * there is one; an empty one means none. `client` is the signal of a client without which the call ends.
     */
    providerCall(head, body, spare, client) {
      const lines = head.split("\n");
      const init = { method: lines[0], headers: record(lines, 1), redirect: "manual" };
      if (body.length > 0) init.body = copy(body, spare);
      return new ProviderCall(init, client);
    },

    /** A response. `head` has the status and its headers. */
    response(head, body) {
      const lines = head.split("\n");
      return new Response(body, { status: Number(lines[0]), headers: record(lines, 1) });
    },

    /** The same with bytes of the wasm, which are copied. */
    responseOfBytes(head, bytes) {
      return this.response(head, bytes.slice());
    },
  };
}
