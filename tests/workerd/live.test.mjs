// Watching requests live on the built worker, over real WebSockets, and ending them.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { answerEvents, DONE } from "./behaviours.mjs";
import { as, call, chatRequest, events, HELLO, open, until } from "./client.mjs";
import { STILL } from "./harness.mjs";
import { ADMIN_KEY, OFFICE, Office } from "./office.mjs";
import { closeAll, openSocket, Socket, startWire } from "./socket.mjs";
import { KEY, startStage } from "./stage.mjs";

const VIEWER = "viewer-key-2236067977";
const config = (more = "") => (fake) => `
providers:
  any: { base_url: "${fake.base}", models: "*" }
${more}`;

const startLive = async (more) => {
  const stage = await startStage({ config: config(more), bindings: { ...OFFICE, ADMIN_READ_API_KEYS: VIEWER }, entry: "production.mjs" });
  return { stage, gateway: stage.gateway, office: new Office(stage.gateway.url) };
};
const stop = async ({ stage }) => (closeAll(), stage.stop());

const PATH = "/admin/api/live";
const HANDSHAKE = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };

/** A ticket, for which a read-only key is enough. */
async function ticket({ gateway }) {
  const answer = await call(gateway.url + PATH, { method: "POST", headers: as(VIEWER) });
  assert.equal(answer.status, 201, answer.text);
  return answer.json().ticket;
}

/** A watcher, once it has the list of what runs. */
async function watch(at, { query = "", headers, url = at.gateway.url, confirms = true } = {}) {
  const asked = headers ? query : `ticket=${await ticket(at)}&${query}`;
  const ws = new WebSocket(`${url.replace(/^http/, "ws")}${PATH}?${asked}`, { headers: headers ?? {} });
  // Every client has to confirm what it has taken.
  ws.addEventListener("message", ({ data }) => confirms && data.startsWith('{"type":"check"') && ws.send(data));
  const socket = new Socket(ws);
  await socket.opened;
  socket.first = await socket.until(({ type }) => type === "snapshot", "the first snapshot");
  return socket;
}

const ended = (socket, id) => socket.until(({ type, request }) => type === "ended" && request.request_id === id, `the end of ${id}`);
const started = (socket, id) => socket.until(({ type, request }) => type === "started" && request.request_id === id, `the start of ${id}`);

let asked = 0;

/** Makes a request, so that the isolate learns that somebody watches. */
async function warmUp({ stage }, socket) {
  const id = `warm-${++asked}`;
  await stage.ask("any/ok", {}, { "x-request-id": id });
  await ended(socket, id);
}

/** A stream whose provider writes what the test says; its first content has come. */
async function openHeld({ stage, gateway }, id, key) {
  const held = stage.held(id);
  const request = { model: `any/${id}`, messages: HELLO, stream: true };
  const opening = key
    ? open(`${gateway.url}/v1/chat/completions`, chatRequest(key, request, { "x-request-id": id }))
    : stage.openStream(`any/${id}`, {}, { "x-request-id": id });
  const exchange = await held;
  const [role, ...rest] = answerEvents(exchange.request);
  exchange.openStream();
  exchange.write(role + rest[0]);
  const answer = await opening;
  return { answer, exchange, next: (n) => exchange.write(rest[n]), finish: () => (exchange.write(rest.slice(1).join("") + DONE), exchange.end()) };
}

const calls = async ({ gateway }) => (await gateway.control()).calls.OPERATIONS ?? 0;
/** The calls so far, once all reports have been made that are due within three seconds. */
const allCalls = async (at) => {
  for (let second = 0; second < 3; second++) await at.gateway.pass(1_000);
  return calls(at);
};

describe("a gateway that nobody watches", () => {
  let at;
  before(async () => void (at = await startLive()));
  after(() => stop(at));

  it("makes one report of a stream, at its end", async () => {
    await at.gateway.control({ speed: STILL });
    await at.stage.ask("any/ok");
    const before = await allCalls(at);
    const { answer, finish } = await openHeld(at, "unwatched");
    assert.equal(await allCalls(at), before);
    finish();
    await answer.rest();
    assert.equal(await allCalls(at), before + 1);
    await at.gateway.control({ speed: 1 });
  });

  it("shows a stream that has begun before to the first watcher, with its next bytes", async () => {
    const { answer, next, finish } = await openHeld(at, "early");
    const socket = await watch(at);
    assert.deepEqual(socket.first.open, []);
    await warmUp(at, socket);
    next(1);
    const { run } = await started(socket, "early");
    await socket.until((frame) => frame.type === "first_token" && frame.run === run);
    finish();
    await answer.rest();
    assert.equal((await ended(socket, "early")).run, run);
  });
});

describe("a stream that is alone in its isolate", () => {
  let at;
  before(async () => void (at = await startLive()));
  after(() => stop(at));

  it("asks after a minute whether somebody watches, and appears", async () => {
    await at.gateway.control({ speed: STILL });
    await at.stage.ask("any/ok");
    const { answer, next, finish } = await openHeld(at, "alone");
    const before = await allCalls(at);
    next(1);
    assert.equal(await allCalls(at), before, "not earlier");
    const socket = await watch(at);
    assert.deepEqual(socket.first.open, []);
    await at.gateway.pass(61_000);
    await at.gateway.control({ speed: 1 });
    // With its next bytes it asks, and with those after the response it tells.
    const { run } = await until(() => (next(2), socket.frames.find(({ type, request }) => type === "started" && request.request_id === "alone")), "its start");
    finish();
    await answer.rest();
    assert.equal((await ended(socket, "alone")).run, run);
  });

  it("asks at most twice a minute", async () => {
    await at.gateway.control({ speed: STILL });
    const { answer, next, finish } = await openHeld(at, "again");
    closeAll();
    // Nobody watches any more, and nobody is about to.
    await at.gateway.pass(121_000);
    next(1);
    const before = await allCalls(at);
    await at.gateway.pass(10_000);
    next(2);
    assert.equal(await allCalls(at), before, "half a minute is not over");
    await at.gateway.pass(30_000);
    next(3);
    assert.equal(await allCalls(at), before + 1);
    finish();
    await answer.rest();
    await at.gateway.control({ speed: 1 });
  });

  it("is shown again after the operations object was restarted, and can be ended", async () => {
    const first = await watch(at);
    await warmUp(at, first);
    const { answer, exchange } = await openHeld(at, "restarted");
    const { run } = await started(first, "restarted");
    await at.gateway.control({ reopen: "operations" });
    const socket = await watch(at);
    assert.deepEqual(socket.first.open, [], "it begins anew");
    await warmUp(at, socket);
    assert.equal((await started(socket, "restarted")).run, run);
    const ending = await call(`${at.gateway.url}/admin/api/requests/${run}/end`, { method: "POST", headers: as(ADMIN_KEY) });
    assert.equal(ending.status, 202, ending.text);
    await at.stage.expectCancelled(exchange.record);
    assert.match(String(await answer.rest()), /request_ended_by_admin/);
  });
});

describe("a watcher", () => {
  let at, socket;
  before(async () => {
    at = await startLive();
    socket = await watch(at);
    await warmUp(at, socket);
  });
  after(() => stop(at));

  it("is told of the start, the first content and the end of a stream, in this order", async () => {
    const { answer, finish } = await openHeld(at, "story");
    const { run, request } = await started(socket, "story");
    assert.match(request.key_id, /^key_/);
    assert.deepEqual([request.provider, request.model, request.route, request.stream], ["any", "story", "any/story", true]);
    const token = await socket.until((frame) => frame.type === "first_token" && frame.run === run);
    assert.ok(token.ttft_ms >= 0 && token.provider === "any");
    const other = await watch(at);
    assert.deepEqual(other.first.open.map((open) => [open.run, open.request.request_id, open.ending]), [[run, "story", false]]);
    other.close();
    finish();
    await answer.rest();
    const end = await ended(socket, "story");
    assert.deepEqual([end.run, end.request.outcome, end.request.status, end.request.tokens.completion], [run, "complete", 200, 7]);
    const types = socket.frames.filter((frame) => frame.run === run).map(({ type }) => type);
    assert.deepEqual(types, ["started", "first_token", "ended"]);
    assert.ok(!socket.texts.some((text) => text.includes("Hello")), "nothing of a conversation is shown");
  });

  it("sees only what it asks for", async () => {
    const picky = await watch(at, { query: "model=any/wanted&outcome=complete" });
    at.stage.fake.behave("wanted", at.stage.fake.behaviour("ok"));
    await at.stage.ask("any/ok", {}, { "x-request-id": "unwanted" });
    await at.stage.ask("any/wanted", {}, { "x-request-id": "wanted" });
    await ended(picky, "wanted");
    await ended(socket, "unwanted");
    assert.deepEqual(picky.frames.map(({ type }) => type), ["snapshot", "ended"]);
    picky.close();
  });

  it("may show a key instead of a ticket", async () => {
    const other = await watch(at, { headers: { authorization: `Bearer ${VIEWER}` } });
    other.close();
  });

  it("needs a ticket that was not used, which is never logged", async () => {
    const once = await ticket(at);
    const query = `?ticket=${once}`;
    const ask = (query, headers = HANDSHAKE) => call(at.gateway.url + PATH + query, { headers });
    const plain = await ask(query, {});
    assert.deepEqual([plain.status, plain.json().error.code], [426, "upgrade_required"]);
    const first = new Socket(new WebSocket(at.gateway.url.replace(/^http/, "ws") + PATH + query));
    await first.opened;
    for (const wrong of [query, "?ticket=", "?ticket=a", `?ticket=${"0".repeat(64)}`, ""]) {
      const refused = await ask(wrong);
      assert.equal(refused.status, 401, wrong);
      assert.equal(refused.json().error.code, wrong ? "invalid_ticket" : "invalid_api_key", wrong);
    }
    assert.equal((await ask("?tikcet=1", { ...HANDSHAKE, ...as(VIEWER) })).status, 400);
    first.close();
    assert.ok(!at.gateway.lines.some((line) => line.includes(once)));
  });

  it("is one of ten", async () => {
    const enter = () => until(() => watch(at).catch(() => undefined), "room for a watcher");
    const watchers = [];
    // Those of the tests before may still be leaving.
    while (watchers.length < 9) watchers.push(await enter());
    const refused = await call(`${at.gateway.url}${PATH}?ticket=${await ticket(at)}`, { headers: HANDSHAKE });
    assert.deepEqual([refused.status, refused.json().error.code], [503, "too_many_watchers"]);
    watchers.forEach((watcher) => watcher.close());
    await Promise.all(watchers.map((watcher) => watcher.end()));
    const next = await enter();
    next.close();
  });
});

describe("an admin who ends a request", () => {
  let at, socket;
  before(async () => {
    at = await startLive();
    socket = await watch(at);
    await warmUp(at, socket);
  });
  after(() => stop(at));

  const end = (id, status) => at.office.order("POST", `/requests/${id}/end`, undefined, status);

  for (const [kind, terms] of [["fixed"], ["managed", {}], ["limited", { concurrent_requests: 5 }]]) {
    it(`breaks off a stream of a ${kind} key with an error event`, async () => {
      const id = `endless-${kind}`;
      const { answer, exchange } = await openHeld(at, id, terms && (await at.office.key(kind, terms)));
      const { run, request } = await started(socket, id);
      const got = await end(run, 202);
      assert.deepEqual([got.object, got.run, got.request_id, got.state], ["request_end", run, id, "ending"]);
      const text = (await answer.rest()).toString();
      const last = JSON.parse(events(text).at(-2).data);
      assert.equal(last.error.code, "request_ended_by_admin");
      await at.stage.expectCancelled(exchange.record);
      const shown = await ended(socket, id);
      assert.deepEqual([shown.request.outcome, shown.request.estimated], ["ended_by_admin", true]);
      assert.ok(shown.request.tokens.completion > 0, "what came before is counted");
      const receipt = await until(async () => {
        const page = await at.office.order("GET", `/keys/${request.key_id}/receipts`);
        return page.data.find(({ request_id }) => request_id === id);
      }, "the receipt");
      assert.deepEqual([receipt.outcome, receipt.estimated], ["ended_by_admin", true]);
      assert.equal((await end(run, 409)).error.code, "request_over");
      await until(async () => {
        const { data } = await at.office.order("GET", "/audit?action=request.end");
        return data.some(({ subject, status }) => subject === run && status === 202);
      }, "the entry in the audit log");
    });
  }

  it("breaks off a request whose provider is silent, by the id of the caller", async () => {
    const held = at.stage.held("silent-one");
    const answering = at.stage.ask("any/silent-one", {}, { "x-request-id": "silent-one" });
    const exchange = await held;
    await started(socket, "silent-one");
    await end("silent-one", 202);
    const answer = await answering;
    assert.deepEqual([answer.status, answer.json().error.code], [403, "request_ended_by_admin"]);
    await at.stage.expectCancelled(exchange.record);
    assert.equal((await ended(socket, "silent-one")).request.outcome, "ended_by_admin");
  });

  it("breaks off a chat of a session, which goes on", async () => {
    const session = await openSocket(at.gateway.url, { key: KEY });
    const held = at.stage.held("in-session");
    session.chat({ model: "any/in-session" });
    const exchange = await held;
    const { run } = await socket.until(({ type, request }) => type === "started" && request.route === "any/in-session", "its start");
    exchange.openStream();
    exchange.write(answerEvents(exchange.request).slice(0, 2).join(""));
    await end(run, 202);
    const { error } = await session.until((frame) => frame.error, "the error");
    assert.equal(error.code, "request_ended_by_admin");
    await at.stage.expectCancelled(exchange.record);
    const over = await socket.until((frame) => frame.type === "ended" && frame.run === run, "its end");
    assert.equal(over.request.outcome, "ended_by_admin");
    session.chat({ model: "any/ok" });
    await session.when(({ texts }) => texts.filter((text) => text === DONE).length === 2, "the end of the next chat");
    session.close();
  });

  it("needs the id of one request that runs, and a full key", async () => {
    assert.equal((await end("nobody", 404)).error.code, "request_not_running");
    const two = [await openHeld(at, "same-a"), await openHeld(at, "same-b")];
    const first = await started(socket, "same-a");
    const viewer = await call(`${at.gateway.url}/admin/api/requests/${first.run}/end`, { method: "POST", headers: as(VIEWER) });
    assert.deepEqual([viewer.status, viewer.json().error.code], [403, "admin_key_read_only"]);
    for (const { answer, finish } of two) {
      finish();
      await answer.rest();
    }
    assert.equal((await ended(socket, "same-a")).request.outcome, "complete");
  });
});

describe("the operations object", () => {
  let at;
  before(async () => void (at = await startLive()));
  after(() => stop(at));

  /** A report of an isolate that has admitted so many requests with names of this length. */
  const report = (number, count, length) => {
    const request = (at) => ({ run: `${number}-${at}`, started: Date.now(), request_id: "x".repeat(length), key_id: "key_1", provider: "p", model: "m", route: "m", stream: true });
    return { id: number, isolate: 1, live: Array.from({ length: count }, (_, at) => ({ Started: request(at) })) };
  };

  it("shows a bounded number of events a second, and what runs after some were left out", async () => {
    const socket = await watch(at);
    await at.gateway.control({ feed: [report(1_000, 1_000, 10)] });
    await at.gateway.control({ advance: 2_000, feed: [report(1_001, 1, 10)] });
    const list = await socket.until(({ type, dropped }) => type === "snapshot" && dropped > 0);
    const shown = socket.frames.filter(({ type }) => type === "started").length;
    assert.ok(shown <= 402 && shown + list.dropped >= 1_000, `${shown} shown, ${list.dropped} dropped`);
    assert.equal(list.open.length, 200);
    assert.ok(list.more > 0);
    socket.close();
  });

  it("disconnects a watcher after an hour, and forgets what did not end", async () => {
    const socket = await watch(at);
    await at.gateway.control({ advance: 3_600_000 });
    await at.gateway.control({ alarm: true });
    assert.deepEqual(await socket.end(), { code: 4401, reason: "the time is over; connect with a new ticket" });
    const next = await watch(at);
    assert.deepEqual(next.first.open, []);
    next.close();
  });

  it("issues no ticket if nothing is reported", async () => {
    const off = await startLive("reporting: { enabled: false }");
    try {
      const refused = await call(off.gateway.url + PATH, { method: "POST", headers: as(ADMIN_KEY) });
      assert.deepEqual([refused.status, refused.json().error.code], [409, "reporting_disabled"]);
    } finally {
      await stop(off);
    }
  });

  it("disconnects a watcher that has vanished", async () => {
    const [there, gone] = [await watch(at), await watch(at, { confirms: false })];
    // The client has confirmed the first check long before a minute is over.
    for (const [number, advance] of [31_000, 0, 0, 0, 59_000, 0, 2_000, 0].entries()) {
      await at.gateway.control({ advance, feed: [report(2_000 + number, 1, 10)] });
      await there.until((frame) => frame.run === `${2_000 + number}-0`, `event ${number}`);
    }
    assert.deepEqual(await gone.end(), { code: 4408, reason: "the client confirms too slowly" });
    assert.ok(there.isOpen);
    there.close();
  });

  it("disconnects a watcher that does not read, and no other", async () => {
    const wire = await startWire(at.gateway.port);
    try {
      const [slow, quick] = [await watch(at, { url: wire.url }), await watch(at)];
      wire.clog();
      for (let number = 1; number <= 100; number++) {
        await at.gateway.control({ feed: [report(number, 1, 200_000)] });
        await quick.until((frame) => frame.run === `${number}-0`, `event ${number}`);
      }
      wire.unclog();
      assert.deepEqual(await slow.end(), { code: 4408, reason: "the client confirms too slowly" });
      const bytes = slow.texts.reduce((sum, text) => sum + text.length, 0);
      assert.ok(bytes < 1.5 * 2 ** 20, `${bytes} bytes waited`);
      assert.ok(quick.isOpen);
      quick.close();
    } finally {
      await wire.stop();
    }
  });
});
