// What differs between two runs of one build, and is therefore replaced: ids, times, durations, ports, keys. Nothing else is hidden.
// Each rule says what it replaces and why. An id is replaced by its number in the order of appearance within one case, so that it stays
// visible where the same id stands twice.

/** Half a minute before and after a run, clocks of other processes may stand. */
const SLACK_MS = 30_000;

/** Ids that the gateway draws at random: 32 hex digits, alone (a receipt) or with a prefix (a request, an answer that is translated); 64 (a session). */
const DRAWN = /\b(req_|chatcmpl-|msg_|)([0-9a-f]{64}|[0-9a-f]{32})\b/g;
const KEY_TEXT = /\bsk-lb-[A-Za-z0-9_-]{20,}/g;
const ISO_TIME = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z/g;
/** Seconds and milliseconds since 1970, of this century's second quarter. */
const UNIX_TIME = /(?<![\d.])1\d{9}(\d{3})?(?![\d.])/g;

/**
 * Makes the function that replaces all of that in the texts of one case. `given` is what the case itself holds (what its client sends and its
 * provider answers): an id that stands there was not drawn by the gateway and stays. `run` is `{ from, to, provider, gateway }`: its time in
 * milliseconds, and the ports.
 */
export function normaliser(run, given) {
  const ids = new Map();
  const during = (ms) => ms >= run.from - SLACK_MS && ms <= run.to + SLACK_MS;
  const number = (prefix, id) => {
    if (!ids.has(id)) ids.set(id, ids.size + 1);
    return `${prefix}<id ${ids.get(id)}>`;
  };
  const rules = [
    // The case's tag, by which provider and log are found: in the model's name, and as the request's id.
    [/\.pin-[0-9a-f]{8}/g, () => ""],
    [/\bpin-[0-9a-f]{8}\b/g, () => "<request id>"],
    // Ports of loopback, which the system chooses.
    [new RegExp(`127\\.0\\.0\\.1:${run.provider}\\b`, "g"), () => "<provider>"],
    [new RegExp(`127\\.0\\.0\\.1:${run.gateway}\\b`, "g"), () => "<gateway>"],
    // Keys made at run time, and the last letters of them that are shown to people.
    [KEY_TEXT, () => "<key>"],
    [/"hint":"[^"]{4}"/g, () => '"hint":"<hint>"'],
    [DRAWN, (text, prefix, id) => (given.includes(id) ? text : number(prefix, id))],
    // Times of this run; those that a provider or a client names lie elsewhere.
    [ISO_TIME, (text) => (during(Date.parse(text)) ? "<time>" : text)],
    [UNIX_TIME, (text, more) => (during(Number(text) * (more ? 1 : 1000)) ? (more ? "<milliseconds>" : "<seconds>") : text)],
    // How long something took, in logs, receipts and the header `server-timing`. That it is a number is seen, not which one.
    [/"(duration_ms|ttft_ms)":\d+/g, (_, name) => `"${name}":<ms>`],
    [/\bdur=\d+/g, () => "dur=<ms>"],
    // The same in a table of receipts, behind the times of the beginning and the end.
    [/(?<=<time>,<time>,)(\d*),\d+(?=,)/g, (_, ttft) => `${ttft && "<ms>"},<ms>`],
    // What a provider may have made, under a budget, from its call until the answer broke off: tokens and cost grow with that time.
    [/^.*"key_id":"vk_bounded".*"outcome":"(?!complete")[a-z_]+".*"estimated":true.*$/gm, withoutMade],
    // When a minute's window is free again: it slides with time.
    [/(?<=^x-ratelimit-reset-(?:requests|tokens): )\d+(?:m\d+)?(?:\.\d+)?(?:ms|s)$/gm, () => "<duration>"],
  ];
  return (text) => rules.reduce((result, [pattern, replace]) => result.replace(pattern, replace), text);
}

const withoutMade = (line) =>
  line.replace(/"(completion|output_tokens)":\d+/g, '"$1":<made>').replace(/"(cost|cost_nanos)":[\d.]+/g, '"$1":<made>');

/** Headers of which the HTTP stacks of Node and of the runtime decide, not the gateway. */
export const TRANSPORT = new Set(["connection", "keep-alive", "date"]);

/** A receipt's number in its books: cases of one key run beside each other. (The cases of the books run one after the other, and show it.) */
export const withoutNumber = (receipt) => receipt.replace(/^\{"number":\d+,/, "{");
