// Requests: every document of `fixtures/translation/asked`, with and without the claimed feature, to
// providers of each format.

import { answer, callerOf, documents } from "./common.mjs";

/** Rows, and models whose names decide how a request is written. */
const TARGETS = [
  ["hidden", "openai", "gpt-4o"],
  ["anthropic", "anthropic", "claude-haiku-4-5"],
  ["anthropic", "anthropic", "claude-opus-4-7"],
  ["gemini", "gemini", "gemini-2.5-flash"],
  ["gemini", "gemini", "gemini-3-pro-preview"],
];
const EDITED = [
  ["edited", "openai", "gpt-4o"],
  ["anthropic-edited", "anthropic", "claude-haiku-4-5"],
  ["gemini-edited", "gemini", "gemini-2.5-flash"],
];
const PATHS = { openai: "/v1/chat/completions", anthropic: "/v1/messages" };
const STRICT = { "x-llm-bridge-strict": "true" };
/** Headers of clients of Anthropic's format that are forwarded; others are not. */
const HEADERS = { openai: { "x-caller": "1" }, anthropic: { "anthropic-version": "2023-06-01", "anthropic-beta": "some-beta-2025-01-01", "x-caller": "1" } };

function* questions() {
  for (const [scene, formats] of documents("translation/asked")) {
    for (const [client, path] of Object.entries(PATHS)) {
      for (const [variant, body] of Object.entries(formats[client] ?? {})) yield { scene, client, path, variant, body };
    }
  }
}

export function* cases() {
  let number = 0;
  for (const { scene, client, path, variant, body } of questions()) {
    const make = ([row, format, model], more, headers) => {
      const caller = callerOf(number++);
      const send = (attempt) => ({ path, body: { ...body, model: attempt.model(row, model) }, caller, headers: { ...HEADERS[client], ...headers } });
      return { name: `requests/${scene}-${variant}/${client}-to-${model}${more}`, answers: [answer("text", format, body.stream === true)], send };
    };
    for (const target of TARGETS) yield make(target, "", {});
    if (variant !== "with") continue;
    for (const target of TARGETS.slice(0, 4)) yield make(target, "-strict", STRICT);
    for (const target of EDITED) yield make(target, "-edited", {});
  }
}
