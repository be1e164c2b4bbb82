// The gateway's entry module, wrapped for tests: a request to SPOIL makes the wasm trap, in a task of that
// request.

import gateway, * as objects from "../../src/worker.mjs";

export const { Account, Directory, Health, LogFiles, Operations, Region, Session, Vault } = objects;

export default {
  fetch(request, env, ctx) {
    if (!request.url.endsWith("/test/spoil")) return gateway.fetch(request, env, ctx);
    // An object at an address outside the memory.
    queueMicrotask(() => Account.prototype.fetch.call({ __wbg_ptr: 2 ** 31 }, request));
    return new Promise((resolve) => setTimeout(resolve, 20, new Response("spoilt")));
  },
};
