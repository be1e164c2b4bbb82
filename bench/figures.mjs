// The figures: each measures every system in turn, round after round, so that a busy moment of the machine
// affects all of them.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";

import { SHAPES, messages, streamed } from "./bodies.mjs";
import { CHAT, GATHERED_MS, KEYS, counted, makeKeys } from "./keys.mjs";
import { encode, hammer, openMany, streamAll, trickle } from "./load.mjs";
import { profile } from "./profile.mjs";
import { chatAll, openIdle } from "./sockets.mjs";
import { WAYS } from "./systems.mjs";

const RATE = 50;
const STREAMS = { number: 40, chunks: 400, pace: 5, spacing: 5 };
const SOCKETS = { connections: 8, idle: 1000, asleep: 13_000 };
const SHORT = 40;
const GENERATED = { number: 16, chunks: 600, pace: 2, spacing: 10 };
/**
 * Each round of a request figure is divided into this many, so that a busy moment of the machine affects
 * fewer of them.
 */
const CUTS = 4;
const MANY = 1000;
/** What is stored after a response, such as receipts, is part of its cost. */
const SETTLE_MS = 600;
/** Reports and lines of log files wait for a second, and are stored then. */
const REPORTED_MS = 1_500;
/** Concurrent callers of a busy key, and of a very busy one. */
const CALLERS = 8;
const CROWD = 64;
/** After this time, a disconnect should have reached the provider; after the next, the wait ends. */
const LEFT_MS = 1000;
const PATIENCE_MS = 5000;
const REST_MS = 2000;

const WHOLE = ["pass", "edit", "gateway", "info", "portkey", "litellm"];
const NATIVE = ["pass", "transform", "gateway", "info"];
/**
 * If the caller does not request the usage, the provider's `stream_usage` decides how the gateway gets it.
 */
const UNASKED = ["pass", "transform", "gateway", "shown"];

const TRANSLATING = ["json", "gateway", "info"];
const LONG = SHAPES.filter(({ name }) => name !== "small");
const CHATS = { write: (body) => body, path: "/v1/chat/completions", end: "[DONE]" };
const MESSAGES = { write: messages, path: "/v1/messages", end: "message_stop" };
const gemini = (model, streams) => `/v1/models/${model}:${streams ? "streamGenerateContent?alt=sse" : "generateContent"}`;

/**
 * Pairs of formats. Of the client: how a chat is written, its path, and what ends its streams. Of the
 * provider: its name in the gateway's configuration, its path, and what ends its streams.
 */
const PAIRS = [
  { label: "OpenAI client, Anthropic upstream", client: CHATS, provider: "claude", upstream: () => MESSAGES.path, end: MESSAGES.end },
  { label: "OpenAI client, Gemini upstream", client: CHATS, provider: "google", upstream: gemini, end: "finishReason" },
  { label: "Anthropic client, OpenAI upstream", client: MESSAGES, provider: "fake", upstream: () => CHATS.path, end: CHATS.end },
];

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

  /** The values of each round; empty for a system that failed in any round. */
  rounds(name, key) {
    return this.#faults.has(name) ? [] : (this.#taken.get(name) ?? []).map((values) => values[key]);
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
async function interleave(bench, title, { names, cuts = 1, warm, measure }) {
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

const target = (system, body) => ({ port: system.port, request: encode({ path: system.path, headers: system.headers, body }) });

/** The milliseconds of CPU that a system uses while `load` runs, and the result of `load`. */
async function spent(system, load, settle) {
  const before = system.program?.cpu() ?? 0;
  const result = await load();
  await sleep(settle);
  return { result, cpu: (system.program?.cpu() ?? 0) - before };
}

// ── Complete responses
// ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Requests per second with 8 callers, and CPU per request in microseconds. */
async function requests(bench) {
  const figures = new Map();
  for (const { name, label, body } of SHAPES) {
    const measure = async (system) => {
      const seconds = system.peer ? bench.seconds : bench.seconds / CUTS;
      const { result, cpu } = await spent(system, () => hammer({ ...target(system, body), connections: CALLERS, seconds }), GATHERED_MS);
      return { rate: result / seconds, cpu: (cpu * 1000) / result };
    };
    const warm = (system) => hammer({ ...target(system, body), connections: 2, seconds: 2 });
    figures.set(name, await interleave(bench, `Requests of ${label}`, { names: WHOLE, cuts: CUTS, warm, measure }));
  }
  return figures;
}

/** CPU per request in microseconds, with more and more of what operators can be shown. */
function watching(bench) {
  const [{ body }] = SHAPES;
  const measure = async (system) => {
    const load = () => hammer({ ...target(system, body), connections: CALLERS, seconds: bench.seconds / CUTS });
    const { result, cpu } = await spent(system, load, REPORTED_MS);
    return { rate: (result * CUTS) / bench.seconds, cpu: (cpu * 1000) / result };
  };
  const warm = (system) => hammer({ ...target(system, body), connections: 2, seconds: 2 });
  return interleave(bench, "What it costs to watch", { names: ["unreported", "gateway", "info", "filed"], cuts: CUTS, warm, measure });
}

/** The time of a response in milliseconds, at a modest rate. */
function latency(bench) {
  const [{ body }] = SHAPES;
  const measure = async (system) => ({ times: await trickle({ ...target(system, body), rate: RATE, seconds: bench.seconds }) });
  const warm = (system) => hammer({ ...target(system, body), connections: 2, seconds: 1 });
  return interleave(bench, "Latency", { names: ["direct", ...WHOLE], warm, measure });
}

// ── Streams
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Streams in the provider's format, with and without the usage requested by the caller. */
async function streams(bench) {
  const asked = ["direct", ...NATIVE, "portkey", "litellm"];
  return new Map([
    ["asked", await passed(bench, "Streams, usage asked for", asked, true)],
    ["unasked", await passed(bench, "Streams, usage not asked for", UNASKED, false)],
  ]);
}

function passed(bench, title, names, usage) {
  const { number, pace, spacing } = STREAMS;
  const load = (system, words) => {
    const body = streamed(`${system.provider ?? "fake"}/say-${words}x${pace}`, { usage });
    return streamAll({ ...target(system, body), number, spacing, expected: { words, usage } });
  };
  return interleave(bench, title, { names, ...streaming(load) });
}

/** Measures streams; `load` opens all of them, each with a number of words. */
function streaming(load) {
  const { number, chunks } = STREAMS;
  // The beginning of a stream runs the most code of a gateway: it takes many streams until that code is
  // optimised.
  const warm = async (system) => {
    for (let time = 0; time < 4; time += 1) await load(system, SHORT);
  };
  const measure = async (system) => {
    const { result, cpu } = await spent(system, () => load(system, chunks), SETTLE_MS);
    const delays = result.flatMap((stream) => stream.delays);
    return {
      cpu: (cpu * 1000) / (number * chunks),
      firstByte: median(result.map((stream) => stream.firstByte)) / 1000,
      delay: median(delays) / 1000,
      late: percentile(delays, 0.99) / 1000,
      arrivals: median(result.map((stream) => stream.arrivals)),
      usage: result.every((stream) => stream.usage),
    };
  };
  return { warm, measure };
}

/**
 * Streams that the gateway generates: milliseconds of CPU per second of one stream, at 500 tokens per second.
 */
function generated(bench) {
  const { number, chunks, pace, spacing } = GENERATED;
  const load = (system, number) => {
    const model = system.name === "transform" ? `fake/say-${chunks}x${pace}` : "demo/long";
    return streamAll({ ...target(system, streamed(model, { usage: true })), number, spacing, expected: { usage: true } });
  };
  const measure = async (system) => {
    const { cpu } = await spent(system, () => load(system, number), SETTLE_MS);
    return { cpu: cpu / ((number * chunks * pace) / 1000) };
  };
  const warm = (system) => load(system, 3);
  return interleave(bench, "Streams of its own", { names: ["transform", "gateway", "info"], warm, measure });
}

/** What it takes to call a provider from a region: complete responses and streams, beside direct calls. */
async function region(bench) {
  const [{ body }] = SHAPES;
  const names = ["gateway", "region"];
  const seconds = bench.seconds / CUTS;
  const measure = async (system) => {
    const { result, cpu } = await spent(system, () => hammer({ ...target(system, body), connections: CALLERS, seconds }), GATHERED_MS);
    return { rate: result / seconds, cpu: (cpu * 1000) / result };
  };
  const warm = (system) => hammer({ ...target(system, body), connections: 2, seconds: 2 });
  return {
    requests: await interleave(bench, "Requests from a region", { names, cuts: CUTS, warm, measure }),
    streams: await passed(bench, "Streams from a region", names, true),
  };
}

// ── Translation
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** For each pair of formats: streams, and complete responses to each of the long chats. */
async function translation(bench) {
  const figures = [];
  for (const pair of PAIRS) {
    figures.push({ pair, shape: undefined, samples: await translatedStreams(bench, pair) });
    for (const shape of LONG) figures.push({ pair, shape, samples: await translatedRequests(bench, pair, shape) });
  }
  return figures;
}

/** A request in the client's format for the gateway, and in the provider's for the bare Worker. */
function translating(system, { client, provider, upstream }, model, body) {
  const path = system.name === "json" ? upstream(model, body.stream) : client.path;
  return target({ ...system, path }, client.write({ ...body, model: `${provider}/${model}` }));
}

function translatedStreams(bench, pair) {
  const { number, pace, spacing } = STREAMS;
  const load = (system, words) => {
    const model = `say-${words}x${pace}`;
    const expected = { words, end: system.name === "json" ? pair.end : pair.client.end };
    return streamAll({ ...translating(system, pair, model, streamed(model, { usage: true })), number, spacing, expected });
  };
  return interleave(bench, `Streams, ${pair.label}`, { names: TRANSLATING, ...streaming(load) });
}

function translatedRequests(bench, pair, { label, body }) {
  const seconds = bench.seconds / CUTS;
  const load = (system, more) => hammer({ ...translating(system, pair, "chat", body), connections: CALLERS, seconds, ...more });
  const measure = async (system) => {
    const { result, cpu } = await spent(system, () => load(system), GATHERED_MS);
    return { rate: result / seconds, cpu: (cpu * 1000) / result };
  };
  const warm = (system) => load(system, { connections: 2, seconds: 2 });
  return interleave(bench, `Requests of ${label}, ${pair.label}`, { names: TRANSLATING, cuts: CUTS, warm, measure });
}

// ── WebSockets
// ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The cost of a frame compared with an event of a stream over HTTP, and that of an idle connection. */
async function sockets(bench) {
  const gateway = bench.systems.get("gateway");
  const { number, chunks, pace, spacing } = STREAMS;
  const body = (words) => streamed(`fake/say-${words}x${pace}`, { usage: true });
  const ways = {
    events: async (words) => {
      const read = await streamAll({ ...target(gateway, body(words)), number, spacing, expected: { words, usage: true } });
      return read.flatMap(({ delays }) => delays);
    },
    frames: (words) => chatAll({ ...gateway, body: body(words), number, spacing, words, connections: SOCKETS.connections }),
  };
  bench.systems.set("events", { ...gateway, name: "events", label: "(d) LLM Bridge over HTTP, server-sent events" });
  bench.systems.set("frames", { ...gateway, name: "frames", label: `(d) LLM Bridge over ${SOCKETS.connections} WebSockets, session protocol` });
  const measure = async (system) => {
    const { result, cpu } = await spent(system, () => ways[system.name](chunks), SETTLE_MS);
    return { cpu: (cpu * 1000) / (number * chunks), delays: result.map((delay) => delay / 1000) };
  };
  const warm = (system) => ways[system.name](SHORT);
  const samples = await interleave(bench, "Frames", { names: ["events", "frames"], warm, measure });
  return { samples, idle: await idleSockets(bench, gateway) };
}

/**
 * Megabytes of a fresh process: at rest, with idle connections, and after their objects have been evicted.
 */
async function idleSockets(bench, gateway) {
  bench.say("Idle WebSockets");
  const { program, port, headers } = await bench.start(gateway, { tag: "gateway-idle" });
  const after = async (ms) => (await sleep(ms), program.memory());
  try {
    await hammer({ ...target({ ...gateway, port }, SHAPES[0].body), seconds: 1 });
    const rest = await after(500);
    const sockets = await openIdle({ port, headers, number: SOCKETS.idle });
    const opened = await after(1500);
    const asleep = await after(SOCKETS.asleep);
    sockets.forEach((socket) => socket.close());
    const each = (memory) => ((memory - rest) * 1024) / SOCKETS.idle;
    return { rest, opened, asleep, each: each(opened), eachAsleep: each(asleep) };
  } finally {
    await program.stop();
  }
}

// ── Accounting
// ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The cost of the account of each kind of key, in CPU, latency and calls, compared with a gateway without
 * accounting.
 */
async function accounting(bench) {
  const [books, counting] = ["books", "counted"].map((name) => bench.systems.get(name));
  const names = KEYS.map(({ name }) => name);
  for (const { name, label, headers } of await makeKeys(books)) bench.systems.set(name, { ...books, name, label, headers });
  const { seconds } = bench;
  const load = (system, more) => hammer({ ...target(system, CHAT), seconds, ...more });
  const measure = async (system) => {
    const { result, cpu } = await spent(system, () => load(system, { connections: CALLERS }), GATHERED_MS);
    const crowd = await load(system, { connections: CROWD });
    await sleep(GATHERED_MS);
    const times = await trickle({ ...target(system, CHAT), rate: RATE, seconds });
    return { rate: result / seconds, cpu: (cpu * 1000) / result, crowd: crowd / seconds, times };
  };
  const warm = (system) => load(system, { connections: 2, seconds: 1 });
  const samples = await interleave(bench, "Accounting", { names: ["unkept", ...names], warm, measure });
  const counts = new Map();
  for (const key of await makeKeys(counting)) {
    bench.say(`Accounting: calls and rows of ${key.label}`);
    const count = () => hammer({ port: counting.port, request: key.request, connections: CALLERS, seconds });
    await count();
    counts.set(key.name, await counted(counting, key, count));
  }
  return { samples, counts };
}

// ── Proxies
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** CPU per request and per chunk of a stream, by what is between the gateway and the provider. */
async function proxies(bench) {
  const relayed = bench.systems.get("relayed");
  for (const { provider, label } of WAYS) bench.systems.set(provider, { ...relayed, name: provider, label, provider });
  const names = WAYS.map(({ provider }) => provider);
  const [{ body }] = SHAPES;
  const load = (system, more) => hammer({ ...target(system, { ...body, model: `${system.provider}/chat` }), seconds: bench.seconds / CUTS, ...more });
  const measure = async (system) => {
    const { result, cpu } = await spent(system, () => load(system, { connections: CALLERS }), GATHERED_MS);
    return { rate: (result * CUTS) / bench.seconds, cpu: (cpu * 1000) / result };
  };
  const warm = (system) => load(system, { connections: 2, seconds: 2 });
  const requests = await interleave(bench, "Requests through proxies", { names, cuts: CUTS, warm, measure });
  const { number, pace, spacing } = STREAMS;
  const stream = (system, words) => {
    const body = streamed(`${system.provider}/say-${words}x${pace}`, { usage: true });
    return streamAll({ ...target(system, body), number, spacing, expected: { words, usage: true } });
  };
  return { requests, streams: await interleave(bench, "Streams through proxies", { names, ...streaming(stream) }) };
}

// ── The system itself
// ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Bytes of the wasm, as built and gzipped. */
async function size({ folder }) {
  const wasm = await readFile(join(folder, "gateway/build/index_bg.wasm"));
  return { raw: wasm.length, gzip: gzipSync(wasm, { level: 9 }).length };
}

/** Milliseconds from the start of a process to its first response. Other gateways are started once. */
async function cold(bench) {
  const samples = new Samples();
  const { systems } = bench;
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const name of ["edit", "gateway"]) {
      bench.say(`Cold start: round ${round + 1} of ${bench.rounds}, ${systems.get(name).label}`);
      const { program, ms } = await bench.start(systems.get(name));
      samples.add(name, { ms });
      await program.stop();
    }
  }
  for (const { name, peer, ms } of systems.values()) if (peer) samples.add(name, { ms });
  return samples;
}

/**
 * Megabytes of a fresh process at rest, with many open streams, after their ends, and after as many aborted
 * ones.
 */
async function memory(bench) {
  const samples = new Samples();
  for (const name of ["pass", "gateway", "portkey", "litellm"]) {
    const system = bench.systems.get(name);
    if (!system) continue;
    bench.say(`Memory: ${system.label}`);
    await remembered(bench, system).then(
      (values) => samples.add(name, values),
      (fault) => samples.fail(name, fault),
    );
  }
  return samples;
}

async function remembered(bench, system) {
  const fresh = await bench.start(system, { tag: `${system.name}-memory` });
  const { program } = fresh;
  const open = () => openMany({ ...target(fresh, streamed("fake/hold", { usage: true })), number: MANY });
  const connections = () => bench.upstream.connections(`${system.name}-memory`);
  const after = async (ms) => (await sleep(ms), program.memory());
  try {
    await hammer({ ...target(fresh, SHAPES[0].body), seconds: 1 });
    const rest = await after(500);
    const streams = await open();
    const opened = await after(1500);
    await bench.upstream.release();
    await Promise.all(streams.map(({ ended }) => ended));
    streams.forEach((stream) => stream.close());
    const ended = await after(REST_MS);
    (await open()).forEach((stream) => stream.close());
    const left = performance.now();
    const { busy } = await sleep(LEFT_MS).then(connections);
    while ((await connections()).busy > 0 && performance.now() - left < PATIENCE_MS) await sleep(50);
    const gone = (await connections()).busy > 0 ? undefined : performance.now() - left;
    const aborted = await after(REST_MS);
    const { open: still } = await connections();
    return { rest, opened, each: ((opened - rest) * 1024) / MANY, ended, aborted, busy, gone, still };
  } finally {
    await program.stop();
  }
}

/** All figures by the name that ONLY accepts. */
export const FIGURES = { requests, latency, streams, generated, translation, sockets, accounting, watching, proxies, region, size, cold, memory };
export const METHOD = { RATE, STREAMS, GENERATED, SOCKETS, MANY, SETTLE_MS, PATIENCE_MS, REST_MS, CUTS, CALLERS, CROWD, GATHERED_MS, REPORTED_MS };
