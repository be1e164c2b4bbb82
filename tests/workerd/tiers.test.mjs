// A tier, speed or region that only the response names has a price of its own. If that is unknown, the
// standard price is never used instead.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { as, call, HELLO } from "./client.mjs";
import { OFFICE, Office } from "./office.mjs";
import { event, json, startScripted, stream } from "./scripted.mjs";

const ROWS = {
  listed: ["openai", "catalogue: openai"],
  shown: ["openai", "catalogue: openai, stream_usage: show"],
  claude: ["anthropic", "catalogue: anthropic"],
  google: ["gemini", "catalogue: google"],
};
const [MANY, SAID] = [1_000_000, 9];

/**
 * Responses of each format with `said` output tokens: complete, streamed, and cut before their end. `told`:
 * the tier, speed or region that they report.
 */
const FORMATS = {
  openai: ({ tier, beside }, said) => {
    const usage = { prompt_tokens: 9, completion_tokens: said, total_tokens: 9 + said, ...beside };
    const chunk = (delta, finish_reason = null) => event({ id: "c", object: "chat.completion.chunk", ...tier, choices: [{ index: 0, delta, finish_reason }] });
    return {
      whole: json(200, { id: "c", object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content: "x" }, finish_reason: "stop" }], usage, ...tier }),
      streamed: stream(chunk({ content: "x" }), chunk({}, "stop"), event({ id: "c", object: "chat.completion.chunk", choices: [], usage }), event("[DONE]")),
      cut: stream(chunk({ content: "x" })),
    };
  },
  anthropic: ({ beside }, said) => {
    const head = { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], stop_reason: null };
    const usage = { input_tokens: 9, output_tokens: said, ...beside };
    const steps = [
      ["message_start", { message: { ...head, usage: { ...usage, output_tokens: 1 } } }],
      ["content_block_start", { index: 0, content_block: { type: "text", text: "" } }],
      ["content_block_delta", { index: 0, delta: { type: "text_delta", text: "x" } }],
      ["content_block_stop", { index: 0 }],
      // The last token counts do not name the tier.
      ["message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: said } }],
      ["message_stop", {}],
    ].map(([type, data]) => event({ type, ...data }, type));
    return { whole: json(200, { ...head, content: [{ type: "text", text: "x" }], stop_reason: "end_turn", usage }), streamed: stream(...steps), cut: stream(...steps.slice(0, 3)) };
  },
  gemini: ({ beside }, said) => {
    const usageMetadata = { promptTokenCount: 9, candidatesTokenCount: said, totalTokenCount: 9 + said, ...beside };
    const piece = (more) => ({ candidates: [{ index: 0, content: { role: "model", parts: [{ text: "x" }] }, ...more }], usageMetadata, responseId: "r" });
    return { whole: json(200, piece({ finishReason: "STOP" })), streamed: stream(event(piece({})), event(piece({ finishReason: "STOP" }))), cut: stream(event(piece({}))) };
  },
};
const [CHAT, MESSAGES] = ["/v1/chat/completions", "/v1/messages"];

describe("what only an answer tells", () => {
  let scene, office, made = 0;
  before(async () => {
    scene = await startScripted({ rows: ROWS, bindings: OFFICE });
    office = new Office(scene.gateway.url);
  });
  after(() => scene.stop());

  /** Sends a request with a new key that has these limits, and returns its receipt and the response. */
  const receipt = async (terms, { model, path = CHAT, how = "whole", format, fields = {} }, told, said = SAID) => {
    const id = `teller-${++made}`;
    const key = await office.key(id, terms);
    scene.answer(FORMATS[format](told, said)[how]);
    const body = { model, messages: HELLO, max_tokens: 100, stream: how !== "whole", ...fields };
    const answer = await call(scene.gateway.url + path, { method: "POST", headers: { ...as(key), "anthropic-version": "2023-06-01" }, body: JSON.stringify(body) });
    assert.equal(answer.status, 200, answer.text);
    await office.totals(id, 1);
    return { ...(await office.receipts(id))[0], told: answer.headers["x-llm-bridge-cost"] };
  };
  const budget = { budget: { amount: "9", per: "total" } };
  const free = { requests_per_minute: 99 };

  const OPENAI = { format: "openai", model: "listed/o4-mini", usual: [{ tier: { service_tier: "default" } }] };
  const CLAUDE = { format: "anthropic", model: "claude/claude-opus-4-8", usual: [{ beside: { service_tier: "standard", speed: "standard", inference_geo: "not_available" } }] };
  const GOOGLE = { format: "gemini", model: "google/gemini-2.5-flash", usual: [{ beside: { serviceTier: "standard" } }, { beside: { trafficType: "ON_DEMAND" } }] };
  const KINDS = [
    [OPENAI, [{ tier: { service_tier: "priority" } }, { tier: { service_tier: "turbo" } }, { beside: { service_tier: "priority" } }, { tier: { service_tier: "default" }, beside: { speed: "fast" } }]],
    [{ ...OPENAI, model: "shown/o4-mini" }, [{ tier: { service_tier: "priority" } }]],
    [{ ...OPENAI, path: MESSAGES }, [{ tier: { service_tier: "priority" } }]],
    ...[CHAT, MESSAGES].map((path) => [
      { ...CLAUDE, path },
      [{ service_tier: "priority" }, { service_tier: "batch" }, { service_tier: "standard", speed: "fast" }, { service_tier: "standard", inference_geo: "us" }].map((beside) => ({ beside })),
    ]),
    ...[CHAT, MESSAGES].map((path) => [{ ...GOOGLE, path }, [{ serviceTier: "ultra" }, { trafficType: "PROVISIONED_THROUGHPUT" }].map((beside) => ({ beside }))]),
  ];
  for (const [kind, tellings] of KINDS) {
    for (const how of ["whole", "streamed", "cut"]) {
      describe(`by ${kind.model}, ${how}, at ${kind.path ?? CHAT}`, () => {
        const ask = { ...kind, how };
        for (const usual of how === "cut" ? [] : kind.usual) {
          it(`is the usual price for ${JSON.stringify(usual)}`, async () => {
            const [plain, under] = [await receipt(free, ask, {}), await receipt(budget, ask, usual)];
            assert.ok(plain.cost_nanos > 0, JSON.stringify(plain));
            assert.deepEqual({ cost_nanos: under.cost_nanos, estimated: under.estimated }, { cost_nanos: plain.cost_nanos, estimated: false });
          });
        }

        // A cut stream reported nothing that comes with its last token counts.
        for (const told of tellings.filter(({ beside }) => how !== "cut" || kind.format !== "openai" || !beside)) {
          it(`is no price for ${JSON.stringify(told)}, and under a budget all that was reserved`, async () => {
            // Impossible usage is charged as reserved.
            const reserved = (await receipt(budget, { ...ask, how: how === "whole" ? how : "streamed" }, {}, MANY)).cost_nanos;
            const under = await receipt(budget, ask, told);
            assert.deepEqual(
              { cost_nanos: under.cost_nanos, estimated: under.estimated, told: under.told },
              { cost_nanos: reserved, estimated: true, told: undefined },
            );
            const plain = await receipt(free, ask, told);
            assert.deepEqual({ cost_nanos: plain.cost_nanos, told: plain.told }, { cost_nanos: null, told: undefined }, JSON.stringify(plain));
          });
        }
      });
    }
  }

  it("is charged as it is told where that has a price, whatever was asked for", async () => {
    const priced = { format: "openai", model: "listed/gpt-5-mini" };
    const cost = async (asked, told) => (await receipt(budget, { ...priced, fields: { max_tokens: undefined, max_completion_tokens: 100, ...asked } }, told ? { tier: { service_tier: told } } : {})).cost_nanos;
    const [flex, usual, priority] = [await cost({}, "flex"), await cost({}, "default"), await cost({}, "priority")];
    assert.ok(0 < flex && flex < usual && usual < priority, `${[flex, usual, priority]}`);
    const asked = { service_tier: "priority" };
    assert.deepEqual(
      { default: await cost(asked, "default"), flex: await cost(asked, "flex"), priority: await cost(asked, "priority"), none: await cost(asked), auto: await cost(asked, "auto") },
      { default: usual, flex: flex, priority: priority, none: priority, auto: priority },
    );
  });

  it("takes no speed and no region back that was asked for and has no price", async () => {
    for (const fields of [{ speed: "fast" }, { inference_geo: "us" }]) {
      const ask = { format: "anthropic", model: "claude/claude-opus-4-8", path: MESSAGES, fields };
      for (const told of [{}, { beside: { service_tier: "standard" } }]) assert.equal((await receipt(free, ask, told)).cost_nanos, null, JSON.stringify([fields, told]));
    }
  });
});
