// The gateway's entry module, wrapped for tests: a request to /test/spoil makes the wasm trap, in a task of
// that request; after one to /test/throw, the runtime throws an error through the wasm that calls it next.

import gateway, * as objects from "../../src/worker.mjs";

export const { Account, Directory, Health, LogFiles, Operations, Region, Session, Vault } = objects;

export default {
  fetch(request, env, ctx) {
    if (request.url.endsWith("/test/throw")) {
      const { now } = Date;
      Date.now = () => {
        Date.now = now;
        throw new Error("the clock has stopped");
      };
      return new Response("set");
    }
    if (!request.url.endsWith("/test/spoil")) return gateway.fetch(request, env, ctx);
    // An object at an address outside the memory.
    queueMicrotask(() => Account.prototype.fetch.call({ __wbg_ptr: 2 ** 31 }, request));
    return new Promise((resolve) => setTimeout(resolve, 20, new Response("spoilt")));
  },
};
