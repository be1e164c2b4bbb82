// The frameworks that call the Responses API by default: OpenAI's Agents SDK and Vercel's AI SDK, which run a tool by
// models of every format.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { SCENE, startFormats } from "../workerd/fake-formats.mjs";
import { startGateway } from "../workerd/harness.mjs";
import { KEY } from "./agents.mjs";
import { MISSING, PROVIDERS, TOOLS } from "./stage.mjs";

const require = createRequire(join(TOOLS, "package.json"));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const ANSWER = SCENE.words.join("");

describe("by the Responses API", { concurrency: 2, skip: MISSING }, () => {
  let formats, gateway;
  before(async () => {
    formats = await startFormats({ native: true });
    const row = ([name, { row, model, key }]) => `  ${name}: { ${row} base_url: "${formats[name]}", api_key_env: ${name.toUpperCase()}_KEY, models: { ${model}: {} } }\n`;
    const bindings = Object.fromEntries(Object.entries(PROVIDERS).map(([name, { key }]) => [`${name.toUpperCase()}_KEY`, key]));
    gateway = await startGateway({ config: `providers:\n${Object.entries(PROVIDERS).map(row).join("")}`, bindings: { ACCESS_API_KEYS: KEY, ...bindings } });
  });
  after(async () => {
    await gateway.stop();
    await formats.stop();
  });

  for (const [name, { model }] of Object.entries(PROVIDERS)) {
    // Without `store: false`, it names what it got before by references.
    for (const store of [false, undefined]) it(`the AI SDK runs two tools by a model of ${name}, streamed, with store ${store ?? "left out"}`, async () => {
      const [{ streamText, tool, jsonSchema, stepCountIs }, { createOpenAI }] = await Promise.all([load("ai"), load("@ai-sdk/openai")]);
      const openai = createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY });
      const ran = [];
      const made = ({ name }) => tool({ inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } } }), execute: (args) => (ran.push({ name, args }), "fine") });
      const tools = Object.fromEntries(SCENE.calls.map((call) => [call.name, made(call)]));
      const result = streamText({ model: openai(`${name}/${model}`), prompt: "Weather?", tools, stopWhen: stepCountIs(5), providerOptions: { openai: { store } } });
      assert.equal(await result.text, ANSWER);
      assert.deepEqual(ran, SCENE.calls);
      assert.equal(await result.finishReason, "stop");
    });

    for (const store of [false, true]) it(`the Agents SDK runs two tools by a model of ${name}, with store ${store}`, async () => {
      const [{ Agent, tool, OpenAIProvider, Runner, setTracingDisabled }, { default: OpenAI }] = await Promise.all([load("@openai/agents"), load("openai")]);
      setTracingDisabled(true);
      const ran = [];
      const parameters = { type: "object", properties: { city: { type: "string" } }, required: [], additionalProperties: true };
      const made = ({ name }) => tool({ name, description: name, parameters, strict: false, execute: (args) => (ran.push({ name, args }), "fine") });
      const agent = new Agent({ name: "Weather", model: `${name}/${model}`, tools: SCENE.calls.map(made), modelSettings: { store } });
      const openAIClient = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY });
      const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient, useResponses: true }), tracingDisabled: true });
      // With `previousResponseId`, each call says only what is new.
      const asked = formats.requests.length;
      const result = await runner.run(agent, "Weather?");
      assert.equal(result.finalOutput, ANSWER);
      assert.deepEqual(ran, SCENE.calls);
      if (!store) return;
      const more = await runner.run(agent, "And then?", { previousResponseId: result.lastResponseId });
      assert.equal(more.finalOutput, ANSWER);
      // A model that did not know of the two results would call the tools once more.
      assert.deepEqual(ran, SCENE.calls);
    });
  }
});
