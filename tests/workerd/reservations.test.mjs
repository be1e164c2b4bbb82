// Nothing that a caller writes lowers the reservation: whatever a lenient provider may bill has been reserved
// before it is called.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { as, call, HELLO } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { OFFICE, Office } from "./office.mjs";
import { closeAll, openSession, openSocket } from "./socket.mjs";
import { startStage } from "./stage.mjs";

// $1 per million tokens in, $10 per million out. A response of 44,000 tokens, the model's longest, costs
// $0.44.
const PRICE = "price: { input: 1, output: 10 }, context: 60000, max_output: 44000";
const LONGEST = 44_000;
const config = (fake) => `
providers:
  any:
    base_url: ${fake.base}
    models:
      lenient: { ${PRICE} }
      gpt-5: { ${PRICE} }
      wide: { price: { input: 1, output: 10 }, max_output: 44000 }
      low: { ${PRICE}, max_tokens: 1000 }
      edited: { ${PRICE}, param_config: { update_params: { max_tokens: 40000 } } }
  listed: { base_url: "${fake.base}", catalogue: openai, api_key_env: ANY_API_KEY, models: { gpt-4o: {}, gpt-5-mini: {}, o4-mini: {} } }
  claude: { adapter: anthropic, base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { lenient: { ${PRICE} }, low: { ${PRICE}, max_tokens: 1000 }, roomy: { price: { input: 1, output: 10 }, max_output: 44000 } } }
`;

// Facts that only a row can state.
const told = (fake) => `
providers:
  any:
    base_url: ${fake.base}
    models:
      renamed: { ${PRICE}, limit_fields: [max_reply], param_config: { rename_params: { max_tokens: max_reply } } }
      flexible: { ${PRICE}, service_tier: flex }
  listed: { base_url: "${fake.base}", catalogue: openai, api_key_env: ANY_API_KEY, models: { gpt-5: { service_tier: priority } } }
`;

const usage = (prompt_tokens, completion_tokens) => ({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens });
const answer = (billed, more = {}) =>
  JSON.stringify({ id: "c", object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content: "x" }, finish_reason: "stop" }], usage: billed, ...more });

/** A limit as a lenient provider reads it: only an integer of at least 1 is one. */
const heed = (value) => (typeof value === "number" && Number.isInteger(value) && value >= 1 ? Math.min(value, LONGEST) : LONGEST);

let made = 0;
/** Creates keys for a stage and sends their requests. */
class Desk {
  constructor(stage) {
    Object.assign(this, { stage, office: new Office(stage.gateway.url) });
  }

  /** A key with a budget of its own. */
  poor(terms = {}, amount = "0.05") {
    return this.office.key(`poor-${++made}`, { ...terms, budget: { amount, per: "total", ...terms.budget } });
  }

  /** Sends a request with some fields as bytes. */
  post(key, model, fields, path = "/v1/chat/completions", headers = {}) {
    const body = `{"model":${JSON.stringify(model)},"messages":${JSON.stringify(HELLO)}${fields}}`;
    return call(this.stage.gateway.url + path, { method: "POST", headers: { ...as(key), ...headers }, body });
  }

  /** The last request that the provider got. */
  get asked() {
    return this.stage.fake.last().request;
  }
}

describe("what is reserved", () => {
  let stage, office, desk;
  const asked = () => desk.asked;
  const [poor, post] = [(...of) => desk.poor(...of), (...of) => desk.post(...of)];
  before(async () => {
    stage = await startStage({ config, bindings: OFFICE });
    desk = new Desk(stage);
    office = desk.office;
    // It generates as much as its limit says, and ignores limits that are invalid or have another name.
    const lenient = (exchange) => exchange.json(200, answer(usage(9, heed(exchange.request.max_tokens) * Math.ceil(Number(exchange.request.n ?? 1) || 1))));
    for (const model of ["lenient", "wide", "low", "edited"]) stage.fake.behave(model, lenient);
  });
  after(() => (closeAll(), stage.stop()));

  it("is as much on a WebSocket, in both languages", async () => {
    const [key, before] = [await poor(), stage.fake.requests.length];
    const asked = { model: "any/lenient", max_tokens: -1 };
    const named = await openSession(stage.gateway.url, { key });
    named.chat(asked, { id: "a" });
    const [refused] = await named.answer("a");
    assert.deepEqual({ status: refused.status, code: refused.error.code }, { status: 429, code: "insufficient_quota" });
    const plain = await openSocket(stage.gateway.url);
    plain.chat(asked, { api_key: key });
    await plain.when(({ frames }) => frames.length > 0, "the refusal");
    assert.equal(plain.frames[0].error.code, "insufficient_quota");
    assert.equal(stage.fake.requests.length, before, "the provider was asked");
    // A request that fits is served on the same connection.
    named.chat({ model: "any/lenient", max_tokens: 100, stream: false }, { id: "b" });
    assert.notEqual((await named.answer("b")).at(-1).error?.code, "insufficient_quota");
    assert.equal(stage.fake.requests.length, before + 1);
    for (const socket of [named, plain]) socket.close();
  });

  it("counts each picture in the result of a tool", async () => {
    // Three choices are 3 × 65,536 tokens at most: $0.19, where one is $0.066.
    const image = { type: "image", source: { type: "url", url: "https://pictures.example/1.png" } };
    const messages = (images) => [{ role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: Array(images).fill(image) }] }];
    const send = async (images) => call(`${stage.gateway.url}/v1/messages`, { method: "POST", headers: as(await poor({}, "0.10")), body: JSON.stringify({ model: "claude/roomy", max_tokens: 100, messages: messages(images) }) });
    assert.equal((await send(3)).status, 429);
    assert.notEqual((await send(1)).status, 429);
  });

  for (const fields of [
    "", ',"max_tokens":-1', ',"max_tokens":0', ',"max_tokens":0.5', ',"max_tokens":1e-5', ',"max_tokens":4096.5', ',"max_tokens":-1e400', ',"max_tokens":"100"', ',"max_tokens":null',
    ',"max_tokens":[]', ',"max_tokens":{}', ',"max_tokens":true', ',"max_completion_tokens":100', ',"max_output_tokens":100', ',"max_new_tokens":100', ',"num_predict":100',
    ',"options":{"num_predict":100}', ',"extra_body":{"max_tokens":100}', ',"max\\u005ftokens":-1', ',"max_tokens":100,"max_completion_tokens":-1', ',"max_tokens":100,"max_completion_tokens":44000',
    ',"max_tokens":100,"options":{"num_predict":-1}', ',"max_tokens":4000,"n":"11"', ',"max_tokens":4000,"n":10.5', ',"max_tokens":4000,"n":11', ',"max_tokens":4000,"best_of":11', ',"max_tokens":1e400', ',"max_tokens":44000.0',
  ]) {
    it(`is the model's longest answer for ${fields || "no limit at all"}`, async () => {
      const [key, before] = [await poor(), stage.fake.requests.length];
      const refused = await post(key, "any/lenient", fields);
      expectError(refused, { status: 429, type: "insufficient_quota", code: "insufficient_quota", param: null });
      assert.equal(stage.fake.requests.length, before, "the provider was asked");
      assert.ok(Number(refused.headers["x-llm-bridge-largest-max-tokens"]) > 300);
    });
  }

  for (const limit of ["4096", "4096.0", "4.096e3", "40960e-1"]) {
    it(`is a limit that is a whole number by its value: ${limit}`, async () => {
      const key = await poor();
      const granted = await post(key, "any/lenient", `,"max_tokens":${limit}`);
      assert.equal(granted.status, 200, granted.text);
      assert.equal(granted.headers["x-llm-bridge-cost"], "0.040969");
    });
  }

  it("is refused with the largest limit that fits, which then fits", async () => {
    const key = await poor();
    const refused = await post(key, "any/lenient", "");
    const largest = Number(refused.headers["x-llm-bridge-largest-max-tokens"]);
    assert.ok(refused.json().error.message.includes(`\`max_tokens\` of at most ${largest}`), refused.text);
    assert.equal((await post(key, "any/lenient", `,"max_tokens":${largest + 100}`)).status, 429);
    assert.equal((await post(key, "any/lenient", `,"max_tokens":${largest}`)).status, 200);
    const none = await post(await poor({}, "0.0001"), "any/lenient", "");
    assert.deepEqual(
      { status: none.status, "x-llm-bridge-largest-max-tokens": none.headers["x-llm-bridge-largest-max-tokens"] },
      { status: 429, "x-llm-bridge-largest-max-tokens": undefined },
    );
    assert.ok(none.json().error.message.includes("No `max_tokens` makes it fit"));
  });

  it("keeps to a row's ceiling, which what is no limit does not pass", async () => {
    for (const fields of [',"max_tokens":-1', ',"max_tokens":0', ',"max_tokens":0.5', ',"max_tokens":"x"', ',"max_completion_tokens":5000', ',"max_output_tokens":-1']) {
      const granted = await post(await poor(), "any/low", fields);
      assert.equal(granted.status, 200, fields + granted.text);
      assert.equal(asked().max_tokens, 1000, fields);
      assert.equal(granted.headers["x-llm-bridge-cost"], "0.010009", fields);
    }
    // An object in which a limit may be hidden is refused, not inspected.
    expectError(await post(await poor(), "any/low", ',"options":{"num_predict":44000}'), { status: 400, type: "invalid_request_error", code: "unsupported_parameter", param: "options" });
  });

  it("is for what is sent: after the row's edits, and under the names that the catalogue says are honoured", async () => {
    assert.equal((await post(await poor(), "any/edited", ',"max_tokens":1')).status, 429);
    stage.fake.behave("gpt-4o", (exchange) => exchange.json(200, answer(usage(9, 100))));
    for (const field of ["max_tokens", "max_completion_tokens"]) assert.equal((await post(await poor(), "listed/gpt-4o", `,"${field}":100`)).status, 200, field);
  });

  it("holds between two formats as well", async () => {
    const messages = (limit, model = "any/lenient") => async (key) => post(key, model, `,"max_tokens":${limit}`, "/v1/messages", { "anthropic-version": "2023-06-01" });
    assert.equal((await messages(4096.0)(await poor())).status, 200);
    for (const limit of [0, 44_000]) assert.equal((await messages(limit)(await poor())).status, 429, `${limit}`);
    for (const limit of [-1, 0.5]) assert.equal((await messages(limit)(await poor({}, "9"))).status, 400, `${limit}`);
    // Native, to a provider that generates its maximum if the limit is invalid.
    for (const fields of [',"max_tokens":-1', ',"max_tokens":0.5', ',"max_tokens":0', ""]) {
      assert.equal((await post(await poor(), "claude/lenient", fields, "/v1/messages")).status, 429, fields);
    }
    assert.equal((await messages(0, "any/low")(await poor())).status, 200);
    assert.equal(asked().max_tokens, 1000);
  });

  it("knows that legacy completions may ask for no answer", async () => {
    const complete = (key, fields) => call(`${stage.gateway.url}/v1/completions`, { method: "POST", headers: as(key), body: `{"model":"any/lenient","prompt":"a"${fields}}` });
    const text = JSON.stringify({ object: "text_completion", choices: [{ index: 0, text: "a", finish_reason: "length" }], usage: usage(1, 0) });
    const usual = stage.fake.behaviour("lenient");
    stage.fake.behave("lenient", (exchange) => exchange.json(200, text));
    assert.equal((await complete(await poor(), ',"max_tokens":0,"echo":true')).status, 200);
    assert.equal((await complete(await poor(), ',"max_tokens":0')).status, 429);
    assert.equal((await complete(await poor(), ',"max_tokens":0,"echo":true,"n":0,"num_predict":-1')).status, 429);
    stage.fake.behave("lenient", usual);
  });

  describe("where a budget is to fit", () => {
    const fit = { budget: { fit: true } };

    it("is half of what is left, and the provider is told so", async () => {
      const key = await poor(fit, "0.20");
      const granted = await post(key, "any/lenient", "");
      assert.equal(granted.status, 200, granted.text);
      const limit = Number(granted.headers["x-llm-bridge-max-tokens"]);
      assert.equal(asked().max_tokens, limit);
      assert.ok(limit > 9000 && limit <= 10_000, `${limit}`);
      // A request that fits is not changed.
      const short = await post(key, "any/lenient", ',"max_tokens":5');
      assert.deepEqual(
        { status: short.status, "x-llm-bridge-max-tokens": short.headers["x-llm-bridge-max-tokens"], max_tokens: asked().max_tokens },
        { status: 200, "x-llm-bridge-max-tokens": undefined, max_tokens: 5 },
      );
    });

    it("is told a provider of another format as well", async () => {
      const translated = await post(await poor(fit, "0.20"), "any/lenient", ',"max_tokens":44000', "/v1/messages");
      assert.deepEqual(
        { status: translated.status, max_tokens: asked().max_tokens },
        { status: 200, max_tokens: Number(translated.headers["x-llm-bridge-max-tokens"]) },
        translated.text,
      );
    });

    it("is not where no name of the limit is known, which the refusal says", async () => {
      const refused = await post(await poor(fit, "0.20"), "any/gpt-5", "");
      assert.equal(refused.status, 429);
      assert.match(refused.json().error.message, /knows no name of the limit .* `limit_fields`/);
      assert.doesNotMatch((await post(await poor({}, "0.20"), "any/gpt-5", "")).json().error.message, /limit_fields/);
    });

    it("is never less than an answer is worth", async () => {
      assert.equal((await post(await poor(fit, "0.08"), "any/lenient", "")).status, 429);
      assert.equal((await post(await poor(fit, "0.09"), "any/lenient", "")).status, 200);
      // A model that reasons needs more: 16,384 tokens of gpt-5-mini are $0.033.
      stage.fake.behave("gpt-5-mini", (exchange) => exchange.json(200, answer(usage(9, 100))));
      assert.equal((await post(await poor(fit, "0.06"), "listed/gpt-5-mini", "")).status, 429);
      const granted = await post(await poor(fit, "0.08"), "listed/gpt-5-mini", "");
      assert.equal(granted.status, 200, granted.text);
      assert.ok(asked().max_completion_tokens >= 16_384 && asked().max_tokens === undefined);
    });

    it("lets no crowd spend the same money twice", async () => {
      const id = `poor-${made + 1}`;
      const key = await poor(fit, "1.00");
      const answers = await Promise.all(Array.from({ length: 20 }, () => post(key, "any/lenient", "")));
      const granted = answers.filter(({ status }) => status === 200);
      assert.ok(granted.length >= 2, `${granted.length}`);
      const { cost_nanos } = await office.totals(id, granted.length);
      assert.ok(cost_nanos <= 1_000_000_000, `${cost_nanos}`);
    });

    it("fits into the team's budget as well", async () => {
      await office.key("small-team", { budget: { amount: "0.20", per: "total" } });
      const granted = await post(await poor({ ...fit, parent: "small-team" }, "9.00"), "any/lenient", "");
      assert.equal(granted.status, 200, granted.text);
      assert.ok(Number(granted.headers["x-llm-bridge-max-tokens"]) <= 10_000);
      const strict = await post(await poor({ parent: "small-team" }, "9.00"), "any/lenient", "");
      assert.equal(strict.status, 429);
    });
  });

  describe("by tier", () => {
    before(() => {
      const echo = (exchange) => exchange.json(200, answer(usage(9, 100), { service_tier: exchange.request.service_tier }));
      for (const model of ["gpt-5-mini", "o4-mini"]) stage.fake.behave(model, echo);
    });

    it("is that of the tier asked for, and of the usual one where none is", async () => {
      // The longest response of gpt-5-mini, 128,000 tokens: flex $0.128, standard $0.256, priority $0.4608.
      for (const [amount, tier, status] of [
        ["0.14", "flex", 200], ["0.12", "flex", 429], ["0.27", "default", 200], ["0.27", "auto", 200], ["0.27", undefined, 200],
        ["0.25", undefined, 429], ["0.27", "priority", 429], ["0.48", "priority", 200],
      ]) {
        const fields = tier === undefined ? "" : `,"service_tier":"${tier}"`;
        assert.equal((await post(await poor({}, amount), "listed/gpt-5-mini", fields)).status, status, `${amount} ${tier}`);
      }
    });

    for (const fields of [',"service_tier":"priority"', ',"service_tier":"turbo"', ',"service_tier":"Flex"', ',"service_tier":["flex"]', ',"service_tier":7', ',"speed":"fast"', ',"inference_geo":"us"']) {
      it(`is no price where nobody knows it: ${fields}`, async () => {
        const refused = await post(await poor({}, "9"), "listed/o4-mini", `,"max_completion_tokens":100${fields}`);
        expectError(refused, { status: 403, type: "invalid_request_error", code: "price_unknown", param: "service_tier" });
        const free = await post(await office.key(`free-${++made}`, { requests_per_minute: 9 }), "listed/o4-mini", `,"max_completion_tokens":100${fields}`);
        assert.equal(free.status, 200, free.text);
      });
    }

    it("is charged whole where only the answer tells of a tier without a price", async () => {
      stage.fake.behave("o4-mini", (exchange) => exchange.json(200, answer(usage(9, 100), { service_tier: "priority" })));
      const key = await poor({}, "0.60");
      // 100,000 tokens at $4.40 per million.
      const first = await post(key, "listed/o4-mini", "");
      assert.deepEqual({ status: first.status, "x-llm-bridge-cost": first.headers["x-llm-bridge-cost"] }, { status: 200, "x-llm-bridge-cost": undefined });
      await office.totals(`poor-${made}`, 1);
      const second = await post(key, "listed/o4-mini", "");
      assert.equal(second.status, 429);
      assert.match(second.json().error.message, /this API key has \$0\.1[0-9]+ of its budget left/);
    });
  });

  describe("and what leads elsewhere", () => {
    const FIELDS = [',"route":"fallback"', ',"fallbacks":["x"]', ',"provider":{"order":["x"]}', ',"MODEL":"x"', ',"Max_Tokens":9', ',"Messages":[]', ',"Models":["x"]', ',"max_to\u212aens":9', ',"ser\\u0076ice_Tier":"x"'];
    for (const field of FIELDS) {
      it(`is refused to keys that have limits: ${field}`, async () => {
        const param = Object.keys(JSON.parse(`{${field.slice(1)}}`))[0];
        const expected = { status: 400, type: "invalid_request_error", code: "unsupported_parameter", param };
        const limited = await poor({}, "9");
        expectError(await post(limited, "any/lenient", field), expected);
        const named = await office.key(`named-${++made}`, { models: ["any/lenient"] });
        // The second time, the limits are known without asking the account.
        for (const _ of [1, 2]) expectError(await post(named, "any/lenient", field), expected);
        const plain = await office.key(`plain-${++made}`, {});
        assert.equal((await post(plain, "any/lenient", field)).status, 200);
        expectError(await post(plain, "any/low", field), expected);
        const team = `team-${++made}`;
        await office.key(team, { models: ["any/*"] });
        expectError(await post(await office.key(`member-${++made}`, { parent: team }), "any/lenient", field), expected);
        const message = await post(limited, "any/lenient", `,"max_tokens":9${field}`, "/v1/messages", { "anthropic-version": "2023-06-01" });
        assert.deepEqual({ status: message.status, type: message.json().type }, { status: 400, type: "error" }, message.text);
      });
    }

    for (const field of [',"models":["any/low"]', ',"mod\\u0065ls":["any/low"]']) {
      it(`needs the right to each model that the client names: ${field}`, async () => {
        const named = await office.key(`named-${++made}`, { models: ["any/lenient"] });
        // The second time, the limits are known without asking the account.
        for (const _ of [1, 2]) expectError(await post(named, "any/lenient", field), { status: 403, code: "model_not_allowed" });
        const both = await office.key(`both-${++made}`, { models: ["any/l*"] });
        assert.equal((await post(both, "any/lenient", field)).status, 200);
        assert.doesNotMatch(stage.fake.last().body.toString(), /any|models/);
      });
    }
  });

  describe("is charged where a provider reports what cannot be", () => {
    for (const [what, billed] of [
      ["more than the limit", usage(9, 101)],
      ["more than the context", usage(60_001, 9)],
      ["a prompt that is negative", { ...usage(9, 9), prompt_tokens: -5 }],
      ["an answer that is negative", { ...usage(9, 9), completion_tokens: -5 }],
      ["a sum beyond all measure", { ...usage(9, 9), total_tokens: 9e15 }],
    ]) {
      it(`as ${what}`, async () => {
        stage.fake.behave("lenient", (exchange) => exchange.json(200, answer(billed)));
        const key = await poor();
        assert.equal((await post(key, "any/lenient", ',"max_tokens":100')).status, 200);
        await office.totals(`poor-${made}`, 1);
        const [receipt] = await office.receipts(`poor-${made}`);
        // 100 output tokens are $0.001, plus the bound of the prompt.
        assert.ok(receipt.cost_nanos >= 1_000_000 && receipt.cost_nanos < 4_000_000, JSON.stringify(receipt));
        assert.equal(receipt.estimated, true);
      });
    }

    it("but what can be is charged whole, even above what was estimated", async () => {
      stage.fake.behave("lenient", (exchange) => exchange.json(200, answer(usage(50_000, 100))));
      const granted = await post(await poor(), "any/lenient", ',"max_tokens":100');
      assert.equal(granted.headers["x-llm-bridge-cost"], "0.051");
    });
  });
});

describe("what a row tells", () => {
  let stage, desk;
  const [poor, post] = [(...of) => desk.poor(...of), (...of) => desk.post(...of)];
  before(async () => {
    stage = await startStage({ config: told, bindings: OFFICE });
    desk = new Desk(stage);
    stage.fake.behave("renamed", (exchange) => exchange.json(200, answer(usage(9, heed(exchange.request.max_reply)))));
    stage.fake.behave("gpt-5", (exchange) => exchange.json(200, answer(usage(9, 100), { service_tier: "default" })));
  });
  after(() => stage.stop());

  it("are the names of the limit that its provider honours", async () => {
    assert.equal((await post(await poor(), "any/renamed", ',"max_tokens":100')).status, 200);
    assert.equal((await post(await poor(), "any/renamed", ',"max_reply":100')).status, 200);
    assert.equal((await post(await poor(), "any/renamed", ',"max_completion_tokens":100')).status, 429);
    const granted = await post(await poor({ budget: { fit: true } }, "0.20"), "any/renamed", ',"max_completion_tokens":-1,"max_reply":"x"');
    assert.equal(granted.status, 200, granted.text);
    const { max_reply, max_completion_tokens, max_tokens } = desk.asked;
    assert.deepEqual(
      { max_reply, max_completion_tokens, max_tokens },
      { max_reply: Number(granted.headers["x-llm-bridge-max-tokens"]), max_completion_tokens: undefined, max_tokens: undefined },
    );
  });

  it("is the tier of its provider's account, for those who ask for none", async () => {
    // `priority` of gpt-5 is $2.56 for the longest response, instead of $1.28.
    assert.equal((await post(await poor({}, "2.00"), "listed/gpt-5", "")).status, 429);
    assert.equal((await post(await poor({}, "2.00"), "listed/gpt-5", ',"service_tier":"auto"')).status, 429);
    assert.equal((await post(await poor({}, "2.00"), "listed/gpt-5", ',"service_tier":"default"')).status, 200);
    expectError(await post(await poor({}, "9"), "any/flexible", ""), { status: 403, type: "invalid_request_error", code: "price_unknown", param: "service_tier" });
  });
});
