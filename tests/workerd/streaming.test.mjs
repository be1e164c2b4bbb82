// Streams: the provider's bytes as soon as they come, to a truthful end, whatever happens on either side.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ANSWER, DONE, USAGE } from "./behaviours.mjs";
import { events } from "./client.mjs";
import { blocks, chunks, expectError, expectErrorFrame, expectOneDone, streamedText } from "./expect.mjs";
import { ASKING, rows, startStage } from "./stage.mjs";
import { pass, runOut, stopClock } from "./timed.mjs";

const event = (n) => `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"part ${n}"},"finish_reason":null}]}\n\n`;
const FINISH = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n`;

/**
 * The part of the provider's `stream` that a client gets if it did not request usage: all but the usage
 * chunk, and the gateway's own `[DONE]`.
 */
function withoutUsage(stream) {
  const kept = blocks(stream).filter((block) => !/"choices":\[\],/.test(block));
  const done = kept.findIndex((block) => block.includes("[DONE]"));
  return kept.slice(0, done < 0 ? undefined : done).join("") + DONE;
}

/**
 * Starts a stream whose provider is driven by the test. It is native, unless `fields` do not request usage.
 */
async function drive(stage, name, fields = ASKING) {
  const held = stage.held(name);
  const answering = stage.openStream(`any/${name}`, fields);
  const provider = await held;
  provider.openStream();
  provider.write(event(1));
  const caller = await answering;
  assert.equal(await caller.until("part 1"), event(1));
  return { provider, caller };
}

describe("a stream", () => {
  let stage;
  before(async () => {
    stage = await startStage();
  });
  after(() => stage.stop());

  const stream = (model, fields) => stage.ask(model, { stream: true, ...fields });

  describe("that ends well", () => {
    for (const model of ["ok", "reasoner", "odd", "crlf", "comments", "no-space-data", "utf8-split", "one-byte", "one-write", "big-event"]) {
      it(`arrives byte for byte: ${model}`, async () => {
        const answer = await stream(`any/${model}`, ASKING);
        assert.equal(answer.status, 200);
        assert.match(answer.headers["content-type"], /^text\/event-stream\b/);
        assert.equal(answer.text, stage.sent());
        expectOneDone(answer.text);
      });

      it(`arrives byte for byte but for the usage that only the gateway asked for: ${model}`, async () => {
        const answer = await stream(`any/${model}`);
        assert.equal(answer.status, 200);
        assert.equal(answer.text, withoutUsage(stage.sent()));
        expectOneDone(answer.text);
      });
    }

    it("brings tool calls in their fragments", async () => {
      const answer = await stream("ok", { ...ASKING, tools: [{ type: "function", function: { name: "weather", parameters: {} } }] });
      assert.equal(answer.text, stage.sent());
      const parts = chunks(answer.text).flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
      assert.deepEqual(JSON.parse(parts.map((part) => part.function.arguments).join("")), { city: "Paris", unit: "°C" });
    });

    it("brings usage when asked for it, and only then", async () => {
      const asked = await stream("ok", ASKING);
      assert.deepEqual(chunks(asked.text).at(-1).usage, USAGE);
      const unasked = chunks((await stream("ok")).text);
      assert.ok(unasked.every(({ choices, usage }) => choices.length === 1 && !usage));
    });

    for (const [fields, whose] of [
      [ASKING, "with the usage"],
      [{}, "without it"],
    ]) {
      const expected = () => (fields === ASKING ? stage.sent() : withoutUsage(stage.sent()));

      it(`gets the [DONE] that the provider forgot, ${whose}`, async () => {
        const answer = await stream("any/no-done", fields);
        assert.equal(answer.text, fields === ASKING ? stage.sent() + DONE : expected());
      });

      it(`gets it as an event of its own, though the last line was left open, ${whose}`, async () => {
        const answer = await stream("any/no-done-no-newline", fields);
        if (fields === ASKING) assert.ok(answer.text.startsWith(stage.sent()));
        expectOneDone(answer.text);
        assert.equal(streamedText(answer.text), ANSWER);
      });

      it(`gets no second [DONE] where the first one lacks its empty line, ${whose}`, async () => {
        const answer = await stream("any/no-final-newline", fields);
        if (fields === ASKING) assert.ok(answer.text.startsWith(stage.sent()));
        assert.equal(answer.text.split("[DONE]").length, 2, answer.text.slice(-100));
        assert.equal(streamedText(`${answer.text}\n\n`), ANSWER);
      });
    }

    it("may be one of many at a time, each with its own bytes", async () => {
      const names = Array.from({ length: 20 }, (_, n) => `many-${n}`);
      for (const name of names) {
        stage.fake.behave(name, async (exchange) => {
          exchange.openStream();
          for (let n = 0; n < 5; n++) {
            exchange.write(event(`${name}.${n}`));
            await exchange.sleep(5);
          }
          exchange.write(FINISH + DONE);
          exchange.end();
        });
      }
      const answers = await Promise.all(names.map((name) => stream(`any/${name}`)));
      const expected = (name) => [0, 1, 2, 3, 4].map((n) => event(`${name}.${n}`)).join("") + FINISH + DONE;
      assert.deepEqual(answers.map(({ text }) => text), names.map(expected));
    });
  });

  describe("is live", () => {
    it("from the first event to the last, none waits for the next", async () => {
      const { provider, caller } = await drive(stage, "live");
      for (const n of [2, 3, 4, 5]) {
        provider.write(event(n));
        // The next one is written only when this one has arrived, so a gateway that buffers never gets on.
        assert.equal(await caller.until(`part ${n}`), event(n));
      }
      provider.write(FINISH + DONE);
      provider.end();
      assert.equal(String(await caller.rest()), FINISH + DONE);
    });

    it("down to the part of an event", async () => {
      const { provider, caller } = await drive(stage, "live-part");
      provider.write("data: {");
      assert.equal(await caller.until("{"), "data: {");
      provider.write(`${FINISH.slice(7)}${DONE}`);
      provider.end();
      expectOneDone(`data: {${await caller.rest()}`);
    });

    it("in its comments, too", async () => {
      const { provider, caller } = await drive(stage, "live-comment");
      provider.write(": still thinking\n\n");
      assert.equal(await caller.until("thinking"), ": still thinking\n\n");
      provider.write(FINISH + DONE);
      provider.end();
      await caller.rest();
    });

    it("while another one is silent", async () => {
      const silent = await drive(stage, "live-silent");
      const busy = await drive(stage, "live-busy");
      for (const n of [2, 3]) {
        busy.provider.write(event(n));
        await busy.caller.until(`part ${n}`);
      }
      for (const { provider, caller } of [busy, silent]) {
        provider.write(FINISH + DONE);
        provider.end();
        assert.equal(String(await caller.rest()), FINISH + DONE);
      }
    });
  });

  describe("that is cut", () => {
    for (const [model, how] of [
      ["ends-early", "in good order"],
      ["cut-mid-stream", "by a closed connection"],
      ["reset-mid-stream", "by a reset"],
    ]) {
      it(`${how} says so in the stream`, async () => {
        const answer = await stream(`any/${model}`);
        assert.equal(answer.status, 200);
        expectErrorFrame(answer.text, { type: "upstream_error", code: "stream_truncated", param: null });
        assert.ok(answer.text.startsWith(stage.sent()), "all that came before is there");
      });
    }

    it("inside an event says so in an event of its own", async () => {
      const answer = await stream("any/cut-mid-event", ASKING);
      assert.ok(answer.text.startsWith(stage.sent()));
      const frames = events(answer.text).map(({ data }) => data);
      assert.equal(frames.at(-1), "[DONE]");
      assert.equal(JSON.parse(frames.at(-2)).error.code, "stream_truncated");
    });

    it("never gets a finish_reason that the provider did not give", async () => {
      const answer = await stream("any/ends-early");
      assert.ok(chunks(answer.text).every((chunk) => !chunk.choices?.[0]?.finish_reason));
    });

    it("before its first event is no success", async () => {
      const answer = await stream("any/empty-stream");
      if (answer.status === 200) expectErrorFrame(answer.text, { type: "upstream_error" });
      else expectError(answer, { status: 502, type: "upstream_error" });
    });
  });

  describe("that the provider breaks off with an error of its own", () => {
    for (const model of ["error-mid-stream", "error-event"]) {
      it(`passes it on once, and ends: ${model}`, async () => {
        const answer = await stream(`any/${model}`);
        assert.ok(answer.text.startsWith(stage.sent()));
        expectErrorFrame(answer.text, { type: "server_error", code: "overloaded", param: null });
      });
    }
  });

  describe("that takes too long", () => {
    let timed;
    before(async () => {
      timed = await startStage({ config: rows({ brief: "timeout: 5" }), entry: "production.mjs" });
      await stopClock(timed.gateway);
    });
    after(() => timed.stop());

    for (const [model, how] of [
      ["stall-mid-stream", "because the provider fell silent"],
      ["trickle", "though the provider never rests"],
    ]) {
      it(`is ended ${how}, and the provider is let go`, async () => {
        const answer = await timed.openStream(`brief/${model}`);
        const beginning = await answer.until('"content":"');
        const record = timed.fake.of(model);
        await pass(timed.gateway, 4_900);
        assert.equal(record.closedEarly, false, "not before its time");
        const rest = answer.rest();
        await runOut(timed.gateway, rest);
        expectErrorFrame(beginning + (await rest), { type: "upstream_error", code: "upstream_timeout", param: null });
        await timed.expectCancelled(record);
      });
    }

    it("before its first byte is a plain error", async () => {
      for (const model of ["silent", "silent-stream"]) {
        const held = timed.held(model);
        const answering = timed.ask(`brief/${model}`, { stream: true });
        const exchange = await held;
        if (model === "silent-stream") exchange.openStream();
        await runOut(timed.gateway, answering);
        const answer = await answering;
        expectError(answer, { status: 504, type: "upstream_error", code: "upstream_timeout", param: null });
      }
    });
  });

  describe("whose caller leaves", () => {
    it("is cancelled while the provider is talking", async () => {
      const { provider, caller } = await drive(stage, "left-busy");
      caller.leave();
      const talking = setInterval(() => provider.over || provider.write(event(2)), 20);
      await stage.expectCancelled(provider.record).finally(() => clearInterval(talking));
    });

    it("is cancelled while the provider is silent", async () => {
      const { provider, caller } = await drive(stage, "left-silent");
      caller.leave();
      await stage.expectCancelled(provider.record);
    });

    it("takes no other stream along", async () => {
      const staying = await drive(stage, "staying");
      const leaving = await drive(stage, "leaving");
      leaving.caller.leave();
      await stage.expectCancelled(leaving.provider.record);
      staying.provider.write(event(2));
      assert.equal(await staying.caller.until("part 2"), event(2));
      staying.provider.write(FINISH + DONE);
      staying.provider.end();
      assert.equal(String(await staying.caller.rest()), FINISH + DONE);
    });
  });
});
