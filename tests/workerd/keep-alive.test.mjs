// Comments that keep a connection alive while a provider is silent: they come in time, never inside an event,
// and change no byte of the response.
//
// Unless the machine is kept busy on purpose, the gateway's clock hardly moves by itself: comments are due when a test
// says so.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { until } from "./client.mjs";
import { blocks, expectError, expectErrorFrame, expectOneDone } from "./expect.mjs";
import { SLOW } from "./harness.mjs";
import { PACE, paced } from "./pace.mjs";
import { ASKING, freshId, rows, startStage } from "./stage.mjs";

const COMMENT = ": keep-alive\n\n";
const SECOND = 1_000;
/** Longer than any stream here that must not get a comment. */
const MINUTE = 60_000;

/** The interval of each row, in milliseconds of the gateway's clock. */
const INTERVALS = { kept: 6_000, checked: 6_000, brisk: 2_000, "brisk-checked": 2_000, default: 15_000, off: Infinity };
const config = rows({
  kept: "keep_alive: 6",
  checked: "keep_alive: 6, relay: checked",
  brisk: "keep_alive: 2",
  "brisk-checked": "keep_alive: 2, relay: checked",
  off: "keep_alive: 0",
  default: "",
});

const content = (exchange, text) => event(chunk(exchange.request, { content: text }));
const role = ({ request }) => event(chunk(request, { role: "assistant", content: "" }));
const ending = ({ request }) => answerEvents(request).slice(-2).join("") + DONE;

/**
 * Asserts that `bytes` are `sent` and comments, none of them inside an event. Returns the number of comments.
 */
function expectBetweenEvents(bytes, sent) {
  // A comment may have come between the bytes of a character, so nothing is decoded.
  const [text, whole] = [bytes, sent].map((buffer) => buffer.toString("latin1"));
  const parts = text.split(COMMENT);
  if (parts.join("") !== whole) assert.fail(`not the bytes that were sent: ${difference(parts.join(""), whole)}`);
  const borders = new Set([0]);
  blocks(whole).reduce((at, block) => borders.add(at + block.length) && at + block.length, 0);
  parts.slice(0, -1).reduce((at, part) => {
    assert.ok(borders.has(at + part.length), `a comment inside an event: …${text.slice(Math.max(0, at + part.length - 60), at + part.length + 60)}`);
    return at + part.length;
  }, 0);
  return parts.length - 1;
}

/** The position where two texts differ, and the text there. */
function difference(text, wanted) {
  let at = 0;
  while (at < text.length && text[at] === wanted[at]) at++;
  const around = (side) => JSON.stringify(side.slice(Math.max(0, at - 40), at + 80));
  return `${text.length} bytes instead of ${wanted.length}, at ${at} ${around(text)} instead of ${around(wanted)}`;
}

/** The number of comments in bytes. A comment may have come between the bytes of a character. */
const commentsIn = (bytes) => bytes.toString("latin1").split(COMMENT).length - 1;

describe("a silent stream is kept alive", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, entry: "production.mjs" });
    await stage.gateway.control({ speed: SLOW });
  });
  after(() => stage.stop());

  let played = 0;

  const pass = (ms) => stage.gateway.pass(ms);

  /** A stream whose provider is driven by the test, and what its client has seen of it. */
  async function begin(provider) {
    const [model, id] = [`played-${++played}`, freshId()];
    const held = stage.held(model);
    const seen = { status: undefined, bytes: Buffer.alloc(0) };
    const reading = (async () => {
      const answer = await stage.openStream(`${provider}/${model}`, ASKING, { "x-request-id": id });
      seen.status = answer.status;
      for (let part = await answer.next(); part !== null; part = await answer.next()) seen.bytes = Buffer.concat([seen.bytes, part]);
    })();
    reading.catch(() => {});
    const exchange = await held;
    exchange.openStream();
    const { record } = exchange;
    let passed = 0;
    return {
      seen,
      exchange,
      comments: () => commentsIn(seen.bytes),
      /** The provider writes these; the gateway has dealt with them. */
      write: async (...pieces) => {
        for (const piece of pieces) exchange.write(piece);
        await pass();
      },
      /** The client has everything that the provider has written, but for so many bytes that the gateway may hold. */
      caughtUp: (held = 0) => until(() => seen.bytes.length - COMMENT.length * commentsIn(seen.bytes) + held >= Buffer.concat(record.sent).length, "what the provider wrote"),
      pass: (ms) => ((passed += ms), pass(ms)),
      /** The stream ends in this way. Returns all that came of it. */
      over: async (finish = (exchange) => (exchange.write(ending(exchange)), exchange.end())) => {
        finish(exchange);
        await reading;
        const { status, bytes } = seen;
        return { answer: { status, bytes, text: bytes.toString(), headers: {} }, passed, end: await stage.end(id), record };
      },
    };
  }

  /**
   * Requests a stream of `turns`: in each, the provider writes its pieces and is then silent for the given number of
   * comments, none of which is early, or late by more than `late` seconds. Of the pieces, the gateway may hold `held`
   * bytes. Returns what came of it.
   */
  async function keep(provider, turns, finish, late = 1) {
    const stream = await begin(provider);
    let comments = 0;
    for (const [pieces, count, held = 0] of turns) {
      await stream.write(...pieces(stream.exchange));
      await stream.caughtUp(held);
      for (const last = comments + count; comments < last; ) {
        // In steps, because the gateway looks at a native stream once a second.
        for (let passed = SECOND; passed < INTERVALS[provider]; passed += SECOND) await stream.pass(SECOND);
        assert.equal(stream.comments(), comments, "no comment is early");
        comments += 1;
        await stream.pass(SECOND);
        for (let second = 0; second < late && stream.comments() < comments; second++) await stream.pass(SECOND);
        await until(() => stream.comments() >= comments, `comment ${comments}`);
      }
    }
    return stream.over(finish);
  }

  /** Asserts a complete response with so many comments between its events. */
  function expectKept({ answer, end, record }, count) {
    assert.equal(answer.status, 200, answer.text);
    assert.equal(expectBetweenEvents(answer.bytes, Buffer.concat(record.sent)), count, "comments");
    expectOneDone(answer.text);
    const { outcome, input_tokens, output_tokens } = end;
    assert.deepEqual({ outcome, input_tokens, output_tokens }, { outcome: "complete", input_tokens: 9, output_tokens: 7 });
  }

  for (const [how, slow, brisk] of [
    ["natively", "kept", "brisk"],
    ["checked", "checked", "brisk-checked"],
  ]) {
    describe(how, () => {
      describe("before its first content", () => {
        it("by a response that begins, and the later content follows", async () => {
          expectKept(await keep(slow, [[(exchange) => [role(exchange)], 2, Infinity], [(exchange) => [content(exchange, "late")], 0]]), 2);
        });

        for (const [what, filler] of [
          ["nothing", undefined],
          ["roles", role],
          ["pings", () => ": ping\n\n"],
          ["empty deltas", ({ request }) => event(chunk(request, { content: "" }))],
        ]) {
          it(`when the time has come, and not before, though the provider keeps on sending ${what}`, async () => {
            const stream = await begin(slow);
            await stream.write(role(stream.exchange));
            for (let second = 0; second < INTERVALS[slow] / SECOND; second++) {
              assert.equal(stream.seen.status, undefined, `the response began after ${second} s`);
              await stream.pass(SECOND);
              if (filler) await stream.write(filler(stream.exchange));
            }
            await until(() => stream.comments() > 0, "the first comment");
            await stream.write(content(stream.exchange, "late"));
            const { text } = (await stream.over()).answer;
            assert.ok(text.indexOf('"role":"assistant"') < text.indexOf(COMMENT) && text.indexOf(COMMENT) < text.indexOf("late"), text);
          });
        }

        for (const [what, fault, wanted] of [
          ["a cut", (exchange) => exchange.end(), { type: "upstream_error", code: "stream_truncated", param: null }],
          ["a reset", (exchange) => exchange.reset(), { type: "upstream_error", code: "stream_truncated", param: null }],
          [
            "an error",
            (exchange) => {
              exchange.write(event('{"error":{"message":"Overloaded.","type":"server_error","param":null,"code":"overloaded"}}'));
              exchange.end();
            },
            { type: "server_error", code: "overloaded", param: null },
          ],
        ]) {
          it(`after which ${what} is told in the stream`, async () => {
            const { answer, end } = await keep(brisk, [[(exchange) => [role(exchange)], 1, Infinity]], fault);
            assert.equal(answer.status, 200, answer.text);
            expectErrorFrame(answer.text, wanted);
            assert.equal(end.event, "request_error");
          });
        }

        it("which an earlier fault forestalls with a plain error", async () => {
          stage.fake.behave(`faulty-${how}`, (exchange) => {
            exchange.openStream();
            exchange.write(role(exchange));
            exchange.end();
          });
          const answer = await stage.ask(`${slow}/faulty-${how}`, { stream: true, ...ASKING });
          expectError(answer, { status: 502, type: "upstream_error", code: "stream_truncated" });
        });
      });

      it("in its midst, and every later byte comes once, in order", async () => {
        const later = (exchange) => ["two", "three"].map((text) => content(exchange, text));
        expectKept(await keep(slow, [[(exchange) => [content(exchange, "one")], 2], [later, 0]]), 2);
      });

      it("over many silences", async () => {
        const turn = (n) => [(exchange) => ["a", "b"].map((letter) => content(exchange, `${n}${letter}`)), 1];
        expectKept(await keep(brisk, Array.from({ length: 6 }, (_, n) => turn(n))), 6);
      });

      it("after much has flowed without a pause", async () => {
        const much = (exchange) => Array.from({ length: 300 }, (_, n) => content(exchange, `${n} `.repeat(200)));
        // Where events come fast, two of them may wait for a third.
        const turns = [[much, 1, 5_000], [(exchange) => [content(exchange, "rest")], 0, 5_000]];
        // It takes the gateway several looks at a native stream to see all that has flowed.
        expectKept(await keep(slow, turns, undefined, 5), 1);
      });

      it("as soon as each comment is due, not when the next event comes", async () => {
        expectKept(await keep(brisk, [[(exchange) => [content(exchange, "one")], 4]]), 4);
      });

      for (const [what, cut] of [
        ["a line", (text) => [text.slice(0, 50), text.slice(50)]],
        ["an event, between its lines", (text) => ["event: message\n", text]],
        ["an event's last two bytes", (text) => [text.slice(0, -1), text.slice(-1)]],
        ["a character", (text) => [0, 1].map((n) => Buffer.from(text).subarray(...(n ? [Buffer.from(text).indexOf("é") + 1] : [0, Buffer.from(text).indexOf("é") + 1])))],
      ]) {
        for (const [which, before] of [["", (exchange) => content(exchange, "one")], [" that is the first", role]]) {
          it(`but not in the midst of ${what}${which}`, async () => {
            const stream = await begin(brisk);
            const [head, tail] = cut(content(stream.exchange, "café au lait"));
            await stream.write(before(stream.exchange), head);
            for (let second = 0; second < 5; second++) await stream.pass(SECOND);
            await stream.write(tail, content(stream.exchange, "three"));
            const { answer, passed, record, ...rest } = await stream.over();
            const count = expectBetweenEvents(answer.bytes, Buffer.concat(record.sent));
            assert.ok(count <= passed / INTERVALS[brisk], `${count} comments in ${passed} ms`);
            expectKept({ answer, record, ...rest }, count);
          });
        }
      }

      for (const [what, provider, gap] of [["a busy one gets no comments", slow, 1_000], ["one that is busy at a brisk pace gets none either", brisk, 400]]) {
        it(`but ${what}`, async () => {
          const stream = await begin(provider);
          for (let passed = 0; passed < 3 * INTERVALS[provider]; passed += gap) {
            await stream.write(content(stream.exchange, `${passed}`));
            await stream.caughtUp();
            await stream.pass(gap);
          }
          expectKept(await stream.over(), 0);
        });
      }

      it("and is still cancelled when its client leaves in the silence", async () => {
        const held = stage.held(`left-${how}`);
        const id = freshId();
        const answering = stage.openStream(`${brisk}/left-${how}`, ASKING, { "x-request-id": id });
        const provider = await held;
        provider.openStream();
        provider.write(content(provider, "one"));
        const answer = await answering;
        for (let count = 0; count < 2; count++) {
          await pass(INTERVALS[brisk] + SECOND);
          await answer.until(COMMENT);
        }
        answer.leave();
        await stage.expectCancelled(provider.record);
        assert.equal((await stage.end(id)).outcome, "client_closed");
      });
    });
  }

  it("checked, by comments while an event comes bit by bit and nothing can pass", async () => {
    const bits = (exchange) => content(exchange, "x".repeat(200)).match(/[^]{1,40}/g);
    const first = (exchange) => [content(exchange, "one"), bits(exchange)[0]];
    const turns = [[first, 1, Infinity], [(exchange) => [bits(exchange)[1]], 1, Infinity], [(exchange) => bits(exchange).slice(2), 0]];
    expectKept(await keep("brisk-checked", turns), 2);
  });

  for (const [provider, silence, why] of [
    ["off", MINUTE, "where it is switched off"],
    ["default", INTERVALS.default - SECOND, "for less than fifteen seconds"],
  ]) {
    it(`not ${why}`, async () => {
      const stream = await begin(provider);
      for (const piece of [role(stream.exchange), content(stream.exchange, "one"), content(stream.exchange, "two")]) {
        await stream.write(piece);
        await stream.pass(silence);
      }
      expectKept(await stream.over(), 0);
    });
  }

  it("after fifteen seconds where nothing else is said", async () => {
    expectKept(await keep("default", [[(exchange) => [content(exchange, "one")], 1]]), 1);
  });
});

// In real time, and one at a time, because each keeps the machine busy.
describe("a silent stream is kept alive under load", () => {
  const [KEEP_ALIVE_MS, BRISK_MS] = [600, 200];
  let stage;
  before(async () => {
    const kinds = {
      kept: `keep_alive: ${paced(KEEP_ALIVE_MS / 1000)}`,
      brisk: `keep_alive: ${paced(BRISK_MS / 1000)}`,
      "brisk-checked": `keep_alive: ${paced(BRISK_MS / 1000)}, relay: checked`,
    };
    stage = await startStage({ config: rows(kinds), pace: PACE });
  });
  after(() => stage.stop());

  /** A stream of pieces. A number is a pause in milliseconds. */
  const telling = (pieces) => async (exchange) => {
    exchange.openStream();
    for (const piece of [...pieces(exchange), ending(exchange)]) {
      if (exchange.over) return;
      if (typeof piece === "number") await exchange.sleep(piece);
      else exchange.write(piece);
    }
    exchange.end();
  };

  it("natively to the byte, though an event comes just as the comment is due, in each of many streams", async () => {
    const nearly = (n) => (exchange) => {
      // The pieces come from shortly before to shortly after the interval, at another moment in each
      // stream.
      const pause = KEEP_ALIVE_MS - 15 + (n % 30);
      return [0, 1, 2].flatMap((turn) => [content(exchange, `${turn}a`), pause, content(exchange, `${turn}b`)]);
    };
    const seen = await Promise.all(
      Array.from({ length: 90 }, (_, n) => {
        stage.fake.behave(`nearly-${n}`, telling(nearly(n)));
        return stage.watch(`kept/nearly-${n}`, { stream: true, ...ASKING });
      }),
    );
    for (const { answer, took, end, record } of seen) {
      assert.equal(answer.status, 200, answer.text);
      const count = expectBetweenEvents(answer.bytes, Buffer.concat(record.sent));
      const most = Math.floor(took / paced(KEEP_ALIVE_MS));
      assert.ok(count <= most, `${count} comments instead of ${most} in ${took} ms`);
      expectOneDone(answer.text);
      const { outcome, input_tokens, output_tokens } = end;
      assert.deepEqual({ outcome, input_tokens, output_tokens }, { outcome: "complete", input_tokens: 9, output_tokens: 7 });
    }
  });

  for (const [how, provider] of [
    ["natively", "brisk"],
    ["checked", "brisk-checked"],
  ]) {
    it(`${how} without losing what a slow reader has not taken yet`, async () => {
      const model = `backlog-${how}`;
      const megabyte = (exchange) => content(exchange, "x".repeat(1 << 20));
      stage.fake.behave(model, telling((exchange) => [content(exchange, "one"), ...Array(24).fill(megabyte(exchange)), 1200, content(exchange, "rest")]));
      const answer = await stage.openStream(`${provider}/${model}`, ASKING);
      // The provider has written everything and is silent, while this client has read next to nothing.
      await sleep(paced(1000));
      expectBetweenEvents(await answer.rest(), Buffer.concat(stage.fake.of(model).sent));
    });
  }
});
