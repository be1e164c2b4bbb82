// The gateway's entry module, wrapped for tests: makes the wasm of tunnels trap, once, where the test has put a trap
// into it (tunnel-traps.test.mjs), and counts its instances.

import gateway from "../../src/worker.mjs";

export * from "../../src/worker.mjs";

globalThis.TUNNEL = { trap: 0, instances: 0 };

export default {
  ...gateway,
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname !== "/test/control") return gateway.fetch(request, env, ctx);
    return Response.json(Object.assign(globalThis.TUNNEL, await request.json()));
  },
};
