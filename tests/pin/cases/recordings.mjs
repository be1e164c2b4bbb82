// Recorded exchanges with real providers, if they are present: their responses to every client of the same
// operation, and their requests, sent to providers of each format. `RECORDINGS_DIR` names the folder. The
// recordings are not part of this project.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { answer, asking, callerOf, CLIENTS } from "./common.mjs";

const FOLDER = process.env.RECORDINGS_DIR ?? fileURLToPath(new URL("../../../../shared/recordings", import.meta.url));

/** Why there are no recordings; null if there are. */
export const absence = () => (existsSync(FOLDER) ? null : `no recordings: there is no folder ${FOLDER} (RECORDINGS_DIR names another one)`);

const ROWS = {
  "openai-chat": ["hidden", "shown", "checked"],
  "anthropic-messages": ["anthropic", "anthropic-checked"],
  gemini: ["gemini"],
};

function* exchanges() {
  if (absence()) return;
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".json")).sort()) {
    const exchange = JSON.parse(readFileSync(`${FOLDER}/${file}`));
    yield { ...exchange, name: file.slice(0, -".json".length), body: readFileSync(`${FOLDER}/${file.replace(/json$/, "body")}`) };
  }
}

const recorded = ({ status, ct, body, stream }) => ({ status, headers: ct ? { "content-type": ct } : {}, pieces: body.length ? [body] : [], sized: !stream });

/** A valid model name without characters that a URL or a variant would give a meaning. */
const modelOf = ({ model }) => (model ?? "m").replace(/^models\//, "").replace(/[^A-Za-z0-9._-]/g, "-");

function* answers() {
  let number = 0;
  for (const exchange of exchanges()) {
    for (const row of ROWS[exchange.api] ?? []) {
      for (const [client, { stream }] of Object.entries(CLIENTS)) {
        if (stream !== Boolean(exchange.stream) || (!stream && row !== ROWS[exchange.api][0])) continue;
        const send = asking(client, row, { model: modelOf(exchange), caller: callerOf(number++) });
        yield { name: `recordings/answers/${exchange.name}/${row}/${client}`, answers: [recorded(exchange)], send };
      }
    }
  }
}

const PATHS = { "openai-chat": "/v1/chat/completions", "anthropic-messages": "/v1/messages" };
const TARGETS = [["hidden", "openai"], ["edited", "openai"], ["anthropic", "anthropic"], ["gemini", "gemini"]];

function* requests() {
  for (const exchange of exchanges()) {
    const path = PATHS[exchange.api];
    if (!path || !exchange.request) continue;
    for (const [row, format] of TARGETS) {
      const send = (attempt) => ({ path, body: { ...exchange.request, model: attempt.model(row, modelOf(exchange)) } });
      yield { name: `recordings/requests/${exchange.name}/${row}`, answers: [answer("text", format, exchange.request.stream === true)], send };
    }
  }
}

/** Embeddings and counts. */
function* calls() {
  for (const exchange of exchanges()) {
    if (exchange.api === "openai-embeddings" && exchange.request) {
      const send = (attempt) => ({ path: "/v1/embeddings", body: { ...exchange.request, model: attempt.model("hidden", modelOf(exchange)) } });
      yield { name: `recordings/embeddings/${exchange.name}`, answers: [recorded(exchange)], send };
    }
    if (exchange.api === "gemini-embed") {
      const input = (exchange.request?.requests ?? [{}]).map((request) => request.content?.parts?.[0]?.text ?? "hello");
      for (const encoding_format of ["float", "base64"]) {
        const send = (attempt) => ({ path: "/v1/embeddings", body: { input, encoding_format, model: attempt.model("gemini", modelOf(exchange)) } });
        yield { name: `recordings/embeddings/${exchange.name}/${encoding_format}`, answers: [recorded(exchange)], send };
      }
    }
    if (exchange.api === "anthropic-count-tokens") {
      const send = (attempt) => ({ path: "/v1/messages/count_tokens", body: { ...exchange.request, model: attempt.model("anthropic", modelOf(exchange)) } });
      yield { name: `recordings/counts/${exchange.name}`, answers: [recorded(exchange)], send };
    }
    if (exchange.api === "gemini-count-tokens") {
      const send = (attempt) => ({ path: "/v1/messages/count_tokens", body: { messages: [{ role: "user", content: "Hello" }], model: attempt.model("gemini", modelOf(exchange)) } });
      yield { name: `recordings/counts/${exchange.name}`, answers: [recorded(exchange)], send };
    }
  }
}

export function* cases() {
  yield* answers();
  yield* requests();
  yield* calls();
}
