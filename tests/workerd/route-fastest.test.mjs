// `strategy: fastest`: targets that begin to respond sooner are asked more often, and each of them now and then.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ok, refusing } from "./route-behaviours.mjs";
import { REFUSALS } from "./route-speech.mjs";
import { TimedStage } from "./route-stage.mjs";

const FASTEST = "strategy: fastest";

const stage = new TimedStage();
before(() => stage.start());
after(() => stage.stop());

/** A good answer after so many milliseconds by the gateway's clock. */
const later = (advance) => async (exchange) => (await stage.gateway.control({ advance }), ok()(exchange));

/** Sends so many conversations, one at a time, because the clock is that of all; all are answered. */
async function converse(scene, count, fields) {
  for (let n = 0; n < count; n++) {
    const { answer } = await scene.chat({ ...fields, messages: [{ role: "user", content: `Conversation ${n}` }] });
    assert.equal(answer.status, 200, answer.text);
  }
}

describe("the fastest target", () => {
  for (const streams of [false, true]) {
    const slow = stage.scene({ first: "openai", second: "anthropic" }, FASTEST);

    it(`is asked more often: ${streams ? "stream" : "whole"}`, async () => {
      slow.first.plays(later(400));
      await converse(slow, 60, { stream: streams });
      const [first, second] = slow.calls;
      assert.ok(first > 0, "the other one is explored");
      assert.ok(second > 3 * first, `${slow.calls}`);
    });
  }

  const failing = stage.scene({ first: "openai", second: "anthropic" }, FASTEST);

  it("is none that fails, however soon it does", async () => {
    failing.first.plays(refusing(REFUSALS.openai.capacity));
    failing.second.plays(later(100));
    await converse(failing, 40, { stream: true });
    const [first, second] = failing.calls;
    assert.ok(first > 0 && second > 3 * first, `${failing.calls}`);
  });

  const down = stage.scene({ first: "openai", second: "anthropic", third: "gemini" }, FASTEST);

  it("is followed by the others when it fails", async () => {
    down.first.plays(refusing(REFUSALS.openai.unsupported));
    down.second.plays(refusing(REFUSALS.anthropic.unsupported));
    await converse(down, 12);
    assert.equal(down.third.calls, 12);
  });
});
