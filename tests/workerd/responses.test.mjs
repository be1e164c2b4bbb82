// The Responses API from outside: what Codex and the official SDK act upon.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import { startGateway } from "./harness.mjs";

const KEY = "caller-key-3141592653";

describe("responses", { concurrency: 4 }, () => {
  let gateway;
  before(async () => {
    gateway = await startGateway({
      config: "providers:\n  demo: { adapter: echo, models: { echo: {} } }\n",
      bindings: { ACCESS_API_KEYS: KEY },
    });
  });
  after(() => gateway.stop());

  const ask = (path, { method = "POST", body, headers = {} } = {}) =>
    fetch(`${gateway.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json", ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });

  it("a stream has numbered events of both spellings, one end, and no end marker", async () => {
    const response = await ask("/v1/responses", { body: { model: "demo/echo", input: "Hello", stream: true } });
    assert.match(response.headers.get("content-type"), /^text\/event-stream/);
    const frames = (await response.text()).split("\n\n").filter((frame) => frame !== "");
    const events = frames.map((frame) => {
      const [name, data] = frame.split("\n");
      const event = JSON.parse(data.replace(/^data: /, ""));
      assert.equal(name, `event: ${event.type}`);
      return event;
    });
    assert.deepEqual(events.map(({ sequence_number }) => sequence_number), events.map((_, index) => index));
    assert.deepEqual(events.slice(0, 2).map(({ type }) => type), ["response.created", "response.in_progress"]);
    assert.equal(events.at(-1).type, "response.completed");
    assert.equal(events.filter(({ type }) => /^response\.(completed|failed|incomplete)$/.test(type)).length, 1);
  });

  it("the official SDK builds the same response from a stream", async () => {
    const sdk = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
    const request = { model: "demo/echo", instructions: "Be brief.", input: "Hello", store: false };
    const whole = await sdk.responses.create(request);
    const run = sdk.responses.stream(request);
    let text = "";
    run.on("response.output_text.delta", ({ delta }) => (text += delta));
    const streamed = await run.finalResponse();
    assert.equal(streamed.output_text, whole.output_text);
    assert.equal(text, whole.output_text);
    assert.match(text, /You said: Hello/);
    assert.deepEqual([streamed.status, streamed.instructions, streamed.usage], [whole.status, "Be brief.", whole.usage]);
    const short = await sdk.responses.create({ ...request, max_output_tokens: 16, input: "one two three four five six" });
    assert.deepEqual([short.status, short.incomplete_details], ["incomplete", { reason: "max_output_tokens" }]);
  });

  it("errors are those that the SDK raises", async () => {
    const sdk = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
    const refused = (request) => sdk.responses.create({ model: "demo/echo", input: "Hello", ...request }).then(
      () => assert.fail("it was not refused"),
      ({ status, code, param }) => ({ status, code, param }),
    );
    assert.deepEqual(await refused({ previous_response_id: "resp_1" }), { status: 400, code: "previous_response_not_found", param: "previous_response_id" });
    assert.deepEqual(await refused({ model: "demo/none" }), { status: 404, code: "model_not_found", param: "model" });
    assert.equal((await refused({ input: [{ type: "item_reference", id: "msg_1" }] })).param, "input[0]");
    assert.equal((await refused({ input: 7 })).param, "input");
  });

  it("a WebSocket is answered with 426, and stored responses with 404", async () => {
    const upgrade = await ask("/v1/responses", { method: "GET" });
    assert.equal(upgrade.status, 426);
    for (const [method, path] of [["GET", "resp_1"], ["DELETE", "resp_1"], ["GET", "resp_1/input_items"], ["POST", "compact"]]) {
      const stored = await ask(`/v1/responses/${path}`, { method });
      assert.deepEqual([stored.status, (await stored.json()).error.code], [404, "not_found"], `${method} ${path}`);
    }
  });

  it("Codex gets the list of models as it reads it", async () => {
    const { models } = await (await ask("/v1/models?client_version=0.150.0", { method: "GET" })).json();
    const [model] = models;
    assert.equal(model.slug, "demo/echo");
    for (const field of ["display_name", "supported_reasoning_levels", "shell_type", "visibility", "supported_in_api", "priority", "base_instructions", "supports_reasoning_summaries", "support_verbosity", "apply_patch_tool_type", "truncation_policy", "supports_parallel_tool_calls", "experimental_supported_tools"]) {
      assert.ok(field in model, field);
    }
    const { data } = await (await ask("/v1/models", { method: "GET" })).json();
    assert.equal(data[0].id, "demo/echo");
  });
});
