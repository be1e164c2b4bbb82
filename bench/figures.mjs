// The figures: each measures every system in turn (rounds.mjs).

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";

import { SHAPES, messages, responses, streamed } from "./bodies.mjs";
import { CHAT, GATHERED_MS, KEYS, counted, makeKeys } from "./keys.mjs";
import { INSTRUCTIONS, instructions } from "./instructions.mjs";
import { ISOLATE, isolate } from "./isolate.mjs";
import { LEAVING, leaving } from "./leaving.mjs";
import { hammer, openMany, streamAll, trickle } from "./load.mjs";
import { Samples, interleave, median, percentile, spent, target } from "./rounds.mjs";
import { chatAll, openIdle } from "./sockets.mjs";
import { WAYS } from "./systems.mjs";

const RATE = 50;
const STREAMS = { number: 40, chunks: 400, pace: 5, spacing: 5 };
/** As many chunks a second, and as many in all, of streams as slow as most models are. */
const SLOW = { number: 160, chunks: 100, pace: 25, spacing: 2 };
const SOCKETS = { connections: 8, idle: 1000, asleep: 13_000 };
const SHORT = 40;
const GENERATED = { number: 16, chunks: 600, pace: 2, spacing: 10 };
/**
 * Each round of a request figure is divided into this many, so that a busy moment of the machine affects
 * fewer of them.
 */
const CUTS = 4;
const MANY = 1000;
/**
 * How many requests (fewer `long` ones, which run more code each) or loads of streams come before a figure, for at most
 * `seconds`. Meanwhile V8 compiles what is run often, in threads of its own: with wasm, a second or two of CPU.
 */
const WARM = { requests: 6000, long: 2000, streams: 20, seconds: 12 };
/** The first requests of a process are measured, too: they pay for most of that. */
const FIRST = 1000;
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
/** With JavaScript that gives the same guarantees: only for small bodies, where guarantees are most of the cost. */
const GUARDED = ["pass", "edit", "guarded", "alone", "booked", "gateway", "info", "portkey", "litellm"];
const NATIVE = ["pass", "tapped", "transform", "gateway", "info"];
/**
 * If the caller does not request the usage, the provider's `stream_usage` decides how the gateway gets it.
 */
const UNASKED = ["pass", "transform", "gateway", "shown"];

const TRANSLATING = ["json", "gateway", "info"];
const LONG = SHAPES.filter(({ name }) => name !== "small");
const CHATS = { write: (body) => body, path: "/v1/chat/completions", end: "[DONE]" };
const MESSAGES = { write: messages, path: "/v1/messages", end: "message_stop" };
const RESPONSES = { write: responses, path: "/v1/responses", end: '"total_tokens"', repeats: true };
const gemini = (model, streams) => `/v1/models/${model}:${streams ? "streamGenerateContent?alt=sse" : "generateContent"}`;

/**
 * Pairs of formats. Of the client: how a chat is written, its path, and what ends its streams. Of the
 * provider: its name in the gateway's configuration, its path, and what ends its streams.
 */
const PAIRS = [
  { label: "OpenAI client, Anthropic upstream", client: CHATS, provider: "claude", upstream: () => MESSAGES.path, end: MESSAGES.end },
  { label: "OpenAI client, Gemini upstream", client: CHATS, provider: "google", upstream: gemini, end: "finishReason" },
  { label: "Anthropic client, OpenAI upstream", client: MESSAGES, provider: "fake", upstream: () => CHATS.path, end: CHATS.end },
  { label: "Responses client, OpenAI upstream", client: RESPONSES, provider: "fake", upstream: () => CHATS.path, end: CHATS.end },
  { label: "OpenAI client, Responses upstream", client: CHATS, provider: "items", upstream: () => RESPONSES.path, end: RESPONSES.end },
];

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
    const first = new Map();
    const warm = async (system) => {
      if (name === "small") {
        const { result, cpu } = await spent(system, () => warmed(system, body, FIRST), GATHERED_MS);
        // A slow system does not respond to all of them in time.
        if (result === FIRST) first.set(system.name, cpu);
      }
      await warmed(system, body, name === "small" ? WARM.requests : WARM.long);
    };
    figures.set(name, await interleave(bench, `Requests of ${label}`, { names: name === "small" ? GUARDED : WHOLE, cuts: CUTS, warm, measure }));
    for (const [system, cpu] of first) figures.get(name).add(system, { first: cpu });
  }
  return figures;
}

/** Sends requests until the code that they run is compiled. */
const warmed = (system, body, most = WARM.requests) => hammer({ ...target(system, body), seconds: WARM.seconds, most });

/** CPU per request in microseconds, with more and more of what operators can be shown. */
function watching(bench) {
  const [{ body }] = SHAPES;
  const measure = async (system) => {
    const load = () => hammer({ ...target(system, body), connections: CALLERS, seconds: bench.seconds / CUTS });
    const { result, cpu } = await spent(system, load, REPORTED_MS);
    return { rate: (result * CUTS) / bench.seconds, cpu: (cpu * 1000) / result };
  };
  const warm = (system) => warmed(system, body);
  return interleave(bench, "What it costs to watch", { names: ["unreported", "gateway", "info", "filed"], cuts: CUTS, warm, measure });
}

/** The time of a response in milliseconds, at a modest rate. */
function latency(bench) {
  const [{ body }] = SHAPES;
  const measure = async (system) => ({ times: await trickle({ ...target(system, body), rate: RATE, seconds: bench.seconds }) });
  const warm = (system) => hammer({ ...target(system, body), connections: 2, seconds: 1 });
  return interleave(bench, "Latency", { names: ["direct", ...WHOLE], warm, measure });
}

/**
 * Late responses: the systems get requests at the same time, each at a modest rate of its own and in turn, so that
 * a busy moment of the machine affects all of them.
 */
async function tail(bench) {
  const samples = new Samples();
  const systems = ["direct", "edit", "gateway"].map((name) => bench.systems.get(name));
  const load = (system) => target(system, SHAPES[0].body);
  bench.say("Late responses: warming up");
  for (const system of systems) await hammer({ ...load(system), connections: 2, seconds: 2 });
  bench.say(`Late responses: ${bench.requests} requests of each system`);
  const take = async (system, turn) => {
    await sleep((turn * 1000) / RATE / systems.length);
    samples.add(system.name, { times: await trickle({ ...load(system), rate: RATE, seconds: bench.requests / RATE }) });
  };
  await Promise.all(systems.map((system, turn) => take(system, turn).catch((fault) => samples.fail(system.name, fault))));
  return samples;
}

// ── Streams
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Streams in the provider's format, with and without the usage requested by the caller. */
async function streams(bench) {
  const asked = ["direct", ...NATIVE, "portkey", "litellm"];
  return new Map([
    ["asked", await passed(bench, "Streams, usage asked for", asked, true)],
    ["unasked", await passed(bench, "Streams, usage not asked for", UNASKED, false)],
    ["slow", await passed(bench, "Slower streams, usage not asked for", UNASKED, false, SLOW)],
  ]);
}

function passed(bench, title, names, usage, kind = STREAMS) {
  const { number, pace, spacing } = kind;
  const load = (system, words) => {
    const body = streamed(`${system.provider ?? "fake"}/say-${words}x${pace}`, { usage });
    return streamAll({ ...target(system, body), number, spacing, expected: { words, usage } });
  };
  return interleave(bench, title, { names, ...streaming(load, kind) });
}

/** Measures streams; `load` opens all of them, each with a number of words. */
function streaming(load, { number, chunks } = STREAMS) {
  // The beginning of a stream runs the most code of a gateway: it takes many streams until that code is
  // optimised.
  const warm = async (system) => {
    for (let time = 0; time < WARM.streams; time += 1) await load(system, SHORT);
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
  const warm = (system) => warmed(system, body);
  return {
    requests: await interleave(bench, "Requests from a region", { names, cuts: CUTS, warm, measure }),
    streams: await passed(bench, "Streams from a region", names, true),
  };
}

/** Streams of the Responses API that pass through, beside chats that do. */
function responsesPassed(bench) {
  const { number, pace, spacing } = STREAMS;
  const load = (system, words) => {
    const body = streamed(`${system.provider}/say-${words}x${pace}`, { usage: true });
    const { write, path, end } = system.format;
    return streamAll({ ...target({ ...system, path }, write(body)), number, spacing, expected: { words, usage: true, end } });
  };
  const gateway = bench.systems.get("gateway");
  for (const [name, label, provider, format] of [["chats", "(d) a chat", "fake", CHATS], ["items", "(d) a response of the Responses API", "items", RESPONSES]]) {
    bench.systems.set(name, { ...gateway, name, label, provider, format });
  }
  return interleave(bench, "Streams of the Responses API", { names: ["chats", "items"], ...streaming(load) });
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
    const expected = { words, ...(system.name === "json" ? { end: pair.end } : { end: pair.client.end, repeats: pair.client.repeats }) };
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
  const warm = (system) => load(system, { seconds: WARM.seconds, most: WARM.long });
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
  const warm = (system) => load(system, { seconds: WARM.seconds, most: WARM.requests });
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
  for (const name of ["pass", "tapped", "gateway", "portkey", "litellm"]) {
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
export const FIGURES = { requests, instructions, latency, tail, streams, isolate, leaving, generated, translation, sockets, accounting, watching, proxies, region, responses: responsesPassed, size, cold, memory };
export const METHOD = { WARM, FIRST, RATE, STREAMS, SLOW, INSTRUCTIONS, ISOLATE, LEAVING, GENERATED, SOCKETS, MANY, SETTLE_MS, PATIENCE_MS, REST_MS, CUTS, CALLERS, CROWD, GATHERED_MS, REPORTED_MS };
