// What the tables of cases share: the requests of clients, and the responses of a provider of each format.

import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FIXTURES = fileURLToPath(new URL("../../fixtures/", import.meta.url));
const MESSAGES = [{ role: "user", content: "Hello" }];

/** The usual name of a model, for providers of each format. */
export const MODELS = { openai: "gpt-4o", anthropic: "claude-haiku-4-5", gemini: "gemini-2.5-flash" };

/**
 * The ways in which a client sends a request: the path, its format, whether it wants a stream, and fields of
 * its own.
 */
export const CLIENTS = {
  "chat-whole": { path: "/v1/chat/completions", format: "openai", stream: false, fields: {} },
  "chat-stream": { path: "/v1/chat/completions", format: "openai", stream: true, fields: { stream: true } },
  "chat-usage": { path: "/v1/chat/completions", format: "openai", stream: true, fields: { stream: true, stream_options: { include_usage: true } } },
  "chat-cost": { path: "/v1/chat/completions", format: "openai", stream: true, fields: { stream: true, stream_options: { include_usage: true, include_cost: true } } },
  "messages-whole": { path: "/v1/messages", format: "anthropic", stream: false, fields: { max_tokens: 500 } },
  "messages-stream": { path: "/v1/messages", format: "anthropic", stream: true, fields: { max_tokens: 500, stream: true } },
};

/** A request of one of {@link CLIENTS} to a row of the configuration. */
export const asking = (client, row, { model, fields = {}, ...more } = {}) => (attempt) => {
  const { path, fields: own } = CLIENTS[client];
  return { path, body: { model: attempt.model(row, model), messages: MESSAGES, ...own, ...fields }, ...more };
};

const EVENTS = {
  openai: (event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`,
  anthropic: (event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
  gemini: (event) => `data: ${JSON.stringify(event)}\r\n\r\n`,
};

/** The events of a stream as a provider of this format writes them. */
export const eventsOf = (format, events) => events.map(EVENTS[format]);

const JSON_HEADERS = { "content-type": "application/json" };
export const STREAM_HEADERS = { "content-type": "text/event-stream; charset=utf-8" };

/** A complete response. */
export const whole = (document, more = {}) => ({ headers: JSON_HEADERS, pieces: [typeof document === "string" ? document : JSON.stringify(document, null, 2)], sized: true, ...more });

/** A stream in these pieces. */
export const streamed = (pieces, more = {}) => ({ headers: STREAM_HEADERS, pieces, ...more });

/** The documents of a folder of `tests/fixtures` by name, without results that the gateway wrote. */
export function documents(folder) {
  const names = readdirSync(FIXTURES + folder).filter((name) => name.endsWith(".json") && !name.endsWith(".written.json"));
  return new Map(names.sort().map((name) => [name.slice(0, -".json".length), JSON.parse(readFileSync(`${FIXTURES}${folder}/${name}`))]));
}

const answered = documents("translation/answered");

/** A document of `answered/` as a provider of this format responds: complete, or the events of its stream. */
export const answer = (scene, format, stream) => {
  const document = answered.get(scene)[format];
  return stream ? streamed(eventsOf(format, document.stream)) : whole(document.whole);
};

/** Alternates, so that callers of both kinds occur in each table. */
export const callerOf = (number) => (number % 3 === 0 ? "bounded" : number % 3 === 1 ? "plain" : "fixed");
