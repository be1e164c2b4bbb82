// Clients that disconnect: the provider's call is cancelled at once or read to its end, the log reports it once, and
// nothing is left behind.
//
// The gateway's clock hardly moves by itself: what is awaited here for a minute takes it less than a second, and neither
// a deadline nor a comment is due unless a test says so.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { begin, chatRequest, HELLO, until } from "./client.mjs";
import { SLOW } from "./harness.mjs";
import { ASKING, freshId, KEY, QUIET, rows, startStage } from "./stage.mjs";

const WAYS = ["native", "checked"];
const KEEP_ALIVE_MS = 10_000;
const TOTAL_MS = 20_000;
const config = rows({
  native: `relay: native, ${QUIET}`,
  checked: `relay: checked, ${QUIET}`,
  "finish-native": `relay: native, on_disconnect: finish, ${QUIET}`,
  "finish-checked": `relay: checked, on_disconnect: finish, ${QUIET}`,
  "kept-native": `relay: native, keep_alive: ${KEEP_ALIVE_MS / 1000}`,
  "kept-checked": `relay: checked, keep_alive: ${KEEP_ALIVE_MS / 1000}`,
  "brief-native": `relay: native, on_disconnect: finish, clocks: { total: ${TOTAL_MS / 1000} }, ${QUIET}`,
  "brief-checked": `relay: checked, on_disconnect: finish, clocks: { total: ${TOTAL_MS / 1000} }, ${QUIET}`,
});

const word = ({ request }, text = "drip") => event(chunk(request, { content: text }));
const spent = ({ request }, tokens) =>
  event(chunk(request, { content: "drip" }, { usage: { prompt_tokens: 9, completion_tokens: tokens, total_tokens: 9 + tokens } }));

let played = 0;

/** A stage for the tests of a suite, and what they do on it. */
function setUp() {
  let stage;
  before(async () => {
    stage = await startStage({ config, entry: "production.mjs" });
    await stage.gateway.control({ speed: SLOW });
  });
  after(() => stage.stop());

  return {
    stage: () => stage,

    /** Starts a stream whose provider is driven by the test, up to its first word. */
    async beginStream(provider) {
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
    },

    pass: (ms) => stage.gateway.pass(ms),

    async expectClosed(id, tokens) {
      const { event: kind, outcome, status, output_tokens, estimated = false } = await stage.end(id);
      assert.deepEqual({ kind, outcome, status }, { kind: "request_complete", outcome: "client_closed", status: 200 });
      // Tokens that the provider did not report are an estimate, and marked as one.
      assert.equal(estimated, tokens === undefined);
      assert.ok(estimated ? output_tokens >= 0 : output_tokens === tokens, `${output_tokens} tokens`);
    },
  };
}

describe("a caller who leaves", { concurrency: 6 }, () => {
  const { stage, beginStream, pass, expectClosed } = setUp();

  for (const [what, fields, opened] of [
    ["before the headers of a stream", { stream: true, ...ASKING }, false],
    ["before the first word of a stream", { stream: true, ...ASKING }, true],
    ["before a whole answer", {}, false],
  ]) {
    for (const provider of ["native", "checked"]) {
      it(`${what} lets the provider go, and stands in the log (${provider})`, async () => {
        const model = `played-${++played}`;
        const id = freshId();
        const held = stage().held(model);
        const body = { model: `${provider}/${model}`, messages: HELLO, ...fields };
        const caller = begin(`${stage().gateway.url}/v1/chat/completions`, chatRequest(KEY, body, { "x-request-id": id }));
        const answering = assert.rejects(caller.answering);
        const exchange = await held;
        if (opened) exchange.openStream();
        // Time for the gateway to notice. If it is too short, the client disconnects at another moment of the
        // same wait.
        await sleep(30);
        caller.leave();
        await answering;
        await stage().expectCancelled(exchange.record);
        assert.equal((await stage().end(id)).outcome, "client_closed");
      });
    }
  }

  for (const way of WAYS) {
    describe(`a ${way} stream`, { concurrency: 6 }, () => {
      it("lets the provider go while it talks", async () => {
        const { exchange, caller, id } = await beginStream(way);
        const talking = setInterval(() => exchange.over || exchange.write(word(exchange)), 30);
        await caller.until("drip");
        caller.leave();
        await stage().expectCancelled(exchange.record).finally(() => clearInterval(talking));
        await expectClosed(id);
      });

      it("lets the provider go while it talks as fast as it can", async () => {
        const { exchange, caller, id } = await beginStream(way);
        const talking = (async () => {
          for (; !exchange.over; await exchange.sleep(1)) exchange.write(word(exchange, "x".repeat(10_000)));
        })();
        await caller.until("xxx");
        caller.leave();
        await stage().expectCancelled(exchange.record);
        await talking;
        await expectClosed(id);
      });

      it("lets the provider go while it is silent", async () => {
        const { exchange, caller, id } = await beginStream(way);
        caller.leave();
        await stage().expectCancelled(exchange.record);
        await expectClosed(id);
      });

      it("lets the provider go after a long silence", async () => {
        const { exchange, caller, id } = await beginStream(way);
        await pass(1300);
        caller.leave();
        await stage().expectCancelled(exchange.record);
        await expectClosed(id);
      });

      it("lets the provider go before the first word, once the answer has begun", async () => {
        const model = `unspoken-${way}`;
        const id = freshId();
        const held = stage().held(model);
        const answering = stage().openStream(`kept-${way}/${model}`, ASKING, { "x-request-id": id });
        const exchange = await held;
        exchange.openStream();
        await pass(KEEP_ALIVE_MS);
        const caller = await answering;
        await caller.until(": keep-alive");
        caller.leave();
        await stage().expectCancelled(exchange.record);
        await expectClosed(id);
      });

      it("has what was spent so far in the log", async () => {
        const { exchange, caller, id } = await beginStream(way);
        for (const tokens of [3, 5]) exchange.write(spent(exchange, tokens));
        await caller.until('"completion_tokens":5');
        caller.leave();
        await stage().expectCancelled(exchange.record);
        await expectClosed(id, 5);
      });

      it("is no news once the answer is over", async () => {
        const { exchange, caller, id } = await beginStream(way);
        exchange.write(answerEvents(exchange.request).slice(-2).join("") + DONE);
        exchange.end();
        await caller.until("[DONE]");
        caller.leave();
        const { outcome, output_tokens } = await stage().end(id);
        assert.deepEqual({ outcome, output_tokens }, { outcome: "complete", output_tokens: 7 });
      });
    });
  }
});

// One at a time, because each of them moves the clock.
describe("a caller who leaves a stream that is heard out", () => {
  const { stage, beginStream, pass, expectClosed } = setUp();

  for (const way of WAYS) {
    describe(`and is ${way},`, () => {
      for (const [what, silence] of [
        ["while it talks", 20],
        ["though it is silent for long", 5_000],
      ]) {
        it(`has the provider heard to its end ${what}, if the operator wants it so`, async () => {
          const { exchange, caller, id } = await beginStream(`finish-${way}`);
          caller.leave();
          await pass();
          for (let n = 0; n < 4; n++) {
            await pass(silence);
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
        const { exchange, caller, id } = await beginStream(`brief-${way}`);
        exchange.write(spent(exchange, 3));
        await caller.until('"completion_tokens":3');
        caller.leave();
        await pass();
        // What has passed of it by itself is less than a second.
        await pass(TOTAL_MS - 1_000);
        assert.ok(!exchange.over, "the provider is not let go");
        exchange.write(spent(exchange, 4));
        await pass();
        await pass(1_000);
        await stage().expectCancelled(exchange.record);
        await expectClosed(id, 4);
      });

      it("has the provider heard until it breaks", async () => {
        const { exchange, caller, id } = await beginStream(`finish-${way}`);
        caller.leave();
        // The gateway notices that before the break, and the written bytes arrive before it.
        await pass();
        exchange.write(spent(exchange, 3));
        await pass();
        exchange.reset();
        await expectClosed(id, 3);
      });
    });
  }
});

describe("a thousand callers who leave", () => {
  const AT_ONCE = 50;
  const GROWTH_MB = 48;
  const ROUNDS = 4;
  // Those of the newest clients may still be on their way.
  const HELD = 100;
  let stage;
  before(async () => {
    stage = await startStage({ config, entry: "collecting.mjs", v8Flags: ["--expose-gc"] });
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
