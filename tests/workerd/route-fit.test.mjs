// What a request needs of its model, in each client's format: a target that is known not to serve it is never asked.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ok, refuse } from "./route-behaviours.mjs";
import { RouteStage } from "./route-stage.mjs";

const stage = new RouteStage();
before(() => stage.start());
after(() => stage.stop());

const PNG = "iVBORw0KGgo=";
const PDF = "JVBERi0xLjQK";
const schema = { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false };
const parameters = { type: "object", properties: {} };

/** A response in the Responses API. */
const responds = (exchange) => {
  const content = [{ type: "output_text", text: `said by ${exchange.provider.name}`, annotations: [], logprobs: [] }];
  const output = [{ type: "message", id: "msg_1", role: "assistant", status: "completed", content }];
  const usage = { input_tokens: 10, input_tokens_details: { cached_tokens: 0 }, output_tokens: 5, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 15 };
  exchange.whole(200, { id: "resp_1", object: "response", created_at: 1, status: "completed", model: "served", error: null, incomplete_details: null, output, usage });
};

const said = (...parts) => ({ messages: [{ role: "user", content: [{ type: "text", text: "Hello" }, ...parts] }] });
const contents = (...parts) => ({ contents: [{ role: "user", parts: [{ text: "Hello" }, ...parts] }] });
const input = (...content) => ({ input: [{ role: "user", content: [{ type: "input_text", text: "Hello" }, ...content] }], store: false });

/** Each format: how its requests are sent, and those that need something. */
const FORMATS = {
  "OpenAI chat": {
    kind: "openai",
    model: "gpt-5.6-terra",
    path: () => "/v1/chat/completions",
    plain: said(),
    needs: {
      vision: said({ type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } }),
      audio: said({ type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } }),
      pdf: said({ type: "file", file: { filename: "a.pdf", file_data: `data:application/pdf;base64,${PDF}` } }),
      tools: { ...said(), tools: [{ type: "function", function: { name: "f", parameters } }] },
      structured_output: { ...said(), response_format: { type: "json_schema", json_schema: { name: "n", schema, strict: true } } },
      thinking: { ...said(), reasoning_effort: "low" },
    },
  },
  Anthropic: {
    kind: "anthropic",
    path: () => "/v1/messages",
    plain: { max_tokens: 2000, ...said() },
    needs: {
      vision: { max_tokens: 2000, ...said({ type: "image", source: { type: "base64", media_type: "image/png", data: PNG } }) },
      pdf: { max_tokens: 2000, ...said({ type: "document", source: { type: "base64", media_type: "application/pdf", data: PDF } }) },
      tools: { max_tokens: 2000, ...said(), tools: [{ name: "f", input_schema: parameters }] },
      structured_output: { max_tokens: 2000, ...said(), output_config: { format: { type: "json_schema", schema } } },
      thinking: { max_tokens: 2000, ...said(), thinking: { type: "enabled", budget_tokens: 1024 } },
    },
  },
  Gemini: {
    kind: "gemini",
    path: (route) => `/v1beta/models/${route}:generateContent`,
    plain: contents(),
    needs: {
      vision: contents({ inlineData: { mimeType: "image/png", data: PNG } }),
      audio: contents({ inlineData: { mimeType: "audio/wav", data: "UklGRg==" } }),
      pdf: contents({ inlineData: { mimeType: "application/pdf", data: PDF } }),
      tools: { ...contents(), tools: [{ functionDeclarations: [{ name: "f", description: "f", parameters }] }] },
      structured_output: { ...contents(), generationConfig: { responseMimeType: "application/json", responseJsonSchema: schema } },
      thinking: { ...contents(), generationConfig: { thinkingConfig: { thinkingBudget: 512 } } },
    },
  },
  "the Responses API": {
    kind: "openai",
    model: "gpt-5.6-terra",
    path: () => "/v1/responses",
    behaviour: responds,
    plain: input(),
    needs: {
      vision: input({ type: "input_image", image_url: `data:image/png;base64,${PNG}` }),
      audio: input({ type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } }),
      pdf: input({ type: "input_file", filename: "a.pdf", file_data: `data:application/pdf;base64,${PDF}` }),
      tools: { ...input(), tools: [{ type: "function", name: "f", parameters, strict: false }] },
      structured_output: { ...input(), text: { format: { type: "json_schema", name: "n", schema, strict: true } } },
      thinking: { ...input(), reasoning: { effort: "low" } },
    },
  },
};

/** A model that takes all. */
const able = (model) => `{ ${model}: { input_kinds: [text, image, audio, pdf], tools: true, structured_output: true } }`;
/** A model that takes text, and cannot think. */
const LIMITED = { kind: "openai", models: "{ gpt-4.1: { input_kinds: [text], tools: false, structured_output: false } }" };

for (const [format, { kind, model, path, behaviour = ok(), plain, needs }] of Object.entries(FORMATS)) {
  describe(`clients of ${format}`, { concurrency: 8 }, () => {
    const send = (scene, body) => stage.ask({ path: path(scene.route), body: { model: scene.route, ...body } });
    for (const [need, body] of Object.entries(needs)) {
      const scene = stage.scene({ first: LIMITED, second: { kind, ...(model && { model, models: able(model) }) } });

      it(`have what needs ${need} served by who can`, async () => {
        scene.first.plays(behaviour);
        scene.second.plays(behaviour);
        const { answer } = await send(scene, body);
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(scene.calls, [0, 1]);
        // The order is that of the route otherwise.
        assert.equal((await send(scene, plain)).answer.status, 200);
        assert.deepEqual(scene.calls, [1, 1]);
      });
    }
  });
}

describe("thinking", { concurrency: 8 }, () => {
  const scene = stage.scene({ first: LIMITED, second: "anthropic" });

  it("is a wish: who cannot is asked when others fail", async () => {
    scene.second.plays(refuse(404, { type: "error", error: { type: "not_found_error", message: "model: claude-9" } }));
    scene.expectServed(await scene.chat({ reasoning_effort: "low" }), "first", [1, 1]);
  });

  const weighted = stage.scene({ first: { ...LIMITED, weight: 1000 }, second: { kind: "anthropic", weight: 1 } }, "strategy: weighted");

  it("comes before weights", async () => {
    const results = await Promise.all([..."abcdef"].map((id) => weighted.chat({ reasoning_effort: "low" }, { headers: { "x-session-id": id } })));
    assert.deepEqual(new Set(results.map(({ said }) => said)), new Set([`said by ${weighted.second.name}`]));
  });

  const condition = stage.scene({ first: { kind: "anthropic", when: "{ needs: [thinking] }" }, second: LIMITED });

  it("may be a condition", async () => {
    assert.equal((await condition.chat({})).said, `said by ${condition.second.name}`);
    assert.equal((await condition.chat({ reasoning_effort: "low" })).said, `said by ${condition.first.name}`);
  });
});
