// Comments that keep a connection alive while a provider is silent: they come in time, never inside an event,
// and change no byte of the response.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { blocks, expectError, expectErrorFrame, expectOneDone } from "./expect.mjs";
import { inOneOf, PACE, paced } from "./pace.mjs";
import { ASKING, freshId, rows, startStage } from "./stage.mjs";

const COMMENT = ": keep-alive\n\n";
const KEEP_ALIVE_MS = 600;
const BRISK_MS = 200;
const TRIES = 3;

const config = rows({
  kept: `keep_alive: ${paced(KEEP_ALIVE_MS / 1000)}`,
  checked: `keep_alive: ${paced(KEEP_ALIVE_MS / 1000)}, relay: checked`,
  brisk: `keep_alive: ${paced(BRISK_MS / 1000)}`,
  "brisk-checked": `keep_alive: ${paced(BRISK_MS / 1000)}, relay: checked`,
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

describe("a silent stream is kept alive", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, pace: PACE });
  });
  after(() => stage.stop());

  let played = 0;

  function ask(provider, play, fields = ASKING) {
    const model = `played-${++played}`;
    stage.fake.behave(model, play);
    return stage.watch(`${provider}/${model}`, { stream: true, ...fields });
  }

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

  /**
   * Requests a stream of `turns`: in each, the provider writes its pieces and is then silent until its client
   * has seen the given number of comments. Returns the result of `stage.watch` and the milliseconds at which
   * each comment was seen (`seen`).
   */
  async function keep(provider, turns, finish = (exchange) => (exchange.write(ending(exchange)), exchange.end())) {
    const [model, id] = [`played-${++played}`, freshId()];
    const held = stage.held(model);
    const asked = performance.now();
    const answering = stage.openStream(`${provider}/${model}`, ASKING, { "x-request-id": id });
    const exchange = await held;
    exchange.openStream();
    const [parts, seen] = [[], []];
    let comments = 0;
    for (const [pieces, count] of turns) {
      pieces(exchange).forEach((piece) => exchange.write(piece));
      const answer = await answering;
      for (comments += count; seen.length < comments; ) {
        const part = await answer.next();
        assert.ok(part, `the stream ended after ${seen.length} comments`);
        parts.push(part);
        while (seen.length < Buffer.concat(parts).toString("latin1").split(COMMENT).length - 1) seen.push(performance.now() - asked);
      }
    }
    finish(exchange);
    const answer = await answering;
    parts.push(await answer.rest());
    const bytes = Buffer.concat(parts);
    const took = performance.now() - asked;
    return { answer: { status: answer.status, bytes, text: bytes.toString() }, took, seen, end: await stage.end(id), record: exchange.record };
  }

  /**
   * Asserts a complete response with at least `least` comments between its events, at most one per `interval`
   * milliseconds.
   */
  function expectKept({ answer, took, end, record }, least, interval) {
    assert.equal(answer.status, 200, answer.text);
    const count = expectBetweenEvents(answer.bytes, Buffer.concat(record.sent));
    const most = interval ? Math.floor(took / paced(interval)) : 0;
    assert.ok(count >= least && count <= most, `${count} comments instead of ${least} to ${most} in ${took} ms`);
    expectOneDone(answer.text);
    const { outcome, input_tokens, output_tokens } = end;
    assert.deepEqual({ outcome, input_tokens, output_tokens }, { outcome: "complete", input_tokens: 9, output_tokens: 7 });
  }

  for (const [how, slow, brisk] of [
    ["natively", "kept", "brisk"],
    ["checked", "checked", "brisk-checked"],
  ]) {
    describe(how, { concurrency: 4 }, () => {
      describe("before its first content", { concurrency: 4 }, () => {
        it("by a response that begins, and the later content follows", async () => {
          expectKept(await keep(slow, [[(exchange) => [role(exchange)], 2], [(exchange) => [content(exchange, "late")], 0]]), 2, KEEP_ALIVE_MS);
        });

        for (const [what, filler] of [
          ["nothing", undefined],
          ["roles", role],
          ["pings", () => ": ping\n\n"],
          ["empty deltas", ({ request }) => event(chunk(request, { content: "" }))],
        ]) {
          it(`when the time has come, and not before, though the provider keeps on sending ${what}`, async () => {
            const model = `${what.replace(" ", "-")}-${how}`;
            const begun = Promise.withResolvers();
            stage.fake.behave(model, async (exchange) => {
              exchange.openStream();
              exchange.write(role(exchange));
              const filling = filler && setInterval(() => exchange.write(filler(exchange)), 100);
              // No content comes before the response has begun.
              await begun.promise.finally(() => clearInterval(filling));
              exchange.write(content(exchange, "late") + ending(exchange));
              exchange.end();
            });
            const asked = performance.now();
            const answer = await stage.openStream(`${slow}/${model}`, ASKING).finally(begun.resolve);
            const took = performance.now() - asked;
            const text = `${await answer.until(COMMENT)}${await answer.rest()}`;
            assert.ok(took >= paced(KEEP_ALIVE_MS) - 5, `the response began after ${took} ms`);
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
            const { answer, end } = await keep(brisk, [[(exchange) => [role(exchange)], 1]], fault);
            assert.equal(answer.status, 200, answer.text);
            expectErrorFrame(answer.text, wanted);
            assert.equal(end.event, "request_error");
          });
        }

        it("which an earlier fault forestalls with a plain error", async () => {
          const play = async (exchange) => {
            exchange.openStream();
            exchange.write(role(exchange));
            await exchange.sleep(20);
            exchange.end();
          };
          await inOneOf(TRIES, async () => expectError((await ask(slow, play)).answer, { status: 502, type: "upstream_error", code: "stream_truncated" }));
        });
      });

      it("in its midst, and every later byte comes once, in order", async () => {
        const later = (exchange) => ["two", "three"].map((text) => content(exchange, text));
        expectKept(await keep(slow, [[(exchange) => [content(exchange, "one")], 2], [later, 0]]), 2, KEEP_ALIVE_MS);
      });

      it("over many silences", async () => {
        const turn = (n) => [(exchange) => ["a", "b"].map((letter) => content(exchange, `${n}${letter}`)), 1];
        expectKept(await keep(brisk, Array.from({ length: 6 }, (_, n) => turn(n))), 6, BRISK_MS);
      });

      it("after much has flowed without a pause", async () => {
        const much = (exchange) => Array.from({ length: 300 }, (_, n) => content(exchange, `${n} `.repeat(200)));
        expectKept(await keep(slow, [[much, 1], [(exchange) => [content(exchange, "rest")], 0]]), 1, KEEP_ALIVE_MS);
      });

      it("as soon as each comment is due, not when the next event comes", async () => {
        const kept = await keep(brisk, [[(exchange) => [content(exchange, "one")], 4]]);
        expectKept(kept, 4, BRISK_MS);
        kept.seen.forEach((at, n) => assert.ok(at >= paced((n + 1) * BRISK_MS) - 5, `comment ${n + 1} after ${at} ms`));
      });

      for (const [what, cut] of [
        ["a line", (text) => [text.slice(0, 50), text.slice(50)]],
        ["an event, between its lines", (text) => ["event: message\n", text]],
        ["an event's last two bytes", (text) => [text.slice(0, -1), text.slice(-1)]],
        ["a character", (text) => [0, 1].map((n) => Buffer.from(text).subarray(...(n ? [Buffer.from(text).indexOf("é") + 1] : [0, Buffer.from(text).indexOf("é") + 1])))],
      ]) {
        it(`but not in the midst of ${what}`, async () => {
          const pieces = (exchange) => {
            const [head, tail] = cut(content(exchange, "café au lait"));
            return [content(exchange, "one"), head, 500, tail, content(exchange, "three")];
          };
          expectKept(await ask(brisk, telling(pieces)), 0, BRISK_MS);
        });

        it(`but not in the midst of ${what} that is the first`, async () => {
          const pieces = (exchange) => {
            const [head, tail] = cut(content(exchange, "café au lait"));
            return [role(exchange), head, 500, tail, content(exchange, "three")];
          };
          expectKept(await ask(brisk, telling(pieces)), 0, BRISK_MS);
        });
      }

      it("but a busy one gets no comments", async () => {
        const busy = telling((exchange) => Array.from({ length: 14 }, (_, n) => [content(exchange, `${n}`), 100]).flat());
        await inOneOf(TRIES, async () => expectKept(await ask(slow, busy), 0));
      });

      it("but one that is busy at a brisk pace gets none either", async () => {
        const busy = telling((exchange) => Array.from({ length: 28 }, (_, n) => [content(exchange, `${n}`), 40]).flat());
        await inOneOf(TRIES, async () => expectKept(await ask(brisk, busy), 0));
      });

      it("and is still cancelled when its client leaves in the silence", async () => {
        const held = stage.held(`left-${how}`);
        const id = freshId();
        const answering = stage.openStream(`${brisk}/left-${how}`, ASKING, { "x-request-id": id });
        const provider = await held;
        provider.openStream();
        provider.write(content(provider, "one"));
        const answer = await answering;
        await answer.until(COMMENT);
        await answer.until(COMMENT);
        answer.leave();
        await stage.expectCancelled(provider.record);
        assert.equal((await stage.end(id)).outcome, "client_closed");
      });

    });
  }

  it("checked, by comments while an event comes bit by bit and nothing can pass", async () => {
    const bits = (exchange) => content(exchange, "x".repeat(200)).match(/[^]{1,40}/g);
    const first = (exchange) => [content(exchange, "one"), bits(exchange)[0]];
    const turns = [[first, 1], [(exchange) => [bits(exchange)[1]], 1], [(exchange) => bits(exchange).slice(2), 0]];
    expectKept(await keep("brisk-checked", turns), 2, BRISK_MS);
  });

  for (const [provider, why] of [
    ["off", "where it is switched off"],
    ["default", "for less than fifteen seconds"],
  ]) {
    it(`not ${why}`, async () => {
      expectKept(await ask(provider, telling((exchange) => [role(exchange), 700, content(exchange, "one"), 700, content(exchange, "two")])), 0);
    });
  }

  // One at a time, because each keeps the machine busy.
  describe("under load", () => {
    it("natively to the byte, though an event comes just as the comment is due, in each of many streams", async () => {
      const nearly = (n) => (exchange) => {
        // The pieces come from shortly before to shortly after the interval, at another moment in each
        // stream.
        const pause = KEEP_ALIVE_MS - 15 + (n % 30);
        return [0, 1, 2].flatMap((turn) => [content(exchange, `${turn}a`), pause, content(exchange, `${turn}b`)]);
      };
      const seen = await Promise.all(Array.from({ length: 90 }, (_, n) => ask("kept", telling(nearly(n)))));
      for (const one of seen) expectKept(one, 0, KEEP_ALIVE_MS);
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
});
