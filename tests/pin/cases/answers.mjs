// Responses: every document of `fixtures/translation/answered`, by providers of each format, in each relay
// mode, to every client.

import { answer, asking, callerOf, CLIENTS, documents, eventsOf, MODELS, streamed, whole } from "./common.mjs";

/** The rows of each format. Complete responses are the same in all of them. */
const MODES = {
  openai: ["hidden", "shown", "left", "checked", "checked-shown"],
  anthropic: ["anthropic", "anthropic-checked"],
  gemini: ["gemini", "gemini-checked"],
};

const refusal = ({ status, body, headers = {} }) => whole(body, { status, headers: { "content-type": "application/json", ...headers } });

function* scenes() {
  for (const [scene, formats] of documents("translation/answered")) {
    for (const [format, document] of Object.entries(formats).filter(([format]) => format in MODES)) yield { scene, format, document };
  }
}

/** The response for a client: in the way that it asked for, or the only way that the document has. */
function answerFor(document, format, stream) {
  if (document.refusal) return refusal(document.refusal);
  if (stream) return document.stream && streamed(eventsOf(format, document.stream));
  return document.whole && whole(document.whole);
}

export function* cases() {
  let number = 0;
  for (const { scene, format, document } of scenes()) {
    for (const [client, { stream }] of Object.entries(CLIENTS)) {
      const given = answerFor(document, format, stream);
      if (!given) continue;
      for (const row of stream ? MODES[format] : MODES[format].slice(0, 1)) {
        const caller = callerOf(number++);
        yield { name: `answers/${scene}/${row}/${client}`, answers: [given], send: asking(client, row, { model: MODELS[format], caller }) };
      }
    }
  }
  yield* mismatched();
  yield* spoken();
}

/** Prompts and responses in the log. */
function* spoken() {
  for (const [format, rows] of Object.entries(MODES)) {
    for (const row of rows) {
      for (const [client, { stream }] of Object.entries(CLIENTS)) {
        for (const scene of ["text", "call", "thoughts", "choices"].filter((name) => documents("translation/answered").get(name)[format])) {
          const name = `answers/spoken-${scene}/${row}/${client}`;
          yield { name, profile: "spoken", answers: [answer(scene, format, stream)], send: asking(client, row, { model: MODELS[format] }) };
        }
      }
    }
  }
}

/** Providers that send a complete response where a stream was requested, and the other way round. */
function* mismatched() {
  for (const format of Object.keys(MODES)) {
    for (const [client, { stream }] of Object.entries(CLIENTS)) {
      for (const scene of ["text", "call", "thoughts"]) {
        const name = `answers/other-way-${scene}/${MODES[format][0]}/${client}`;
        yield { name, answers: [answer(scene, format, !stream)], send: asking(client, MODES[format][0], { model: MODELS[format] }) };
      }
    }
  }
}
