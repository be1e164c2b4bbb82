// Calls other than chats: embeddings, legacy completions, token counts, models, usage, health, and the
// preflights of browsers.

import { STREAM_HEADERS, streamed, whole } from "./common.mjs";

const vectors = { object: "list", data: [{ object: "embedding", index: 0, embedding: [0.5, -0.25, 1e-7] }], model: "text-embedding-3-small", usage: { prompt_tokens: 8, total_tokens: 8 } };
const geminiVectors = { embeddings: [{ values: [0.5, -0.25, 0.125] }, { values: [1, 0, -1] }] };

const EMBEDDINGS = {
  openai: { row: "hidden", fields: { input: "Hello" }, answer: whole(vectors) },
  "openai-base64": { row: "hidden", fields: { input: ["Hello", "you"], encoding_format: "base64", dimensions: 3, user: "u" }, answer: whole(vectors) },
  "openai-tokens": { row: "hidden", fields: { input: [[1, 2, 3]] }, answer: whole(vectors) },
  "openai-edited": { row: "edited", fields: { input: "Hello", user: "u" }, answer: whole(vectors) },
  "openai-no-usage": { row: "hidden", fields: { input: "Hello" }, answer: whole({ ...vectors, usage: undefined }) },
  "openai-refused": { row: "hidden", fields: { input: "" }, answer: whole({ error: { message: "'$.input' is invalid.", type: "invalid_request_error", param: null, code: null } }, { status: 400 }) },
  "openai-no-json": { row: "hidden", fields: { input: "Hello" }, answer: whole("<html>") },
  gemini: { row: "gemini", fields: { input: ["Hello", "you"], dimensions: 3 }, answer: whole(geminiVectors) },
  "gemini-base64": { row: "gemini", fields: { input: ["Hello", "you"], encoding_format: "base64" }, answer: whole(geminiVectors) },
  "gemini-usage": { row: "gemini", fields: { input: ["Hello", "you"] }, answer: whole({ ...geminiVectors, usageMetadata: { promptTokenCount: 4 } }) },
  "gemini-too-few": { row: "gemini", fields: { input: ["Hello", "you", "there"] }, answer: whole(geminiVectors) },
  "gemini-tokens": { row: "gemini", fields: { input: [1, 2] }, answer: whole(geminiVectors) },
  "gemini-dropped": { row: "gemini", fields: { input: "Hello", user: "u", later: 1 }, answer: whole({ embeddings: geminiVectors.embeddings.slice(1) }) },
  "gemini-refused": { row: "gemini", fields: { input: "Hello" }, answer: whole({ error: { code: 429, message: "Quota.", status: "RESOURCE_EXHAUSTED" } }, { status: 429 }) },
  anthropic: { row: "anthropic", fields: { input: "Hello" }, answer: whole({}) },
};

function* embeddings() {
  for (const [name, { row, fields, answer }] of Object.entries(EMBEDDINGS)) {
    for (const caller of ["plain", "bounded"]) {
      const send = (attempt) => ({ path: "/v1/embeddings", caller, body: { model: attempt.model(row, "embedding-1"), ...fields } });
      yield { name: `calls/embeddings/${name}/${caller}`, answers: [answer], send };
    }
  }
}

const text = (words, finish_reason = null, more = {}) => ({ id: "cmpl-1", object: "text_completion", created: 1, model: "gpt-3.5-turbo-instruct", choices: [{ text: words, index: 0, logprobs: null, finish_reason }], ...more });
const textUsage = { usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 } };
const textEvents = [text("Yes"), text(", indeed"), text("", "stop"), { ...text(""), choices: [], ...textUsage }].map((event) => `data: ${JSON.stringify(event)}\n\n`);

const COMPLETIONS = {
  whole: [{}, whole(text("Yes", "stop", textUsage))],
  "no-usage": [{}, whole(text("Yes", "stop"))],
  stream: [{ stream: true }, streamed([...textEvents, "data: [DONE]\n\n"])],
  "stream-usage": [{ stream: true, stream_options: { include_usage: true } }, streamed([...textEvents, "data: [DONE]\n\n"])],
  "stream-no-usage": [{ stream: true }, streamed([...textEvents.slice(0, 3), "data: [DONE]\n\n"])],
  "stream-cut": [{ stream: true }, streamed(textEvents.slice(0, 2))],
  "stream-hangs-up": [{ stream: true }, streamed(textEvents.slice(0, 2), { end: "hang-up" })],
  "stream-empty": [{ stream: true }, { headers: STREAM_HEADERS }],
  "stream-as-whole": [{ stream: true }, whole(text("Yes", "stop", textUsage))],
  "whole-as-chat": [{}, whole({ id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: "Yes" }, finish_reason: "stop" }] })],
  prompts: [{ prompt: ["a", "b"], n: 2, best_of: 3, max_tokens: 9, echo: true, suffix: "x" }, whole(text("Yes", "stop", textUsage))],
  tokens: [{ prompt: [1, 2, 3] }, whole(text("Yes", "stop", textUsage))],
  "no-prompt": [{ prompt: undefined }, whole(text("Yes", "stop", textUsage))],
};

function* completions() {
  for (const [name, [fields, answer]] of Object.entries(COMPLETIONS)) {
    for (const row of ["hidden", "shown", "checked", "anthropic", "gemini"]) {
      const send = (attempt) => ({ path: "/v1/completions", caller: "bounded", body: { model: attempt.model(row, "gpt-3.5-turbo-instruct"), prompt: "Say yes", ...fields } });
      yield { name: `calls/completions/${name}/${row}`, answers: [answer], send };
    }
  }
}

const MESSAGES = [{ role: "user", content: "Hello, how are you?" }];
const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } };
const tool = { name: "look", description: "Looks it up.", input_schema: { type: "object", properties: { q: { type: "string" } } } };

const COUNTED = {
  text: { messages: MESSAGES },
  system: { system: "Be brief.", messages: MESSAGES, max_tokens: 5 },
  tools: { messages: MESSAGES, tools: [tool], tool_choice: { type: "auto" } },
  image: { messages: [{ role: "user", content: [image, { type: "text", text: "Look" }] }] },
  nothing: { messages: [] },
  "no-messages": {},
};
const COUNTERS = {
  anthropic: whole({ input_tokens: 14 }),
  gemini: whole({ totalTokens: 31, promptTokensDetails: [{ modality: "TEXT", tokenCount: 31 }] }),
  hidden: whole({}),
};

function* counts() {
  for (const [name, body] of Object.entries(COUNTED)) {
    for (const [row, answer] of Object.entries(COUNTERS)) {
      const send = (attempt) => ({ path: "/v1/messages/count_tokens", headers: { "anthropic-version": "2023-06-01" }, body: { model: attempt.model(row, "claude-haiku-4-5"), ...body } });
      yield { name: `calls/counts/${name}/${row}`, answers: [answer], send };
    }
  }
  for (const [row, bad] of [["anthropic", whole({ type: "error", error: { type: "overloaded_error", message: "Overloaded." } }, { status: 529 })], ["anthropic", whole("<html>")], ["gemini", whole({ error: { code: 404, message: "No.", status: "NOT_FOUND" } }, { status: 404 })], ["gemini", whole({})]]) {
    const send = (attempt) => ({ path: "/v1/messages/count_tokens", body: { model: attempt.model(row), messages: MESSAGES } });
    yield { name: `calls/counts/refused-${bad.status ?? 200}-${bad.pieces[0].length}/${row}`, answers: [bad], send };
  }
}

const chat = [{ role: "system", content: "Be brief." }, { role: "user", name: "ann", content: "Hello – 你好 😀 <|endoftext|>" }];
const TOKENIZED = {
  text: { input: "Hello!" },
  texts: { input: ["Hello!", "", "Good bye"] },
  chat: { messages: chat },
  parts: { messages: [{ role: "user", content: [{ type: "text", text: "Look" }, { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } }, { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }] }] },
  tools: { messages: chat, tools: [{ type: "function", function: { name: "look", description: "Looks it up.", parameters: { type: "object" } } }] },
  both: { input: "Hello", messages: chat },
  neither: {},
  number: { input: 5 },
  tokens: { input: [1, 2] },
};

function* tokenized() {
  for (const [name, fields] of Object.entries(TOKENIZED)) {
    for (const model of ["hidden/gpt-4o", "hidden/gpt-4-turbo", "anthropic/claude-haiku-4-5", "demo/echo"]) {
      yield { name: `calls/tokenize/${name}/${model.replace("/", "-")}`, send: () => ({ path: "/v1/tokenize", body: { model, ...fields } }) };
    }
  }
}

const get = (path, more = {}) => ({ method: "GET", path, ...more });
const ANTHROPIC = { headers: { "anthropic-version": "2023-06-01" } };
const ORIGIN = { origin: "https://app.example.com" };

const PLAIN = {
  health: get("/health", { caller: null }),
  "health-v1": get("/v1/health", { caller: null }),
  "health-head": { method: "HEAD", path: "/health", caller: null },
  models: get("/v1/models"),
  "models-all": get("/v1/models?all=true"),
  "models-anthropic": get("/v1/models", ANTHROPIC),
  "models-anthropic-page": get("/v1/models?limit=1", ANTHROPIC),
  "models-no-key": get("/v1/models", { caller: null }),
  "models-x-api-key": get("/models", { caller: null, headers: { "x-api-key": "caller-key-3141592653" } }),
  "models-api-key": get("/models", { caller: null, headers: { "api-key": "caller-key-3141592653" } }),
  "models-head": { method: "HEAD", path: "/v1/models" },
  model: get("/v1/models/demo/echo"),
  "model-encoded": get("/v1/models/demo%2Fecho"),
  "model-open": get("/v1/models/hidden/anything"),
  "model-unknown": get("/v1/models/demo/ecko"),
  "model-absent": get("/v1/models/absent/only"),
  "model-anthropic": get("/v1/models/demo/echo", ANTHROPIC),
  "model-anthropic-unknown": get("/v1/models/demo/ecko", ANTHROPIC),
  "usage-bad-from": get("/v1/usage?from=yesterday"),
  "usage-no-key": get("/v1/usage", { caller: null }),
  "usage-old": get("/v1/usage?from=2020-01-01&to=2020-01-02&group_by=provider,model,day"),
  "usage-bad-group": get("/v1/usage?group_by=colour"),
  "options-chat": { method: "OPTIONS", path: "/v1/chat/completions", caller: null },
  "options-models": { method: "OPTIONS", path: "/v1/models", caller: null },
  preflight: { method: "OPTIONS", path: "/v1/chat/completions", caller: null, headers: { ...ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type, x-stainless-os" } },
  "origin-models": get("/v1/models", { headers: ORIGIN }),
  "origin-refused": get("/v1/models", { caller: null, headers: ORIGIN }),
  "origin-health": get("/health", { caller: null, headers: ORIGIN }),
};

const ECHO = { model: "demo/echo", messages: MESSAGES };
const ECHOED = {
  whole: ["/v1/chat/completions", ECHO],
  stream: ["/v1/chat/completions", { ...ECHO, stream: true }],
  usage: ["/v1/chat/completions", { ...ECHO, stream: true, stream_options: { include_usage: true } }],
  cost: ["/v1/chat/completions", { ...ECHO, stream: true, stream_options: { include_cost: true } }],
  message: ["/v1/messages", { ...ECHO, max_tokens: 50 }],
  "message-stream": ["/v1/messages", { ...ECHO, max_tokens: 50, stream: true }],
  embedding: ["/v1/embeddings", { model: "demo/echo", input: "x" }],
  completion: ["/v1/completions", { model: "demo/echo", prompt: "x" }],
};

export function* cases() {
  yield* embeddings();
  yield* completions();
  yield* counts();
  yield* tokenized();
  for (const [name, send] of Object.entries(PLAIN)) yield { name: `calls/plain/${name}`, send: () => send };
  for (const [name, [path, body]] of Object.entries(ECHOED)) {
    for (const caller of ["plain", "bounded", "fixed"]) yield { name: `calls/echo/${name}/${caller}`, send: () => ({ path, body, caller }) };
  }
}
