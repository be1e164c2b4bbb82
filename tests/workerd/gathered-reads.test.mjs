// Checked streams: while events come fast, a read of the gateway waits for several of them, and what it waits for
// is bounded. The gateway's clock hardly moves, so that events are fast on a slow machine too; order shows what is
// held, not time.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DONE } from "./behaviours.mjs";
import { until } from "./client.mjs";
import { expectOneDone } from "./expect.mjs";
import { rows, startStage } from "./stage.mjs";

const chunk = (choices, more = "") => `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":${choices}${more}}\n\n`;
/** Events of the same length, each with its number. */
const word = (n) => chunk(`[{"index":0,"delta":{"content":"part ${String(n).padStart(3, "0")}"},"finish_reason":null}]`);
const name = (n) => `part ${String(n).padStart(3, "0")}`;
const FINISH = chunk('[{"index":0,"delta":{},"finish_reason":"stop"}]');
const USAGE = chunk("[]", ',"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}');

/** One word in the beginning, which the gateway awaits, and so many fast ones before it reads several at once. */
const FIRST = 1;
const STREAK = 8;
/** A clock on which two minutes between two events are still fast: 12 ms. */
const SPEED = 0.0001;

describe("reads of a checked stream", () => {
  let stage;
  let streams = 0;
  before(async () => {
    const config = rows({ closing: "", open: "", limited: "clocks: { idle: 3000 }", silent: "", native: "stream_usage: show" });
    stage = await startStage({ config, entry: "production.mjs" });
    await stage.gateway.control({ speed: SPEED });
  });
  after(() => stage.stop());

  /** Waits for something that takes the gateway a few milliseconds of its clock, which does not move by itself. */
  const untilTime = (look, what) => until(async () => look() || void (await stage.gateway.control({ advance: 5 })), what);

  /** A stream whose provider is driven by the test, and what its client has seen of it. */
  async function drive(row) {
    const model = `driven-${(streams += 1)}`;
    const held = stage.held(model);
    const answering = stage.openStream(`${row}/${model}`);
    const provider = await held;
    provider.openStream();
    let written = 0;
    const write = () => provider.write(word((written += 1)));
    write();
    const answer = await answering;
    const seen = { text: "" };
    let isOver = false;
    const reading = (async () => {
      for (let part = await answer.next(); part !== null; part = await answer.next()) seen.text += part;
      isOver = true;
    })();
    const has = (n) => until(() => seen.text.includes(name(n)), name(n));
    await has(FIRST);
    /** Each word has come before the next is written. */
    const eachAlone = async (number) => {
      for (let time = 0; time < number; time += 1) {
        write();
        await has(written);
      }
    };
    /** `graced`: the gateway awaits something for a few milliseconds. */
    const end = async ({ open = false, graced = open } = {}) => {
      for (const piece of [FINISH, USAGE, DONE]) provider.write(piece);
      if (!open) provider.end();
      if (graced) await untilTime(() => isOver, "the end of the stream");
      await reading;
      const words = Array.from({ length: written }, (_, at) => word(at + 1)).join("");
      assert.equal(seen.text.replace(/^:.*\n\n/gm, ""), words + FINISH + DONE);
      expectOneDone(seen.text);
    };
    return { write, has, eachAlone, end, seen, last: () => written };
  }

  /** Whole requests go through the gateway: whatever it does with bytes that have come before is done then. */
  async function pass() {
    for (let time = 0; time < 3; time += 1) assert.equal((await stage.ask("native/ok")).status, 200);
  }

  /** A stream that is over with its end marker. */
  async function close(row) {
    const stream = await drive(row);
    await stream.end();
  }

  it("wait for three events, hold no more than two, and none once the stream has slowed down", async () => {
    await close("closing");
    const { write, has, eachAlone, end, seen, last } = await drive("closing");
    await eachAlone(STREAK);
    write();
    await pass();
    write();
    await pass();
    assert.ok(!seen.text.includes(name(last() - 1)), "two events wait");
    write();
    await has(last());
    // A pause: two events wait on, until more comes. Then the stream is slow.
    write();
    write();
    await pass();
    assert.ok(!seen.text.includes(name(last() - 1)), "they wait while the provider pauses");
    await stage.gateway.control({ advance: 1_000 });
    write();
    await has(last());
    await eachAlone(STREAK - 1);
    await end();
  });

  it("come to an end though events wait", async () => {
    for (const waiting of [1, 2]) {
      const { write, eachAlone, end } = await drive("closing");
      await eachAlone(STREAK);
      for (let time = 0; time < waiting; time += 1) write();
      await end();
    }
  });

  it("do not wait before a body of the provider was seen to be over with its end marker", async () => {
    const first = await drive("open");
    await first.eachAlone(2 * STREAK);
    await first.end({ open: true });
    const second = await drive("open");
    await second.eachAlone(2 * STREAK);
    await second.end({ open: true });
  });

  it("do not wait where a silence of the provider has a limit", async () => {
    await close("limited");
    const { eachAlone, end } = await drive("limited");
    await eachAlone(2 * STREAK);
    await end();
  });

  it("do not wait any more after the provider was silent for long", async () => {
    await close("silent");
    const silent = await drive("silent");
    await silent.eachAlone(STREAK);
    silent.write();
    await pass();
    assert.ok(!silent.seen.text.includes(name(silent.last())), "one event waits");
    await stage.gateway.control({ advance: 20_000 });
    await untilTime(() => /^:/m.test(silent.seen.text), "a comment that keeps the client waiting");
    await silent.end({ graced: true });
    const next = await drive("silent");
    await next.eachAlone(2 * STREAK);
    await next.end();
  });
});
