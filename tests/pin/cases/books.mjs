// Keys, their limits and their receipts: one case after the other, each with keys of its own, so that receipt
// numbers are stable.

import { answer, asking, MODELS, streamed } from "./common.mjs";
import { ADMIN_KEY } from "../../workerd/office.mjs";

const admin = (method, path, body, title) => ({ method, path: `/admin/api${path}`, body: body ?? "", caller: null, headers: { authorization: `Bearer ${ADMIN_KEY}` }, title: title ?? `${method} ${path}` });

/** Creates a key for the case, which its calls use from then on. */
async function key(attempt, id, terms = {}) {
  const made = await attempt.request(admin("POST", "/keys", { id, ...terms }));
  attempt.side.keys[id] = JSON.parse(made.bytes).key;
}

const chat = (attempt, caller, { row = "hidden", client = "chat-whole", title, ...more } = {}) => attempt.request({ ...asking(client, row, { model: MODELS.openai, ...more })(attempt), caller, title: title ?? `chat of ${caller}` });

/** The account of a key, once it has this number of receipts. */
async function books(attempt, id, requests) {
  await attempt.side.office.totals(id, requests);
  await attempt.request(admin("GET", `/keys/${id}/receipts`));
  await attempt.request(admin("GET", `/usage?key=${id}&group_by=key,provider,model`));
}

const SCENES = {
  async life(attempt) {
    await key(attempt, "life", { name: "Life", owner: "ann", metadata: { team: "a" } });
    await attempt.request(admin("GET", "/keys/life"));
    await attempt.request(admin("POST", "/keys", { id: "life" }, "the same id again"));
    await attempt.request(admin("PATCH", "/keys/life", { name: null, models: ["hidden/*"] }));
    await chat(attempt, "life");
    await chat(attempt, "life", { row: "anthropic", title: "a model that it may not call" });
    await books(attempt, "life", 1);
    const rotated = await attempt.request(admin("POST", "/keys/life/rotate"));
    await attempt.request(admin("POST", "/keys/life/disable"));
    await attempt.request(admin("POST", "/keys/life/enable"));
    attempt.side.keys.life = JSON.parse(rotated.bytes).key;
    await chat(attempt, "life");
    await books(attempt, "life", 2);
    await attempt.request(admin("DELETE", "/keys/life"));
    await attempt.request(admin("DELETE", "/keys/life", undefined, "once more"));
    await attempt.request(admin("GET", "/keys/life"));
    await attempt.request(admin("GET", "/keys/life/receipts"));
  },
  async budget(attempt) {
    await key(attempt, "budgeted", { budget: { amount: "0.0200", per: "total" } });
    await chat(attempt, "budgeted", { fields: { max_tokens: 100 } });
    await chat(attempt, "budgeted", { fields: { max_tokens: 100_000 }, title: "more than is left" });
    await chat(attempt, "budgeted", { client: "chat-cost", fields: { max_tokens: 100 } });
    await books(attempt, "budgeted", 2);
    await attempt.request({ method: "GET", path: "/v1/usage", caller: "budgeted", title: "its own usage" });
    await attempt.request(admin("PATCH", "/keys/budgeted", { budget: { amount: "0.000001", per: "total" } }));
    await chat(attempt, "budgeted", { title: "nothing left" });
  },
  async minute(attempt) {
    await key(attempt, "minute", { requests_per_minute: 5, tokens_per_minute: 100_000 });
    await chat(attempt, "minute", { fields: { max_tokens: 100 } });
    await chat(attempt, "minute", { client: "messages-stream", fields: { max_tokens: 100 } });
    await chat(attempt, "minute", { fields: { max_tokens: 7000 }, title: "what it may take is taken off" });
    await books(attempt, "minute", 3);
  },
  async unpriced(attempt) {
    await key(attempt, "unpriced", { budget: { amount: "1.00", per: "day" } });
    await attempt.request({ path: "/v1/chat/completions", caller: "unpriced", body: { model: "closed/only", messages: [{ role: "user", content: "x" }] } });
  },
  async parents(attempt) {
    await key(attempt, "team", { budget: { amount: "0.0100", per: "month" }, models: ["hidden/*", "anthropic/*"] });
    await key(attempt, "member", { parent: "team" });
    await chat(attempt, "member", { fields: { max_tokens: 50 } });
    await chat(attempt, "member", { fields: { max_tokens: 90_000 }, title: "more than the team has" });
    await chat(attempt, "member", { row: "gemini", title: "not the team's" });
    await attempt.side.office.totals("member", 1);
    await attempt.request(admin("GET", "/keys/team/receipts"));
    await attempt.request(admin("DELETE", "/keys/team"));
    await attempt.request(admin("POST", "/keys/team/disable"));
    await chat(attempt, "member", { title: "of a disabled team" });
  },
  async body(attempt) {
    await key(attempt, "brief", { max_body_bytes: 200 });
    await chat(attempt, "brief", { fields: { user: "u".repeat(300) }, title: "too long" });
    await chat(attempt, "brief");
  },
  async expired(attempt) {
    await attempt.request(admin("POST", "/keys", { id: "expired", expires_at: "2020-01-01T00:00:00Z" }));
    await key(attempt, "later", { expires_at: "2090-01-01T00:00:00Z", enabled: false });
    await chat(attempt, "later");
  },
  async refusals(attempt) {
    const bodies = [{ id: "Upper" }, { id: "" }, { id: 5 }, { colour: "red" }, { id: "x", budget: { amount: "-1", per: "day" } }, { id: "x", budget: { amount: "1", per: "hour" } }, { id: "x", requests_per_minute: 0 }, { id: "x", parent: "nobody" }, { id: "x", models: "all" }, { id: "x", expires_at: "soon" }, { id: "x", metadata: { a: 1 } }];
    for (const body of bodies) await attempt.request(admin("POST", "/keys", body, JSON.stringify(body)));
    await attempt.request({ ...admin("POST", "/keys", "{", "no JSON") });
    for (const path of ["/keys/nobody", "/keys/nobody/receipts", "/usage?from=x", "/usage?key=nobody", "/export/receipts", "/export/usage?format=xml", "/nothing", "/keys?limit=0"]) await attempt.request(admin("GET", path));
    await attempt.request({ ...admin("GET", "/keys", undefined, "no key"), headers: {} });
    await attempt.request({ ...admin("GET", "/keys", undefined, "a caller's key"), headers: {}, caller: "fixed" });
    await attempt.request(admin("PUT", "/keys/plain"));
    await attempt.request(admin("PATCH", "/keys/nobody", {}));
    await attempt.request(admin("GET", "/openapi.json"));
  },
  async exports(attempt) {
    await key(attempt, "exported");
    for (const client of ["chat-whole", "chat-usage", "messages-stream"]) await chat(attempt, "exported", { client });
    await attempt.side.office.totals("exported", 3);
    for (const format of ["ndjson", "csv"]) {
      await attempt.request(admin("GET", `/export/receipts?key=exported&format=${format}`));
      await attempt.request(admin("GET", `/export/usage?key=exported&format=${format}&group_by=key,provider,model`));
    }
    await attempt.request(admin("GET", "/keys/exported/receipts?limit=2"));
  },
};

/** The key may have one concurrent request; the second one comes while the first is served. */
async function concurrent(attempt) {
  await key(attempt, "single", { concurrent_requests: 1 });
  const first = chat(attempt, "single", { client: "chat-stream", title: "the first" });
  while (!attempt.play.requests.length) await new Promise(setImmediate);
  await chat(attempt, "single", { title: "the second" });
  attempt.play.hear(Buffer.from("refused"));
  await first;
  await books(attempt, "single", 1);
}

const respond = (document) => [document];

export function* cases() {
  for (const [name, drive] of Object.entries(SCENES)) yield { name: `books/${name}`, serial: true, drive, answers: respond(answer(name === "exports" ? "usage" : "text", "openai", false)) };
  const pieces = answer("text", "openai", true).pieces;
  yield { name: "books/concurrent", serial: true, drive: concurrent, answers: [streamed([{ until: "refused" }, ...pieces])] };
}
