// Samples of figures, and how they are taken: every system in turn, round after round, so that a busy moment of
// the machine affects all of them.

import { setTimeout as sleep } from "node:timers/promises";

import { encode } from "./load.mjs";
import { profile } from "./profile.mjs";

/** All samples of a figure: for each system its values of each round, or the reason why there are none. */
export class Samples {
  #taken = new Map();
  #faults = new Map();

  add(name, values) {
    this.#taken.set(name, [...(this.#taken.get(name) ?? []), values]);
  }

  fail(name, fault) {
    this.#faults.set(name, fault.message);
  }

  fault(name) {
    return this.#faults.get(name);
  }

  /** The systems with samples or a fault, in the order of measurement. */
  get names() {
    return [...new Set([...this.#taken.keys(), ...this.#faults.keys()])];
  }

  /** The values of each round that has one; empty for a system that failed in any round. */
  rounds(name, key) {
    const values = this.#faults.has(name) ? [] : (this.#taken.get(name) ?? []).map((values) => values[key]);
    return values.filter((value) => value !== undefined);
  }

  median(name, key) {
    return median(this.rounds(name, key));
  }

  /** For values that are lists: the percentile over all rounds. */
  pooled(name, key, part) {
    return percentile(this.rounds(name, key).flat(), part);
  }
}

const sorted = (values) => [...values].sort((a, b) => a - b);

export function percentile(values, part) {
  return sorted(values)[Math.min(values.length - 1, Math.floor(values.length * part))];
}

export function median(values) {
  const all = sorted(values);
  return all.length === 0 ? undefined : (all[(all.length - 1) >> 1] + all[all.length >> 1]) / 2;
}

/**
 * Runs `measure(system)` for each system in turn, in alternating direction and from a different start; other
 * gateways in every third round.
 */
export async function interleave(bench, title, { names, cuts = 1, warm, measure }) {
  const rounds = bench.rounds * cuts;
  const samples = new Samples();
  const systems = names.map((name) => bench.systems.get(name)).filter(Boolean);
  const attempt = async (system, task) => {
    if (samples.fault(system.name)) return;
    await task(system).catch((fault) => samples.fail(system.name, fault));
  };
  bench.say(`${title}: warming up`);
  await Promise.all(systems.map((system) => attempt(system, warm)));
  for (let round = 0; round < rounds; round += 1) {
    const turns = systems.map((_, turn) => systems[(turn + round) % systems.length]);
    for (const system of round % 2 === 0 ? turns : turns.reverse()) {
      if (system.peer && round % (3 * cuts) > 0) continue;
      bench.say(`${title}: round ${round + 1} of ${rounds}, ${system.label}`);
      await attempt(system, async () => samples.add(system.name, await measure(system)));
    }
  }
  for (const system of systems.filter(({ name }) => bench.profile.includes(name))) {
    await attempt(system, () => profiled(bench, title, system, { warm, measure }));
  }
  return samples;
}

/** Repeats a system's part of a figure in a process that reports the names of its functions to perf. */
async function profiled(bench, title, system, { warm, measure }) {
  bench.say(`${title}: profile of ${system.label}`);
  const fresh = await bench.start(system, { named: true });
  try {
    await warm(fresh);
    await profile(`${title}, ${system.label}`, fresh.program.pid, () => measure(fresh));
  } finally {
    await fresh.program.stop();
  }
}

export const target = (system, body) => ({ port: system.port, request: encode({ path: system.path, headers: system.headers, body }) });

/** The milliseconds of CPU that a system uses while `load` runs, and the result of `load`. */
export async function spent(system, load, settle) {
  const before = system.program?.cpu() ?? 0;
  const result = await load();
  await sleep(settle);
  return { result, cpu: (system.program?.cpu() ?? 0) - before };
}
