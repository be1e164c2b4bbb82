// Clients that do not read for a while: the provider's idle deadline stops, its total deadline does not.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { expectErrorFrame, expectOneDone } from "./expect.mjs";
import { inOneOf, PACE, paced } from "./pace.mjs";
import { ASKING, freshId, rows, startStage } from "./stage.mjs";

// More than the sockets on the way can hold.
const PIECES = 96;
const PIECE = "x".repeat(256 << 10);
const TOTAL_MS = 1000;

const config = rows({
  idle: `clocks: { idle: ${paced(0.9)} }`,
  total: `clocks: { total: ${paced(TOTAL_MS / 1000)} }`,
  kept: `clocks: { total: ${paced(TOTAL_MS / 1000)} }, keep_alive: ${paced(0.2)}`,
});

// One at a time, because each keeps the machine busy.
describe("a client that does not read for a while", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, pace: PACE });
    // The first request takes longer than others.
    await stage.ask("idle/ok");
  });
  after(() => stage.stop());

  const flood = (ends) => async (exchange) => {
    exchange.openStream();
    exchange.write(answerEvents(exchange.request).slice(0, 2).join(""));
    // The response's head has reached the client before the flood.
    await exchange.sleep(50);
    const piece = event(chunk(exchange.request, { content: PIECE }));
    for (let n = 0; n < PIECES; n++) exchange.write(piece);
    if (!ends) return;
    exchange.write(answerEvents(exchange.request).slice(-2).join("") + DONE);
    exchange.end();
  };

  let played = 0;

  /** Requests a flood, and reads only its head before `rest` is called. */
  async function ask(provider, play, fields) {
    const [model, id] = [`flood-${++played}`, freshId()];
    stage.fake.behave(model, play);
    const answer = await stage.openStream(`${provider}/${model}`, fields, { "x-request-id": id });
    assert.equal(answer.status, 200);
    return { answer, id, record: stage.fake.of(model) };
  }

  for (const [how, fields] of [
    ["native", ASKING],
    ["checked", {}],
  ]) {
    it(`gets all of a ${how} stream in the end: its provider was not silent`, async () => {
      // If the machine stands still, the provider is silent, too.
      await inOneOf(3, async () => {
        const { answer, id } = await ask("idle", flood(true), fields);
        await sleep(paced(1500));
        const text = (await answer.rest()).toString();
        expectOneDone(text);
        assert.equal(text.split(PIECE).length - 1, PIECES, "the whole answer");
        assert.equal((await stage.end(id)).outcome, "complete");
      });
    });

    for (const provider of ["total", "kept"]) {
      it(`cannot keep the provider of a ${how} stream at work beyond the time for the whole (${provider})`, async () => {
        const { answer, id, record } = await ask(provider, flood(false), fields);
        const end = await stage.end(id, "request_error");
        assert.equal(end.outcome, "timed_out");
        assert.ok(end.duration_ms >= paced(TOTAL_MS) - 5, `${end.duration_ms} ms`);
        await stage.expectCancelled(record);
        const text = (await answer.rest()).toString();
        expectErrorFrame(text, { type: "upstream_error", code: "upstream_timeout", param: null });
      });
    }
  }
});
