// However the network cuts a stream, the client gets the same bytes. Every cut between two bytes occurs some
// day.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { ASKING, QUIET, rows, startStage } from "./stage.mjs";

const TRIES = 36;

/** Numbers from 0 to below `limit` that look random and are the same in each run (mulberry32). */
function dice(seed) {
  return (limit) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

const REQUEST = { model: "m", stream_options: { include_usage: true } };
const [ROLE, ...REST] = answerEvents(REQUEST);
const LONG = event(chunk(REQUEST, { content: "Ünïcödé 你好 😀 ".repeat(3000) }));

// Examples of everything that a stream may contain.
const MIXED = [
  ": OPENROUTER PROCESSING\n\n",
  ROLE,
  "event: ping\nid: 1\nretry: 10\n\n",
  ...REST.slice(0, 4),
  `event: message\nid: 7\n${LONG}`,
  ": 你好\n\n\n",
  "data:{\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"two lines\"}}]}\n\n",
  ...REST.slice(4),
].join("");
const MALFORMED = MIXED.replace("event: ping", "data: {oops\n\ndata: Internal Server Error\n\nevent: ping");
const CRLF = MIXED.replaceAll("\n", "\r\n");

// The provider's bytes; those that a native and a checked stream deliver; and those for a client that did not
// request usage.
const USAGE_EVENT = /data: \{[^\r\n]*"choices":\[\],[^\r\n]*(\r\n\r\n|\n\n)/;
const STREAMS = [
  ["of all kinds of events", MIXED + DONE, { native: MIXED + DONE, checked: MIXED + DONE }],
  ["of CRLF", CRLF + DONE, { native: CRLF + DONE, checked: CRLF + DONE }],
  ["with malformed events", MALFORMED + DONE, { native: MALFORMED + DONE, checked: MIXED + DONE }],
  ["without [DONE]", MIXED, { native: MIXED + DONE, checked: MIXED + DONE }],
].map(([what, bytes, wanted]) => [what, Buffer.from(bytes), { ...wanted, hiding: wanted.checked.replace(USAGE_EVENT, "") }]);

describe("a stream cut anywhere", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config: rows({ native: `relay: native, ${QUIET}`, checked: `relay: checked, ${QUIET}`, hiding: `stream_usage: hide, ${QUIET}` }) });
  });
  after(() => stage.stop());

  /**
   * Writes `bytes` in pieces of random length, sometimes with a pause, and sometimes cut inside the most
   * delicate sequences.
   */
  const cutting = (bytes, next) => async (exchange) => {
    exchange.openStream();
    const most = [3, 40, 400, 5000, 60_000][next(5)];
    for (let at = 0; at < bytes.length; ) {
      // Small pieces at the beginning and the end, where most happens. The long event in the middle is
      // written in larger ones.
      const inLong = at > 3000 && bytes.length - at > 2000;
      const length = 1 + next(inLong ? Math.max(most, 2000) : most);
      exchange.write(bytes.subarray(at, at + length));
      at += length;
      if (next(3) === 0) await exchange.sleep(next(4));
      else if (next(2)) await new Promise(setImmediate);
    }
    exchange.end();
  };

  for (const [what, bytes, wanted] of STREAMS) {
    for (const way of ["native", "checked", "hiding"]) {
      it(`brings the same bytes: ${way}, ${what}`, async () => {
        const tries = Array.from({ length: TRIES }, async (_, seed) => {
          const model = `${way}-${what}-${seed}`;
          stage.fake.behave(model, cutting(bytes, dice(seed)));
          const answer = await stage.ask(`${way}/${model}`, { stream: true, ...(way === "hiding" ? {} : ASKING) });
          assert.equal(answer.status, 200, answer.text.slice(0, 300));
          assert.ok(answer.text === wanted[way], `seed ${seed}: ${answer.text.length} characters instead of ${wanted[way].length}, …${answer.text.slice(-200)}`);
        });
        await Promise.all(tries);
      });
    }
  }
});
