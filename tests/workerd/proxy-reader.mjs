// The gateway's entry module, wrapped for tests: a POST to /test/read calls a server through a proxy by
// src/tunnel.mjs, reads one chunk of the response, cancels it after `wait` ms, and responds with a byte each
// 50 ms, so that its request goes on.

import gateway from "../../src/worker.mjs";
import { tunnel } from "../../src/tunnel.mjs";

export * from "../../src/worker.mjs";

const PACE_MS = 50;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function read({ url, proxy, wait }) {
  const response = await tunnel(url, { method: "POST", headers: {} }, { proxy }, 0, 1 << 20);
  const reader = response.body.getReader();
  await reader.read();
  await sleep(wait);
  await reader.cancel("not interested");
  const pull = async (controller) => {
    await sleep(PACE_MS);
    controller.enqueue(new Uint8Array(1));
  };
  return new Response(new ReadableStream({ pull }));
}

export default {
  ...gateway,
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname === "/test/read") return read(await request.json());
    return gateway.fetch(request, env, ctx);
  },
};
