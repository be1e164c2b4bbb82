// The operator's side of a stage: managed keys, their usage and their receipts.

import assert from "node:assert/strict";
import { as, call, chatRequest, HELLO, until } from "./client.mjs";

export const ADMIN_KEY = "admin-key-1618033988";
/** The bindings of a stage with an operator. */
export const OFFICE = { ADMIN_API_KEYS: ADMIN_KEY };

/** The operator of the gateway at `url`. */
export class Office {
  constructor(url) {
    this.url = url;
  }

  /** Calls the admin API, asserts the status, and returns the parsed response. */
  async order(method, path, body, status = 200) {
    const answer = await call(`${this.url}/admin/api${path}`, { method, headers: as(ADMIN_KEY), body: body && JSON.stringify(body) });
    assert.equal(answer.status, status, answer.text);
    return answer.json();
  }

  /** Creates a key with these limits and returns its text. */
  async key(id, terms = {}) {
    return (await this.order("POST", "/keys", { id, ...terms }, 201)).key;
  }

  /** Sends a chat with a key. */
  ask(key, model, fields = {}, headers = {}) {
    return call(`${this.url}/v1/chat/completions`, chatRequest(key, { model, messages: HELLO, ...fields }, headers));
  }

  /** The sums of a key, once `requests` requests are settled. */
  async totals(id, requests) {
    return until(async () => {
      const { totals } = await this.order("GET", `/usage?key=${id}`);
      return (requests === undefined || totals.requests >= requests) && totals;
    }, `${requests} requests in the books of ${id}`);
  }

  /** All receipts of a key, the newest first. */
  async receipts(id) {
    const all = [];
    for (let before = ""; ; ) {
      const page = await this.order("GET", `/keys/${id}/receipts?limit=100${before}`);
      all.push(...page.data);
      if (!page.has_more) return all;
      before = `&before=${page.data.at(-1).number}`;
    }
  }
}
