// Requests that the gateway refuses, or accepts although they are odd, before it calls a provider: bodies,
// fields, sizes, keys, models, paths, methods.

import { answer, MODELS } from "./common.mjs";

const CHAT = "/v1/chat/completions";
const PATHS = { chat: CHAT, messages: "/v1/messages", completions: "/v1/completions", embeddings: "/v1/embeddings", count: "/v1/messages/count_tokens", tokenize: "/v1/tokenize" };
const HELLO = [{ role: "user", content: "Hello" }];
/** The row of a provider, for values that the model alone does not decide. */
const SERVED = "hidden";
/** A valid body for each path, with the echo model where there is one. */
const GOOD = {
  chat: { model: "demo/echo", messages: HELLO },
  messages: { model: "demo/echo", max_tokens: 9, messages: HELLO },
  completions: { model: SERVED, prompt: "x" },
  embeddings: { model: SERVED, input: "x" },
  count: { model: "demo/echo", messages: HELLO },
  tokenize: { model: "demo/echo", input: "x" },
};

const good = (kind, attempt) => (GOOD[kind].model === SERVED ? { ...GOOD[kind], model: attempt.model(SERVED) } : GOOD[kind]);

/** Fields for one case; a function makes the value. */
const fieldsFor = (attempt, fields) => Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, typeof value === "function" ? value(attempt) : value]));

/** Bodies that are invalid for every path, as exact texts. */
const BODIES = {
  empty: "",
  "white-space": " \n",
  text: "hello",
  number: "5",
  null: "null",
  list: "[]",
  string: '"x"',
  "empty-object": "{}",
  cut: '{"model":"demo/echo","messages":[{"role"',
  "trailing-comma": '{"model":"demo/echo",}',
  "two-values": '{"model":"demo/echo"} {}',
  "bad-utf8": Buffer.from([0x7b, 0x22, 0x6d, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  "byte-order-mark": `\ufeff{"model":"demo/echo"}`,
  "two-models": '{"model":"demo/echo","model":"demo/echo","messages":[],"input":"x","prompt":"x"}',
  "nul-byte": '{"model":"demo/\u0000echo"}',
  deep: `{"model":"demo/echo","messages":${"[".repeat(2000)}${"]".repeat(2000)}}`,
  "too-large": `{"model":"demo/echo","x":"${"x".repeat(200_001)}"}`,
};

/** Fields with values of a wrong type: each replaces one of a valid body. */
const FIELDS = {
  "model-missing": { model: undefined },
  "model-null": { model: null },
  "model-number": { model: 5 },
  "model-empty": { model: "" },
  "model-unknown": { model: "demo/ecko" },
  // Belongs to the default provider.
  "model-no-provider": { model: (attempt) => attempt.model("nobody") },
  "model-variant": { model: "demo/echo<high>" },
  "model-key-missing": { model: "absent/only" },
  "model-unreachable": { model: "closed/only" },
  "model-odd": { model: "demo/\u2028<script>" },
  "model-long": { model: `demo/${"x".repeat(600)}` },
  "messages-missing": { messages: undefined, input: undefined, prompt: undefined },
  "messages-null": { messages: null, input: null },
  "messages-text": { messages: "Hello" },
  "messages-object": { messages: {} },
  "messages-numbers": { messages: [1, 2] },
  "messages-empty": { messages: [], input: [] },
  "message-role-missing": { messages: [{ content: "x" }] },
  "message-role-odd": { messages: [{ role: "robot", content: "x" }] },
  "message-content-number": { messages: [{ role: "user", content: 5 }] },
  "message-part-odd": { messages: [{ role: "user", content: [{ type: "smell", smell: "x" }] }] },
  "stream-text": { stream: "true" },
  "stream-null": { stream: null },
  "stream-options-text": { stream: true, stream_options: "usage" },
  "stream-options-null": { stream: true, stream_options: null },
  "usage-text": { stream: true, stream_options: { include_usage: "yes" } },
  "cost-text": { stream: true, stream_options: { include_cost: "yes" } },
  "max-tokens-text": { max_tokens: "9" },
  "max-tokens-null": { max_tokens: null },
  "max-tokens-zero": { max_tokens: 0 },
  "max-tokens-negative": { max_tokens: -1 },
  "max-tokens-half": { max_tokens: 0.5 },
  "max-tokens-huge": { max_tokens: 1e30 },
  "n-zero": { n: 0 },
  "tools-text": { tools: "x" },
  "tools-odd": { tools: [{ type: "function" }] },
  "temperature-text": { temperature: "warm" },
};

/**
 * The same fields for models of providers of each format: what the gateway refuses, and what it leaves to the
 * provider.
 */
function* toProviders() {
  for (const [field, value] of Object.entries(FIELDS)) {
    if (field.startsWith("model-")) continue;
    for (const [row, format] of [["hidden", "openai"], ["edited", "openai"], ["anthropic", "anthropic"], ["gemini", "gemini"]]) {
      for (const path of ["chat", "messages"]) {
        const body = (attempt) => ({ ...GOOD[path], ...value, model: attempt.model(row, MODELS[format]) });
        const streams = value.stream === true;
        yield { name: `refused/to-${row}/${path}/${field}`, answers: [answer("text", format, streams)], send: (attempt) => ({ path: PATHS[path], body: body(attempt), caller: "bounded" }) };
      }
    }
  }
}

const CALLERS = {
  "no-key": { caller: null },
  "wrong-key": { caller: null, headers: { authorization: "Bearer wrong" } },
  "made-up-key": { caller: null, headers: { authorization: "Bearer sk-lb-nobody-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN" } },
  "empty-key": { caller: null, headers: { authorization: "Bearer " } },
  "basic-auth": { caller: null, headers: { authorization: "Basic dTpw" } },
  "no-bearer": { caller: null, headers: { authorization: "caller-key-3141592653" } },
  "x-api-key": { caller: null, headers: { "x-api-key": "caller-key-3141592653" } },
  "wrong-x-api-key": { caller: null, headers: { "x-api-key": "wrong" } },
  "admin-key": { caller: null, headers: { authorization: "Bearer admin-key-1618033988" } },
  "two-keys": { caller: null, headers: { authorization: "Bearer wrong", "x-api-key": "caller-key-3141592653" } },
};

const HEADERS = {
  gzip: { "content-encoding": "gzip" },
  "text-plain": { "content-type": "text/plain" },
  "no-type": { "content-type": "" },
  "odd-request-id": { "x-request-id": "has spaces" },
  "long-request-id": { "x-request-id": "x".repeat(200) },
};

const METHODS = [
  ["GET", CHAT], ["PUT", CHAT], ["DELETE", "/v1/models"], ["POST", "/v1/models"], ["POST", "/health"], ["GET", "/v1/embeddings"], ["PATCH", "/v1/messages"], ["GET", "/v1/messages/count_tokens"], ["GET", "/v1/tokenize"], ["POST", "/v1/ws"],
];
const UNKNOWN = ["/", "/v1", "/v1/", "/v2/chat/completions", "/v1/v1/models", "/v1/chat/completions/", "//v1/models", "/v1/responses", "/v1/messages/batches", "/v1/models/", "/v1/models/%ff", "/admin", "/admin/api", "/favicon.ico", "/v1/chat%2Fcompletions", `/v1/${"x".repeat(300)}`, "/v1/ws"];

export function* cases() {
  for (const [kind, path] of Object.entries(PATHS)) {
    for (const [body, text] of Object.entries(BODIES)) {
      yield { name: `refused/body/${kind}/${body}`, send: () => ({ path, body: text, caller: "plain" }) };
    }
    for (const [field, value] of Object.entries(FIELDS)) {
      const answers = [answer("text", "openai", false)];
      yield { name: `refused/field/${kind}/${field}`, answers, send: (attempt) => ({ path, body: { ...good(kind, attempt), ...fieldsFor(attempt, value) } }) };
    }
    for (const [caller, send] of Object.entries(CALLERS)) yield { name: `refused/caller/${kind}/${caller}`, send: (attempt) => ({ path, body: good(kind, attempt), ...send }) };
  }
  for (const path of ["chat", "messages"]) {
    for (const [header, headers] of Object.entries(HEADERS)) yield { name: `refused/header/${path}/${header}`, send: () => ({ path: PATHS[path], body: GOOD[path], headers }) };
  }
  // Without the caller's id, the gateway draws one.
  for (const path of ["chat", "messages"]) yield { name: `refused/header/${path}/no-request-id`, send: () => ({ path: PATHS[path], body: GOOD[path], traced: false }) };
  for (const [method, path] of METHODS) yield { name: `refused/method/${method}${path.replaceAll("/", "-")}`, send: () => ({ method, path }) };
  for (const path of UNKNOWN) yield { name: `refused/path/${path.replaceAll("/", "-").slice(0, 60)}`, send: () => ({ method: "GET", path }) };
  yield* toProviders();
}
