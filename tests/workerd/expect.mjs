// Assertions that many tests share: errors in OpenAI's shape, and the ends of streams.

import assert from "node:assert/strict";
import { events } from "./client.mjs";

const ENVELOPE = ["code", "message", "param", "type"];

/**
 * Asserts OpenAI's error envelope with the fields of `wanted`: status, type, code, param. The message must
 * match `says`.
 */
export function expectError(answer, { status, says, ...wanted } = {}) {
  assert.match(answer.headers["content-type"] ?? "", /^application\/json\b/, answer.text);
  const { error } = answer.json();
  expectEnvelope(error, wanted, answer.text);
  if (status !== undefined) assert.equal(answer.status, status, answer.text);
  if (says) assert.match(error.message, says);
  assert.ok(answer.headers["x-request-id"], "an error has its request id");
  return error;
}

function expectEnvelope(error, wanted, context) {
  assert.deepEqual(Object.keys(error ?? {}).sort(), ENVELOPE, context);
  assert.equal(typeof error.message, "string", context);
  assert.notEqual(error.message, "", context);
  assert.equal(typeof error.type, "string", context);
  for (const [field, value] of Object.entries(wanted)) assert.deepEqual(error[field], value, `${field} in ${context}`);
}

/**
 * Asserts that `stream` ends with one error frame as `wanted` and then `[DONE]`, with neither anywhere
 * before.
 */
export function expectErrorFrame(stream, wanted) {
  const frames = events(stream).map(({ data }) => data);
  assert.deepEqual(frames.slice(-1), ["[DONE]"], stream.toString());
  expectEnvelope(JSON.parse(frames.at(-2)).error, wanted, stream.toString());
  expectOneDone(stream);
  assert.equal(frames.filter((data) => data.startsWith('{"error"')).length, 1, stream.toString());
  return JSON.parse(frames.at(-2)).error;
}

/** Asserts exactly one `[DONE]`, as the last event. */
export function expectOneDone(stream) {
  const frames = events(stream).map(({ data }) => data);
  assert.equal(frames.at(-1), "[DONE]", stream.toString().slice(-300));
  assert.equal(frames.indexOf("[DONE]"), frames.length - 1, "one [DONE]");
}

/** The blocks of a stream, each with the empty line that ends it. Joined, they are the stream. */
export const blocks = (stream) => stream.toString().split(/(?<=\r\n\r\n|\n\n)/);

/** The text of a stream's chunks. */
export function streamedText(stream) {
  return chunks(stream)
    .map((chunk) => chunk.choices?.[0]?.delta?.content ?? "")
    .join("");
}

/** The parsed chunks of a stream, without `[DONE]`. */
export function chunks(stream) {
  return events(stream)
    .filter(({ data }) => data !== "[DONE]")
    .map(({ data }) => JSON.parse(data));
}
