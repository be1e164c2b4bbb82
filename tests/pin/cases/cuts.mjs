// Streams that break off at every seventh byte, and streams that come in pieces of seven bytes.

import { answer, asking, MODELS, streamed } from "./common.mjs";

const STEP = 7;
const SCENES = ["text", "call", "thoughts"];
const CLIENTS = ["chat-stream", "chat-usage", "messages-stream"];
const ROWS = { openai: ["hidden", "shown", "checked"], anthropic: ["anthropic", "anthropic-checked"], gemini: ["gemini"] };

function* streams() {
  for (const scene of SCENES) {
    for (const [format, rows] of Object.entries(ROWS)) {
      for (const row of rows) {
        for (const client of CLIENTS) yield { scene, row, client, model: MODELS[format], bytes: Buffer.from(answer(scene, format, true).pieces.join("")) };
      }
    }
  }
}

export function* cases() {
  for (const { scene, row, client, model, bytes } of streams()) {
    const send = asking(client, row, { model });
    const name = `${scene}/${row}/${client}`;
    yield { name: `cuts/pieces/${name}`, answers: [streamed([...pieces(bytes)])], send };
    for (let at = STEP; at < bytes.length; at += STEP) {
      // The body ends in good order or in the middle, alternately.
      const end = (at / STEP) % 2 ? "end" : "hang-up";
      yield { name: `cuts/${name}/${String(at).padStart(5, "0")}-${end}`, answers: [streamed([bytes.subarray(0, at)], { end })], send };
    }
  }
}

function* pieces(bytes) {
  for (let at = 0; at < bytes.length; at += STEP) yield bytes.subarray(at, at + STEP);
}
