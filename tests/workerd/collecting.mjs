// The gateway's entry module, wrapped for tests: a request to CONTROL makes the engine collect garbage
// (`v8Flags: ["--expose-gc"]`), and its response says how many requests are still referenced.

import gateway, * as objects from "../../src/worker.mjs";

export const { Account, Directory, Health, LogFiles, Operations, Region, Session, Vault } = objects;

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
    // The engine reports collected objects in a task of its own.
    await new Promise((resolve) => setTimeout(resolve, 10));
    return Response.json({ held });
  },
};
