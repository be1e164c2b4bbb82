// The CPU time that a stream takes in the isolate, which is what Cloudflare's plans limit. V8's own profiler,
// asked through workerd's inspector, takes samples only while the isolate is entered, so their number is its
// time, whatever the runtime does outside.

import { setTimeout as sleep } from "node:timers/promises";

import { streamed } from "./bodies.mjs";
import { streamAll } from "./load.mjs";
import { Samples, median, target } from "./rounds.mjs";

const INTERVAL_US = 100;
const PATIENCE_MS = 60_000;
const STREAM = { tokens: 2000, pace: 5, number: 20, spacing: 50 };
const SHORT = { tokens: 40, rounds: 6 };
/** What is stored after a stream is part of its cost. */
const SETTLE_MS = 1500;

export const ISOLATE = { ...STREAM, INTERVAL_US };

/** A connection to the inspector of the Worker `main`. */
class Inspector {
  #socket;
  #asked = new Map();
  #serial = 0;

  static async connect(port) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/main`);
    await new Promise((opened, failed) => {
      socket.addEventListener("open", opened);
      socket.addEventListener("error", () => failed(new Error("the inspector does not answer")));
    });
    return new Inspector(socket);
  }

  constructor(socket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const { id, result, error } = JSON.parse(data);
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      if (error) asked?.reject(new Error(`the inspector refuses: ${error.message}`));
      else asked?.resolve(result);
    });
  }

  #ask(method, params = {}) {
    const id = (this.#serial += 1);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      setTimeout(() => reject(new Error(`the inspector does not answer ${method}`)), PATIENCE_MS).unref();
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /** The milliseconds for which the isolate was entered while `load` ran. */
  async entered(load) {
    await this.#ask("Profiler.enable");
    await this.#ask("Profiler.setSamplingInterval", { interval: INTERVAL_US });
    await this.#ask("Profiler.start");
    await load();
    const { profile } = await this.#ask("Profiler.stop");
    // The profiler wakes a little later than asked. Between two samples of one stay in the isolate is one
    // interval, between others any time.
    const stays = profile.timeDeltas.filter((delta) => delta > 0 && delta < 2 * INTERVAL_US);
    return (profile.samples.length * (median(stays) ?? INTERVAL_US)) / 1000;
  }

  close() {
    this.#socket.close();
  }
}

/** Milliseconds in the isolate: of the first stream of a process, and of a stream after many. */
export async function isolate(bench) {
  const samples = new Samples();
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const name of ["free", "gateway", "transform"]) {
      const system = bench.systems.get(name);
      if (!system || samples.fault(name)) continue;
      bench.say(`CPU in the isolate: round ${round + 1} of ${bench.rounds}, ${system.label}`);
      await measured(bench, system).then(
        (values) => samples.add(name, values),
        (fault) => samples.fail(name, fault),
      );
    }
  }
  return samples;
}

async function measured(bench, system) {
  const fresh = await bench.start(system, { tag: `${system.name}-isolate`, inspected: true });
  const load = async ({ tokens, number, spacing = STREAM.spacing }) => {
    const body = streamed(`${system.provider ?? "fake"}/say-${tokens}x${STREAM.pace}`, { usage: false });
    await streamAll({ ...target(fresh, body), number, spacing, expected: { words: tokens } });
    await sleep(SETTLE_MS);
  };
  try {
    const inspector = await Inspector.connect(fresh.program.inspector);
    const cold = await inspector.entered(() => load({ tokens: STREAM.tokens, number: 1 }));
    for (let round = 0; round < SHORT.rounds; round += 1) await load({ tokens: SHORT.tokens, number: STREAM.number, spacing: 5 });
    const warm = (await inspector.entered(() => load(STREAM))) / STREAM.number;
    inspector.close();
    return { cold, warm };
  } finally {
    await fresh.program.stop();
  }
}
