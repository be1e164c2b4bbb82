// Checks what the gateway writes against the official SDKs' own types: the requests that providers get and
// the responses that clients get, in the golden documents of tests/fixtures/translation/. TypeScript does the
// check, and also refuses unknown fields.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const DOCUMENTS = join(PROJECT, "tests/fixtures/translation");
const OPTIONS = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"];

// What goes beyond the SDKs' types.
const BEYOND = {
  // Reasoning as DeepSeek and others spell it, and tokens written to a provider's cache, which OpenAI's own
  // API does not report.
  openai: ["reasoning_content", "cache_write_tokens"],
  // Models since 4.7 refuse them, and the types no longer have them. Older models accept them.
  anthropic: ["temperature", "top_p", "top_k"],
  // Responses state it, and the types of requests alone have it.
  responses: ["store"],
};

// What OpenAI's own API states as `null` where the types have nothing.
const NULL = ["usage", "user", "safety_identifier", "prompt_cache_key"];

// Requests of clients with fields on purpose that the types do not know: extensions of other gateways, fields
// of betas, invented fields.
const UNTYPED = {
  openai: ["cache-control", "top-k", "unknown"],
  anthropic: ["others", "unknown"],
  responses: ["audio", "item-fields", "metadata", "output-encrypted", "unknown"],
};

// Requests to providers with what their types do not know yet.
const UNTYPED_AT_PROVIDER = { responses: ["audio"] };

// Google's SDK checks what it reads and writes itself: genai.test.mjs.
const TYPES = {
  request: {
    openai: "OpenAI.Chat.ChatCompletionCreateParams",
    anthropic: "Anthropic.MessageCreateParams",
    responses: "OpenAI.Responses.ResponseCreateParams",
  },
  answer: { openai: "OpenAI.Chat.ChatCompletion", anthropic: "Anthropic.Message", responses: "OpenAI.Responses.Response" },
  event: {
    openai: "OpenAI.Chat.ChatCompletionChunk",
    anthropic: "Anthropic.RawMessageStreamEvent",
    responses: "OpenAI.Responses.ResponseStreamEvent",
  },
  error: {
    openai: "{ error: OpenAI.ErrorObject }",
    anthropic: "Anthropic.ErrorResponse",
    responses: "{ error: OpenAI.ErrorObject }",
  },
};

async function documents(kind) {
  const names = (await readdir(join(DOCUMENTS, kind))).filter((name) => name.endsWith(".written.json"));
  return Promise.all(names.map(async (name) => [name.slice(0, -".written.json".length), JSON.parse(await readFile(join(DOCUMENTS, kind, name)))]));
}

/** Each written value with its intended type: `[where, type, value]`. */
async function values() {
  const found = [];
  for (const name of (await readdir(join(DOCUMENTS, "asked"))).filter((name) => !name.endsWith(".written.json"))) {
    const given = JSON.parse(await readFile(join(DOCUMENTS, "asked", name)));
    const about = name.slice(0, -".json".length);
    for (const client of Object.keys(TYPES.request).filter((client) => given[client] && !UNTYPED[client].includes(about))) {
      found.push([`${about}, ${client} client`, TYPES.request[client], { model: "m", ...given[client].with }]);
    }
  }
  for (const [name, pairs] of await documents("asked")) {
    for (const [pair, { status, body }] of Object.entries(pairs)) {
      const provider = pair.match(/(\w+) provider/)[1];
      if (status) {
        const client = pair.match(/(\w+) client/)[1];
        if (client in TYPES.error) found.push([`${name}, ${pair}`, TYPES.error[client], body]);
      } else if (provider in TYPES.request && !UNTYPED_AT_PROVIDER[provider]?.includes(name)) found.push([`${name}, ${pair}`, TYPES.request[provider], body]);
    }
  }
  for (const [name, pairs] of await documents("answered")) {
    for (const [pair, { whole, stream, refusal }] of Object.entries(pairs)) {
      const client = pair.match(/(\w+) client/)[1];
      if (!(client in TYPES.answer)) continue;
      const add = (what, kind, value) => found.push([`${name}, ${pair}, ${what}`, TYPES[kind][client], value]);
      for (const said of [whole, refusal, stream?.body && stream]) if (said) add("whole", said.status === 200 ? "answer" : "error", said.body);
      stream?.events?.forEach((event, n) => {
        if (event === "[DONE]") return;
        // An event of an error has it twice for clients of the Responses API: as the types say, and as SDKs raise it.
        const { error, ...typed } = event;
        if (event.type === "error" && client === "responses") add(`event ${n}`, "event", typed);
        // The reference demands the name, which the types do not have yet.
        else if (event.type === "response.function_call_arguments.done") add(`event ${n}`, "event", { ...event, name: undefined });
        // Of probabilities in events, the types have less than of those in parts.
        else if (event.type === "response.output_text.done") add(`event ${n}`, "event", { ...event, logprobs: [] });
        else add(`event ${n}`, error ? "error" : "event", event);
      });
    }
  }
  return found;
}

/** A part of the Responses API's documents as the types have it, where they differ from the API itself. */
function typed(inner) {
  // The SDK itself adds all the text of a response.
  if (inner?.object === "response" && !("output_text" in inner)) {
    // Codes that the API uses, and that Codex acts upon.
    const error = inner.error && { ...inner.error, code: inner.error.code.replace("server_is_overloaded", "server_error") };
    return { ...inner, error, output_text: "", access_programs: null };
  }
  // Items of the model that are sent again need neither.
  if (inner?.type === "message" && inner.role === "assistant" && !("id" in inner)) return { ...inner, id: "msg_1", status: "completed" };
  if (inner?.type === "reasoning" && !("id" in inner)) return { ...inner, id: "rs_1" };
  // Vercel's SDK demands it.
  if (inner?.type === "custom_tool_call" && inner.status) return { ...inner, status: undefined };
  return inner;
}

/** A value as TypeScript, without what goes beyond its type. */
const literal = (type, value) => {
  const format = type.includes("Responses.") ? "responses" : type.includes("OpenAI") ? "openai" : "anthropic";
  const isLeft = (key, inner) => BEYOND[format].includes(key) || (format === "responses" && inner === null && NULL.includes(key));
  return JSON.stringify(value, (key, inner) => (isLeft(key, inner) ? undefined : format === "responses" ? typed(inner) : inner));
};

describe("the official SDKs' types", () => {
  let folder;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "llm-bridge-types-"));
    await symlink(join(PROJECT, "node_modules"), join(folder, "node_modules"));
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  });
  after(() => rm(folder, { recursive: true }));

  /** TypeScript's errors for these values, by line. */
  const judge = async (rows) => {
    const lines = rows.map(([, type, value], n) => `export const v${n}: ${type} = ${literal(type, value)};`);
    const head = 'import type Anthropic from "@anthropic-ai/sdk"; import type OpenAI from "openai";';
    await writeFile(join(folder, "written.ts"), [head, ...lines].join("\n"));
    const tsc = join(PROJECT, "node_modules/.bin/tsc");
    const { stdout } = await promisify(execFile)(tsc, [...OPTIONS, "written.ts"], { cwd: folder, maxBuffer: 1 << 26 }).catch((fault) => fault);
    const complaint = (line) => {
      const [, at, words] = line.match(/^written\.ts\((\d+),\d+\): error (.*)/) ?? [];
      return at ? [`${rows[at - 2][0]}: ${words}`] : /error/.test(line) ? [line] : [];
    };
    return stdout.split("\n").flatMap(complaint);
  };

  it("accept every request of a client and to a provider, and every answer to a client", async () => {
    const rows = await values();
    for (const type of Object.values(TYPES).flatMap(Object.values)) assert.ok(rows.some((row) => row[1] === type), `nothing of type ${type}`);
    const complaints = await judge(rows);
    assert.ok(complaints.length === 0, complaints.join("\n"));
  });

  it("refuse what is not in them", async () => {
    const message = { role: "user", content: "Hi" };
    const rows = [
      ["a field too many", TYPES.request.openai, { model: "m", messages: [message], no_such_field: 1 }],
      ["a field too few", TYPES.request.anthropic, { model: "m", messages: [message] }],
      ["a word too many", TYPES.event.anthropic, { type: "no_such_event" }],
    ];
    assert.equal((await judge(rows)).length, 3);
  });
});
