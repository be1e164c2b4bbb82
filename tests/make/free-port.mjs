// A port of this machine that nobody uses at the moment, and that the system gives to nobody who asks for any
// port or calls somebody: what is started at it may need minutes until it listens there.

import { once } from "node:events";
import { createServer } from "node:net";

/** Below those that systems give away: Linux from 32768 on, others from 49152. */
const [FIRST, COUNT] = [10_240, 20_000];

export async function freePort() {
  for (let tries = 100; ; tries--) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    try {
      const server = createServer().listen(port, "127.0.0.1");
      await once(server, "listening");
      server.close();
      await once(server, "close");
      return port;
    } catch (fault) {
      if (fault.code !== "EADDRINUSE" || tries === 0) throw fault;
    }
  }
}
