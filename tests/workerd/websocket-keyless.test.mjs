// WebSockets without a key: nothing is opened, stored or counted before a valid one comes; from then on they
// are like all others.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWER, answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { call, settled, soon, until } from "./client.mjs";
import { expectError, streamedText } from "./expect.mjs";
import { startGateway, STILL } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { closeAll, NAMED, openSocket, startWire, textOf } from "./socket.mjs";
import { KEY, QUIET, startStage } from "./stage.mjs";

const config = (more = "") => (fake) => `
default_provider: any
providers:
  any: { base_url: "${fake.base}", models: "*", ${QUIET} }
${more}`;

// Many connections on one machine take time where it is slow.
const PATIENCE_MS = 120_000;
const PROTOCOLS = [NAMED];
const named = (url, more = {}) => openSocket(url, { protocols: PROTOCOLS, ...more });
const ended = ({ texts }) => texts.includes(DONE);

/** The number of calls of all objects since the start. */
const calls = async ({ gateway }) => Object.values((await gateway.control()).calls).reduce((sum, n) => sum + n, 0);

/** The files of sessions on a disk. */
const files = async (disk) => (await readdir(join(disk, "Session")).catch(() => [])).filter((name) => /^[0-9a-f]{64}/.test(name));

/** The upgrade of a client that does nothing after the handshake, not even respond to a close. */
async function openRaw(port) {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13";
  socket.write(`GET /v1/ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n${key}\r\n\r\n`);
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("error", () => {});
  const head = await soon(new Promise((resolve) => socket.once("data", resolve)), "the head of an answer");
  return { socket, closed, status: Number(/ (\d+)/.exec(head)[1]) };
}

describe("a WebSocket without a key", { concurrency: 1 }, () => {
  let stage, url, office;
  before(async () => {
    stage = await startStage({ config: config("limits: { max_body_bytes: 4000000 }"), bindings: OFFICE, entry: "production.mjs" });
    url = stage.gateway.url;
    office = new Office(url);
  });
  after(() => (closeAll(), stage.stop()));

  for (const [what, message, text] of [
    ["in a chat", { api_key: KEY }],
    ["with its scheme", { api_key: `Bearer ${KEY}` }],
    ["in escapes", undefined, (payload) => `{"type":"chat","api\\u005fkey":"${[...KEY].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}","payload":${payload}}`],
    ["behind a payload that speaks of keys", undefined, (payload) => `{"a":"\\"api_key\\":\\"no\\"","b":[{"api_key":"]}\\\\"}],"payload":${payload},"type":"chat" ,\n"api_key" : "${KEY}"}`],
  ]) {
    it(`is served with a key ${what}`, async () => {
      const socket = await openSocket(url);
      if (message) socket.chat({ model: "ok" }, message);
      else socket.send(text(JSON.stringify({ model: "ok", messages: [{ role: "user", content: "api_key" }] })));
      await socket.when(ended, "the end");
      assert.equal(streamedText(socket.texts.join("")), ANSWER);
      socket.close();
      assert.equal((await socket.end()).code, 1000);
    });
  }

  it("is served with a key behind a long payload, whose every character arrives", async () => {
    const socket = await named(url);
    const model = "long-first";
    stage.fake.behave(model, stage.fake.behaviour("ok"));
    // Characters of two code units, so that a cut between pieces may fall into one; one character more shifts
    // the cut.
    const content = `${"😀".repeat(300_000)}é`;
    const payload = { model, stream: true, messages: [{ role: "user", content }] };
    socket.send(`{"type":"chat","payload":${JSON.stringify(payload)},"id":"😀","api_key":"${KEY}"}`);
    assert.equal(textOf(await socket.answer("😀")), ANSWER);
    assert.equal(stage.fake.of(model).request.messages[0].content, content);
    socket.close();
  });

  it("is taken over by a key made at run time, and by none that is switched off", async () => {
    const key = await office.key("frames-alone");
    const socket = await named(url);
    socket.send({ type: "auth", api_key: key });
    socket.chat({ model: "ok", stream: true }, { id: "a" });
    assert.equal(textOf(await socket.answer("a")), ANSWER);
    assert.deepEqual(socket.frames.slice(0, 2).map(({ type }) => type), ["session", "authenticated"]);
    socket.close();
    await office.totals("frames-alone", 1);
    await office.order("POST", "/keys/frames-alone/disable");
    await stage.gateway.control({ advance: 5000 });
    const late = await named(url);
    late.send({ type: "auth", api_key: key });
    assert.equal((await late.end()).code, 4401);
    assert.ok(!late.frames.some(({ type }) => type === "session"));
  });

  it("carries frames in order both ways on two hundred connections at once", { timeout: 400_000 }, async () => {
    const model = "ordered";
    stage.fake.behave(model, async (exchange) => {
      exchange.openStream();
      for (let n = 0; n < 5; n++) {
        exchange.write(event(chunk(exchange.request, { content: `${exchange.request.user}:${n};` })));
        await exchange.sleep(5);
      }
      exchange.write(answerEvents(exchange.request).slice(-1).join("") + DONE);
      exchange.end();
    });
    const sockets = await Promise.all(Array.from({ length: 200 }, () => named(url)));
    await Promise.all(
      sockets.map(async (socket, s) => {
        // All at once: messages behind the key wait for the session, in order.
        socket.send({ type: "ack", seq: 0 });
        socket.send({ type: "auth", api_key: KEY });
        const ids = [0, 1, 2, 3];
        for (const id of ids) socket.chat({ model, stream: true, user: `${s}.${id}` }, { id });
        socket.send({ type: "cancel", id: "nobody" });
        const answers = await Promise.all(ids.map((id) => socket.answer(id, PATIENCE_MS)));
        for (const [id, frames] of answers.entries()) {
          assert.equal(textOf(frames), Array.from({ length: 5 }, (_, n) => `${s}.${id}:${n};`).join(""));
        }
        const numbers = socket.frames.filter(({ seq }) => seq).map(({ seq }) => seq);
        assert.deepEqual(numbers, numbers.map((_, n) => n + 1), "numbers without gaps");
        assert.deepEqual(socket.frames.slice(0, 1).map(({ type }) => type), ["session"]);
        assert.equal(socket.frames.filter(({ error }) => error?.code === "unknown_id").length, 1);
      }),
    );
    sockets.forEach((socket) => socket.close());
    assert.deepEqual(new Set((await Promise.all(sockets.map((socket) => socket.end()))).map(({ code }) => code)), new Set([1000]));
  });

  it("cancels, and lets the provider go when it leaves", async () => {
    const socket = await named(url);
    socket.send({ type: "auth", api_key: KEY });
    const held = [stage.held("cancelled-there"), stage.held("left-there")];
    for (const model of ["cancelled-there", "left-there"]) socket.chat({ model, stream: true }, { id: model });
    const [cancelled, left] = await Promise.all(held);
    for (const exchange of [cancelled, left]) {
      exchange.openStream();
      exchange.write(answerEvents(exchange.request).slice(0, 3).join(""));
    }
    await socket.when(({ frames }) => frames.filter(({ type }) => type === "chunk").length >= 4, "both beginnings");
    socket.send({ type: "cancel", id: "cancelled-there" });
    await stage.expectCancelled(cancelled.record);
    assert.equal((await socket.answer("cancelled-there")).at(-1).cancelled, true);
    socket.close();
    await stage.expectCancelled(left.record);
  });

  it("is taken up again after its wire was cut, with the key in the handshake", async () => {
    const wire = await startWire(stage.gateway.port);
    const socket = await named(wire.url);
    socket.send({ type: "auth", api_key: KEY });
    const held = stage.held("cut-there");
    socket.chat({ model: "cut-there", stream: true }, { id: "a" });
    const exchange = await held;
    exchange.openStream();
    exchange.write(answerEvents(exchange.request).slice(0, 3).join(""));
    await socket.when(({ frames }) => frames.filter(({ type }) => type === "chunk").length === 3, "three chunks");
    const { id } = socket.frames.find(({ type }) => type === "session");
    wire.cut();
    await socket.end();
    exchange.write(answerEvents(exchange.request).slice(3).join("") + DONE);
    exchange.end();
    const without = await named(url, { query: `?session=${id}&after=3` });
    assert.deepEqual(
      { close: (await without.end()).code, error: without.frames[0].error.code },
      { close: 4401, error: "invalid_api_key" },
    );
    const back = await named(url, { key: KEY, query: `?session=${id}&after=3` });
    const missed = await back.answer("a");
    assert.equal(textOf([...socket.frames, ...missed]), ANSWER);
    back.close();
    await wire.stop();
  });

  it("is ended by its session with the session's code, and ends it with its own", async () => {
    const socket = await named(url);
    socket.send({ type: "auth", api_key: KEY });
    const { id } = await socket.until(({ type }) => type === "session");
    const elsewhere = await named(url, { key: KEY, query: `?session=${id}&after=0` });
    assert.deepEqual(await socket.end(), { code: 4409, reason: "resumed elsewhere" });
    elsewhere.close(1000);
    await elsewhere.end();
    for (const code of [1000, 4000]) {
      const other = await named(url);
      other.send({ type: "auth", api_key: KEY });
      const { id } = await other.until(({ type }) => type === "session");
      other.close(code);
      await other.end();
      // While a session lives, it refuses clients that acknowledge frames that were never sent, and is not
      // changed by them.
      const probe = async () => (await (await named(url, { key: KEY, query: `?session=${id}&after=99` })).end()).code;
      if (code === 1000) {
        await until(async () => (await probe()) === 4404, "who says goodbye to be gone");
        continue;
      }
      assert.equal(await probe(), 4410);
      const back = await named(url, { key: KEY, query: `?session=${id}&after=0` });
      assert.equal((await back.until(({ type }) => type === "session")).resumed, true);
      back.close();
    }
  });

  it("is closed for bytes and for a message too long, before and after its key", async () => {
    for (const key of [undefined, KEY]) {
      for (const [message, code, word] of [[new Uint8Array([49]), 1003, "invalid_message"], ["x".repeat(4_000_001), 1009, "message_too_large"]]) {
        const socket = await named(url);
        if (key) {
          socket.send({ type: "auth", api_key: key });
          await socket.until(({ type }) => type === "authenticated");
        }
        socket.send(message);
        assert.equal((await socket.end()).code, code);
        assert.equal(socket.frames.at(-1).error.code, word);
      }
    }
  });
});

describe("before a good key", () => {
  let stage, url;
  before(async () => {
    stage = await startStage({ config: config("websocket: { max_without_key: 4 }\nlimits: { max_body_bytes: 1000000 }"), entry: "production.mjs" });
    url = stage.gateway.url;
  });
  after(() => (closeAll(), stage.stop()));

  const made = () => `sk-lb-x-${"A".repeat(40)}`;
  const rest = async () => (({ calls: { SESSIONS = 0, ACCOUNTS = 0 } }) => SESSIONS + ACCOUNTS)(await stage.gateway.control());

  it("no object is called, and no session is told of", async () => {
    for (const [open, talk, code] of [
      [() => named(url), (socket) => socket.send({ type: "auth", api_key: "wrong" }), 4401],
      [() => openSocket(url), (socket) => Array.from({ length: 5 }, () => socket.chat({ model: "ok" }, { api_key: "wrong" })), 4401],
      [() => named(url), (socket) => Array.from({ length: 5 }, (_, id) => socket.chat({ model: "ok" }, { id })), 4401],
      [() => named(url), (socket) => socket.send({ type: "auth", api_key: made() }), 4401],
      [() => openSocket(url), (socket) => Array.from({ length: 5 }, () => socket.chat({ model: "ok" }, { api_key: made() })), 4401],
      [() => openSocket(url, { key: made() }), () => {}, 4401],
      [() => openSocket(url, { key: "wrong" }), () => {}, 4401],
      [() => named(url, { protocols: [NAMED, "bearer.wrong"] }), () => {}, 4401],
      [() => named(url, { query: `?session=${"0".repeat(64)}&after=0` }), () => {}, 4401],
      [() => named(url), (socket) => socket.send(new Uint8Array(3)), 1003],
      [() => named(url), (socket) => socket.send(`{"type":"auth","x":"${"x".repeat(1_000_000)}"}`), 1009],
      [() => named(url), (socket) => Array.from({ length: 3 }, () => socket.send(`{"type":"ping","x":"${"x".repeat(900_000)}"}`)), 1009],
    ]) {
      const socket = await open();
      talk(socket);
      assert.equal((await socket.end()).code, code);
      assert.ok(!socket.frames.some(({ type }) => type === "session"), JSON.stringify(socket.frames));
      assert.ok(socket.frames.at(-1).error, JSON.stringify(socket.frames));
    }
    assert.equal(await calls(stage), 0);
    assert.deepEqual(stage.gateway.logs().filter(({ event }) => event !== "config_note"), [], "nothing is logged of them");
  });

  it("frames are answered as documented, but not numbered", async () => {
    const socket = await named(url);
    for (const [message, status, code, id] of [
      ['{"type":"auth","api_key":"a","api_key":"b"}', 400, "invalid_message"],
      ['{"type":"auth"}', 400, "invalid_message"],
      ['{"type":"cancel","id":1}', 404, "unknown_id"],
      ['{"type":"ack","seq":1}', 400, "invalid_message"],
      ['{"type":"sing"}', 400, "unknown_type"],
      ["hello", 400, "invalid_json"],
      [`{"type":"chat","payload":{},"api_key":"${KEY}"}`, 400, "invalid_message"],
      [`{"type":"chat","id":"a","payload":{}}`, 401, "invalid_api_key", "a"],
    ]) {
      const before = socket.frames.length;
      socket.send(message);
      const frame = await socket.when(({ frames }) => frames[before], message);
      assert.deepEqual(
        { type: frame.type, status: frame.status, code: frame.error?.code, id: frame.id, seq: frame.seq },
        { type: "error", status, code, id, seq: undefined },
        message,
      );
    }
    socket.send('{"type":"ping"}');
    await socket.until(({ type }) => type === "pong");
    assert.equal(await calls(stage), 0);
    socket.send({ type: "auth", api_key: KEY });
    socket.chat({ model: "ok", stream: true }, { id: "a" });
    await socket.until(({ id, type }) => id === "a" && type === "done");
    assert.equal(textOf(socket.frames), ANSWER);
    assert.deepEqual(socket.frames.filter(({ seq }) => seq).map(({ seq }) => seq)[0], 1);
    // The receipt and the report of the chat may have been sent already.
    assert.equal((await stage.gateway.control()).calls.SESSIONS, 1, "one session");
    socket.close();
    await socket.end();
  });

  it("so many wait and no more, and a place is free again when one has gone or shown a key", async () => {
    const waiting = await Promise.all(Array.from({ length: 4 }, () => named(url)));
    const upgrade = { headers: { upgrade: "websocket" } };
    const refused = await call(`${url}/v1/ws`, upgrade);
    expectError(refused, { status: 503, code: "too_many_connections" });
    assert.ok(Number(refused.headers["retry-after"]) > 0);
    await assert.rejects(named(url));
    expectError(await call(`${url}/v1/ws`, { headers: { ...upgrade.headers, authorization: "Bearer wrong" } }), { status: 401, code: "invalid_api_key" });
    const welcome = await named(url, { key: KEY });
    await welcome.until(({ type }) => type === "session");
    waiting[0].send({ type: "auth", api_key: KEY });
    await waiting[0].until(({ type }) => type === "authenticated");
    // A connection is over for its client before it is for the gateway.
    const free = () => until(() => named(url).catch(() => undefined), "a free place");
    const next = await free();
    await assert.rejects(named(url));
    next.close();
    await next.end();
    const last = await free();
    for (const socket of [...waiting, welcome, last]) socket.close();
    await Promise.all([...waiting, welcome, last].map((socket) => socket.end()));
  });

  it("its time is over after a minute, whatever it says but a key; and one that does not answer is cut off", async () => {
    await stage.gateway.control({ speed: STILL });
    const [quiet, pinging] = [await named(url), await named(url)];
    const { socket: mute, closed } = await openRaw(stage.gateway.port);
    for (let second = 0; second < 59; second++) {
      pinging.send(second % 2 ? '{"type":"ping"}' : '{"type":"sing"}');
      await pinging.when(({ frames }) => frames.length > second, "an answer");
      await stage.gateway.control({ advance: 1000 });
    }
    assert.ok([quiet, pinging].every(({ isOpen }) => isOpen), "not before its time");
    await stage.gateway.control({ advance: 2000 });
    for (const socket of [quiet, pinging]) {
      assert.deepEqual(
        { close: (await socket.end()).code, error: socket.frames.at(-1).error.code },
        { close: 4408, error: "key_timeout" },
      );
    }
    await stage.gateway.control({ advance: 6000 });
    await soon(closed, "the connection of a client that answers nothing to be cut");
    await stage.gateway.control({ speed: 1 });
    mute.destroy();
  });

  it("a key that no session can be opened for is told so", async () => {
    await stage.gateway.control({ away: { SESSIONS: "fails" } });
    const socket = await named(url);
    socket.send({ type: "auth", api_key: KEY });
    assert.deepEqual(
      { close: (await socket.end()).code, error: socket.frames.at(-1).error.code },
      { close: 1013, error: "session_unavailable" },
    );
    await stage.gateway.control({ away: {} });
  });
});

// One after the other, because the memory is that of the whole process.
describe("the memory of a WebSocket", () => {
  const memory = async ({ pid }) => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
  const SOCKETS = 1500;

  /** The memory that this many silent connections add to a process, in megabytes. */
  async function taken(gateway) {
    // The first ones cause allocations that happen once.
    const first = await Promise.all(Array.from({ length: 100 }, () => openRaw(gateway.port)));
    await sleep(300);
    const before = await memory(gateway);
    const rest = [];
    while (rest.length < SOCKETS) rest.push(...(await Promise.all(Array.from({ length: 100 }, () => openRaw(gateway.port)))));
    assert.ok([...first, ...rest].every(({ status }) => status === 101));
    await sleep(500);
    const grown = (await memory(gateway)) - before;
    for (const { socket } of [...first, ...rest]) socket.destroy();
    return grown;
  }

  it("that waits for a key is at most twice that of a Worker that accepts and does nothing", { timeout: 400_000 }, async (test) => {
    const settings = { config: `providers: { d: { adapter: echo, models: { e: {} } } }\nwebsocket: { max_without_key: 2000 }\n`, bindings: { ACCESS_API_KEYS: KEY } };
    const disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
    const grown = {};
    for (const [name, more] of [["bare", { entry: "bare-sockets.mjs" }], ["gateway", { disk }]]) {
      const gateway = await startGateway({ ...settings, ...more });
      grown[name] = await taken(gateway).finally(() => gateway.stop());
    }
    test.diagnostic(`${SOCKETS} connections: ${grown.gateway.toFixed(1)} MB, bare ${grown.bare.toFixed(1)} MB`);
    assert.deepEqual(await files(disk), [], "files of sessions");
    await rm(disk, { recursive: true });
    assert.ok(grown.gateway <= 2 * grown.bare, JSON.stringify(grown));
  });

  it("that has shown one is bounded for a client that does not read: its provider has to wait, and nothing is lost", { timeout: 400_000 }, async (test) => {
    const [WORDS, MOST_MB] = [400, 50];
    // Compressible data are compressed, and then hardly anything waits.
    const noise = randomBytes(192 << 10).toString("base64");
    const stage = await startStage({ config: config("websocket: { buffer_bytes: 65536 }") });
    let flood;
    stage.fake.behave("flood", async (exchange) => {
      flood = exchange;
      exchange.openStream();
      for (let n = 0; n < WORDS && !exchange.over; n++) {
        exchange.write(event(chunk(exchange.request, { content: `${n};${noise}` })));
        await exchange.sleep(2);
      }
      exchange.write(answerEvents(exchange.request).slice(-2).join("") + DONE);
      exchange.end();
    });
    const wire = await startWire(stage.gateway.port);
    const socket = await named(wire.url);
    socket.send({ type: "auth", api_key: KEY });
    await socket.until(({ type }) => type === "authenticated");
    // The first such answer has the engine compile what is called often.
    socket.chat({ model: "flood", stream: true }, { id: "first" });
    await socket.answer("first", 2 * PATIENCE_MS);
    flood = undefined;
    wire.clog();
    const before = await memory(stage.gateway);
    socket.chat({ model: "flood", stream: true }, { id: "a" });
    // The provider makes no progress: everything that fits without a reader has been taken.
    await until(() => flood?.record.sent.length >= WORDS, "the provider to have said all", PATIENCE_MS);
    await settled(() => flood.backlog);
    const grown = (await memory(stage.gateway)) - before;
    test.diagnostic(`${grown.toFixed(1)} MB of ${(WORDS * noise.length) >> 20}`);
    assert.ok(grown < MOST_MB, `${grown} MB for a client that does not read`);
    wire.unclog();
    assert.equal(textOf(await socket.answer("a", 2 * PATIENCE_MS)), Array.from({ length: WORDS }, (_, n) => `${n};${noise}`).join(""));
    socket.close();
    await wire.stop();
    await stage.stop();
  });
});
