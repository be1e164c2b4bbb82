// The memory of WebSockets: a complete response in one frame, and messages that wait while a key is checked.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { soon, until } from "./client.mjs";
import { STILL } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { peak } from "./process-memory.mjs";
import { closeAll, NAMED, openSession, openSocket } from "./socket.mjs";
import { KEY, startStage } from "./stage.mjs";

const MB = 1e6;
const TIME = { timeout: 400_000 };
const MOST = 16 << 20;
const PATIENCE_MS = 120_000;
/** 128 MB, as an isolate has on Cloudflare. With more, V8 would keep messages that nobody references. */
const HEAP = ["--max-old-space-size=128"];
/** Concurrent connections. */
const COUNT = 200;

const config = (more) => (fake) => `
default_provider: any
providers:
  any: { base_url: "${fake.base}", models: "*" }
${more}`;

const parts = { head: '{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"', end: '"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}' };

/**
 * A provider whose responses have the length that the model's name says, in MB; `closed` says whether its
 * call was cancelled.
 */
async function startProvider() {
  const fake = {};
  const server = createServer((req, res) => {
    const body = [];
    req.on("data", (piece) => body.push(piece));
    res.on("error", () => {});
    req.on("end", async () => {
      const { model } = JSON.parse(Buffer.concat(body));
      if (model === "waits") await fake.released;
      const length = (Number(model) || 0) * MB;
      fake.closed = new Promise((resolve) => res.on("close", () => resolve(!res.writableFinished)));
      res.setMaxListeners(0);
      res.writeHead(200, { "content-type": "application/json", "content-length": parts.head.length + length + parts.end.length });
      res.write(parts.head);
      for (let sent = 0; sent < length && !res.destroyed; sent += MB) {
        if (!res.write("A".repeat(Math.min(MB, length - sent)))) await new Promise((resolve) => res.once("drain", resolve).once("close", resolve));
      }
      res.end(parts.end);
    });
  });
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  fake.base = `http://127.0.0.1:${server.address().port}/v1`;
  fake.stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return fake;
}

describe("a whole answer over a WebSocket", { concurrency: 1 }, () => {
  let stage;
  before(async () => {
    stage = await startStage({ provider: startProvider, config: config("") });
  });
  after(() => (closeAll(), stage.stop()));

  it("is one frame up to 16 MiB, and an error beyond, whatever its length: the provider's call is given up", TIME, async (t) => {
    const socket = await openSession(stage.gateway.url, { key: KEY });
    for (const [length, isHeld] of [[0.01, true], [6, true], [15, true], [17, false], [400, false]]) {
      let frames;
      const most = await peak(stage.gateway, async () => {
        socket.chat({ model: `any/${length}` }, { id: `a${length}` });
        frames = await socket.answer(`a${length}`, PATIENCE_MS);
      });
      t.diagnostic(`${length} MB: ${(most / MB).toFixed(1)} MB`);
      if (isHeld) {
        assert.deepEqual(frames.map(({ type }) => type), ["response", "done"]);
        assert.equal(frames[0].data.choices[0].message.content.length, length * MB);
      } else {
        assert.deepEqual(frames.map(({ type }) => type), ["error"]);
        assert.deepEqual({ status: frames[0].status, code: frames[0].error.code }, { status: 502, code: "answer_too_large" });
        assert.match(frames[0].error.message, new RegExp(`longer than a frame may be \\(${MOST} bytes\\)`));
        // A response that is a little too long may have been sent to its end already.
        if (length > 100) assert.equal(await soon(stage.fake.closed, "the call to be given up"), true);
      }
      assert.ok(most <= 200 * MB, `${(most / MB).toFixed(1)} MB`);
    }
    socket.close();
  });

  it("a short one behind a long one that was refused is told as always", TIME, async () => {
    const socket = await openSession(stage.gateway.url, { key: KEY });
    socket.chat({ model: "any/40" }, { id: 1 });
    assert.equal((await socket.answer(1, PATIENCE_MS)).at(-1).type, "error");
    socket.chat({ model: "any/0.001" }, { id: 2 });
    assert.deepEqual((await socket.answer(2)).map(({ type }) => type), ["response", "done"]);
    socket.close();
  });
});

describe("messages that wait while a key is checked", { concurrency: 1 }, () => {
  let stage, office;
  before(async () => {
    const limits = "limits: { max_body_bytes: 4000000, memory_bytes: 16000000 }";
    stage = await startStage({ provider: startProvider, config: config(limits), bindings: OFFICE, entry: "production.mjs", v8Flags: HEAP });
    office = new Office(stage.gateway.url);
  });
  after(() => (closeAll(), stage.stop()));

  const padded = (message, length) => message.replace("{", `{"pad":"${"x".repeat(length)}",`);
  const open = () => openSocket(stage.gateway.url, { protocols: [NAMED] });

  it("are counted for the whole isolate: who has no room is told so and closed, and the room is there again", TIME, async (t) => {
    const key = await office.key("sockets-wait");
    const chat = padded(JSON.stringify({ type: "chat", id: "a", api_key: key, payload: { model: "any/0.001", messages: [] } }), 3.8 * MB);
    const more = padded('{"type":"cancel","id":"b"}', 3.8 * MB);
    // However long the messages take, nobody gives up waiting for the account.
    await stage.gateway.control({ away: { ACCOUNTS: "hangs" }, speed: STILL });
    const sockets = await Promise.all(Array.from({ length: COUNT }, open));
    const ends = [];
    sockets.forEach((socket) => socket.closed.then(({ code }) => ends.push(code)));
    const most = await peak(stage.gateway, async () => {
      for (const [n, socket] of sockets.entries()) {
        for (const message of [chat, more]) socket.send(message);
        await until(() => ends.length >= n - 1, "connections to be closed", PATIENCE_MS);
      }
    });
    t.diagnostic(`${ends.length} of ${COUNT} closed, ${(most / MB).toFixed(1)} MB`);
    assert.ok(ends.every((code) => code === 1013), `${ends}`);
    assert.ok(ends.length < COUNT, "nobody was let in");
    const told = sockets.filter((socket) => socket.frames.some(({ error }) => error?.code === "gateway_overloaded"));
    assert.ok(told.length >= COUNT - 2, `${told.length} were told why`);
    assert.ok(most <= 250 * MB, `${(most / MB).toFixed(1)} MB`);
    await stage.gateway.control({ away: {}, speed: 1 });
    await Promise.any(sockets.map((socket) => socket.answer("a", PATIENCE_MS)));
    const late = await open();
    late.send(chat);
    assert.deepEqual((await late.answer("a", PATIENCE_MS)).map(({ type }) => type), ["response", "done"]);
    closeAll();
  });

  it("in sessions, behind a chat that is under way, are counted as well: the newest is refused, and the others are answered", TIME, async () => {
    let release;
    stage.fake.released = new Promise((resolve) => (release = resolve));
    const chat = (model) => JSON.stringify({ type: "chat", payload: { model, messages: [] } });
    const sockets = [];
    const refused = ({ frames }) => frames.find(({ error }) => error?.code === "gateway_overloaded");
    for (let n = 0; n < 8; n++) {
      const socket = await openSocket(stage.gateway.url, { key: KEY });
      sockets.push(socket);
      socket.send(chat("any/waits"));
      socket.send(chat("any/0.001").replace('"messages"', `"user":"${"x".repeat(3.8 * MB)}","messages"`));
      socket.send({ type: "ping" });
      await socket.until(({ type }) => type === "pong", "a pong", PATIENCE_MS);
    }
    const told = sockets.filter(refused);
    assert.ok(told.length >= 3 && told.length <= 6, `${told.length} of 8`);
    release();
    const done = ({ texts }) => texts.filter((text) => text.includes("[DONE]")).length;
    // Each chat ends, though some of those that waited may find the memory full.
    for (const socket of sockets) await socket.when((socket) => done(socket) === (told.includes(socket) ? 1 : 2), "all answers", PATIENCE_MS);
    closeAll();
  });

  it("of a client that is going to acknowledge, no more is kept before its key than that", TIME, async (t) => {
    const sockets = await Promise.all(Array.from({ length: COUNT }, open));
    const most = await peak(stage.gateway, async () => {
      for (const socket of sockets) {
        socket.send(padded('{"type":"ack","seq":0}', 3.8 * MB));
        socket.send({ type: "ping" });
        await socket.until(({ type }) => type === "pong", "a pong", PATIENCE_MS);
      }
    });
    t.diagnostic(`${(most / MB).toFixed(1)} MB`);
    assert.ok(most <= 250 * MB, `${(most / MB).toFixed(1)} MB`);
    closeAll();
  });
});
