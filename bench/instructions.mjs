// Instructions of a request: the Worker runs in QEMU's user-mode emulation, whose plugin (instructions.c) counts
// what is executed in user mode. Other load of the machine does not change the count; the kernel's share is not
// in it.

import { existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";

import { SHAPES } from "./bodies.mjs";
import { GATHERED_MS } from "./keys.mjs";
import { hammer } from "./load.mjs";
import { Samples, target } from "./rounds.mjs";
import { printed } from "./systems.mjs";

const SOURCE = fileURLToPath(new URL("instructions.c", import.meta.url));
const EMULATOR = `qemu-${{ x64: "x86_64", arm64: "aarch64" }[process.arch]}`;
/** As in instructions.c. */
const [SLOTS, SLOT_BYTES] = [256, 64];
/** Until then V8 still compiles what is run often. */
const WARM = 12_000;
/**
 * In each round. Garbage is collected once in some thousand requests and takes up to a tenth of all: the mean is taken over all
 * rounds, since a median would leave it out of some systems and not of others.
 */
const REQUESTS = 1_000;
const CALLERS = 8;

export const INSTRUCTIONS = { WARM, REQUESTS };

/** The reason why instructions cannot be counted here, or nothing. */
export async function uncountable() {
  if ((await printed(EMULATOR, ["--version"])) === undefined) return `${EMULATOR} is not installed (Debian's package qemu-user)`;
  if ((await printed("cc", ["--version"])) === undefined) return "there is no C compiler, which the plugin of QEMU needs";
}

/** The plugin, compiled into `folder`. */
async function plugin(folder) {
  const library = join(folder, "instructions.so");
  if (!existsSync(library)) {
    const built = await printed("cc", ["-shared", "-fPIC", "-O2", "-fvisibility=hidden", SOURCE, "-o", library]);
    if (built === undefined) throw new Error("the plugin of QEMU does not compile");
  }
  return library;
}

/** All that a process has executed, read from the file in which the plugin counts. */
class Counter {
  #file;
  #bytes = Buffer.alloc(SLOTS * SLOT_BYTES);

  constructor(path) {
    this.#file = openSync(path, "r");
  }

  read() {
    readSync(this.#file, this.#bytes, 0, this.#bytes.length, 0);
    let sum = 0n;
    for (let slot = 0; slot < SLOTS; slot += 1) sum += this.#bytes.readBigUInt64LE(slot * SLOT_BYTES);
    return Number(sum);
  }
}

/**
 * Thousands of instructions per request of 1 KB. Systems are measured one after the other: they do not compete
 * for anything that is counted.
 */
export async function instructions(bench) {
  const samples = new Samples();
  const reason = bench.instructions ? await uncountable() : "counted only with INSTRUCTIONS=yes";
  if (reason) return bench.notes.push(`Instructions were not counted: ${reason}.`), samples;
  const library = await plugin(bench.folder);
  for (const name of ["pass", "edit", "guarded", "alone", "booked", "gateway"]) {
    const system = bench.systems.get(name);
    if (!system) continue;
    await counted(bench, system, library, samples).catch((fault) => samples.fail(name, fault));
  }
  return samples;
}

async function counted(bench, system, library, samples) {
  bench.say(`Instructions: warming up, ${system.label}`);
  const file = join(bench.folder, `instructions-${system.name}`);
  const fresh = await bench.start(system, { tag: `${system.name}-counted`, emulated: [EMULATOR, "-plugin", `${library},count=${file}`] });
  try {
    const counter = new Counter(file);
    const load = async (most) => {
      await hammer({ ...target(fresh, SHAPES[0].body), connections: CALLERS, seconds: Infinity, most });
      await sleep(GATHERED_MS);
    };
    await load(WARM);
    bench.say(`Instructions: ${system.label}`);
    const requests = bench.rounds * REQUESTS;
    const before = counter.read();
    await load(requests);
    samples.add(system.name, { cpu: (counter.read() - before) / requests / 1000 });
  } finally {
    await fresh.program.stop();
  }
}
