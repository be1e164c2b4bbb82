// Passthrough: the bytes of both directions are unchanged, except for the few changes that the configuration
// can make.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ODD_COMPLETION } from "./behaviours.mjs";
import { HELLO } from "./client.mjs";
import { PROVIDER_KEY, startStage } from "./stage.mjs";

describe("the bytes of a request", () => {
  let stage;
  before(async () => {
    stage = await startStage();
    // Whatever these bytes hold, the response does not matter.
    stage.fake.behave("deaf", (exchange) => exchange.json(200, '{"choices":[{"message":{}}]}'));
  });
  after(() => stage.stop());

  /** Sends `body` and asserts that the provider got `expected`. */
  async function expectUpstream(body, expected) {
    const answer = await stage.post(body);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(stage.fake.last().body.toString("latin1"), Buffer.from(expected).toString("latin1"));
  }

  const MESSAGES = '"messages":[{"role":"user","content":"Hi"}]';

  for (const [what, before_, model, after_] of [
    ["with the model first", '{"model":', '"any/deaf"', `,${MESSAGES}}`],
    ["with the model last", `{${MESSAGES},"model":`, '"any/deaf"', "}"],
    ["with the model in the middle", `{${MESSAGES},"model":`, '"any/deaf"', ',"temperature":1.0}'],
    ["with an escape in the model's name", '{"model":', '"any\\/de\\u0061f"', `,${MESSAGES}}`],
    ["with an escape in the word model", '{"mod\\u0065l":', '"any/deaf"', `,${MESSAGES}}`],
    ["laid out over many lines", '\r\n{\r\n\t"model" \t:\r\n ', '"any/deaf"', ` ,\n\t${MESSAGES}\n}\r\n \n`],
    ["with odd numbers", '{"x":[1.0,1e2,1E+2,-0,-0.0,0.1e-7,123456789012345678901234567890,1e-400],"model":', '"any/deaf"', `,"seed":1.0,${MESSAGES}}`],
    [
      "with escapes of every kind",
      '{"x":"\\u00e9\\/\\b\\f\\n\\r\\t\\"\\\\\\ud83d\\ude00","model":',
      '"any/deaf"',
      ',"messages":[{"role":"user","content":"\\ud83d\\u0000 \\u0041 </script> \u2028"}]}',
    ],
    ["with characters of every length", '{"x":"é 你 😀 \u0080 \uffff","model":', '"any/deaf"', `,${MESSAGES}}`],
    [
      "with other things called model",
      `{"metadata":{"model":"any/deaf","messages":1},"tools":[],"x":"\\"model\\":\\"any/deaf\\"","model":`,
      '"any/deaf"',
      `,${MESSAGES},"model_":["any/deaf"],"Model":"any/deaf"}`,
    ],
    ["with the same key twice further in", '{"metadata":{"a":1,"a":2},"model":', '"any/deaf"', `,${MESSAGES}}`],
    ["with fields that nobody has heard of", '{"x_new":{"a":[[],{}],"":null},"model":', '"any/deaf"', `,${MESSAGES},"reasoning":{"effort":"max"},"":0}`],
    ["with fields that are null", '{"stop":null,"stream":null,"model":', '"any/deaf"', `,"tools":null,"max_tokens":null,${MESSAGES}}`],
  ]) {
    it(`stay the same but for the model's name, ${what}`, () => expectUpstream(before_ + model + after_, `${before_}"deaf"${after_}`));
  }

  it("stay the same to the last byte where the name does not change", async () => {
    stage.fake.behave("gpt-4o", (exchange) => exchange.json(200, '{"choices":[{"message":{}}]}'));
    const body = ` { "messages" : [ {"role":"user","content":"1.0 \\u00e9"} ] , "model" : "gpt-4o", "n":1 }\n`;
    await expectUpstream(body, body);
  });

  it("stay the same in a request for a stream", async () => {
    const body = (model) => `{"model":"${model}","stream" : true,"stream_options":{"include_usage" :true},${MESSAGES}}`;
    const answer = await stage.post(body("any/ok"));
    assert.equal(answer.status, 200);
    assert.equal(stage.fake.last().body.toString(), body("ok"));
  });

  it("stay the same in a body of three megabytes", async () => {
    const body = (model) => `{"messages":[{"role":"user","content":"${"é\\u00e9 ".repeat(330_000)}"}],"model":"${model}"}`;
    await expectUpstream(body("any/deaf"), body("deaf"));
  });

  it("are announced as JSON and with the provider's own key", async () => {
    await stage.ask("ok");
    const { headers, method, path } = stage.fake.last();
    assert.deepEqual({ method, path }, { method: "POST", path: "/v1/chat/completions" });
    assert.equal(headers["content-type"], "application/json");
    assert.equal(headers.authorization, `Bearer ${PROVIDER_KEY}`);
  });

  it("bring none of the caller's own headers along", async () => {
    const own = {
      cookie: "session=1",
      "user-agent": "caller/1.0",
      "openai-organization": "org-caller",
      "x-stainless-lang": "js",
      "x-request-id": "caller-1",
      "x-forwarded-for": "192.0.2.7",
      "cf-connecting-ip": "192.0.2.7",
      traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      origin: "https://app.example",
      referer: "https://app.example/",
      "accept-language": "de",
      "api-key": "another-secret",
    };
    assert.equal((await stage.ask("ok", {}, own)).status, 200);
    const { headers } = stage.fake.last();
    for (const [name, value] of Object.entries(own)) assert.notEqual(headers[name], value, name);
    const transport = ["host", "content-length", "transfer-encoding", "connection", "accept-encoding"];
    const sent = Object.keys(headers).filter((name) => !transport.includes(name));
    assert.deepEqual(sent.sort(), ["authorization", "content-type"]);
  });
});

describe("the bytes of an answer", () => {
  let stage;
  before(async () => {
    stage = await startStage();
  });
  after(() => stage.stop());

  for (const model of ["ok", "odd", "reasoner", "big-event"]) {
    it(`of ${model} arrive unchanged`, async () => {
      const answer = await stage.ask(`any/${model}`, { logprobs: true });
      assert.equal(answer.status, 200);
      assert.match(answer.headers["content-type"], /^application\/json\b/);
      assert.equal(answer.text, stage.sent());
    });
  }

  it("hold what only a lenient parser could have kept", async () => {
    assert.equal((await stage.ask("any/odd")).text, ODD_COMPLETION);
  });

  it("hold tool calls, usage, logprobs and the fingerprint", async () => {
    const tools = [{ type: "function", function: { name: "weather", parameters: {} } }];
    const { choices, usage, system_fingerprint, service_tier } = (await stage.ask("any/ok", { tools })).json();
    assert.equal(choices[0].message.tool_calls[0].function.name, "weather");
    assert.equal(usage.prompt_tokens_details.cached_tokens, 4);
    assert.deepEqual({ system_fingerprint, service_tier }, { system_fingerprint: "fp_44709d6fcb", service_tier: "default" });
  });

  it("are plain for a caller who asked for no compression, though the provider compresses", async () => {
    const answer = await stage.ask("any/gzip");
    assert.equal(answer.headers["content-encoding"], undefined);
    assert.equal(answer.json().object, "chat.completion");
  });

  it("do not bring the provider's cookies along", async () => {
    stage.fake.behave("cookie", (exchange) => exchange.json(200, '{"choices":[{"message":{}}]}', { "set-cookie": "__cf_bm=1", "openai-organization": "org-of-the-operator" }));
    const { headers } = await stage.ask("any/cookie");
    assert.equal(headers["set-cookie"], undefined);
    assert.equal(headers["openai-organization"], undefined);
  });
});

describe("the operator's changes to a request", () => {
  let stage;
  const config = (fake) => `
default_provider: main
providers:
  main:
    base_url: ${fake.base}
    models:
      ceiling: { max_tokens: 100 }
      "ok<update>": { param_config: { update_params: { temperature: 0.6, extra: [1, "two", { three: null }] } } }
      "ok<add>": { param_config: { add_params: { reasoning_effort: low, top_p: 0.5 } } }
      "ok<rename>": { param_config: { rename_params: { a: b, b: c } } }
      "ok<onto>": { param_config: { rename_params: { old: new } } }
      "ok<delete>": { param_config: { delete_params: [seed, absent] } }
      "ok<all>":
        param_config:
          update_params: { temperature: 0.6, u: 1 }
          add_params: { temperature: 0.9, a: 2, u: 5 }
          rename_params: { max_tokens: max_reasoning_token, a: a2 }
          delete_params: [u, a2, none]
      "ok<unlock>": { max_tokens: 100, param_config: { rename_params: { max_tokens: max_completion_tokens } } }
`;
  before(async () => {
    stage = await startStage({ config, bindings: { MAIN_API_KEY: "sk-main-0001" } });
    const deaf = (exchange) => exchange.json(200, '{"choices":[{"message":{}}]}');
    for (const model of ["ok", "ceiling"]) stage.fake.behave(model, deaf);
  });
  after(() => stage.stop());

  async function upstream(model, fields) {
    const answer = await stage.post(`{"model":"${model}","messages":${JSON.stringify(HELLO)}${fields}}`);
    assert.equal(answer.status, 200, answer.text);
    return stage.fake.last().body.toString();
  }

  for (const [model, what, sent, arrives] of [
    ["ok<update>", "sets what is absent", "", { temperature: 0.6, extra: [1, "two", { three: null }] }],
    ["ok<update>", "overrides the caller", ',"temperature":1.9,"extra":"mine"', { temperature: 0.6, extra: [1, "two", { three: null }] }],
    ["ok<update>", "overrides a null", ',"temperature":null', { temperature: 0.6, extra: [1, "two", { three: null }] }],
    ["ok<add>", "adds what is absent", "", { reasoning_effort: "low", top_p: 0.5 }],
    ["ok<add>", "adds in place of a null", ',"reasoning_effort":null', { reasoning_effort: "low", top_p: 0.5 }],
    ["ok<add>", "leaves the caller's own", ',"reasoning_effort":"high","top_p":0', { reasoning_effort: "high", top_p: 0 }],
    ["ok<rename>", "renames in order", ',"a":1', { c: 1 }],
    ["ok<rename>", "renames what is there", ',"b":{"x":[]}', { c: { x: [] } }],
    ["ok<rename>", "renames nothing that is absent", ',"d":1', { d: 1 }],
    ["ok<onto>", "lets the renamed win over the namesake", ',"new":1,"old":2', { new: 2 }],
    ["ok<onto>", "lets the renamed win wherever it stands", ',"old":2,"new":1', { new: 2 }],
    ["ok<delete>", "deletes", ',"seed":7,"n":1', { n: 1 }],
    ["ok<all>", "does all four in their order", ',"max_tokens":5', { temperature: 0.6, max_reasoning_token: 5 }],
  ]) {
    it(`${model} ${what}`, async () => {
      const body = await upstream(model, sent);
      const { model: name, messages, ...rest } = JSON.parse(body);
      assert.deepEqual(rest, arrives);
      assert.deepEqual({ name, messages }, { name: "ok", messages: HELLO });
      for (const field of Object.keys(rest)) assert.equal(body.split(`"${field}":`).length, 2, `${field} once in ${body}`);
    });
  }

  it("leave the bytes beside them alone", async () => {
    const body = await upstream("ok<all>", ',  "x" : [1.0, 1e2, "\\u00e9"],"y":123456789012345678901234567890');
    assert.ok(body.includes('"x" : [1.0, 1e2, "\\u00e9"]'), body);
    assert.ok(body.includes('"y":123456789012345678901234567890'), body);
  });

  it("reach no field further in", async () => {
    const nested = '"metadata":{"seed":7,"temperature":1.0}';
    assert.ok((await upstream("ok<delete>", `,${nested}`)).includes(nested));
    assert.ok((await upstream("ok<update>", `,${nested}`)).includes(nested));
  });

  for (const [field, sent, arrives] of [
    ["max_tokens", "101", 100],
    ["max_tokens", "1e6", 100],
    ["max_tokens", "123456789012345678901234567890", 100],
    // A limit that is not valid is replaced by the ceiling; one that the provider may ignore moves to a name
    // that it honours.
    ["max_tokens", "-1", 100],
    ["max_tokens", "0", 100],
    ["max_tokens", "0.5", 100],
    ["max_tokens", '"50"', 100],
    ["max_tokens", "null", 100],
    ["max_completion_tokens", "8192", 100],
    ["max_completion_tokens", "99", 99],
  ]) {
    it(`hold ${field}: ${sent} below the ceiling`, async () => {
      const { max_tokens, max_completion_tokens } = JSON.parse(await upstream("ceiling", `,"${field}":${sent}`));
      assert.deepEqual({ max_tokens, max_completion_tokens }, { max_tokens: arrives, max_completion_tokens: undefined });
    });
  }

  for (const fields of ["", ',"max_tokens":100', ',"max_tokens":1', ',"max_tokens":99.0']) {
    it(`leave a request under the ceiling alone: ${fields || "no limit at all"}`, async () => {
      assert.equal(await upstream("ceiling", fields), `{"model":"ceiling","messages":${JSON.stringify(HELLO)}${fields}}`);
    });
  }

  it("hold the ceiling under a new name as well", async () => {
    assert.equal(JSON.parse(await upstream("ok<unlock>", ',"max_tokens":5000')).max_completion_tokens, 100);
  });
});

describe("the provider's row", () => {
  let stage;
  const config = (fake) => `
default_provider: base
providers:
  base: { base_url: "${fake.origin}/v1", models: { ok: {} } }
  full: { base_url: "${fake.origin}/v1/chat/completions", models: { ok: {} } }
  bare: { base_url: "${fake.origin}/chat/completions", models: { ok: {} } }
  other: { base_url: "${fake.origin}/v1beta/openai", models: { ok: {} } }
  dressed:
    base_url: ${fake.base}
    headers: { x-extra: yes, X-Title: "LLM Bridge: ours" }
    models: { ok: {} }
  renamed: { base_url: "${fake.base}", api_key_env: SOME_OTHER_NAME, models: { ok: {} } }
  with-dash: { base_url: "${fake.base}", models: { ok: {} } }
`;
  before(async () => {
    const names = ["BASE", "FULL", "BARE", "OTHER", "DRESSED"].map((name) => [`${name}_API_KEY`, PROVIDER_KEY]);
    const bindings = { ...Object.fromEntries(names), SOME_OTHER_NAME: "sk-renamed-0001", WITH_DASH_API_KEY: "sk-dashed-0001" };
    stage = await startStage({ config, bindings });
  });
  after(() => stage.stop());

  for (const [provider, path] of [
    ["base", "/v1/chat/completions"],
    ["full", "/v1/chat/completions"],
    ["bare", "/chat/completions"],
    ["other", "/v1beta/openai/chat/completions"],
  ]) {
    it(`${provider} is called at ${path}`, async () => {
      assert.equal((await stage.ask(`${provider}/ok`)).status, 200);
      assert.equal(stage.fake.last().path, path);
    });
  }

  it("adds its own headers, as they are written", async () => {
    assert.equal((await stage.ask("dressed/ok", {}, { "x-extra": "the caller's" })).status, 200);
    const { headers } = stage.fake.last();
    assert.equal(headers["x-extra"], "yes");
    assert.equal(headers["x-title"], "LLM Bridge: ours");
    assert.equal(headers.authorization, `Bearer ${PROVIDER_KEY}`);
  });

  it("may name the variable of its key", async () => {
    assert.equal((await stage.ask("renamed/ok")).status, 200);
    assert.equal(stage.fake.last().headers.authorization, "Bearer sk-renamed-0001");
  });

  it("finds the key of a name with a dash under an underscore", async () => {
    assert.equal((await stage.ask("with-dash/ok")).status, 200);
    assert.equal(stage.fake.last().headers.authorization, "Bearer sk-dashed-0001");
  });
});
