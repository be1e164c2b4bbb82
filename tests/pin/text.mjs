// Renders an exchange as text: what the provider got, what the client got, the log, the receipt. Every byte
// is visible.

import { createHash } from "node:crypto";
import { TRANSPORT } from "./normal.mjs";

/** Makes control characters and invalid UTF-8 visible. */
const visible = (text) => text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\ufeff]/g, (c) => `⟨${c.codePointAt(0).toString(16).padStart(2, "0")}⟩`);

/** Bytes as text. Invalid UTF-8 is written as numbers. */
export function textOf(bytes) {
  const text = bytes.toString();
  if (Buffer.from(text).equals(bytes)) return visible(text);
  return [...bytes].map((byte) => (byte < 0x80 ? visible(String.fromCharCode(byte)) : `⟨${byte.toString(16)}⟩`)).join("");
}

/** Headers, sorted. `flat` is name, value, name, value. */
export function headersOf(flat) {
  const rows = [];
  for (let at = 0; at < flat.length; at += 2) rows.push(`${flat[at].toLowerCase()}: ${visible(flat[at + 1])}`);
  return rows.filter((row) => !TRANSPORT.has(row.split(":")[0])).sort();
}

/** A body line by line. The text after the last line break is the last line, even if it is empty. */
const bodyOf = (bytes) => (bytes.length ? textOf(bytes).split("\n").map((line) => `| ${line}`) : []);

/** A request as the provider got it. */
export const requestLines = ({ method, url, headers, body, closed }) => [
  `${method} ${url}`,
  ...headersOf(headers),
  ...bodyOf(body),
  ...(closed ? ["(the gateway gave up the call)"] : []),
];

/** A response as the client got it. A body that equals the provider's (`sent`) is not repeated. */
export function answerLines({ status, headers, bytes, end }, sent) {
  const same = bytes.length > 0 && sent?.equals(bytes);
  const body = same ? [`= the provider's ${bytes.length} bytes`] : bodyOf(bytes);
  return [`${status}`, ...headersOf(headers).map((line) => (line === `content-length: ${bytes.length}` ? "content-length: that of the body" : line)), ...body, ...(end ? [`(${end})`] : [])];
}

/** The parts of a record, in this order. */
export const PARTS = ["provider", "client", "log", "receipt"];

/** A record as it is written into a transcript. */
export function write({ name, parts }) {
  const blocks = PARTS.filter((part) => parts[part]).map((part) => `${part}\n${parts[part].split("\n").map((line) => `  ${shorten(line)}`).join("\n")}\n`);
  return `## ${name}\n${shortenAll(blocks.join(""))}`;
}

const LONGEST_LINE = 480;
const MOST_LINES = 60;

const digest = (text) => createHash("sha256").update(text).digest("hex").slice(0, 16);

/** Shortens a long line to its beginning, its end, and a hash of the whole. */
function shorten(line) {
  if (line.length <= LONGEST_LINE) return line;
  return `${line.slice(0, 300)} … ${line.length} characters, sha256 ${digest(line)} … ${line.slice(-120)}`;
}

/** Shortens many lines to the first, the last, and a hash of the whole. */
function shortenAll(text) {
  const lines = text.split("\n");
  if (lines.length <= MOST_LINES) return text;
  return [...lines.slice(0, 30), `… ${lines.length} lines, sha256 ${digest(text)} …`, ...lines.slice(-25)].join("\n");
}

/** The records of a transcript by name. */
export function read(transcript) {
  const blocks = transcript.split(/^## /m).slice(1);
  return new Map(blocks.map((block) => [block.slice(0, block.indexOf("\n")), `## ${block.trimEnd()}\n`]));
}
