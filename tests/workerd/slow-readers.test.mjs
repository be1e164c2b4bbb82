// Clients that do not read for a while: the provider's idle deadline stops, its total deadline does not.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { settled } from "./client.mjs";
import { expectErrorFrame, expectOneDone } from "./expect.mjs";
import { ASKING, freshId, rows, startStage } from "./stage.mjs";
import { pass, runOut, stopClock } from "./timed.mjs";

// More than the sockets on the way can hold.
const PIECES = 96;
const PIECE = "x".repeat(256 << 10);
const TOTAL_MS = 5000;

const config = rows({
  idle: "clocks: { idle: 60 }",
  total: `clocks: { total: ${TOTAL_MS / 1000} }`,
  kept: `clocks: { total: ${TOTAL_MS / 1000} }, keep_alive: 0.2`,
});

// One at a time, because each keeps the machine busy.
describe("a client that does not read for a while", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, entry: "production.mjs" });
  });
  after(() => stage.stop());

  /** The provider begins a stream, and floods it once its head has reached the client. */
  const flood = (ends, opened) => async (exchange) => {
    exchange.openStream();
    exchange.write(answerEvents(exchange.request).slice(0, 2).join(""));
    await opened;
    const piece = event(chunk(exchange.request, { content: PIECE }));
    for (let n = 0; n < PIECES; n++) exchange.write(piece);
    if (!ends) return;
    exchange.write(answerEvents(exchange.request).slice(-2).join("") + DONE);
    exchange.end();
  };

  let played = 0;

  /** Requests a flood, and reads only its head before `rest` is called. Resolves when nothing more is taken of it. */
  async function ask(provider, ends, fields) {
    const [model, id] = [`flood-${++played}`, freshId()];
    const opened = Promise.withResolvers();
    let exchange;
    stage.fake.behave(model, (found) => flood(ends, opened.promise)((exchange = found)));
    const answer = await stage.openStream(`${provider}/${model}`, fields, { "x-request-id": id });
    assert.equal(answer.status, 200);
    opened.resolve();
    const left = await settled(() => exchange.backlog);
    assert.ok(left > PIECE.length, `${left} bytes wait at the provider`);
    return { answer, id, record: exchange.record };
  }

  for (const [how, fields] of [
    ["native", ASKING],
    ["checked", {}],
  ]) {
    it(`gets all of a ${how} stream in the end: its provider was not silent`, async () => {
      const { answer, id } = await ask("idle", true, fields);
      await pass(stage.gateway, 300_000);
      const text = (await answer.rest()).toString();
      expectOneDone(text);
      assert.equal(text.split(PIECE).length - 1, PIECES, "the whole answer");
      assert.equal((await stage.end(id)).outcome, "complete");
    });

    for (const provider of ["total", "kept"]) {
      it(`cannot keep the provider of a ${how} stream at work beyond the time for the whole (${provider})`, async () => {
        await stopClock(stage.gateway);
        const { answer, id, record } = await ask(provider, false, fields);
        await runOut(stage.gateway, record.closed);
        const end = await stage.end(id, "request_error");
        assert.equal(end.outcome, "timed_out");
        assert.ok(end.duration_ms >= TOTAL_MS, `${end.duration_ms} ms`);
        await stage.expectCancelled(record);
        const text = (await answer.rest()).toString();
        expectErrorFrame(text, { type: "upstream_error", code: "upstream_timeout", param: null });
        await stage.gateway.control({ speed: 1 });
      });
    }
  }
});
