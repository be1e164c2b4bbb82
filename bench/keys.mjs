// The kinds of keys whose accounting is measured, created by the admin API, and the calls and rows of a load
// by each.

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { SHAPES } from "./bodies.mjs";
import { encode } from "./load.mjs";
import { ACCESS_KEY, ADMIN_KEY } from "./systems.mjs";

/** Receipts are collected for 100 ms, then stored. */
export const GATHERED_MS = 300;

/** Limits of every kind, high enough never to be reached. */
const MUCH = {
  requests_per_minute: 1_000_000_000,
  tokens_per_minute: 1_000_000_000_000,
  concurrent_requests: 1_000_000,
  budget: { amount_nanos: 100_000_000_000_000, per: "month" },
};

export const KEYS = [
  { name: "static", label: "a key of ACCESS_API_KEYS" },
  { name: "free", label: "a key without limits", terms: {} },
  { name: "limited", label: "a key with four limits", terms: MUCH },
  { name: "member", label: "the same, and its parent too", terms: { ...MUCH, parent: "team" }, parent: "team" },
];
const PARENT = { id: "team", ...MUCH };

/** A chat of one kilobyte, with a model that has a price. */
export const CHAT = { ...SHAPES[0].body, model: "priced/chat" };

/** Creates the keys at a running gateway: each with its encoded request and the names of its accounts. */
export async function makeKeys({ port }) {
  const make = async (record) => {
    const headers = { authorization: `Bearer ${ADMIN_KEY}`, "content-type": "application/json" };
    const url = `http://127.0.0.1:${port}/admin/api/keys`;
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(record) });
    const text = await answer.text();
    if (answer.status !== 201) throw new Error(`no key: ${answer.status} ${text.slice(0, 200)}`);
    return JSON.parse(text).key;
  };
  await make(PARENT);
  const keys = [];
  for (const { name, label, terms, parent } of KEYS) {
    const key = terms ? await make({ id: name, ...terms }) : ACCESS_KEY;
    const headers = { authorization: `Bearer ${key}` };
    const accounts = terms ? [name, parent].filter(Boolean).map((id) => `vk_${id}`) : [accountOf(key)];
    keys.push({ name, label, headers, accounts, request: encode({ headers, body: CHAT }) });
  }
  return keys;
}

const accountOf = (key) => `key_${createHash("sha256").update(key).digest("hex").slice(0, 12)}`;

/**
 * The cost of `load` per request, in some objects of the counted gateway; `load` returns the number of requests.
 * What is collected is stored after `gathered` milliseconds.
 */
export async function counted({ port }, { accounts }, load, gathered = GATHERED_MS) {
  const read = async () => {
    await sleep(gathered);
    const all = await (await fetch(`http://127.0.0.1:${port}/bench/counts`)).json();
    const rows = accounts.map((name) => all[name] ?? { calls: 0, read: 0, written: 0 });
    return (what) => rows.reduce((sum, row) => sum + row[what], 0);
  };
  const before = await read();
  const requests = await load();
  const after = await read();
  const each = (what) => (after(what) - before(what)) / requests;
  return { requests, calls: each("calls"), read: each("read"), written: each("written") };
}
