// Replaces values that differ between two runs of one build: ids, times, durations, ports, keys. Nothing else
// is hidden. Each rule states what it replaces and why. An id is replaced by its number in the order of
// appearance within one case, so that repeated ids remain visible.

/** The tolerance for the clocks of other processes, before and after a run: half a minute. */
const SLACK_MS = 30_000;

/**
 * Ids that the gateway draws at random: 32 hex digits, alone (a receipt) or with a prefix (a request, a
 * translated response); 64 (a session).
 */
const DRAWN = /\b(req_|chatcmpl-|msg_|)([0-9a-f]{64}|[0-9a-f]{32})\b/g;
const KEY_TEXT = /\bsk-lb-[A-Za-z0-9_-]{20,}/g;
const ISO_TIME = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z/g;
const ISO_DAY = /\b\d{4}-\d\d-\d\d\b/g;
const DAY_MS = 86_400_000;
/** Seconds and milliseconds since 1970, in the second quarter of this century. */
const UNIX_TIME = /(?<![\d.])1\d{9}(\d{3})?(?![\d.])/g;

/**
 * Returns the function that replaces all of that in the texts of one case. `given` is the content of the case
 * itself (what its client sends and its provider responds): an id in it was not drawn by the gateway and
 * stays. `run` is `{ from, to, provider, gateway }`: its time in milliseconds, and the ports.
 */
export function normaliser(run, given) {
  const ids = new Map();
  const during = (ms) => ms >= run.from - SLACK_MS && ms <= run.to + SLACK_MS;
  const dayOf = (ms) => new Date(ms).toISOString().slice(0, 10);
  // Lists of usage begin 29 days before today, if they are not told otherwise.
  const days = new Map([run.to, run.from].flatMap((ms) => [[dayOf(ms), "<today>"], [dayOf(ms - 29 * DAY_MS), "<29 days ago>"]]));
  const number = (prefix, id) => {
    if (!ids.has(id)) ids.set(id, ids.size + 1);
    return `${prefix}<id ${ids.get(id)}>`;
  };
  const rules = [
    // The case's tag, by which its provider and log lines are found: in the model's name, and as the
    // request's id.
    [/\.pin-[0-9a-f]{8}/g, () => ""],
    [/\bpin-[0-9a-f]{8}\b/g, () => "<request id>"],
    // Ports on loopback, which the system chooses.
    [new RegExp(`127\\.0\\.0\\.1:${run.provider}\\b`, "g"), () => "<provider>"],
    [new RegExp(`127\\.0\\.0\\.1:${run.gateway}\\b`, "g"), () => "<gateway>"],
    // Managed keys, and their last characters that are shown to people.
    [KEY_TEXT, () => "<key>"],
    [/"hint":"[^"]{4}"/g, () => '"hint":"<hint>"'],
    [DRAWN, (text, prefix, id) => (given.includes(id) ? text : number(prefix, id))],
    // Times within this run. Times that a provider or a client states lie elsewhere.
    [ISO_TIME, (text) => (during(Date.parse(text)) ? "<time>" : text)],
    // Days that depend on today's date.
    [ISO_DAY, (text) => days.get(text) ?? text],
    [UNIX_TIME, (text, more) => (during(Number(text) * (more ? 1 : 1000)) ? (more ? "<milliseconds>" : "<seconds>") : text)],
    // Durations in logs, receipts and the header `server-timing`. It stays visible that there is a number.
    [/"(duration_ms|ttft_ms)":\d+/g, (_, name) => `"${name}":<ms>`],
    [/\bdur=\d+/g, () => "dur=<ms>"],
    // The same in a table of receipts, after the times of the beginning and the end.
    [/(?<=<time>,<time>,)(\d*),\d+(?=,)/g, (_, ttft) => `${ttft && "<ms>"},<ms>`],
    // The estimate of what a provider may have generated, under a budget, before the response broke off:
    // tokens and cost grow with that time.
    [/^.*"key_id":"vk_bounded".*"outcome":"(?!complete")[a-z_]+".*"estimated":true.*$/gm, withoutMade],
    // The time until a minute's window is free again: it slides.
    [/(?<=^x-ratelimit-reset-(?:requests|tokens): )\d+(?:m\d+)?(?:\.\d+)?(?:ms|s)$/gm, () => "<duration>"],
  ];
  return (text) => rules.reduce((result, [pattern, replace]) => result.replace(pattern, replace), text);
}

const withoutMade = (line) =>
  line.replace(/"(completion|output_tokens)":\d+/g, '"$1":<made>').replace(/"(cost|cost_nanos)":[\d.]+/g, '"$1":<made>');

/** Headers that the HTTP stacks of Node and of the runtime decide on, not the gateway. */
export const TRANSPORT = new Set(["connection", "keep-alive", "date"]);

/**
 * The number of a receipt in its account: cases with the same key run concurrently. (Cases of accounts run
 * one after the other, and show it.)
 */
export const withoutNumber = (receipt) => receipt.replace(/^\{"number":\d+,/, "{");
