// Reasoning state that providers want back and clients cannot carry: the official SDKs, with thinking on,
// against fakes that refuse a turn without its signature or with another model's.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { until } from "./client.mjs";
import { SCENE, startFormats } from "./fake-formats.mjs";
import { startGateway } from "./harness.mjs";
import { inOneOf } from "./pace.mjs";

const KEY = "caller-key-3141592653";
const OTHER_KEY = "caller-key-2718281828";
const BINDINGS = { ACCESS_API_KEYS: `${KEY},${OTHER_KEY}`, CLAUDE_API_KEY: "key-of-anthropic", GOOGLE_API_KEY: "key-of-gemini" };
const MODELS = ["claude/claude-fake", "claude/claude-other", "google/gemini-fake", "google/gemini-3-fake"];
const PARAMETERS = { type: "object", properties: { city: { type: "string" } } };

// The catalogue takes an invented name for the newest model: most of these ask for reasoning by a budget.
const settings = (formats, more = "") => `
providers:
  claude: { adapter: anthropic, base_url: "${formats.anthropic}", models: { "*": { thinking: [budget] } } }
  google: { adapter: gemini, base_url: "${formats.gemini}", models: { gemini-fake: { thinking: [budget] }, "*": {} } }
${more}`;

/** A conversation of an OpenAI client: each step sends a request and answers its tool calls. */
function chat(gateway, key = KEY) {
  const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key, maxRetries: 0 });
  const tools = SCENE.calls.map(({ name }) => ({ type: "function", function: { name, parameters: PARAMETERS } }));
  const messages = [{ role: "user", content: "Weather?" }];
  return {
    messages,
    async step(model, stream) {
      const request = { model, messages, tools, reasoning_effort: "low" };
      const asked = stream ? client.chat.completions.stream(request) : client.chat.completions.create(request).withResponse();
      const { choices } = stream ? await asked.finalChatCompletion() : (await asked).data;
      const [{ message }] = choices;
      messages.push({ role: "assistant", content: message.content, tool_calls: message.tool_calls });
      for (const { id } of message.tool_calls ?? []) messages.push({ role: "tool", tool_call_id: id, content: "1" });
      return { text: message.content, dropped: stream ? undefined : (await asked).response.headers.get("x-llm-bridge-dropped") };
    },
  };
}

/** A conversation of an Anthropic client. */
function talk(gateway) {
  const client = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 });
  const tools = SCENE.calls.map(({ name }) => ({ name, input_schema: PARAMETERS }));
  const messages = [{ role: "user", content: "Weather?" }];
  return {
    messages,
    async step(model, stream) {
      const request = { model, messages, tools, max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 1024 } };
      const { content } = stream ? await client.messages.stream(request).finalMessage() : await client.messages.create(request);
      messages.push({ role: "assistant", content });
      const results = content.filter(({ type }) => type === "tool_use").map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "1" }));
      if (results.length > 0) messages.push({ role: "user", content: results });
      return { text: content.find(({ type }) => type === "text")?.text };
    },
  };
}

/** The signatures in the last request that a provider got. */
const signatures = ({ body }) =>
  body.messages
    ? body.messages.flatMap(({ content }) => (Array.isArray(content) ? content : []).flatMap(({ signature }) => signature ?? []))
    : body.contents.flatMap(({ parts }) => parts.flatMap(({ thoughtSignature }) => thoughtSignature ?? []));
const text = (signature) => Buffer.from(signature, "base64").toString();
const thoughts = (model, count) => SCENE.calls.slice(0, count).map((_, step) => `${model} thought this at step ${step}`);

describe("with thinking on, a loop of tools runs to its end, each turn with its signature:", { concurrency: 2 }, () => {
  let formats, gateway;
  before(async () => {
    formats = await startFormats();
    gateway = await startGateway({ config: settings(formats), bindings: BINDINGS });
  });
  after(async () => {
    await gateway.stop();
    await formats.stop();
  });

  for (const [client, begin] of [["an OpenAI client", chat], ["an Anthropic client", talk]]) {
    for (const model of MODELS) {
      for (const stream of [false, true]) {
        it(`${client}, ${model}, ${stream ? "streamed" : "whole"}`, async () => {
          const [own, mark] = [model.split("/")[1], `${client} ${model} ${stream}`];
          const conversation = begin(gateway);
          conversation.messages[0].content = mark;
          for (let turn = 0; turn <= SCENE.calls.length; turn++) {
            const { text: said } = await conversation.step(model, stream);
            const last = formats.requests.filter(({ body }) => JSON.stringify(body).includes(mark)).at(-1);
            assert.deepEqual(signatures(last).map(text), thoughts(own, turn));
            if (turn === SCENE.calls.length) assert.equal(said, SCENE.words.join(""));
          }
        });
      }
    }
  }
});

/** Whether a disk has reasoning stores, and all are empty. */
async function isClear(disk) {
  const files = (await readdir(join(disk, "Vault"))).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  const full = (file) => {
    let database;
    try {
      database = new DatabaseSync(join(disk, "Vault", file), { readOnly: true });
      return database.prepare("SELECT name FROM sqlite_master WHERE name = 'things'").all().length > 0;
    } catch {
      // It is being written, or deleted.
      return true;
    } finally {
      database?.close();
    }
  };
  return files.length > 0 && !files.some(full);
}

// Alarms run in real time.
const KEPT_SECONDS = 5;

describe("what is kept for a provider", () => {
  /** Calls a function with fakes and a gateway of its own. */
  const scene = (title, more, play) =>
    it(title, async () => {
      const formats = await startFormats();
      const disk = await mkdtemp(join(tmpdir(), "llm-bridge-vault-"));
      const start = () => startGateway({ config: settings(formats, more), bindings: BINDINGS, disk, entry: "production.mjs" });
      let gateway = await start();
      const restart = async () => (await gateway.stop(), (gateway = await start()));
      try {
        await play({ formats, gateway, restart, disk });
      } finally {
        await gateway.stop();
        await formats.stop();
        await rm(disk, { recursive: true });
      }
    });
  const last = (formats) => signatures(formats.requests.at(-1)).map(text);

  scene("goes to its model alone: another one is asked without foreign signatures, and the first gets its own back", "", async ({ formats, gateway }) => {
    const { step } = chat(gateway);
    await step("claude/claude-fake");
    const { dropped } = await step("claude/claude-other");
    assert.deepEqual({ signatures: last(formats), dropped }, { signatures: [], dropped: "reasoning_effort" });
    assert.equal(formats.requests.at(-1).body.thinking, undefined);
    await step("google/gemini-fake");
    assert.deepEqual(last(formats), []);
    await step("google/gemini-3-fake");
    assert.deepEqual(last(formats), ["skip_thought_signature_validator", "skip_thought_signature_validator"]);
  });

  scene("is never another caller's, though it shows the same ids", "", async ({ formats, gateway }) => {
    const [own, thief] = [chat(gateway), chat(gateway, OTHER_KEY)];
    await own.step("google/gemini-fake");
    thief.messages.splice(0, 1, ...own.messages);
    await thief.step("google/gemini-fake");
    assert.deepEqual(last(formats), []);
    await own.step("google/gemini-fake");
    assert.deepEqual(last(formats), thoughts("gemini-fake", 1));
  });

  scene("outlives a restart, and lies sealed", "", async ({ formats, gateway, restart, disk }) => {
    const conversation = chat(gateway);
    await conversation.step("claude/claude-fake");
    const again = chat(await restart());
    again.messages.splice(0, 1, ...conversation.messages);
    await again.step("claude/claude-fake");
    assert.deepEqual(last(formats), thoughts("claude-fake", 1));
    const files = await readdir(disk, { recursive: true, withFileTypes: true });
    const bytes = await Promise.all(files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name))));
    const all = Buffer.concat(bytes);
    assert.ok(all.includes("toolu_"), "it is there");
    for (const word of [SCENE.thought, "thinking", "signature", Buffer.from("claude-fake thought").toString("base64").slice(0, 20)]) {
      assert.ok(!all.includes(word), `${word} lies open`);
    }
  });

  scene("is gone when its time is over", "vault: { keep_seconds: 600 }", async ({ formats, gateway }) => {
    const conversation = chat(gateway);
    await conversation.step("google/gemini-fake");
    const rest = structuredClone(conversation.messages);
    await conversation.step("google/gemini-fake");
    assert.deepEqual(last(formats), thoughts("gemini-fake", 1));
    await gateway.control({ advance: 600_000 });
    const late = chat(gateway);
    late.messages.splice(0, 1, ...rest);
    await late.step("google/gemini-fake");
    assert.deepEqual(last(formats), []);
  });

  scene("is cleared out when its time is over, and put up again", `vault: { keep_seconds: ${KEPT_SECONDS} }`, async ({ formats, gateway, disk }) => {
    await chat(gateway).step("google/gemini-fake");
    await until(() => isClear(disk), "the vault to be cleared out");
    // Both turns fall into the time for which it is kept, unless the machine stands still.
    await inOneOf(3, async () => {
      const next = chat(gateway);
      await next.step("google/gemini-fake");
      await next.step("google/gemini-fake");
      assert.deepEqual(last(formats), thoughts("gemini-fake", 1));
    });
  });

  scene("is nothing where the operator says so", "vault: { enabled: false }", async ({ formats, gateway, disk }) => {
    const { step } = chat(gateway);
    await step("claude/claude-fake");
    const { dropped } = await step("claude/claude-fake");
    assert.deepEqual({ signatures: last(formats), dropped }, { signatures: [], dropped: "reasoning_effort" });
    const files = await readdir(disk, { recursive: true });
    assert.deepEqual(files.filter((name) => /^Vault.*sqlite$/.test(name) && !name.includes("metadata")), []);
  });
});
