// Calls through proxies are recorded, billed and timed as direct ones, and no login of a proxy is in any record.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { as, call, HELLO, until } from "./client.mjs";
import { startSink as startAlertSink } from "./alert-sink.mjs";
import { answerEvents } from "./behaviours.mjs";
import { billing, PRICED } from "./bills.mjs";
import { expectError } from "./expect.mjs";
import { OFFICE, Office } from "./office.mjs";
import { startSink } from "./otlp-sink.mjs";
import { LOGIN, named, startProxyStage } from "./proxy-stage.mjs";
import { closeAll, openSession } from "./socket.mjs";
import { KEY } from "./stage.mjs";
import { pass } from "./timed.mjs";

const SCRAPER = "scraper-key-5772156649";
const SINK_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

/** All spellings in which a login could leave. */
const spellings = (login) => {
  const [user, password] = login.split(/:(.*)/s);
  const parts = [login, user, password, encodeURIComponent(password), encodeURIComponent(login), login.replaceAll(":", "%3A"), `${user}:${encodeURIComponent(password)}`];
  return [...new Set([...parts, ...parts.map(btoa)])];
};

describe("the records of calls through proxies", () => {
  let stage;
  let sink;
  let alerts;
  let office;
  const FAULTS = ["repeats the login", "refuses by a rule", "has a host that refuses", "is another service"];
  const failing = ["http-repeats the login", "http-refuses by a rule", "socks-has a host that refuses", "socks-is another service", "dead", "http-wrong-login", "socks-wrong-login", "the wrong name", "no intermediate"];

  before(async () => {
    [sink, alerts] = [await startSink(), await startAlertSink()];
    stage = await startProxyStage({
      faults: FAULTS,
      entry: "production.mjs",
      models: `{ bill: { ${PRICED} }, ok: { ${PRICED} }, err-429: { ${PRICED} }, slow: { clocks: { connect: 300 } }, halting: { clocks: { idle: 300 } }, "*": {} }`,
      more: `
routes:
  second: { targets: [${named("http-repeats the login")}/ok, dead/ok, http-login/ok] }
  none: { targets: [${named("http-repeats the login")}/ok, dead/ok] }
logging: { level: debug }
telemetry: { otlp: { endpoint: "${sink.url}", logs: true, format: json, send_trace_context: true } }
alerts: { allow_private_addresses: true, error_rate: { percent: 1, min_requests: 1 } }
`,
      bindings: { ...OFFICE, METRICS_API_KEYS: SCRAPER, ...alerts.bindings("webhook") },
    });
    for (const [name, play] of Object.entries(billing())) stage.fake.behave(name, play);
    office = new Office(stage.gateway.url);
  });
  after(async () => {
    closeAll();
    await stage.stopAll();
    await Promise.all([sink.stop(), alerts.stop()]);
  });

  /** A receipt without what differs between any two. */
  const comparable = ({ id, request_id, number, started_at, ended_at, duration_ms, ttft_ms, provider, model, attempts, requested, ...rest }) => ({ ...rest, attempts: attempts?.length });

  it("are those of direct calls: tokens, costs and outcomes", async () => {
    const receipts = {};
    for (const way of ["direct", "http-login", "socks-login", "https"]) {
      const key = await office.key(`key-${way}`, { budget: { amount: "10", per: "total" } });
      for (const [seed, stream] of [[1, false], [2, true]]) {
        const answer = await office.ask(key, `${way}/bill`, { seed, stream });
        assert.equal(answer.status, 200, answer.text);
      }
      await office.ask(key, `${way}/err-429`);
      await office.totals(`key-${way}`, 3);
      receipts[way] = (await office.receipts(`key-${way}`)).map(comparable);
      assert.equal(receipts[way].length, 3);
    }
    const { direct, ...others } = receipts;
    for (const [way, found] of Object.entries(others)) {
      assert.deepEqual(found.map((row) => JSON.stringify(row).replaceAll(way, "WAY")), direct.map((row) => JSON.stringify(row).replaceAll("direct", "WAY")), way);
    }
  });

  it("have each attempt, with its code, and no cost of those whose tunnel never stood", async () => {
    const key = await office.key("key-attempts", { budget: { amount: "10", per: "total" }, show_attempts: true });
    for (const stream of [false, true]) {
      const answer = await office.ask(key, "second", { stream });
      assert.equal(answer.status, 200, answer.text);
    }
    await office.totals("key-attempts", 2);
    const receipts = await office.receipts("key-attempts");
    assert.equal(receipts.at(-1).attempts.length, 3, "of the first request: then the failed targets wait");
    for (const { attempts } of receipts) {
      const last = attempts.at(-1);
      assert.match(JSON.stringify(last), /http-login/);
      for (const failed of attempts.slice(0, -1)) assert.ok(!failed.cost_nanos, JSON.stringify(failed));
    }
    const answer = await office.ask(key, "none");
    expectError(answer, { status: 502 });
    assert.match(answer.headers["x-llm-bridge-attempts"], /unreachable/);
  });

  it("have the deadlines of direct calls", async () => {
    for (const way of ["direct", "http", "socks"]) {
      const asked = stage.held("slow");
      const asking = stage.ask(`${way}/slow`);
      const slow = await asked;
      await pass(stage.gateway, 301_000);
      expectError(await asking, { status: 504, code: "upstream_timeout" });
      await stage.expectCancelled(slow.record);
      const opened = stage.held("halting");
      const opening = stage.openStream(`${way}/halting`);
      const halting = await opened;
      halting.openStream();
      halting.write(answerEvents(halting.request).slice(0, 3).join(""));
      const caller = await opening;
      await caller.until("Hello");
      await pass(stage.gateway, 301_000);
      assert.match((await caller.rest()).toString(), /"code":"upstream_timeout"/, way);
      await stage.expectCancelled(halting.record);
    }
  });

  it("hold no login, wherever one could be", async () => {
    const key = await office.key("key-secrets");
    const texts = [];
    const keep = (answer) => texts.push(answer.text + JSON.stringify(answer.headers));
    for (const title of [...failing, "http-login", "socks-login", "plain-http-login", "none", "second"]) {
      const model = ["none", "second"].includes(title) ? title : `${named(title)}/ok`;
      for (const stream of [false, true]) {
        const headers = { traceparent: `00-${SINK_TRACE}-00f067aa0ba902b7-01` };
        keep(await office.ask(key, model, { stream }, headers));
        keep(await call(`${stage.gateway.url}/v1/messages`, { method: "POST", headers: { ...as(KEY), "x-api-key": KEY, "anthropic-version": "2023-06-01" }, body: JSON.stringify({ model, max_tokens: 9, messages: HELLO, stream }) }));
      }
    }
    const socket = await openSession(stage.gateway.url, { key: KEY });
    for (const title of failing.slice(0, 3)) {
      socket.chat({ model: `${named(title)}/ok`, stream: true }, { id: named(title) });
      await socket.answer(named(title));
    }
    texts.push(socket.texts.join(""));

    // Everything that operators can see.
    await office.totals("key-secrets", 1);
    for (const path of ["/keys/key-secrets/receipts?limit=100", "/requests?limit=500", "/health", "/alerts?limit=500", "/keys", "/audit"]) keep(await call(`${stage.gateway.url}/admin/api${path}`, { headers: as(OFFICE.ADMIN_API_KEYS) }));
    keep(await call(`${stage.gateway.url}/metrics`, { headers: as(SCRAPER) }));
    keep(await call(`${stage.gateway.url}/v1/models`, { headers: as(KEY) }));
    const isSpan = (span) => JSON.stringify(span).includes(named("http-repeats the login"));
    await until(() => sink.spans().some(isSpan), "a span of a call that a proxy refused");
    await until(() => sink.records().some((record) => JSON.stringify(record).includes("proxy_refused")), "its line in the log");
    const exported = sink.requests.map(({ bytes, headers }) => bytes.toString() + JSON.stringify(headers));
    await stage.gateway.control({ advance: 120_000 });
    // The last reports of requests may come after the first alarm.
    await until(async () => {
      await stage.gateway.control({ alarm: true });
      return alerts.got.length > 0;
    }, "a notice of failed requests");
    const notices = alerts.got.map(({ text }) => text);
    const heard = stage.fake.requests.map(({ headers, body }) => JSON.stringify(headers) + body);
    const log = [...stage.gateway.lines, ...stage.gateway.complaints];
    assert.ok(texts.join("").includes("proxy_auth") && log.join("").includes("proxy_refused"), "the failures are recorded");
    for (const secret of [...spellings(LOGIN), "login-0", btoa("other:login-0")]) {
      for (const text of [...texts, ...exported, ...notices, ...heard, ...log]) assert.ok(!text.includes(secret), `${secret} in ${text.slice(0, 2000)}`);
    }
  });
});
