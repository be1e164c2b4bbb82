// The gateway's entry module, wrapped for tests: a request to CONTROL has the engine collect its garbage (`v8Flags: ["--expose-gc"]`), and
// answers how many requests are still held by something.

import gateway, * as objects from "../../src/worker.mjs";

export const { Account, Directory, Session, Vault } = objects;

const CONTROL = "/test/control";
let held = 0;
const collected = new FinalizationRegistry(() => (held -= 1));

export default {
  async fetch(request, env, ctx) {
    if (!request.url.endsWith(CONTROL)) {
      held += 1;
      collected.register(request);
      return gateway.fetch(request, env, ctx);
    }
    globalThis.gc();
    // The engine tells of what it has collected in a task of its own.
    await new Promise((resolve) => setTimeout(resolve, 10));
    return Response.json({ held });
  },
};
