// A dialogue with tools, three turns long, for each pair of formats: the official SDK, a strict fake
// provider, complete and streamed, with thinking and without. One table lists what each pair supports.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { SCENE, startFormats } from "./fake-formats.mjs";
import { startGateway } from "./harness.mjs";

const KEY = "caller-key-3141592653";
const TEXT = SCENE.words.join("");
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, additionalProperties: false };
const PIXEL = "iVBORw0KGgo=";

// The thinking settings as they reach each provider; empty where none was requested.
const THINKS = {
  openai: (body) => body.reasoning_effort,
  anthropic: (body) => body.thinking?.budget_tokens,
  gemini: (body) => body.generationConfig?.thinkingConfig?.thinkingBudget,
  responses: (body) => body.reasoning?.effort,
};

// What each pair supports: `asked` is the thinking setting that the provider gets in every turn.
const PAIRS = [
  { client: "openai", provider: "openai", model: "gpt-fake", served: "gpt-served", asked: "low" },
  { client: "openai", provider: "anthropic", model: "claude-fake", served: "claude-served", asked: 2048 },
  { client: "openai", provider: "gemini", model: "gemini-fake", served: "gemini-served", asked: 1024 },
  { client: "openai", provider: "responses", model: "gpt-fake", served: "gpt-served", asked: "low" },
  { client: "responses", provider: "openai", model: "gpt-fake", served: "gpt-served", asked: "low" },
  { client: "responses", provider: "anthropic", model: "claude-fake", served: "claude-served", asked: 2048 },
  { client: "responses", provider: "gemini", model: "gemini-fake", served: "gemini-served", asked: 1024 },
  { client: "responses", provider: "responses", model: "gpt-fake", served: "gpt-served", asked: "low" },
  { client: "anthropic", provider: "openai", model: "gpt-fake", served: "gpt-served", asked: "low" },
  { client: "anthropic", provider: "anthropic", model: "claude-fake", served: "claude-served", asked: 1024 },
  { client: "anthropic", provider: "gemini", model: "gemini-fake", served: "gemini-served", asked: 1024 },
  { client: "anthropic", provider: "responses", model: "gpt-fake", served: "gpt-served", asked: "low" },
];

/** A conversation of the official OpenAI client. */
class Chat {
  messages = [
    { role: "system", content: "Be brief." },
    { role: "user", content: [{ type: "text", text: "Weather?" }, { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } }] },
  ];

  constructor(url) {
    this.sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 });
  }

  async ask(model, stream, thinks) {
    const tools = SCENE.calls.map(({ name }) => ({ type: "function", function: { name, description: "It tells.", parameters: SCHEMA } }));
    const request = { model, messages: this.messages, tools, ...(thinks && { reasoning_effort: "low" }) };
    const { thought, completion } = await (stream ? this.streamed(request) : this.whole(request));
    const [{ message, finish_reason }] = completion.choices;
    // The client sends back what it got, except fields that only this provider has.
    this.messages.push({ role: "assistant", content: message.content, ...(message.tool_calls && { tool_calls: message.tool_calls }) });
    const { prompt_tokens, prompt_tokens_details, completion_tokens } = completion.usage;
    return {
      text: message.content,
      thought,
      call: message.tool_calls?.map(({ id, function: fn }) => ({ id, name: fn.name, args: JSON.parse(fn.arguments) }))[0],
      reason: { stop: "end", tool_calls: "call" }[finish_reason],
      usage: [prompt_tokens, prompt_tokens_details.cached_tokens, completion_tokens],
      served: completion.model,
    };
  }

  async whole(request) {
    const completion = await this.sdk.chat.completions.create(request);
    return { completion, thought: completion.choices[0].message.reasoning_content };
  }

  async streamed(request) {
    const run = this.sdk.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
    let thought = "";
    run.on("chunk", ({ choices }) => (thought += choices[0]?.delta?.reasoning_content ?? ""));
    return { completion: await run.finalChatCompletion(), thought };
  }

  tell({ id }, result) {
    this.messages.push({ role: "tool", tool_call_id: id, content: result });
  }
}

/** A conversation of the official Anthropic client. */
class Messages {
  messages = [{ role: "user", content: [{ type: "text", text: "Weather?" }, { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } }] }];

  constructor(url) {
    this.sdk = new Anthropic({ baseURL: url, apiKey: KEY, maxRetries: 0 });
  }

  async ask(model, stream, thinks) {
    const tools = SCENE.calls.map(({ name }) => ({ name, description: "It tells.", input_schema: SCHEMA }));
    const thinking = thinks && { thinking: { type: "enabled", budget_tokens: 1024 } };
    const request = { model, max_tokens: 4096, system: "Be brief.", messages: this.messages, tools, ...thinking };
    const answer = await (stream ? this.sdk.messages.stream(request).finalMessage() : this.sdk.messages.create(request));
    const { content, stop_reason, usage, model: served } = answer;
    // Everything goes back, including reasoning.
    this.messages.push({ role: "assistant", content });
    const of = (type) => content.find((block) => block.type === type);
    const call = of("tool_use");
    return {
      text: content.filter(({ type }) => type === "text").map(({ text }) => text).join(""),
      thought: of("thinking")?.thinking,
      call: call && { id: call.id, name: call.name, args: call.input },
      reason: { end_turn: "end", tool_use: "call" }[stop_reason],
      usage: [usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens, usage.cache_read_input_tokens, usage.output_tokens],
      served,
    };
  }

  tell({ id }, result) {
    this.messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: id, content: result }] });
  }
}

/** A conversation of the official OpenAI client by the Responses API, which carries the state itself. */
class Responses {
  messages = [
    { role: "developer", content: "Be brief." },
    { role: "user", content: [{ type: "input_text", text: "Weather?" }, { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${PIXEL}` }] },
  ];

  constructor(url) {
    this.sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 });
  }

  async ask(model, stream, thinks) {
    const tools = SCENE.calls.map(({ name }) => ({ type: "function", name, description: "It tells.", strict: false, parameters: SCHEMA }));
    const request = { model, input: this.messages, tools, store: false, include: ["reasoning.encrypted_content"], ...(thinks && { reasoning: { effort: "low" } }) };
    const response = await (stream ? this.sdk.responses.stream(request).finalResponse() : this.sdk.responses.create(request));
    // Everything goes back but the ids, as Codex does, and what the SDK has added.
    this.messages.push(...response.output.map(({ id, parsed_arguments, ...item }) => item));
    const of = (type) => response.output.find((item) => item.type === type);
    const call = of("function_call");
    const { input_tokens, input_tokens_details, output_tokens } = response.usage;
    return {
      text: response.output_text,
      thought: of("reasoning")?.summary.map(({ text }) => text).join(""),
      call: call && { id: call.call_id, name: call.name, args: JSON.parse(call.arguments) },
      reason: call ? "call" : { completed: "end" }[response.status],
      usage: [input_tokens, input_tokens_details.cached_tokens, output_tokens],
      served: response.model,
    };
  }

  tell({ id }, result) {
    this.messages.push({ type: "function_call_output", call_id: id, output: result });
  }
}

const CLIENTS = { openai: Chat, anthropic: Messages, responses: Responses };

describe("a loop of tools runs to its end", { concurrency: 6 }, () => {
  let formats, gateway;
  before(async () => {
    formats = await startFormats();
    // The catalogue takes an invented name for the newest model: these models ask for reasoning in the older ways.
    const facts = { openai: "{ reasoning_effort_with_tools: keep }", anthropic: "{ thinking: [budget] }", gemini: "{ thinking: [budget] }", responses: "{}" };
    const row = ({ provider, model }) => `  ${provider}: { adapter: ${provider}, base_url: "${formats[provider]}", models: { ${model}: ${facts[provider]} } }`;
    const rows = new Set(PAIRS.map(row));
    const keys = { OPENAI_API_KEY: "key-of-openai", ANTHROPIC_API_KEY: "key-of-anthropic", GEMINI_API_KEY: "key-of-gemini", RESPONSES_API_KEY: "key-of-responses" };
    gateway = await startGateway({ config: ["providers:", ...rows, ""].join("\n"), bindings: { ACCESS_API_KEYS: KEY, ...keys } });
  });
  after(async () => {
    await gateway.stop();
    await formats.stop();
  });

  for (const { client, provider, model, served, asked } of PAIRS) {
    for (const stream of [false, true]) {
      for (const thinks of [false, true]) {
        it(`${client} client, ${provider} provider, ${stream ? "streamed" : "whole"}, ${thinks ? "with" : "without"} thinking`, async () => {
          const chat = new CLIENTS[client](gateway.url);
          // The tool results identify the dialogue, because the fake plays many at once.
          const mark = `${client} ${provider} ${stream} ${thinks}`;
          const bodies = () => formats.requests.filter(({ body }) => JSON.stringify(body).includes(mark)).map(({ body }) => body);
          for (const { name, args } of SCENE.calls) {
            const { call, reason, thought, usage } = await chat.ask(`${provider}/${model}`, stream, thinks);
            assert.deepEqual(
              { name: call.name, args: call.args, reason, thought, usage },
              { name, args, reason: "call", thought: SCENE.thought, usage: [55, 30, 12] },
            );
            chat.tell(call, `${mark}: ${name}`);
          }
          const last = await chat.ask(`${provider}/${model}`, stream, thinks);
          assert.deepEqual(
            { text: last.text, reason: last.reason, call: last.call, served: last.served },
            { text: TEXT, reason: "end", call: undefined, served },
          );
          const later = bodies().map(THINKS[provider]);
          assert.equal(later.length, SCENE.calls.length);
          for (const told of later) assert.equal(told, thinks ? asked : undefined);
        });
      }
    }

    it(`${client} client, ${provider} provider: what is asked of thinking is told`, async () => {
      const told = async (thinks) => {
        const seen = formats.requests.length;
        const mark = `first of ${client} ${provider} ${thinks}`;
        const chat = new CLIENTS[client](gateway.url);
        chat.messages.at(-1).content[0].text = mark;
        await chat.ask(`${provider}/${model}`, false, thinks);
        const { body } = formats.requests.slice(seen).find(({ body }) => JSON.stringify(body).includes(mark));
        return THINKS[provider](body);
      };
      assert.deepEqual(
        { thinking: await told(true), plain: await told(false) },
        { thinking: asked, plain: undefined },
      );
    });
  }
});
