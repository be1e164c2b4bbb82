// How long a provider goes on after the client has left: from the client's closing of its connection to the
// provider's loss of its own, by what the client was waiting for.

import { setTimeout as sleep } from "node:timers/promises";

import { SHAPES, streamed } from "./bodies.mjs";
import { Stream } from "./load.mjs";
import { Samples, target } from "./rounds.mjs";
import { micros } from "./wire.mjs";

const TIMES = 40;
const PATIENCE_MS = 5_000;
/** The client stays for so long after the first byte, so that it leaves in the middle of a stream. */
const STAY_MS = 100;

export const LEAVING = { TIMES };

const FLOWING = "fake/say-400x25";
const QUIET = "fake/hold";

/** What the client waits for, and whether it resets its connection. */
const WAYS = [
  { name: "native", label: "a native stream, a chunk each 25 ms", body: streamed(FLOWING, { usage: true }) },
  { name: "checked", label: "a stream whose usage is hidden, a chunk each 25 ms", body: streamed(FLOWING, { usage: false }) },
  { name: "quiet", label: "a native stream, a chunk a second", body: streamed(QUIET, { usage: true }), resets: true },
  { name: "before", label: "a response that has not begun", body: { ...SHAPES[0].body, model: "fake/silent" }, resets: true, waits: true },
];

/** Milliseconds until the provider is let go, one client after the other. */
export async function leaving(bench) {
  const samples = new Samples();
  const gateway = bench.systems.get("gateway");
  for (const way of WAYS) {
    bench.systems.set(way.name, { ...gateway, name: way.name, label: `(d) LLM Bridge, ${way.label}` });
    for (let time = 0; time < TIMES && !samples.fault(way.name); time += 1) {
      bench.say(`Leaving ${way.label}: ${time + 1} of ${TIMES}`);
      await left(bench, gateway, way).then(
        (ms) => samples.add(way.name, { ms }),
        (fault) => samples.fail(way.name, fault),
      );
    }
  }
  return samples;
}

async function left({ upstream }, system, { body, resets, waits }) {
  await upstream.left(system.name);
  const stream = await Stream.connect(system.port);
  stream.send(target(system, body).request);
  if (!waits) await stream.opened;
  await until(async () => (await upstream.connections(system.name)).busy > 0, "the call did not reach the provider");
  await sleep(STAY_MS);
  const closed = micros();
  if (resets) stream.reset();
  else stream.close();
  let gone;
  await until(async () => (gone = (await upstream.left(system.name)).at) !== undefined, `the provider was held for ${PATIENCE_MS / 1000} s`);
  return (gone - closed) / 1000;
}

async function until(isSo, fault) {
  for (const start = performance.now(); !(await isSo()); await sleep(5)) {
    if (performance.now() - start > PATIENCE_MS) throw new Error(fault);
  }
}
