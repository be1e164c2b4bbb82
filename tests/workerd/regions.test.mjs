// Calls that leave from a region: by objects that the runtime pumps through.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { chunk, DONE, event } from "./behaviours.mjs";
import { begin, chatRequest, HELLO, soon, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { ADMIN_KEY, Office, OFFICE } from "./office.mjs";
import { startRegionStage } from "./region-stage.mjs";
import { closeAll, openSession } from "./socket.mjs";
import { ASKING, freshId, KEY, PROVIDER_KEY } from "./stage.mjs";
import { runOut, stopClock } from "./timed.mjs";

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");
const OUTCOME = "x-llm-bridge-region";
/** For so long a provider that refuses a place is not asked from there, at most. */
const REFUSED_MS = 630_001;

// One at a time, because calls of objects are counted.
describe("a call from a region", () => {
  let stage, disk;
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "regions-"));
    const rows = { direct: "", far: "region: wnam", checked: "region: weur, relay: checked" };
    stage = await startRegionStage({ rows: { ...rows, "far-model": 'models: { "*": {}, near: { region: none } }, region: enam' }, disk, bindings: OFFICE });
  });
  after(async () => {
    closeAll();
    await stage.stopAll();
    await rm(disk, { recursive: true });
  });

  for (const way of ["far", "checked"]) {
    it(`is one like any other: ${way}`, async () => {
      const model = `${way}-like`;
      stage.fake.behave(model, stage.fake.behaviour("ok"));
      const { answer, record, end } = await stage.watch(`${way}/${model}`);
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(answer.bytes, Buffer.concat(record.sent));
      assert.equal(answer.headers[OUTCOME], undefined);
      const direct = (await stage.watch(`direct/${model}`)).record;
      const same = ({ host, "content-length": _, ...others }) => others;
      assert.deepEqual(same(record.headers), same(direct.headers));
      assert.equal(record.headers.authorization, `Bearer ${PROVIDER_KEY}`);
      assert.equal(record.headers["content-length"], String(record.body.length));
      assert.equal(record.path, direct.path);
      assert.equal(end.event, "request_complete");
    });

    it(`streams live, chunk by chunk: ${way}`, async () => {
      const model = `live-${way}`;
      const held = stage.held(model);
      const answering = stage.openStream(`${way}/${model}`, ASKING);
      const exchange = await held;
      exchange.openStream();
      const send = (word) => exchange.write(event(chunk(exchange.request, { content: word })));
      send("word-0.");
      const caller = await answering;
      await caller.until("word-0.");
      for (let index = 1; index < 100; index++) {
        send(`word-${index}.`);
        await caller.until(`word-${index}.`);
      }
      exchange.write(DONE);
      exchange.end();
      assert.match((await caller.rest()).toString(), /\[DONE\]/);
    });
  }

  it("is shown to operators with its place", async () => {
    const { here, data } = await new Office(stage.gateway.url).order("GET", "/egress");
    const place = { country: "US", data_center: "SJC" };
    assert.deepEqual(here, place);
    const object = { number: 0, place, is_reached: true, is_avoided: false };
    const row = { model: null, binding: null, is_fallback: false, place };
    assert.deepEqual(data.slice(0, 2), [
      { ...row, provider: "direct", way: "direct", region: null, objects: [] },
      { ...row, provider: "far", way: "region", region: "wnam", objects: [object] },
    ]);
    const show = (key) => promisify(execFile)(process.execPath, ["scripts/egress.mjs"], { env: { ...process.env, URL: stage.gateway.url, ADMIN_API_KEYS: key }, timeout: 120_000 });
    const { stdout } = await show(ADMIN_KEY);
    assert.match(stdout, /^direct +directly +US SJC$/m);
    assert.match(stdout, /^far +from wnam +US SJC +wnam-0: US SJC$/m);
    assert.match(stdout, /^far-model\/near +directly/m);
    assert.match((await show("another").catch((fault) => fault)).stderr, /^401: /);
  });

  it("is made by the first object of the region, which is placed there", async () => {
    await stage.ask("far/ok");
    const { regions } = await stage.gateway.control();
    assert.equal(regions.hints["wnam-0"], "wnam");
    assert.ok(regions.calls["wnam-0"] > 0, JSON.stringify(regions));
  });

  it("leaves as the row of the model says, if it says so", async () => {
    const before = await stage.objects();
    assert.equal((await stage.ask("far-model/near")).status, 404);
    assert.deepEqual((await stage.objects())["enam-0"], before["enam-0"]);
    assert.equal((await stage.ask("far-model/ok")).status, 200);
    // Of a connection that breaks, a call may be made again.
    assert.ok((await stage.objects())["enam-0"] > (before["enam-0"] ?? 0));
  });

  it("carries 50 streams at once, each its own", async () => {
    const bytesOf = async (index) => {
      const model = `many-${index}`;
      stage.fake.behave(model, async (exchange) => {
        exchange.openStream();
        for (let at = 0; at < 20; at++) {
          exchange.write(event(chunk(exchange.request, { content: `s${index}w${at} ` })));
          await new Promise(setImmediate);
        }
        exchange.write(event(chunk(exchange.request, {}, { finish: "stop" })) + DONE);
        exchange.end();
      });
      const answer = await stage.openStream(`far/${model}`, ASKING);
      assert.equal((await answer.rest()).toString(), Buffer.concat(stage.fake.of(model).sent).toString(), model);
    };
    await Promise.all(Array.from({ length: 50 }, (_, index) => bytesOf(index)));
  });

  it("carries large bodies intact, both ways", async () => {
    const text = randomBytes(6 << 20).toString("base64");
    stage.fake.behave("large", (exchange) =>
      exchange.json(200, JSON.stringify({ id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } })));
    const content = randomBytes(3_750_000).toString("base64");
    const fields = { messages: [{ role: "user", content }] };
    const expected = hash((await stage.ask("direct/large")).bytes);
    const answer = await stage.ask("far/large", fields);
    assert.equal(hash(answer.bytes), expected);
    const record = stage.fake.of("large");
    assert.equal(record.headers["content-length"], String(record.body.length));
    assert.equal(hash(record.request.messages[0].content), hash(content));
  });

  it("fails as a direct call does", async () => {
    const told = ({ status, text }) => ({ status, error: text.match(/"code":"\w+"/)?.[0], done: text.includes("[DONE]") });
    for (const model of ["err-401", "err-429", "err-503-html", "redirect", "html-200", "gzip", "reset-before-headers", "hang-up-before-headers", "cut-mid-stream", "reset-mid-stream", "empty-stream", "not-http"]) {
      for (const stream of [false, true]) {
        const direct = told(await stage.ask(`direct/${model}`, { stream }));
        assert.deepEqual(told(await stage.ask(`far/${model}`, { stream })), direct, `${model} ${stream}`);
      }
    }
  });

  it("believes no provider that speaks as an object", async () => {
    for (const said of ["full", "broken", "avoided HK HKG"]) {
      stage.fake.behave("sly", (exchange) => exchange.json(429, JSON.stringify({ error: { message: "slow down", type: "requests", code: "rate_limit_exceeded" } }), { [OUTCOME]: said }));
      assert.equal((await stage.ask("far/sly")).status, 429, said);
    }
    assert.equal(stage.fake.requests.filter(({ request }) => request?.model === "sly").length, 3);
    const objects = await stage.objects();
    await stage.ask("far/ok");
    assert.ok((await stage.objects())["wnam-0"] > objects["wnam-0"], "the object is still used");
  });

  it("is made for the chats of a WebSocket session too", async () => {
    const socket = await openSession(stage.gateway.url, { key: KEY });
    stage.fake.behave("framed", stage.fake.behaviour("ok"));
    for (const stream of [false, true]) {
      const before = (await stage.objects())["wnam-0"] ?? 0;
      socket.chat({ model: "far/framed", stream }, { id: `framed-${stream}` });
      const last = await socket.until(({ id, type }) => id === `framed-${stream}` && ["done", "error"].includes(type), "the response");
      assert.notEqual(last.type, "error", JSON.stringify(last));
      assert.equal(stage.fake.of("framed").headers.authorization, `Bearer ${PROVIDER_KEY}`);
      assert.ok((await stage.objects())["wnam-0"] > before, "by the object");
    }
  });

  it("leaves nothing of a key or a request in the object's storage", async () => {
    const secret = randomBytes(20).toString("hex");
    await stage.ask("far/ok", { messages: [{ role: "user", content: secret }] });
    const files = (await readdir(disk, { recursive: true })).filter((name) => name.startsWith("Region/") && name.includes(".sqlite"));
    assert.ok(files.length > 0);
    const bytes = Buffer.concat(await Promise.all(files.map((name) => readFile(join(disk, name)))));
    for (const text of [PROVIDER_KEY, KEY, secret]) assert.ok(!bytes.includes(text), text);
    assert.ok(bytes.includes("US SJC"), "its place is kept");
  });
});

describe("a caller who leaves a call from a region", () => {
  let stage;
  before(async () => void (stage = await startRegionStage({ rows: { far: "region: wnam" } })));
  after(() => stage.stopAll());

  it("lets the provider go in the middle of a stream", async () => {
    const held = stage.held("left-stream");
    const answering = stage.openStream("far/left-stream", ASKING);
    const exchange = await held;
    exchange.openStream();
    exchange.write(event(chunk(exchange.request, { content: "first" })));
    const caller = await answering;
    await caller.until("first");
    caller.leave();
    await stage.expectCancelled(exchange.record);
  });

  for (const stream of [false, true]) {
    it(`lets the provider go before a head: ${stream ? "stream" : "whole"}`, async () => {
      for (let round = 0; round < 6; round++) {
        const held = stage.held(`left-${stream}-${round}`);
        const caller = begin(`${stage.gateway.url}/v1/chat/completions`, chatRequest(KEY, { model: `far/left-${stream}-${round}`, messages: HELLO, stream }));
        caller.answering.catch(() => {});
        const exchange = await held;
        caller.leave();
        await stage.expectCancelled(exchange.record);
      }
      assert.deepEqual(Object.keys(await stage.objects()), ["wnam-0"], "their places are free again");
    });
  }
});

describe("the deadlines of a call from a region", () => {
  let stage;
  before(async () => {
    stage = await startRegionStage({ rows: { far: "region: wnam, timeout: 5", idle: "region: wnam, clocks: { idle: 5 }" } });
    await stopClock(stage.gateway);
  });
  after(() => stage.stopAll());

  for (const stream of [false, true]) {
    it(`end it, and the provider's call: ${stream ? "stream" : "whole"}`, async () => {
      const held = stage.held(`slow-${stream}`);
      const answering = stage.ask(`far/slow-${stream}`, { stream });
      const exchange = await held;
      await runOut(stage.gateway, answering);
      expectError(await answering, { status: 504, code: "upstream_timeout" });
      await stage.expectCancelled(exchange.record);
    });
  }

  it("end a stream that falls silent", async () => {
    const held = stage.held("silent");
    const answering = stage.openStream("idle/silent", ASKING);
    const exchange = await held;
    exchange.openStream();
    exchange.write(event(chunk(exchange.request, { content: "first" })));
    const caller = await answering;
    const seen = (async () => (await caller.until("first")) + (await caller.rest()))();
    await runOut(stage.gateway, seen);
    assert.match(await seen, /first.*upstream_timeout/s);
    await stage.expectCancelled(exchange.record);
  });
});

describe("the objects of a region", () => {
  let stage;
  before(async () => void (stage = await startRegionStage({ rows: { far: "region: apac-ne" } })));
  after(() => stage.stopAll());

  /** Calls that wait for their heads, and what ends them. */
  async function waiting(count) {
    const model = `waits-${freshId()}`;
    const exchanges = [];
    stage.fake.behave(model, (exchange) => void exchanges.push(exchange));
    const answers = Array.from({ length: count }, () => stage.ask(`far/${model}`));
    await until(() => exchanges.length === count, `${count} calls at the provider`);
    return async () => {
      for (const exchange of exchanges) await stage.fake.behaviour("ok")(exchange);
      for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200, answer.text);
    };
  }

  it("have five calls each that wait for a head, and no more are used than that takes", async () => {
    const end = await waiting(11);
    assert.deepEqual(await stage.objects(), { "apac-ne-0": 5, "apac-ne-1": 5, "apac-ne-2": 1 });
    await end();
    assert.equal((await stage.ask("far/ok")).status, 200);
    assert.equal((await stage.objects())["apac-ne-0"], 6, "the first one again");
  });

  it("count streams only until their heads have come", async () => {
    const before = await stage.objects();
    const exchanges = [], callers = [];
    stage.fake.behave("long", (exchange) => {
      exchange.openStream();
      exchange.write(event(chunk(exchange.request, { content: "first" })));
      exchanges.push(exchange);
    });
    for (let index = 0; index < 8; index++) {
      const caller = await stage.openStream("far/long", ASKING);
      await caller.until("first");
      callers.push(caller);
    }
    assert.equal((await stage.objects())["apac-ne-0"], before["apac-ne-0"] + 8);
    for (const exchange of exchanges) {
      exchange.write(DONE);
      exchange.end();
    }
    for (const caller of callers) await caller.rest();
  });

  it("call nothing but providers of the configuration that are in a region", async () => {
    const other = createServer((_, response) => response.end("reached")).listen(0, "127.0.0.1");
    await once(other, "listening");
    let reached = 0;
    other.on("request", () => reached++);
    const call = (url, method = "POST") => fetch(`${stage.gateway.url}/test/control`, { method: "POST", body: JSON.stringify({ relay: { object: "apac-ne-0", url, method, headers: {}, body: method === "POST" ? "{}" : undefined } }) });
    const { origin } = new URL(stage.fake.base);
    const elsewhere = `http://127.0.0.1:${other.address().port}`;
    const asked = stage.fake.requests.length;
    for (const [url, method] of [[`${elsewhere}/v1/chat/completions`], [`${origin.slice(0, -1)}/v1/chat/completions`], [`http://user@127.0.0.1:${other.address().port}/`], [stage.trace.url], ["https://object/other"], [stage.fake.base, "GET"], [stage.fake.base, "DELETE"]]) {
      const answer = await call(url, method);
      assert.deepEqual([answer.status, answer.headers.get(OUTCOME), await answer.text()], [503, "broken", ""], `${method} ${url}`);
    }
    assert.deepEqual([reached, stage.fake.requests.length], [0, asked]);
    assert.match((await call(`${stage.fake.base}/chat/completions`)).headers.get(OUTCOME), /^answered/);
    other.close();
  });

  it("take no more than five calls of all isolates together", async () => {
    const model = "elsewhere";
    const exchanges = [];
    stage.fake.behave(model, (exchange) => void exchanges.push(exchange));
    const relay = { object: "apac-ne-0", url: `${stage.fake.base}/chat/completions`, headers: { "content-type": "application/json", authorization: `Bearer ${PROVIDER_KEY}` }, body: JSON.stringify({ model, messages: HELLO }) };
    const others = Array.from({ length: 5 }, () => fetch(`${stage.gateway.url}/test/control`, { method: "POST", body: JSON.stringify({ relay }) }));
    await until(() => exchanges.length === 5, "five calls at the provider");
    const before = await stage.objects();
    // A body that is sent in pieces is sent again.
    const content = randomBytes(1 << 20).toString("base64");
    const { answer, end, record } = await stage.watch("far/ok", { messages: [{ role: "user", content }] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(hash(record.request.messages[0].content), hash(content));
    assert.equal(end.attempts, undefined, "a full object is no attempt");
    const now = await stage.objects();
    assert.deepEqual([now["apac-ne-0"] - before["apac-ne-0"], now["apac-ne-1"] - before["apac-ne-1"]], [1, 1]);
    for (const exchange of exchanges) await stage.fake.behaviour("ok")(exchange);
    for (const other of others) assert.equal((await (await other).json()).object, "chat.completion");
    await soon(stage.ask("far/ok"), "another answer");
  });
});

describe("the place of an object", () => {
  const start = async (places, rows = { far: "region: apac" }) => {
    const stage = await startRegionStage({ rows, places });
    // An object does not wait long to be told its place. On a slow machine, too, it is told in time.
    await stopClock(stage.gateway);
    return stage;
  };

  it("is asked for once in its life", async () => {
    const stage = await start([]);
    for (let round = 0; round < 3; round++) assert.equal((await stage.ask("far/ok")).status, 200);
    await stage.gateway.control({ close: "apac-0" });
    assert.equal((await stage.ask("far/ok")).status, 200);
    assert.equal(stage.trace.asked(), 1);
    await stage.stopAll();
  });

  it("is abandoned for the next name if providers refuse it", async () => {
    const stage = await start(["HKG HK", "SIN US", "NRT HK", "NRT JP"]);
    const { answer, end } = await stage.watch("far/ok");
    assert.equal(answer.status, 200, answer.text);
    assert.equal(end.attempts, undefined, "nothing was sent from there");
    assert.deepEqual(await stage.objects(), { "apac-0": 1, "apac-1": 1 });
    await stage.ask("far/ok");
    assert.deepEqual(await stage.objects(), { "apac-0": 1, "apac-1": 2 });
    // After an hour, the object is asked again; it knows where it is.
    await stage.gateway.control({ advance: 3_600_001 });
    await stage.ask("far/ok");
    assert.deepEqual(await stage.objects(), { "apac-0": 2, "apac-1": 3 });
    assert.equal(stage.trace.asked(), 2);
    assert.equal(stage.fake.requests.length, 3);
    await stage.stopAll();
  });

  it("ends the search if the platform gives no other", async () => {
    const stage = await start(Array.from({ length: 30 }, () => "HKG HK"));
    for (let round = 0; round < 3; round++) {
      const answer = await stage.ask("far/ok");
      const error = expectError(answer, { status: 503, code: "region_misplaced" });
      assert.match(error.message, /operator can set another `region`/);
    }
    assert.deepEqual(await stage.objects(), Object.fromEntries(Array.from({ length: 8 }, (_, number) => [`apac-${number}`, 1])));
    assert.equal(stage.fake.requests.length, 0);
    await stage.stopAll();
  });

  it("is not waited for long if nobody says it", async () => {
    const stage = await start([null]);
    await stage.gateway.control({ speed: 1 });
    for (let round = 0; round < 2; round++) assert.equal((await stage.ask("far/ok")).status, 200);
    assert.equal(stage.trace.asked(), 1);
    await stage.stopAll();
  });
});

describe("a provider that refuses the country", () => {
  let stage;
  before(async () => {
    const rows = { here: "", auto: "region: { fallback: wnam }", far: "region: weur" };
    const more = "routes:\n  both: { targets: [auto/both, here/both] }";
    stage = await startRegionStage({ rows, more, bindings: OFFICE });
  });
  after(() => stage.stopAll());

  /** Lets the provider refuse the next calls of a model, and serve those after them. */
  function refuses(model, times) {
    stage.fake.behave(model, (exchange) => stage.fake.behaviour(times-- > 0 ? "err-403" : "ok")(exchange));
    return () => stage.fake.requests.filter(({ request }) => request?.model === model).length;
  }

  it("is told of with what the operator can do", async () => {
    for (const stream of [false, true]) {
      const error = expectError(await stage.ask("here/err-403", { stream }), { status: 403, code: "provider_region_refused", type: "request_forbidden" });
      assert.match(error.message, /^Country, region, or territory not supported\. .*set `region` of this provider, such as `region: \{ fallback: wnam \}`/);
    }
  });

  it("is called from the region after that, with `fallback`, and directly again after a time", async () => {
    const office = new Office(stage.gateway.url);
    const key = await office.key("far-away");
    const calls = refuses("moves", 1);
    const id = freshId();
    const answer = await office.ask(key, "auto/moves", {}, { "x-request-id": id });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(calls(), 2);
    assert.equal((await stage.objects())["wnam-0"], 1);
    const [receipt] = await until(async () => ((all) => all.length > 0 && all)(await office.receipts("far-away")), "the receipt");
    assert.deepEqual(receipt.attempts.map(({ provider, failure, cost }) => ({ provider, failure })), [{ provider: "auto", failure: "region" }, { provider: "auto", failure: null }], JSON.stringify(receipt.attempts));
    const failed = (await stage.story(id)).filter(({ event }) => event === "attempt_failed");
    assert.deepEqual(failed.map(({ class: kind }) => kind), ["region"], JSON.stringify(failed));
    // Remembered: the region at once.
    assert.equal((await stage.ask("auto/moves")).status, 200);
    assert.equal(calls(), 3);
    assert.equal((await stage.objects())["wnam-0"], 2);
    // Forgotten.
    await stage.gateway.control({ advance: REFUSED_MS });
    assert.equal((await stage.ask("auto/moves", { stream: true })).status, 200);
    assert.equal(calls(), 4);
    assert.equal((await stage.objects())["wnam-0"], 2);
  });

  it("is called from the region before another target is tried", async () => {
    await stage.gateway.control({ advance: REFUSED_MS });
    const calls = refuses("both", 1);
    const before = (await stage.objects())["wnam-0"] ?? 0;
    const answer = await stage.ask("both");
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers["x-llm-bridge-model"], "auto/both");
    assert.deepEqual([calls(), (await stage.objects())["wnam-0"]], [2, before + 1]);
  });

  it("is called by the next object of the region, and no more than two ask it", async () => {
    const calls = refuses("near", 1);
    assert.equal((await stage.ask("far/near")).status, 200);
    assert.equal(calls(), 2);
    assert.equal((await stage.ask("far/near")).status, 200, "by the second one");
    assert.equal(calls(), 3);
    const { "weur-0": first, "weur-1": second } = await stage.objects();
    assert.deepEqual([first, second], [1, 2]);
    const error = expectError(await stage.ask("far/err-403"), { status: 403, code: "provider_region_refused" });
    assert.match(error.message, /^Country.*refuses calls from region `weur`.*set another `region`/);
    // Remembered: nothing is sent.
    const sent = stage.fake.requests.length;
    expectError(await stage.ask("far/near"), { status: 403, code: "provider_region_refused" });
    assert.equal(stage.fake.requests.length, sent);
    await stage.gateway.control({ advance: 600_001 });
    assert.equal((await stage.ask("far/near")).status, 200);
    assert.equal((await stage.objects())["weur-0"], 2);
  });
});

describe("a place that a provider refuses", () => {
  let stage, disk;
  const rows = { auto: "region: { fallback: wnam }" };
  const start = async () => void (stage = await startRegionStage({ rows, disk, bindings: OFFICE }));
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "regions-"));
    await start();
  });
  after(async () => {
    await stage.stopAll();
    await rm(disk, { recursive: true });
  });

  /** Starts the gateway again: an isolate that knows nothing. */
  async function anew() {
    await stage.stopAll();
    await start();
  }

  /** Asks from a data center. Returns whether the call has left from the region. */
  async function isFar(model, place) {
    const calls = async () => (await stage.objects())["wnam-0"] ?? 0;
    const before = await calls();
    const answer = await stage.ask(`auto/${model}`, {}, { "x-test-data-center": place });
    assert.equal(answer.status, 200, answer.text);
    return (await calls()) > before;
  }

  /** Asks until the isolate has learned in the background what the others know: for what the provider refuses for another
   * reason, since a direct call that is served ends the rest. */
  const learns = (place) =>
    until(async () => {
      const before = (await stage.objects())["wnam-0"] ?? 0;
      await stage.ask("auto/err-400", {}, { "x-test-data-center": place });
      return ((await stage.objects())["wnam-0"] ?? 0) > before;
    }, "calls that leave from the region");
  const listed = async () => (await new Office(stage.gateway.url).order("GET", "/health")).data;

  it("is remembered by all isolates of that data center, and by no other", async () => {
    stage.fake.behave("refused-once", (exchange) => {
      stage.fake.behave("refused-once", stage.fake.behaviour("ok"));
      return stage.fake.behaviour("err-403")(exchange);
    });
    assert.equal(await isFar("refused-once", "HKG"), true);
    await until(async () => (await listed()).some(({ id, known }) => id === "place:auto:HKG" && known === "everywhere"), "the object to know it");
    await anew();
    await learns("HKG");
    assert.equal(await isFar("ok", "HKG"), true);
    await anew();
    for (let round = 0; round < 3; round++) {
      assert.equal(await isFar("ok", "SIN"), false);
      await until(async () => (await stage.gateway.control()).calls.HEALTH > 0, "the object to be asked");
    }
  });

  it("is listed for operators, who can have it forgotten", async () => {
    const [row] = await listed();
    const { id, provider, model, keys, state, reason, known } = row;
    assert.deepEqual({ id, provider, model, keys, state, reason, known }, { id: "place:auto:HKG", provider: "auto", model: null, keys: null, state: "resting", reason: "region", known: "everywhere" });
    await anew();
    await learns("HKG");
    await new Office(stage.gateway.url).order("POST", "/health/reset", { id: "place:auto:HKG" });
    assert.equal(await isFar("ok", "HKG"), false);
    assert.deepEqual(await listed(), []);
  });

  it("costs a call of the object in half a minute, and nothing where no provider has a region", async () => {
    await anew();
    await stopClock(stage.gateway);
    for (let round = 0; round < 10; round++) await isFar("ok", "HKG");
    await until(async () => (await stage.gateway.control()).calls.HEALTH > 0, "the object to be asked");
    assert.equal((await stage.gateway.control()).calls.HEALTH, 1);
  });
});
