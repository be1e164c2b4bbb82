// WebSockets: two protocols over one gateway, many requests on one connection, and the errors for invalid
// ones.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWER, answerEvents, chunk, DONE, event, USAGE } from "./behaviours.mjs";
import { billing, expectCharge, PRICED } from "./bills.mjs";
import { call, events, raw, soon, until } from "./client.mjs";
import { expectError, streamedText } from "./expect.mjs";
import { OFFICE, Office } from "./office.mjs";
import { paced } from "./pace.mjs";
import { closeAll, NAMED, openSession, openSocket, textOf } from "./socket.mjs";
import { ASKING, KEY, QUIET, startStage } from "./stage.mjs";
import { stopClock } from "./timed.mjs";

const config = (fake, more = "") => `
default_provider: any
providers:
  any: { base_url: "${fake.base}", models: "*", ${QUIET} }
  brief: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*", clocks: { total: ${paced(0.6)} } }
  priced: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { "*": { ${PRICED} } } }
${more}`;

const ENVELOPE = ["code", "message", "param", "type"];
// Longer than a machine stands still: pings that wait meanwhile are in time.
const IDLE_SECONDS = 20;
// Many requests on one machine take time where it is slow.
const PATIENCE_MS = 120_000;

// One group after the other, because the last one keeps the machine busy.
describe("a WebSocket", () => {
  let stage, office, url;
  before(async () => {
    stage = await startStage({ config, bindings: OFFICE });
    url = stage.gateway.url;
    office = new Office(url);
    stage.fake.behave("bill", billing().bill);
  });
  after(() => (closeAll(), stage.stop()));

  const streamEnd = ({ texts }) => texts.includes(DONE);

  describe("without names", { concurrency: 8 }, () => {
    it("answers in server-sent events, with one end", async () => {
      const socket = await openSocket(url);
      socket.chat({ model: "ok" }, { api_key: KEY });
      await socket.when(streamEnd, "the end");
      assert.ok(socket.texts.every((text) => /^data: .*\n\n$/s.test(text)), socket.texts.join("|"));
      const stream = socket.texts.join("");
      assert.equal(streamedText(stream), ANSWER);
      assert.equal(socket.texts.indexOf(DONE), socket.texts.length - 1);
      socket.close();
      assert.equal((await socket.end()).code, 1000);
    });

    it("takes a key with its scheme, and forces a stream", async () => {
      const socket = await openSocket(url);
      socket.chat({ model: "ok", stream: false }, { api_key: `Bearer ${KEY}` });
      await socket.when(streamEnd, "the end");
      assert.equal(streamedText(socket.texts.join("")), ANSWER);
      socket.close();
    });

    it("answers one after the other, in the order in which was asked", async () => {
      const socket = await openSocket(url, { key: KEY });
      for (const user of ["a", "b", "c"]) socket.chat({ model: "one-write", user });
      await socket.when(({ texts }) => texts.filter((text) => text === DONE).length === 3, "three ends");
      const answers = socket.texts.join("").split(DONE);
      assert.deepEqual(answers.map((text) => streamedText(text)), [ANSWER, ANSWER, ANSWER, ""]);
      socket.close();
    });

    it("says what went wrong, ends the answer, and goes on", async () => {
      const socket = await openSocket(url);
      socket.chat({ model: "ok" }, { api_key: "wrong" });
      socket.chat({ model: "err-429" }, { api_key: KEY });
      socket.chat({ model: "error-mid-stream" }, { api_key: KEY });
      socket.send("{");
      socket.chat({ model: "ok" }, { api_key: KEY });
      await socket.when(({ texts }) => texts.filter((text) => text === DONE).length === 4, "four ends");
      const errors = socket.frames.map(({ error, ...rest }) => (assert.deepEqual(rest, {}), error));
      for (const error of errors) assert.deepEqual(Object.keys(error).sort(), ENVELOPE);
      const codes = errors.map(({ code }) => code);
      assert.equal(codes.length, 4, JSON.stringify(codes));
      assert.deepEqual(codes.filter((code) => ["invalid_api_key", "rate_limit_exceeded", "invalid_json"].includes(code)).length, 3);
      assert.equal(streamedText(socket.texts.join("").split(DONE)[3].replace(/\{"error.*\}\}/, "")), ANSWER);
      socket.close();
    });

    it("closes after five wrong keys, if there never was a good one", async () => {
      const socket = await openSocket(url);
      for (let n = 0; n < 5; n++) socket.chat({ model: "ok" }, { api_key: `wrong-${n}` });
      assert.equal((await socket.end()).code, 4401);
      assert.deepEqual(socket.frames.map(({ error }) => error.code), Array(5).fill("invalid_api_key"));
    });

    it("lets the provider go when the client has left", async () => {
      const socket = await openSocket(url, { key: KEY });
      const held = stage.held("left-plain");
      socket.chat({ model: "left-plain" });
      const exchange = await held;
      exchange.openStream();
      exchange.write(answerEvents(exchange.request).slice(0, 3).join(""));
      await socket.when(({ texts }) => texts.length >= 2, "its beginning");
      socket.close();
      await stage.expectCancelled(exchange.record);
    });
  });

  describe("with names", { concurrency: 8 }, () => {
    it("greets with the session's id, which is random", async () => {
      const [a, b] = await Promise.all([openSession(url, { key: KEY }), openSession(url, { key: KEY })]);
      assert.equal(a.protocol, NAMED);
      assert.match(a.session.id, /^[0-9a-f]{64}$/);
      assert.notEqual(a.session.id, b.session.id);
      assert.deepEqual({ resume_seconds: a.session.resume_seconds, resumed: a.session.resumed }, { resume_seconds: 300, resumed: false });
      a.close();
      b.close();
    });

    it("passes each chunk untouched, tells the usage apart, and ends", async () => {
      const socket = await openSession(url, { key: KEY });
      const model = "untouched";
      stage.fake.behave(model, stage.fake.behaviour("odd"));
      socket.chat({ model, stream: true, ...ASKING }, { id: "odd" });
      const frames = await socket.answer("odd");
      const sent = Buffer.concat(stage.fake.of(model).sent).toString();
      const data = events(sent).map(({ data }) => data).filter((data) => data !== "[DONE]");
      const got = socket.texts.filter((text) => /"type":"(chunk|usage)"/.test(text)).map((text) => text.slice(text.indexOf('"data":') + 7, -1));
      assert.deepEqual(got, data);
      assert.deepEqual(frames.map(({ seq }) => seq), frames.map((_, n) => n + 1));
      socket.chat({ model: "ok", stream: true, ...ASKING }, { id: 7 });
      const more = await socket.answer(7);
      assert.equal(textOf(more), ANSWER);
      assert.deepEqual(more.filter(({ type }) => type === "usage").map(({ data }) => data.usage), [USAGE]);
      assert.match(more.at(-1).request_id, /^req_/);
      assert.equal((await stage.end(more.at(-1).request_id, "request_complete")).outcome, "complete");
      socket.close();
    });

    it("answers in one frame where no stream is asked for", async () => {
      const socket = await openSession(url, { key: KEY });
      socket.chat({ model: "ok" }, { id: "whole" });
      const frames = await socket.answer("whole");
      assert.deepEqual(frames.map(({ type }) => type), ["response", "done"]);
      assert.equal(frames[0].data.choices[0].message.content, ANSWER);
      socket.close();
    });

    it("leaves a receipt, whatever code a client leaves with", async () => {
      const key = await office.key("leaver");
      for (const code of [1000, 4408]) {
        const socket = await openSocket(url, { key });
        const held = stage.held(`left-with-${code}`);
        socket.chat({ model: `left-with-${code}` });
        const exchange = await held;
        exchange.openStream();
        exchange.write(answerEvents(exchange.request).slice(0, 3).join(""));
        await socket.when(({ texts }) => texts.length >= 2, "its beginning");
        socket.close(code);
        await stage.expectCancelled(exchange.record);
      }
      assert.deepEqual((await office.totals("leaver", 2)).failures, { client_closed: 2 });
    });

    it("needs no subprotocol: a name is enough", async () => {
      const socket = await openSocket(url, { key: KEY });
      socket.chat({ model: "ok", stream: true }, { id: "a" });
      assert.equal(textOf(await socket.answer("a")), ANSWER);
      assert.equal(socket.frames[0].type, "session");
      socket.close();
    });

    it("tells a refusal with its status, and why", async () => {
      const socket = await openSession(url, { key: KEY });
      for (const [model, status, code] of [
        ["err-429", 429, "rate_limit_exceeded"],
        ["nobody/knows", 404, "model_not_found"],
        ["reset-before-headers", 502, "upstream_unreachable"],
      ]) {
        socket.chat({ model, stream: true }, { id: model });
        const [frame, ...rest] = await socket.answer(model);
        assert.deepEqual(
          { length: rest.length, type: frame.type, status: frame.status, code: frame.error.code },
          { length: 0, type: "error", status, code },
          JSON.stringify(frame),
        );
      }
      for (const [model, code] of [
        ["reset-mid-stream", "stream_truncated"],
        ["brief/stall-mid-stream", "upstream_timeout"],
      ]) {
        socket.chat({ model, stream: true }, { id: model });
        const frames = await socket.answer(model);
        assert.deepEqual({ type: frames.at(-1).type, code: frames.at(-1).error.code }, { type: "error", code });
        assert.equal(frames.filter(({ type }) => type !== "chunk").length, 1);
      }
      socket.close();
    });

    it("lets the provider go at a cancel, without waiting for anything, with one receipt", async () => {
      const stage = await startStage({ config, entry: "production.mjs" });
      // No timer of the gateway does it.
      await stopClock(stage.gateway);
      const socket = await openSession(stage.gateway.url, { key: KEY });
      for (const [id, stream, opened] of [["streamed", true, true], ["unopened", true, false], ["whole", false, false]]) {
        const model = `cancelled-${id}`;
        const held = stage.held(model);
        socket.chat({ model, stream, ...(stream ? ASKING : {}) }, { id });
        const exchange = await held;
        if (opened) {
          exchange.openStream();
          exchange.write(answerEvents(exchange.request).slice(0, 3).join(""));
          await socket.until((frame) => frame.id === id && frame.type === "chunk");
        }
        const before = stage.gateway.logs().length;
        socket.send({ type: "cancel", id });
        await stage.expectCancelled(exchange.record);
        const end = (await socket.answer(id)).at(-1);
        assert.deepEqual({ type: end.type, cancelled: end.cancelled }, { type: "done", cancelled: true });
        const closed = () => stage.gateway.logs().slice(before).filter((entry) => entry.model === model && entry.event !== "request_start");
        await until(() => closed().length > 0, "its end in the log");
        // A second one, if there is one, comes at once.
        await sleep(50);
        assert.deepEqual(closed().map(({ outcome }) => outcome), ["client_closed"]);
      }
      socket.send({ type: "cancel", id: "streamed" });
      assert.equal((await socket.until(({ error }) => error?.code === "unknown_id")).status, 404);
      socket.close();
      await stage.stop();
    });

    it("answers a ping", async () => {
      const socket = await openSession(url, { key: KEY });
      socket.send('{"type":"ping"}');
      socket.send('{ "type": "ping" }');
      await socket.when(({ frames }) => frames.filter(({ type }) => type === "pong").length === 2, "two pongs");
      socket.close();
    });
  });

  describe("and its key", { concurrency: 8 }, () => {
    it("comes with the subprotocols, and is never sent back", async () => {
      const socket = await openSession(url, { protocols: [`bearer.${KEY}`] });
      assert.equal(socket.protocol, NAMED);
      socket.chat({ model: "ok", stream: true }, { id: "a" });
      assert.equal(textOf(await socket.answer("a")), ANSWER);
      socket.close();
      const plain = await openSocket(url, { protocols: ["llm-bridge", `bearer.${KEY}`] });
      assert.equal(plain.protocol, "llm-bridge");
      plain.chat({ model: "ok" });
      await plain.when(streamEnd, "the end");
      plain.close();
    });

    it("comes in a frame, and what was sent behind it waits", async () => {
      const socket = await openSocket(url, { protocols: [NAMED] });
      socket.send({ type: "auth", api_key: KEY });
      socket.chat({ model: "ok", stream: true }, { id: "a" });
      assert.equal(textOf(await socket.answer("a")), ANSWER);
      assert.equal(socket.frames[0].type, "session");
      assert.ok(socket.frames.some(({ type }) => type === "authenticated"));
      socket.send({ type: "auth", api_key: KEY });
      assert.equal((await socket.until(({ type }) => type === "error")).error.code, "already_authenticated");
      socket.close();
    });

    for (const [how, open] of [
      ["in the header", () => openSocket(url, { key: "wrong" })],
      ["among the subprotocols", () => openSocket(url, { protocols: [NAMED, "bearer.wrong"] })],
      ["in a frame", async () => {
        const socket = await openSocket(url, { protocols: [NAMED] });
        socket.send({ type: "auth", api_key: "wrong" });
        return socket;
      }],
    ]) {
      it(`that is wrong ${how} ends the connection with 4401`, async () => {
        const socket = await open();
        assert.equal((await socket.end()).code, 4401);
        assert.equal(socket.frames.at(-1).error.code, "invalid_api_key");
      });
    }

    it("that is missing is asked for, by request", async () => {
      const socket = await openSocket(url, { protocols: [NAMED] });
      socket.chat({ model: "ok" }, { id: "a" });
      const [error] = await socket.answer("a");
      assert.deepEqual({ status: error.status, code: error.error.code }, { status: 401, code: "invalid_api_key" });
      socket.close();
    });

    it("has its limits on a socket, too, and is refused once it is revoked", async () => {
      const key = await office.key("socketed", { concurrent_requests: 1 });
      const socket = await openSession(url, { key });
      const held = stage.held("occupied");
      socket.chat({ model: "occupied", stream: true }, { id: "first" });
      const exchange = await held;
      socket.chat({ model: "ok", stream: true }, { id: "second" });
      const [refused] = await socket.answer("second");
      assert.deepEqual({ status: refused.status, code: refused.error.code }, { status: 429, code: "rate_limit_exceeded" });
      assert.ok(refused.retry_after_ms > 0);
      exchange.openStream();
      exchange.write(answerEvents(exchange.request).join("") + DONE);
      exchange.end();
      assert.equal(textOf(await socket.answer("first")), ANSWER);
      await office.order("POST", "/keys/socketed/disable");
      socket.chat({ model: "ok", stream: true }, { id: "third" });
      const [revoked] = await socket.answer("third");
      assert.deepEqual({ status: revoked.status, code: revoked.error.code }, { status: 401, code: "invalid_api_key" });
      socket.close();
    });

    it("is charged what the provider bills, once for each request", async () => {
      const key = await office.key("billed");
      const socket = await openSession(url, { key });
      const ids = Array.from({ length: 20 }, (_, seed) => seed);
      for (const id of ids) socket.chat({ model: "priced/bill", seed: id, stream: id % 2 === 0 }, { id });
      const ends = await Promise.all(ids.map(async (id) => (await socket.answer(id)).at(-1)));
      await office.totals("billed", ids.length);
      const receipts = await office.receipts("billed");
      assert.equal(receipts.length, ids.length);
      for (const [seed, end] of ends.entries()) {
        const receipt = receipts.find(({ request_id }) => request_id === end.request_id);
        expectCharge(receipt, "billed", stage.fake.requests.find(({ request }) => request?.seed === seed && request.model === "bill"));
      }
      socket.close();
    });
  });

  describe("that is used wrongly", { concurrency: 8 }, () => {
    for (const [what, message, code] of [
      ["no JSON", "hello", "invalid_json"],
      ["no object", "[1]", "invalid_json"],
      ["no type", "{}", "invalid_message"],
      ["an unknown type", '{"type":"sing"}', "unknown_type"],
      ["no payload", '{"type":"chat"}', "invalid_message"],
      ["a payload that is no object", '{"type":"chat","payload":null}', "invalid_message"],
      ["a number that was never sent", '{"type":"ack","seq":99}', "invalid_message"],
      ["no name, where each request has one", '{"type":"chat","payload":{}}', "invalid_message"],
    ]) {
      it(`is told of ${what}, and goes on`, async () => {
        const socket = await openSession(url, { key: KEY });
        socket.send(message);
        const { error, status } = await socket.until(({ type }) => type === "error");
        assert.deepEqual(Object.keys(error).sort(), ENVELOPE);
        assert.deepEqual({ status, code: error.code }, { status: 400, code });
        socket.chat({ model: "ok", stream: true }, { id: "a" });
        assert.equal(textOf(await socket.answer("a")), ANSWER);
        socket.close();
      });
    }

    it("is closed for bytes", async () => {
      const socket = await openSocket(url, { key: KEY });
      socket.send(new Uint8Array([123, 125]));
      assert.equal((await socket.end()).code, 1003);
    });

    it("tells a name that is taken without ending whose it is", async () => {
      const socket = await openSession(url, { key: KEY });
      const held = stage.held("twice");
      socket.chat({ model: "twice", stream: true }, { id: "a" });
      const exchange = await held;
      socket.chat({ model: "ok", stream: true }, { id: "a" });
      const error = await socket.until(({ type }) => type === "error");
      assert.deepEqual({ id: error.id, status: error.status, code: error.error.code }, { id: undefined, status: 409, code: "duplicate_id" });
      exchange.openStream();
      exchange.write(answerEvents(exchange.request).join("") + DONE);
      exchange.end();
      assert.equal(textOf(await socket.answer("a")), ANSWER);
      socket.close();
    });

    it("is refused with HTTP where it is no upgrade", async () => {
      for (const path of ["/v1/ws", "/ws"]) {
        expectError(await call(url + path), { status: 426, code: "upgrade_required" });
      }
      const port = stage.gateway.port;
      const upgrade = (query) => `GET /v1/ws${query} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n`;
      assert.match(await raw(port, upgrade("?session=x"), { enough: /invalid_query/ }), /^HTTP\/1.1 400 .*invalid_query/s);
      assert.match(await raw(port, upgrade(""), { enough: /\r\n\r\n/ }), /^HTTP\/1.1 101 /);
    });
  });

  it("carries five requests at once on each of two hundred connections, each in its order", { timeout: 400_000 }, async () => {
    const model = "many";
    stage.fake.behave(model, async (exchange) => {
      exchange.openStream();
      const { request } = exchange;
      for (let n = 0; n < 6; n++) {
        exchange.write(event(chunk(request, { content: `${request.user}:${n};` })));
        await exchange.sleep(5);
      }
      exchange.write(answerEvents(request).slice(-1).join("") + DONE);
      exchange.end();
    });
    const sockets = await Promise.all(Array.from({ length: 200 }, () => openSession(url, { key: KEY })));
    await Promise.all(
      sockets.map(async (socket, s) => {
        const ids = [0, 1, 2, 3, 4];
        for (const id of ids) socket.chat({ model, stream: true, user: `${s}.${id}` }, { id });
        const answers = await Promise.all(ids.map((id) => socket.answer(id, PATIENCE_MS)));
        for (const [id, frames] of answers.entries()) {
          assert.equal(textOf(frames), Array.from({ length: 6 }, (_, n) => `${s}.${id}:${n};`).join(""));
          assert.deepEqual(
            { type: frames.at(-1).type, others: frames.filter(({ type }) => type !== "chunk").length },
            { type: "done", others: 1 },
          );
        }
        const numbers = socket.frames.filter(({ seq }) => seq).map(({ seq }) => seq);
        assert.deepEqual(numbers, numbers.map((_, n) => n + 1), "numbers without gaps");
      }),
    );
    sockets.forEach((socket) => socket.close());
  });
});

describe("what an operator says of WebSockets", { concurrency: 4 }, () => {
  after(closeAll);

  const setting = (more) => async (test) => {
    const stage = await startStage({ config: (fake) => config(fake, more) });
    try {
      await test(stage);
    } finally {
      await stage.stop();
    }
  };

  it("can close them altogether", () =>
    setting("websocket: { enabled: false }")(async ({ gateway }) => {
      expectError(await call(`${gateway.url}/v1/ws`, { headers: { upgrade: "websocket" } }), { status: 404, code: "websocket_disabled" });
    }));

  it("keeps out the pages of other origins", () =>
    setting('websocket: { origins: ["https://app.example.com"] }')(async ({ gateway }) => {
      await assert.rejects(openSocket(gateway.url, { headers: { origin: "https://evil.example" } }));
      for (const headers of [{}, { origin: "https://app.example.com" }]) (await openSocket(gateway.url, { headers })).close();
    }));

  it("bounds requests under way and messages", () =>
    setting("websocket: { max_requests: 2 }\nlimits: { max_body_bytes: 4096 }")(async (stage) => {
      const socket = await openSession(stage.gateway.url, { key: KEY });
      const held = [stage.held("one"), stage.held("two")];
      for (const model of ["one", "two", "ok"]) socket.chat({ model, stream: true }, { id: model });
      const [error] = await socket.answer("ok");
      assert.deepEqual({ status: error.status, code: error.error.code }, { status: 429, code: "too_many_requests" });
      await Promise.all(held);
      socket.chat({ model: "ok", user: "x".repeat(5000) }, { id: "big" });
      assert.equal((await socket.end()).code, 1009);
      for (const exchange of await Promise.all(held)) await soon(exchange.record.closed, "the provider to be let go");
    }));

  it("ends a connection on which nothing happens, but for pings", () =>
    setting(`websocket: { idle_seconds: ${IDLE_SECONDS} }`)(async (stage) => {
      const [idle, pinging, busy] = await Promise.all([1, 2, 3].map(() => openSession(stage.gateway.url, { key: KEY })));
      const held = stage.held("slowly");
      busy.chat({ model: "slowly", stream: true }, { id: "a" });
      const exchange = await held;
      const pings = setInterval(() => pinging.send('{"type":"ping"}'), 200);
      assert.equal((await idle.end()).code, 4408);
      // Waits for as long again.
      await sleep(1000 * IDLE_SECONDS);
      clearInterval(pings);
      exchange.openStream();
      exchange.write(answerEvents(exchange.request).join("") + DONE);
      exchange.end();
      assert.equal(textOf(await busy.answer("a")), ANSWER);
      pinging.chat({ model: "ok", stream: true }, { id: "b" });
      assert.equal(textOf(await pinging.answer("b")), ANSWER);
      assert.deepEqual((await Promise.all([busy.end(), pinging.end()])).map(({ code }) => code), [4408, 4408]);
    }));

  it("asks for no key on loopback, if the operator wants none", () =>
    setting("auth: none")(async (stage) => {
      const socket = await openSession(stage.gateway.url);
      socket.chat({ model: "ok", stream: true }, { id: "a" });
      assert.equal(textOf(await socket.answer("a")), ANSWER);
      socket.close();
    }));
});
