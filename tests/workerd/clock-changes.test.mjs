// The clock of a process is set forward and back, as machines and virtual ones do: what operators are told goes on,
// and nothing is lost or counted twice.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { as, call, until } from "./client.mjs";
import { ADMIN_KEY, OFFICE, Office } from "./office.mjs";
import { startSink } from "./otlp-sink.mjs";
import { startStage } from "./stage.mjs";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const JUMPS = [["an hour forward", HOUR], ["two hours back", -2 * HOUR], ["two days forward", 2 * DAY], ["three days back", -3 * DAY], ["a second back", -1_000]];

describe("what operators are told", () => {
  let stage, office, sink, disk;
  let asked = 0;
  before(async () => {
    sink = await startSink();
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-clocks-"));
    stage = await startStage({
      bindings: OFFICE,
      disk,
      entry: "production.mjs",
      config: (fake) => `
providers: { openai: { base_url: "${fake.base}", models: "*" } }
reporting: { timezone: Asia/Kolkata }
logging: { output: { file: { path: logs } } }
telemetry: { otlp: { endpoint: "${sink.url}", format: json, traces: true, logs: true, metrics: true } }
`,
    });
    office = new Office(stage.gateway.url);
  });
  after(async () => {
    await stage.stop();
    await sink.stop();
    await rm(disk, { recursive: true });
  });

  const range = () => {
    const day = (time) => new Date(time).toISOString().slice(0, 10);
    return `from=${day(Date.now() - 5 * DAY)}&to=${day(Date.now() + 5 * DAY)}`;
  };
  const report = (resolution) => office.order("GET", `/reports?${range()}&resolution=${resolution}`);

  /** Makes a request, and waits until everything that tells of requests has it. */
  async function tellsOfAnother() {
    const id = `clock-${++asked}`;
    assert.equal((await stage.ask("ok", {}, { "x-request-id": id })).status, 200);
    await until(async () => (await report("total")).totals.requests === asked, `${asked} requests in the reports`);
    const days = await report("day");
    assert.equal(days.data.reduce((sum, { requests }) => sum + requests, 0), asked, "the days are the total");
    assert.equal((await office.order("GET", `/requests/${id}`)).request_id, id);
    await sink.traceOf(id);
    await until(() => sink.sent(id, "logs").length > 0, `the log records of ${id}`);
    const { text } = await call(`${stage.gateway.url}/metrics`, { headers: as(ADMIN_KEY) });
    assert.equal(Number(/^llm_bridge_requests_total\{.*outcome="complete"\} (\d+)/m.exec(text)[1]), asked);
    await until(async () => (await office.order("GET", `/logs?request_id=${id}`)).data.some(({ event }) => event === "request_complete"), `the lines of ${id}`);
  }

  it("has a request before the clock is set", tellsOfAnother);

  for (const [name, advance] of JUMPS) {
    it(`goes on when the clock is set ${name}`, async () => {
      await stage.gateway.control({ advance });
      await tellsOfAnother();
      await stage.gateway.control({ alarm: true });
      await tellsOfAnother();
    });
  }

  it("lists each request once, and nothing has failed", async () => {
    const { data } = await office.order("GET", "/requests?limit=1000");
    assert.deepEqual(data.map(({ request_id }) => request_id).sort(), Array.from({ length: asked }, (_, n) => `clock-${n + 1}`).sort());
    assert.deepEqual(stage.gateway.logs().filter(({ event }) => /failed|lost|dropped/.test(event)), []);
    const { totals, lost } = await report("quarter");
    assert.deepEqual([totals.requests, lost], [asked, 0]);
    await until(() => sink.bodies("metrics").length >= 3, "three exports of metrics");
    const points = sink.bodies("metrics").map(({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }) => Number(metrics.find(({ name }) => name === "llm_bridge_requests").sum.dataPoints[0].asInt));
    assert.ok(points.every((value, at) => at === 0 || value >= points[at - 1]), `${points}`);
  });
});
