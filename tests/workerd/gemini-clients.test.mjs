// Clients of Gemini's format, served by any provider: the official SDK against strict fakes.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { GoogleGenAI } from "@google/genai";
import { SCENE, startFormats } from "./fake-formats.mjs";
import { startGateway } from "./harness.mjs";

const KEY = "caller-key-3141592653";
const TEXT = SCENE.words.join("");
const SCHEMA = { type: "object", properties: { city: { type: "string" } } };
const FUNCTIONS = SCENE.calls.map(({ name }) => ({ name, description: "It tells.", parametersJsonSchema: SCHEMA }));
const MODELS = { openai: "openai/gpt-fake", anthropic: "claude/claude-fake", gemini: "google/gemini-fake" };

describe("a client of the Gemini API", { concurrency: 1 }, () => {
  let formats, gateway, client;
  before(async () => {
    formats = await startFormats();
    const config = `
aliases: { gemini-2.5-flash-lite: openai/gpt-fake }
providers:
  openai: { base_url: "${formats.openai}", models: { gpt-fake: {} } }
  claude: { adapter: anthropic, base_url: "${formats.anthropic}", models: { claude-fake: {} } }
  google: { adapter: gemini, base_url: "${formats.gemini}", models: { gemini-fake: {}, gemini-embedding-001: {}, gemini-embedding-2: {} } }
  demo: { adapter: echo, models: { echo: {} } }
`;
    const bindings = { ACCESS_API_KEYS: KEY, OPENAI_API_KEY: "key-of-openai", CLAUDE_API_KEY: "key-of-anthropic", GOOGLE_API_KEY: "key-of-gemini" };
    gateway = await startGateway({ config, bindings });
    client = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: gateway.url } });
  });
  after(async () => {
    await gateway.stop();
    await formats.stop();
  });

  /** The parts of a response and how it ends, whole or streamed. */
  async function ask(stream, request) {
    const responses = [];
    if (stream) for await (const chunk of await client.models.generateContentStream(request)) responses.push(chunk);
    else responses.push(await client.models.generateContent(request));
    const parts = responses.flatMap((response) => response.candidates?.[0]?.content?.parts ?? []);
    return { parts, last: responses.at(-1), text: responses.map((response) => response.text ?? "").join(""), responses };
  }

  const hello = (model, config = {}) => ({ model, contents: "Hi", config });

  for (const [format, model] of Object.entries(MODELS)) {
    for (const stream of [false, true]) {
      it(`plays a dialogue with tools with a provider of ${format}'s format, ${stream ? "streamed" : "whole"}`, async () => {
        const contents = [{ role: "user", parts: [{ text: "Weather?" }] }];
        const config = { systemInstruction: "Be brief.", maxOutputTokens: 9000, tools: [{ functionDeclarations: FUNCTIONS }], thinkingConfig: { thinkingBudget: 1024, includeThoughts: true } };
        for (const step of [0, 1]) {
          const { parts, last } = await ask(stream, { model, contents, config });
          const calls = parts.filter((part) => part.functionCall);
          assert.deepEqual(calls.map(({ functionCall: { name, args } }) => ({ name, args })), [SCENE.calls[step]]);
          assert.equal(last.candidates[0].finishReason, "STOP");
          assert.ok(last.usageMetadata.totalTokenCount > 0);
          const thoughts = parts.filter((part) => part.thought).map((part) => part.text).join("");
          assert.ok(["", SCENE.thought].includes(thoughts), thoughts);
          contents.push({ role: "model", parts });
          const { id, name } = calls[0].functionCall;
          contents.push({ role: "user", parts: [{ functionResponse: { ...(id && { id }), name, response: { output: `result ${step}` } } }] });
        }
        const { text, last } = await ask(stream, { model, contents, config });
        assert.equal(text, TEXT);
        assert.equal(last.candidates[0].finishReason, "STOP");
      });
    }
  }

  it("is served by the demonstration, whole and streamed", async () => {
    for (const stream of [false, true]) {
      const { text, last } = await ask(stream, { model: "demo/echo", contents: "one two" });
      assert.match(text, /You said: one two$/);
      assert.equal(last.candidates[0].finishReason, "STOP");
    }
  });

  it("finds its helper models by their aliases", async () => {
    assert.equal((await ask(false, hello("gemini-2.5-flash-lite"))).last.modelVersion, "gpt-served");
  });

  it("chats with the SDK's own history, which carries calls, signatures and results", async () => {
    for (const model of Object.values(MODELS)) {
      const chat = client.chats.create({ model, config: { tools: [{ functionDeclarations: FUNCTIONS }] } });
      let { functionCalls } = await chat.sendMessage({ message: "Hi" });
      for (const step of [0, 1]) {
        const [{ id, name, args }] = functionCalls;
        assert.deepEqual({ name, args }, SCENE.calls[step], model);
        const functionResponse = { ...(id && { id }), name, response: { output: `result ${step}` } };
        const response = await chat.sendMessage({ message: { functionResponse } });
        if (step === 1) assert.equal(response.text, TEXT, model);
        ({ functionCalls } = response);
      }
    }
  });

  it("is told of a stream that broke off, and never that it finished", async () => {
    try {
      for (const [format, model] of Object.entries(MODELS)) {
        // Each format says why it ends in one event. What the provider sends after it is no part of the answer.
        const whole = formats.events(format);
        const ending = whole.findIndex((event) => /"finish_?[rR]eason":"|"stop_reason":"/.test(event));
        assert.ok(ending > 0, model);
        for (let at = 0; at <= ending; at++) {
          formats.cut(at);
          const seen = [];
          const reading = (async () => {
            for await (const chunk of await client.models.generateContentStream(hello(model))) seen.push(chunk);
          })();
          await assert.rejects(reading, (error) => error.name === "ApiError" && error.status >= 500, `${model}, cut after ${at}`);
          assert.ok(seen.every((chunk) => !chunk.candidates?.[0]?.finishReason), `${model}, cut after ${at}`);
        }
      }
    } finally {
      formats.cut(false);
    }
  });

  it("gets errors as its SDK reads them", async () => {
    const rejects = (asked, status, name) =>
      assert.rejects(asked, (error) => error.name === "ApiError" && error.status === status && JSON.parse(error.message).error.status === name);
    await rejects(client.models.generateContent(hello("nobody/x")), 404, "NOT_FOUND");
    await rejects(new GoogleGenAI({ apiKey: "wrong", httpOptions: { baseUrl: gateway.url } }).models.generateContent(hello("demo/echo")), 401, "UNAUTHENTICATED");
    formats.refuse(429, { "retry-after": "7" });
    try {
      for (const model of Object.values(MODELS)) {
        await assert.rejects(client.models.generateContent(hello(model)), (error) => {
          const { status, details } = JSON.parse(error.message).error;
          return status === "RESOURCE_EXHAUSTED" && details.some((detail) => detail["@type"].endsWith("RetryInfo") && detail.retryDelay === "7s");
        });
      }
    } finally {
      formats.refuse(null);
    }
  });

  it("gets one array of chunks without `alt=sse`", async () => {
    const body = JSON.stringify({ contents: [{ role: "user", parts: [{ text: "Hi" }] }] });
    for (const model of Object.values(MODELS)) {
      const url = `${gateway.url}/v1beta/models/${model}:streamGenerateContent`;
      const response = await fetch(url, { method: "POST", headers: { "x-goog-api-key": KEY }, body });
      assert.match(response.headers.get("content-type"), /^application\/json/);
      const chunks = await response.json();
      assert.equal(chunks.at(-1).candidates[0].finishReason, "STOP", model);
      const refused = await fetch(url.replace(model, "nobody/x"), { method: "POST", headers: { "x-goog-api-key": KEY }, body });
      assert.equal((await refused.json())[0].error.status, "NOT_FOUND");
    }
  });

  it("embeds texts with a provider of its own format", async () => {
    const { embeddings } = await client.models.embedContent({ model: "google/gemini-embedding-001", contents: ["a", "b"] });
    assert.deepEqual(embeddings.map(({ values }) => values[0]), [0.5, 1.5]);
    // Of the newer model, the SDK takes all that it is given for one content.
    const one = await client.models.embedContent({ model: "google/gemini-embedding-2", contents: ["a", "b"] });
    assert.deepEqual(one.embeddings.map(({ values }) => values[0]), [0.5]);
    const body = JSON.stringify({ content: { parts: [{ text: "a" }] } });
    const response = await fetch(`${gateway.url}/v1beta/models/google/gemini-embedding-2:embedContent`, { method: "POST", headers: { "x-goog-api-key": KEY }, body });
    assert.equal((await response.json()).embedding.values[0], 0.5);
    const foreign = client.models.embedContent({ model: MODELS.anthropic, contents: ["a"] });
    await assert.rejects(foreign, (error) => error.status === 400);
  });

  it("counts tokens with every provider", async () => {
    for (const model of Object.values(MODELS)) {
      const { totalTokens } = await client.models.countTokens({ model, contents: "Hello there" });
      assert.ok(totalTokens > 0, model);
    }
  });

  it("lists the models and describes one", async () => {
    const names = [];
    for await (const model of await client.models.list()) names.push(model.name);
    assert.ok(names.includes("models/openai/gpt-fake") && names.includes("models/gemini-2.5-flash-lite"), names.join());
    assert.equal((await client.models.get({ model: "openai/gpt-fake" })).name, "models/openai/gpt-fake");
  });

  it("sends its key in the query, which reaches neither the log nor a provider", async () => {
    const body = JSON.stringify({ contents: [{ parts: [{ text: "Hi" }] }] });
    const url = `${gateway.url}/v1beta/models/google/gemini-fake:generateContent?key=${KEY}`;
    const contents = JSON.stringify({ contents: [{ role: "user", parts: [{ text: "Hi" }] }] });
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: contents });
    assert.equal(response.status, 200, await response.text());
    assert.equal((await fetch(url.replace(KEY, "wrong"), { method: "POST", body })).status, 401);
    assert.ok(!JSON.stringify(formats.requests).includes(KEY));
    assert.ok(gateway.logs().some((entry) => entry.path?.includes(":generateContent") || entry.event), gateway.lines.at(-1));
    assert.deepEqual(gateway.leaks(), []);
  });
});
