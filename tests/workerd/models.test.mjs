// The list of models, the names by which they are called, and the errors for unknown ones.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { expectError } from "./expect.mjs";
import { startStage } from "./stage.mjs";

const config = (fake) => `
default_provider: main
providers:
  zeta:
    base_url: ${fake.base}
    models:
      ok: {}
  main:
    base_url: ${fake.base}
    models:
      gpt-4o: {}
      gpt-4o-mini: {}
      "o3-mini<high>": { param_config: { add_params: { reasoning_effort: high } } }
      o3-mini: { param_config: { add_params: { reasoning_effort: low } } }
      meta-llama/llama-3: {}
  locked:
    base_url: ${fake.base}
    models:
      gpt-4o: {}
  hosted:
    base_url: ${fake.origin}/keyless/v1
    api_key_env: none
    models:
      ok: {}
  catalogued:
    base_url: ${fake.origin}/keyless/v1
    api_key_env: none
    catalogue: openai
    models:
      gpt-5-mini: { context: 7000, input_kinds: [text, pdf], price: [{ input: 1, output: 3 }, { from: 2020-01-01, input: 1.5, output: 4 }] }
  demo:
    adapter: echo
    models:
      echo: {}
`;

const LISTED = [
  "zeta/ok",
  "main/gpt-4o",
  "main/gpt-4o-mini",
  "main/o3-mini<high>",
  "main/o3-mini",
  "main/meta-llama/llama-3",
  "hosted/ok",
  "catalogued/gpt-5-mini",
  "demo/echo",
];
const NOT_FOUND = { status: 404, type: "invalid_request_error", code: "model_not_found", param: "model" };

describe("models", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, bindings: { ZETA_API_KEY: "sk-zeta-0001", MAIN_API_KEY: "sk-main-0001" } });
    // These names are the models' own, not behaviours of the fake.
    for (const model of ["gpt-4o", "gpt-4o-mini", "o3-mini", "meta-llama/llama-3"]) {
      stage.fake.behave(model, (exchange) => exchange.json(200, '{"choices":[{"message":{}}]}'));
    }
  });
  after(() => stage.stop());

  describe("the list", () => {
    it("has what can be called now, in the order of the YAML", async () => {
      const list = (await stage.request("/v1/models")).json();
      assert.equal(list.object, "list");
      assert.deepEqual(list.data.map(({ id }) => id), LISTED);
    });

    it("describes each as OpenAI does", async () => {
      for (const model of (await stage.request("/v1/models")).json().data) {
        assert.equal(model.object, "model");
        assert.ok(Number.isInteger(model.created));
        assert.equal(model.owned_by, model.id.split("/")[0]);
      }
    });

    it("has all of them on demand, and says why some cannot be called", async () => {
      const { data } = (await stage.request("/v1/models?all=true")).json();
      assert.deepEqual(data.filter(({ available }) => available === true).map(({ id }) => id), LISTED);
      const rest = data.filter(({ available }) => available === false);
      assert.deepEqual(rest.map(({ id }) => id), ["locked/gpt-4o"]);
      assert.match(rest[0].unavailable_reason, /LOCKED_API_KEY/);
      assert.equal(data.findIndex(({ id }) => id === "locked/gpt-4o"), LISTED.indexOf("hosted/ok"), "in the order of the YAML");
    });

    it("has only what can be called when all is not true", async () => {
      assert.deepEqual((await stage.request("/v1/models?all=false")).json().data.map(({ id }) => id), LISTED);
    });
  });

  describe("one model", () => {
    for (const [path, id] of [
      ["main/gpt-4o", "main/gpt-4o"],
      ["main%2Fgpt-4o", "main/gpt-4o"],
      ["main%2fgpt-4o", "main/gpt-4o"],
      ["main/meta-llama/llama-3", "main/meta-llama/llama-3"],
      ["main%2Fmeta-llama%2Fllama-3", "main/meta-llama/llama-3"],
      ["main/o3-mini%3Chigh%3E", "main/o3-mini<high>"],
      ["main%2Fo3-mini%3Chigh%3E", "main/o3-mini<high>"],
      ["demo/echo", "demo/echo"],
    ]) {
      it(`is found at ${path}`, async () => {
        const answer = await stage.request(`/v1/models/${path}`);
        assert.equal(answer.status, 200, answer.text);
        const { id: found, object, owned_by, created } = answer.json();
        assert.deepEqual({ found, object, owned_by }, { found: id, object: "model", owned_by: id.split("/")[0] });
        assert.ok(Number.isInteger(created));
      });
    }

    it("is found by its plain name with the default provider", async () => {
      const answer = await stage.request("/v1/models/gpt-4o");
      assert.equal(answer.status, 200);
      assert.equal(answer.json().owned_by, "main");
    });

    for (const path of ["main/gpt-5", "nobody/gpt-4o", "gpt-5", "main/o3-mini%3Cbanana%3E", "main/", "main", "%2F"]) {
      it(`is not found at ${path}`, async () => {
        expectError(await stage.request(`/v1/models/${path}`), NOT_FOUND);
      });
    }
  });

  describe("what is known of a model", () => {
    const ANTHROPIC = { "anthropic-version": "2023-06-01" };
    const read = async (id, headers = {}) => (await stage.request(`/v1/models/${id}`, { headers })).json();

    it("is named as OpenRouter does", async () => {
      const model = await read("catalogued/gpt-5-mini");
      assert.equal(model.context_length, 7000);
      assert.deepEqual(model.top_provider, { context_length: 7000, max_completion_tokens: 128000 });
      assert.deepEqual(model.architecture, { input_modalities: ["text", "file"] });
      assert.ok(model.supported_parameters.includes("tools"), `${model.supported_parameters}`);
      assert.ok(!model.supported_parameters.includes("temperature"), `${model.supported_parameters}`);
      assert.equal(model.pricing.prompt, "0.0000015");
      assert.equal(model.pricing.completion, "0.000004");
      assert.equal(model.origins.context, "your model's row");
      assert.equal(model.origins.max_output, "the model gpt-5-mini at its host");
      assert.equal(model.origins.price, "your model's row");
    });

    it("is named as Anthropic does for its clients", async () => {
      const model = await read("catalogued/gpt-5-mini", ANTHROPIC);
      assert.equal(model.max_input_tokens, 7000);
      assert.equal(model.max_tokens, 128000);
      assert.deepEqual(model.capabilities.image_input, { supported: false });
      assert.deepEqual(model.capabilities.pdf_input, { supported: true });
      assert.deepEqual(model.capabilities.effort.max, { supported: false });
      assert.deepEqual(model.capabilities.effort.low, { supported: true });
      assert.equal(model.capabilities.thinking.supported, true);
      assert.equal(model.pricing.prompt, "0.0000015");
    });

    it("is in the list as well", async () => {
      const { data } = (await stage.request("/v1/models")).json();
      const listed = data.find(({ id }) => id === "catalogued/gpt-5-mini");
      assert.deepEqual(listed, await read("catalogued/gpt-5-mini"));
    });

    it("is left out where nothing is known", async () => {
      const { id, object, created, owned_by, ...rest } = await read("zeta/ok");
      assert.deepEqual(rest, {});
    });
  });

  describe("a name in a chat", () => {
    for (const [asked, upstream, key] of [
      ["gpt-4o", "gpt-4o", "sk-main-0001"],
      ["main/gpt-4o", "gpt-4o", "sk-main-0001"],
      ["zeta/ok", "ok", "sk-zeta-0001"],
      ["main/meta-llama/llama-3", "meta-llama/llama-3", "sk-main-0001"],
      ["meta-llama/llama-3", "meta-llama/llama-3", "sk-main-0001"],
    ]) {
      it(`${asked} reaches the right provider as ${upstream}`, async () => {
        assert.equal((await stage.ask(asked)).status, 200);
        assert.equal(JSON.parse(stage.fake.last().body).model, upstream);
        assert.equal(stage.fake.last().headers.authorization, `Bearer ${key}`);
      });
    }

    it("needs no key where the host takes none", async () => {
      assert.equal((await stage.ask("hosted/ok")).status, 200);
      assert.equal(stage.fake.last().headers.authorization, undefined);
    });

    for (const [asked, effort] of [
      ["main/o3-mini", "low"],
      ["main/o3-mini<high>", "high"],
      ["o3-mini<high>", "high"],
    ]) {
      it(`${asked} picks the row with effort ${effort} and sends the bare name`, async () => {
        assert.equal((await stage.ask(asked)).status, 200);
        const { model, reasoning_effort } = JSON.parse(stage.fake.last().body);
        assert.deepEqual({ model, reasoning_effort }, { model: "o3-mini", reasoning_effort: effort });
      });
    }

    for (const [asked, says] of [
      ["main/gpt-4", /gpt-4o/],
      ["gpt4o", /gpt-4o/],
      ["mian/gpt-4o", /main\/gpt-4o|gpt-4o/],
      ["main/o3-mini<hihg>", /o3-mini<high>/],
      ["main/gpt-4o<high>", /gpt-4o/],
      ["main/", /./],
      ["/gpt-4o", /./],
      ["main/GPT-4o\n\u0000", /./],
    ]) {
      it(`${JSON.stringify(asked)} is unknown, and a near one is named`, async () => {
        const asks = stage.fake.requests.length;
        expectError(await stage.ask(asked), { ...NOT_FOUND, says });
        expectError(await stage.ask(asked, { stream: true }), NOT_FOUND);
        assert.equal(stage.fake.requests.length, asks, "the provider was asked");
      });
    }
  });
});

describe("a provider for any model", () => {
  let stage;
  const anyModel = (fake) => `
default_provider: any
providers:
  any: { base_url: "${fake.base}", models: "*" }
`;
  before(async () => {
    stage = await startStage({ config: anyModel });
  });
  after(() => stage.stop());

  for (const [asked, upstream] of [
    ["any/brand-new", "brand-new"],
    ["brand-new", "brand-new"],
    ["any/org/model:free", "org/model:free"],
    ["org/model", "org/model"],
    ["any/any/x", "any/x"],
  ]) {
    it(`passes ${asked} on as ${upstream}`, async () => {
      stage.fake.behave(upstream, (exchange) => exchange.json(200, '{"choices":[{"message":{}}]}'));
      assert.equal((await stage.ask(asked)).status, 200);
      assert.equal(JSON.parse(stage.fake.last().body).model, upstream);
    });
  }
});
