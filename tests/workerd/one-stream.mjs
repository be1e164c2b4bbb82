// Assertions about a stream as one client reads it, whatever targets it came from.

import assert from "node:assert/strict";
import { events } from "./client.mjs";
import { expectErrorFrame, expectOneDone } from "./expect.mjs";
import { saidIn } from "./route-stage.mjs";

/** The paths of the two client formats. */
export const PATHS = { openai: "/v1/chat/completions", anthropic: "/v1/messages" };

/** The events of a stream with data, parsed. */
export const parsed = (text) => events(text).filter(({ data }) => data !== "[DONE]").map(({ data }) => JSON.parse(data));

/** Asserts one answer in one stream: its beginning once, its end once, and these words. */
export function expectOneStream(client, text, said) {
  assert.equal(saidIn({ text, headers: { "content-type": "text/event-stream" } }), said, text);
  const chunks = parsed(text);
  const once = (values, what) => assert.equal(new Set(values).size, 1, `one ${what}: ${text}`);
  if (client === "openai") {
    once(chunks.map(({ id }) => id), "id");
    once(chunks.map(({ created }) => created), "created");
    once(chunks.map(({ model }) => model), "model");
    assert.equal(chunks.filter(({ choices }) => choices[0]?.delta?.role).length, 1, `one role: ${text}`);
    assert.equal(chunks.filter(({ choices }) => choices[0]?.finish_reason).length, 1, `one end: ${text}`);
    assert.ok(chunks.every(({ error }) => !error), text);
    expectOneDone(text);
  } else {
    const count = (type) => chunks.filter((chunk) => chunk.type === type).length;
    assert.deepEqual(["message_start", "content_block_start", "message_delta", "message_stop", "error"].map(count), [1, 1, 1, 1, 0], text);
    assert.equal(chunks.filter(({ type }) => type !== "ping")[0].type, "message_start", text);
    assert.equal(chunks.at(-1).type, "message_stop", text);
  }
}

/** Asserts that a stream ends with one error in the client's format, and has no end besides. */
export function expectErrorEnd(client, text, wanted) {
  if (client === "openai") return expectErrorFrame(text, wanted);
  const last = parsed(text).at(-1);
  assert.deepEqual([last.type, events(text).at(-1).event], ["error", "error"], text);
  assert.ok(last.error.message && last.error.type, text);
  assert.equal(parsed(text).filter(({ type }) => type === "error" || type === "message_stop").length, 1, text);
  return last.error;
}
