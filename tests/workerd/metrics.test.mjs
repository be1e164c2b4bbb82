// Metrics on the built worker: what is scraped is what the receipts say, survives the process, and stays
// bounded whatever callers send.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { as, call, chatRequest, HELLO, open, settled, until } from "./client.mjs";
import { startGateway } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { attributesOf, respond, startSink } from "./otlp-sink.mjs";

const KEY = "caller-key-3141592653";
const SCRAPER = "scraper-key-5772156649";
const BINDINGS = { ...OFFICE, ACCESS_API_KEYS: KEY, METRICS_API_KEYS: SCRAPER };
const PRICE = "price: { input: 1, output: 10 }, max_output: 1000, context: 100000";
const CONFIG = `
providers:
  demo: { adapter: echo, models: { echo: { ${PRICE} }, slow: { echo: { words: 1000, delay_ms: 100 } } } }
  any: { adapter: echo, models: "*" }
`;

// The headers that Prometheus 2.53 and 3.5 send.
const PROMETHEUS_2 =
  "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
const PROMETHEUS_3 =
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
const TEXT = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const scrape = (gateway, headers = {}) => call(`${gateway.url}/metrics`, { headers: { ...as(SCRAPER), ...headers } });

/** The samples of a text: by name with labels. */
const samplesOf = (text) =>
  new Map(
    text
      .split("\n")
      .filter((line) => line && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );

async function samples(gateway) {
  const answer = await scrape(gateway);
  assert.equal(answer.status, 200, answer.text);
  return samplesOf(answer.text);
}

/** The samples, once one of them has this value. */
const samplesWith = (gateway, name, value) =>
  until(async () => {
    const all = await samples(gateway);
    return all.get(name) === value && all;
  }, `${name} ${value}`);

/** The sum of the samples of a metric with these labels. */
const sum = (all, name, labels = "") =>
  [...all].reduce((sum, [sample, value]) => (sample.startsWith(`${name}{`) && sample.includes(labels) ? sum + value : sum), 0);

const chat = (gateway, key, model) => call(`${gateway.url}/v1/chat/completions`, chatRequest(key, { model, messages: HELLO }));

/** Calls `work` with each number below `count`, several at a time. */
async function each(count, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: 40 }, worker));
}

describe("metrics", () => {
  let gateway;
  before(async () => {
    gateway = await startGateway({ config: CONFIG, bindings: BINDINGS, entry: "production.mjs" });
  });
  after(() => gateway.stop());

  it("are what the receipts of a key say", async () => {
    const office = new Office(gateway.url);
    const key = await office.key("counted", { budget: { amount_nanos: 1e9, per: "day" }, requests_per_minute: 5 });
    for (let sent = 0; sent < 5; sent++) assert.equal((await office.ask(key, "demo/echo")).status, 200);
    assert.equal((await office.ask(key, "demo/echo")).status, 429);
    const labels = `provider="demo",model="echo"`;
    const all = await samplesWith(gateway, `llm_bridge_requests_total{${labels},status="200",outcome="complete"}`, 5);
    const receipts = await until(async () => {
      const receipts = await office.receipts("counted");
      return receipts.length === 5 && receipts;
    }, "five receipts");
    const total = (field) => receipts.reduce((sum, receipt) => sum + receipt[field], 0);
    const dollars = receipts.reduce((sum, { cost_nanos }) => sum + cost_nanos, 0) / 1e9;
    assert.ok(dollars > 0, JSON.stringify(receipts[0]));
    assert.equal(all.get(`llm_bridge_cost_dollars_total{${labels}}`), dollars);
    const tokens = receipts.reduce((sum, { tokens }) => sum + tokens.prompt + tokens.completion, 0);
    assert.equal(sum(all, "llm_bridge_tokens_total", labels), tokens);
    assert.equal(all.get(`llm_bridge_request_duration_seconds_count{${labels}}`), 5);
    assert.equal(all.get(`llm_bridge_attempts_total{${labels},class="served"}`), 5);
    await samplesWith(gateway, `llm_bridge_limits_hit_total{limit="requests"}`, 1);
  });

  it("have the format that the scraper prefers, and are the same in both", async () => {
    const wanted = [[PROMETHEUS_2, OPENMETRICS], [PROMETHEUS_3, OPENMETRICS], ["*/*", TEXT], ["text/plain", TEXT], [undefined, TEXT]];
    for (const [accept, type] of wanted) {
      const answer = await scrape(gateway, accept ? { accept } : {});
      assert.equal(answer.headers["content-type"], type, accept);
      assert.equal(answer.headers["cache-control"], "no-store");
      assert.equal(answer.text.endsWith("# EOF\n"), type === OPENMETRICS);
      assert.ok(!answer.text.includes("\n\n"), "a blank line");
    }
    const [one, other] = [await scrape(gateway), await scrape(gateway, { accept: PROMETHEUS_3 })].map(({ text }) => samplesOf(text.replace("# EOF\n", "")));
    assert.deepEqual([...one.keys()], [...other.keys()]);
  });

  it("are opened by keys of metrics and admin keys, and by no other", async () => {
    const basic = (key) => ({ authorization: `Basic ${Buffer.from(`prometheus:${key}`).toString("base64")}` });
    for (const headers of [basic(SCRAPER), as(OFFICE.ADMIN_API_KEYS), basic(OFFICE.ADMIN_API_KEYS)]) {
      assert.equal((await scrape(gateway, headers)).status, 200, headers.authorization);
    }
    const calls = await settled(async () => (await gateway.control()).calls.OPERATIONS);
    for (const headers of [as(KEY), as("nobody"), basic(KEY), { authorization: "" }]) {
      const answer = await scrape(gateway, headers);
      assert.equal(answer.status, 401, headers.authorization);
      assert.equal(answer.headers["cache-control"], "no-store");
    }
    assert.equal((await gateway.control()).calls.OPERATIONS, calls, "an invalid key costs no call of the object");
  });

  it("show how many requests are open", async () => {
    const stream = await open(`${gateway.url}/v1/chat/completions`, chatRequest(KEY, { model: "demo/slow", messages: HELLO, stream: true }));
    assert.equal((await chat(gateway, KEY, "demo/echo")).status, 200);
    await samplesWith(gateway, "llm_bridge_open_requests", 1);
    stream.leave();
    await until(async () => {
      await chat(gateway, KEY, "demo/echo");
      return (await samples(gateway)).get("llm_bridge_open_requests") === 0;
    }, "no open request");
  });

  it("stay bounded under invented names of models and paths", async () => {
    await each(3_000, async (number) => {
      assert.equal((await chat(gateway, KEY, `any/invented-${number}`)).status, 200);
      assert.equal((await call(`${gateway.url}/wp-content/${number}.php`)).status, 404);
    });
    await chat(gateway, KEY, "demo/echo");
    const all = await samplesWith(gateway, `llm_bridge_requests_total{provider="any",model="other",status="200",outcome="complete"}`, 3_000);
    await until(async () => {
      await chat(gateway, KEY, "demo/echo");
      return (await samples(gateway)).get(`llm_bridge_refused_requests_total{caller="unknown",status="404"}`) === 3_000;
    }, "all unknown paths");
    assert.ok(all.size < 250, `${all.size} samples`);
    assert.ok(![...all.keys()].some((name) => /invented|wp-content/.test(name)));
  });
});

describe("metrics after the process was killed", () => {
  const options = { config: CONFIG, bindings: BINDINGS };
  const served = (count) => [`llm_bridge_requests_total{provider="demo",model="echo",status="200",outcome="complete"}`, count];
  const sums = (all) => [...all].filter(([name]) => /_total|_bucket|_sum|_count|start_time/.test(name));

  for (const [title, advance] of [["before they were stored", 0], ["after they were stored", 16 * 60_000]]) {
    it(`go on where they were, ${title}`, async () => {
      const disk = await mkdtemp(join(tmpdir(), "llm-bridge-metrics-"));
      let gateway = await startGateway({ ...options, disk, entry: "production.mjs" });
      try {
        for (let sent = 0; sent < 3; sent++) await chat(gateway, KEY, "demo/echo");
        await samplesWith(gateway, ...served(3));
        await gateway.control({ advance });
        await chat(gateway, KEY, "demo/echo");
        const all = await samplesWith(gateway, ...served(4));
        await gateway.stop();
        gateway = await startGateway({ ...options, disk, entry: "production.mjs" });
        assert.deepEqual(sums(await samples(gateway)), sums(all));
        await chat(gateway, KEY, "demo/echo");
        await samplesWith(gateway, ...served(5));
      } finally {
        await gateway.stop();
        await rm(disk, { recursive: true });
      }
    });
  }
});

describe("metrics exported to OpenTelemetry", () => {
  const start = async () => {
    const sink = await startSink();
    const otlp = `telemetry: { otlp: { endpoint: "${sink.url}", format: json, traces: false, metrics: true } }\n`;
    return { sink, gateway: await startGateway({ config: CONFIG + otlp, bindings: BINDINGS, entry: "production.mjs" }) };
  };
  /** The point of the served requests in the export of this number, from 1, once it has come. */
  const exported = async (sink, number) => {
    const [{ resource, scopeMetrics: [{ metrics }] }] = await until(() => sink.bodies("metrics")[number - 1]?.resourceMetrics, `export ${number}`);
    const { aggregationTemporality, isMonotonic, dataPoints: [point] } = metrics.find(({ name }) => name === "llm_bridge_requests").sum;
    const time = (name) => Number(BigInt(point[name]) / 1_000_000n);
    return { resource, aggregationTemporality, isMonotonic, served: point.asInt, start: time("startTimeUnixNano"), at: time("timeUnixNano") };
  };
  const served = `llm_bridge_requests_total{provider="demo",model="echo",status="200",outcome="complete"}`;

  it("are those that are scraped, and come once a minute at most", async () => {
    const { sink, gateway } = await start();
    try {
      await chat(gateway, KEY, "demo/echo");
      const [{ resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] }] = await until(() => sink.bodies("metrics").length && sink.bodies("metrics"), "an export");
      assert.equal(attributesOf(resource)["service.name"], "llm-bridge");
      const [point] = metrics.find(({ name }) => name === "llm_bridge_requests").sum.dataPoints;
      assert.deepEqual(attributesOf(point), { provider: "demo", model: "echo", status: "200", outcome: "complete" });
      assert.equal(point.asInt, "1");
      for (let more = 2; more < 5; more++) {
        await chat(gateway, KEY, "demo/echo");
        await samplesWith(gateway, served, more);
      }
      assert.equal(sink.bodies("metrics").length, 1);
    } finally {
      await gateway.stop();
      await sink.stop();
    }
  });

  it("are sums since one time in each export: a minute later with a report, or five minutes later by an alarm", async () => {
    const { sink, gateway } = await start();
    try {
      await chat(gateway, KEY, "demo/echo");
      const first = await exported(sink, 1);
      assert.deepEqual([first.aggregationTemporality, first.isMonotonic, first.served], [2, true, "1"], "cumulative");
      await gateway.control({ advance: 61_000 });
      await chat(gateway, KEY, "demo/echo");
      const second = await exported(sink, 2);
      assert.deepEqual({ ...second, at: 0 }, { ...first, served: "2", at: 0 }, "nothing else differs");
      assert.ok(second.start <= first.at && second.at - first.at >= 61_000);
      // An object that is opened anew knows when it exported, what is new, and the sums of all time.
      await gateway.control({ reopen: "operations" });
      await chat(gateway, KEY, "demo/echo");
      await samplesWith(gateway, served, 3);
      assert.equal(sink.bodies("metrics").length, 2, "the minute is not over");
      await gateway.control({ reopen: "operations" });
      await gateway.control({ advance: 300_000, alarm: true });
      const third = await exported(sink, 3);
      assert.deepEqual({ ...third, at: 0 }, { ...first, served: "3", at: 0 });
      await gateway.control({ advance: 300_000, alarm: true });
      await gateway.control({ advance: 300_000, alarm: true });
      await samplesWith(gateway, served, 3);
      assert.equal(sink.bodies("metrics").length, 3, "nothing is new");
    } finally {
      await gateway.stop();
      await sink.stop();
    }
  });

  it("are counted and logged if the back end refuses them, which disturbs nothing", async () => {
    const { sink, gateway } = await start();
    try {
      sink.choose = () => respond(400);
      assert.equal((await chat(gateway, KEY, "demo/echo")).status, 200);
      await samplesWith(gateway, `llm_bridge_export_drops_total{signal="metrics",reason="refused"}`, 1);
      const { signal, drops, status } = await until(() => gateway.logs().find(({ event }) => event === "export_dropped"), "the drop in the log");
      assert.deepEqual({ signal, drops, status }, { signal: "metrics", drops: 1, status: 400 });
      assert.equal((await chat(gateway, KEY, "demo/echo")).status, 200);
      await samplesWith(gateway, served, 2);
    } finally {
      await gateway.stop();
      await sink.stop();
    }
  });
});
