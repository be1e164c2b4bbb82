// `make bench`: starts the systems, measures the figures, prints them, and writes docs/benchmarks.md and the
// figures of the front pages. It ends every process that it started.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

import { SHAPES } from "./bodies.mjs";
import { FIGURES } from "./figures.mjs";
import { encode } from "./load.mjs";
import { PEERS, provide } from "./peers.mjs";
import { document, frontPage, tables } from "./report.mjs";
import { ACCESS_KEY, PROJECT, Program, WORKERS, cpuOfOthers, startRelays, startUpstream, stopAll, version } from "./systems.mjs";

const knobs = readKnobs(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), "llm-bridge-bench-"));
let upstream;
let relays;

process.once("exit", () => {
  stopAll();
  upstream?.stop();
  relays?.stop();
  rmSync(folder, { recursive: true, force: true });
});
/** What has been measured so far. */
let measured;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => stopEarly().finally(() => process.exit(130)));

await main();
process.exit();

async function main() {
  upstream = await startUpstream();
  if (knobs.only.includes("proxies")) relays = await startRelays(upstream.port);
  const bench = { ...knobs, folder, upstream, systems: new Map([["direct", direct()]]), notes: [], say, start };
  await startAll(bench);
  const [began, others] = [Date.now(), cpuOfOthers()];
  const results = {};
  measured = async () => {
    const ms = Date.now() - began;
    const busy = (cpuOfOthers() - others) / (ms * availableParallelism());
    return { ...knobs, results, busy, minutes: ms / 60_000, notes: bench.notes, labels: labels(bench), versions: await versions() };
  };
  for (const name of knobs.only) results[name] = await FIGURES[name](bench);
  say("");
  const run = await measured();
  console.log(tables(run));
  publish(run);
}

/** Prints the figures that are complete: a whole run takes long. */
async function stopEarly() {
  say("");
  const run = await measured?.();
  if (run && Object.keys(run.results).length > 0) console.log(`Stopped before all was measured.\n\n${tables(run)}`);
}

function readKnobs(words) {
  const given = Object.fromEntries(words.map((word) => word.split(/=(.*)/s, 2)));
  const known = ["ROUNDS", "SECONDS", "REQUESTS", "PEERS", "ONLY", "PROFILE", "INSTRUCTIONS"];
  const stranger = Object.keys(given).find((name) => !known.includes(name));
  if (stranger) stop(`Unknown option '${stranger}'. Known: ${known.join(", ")}.`);
  const number = (name, usual, most) => {
    const value = Number(given[name] ?? usual);
    return value > 0 && value <= most ? value : stop(`${name} must be a number above 0 and at most ${most}.`);
  };
  const only = given.ONLY?.split(",") ?? Object.keys(FIGURES);
  const unknown = only.find((name) => !(name in FIGURES));
  if (unknown !== undefined) stop(`Unknown figure '${unknown}'. Known: ${Object.keys(FIGURES).join(", ")}.`);
  return {
    rounds: Math.ceil(number("ROUNDS", 5, 50)),
    seconds: number("SECONDS", 1.2, 60),
    requests: Math.ceil(number("REQUESTS", 20_000, 1_000_000)),
    instructions: given.INSTRUCTIONS === "yes",
    peers: given.PEERS !== "no",
    only,
    profile: given.PROFILE?.replace(/^yes$/, "gateway").split(",") ?? [],
    command: ["make bench", ...words].join(" "),
  };
}

function stop(word) {
  console.error(word);
  process.exit(2);
}

/** The line at the bottom of a terminal that shows progress. */
function say(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** The fake provider itself as a system: the baseline of all others. */
function direct() {
  return { name: "direct", label: "the fake provider, called directly", port: upstream.port, path: "/direct/v1/chat/completions", headers: {} };
}

/**
 * Starts a system; `tag` tells its calls of the fake provider apart from those of another instance; `how` is
 * for the launchers of Workers.
 */
async function start(system, { tag = system.name, ...how } = {}) {
  const home = join(folder, tag);
  mkdirSync(home, { recursive: true });
  const base = upstream.base(tag);
  const headers = system.spec.headers?.(base) ?? { authorization: `Bearer ${ACCESS_KEY}` };
  if (!system.launchers.has(tag)) system.launchers.set(tag, await system.spec.layOut(home, base));
  const { patience, ...command } = await system.launchers.get(tag)(how);
  const program = new Program(command);
  try {
    const ms = await program.answers(encode({ headers, body: SHAPES[0].body }), patience);
    return { ...system, program, ms, headers, port: program.port };
  } catch (fault) {
    await program.stop();
    throw fault;
  }
}

async function startAll(bench) {
  const wanted = WORKERS.filter(({ figures }) => figures === undefined || figures.some((figure) => knobs.only.includes(figure)));
  for (const spec of [...wanted, ...(knobs.peers ? PEERS : [])]) {
    const system = { name: spec.name, label: spec.label, spec, peer: PEERS.includes(spec), launchers: new Map() };
    try {
      say(`Starting ${spec.label}`);
      if (system.peer) await provide(spec);
      bench.systems.set(spec.name, await start(system));
      if (spec.remark) bench.notes.push(spec.remark);
    } catch (fault) {
      say("");
      if (!system.peer && !spec.optional) stop(`${spec.label} does not start: ${fault.message}`);
      const reason = spec.optional ? "this build does not know how" : fault.message;
      bench.notes.push(`${spec.label} was left out: ${reason}.`);
      console.log(bench.notes.at(-1));
    }
  }
  const shown = { name: "shown", label: "(d) the same with stream_usage: show", provider: "shown" };
  bench.systems.set("shown", { ...bench.systems.get("gateway"), ...shown });
  if (!knobs.peers) bench.notes.push("Other gateways were left out (PEERS=no).");
}

function labels(bench) {
  return new Map([...bench.systems.values()].map(({ name, label }) => [name, label]));
}

async function versions() {
  return { workerd: await version.workerd(), node: process.version, rust: await version.rust() };
}

/** Writes the documents, unless only some of the figures were measured. */
function publish(run) {
  if (knobs.only.length < Object.keys(FIGURES).length) return;
  const file = join(PROJECT, "docs/benchmarks.md");
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, document(run));
  for (const page of run.peers ? ["README.md", "docs/README-zh-CN.md"] : []) {
    const path = join(PROJECT, page);
    writeFileSync(path, frontPage(readFileSync(path, "utf8"), run.results));
  }
  console.log("Written to docs/benchmarks.md.");
}
