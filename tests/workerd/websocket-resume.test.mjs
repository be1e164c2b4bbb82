// Sessions that outlive their connection and their object: missed frames come in order and once, and every
// receipt is exact.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { answerEvents, chunk, DONE, event, USAGE } from "./behaviours.mjs";
import { settled, until } from "./client.mjs";
import { streamedText } from "./expect.mjs";
import { startGateway } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { closeAll, NAMED, openSession, openSocket, startWire, textOf } from "./socket.mjs";
import { ASKING, KEY, QUIET, startStage } from "./stage.mjs";

const config = (more) => (fake) => `
default_provider: any
providers:
  any: { base_url: "${fake.base}", models: "*", ${QUIET} }
logging: { level: debug }
websocket: { ${more} }
`;

// The time without an event after which workerd evicts an object.
const UNUSED_MS = 10_000;
const SPARE_MS = 3500;
const ROUNDS = 6;
const KILLS = 100;
// All of them together take some seconds on an idle machine.
const PATIENCE_MS = 240_000;
const BUFFER = 64 << 10;
const RESUME_SECONDS = 2;
// Of 100. A fresh process takes some tens for itself.
const MOST_MB = 60;

/** The numbers of frames: each is one more than the one before. */
const expectNumbers = (frames, first = 1) => {
  const numbers = frames.filter(({ seq }) => seq !== undefined).map(({ seq }) => seq);
  assert.deepEqual(numbers, numbers.map((_, n) => first + n), "numbers without gaps or repeats");
};

const resumed = (url, { session, frames }, more = {}) => {
  const after = more.after ?? frames.findLast(({ seq }) => seq)?.seq ?? 0;
  return openSocket(url, { key: KEY, protocols: [NAMED], ...more, query: `?session=${session.id}&after=${after}` });
};

/** A provider that writes distinguishable words: `words` of them, `pause` milliseconds apart. */
const talk = (words, pause, size = 0) => async (exchange) => {
  const { request } = exchange;
  exchange.openStream();
  for (let n = 0; n < words && !exchange.over; n++) {
    exchange.write(event(chunk(request, { content: `${request.user}:${n};${"x".repeat(size)}` })));
    if (pause) await exchange.sleep(pause);
  }
  exchange.write(answerEvents(request).slice(-2).join("") + DONE);
  exchange.end();
};
const told = (user, words, size = 0) => Array.from({ length: words }, (_, n) => `${user}:${n};${"x".repeat(size)}`).join("");

describe("a session", { concurrency: 10 }, () => {
  let stage, office, url;
  before(async () => {
    stage = await startStage({ config: config("idle_seconds: 60"), bindings: OFFICE });
    url = stage.gateway.url;
    office = new Office(url);
    stage.fake.behave("talk", talk(30, 15));
    stage.fake.behave("brief", talk(3, 0));
  });
  after(() => (closeAll(), stage.stop()));

  it(`is taken up after each of ${KILLS} cuts, with every word once and every receipt exact`, { timeout: 400_000 }, async () => {
    const key = await office.key("often-cut");
    const wire = await startWire(stage.gateway.port);
    const asks = 20;
    const deadline = performance.now() + PATIENCE_MS;
    const opened = await Promise.all(Array.from({ length: 4 }, (_, run) => openSession(wire.url, { key, query: run % 2 ? "?window=4096" : "" })));
    let begun = 0;
    const runs = opened.map(async (socket, run) => {
      const { session } = socket;
      const frames = [];
      const ids = Array.from({ length: asks / 4 }, (_, n) => `${run}.${n}`);
      for (const id of ids) socket.chat({ model: "talk", stream: true, user: id }, { id });
      const acknowledge = (seq) => run % 2 && seq && socket.send({ type: "ack", seq });
      // A message that is cut off before it arrives was never sent, so nobody cuts before each response has
      // begun. The first ones may fill the window.
      await socket.when(({ frames }) => (acknowledge(frames.at(-1).seq), ids.every((id) => frames.some((frame) => frame.id === id))), "each answer's beginning");
      begun++;
      const isOver = () => frames.filter(({ type }) => type === "done" || type === "error").length === ids.length;
      const take = () => frames.push(...socket.frames.splice(0).filter(({ seq }) => seq !== undefined));
      const goOn = () => assert.ok(performance.now() < deadline, `waited ${PATIENCE_MS} ms in vain for the end of each answer: ${frames.length} frames came`);
      for (; !isOver(); goOn()) {
        const cut = await Promise.race([socket.closed.then(() => true), sleep(3).then(() => false)]);
        take();
        if (!cut) acknowledge(frames.at(-1)?.seq);
        if (!cut) continue;
        for (socket = undefined; !socket; await sleep(5)) {
          goOn();
          socket = await resumed(wire.url, { session, frames }, { key }).catch(() => undefined);
        }
      }
      expectNumbers(frames);
      for (const id of ids) assert.equal(textOf(frames.filter((frame) => frame.id === id)), told(id, 30));
      assert.deepEqual(frames.filter(({ type }) => type === "error"), []);
      socket.close();
    });
    let cuts = 0;
    let over = false;
    const all = Promise.all(runs).finally(() => (over = true));
    while (!over && begun < opened.length) await sleep(1);
    // This many and no more: on a busy machine, no connection could be made between two of them.
    while (!over && cuts < KILLS) {
      await sleep(4 + Math.random() * 12);
      // Every connection that is open now.
      cuts += wire.cut();
    }
    await all;
    await wire.stop();
    assert.ok(cuts >= KILLS, `${cuts} connections were cut`);
    const totals = await office.totals("often-cut", asks);
    assert.deepEqual({ requests: totals.requests, failures: totals.failures }, { requests: asks, failures: {} });
    const receipts = await office.receipts("often-cut");
    assert.equal(new Set(receipts.map(({ id }) => id)).size, asks);
    for (const { outcome, tokens, estimated } of receipts) {
      assert.deepEqual(
        { outcome, prompt: tokens.prompt, completion: tokens.completion, estimated },
        { outcome: "complete", prompt: USAGE.prompt_tokens, completion: USAGE.completion_tokens, estimated: false },
      );
    }
  });

  it("goes on while nobody listens, and tells it all to who comes back", async () => {
    const wire = await startWire(stage.gateway.port);
    const socket = await openSession(wire.url, { key: KEY });
    const held = stage.held("unheard");
    socket.chat({ model: "unheard", stream: true, ...ASKING }, { id: "a" });
    const exchange = await held;
    exchange.openStream();
    exchange.write(answerEvents(exchange.request).slice(0, 2).join(""));
    await socket.until(({ type }) => type === "chunk");
    wire.cut();
    await socket.end();
    // Time for the session to notice that it has no connection. If it is too short, it notices while the
    // provider writes.
    await sleep(100);
    exchange.write(answerEvents(exchange.request).slice(2).join("") + DONE);
    exchange.end();
    const isOver = ({ event, model }) => event === "request_complete" && model === "unheard";
    await until(() => stage.gateway.logs().some(isOver), "the end of the answer");
    const back = await resumed(url, socket);
    const missed = await back.answer("a");
    expectNumbers(missed, socket.frames.at(-1).seq + 1);
    assert.equal(missed.at(-1).type, "done");
    assert.equal((await stage.end(missed.at(-1).request_id)).outcome, "complete");
    assert.deepEqual(
      { type: back.frames[0].type, resumed: back.frames[0].resumed, id: back.frames[0].id },
      { type: "session", resumed: true, id: socket.session.id },
    );
    back.chat({ model: "brief", stream: true, user: "b" }, { id: "b" });
    assert.equal(textOf(await back.answer("b")), told("b", 3));
    expectNumbers([...socket.frames, ...back.frames]);
    back.close();
    await wire.stop();
  });

  it("survives its object: it sleeps with its connection open, and answers the next request", { timeout: 400_000 }, async () => {
    const key = await office.key("sleeper", { concurrent_requests: 9 });
    const [socket, plain] = await Promise.all([openSession(url, { key }), openSocket(url, { key })]);
    socket.chat({ model: "brief", stream: true, user: "a" }, { id: "a" });
    await socket.answer("a");
    const woken = () => stage.gateway.logs().filter((entry) => entry.event === "session_woken" && entry.key_id?.includes("sleeper")).length;
    assert.equal(woken(), 0);
    // The runtime decides when to evict an object. Waking it delays that by as long again.
    let [round, before] = [0, 0];
    do {
      assert.ok(++round <= ROUNDS, `not both objects were made anew in one of ${ROUNDS} rounds`);
      await sleep(UNUSED_MS + round * SPARE_MS);
      before = woken();
      const ends = ({ texts }) => texts.filter((text) => text === DONE).length === round;
      socket.chat({ model: "brief", stream: true, user: `b${round}` }, { id: `b${round}` });
      plain.chat({ model: "brief", user: "c" });
      assert.equal(textOf(await socket.answer(`b${round}`)), told(`b${round}`, 3));
      await plain.when(ends, "the end");
    } while (woken() < before + 2);
    expectNumbers(socket.frames);
    await office.order("POST", "/keys/sleeper/disable");
    socket.chat({ model: "brief", stream: true }, { id: "c" });
    assert.equal((await socket.answer("c"))[0].error.code, "invalid_api_key");
    socket.close();
    plain.close();
  });

  it("survives its object without a connection: what was missed is written down", async () => {
    const wire = await startWire(stage.gateway.port);
    const socket = await openSession(wire.url, { key: KEY });
    socket.chat({ model: "talk", stream: true, user: "a" }, { id: "a" });
    await socket.until(({ type }) => type === "chunk");
    wire.cut();
    await socket.end();
    // If that is too short for an eviction, the object still has everything.
    await sleep(UNUSED_MS + SPARE_MS);
    const back = await resumed(url, socket);
    await back.answer("a");
    const frames = [...socket.frames, ...back.frames];
    expectNumbers(frames);
    assert.equal(textOf(frames), told("a", 30));
    back.close();
    await wire.stop();
  });

  it("does not sleep while a provider talks, though nobody listens", async () => {
    stage.fake.behave("talks-long", talk(150, 100));
    const wire = await startWire(stage.gateway.port);
    const socket = await openSession(wire.url, { key: KEY });
    socket.chat({ model: "talks-long", stream: true, user: "a" }, { id: "a" });
    await socket.until(({ type }) => type === "chunk");
    wire.cut();
    await socket.end();
    await sleep(13_000);
    const back = await resumed(url, socket);
    await back.answer("a");
    assert.equal(textOf([...socket.frames, ...back.frames]), told("a", 150));
    assert.equal(back.frames.at(-1).type, "done");
    back.close();
    await wire.stop();
  });

  it("survives both: what was not acknowledged is there when the connection breaks after a sleep", async () => {
    const wire = await startWire(stage.gateway.port);
    const socket = await openSession(wire.url, { key: KEY });
    socket.chat({ model: "talk", stream: true, user: "a" }, { id: "a" });
    const frames = await socket.answer("a");
    await sleep(UNUSED_MS + SPARE_MS);
    wire.cut();
    await socket.end();
    const back = await resumed(url, socket, { after: 3 });
    assert.deepEqual(await back.answer("a"), frames.slice(3));
    back.close();
    await wire.stop();
  });

  it("is one connection at a time: the older one is closed", async () => {
    const socket = await openSession(url, { key: KEY });
    socket.chat({ model: "talk", stream: true, user: "a" }, { id: "a" });
    await socket.until(({ type }) => type === "chunk");
    const wire = await startWire(stage.gateway.port);
    const back = await resumed(wire.url, socket);
    assert.equal((await socket.end()).code, 4409, "the older one gets nothing any more");
    await back.answer("a");
    back.close();
    await wire.stop();
  });

  it("is nobody else's, and not to be guessed", async () => {
    const socket = await openSession(url, { key: KEY });
    socket.chat({ model: "brief", stream: true, user: "a" }, { id: "a" });
    await socket.answer("a");
    const other = await office.key("other");
    for (const [more, code, word] of [
      [{ key: other }, 4401, "invalid_api_key"],
      [{ key: undefined }, 4401, "invalid_api_key"],
      [{ key: "wrong" }, 4401, "invalid_api_key"],
      [{ after: 99 }, 4410, "frames_lost"],
    ]) {
      const refused = await resumed(url, socket, more);
      assert.equal((await refused.end()).code, code);
      assert.equal(refused.frames[0].error.code, word);
    }
    const unknown = await resumed(url, { session: { id: "0".repeat(64) }, frames: [] });
    assert.equal((await unknown.end()).code, 4404);
    socket.chat({ model: "brief", stream: true, user: "b" }, { id: "b" });
    assert.equal(textOf(await socket.answer("b")), told("b", 3), "none of them did it any harm");
    socket.close();
    assert.equal((await socket.end()).code, 1000);
    // While the session lives, it refuses clients that acknowledge frames that were never sent, and is not
    // changed by them.
    const code = async () => (await (await resumed(url, socket, { after: 99 })).end()).code;
    await until(async () => (await code()) === 4404, "who says goodbye to be gone");
  });
});

describe("a session whose gateway is killed", () => {
  let disk, stage, gateway;
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
    stage = await startStage({ config: config("idle_seconds: 60"), disk });
    gateway = stage.gateway;
  });
  after(async () => {
    closeAll();
    await gateway.stop();
    await stage.fake.stop();
    await rm(disk, { recursive: true });
  });

  /**
   * Starts a response that does not end, and kills the gateway: after the connection broke, or in the middle
   * of a resumed one.
   */
  async function die({ again }) {
    const wire = await startWire(gateway.port);
    const socket = await openSession(wire.url, { key: KEY });
    const model = `mortal-${again}`;
    const held = stage.held(model);
    socket.chat({ model, stream: true }, { id: "a" });
    const exchange = await held;
    exchange.openStream();
    exchange.write(answerEvents(exchange.request).slice(0, 3).join(""));
    await socket.when(({ frames }) => frames.filter(({ type }) => type === "chunk").length === 3, "three chunks");
    wire.cut();
    await socket.end();
    const files = async () => Promise.all((await readdir(join(disk, "Session"))).filter((name) => name.startsWith(socket.session.id)).map((name) => readFile(join(disk, "Session", name))));
    const size = async () => (await files()).reduce((sum, { length }) => sum + length, 0);
    await until(async () => (await files()).some((bytes) => bytes.includes("chatcmpl")), "the session to be written down");
    if (again) {
      const written = await size();
      await resumed(gateway.url, socket);
      await until(async () => (await size()) > written, "what was written down to be taken back");
    }
    await gateway.stop();
    await wire.stop();
    const bindings = { ACCESS_API_KEYS: KEY, ANY_API_KEY: "sk-any" };
    gateway = await startGateway({ config: config("idle_seconds: 60")(stage.fake), bindings, disk });
    return socket;
  }

  it("says what it cannot go on with, without a gap", async () => {
    const socket = await die({ again: false });
    const back = await resumed(gateway.url, socket, { after: 1 });
    const frames = await back.answer("a");
    assert.deepEqual(frames.map(({ type }) => type), ["chunk", "chunk", "error"]);
    assert.equal(frames.at(-1).error.code, "session_interrupted");
    expectNumbers(frames, 2);
    stage.fake.behave("brief", talk(3, 0));
    back.chat({ model: "brief", stream: true, user: "b" }, { id: "b" });
    assert.equal(textOf(await back.answer("b")), told("b", 3));
    back.close();
  });

  it("is unknown where what was written down was no longer true", async () => {
    const socket = await die({ again: true });
    const late = await resumed(gateway.url, socket);
    assert.equal((await late.end()).code, 4404);
  });
});

// One after the other, because the memory is that of the whole process.
describe("a session's memory", () => {
  let stage, url;
  before(async () => {
    stage = await startStage({ config: config(`buffer_bytes: ${BUFFER}`) });
    url = stage.gateway.url;
  });
  after(() => (closeAll(), stage.stop()));

  /** More than all buffers on the way can hold. */
  const [WORDS, SIZE] = [400, 256 << 10];

  it("is bounded for a client that does not read: its provider has to wait, and nothing is lost", { timeout: 400_000 }, async (test) => {
    const wire = await startWire(stage.gateway.port);
    const memory = async () => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${stage.gateway.pid}/status`, "utf8"))[1]) / 1024;
    let flood;
    stage.fake.behave("flood", async (exchange) => {
      const { request } = (flood = exchange);
      exchange.openStream();
      for (let n = 0; n < WORDS && !exchange.over; n++) {
        exchange.write(event(chunk(request, { content: `${request.user}:${n};${"x".repeat(SIZE)}` })));
        await exchange.sleep(2);
      }
      exchange.write(answerEvents(request).slice(-2).join("") + DONE);
      exchange.end();
    });
    for (const [query, id] of [["", "a"], ["?window=32768", "a"], ["", undefined]]) {
      const socket = id ? await openSession(wire.url, { key: KEY, query }) : await openSocket(wire.url, { key: KEY });
      // The first such answer has the engine compile what is called often.
      if (id && !query) {
        socket.chat({ model: "flood", stream: true, user: "b" }, { id: "first" });
        await socket.answer("first", PATIENCE_MS);
      }
      const acks = query && setInterval(() => socket.send({ type: "ack", seq: socket.frames.at(-1).seq ?? 0 }), 5);
      flood = undefined;
      wire.clog();
      const before = await memory();
      socket.chat({ model: "flood", stream: true, user: "a" }, { id });
      // The provider makes no progress: everything that fits without a reader has been taken.
      await until(() => flood?.record.sent.length >= WORDS, "the provider to have said all", PATIENCE_MS);
      await settled(() => flood.backlog);
      const grown = (await memory()) - before;
      test.diagnostic(`${grown.toFixed(1)} MB of ${(WORDS * SIZE) >> 20}`);
      assert.ok(grown < MOST_MB, `${grown} MB for a client that does not read`);
      wire.unclog();
      const text = id ? textOf(await socket.answer(id, PATIENCE_MS)) : await socket.when(({ texts }) => texts.at(-1) === DONE && streamedText(texts.join("")), "the end", PATIENCE_MS);
      clearInterval(acks);
      assert.equal(text, told("a", WORDS, SIZE));
      socket.close();
    }
    await wire.stop();
  });

  it("waits for acknowledgements, once there is a window", async () => {
    stage.fake.behave("windowed", talk(400, 0, 200));
    const socket = await openSession(url, { key: KEY, query: "?window=16384" });
    socket.chat({ model: "windowed", stream: true, user: "a" }, { id: "a" });
    await socket.when(({ texts }) => texts.join("").length >= 16_384, "a full window");
    const bytes = await settled(() => socket.texts.join("").length);
    assert.ok(bytes < 16_384 + (80 << 10), `${bytes} bytes without an acknowledgement`);
    const acks = setInterval(() => socket.send({ type: "ack", seq: socket.frames.at(-1).seq }), 5);
    const frames = await socket.answer("a").finally(() => clearInterval(acks));
    assert.equal(textOf(frames), told("a", 400, 200));
    socket.close();
  });

  it("that has let frames go says so, and leaves no gap", async () => {
    stage.fake.behave("long", talk(400, 0, 400));
    const wire = await startWire(stage.gateway.port);
    const socket = await openSession(wire.url, { key: KEY });
    socket.chat({ model: "long", stream: true, user: "a" }, { id: "a" });
    await socket.answer("a");
    wire.cut();
    await socket.end();
    const refused = await resumed(url, socket, { after: 1 });
    assert.deepEqual({ close: (await refused.end()).code, error: refused.frames[0].error.code }, { close: 4410, error: "frames_lost" });
    const back = await resumed(url, socket);
    back.chat({ model: "long", stream: true, user: "b" }, { id: "b" });
    assert.equal(textOf(await back.answer("b")), told("b", 400, 400));
    back.close();
    await wire.stop();
  });

  it("holds no more than it may while nobody listens: the provider waits", async () => {
    stage.fake.behave("waits", talk(4000, 0, 400));
    const wire = await startWire(stage.gateway.port);
    const socket = await openSession(wire.url, { key: KEY, query: "?window=65536" });
    socket.chat({ model: "waits", stream: true, user: "a" }, { id: "a" });
    await socket.until(({ type }) => type === "chunk");
    wire.cut();
    await socket.end();
    // Time for the buffer to fill. If it is too short, the rest comes later.
    await sleep(700);
    const back = await resumed(url, socket);
    const acks = setInterval(() => back.frames.at(-1)?.seq && back.send({ type: "ack", seq: back.frames.at(-1).seq }), 5);
    await back.answer("a").finally(() => clearInterval(acks));
    const frames = [...socket.frames, ...back.frames];
    expectNumbers(frames);
    assert.equal(textOf(frames), told("a", 4000, 400));
    back.close();
    await wire.stop();
  });
});

describe("a session that nobody takes up", () => {
  let stage;
  before(async () => void (stage = await startStage({ config: config(`resume_seconds: ${RESUME_SECONDS}`) })));
  after(() => (closeAll(), stage.stop()));

  it("ends when its time is over: the provider is let go, and nobody can take it up", async () => {
    const wire = await startWire(stage.gateway.port);
    const socket = await openSession(wire.url, { key: KEY });
    const held = stage.held("forgotten");
    socket.chat({ model: "forgotten", stream: true }, { id: "a" });
    const exchange = await held;
    exchange.openStream();
    exchange.write(answerEvents(exchange.request).slice(0, 2).join(""));
    await socket.until(({ type }) => type === "chunk");
    const left = performance.now();
    wire.cut();
    await socket.end();
    await stage.expectCancelled(exchange.record);
    const took = performance.now() - left;
    assert.ok(took > RESUME_SECONDS * 1000 - 200, `${took} ms`);
    const late = await resumed(stage.gateway.url, socket);
    assert.equal((await late.end()).code, 4404);
    await wire.stop();
  });
});
