// Clients that disconnect: the provider's call is cancelled within a second or read to its end, the log
// reports it once, and nothing is left behind.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { begin, chatRequest, HELLO, until } from "./client.mjs";
import { PACE, paced } from "./pace.mjs";
import { ASKING, freshId, KEY, rows, startStage } from "./stage.mjs";

const CANCELLED_MS = 1000;

const WAYS = ["native", "checked"];
const config = rows({
  native: "relay: native",
  checked: "relay: checked",
  "finish-native": "relay: native, on_disconnect: finish",
  "finish-checked": "relay: checked, on_disconnect: finish",
  "patient-native": `relay: native, keep_alive: ${paced(0.2)}, clocks: { first_token: ${paced(1.5)} }`,
  "patient-checked": `relay: checked, keep_alive: ${paced(0.2)}, clocks: { first_token: ${paced(1.5)} }`,
  "brief-native": `relay: native, on_disconnect: finish, clocks: { total: ${paced(1.5)} }`,
  "brief-checked": `relay: checked, on_disconnect: finish, clocks: { total: ${paced(1.5)} }`,
});

const word = ({ request }, text = "drip") => event(chunk(request, { content: text }));
const spent = ({ request }, tokens) =>
  event(chunk(request, { content: "drip" }, { usage: { prompt_tokens: 9, completion_tokens: tokens, total_tokens: 9 + tokens } }));

describe("a caller who leaves", { concurrency: 6 }, () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, pace: PACE });
  });
  after(() => stage.stop());

  let played = 0;
  /** Milliseconds until each call was cancelled. */
  const times = [];

  /** Starts a stream whose provider is driven by the test, up to its first word. */
  async function beginStream(provider) {
    const model = `played-${++played}`;
    const id = freshId();
    const held = stage.held(model);
    const answering = stage.openStream(`${provider}/${model}`, ASKING, { "x-request-id": id });
    const exchange = await held;
    exchange.openStream();
    exchange.write(word(exchange, "first"));
    const caller = await answering;
    await caller.until("first");
    return { exchange, caller, id };
  }

  /** Asserts that the provider's call is cancelled. */
  async function expectLetGo(exchange, left) {
    await stage.expectCancelled(exchange.record);
    times.push(performance.now() - left);
  }

  async function expectClosed(id, tokens) {
    const { event: kind, outcome, status, output_tokens, estimated = false } = await stage.end(id);
    assert.deepEqual({ kind, outcome, status }, { kind: "request_complete", outcome: "client_closed", status: 200 });
    // Tokens that the provider did not report are an estimate, and marked as one.
    assert.equal(estimated, tokens === undefined);
    assert.ok(estimated ? output_tokens >= 0 : output_tokens === tokens, `${output_tokens} tokens`);
  }

  for (const [what, fields, opened] of [
    ["before the headers of a stream", { stream: true, ...ASKING }, false],
    ["before the first word of a stream", { stream: true, ...ASKING }, true],
    ["before a whole answer", {}, false],
  ]) {
    for (const provider of ["native", "checked"]) {
      it(`${what} lets the provider go, and stands in the log (${provider})`, async () => {
        const model = `played-${++played}`;
        const id = freshId();
        const held = stage.held(model);
        const body = { model: `${provider}/${model}`, messages: HELLO, ...fields };
        const caller = begin(`${stage.gateway.url}/v1/chat/completions`, chatRequest(KEY, body, { "x-request-id": id }));
        const answering = assert.rejects(caller.answering);
        const exchange = await held;
        if (opened) exchange.openStream();
        // Time for the gateway to notice. If it is too short, the client disconnects at another moment of the
        // same wait.
        await sleep(30);
        const left = performance.now();
        caller.leave();
        await answering;
        await expectLetGo(exchange, left);
        assert.equal((await stage.end(id)).outcome, "client_closed");
      });
    }
  }

  for (const way of WAYS) {
    describe(`a ${way} stream`, { concurrency: 6 }, () => {
      it("lets the provider go while it talks", async () => {
        const { exchange, caller, id } = await beginStream(way);
        const talking = setInterval(() => exchange.over || exchange.write(word(exchange)), 30);
        await caller.until("drip");
        const left = performance.now();
        caller.leave();
        await expectLetGo(exchange, left).finally(() => clearInterval(talking));
        await expectClosed(id);
      });

      it("lets the provider go while it talks as fast as it can", async () => {
        const { exchange, caller, id } = await beginStream(way);
        const talking = (async () => {
          for (; !exchange.over; await exchange.sleep(1)) exchange.write(word(exchange, "x".repeat(10_000)));
        })();
        await caller.until("xxx");
        const left = performance.now();
        caller.leave();
        await expectLetGo(exchange, left);
        await talking;
        await expectClosed(id);
      });

      it("lets the provider go while it is silent", async () => {
        const { exchange, caller, id } = await beginStream(way);
        const left = performance.now();
        caller.leave();
        await expectLetGo(exchange, left);
        await expectClosed(id);
      });

      it("lets the provider go after a long silence", async () => {
        const { exchange, caller, id } = await beginStream(way);
        await sleep(1300);
        const left = performance.now();
        caller.leave();
        await expectLetGo(exchange, left);
        await expectClosed(id);
      });

      it("lets the provider go before the first word, once the answer has begun", async () => {
        const model = `unspoken-${way}`;
        const id = freshId();
        const held = stage.held(model);
        const answering = stage.openStream(`patient-${way}/${model}`, ASKING, { "x-request-id": id });
        const exchange = await held;
        exchange.openStream();
        const caller = await answering;
        await caller.until(": keep-alive");
        const left = performance.now();
        caller.leave();
        await expectLetGo(exchange, left);
        await expectClosed(id);
      });

      it("has what was spent so far in the log", async () => {
        const { exchange, caller, id } = await beginStream(way);
        for (const tokens of [3, 5]) exchange.write(spent(exchange, tokens));
        await caller.until('"completion_tokens":5');
        caller.leave();
        await stage.expectCancelled(exchange.record);
        await expectClosed(id, 5);
      });

      it("is no news once the answer is over", async () => {
        const { exchange, caller, id } = await beginStream(way);
        exchange.write(answerEvents(exchange.request).slice(-2).join("") + DONE);
        exchange.end();
        await caller.until("[DONE]");
        caller.leave();
        const { outcome, output_tokens } = await stage.end(id);
        assert.deepEqual({ outcome, output_tokens }, { outcome: "complete", output_tokens: 7 });
      });

      for (const [what, silence] of [
        ["while it talks", 40],
        ["though it is silent for long", 1300],
      ]) {
        it(`has the provider heard to its end ${what}, if the operator wants it so`, async () => {
          const { exchange, caller, id } = await beginStream(`finish-${way}`);
          caller.leave();
          for (let n = 0; n < 4; n++) {
            await exchange.sleep(silence / 2);
            assert.ok(!exchange.over, "the provider is not let go");
            exchange.write(word(exchange));
          }
          exchange.write(answerEvents(exchange.request).slice(-2).join("") + DONE);
          exchange.end();
          assert.equal(await exchange.record.closed, false, "the provider spoke to its end");
          await expectClosed(id, 7);
        });
      }

      it("has the provider heard for as long as it may take, and no longer", async () => {
        const started = performance.now();
        const { exchange, caller, id } = await beginStream(`brief-${way}`);
        exchange.write(spent(exchange, 3));
        await caller.until('"completion_tokens":3');
        caller.leave();
        const talking = setInterval(() => exchange.over || exchange.write(spent(exchange, 4)), 50);
        await stage.expectCancelled(exchange.record).finally(() => clearInterval(talking));
        const took = performance.now() - started;
        assert.ok(took > paced(1500) - 5, `${took} ms`);
        await expectClosed(id, 4);
      });

      it("has the provider heard until it breaks", async () => {
        const { exchange, caller, id } = await beginStream(`finish-${way}`);
        caller.leave();
        // The written bytes arrive before the reset. The client has left long before.
        await exchange.sleep(200);
        exchange.write(spent(exchange, 3));
        await exchange.sleep(200);
        exchange.reset();
        await expectClosed(id, 3);
      });
    });
  }

  // Most of them: on a busy machine, single ones may take longer.
  after(() => {
    const quarter = times.sort((a, b) => a - b)[Math.floor(times.length / 4)] ?? 0;
    assert.ok(quarter <= CANCELLED_MS, `${times.length} providers were let go after ${times.map(Math.round)} ms`);
  });
});

describe("a thousand callers who leave", () => {
  const AT_ONCE = 50;
  const GROWTH_MB = 48;
  const ROUNDS = 4;
  // Those of the newest clients may still be on their way.
  const HELD = 100;
  let stage;
  before(async () => {
    stage = await startStage({ config, pace: PACE, entry: "collecting.mjs", v8Flags: ["--expose-gc"] });
    stage.fake.behave("endless", async (exchange) => {
      exchange.openStream();
      exchange.write(word(exchange, "first"));
      for (; !exchange.over; await exchange.sleep(10)) exchange.write(word(exchange, "x".repeat(4000)));
    });
    stage.fake.behave("silent-after-one", (exchange) => {
      exchange.openStream();
      exchange.write(word(exchange, "first"));
    });
  });
  after(() => stage.stop());

  async function leaveOne(n) {
    const id = freshId();
    const model = ["native/endless", "checked/endless", "native/silent-after-one", "checked/silent-after-one"][n % 4];
    const caller = await stage.openStream(model, ASKING, { "x-request-id": id });
    await caller.until("first");
    if (n % 3) await sleep(n % 30);
    caller.leave();
    return id;
  }

  /** Starts `count` clients, which leave, not all at the same time, and returns the ids of their requests. */
  async function leaveMany(count) {
    const ids = [];
    let next = 0;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < count) ids.push(await leaveOne(next++));
      }),
    );
    return ids;
  }

  /** Waits until the provider has no connections. */
  async function expectNoConnections() {
    await until(async () => (await stage.fake.connections()) === 0, "the last connection to the provider to end");
  }

  /** The memory of workerd after a garbage collection, in MB. */
  async function memory() {
    await until(async () => (await stage.gateway.control()).held <= HELD, `all but ${HELD} requests to be let go of`);
    const status = await readFile(`/proc/${stage.gateway.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) / 1024;
  }

  it("leave no connection, no memory and no doubt in the log", { timeout: 400_000 }, async () => {
    const warm = await leaveMany(300);
    await expectNoConnections();
    const ids = [];
    const seen = [await memory()];
    // A leak makes every round grow; garbage that is not collected yet makes one grow.
    do {
      ids.push(...(await leaveMany(1000)));
      await expectNoConnections();
      seen.push(await memory());
    } while (seen.at(-1) - seen.at(-2) >= GROWTH_MB && seen.length <= ROUNDS);
    assert.ok(seen.at(-1) - seen.at(-2) < GROWTH_MB, `${seen.map((mb) => mb.toFixed())} MB`);
    const isEnd = ({ event: kind }) => kind === "request_complete" || kind === "request_error";
    await until(() => stage.gateway.logs().filter(isEnd).length >= warm.length + ids.length, "all ends in the log");
    const ends = stage.gateway.logs().filter(isEnd);
    assert.deepEqual(ends.map(({ request_id }) => request_id).sort(), [...warm, ...ids].sort());
    assert.deepEqual([...new Set(ends.map(({ outcome }) => outcome))], ["client_closed"]);
  });
});
