// Lines of log files that come along with reports, on the built worker: they cost no call of their own, and get into
// log files once, whatever fails.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { as, call, settled, until } from "./client.mjs";
import { STILL } from "./harness.mjs";
import { ADMIN_KEY, OFFICE, Office } from "./office.mjs";
import { startStage } from "./stage.mjs";

const config = (fake) => `
providers: { any: { base_url: "${fake.base}", models: "*" } }
logging: { output: { console: false, file: { path: logs } } }
`;

/** A gateway whose clock the test moves. */
async function startLines({ disk } = {}) {
  const stage = await startStage({ config, bindings: OFFICE, entry: "production.mjs", disk });
  await stage.gateway.control({ speed: STILL });
  const office = new Office(stage.gateway.url);
  const control = (change = {}) => stage.gateway.control(change);
  return {
    stage,
    control,
    office,
    calls: async (binding) => (await control()).calls[binding] ?? 0,
    logs: (query = "") => office.order("GET", `/logs?tail=1000${query}`),
    ask: (id, model = "any/ok") => stage.ask(model, {}, { "x-request-id": id }),
    /** Lets so much time pass, in steps, each of which timers see. */
    pass: async (seconds) => {
      for (let passed = 0; passed < seconds; passed++) {
        await control({ advance: 1_000 });
        await settled(async () => JSON.stringify((await control()).calls), 100);
      }
    },
  };
}

const idsOf = ({ data }) => data.map(({ event, request_id }) => `${request_id} ${event}`);
const STORY = (id) => [`${id} request_start`, `${id} request_complete`];

describe("lines of a request", () => {
  let at;
  before(async () => void (at = await startLines()));
  after(() => at.stage.stop());

  it("go along with its report, and are in log files for whoever reads them, once", async () => {
    await at.ask("first");
    await at.pass(2);
    await at.control({ rows: {} });
    const before = await at.calls("OPERATIONS");
    await at.ask("second");
    await at.pass(12);
    assert.equal((await at.calls("OPERATIONS")) - before, 1, "one call of one object");
    assert.equal((await at.control()).rows.OPERATIONS.written, 1, "one row");
    assert.equal(await at.calls("LOG_FILES"), 0);
    for (let reads = 0; reads < 2; reads++) {
      const page = await at.logs();
      assert.deepEqual(idsOf(page), [...STORY("first"), ...STORY("second")]);
      assert.equal(page.unread_segments, 0);
    }
  });

  it("wait ten seconds for it, if it runs for long", async () => {
    const held = at.stage.held("long");
    const before = await at.calls("LOG_FILES");
    const asking = at.ask("long", "any/long");
    const exchange = await held;
    await at.pass(8);
    assert.equal(await at.calls("LOG_FILES"), before);
    await at.pass(4);
    assert.equal((await at.calls("LOG_FILES")) - before, 1);
    at.stage.fake.behaviour("ok")(exchange);
    assert.equal((await asking).status, 200);
    await at.pass(2);
    assert.deepEqual(idsOf(await at.logs("&request_id=long")), STORY("long"));
  });

  it("go to log files alone if the report does not arrive", async () => {
    await at.control({ away: { OPERATIONS: "fails" } });
    await at.ask("cut-off");
    const before = await at.calls("LOG_FILES");
    await at.pass(4);
    await until(async () => (await at.calls("LOG_FILES")) > before, "the lines");
    const partial = await at.logs("&request_id=cut-off");
    assert.deepEqual(idsOf(partial), STORY("cut-off"));
    assert.equal(partial.unread_segments, 1, "what waits in the object could not be asked for");
    await at.control({ away: {} });
    for (const id of ["after", "later"]) {
      await at.ask(id);
      await at.pass(3);
    }
    const page = await at.logs();
    for (const id of ["cut-off", "after", "later"]) assert.deepEqual(idsOf(page).filter((line) => line.startsWith(id)), STORY(id));
    assert.equal(page.unread_segments, 0);
  });
});

let fed = 0;

/** A report with one line of so many bytes. */
function report(length) {
  const id = ++fed;
  const line = { timestamp: new Date().toISOString(), level: "info", event: "request_complete", request_id: `fed-${id}`, filler: "x".repeat(length) };
  return { id, lines: { records: [{ at: Date.now(), line: JSON.stringify(line) }], lost: 0 } };
}

describe("lines that wait in the operations object", () => {
  it("move on when they are many, and the oldest are counted if nothing takes them", async () => {
    const at = await startLines();
    try {
      const found = async (number) => (await at.logs(`&request_id=fed-${number}`)).data.length;
      const first = fed + 1;
      await at.control({ feed: [report(530_000)] });
      await at.control({ alarm: true });
      await until(async () => (await at.calls("LOG_FILES")) > 0, "a chunk of lines");
      assert.equal(await found(first), 1);
      await at.control({ away: { LOG_FILES: "fails" } });
      for (let number = 0; number < 18; number++) await at.control({ feed: [report(530_000)] });
      await at.control({ alarm: true });
      const refused = await call(`${at.stage.gateway.url}/admin/api/logs`, { headers: as(ADMIN_KEY) });
      assert.equal(refused.status, 503);
      await at.control({ away: {} });
      assert.deepEqual(await Promise.all([1, 2, 3, 18].map((number) => found(first + number))), [0, 0, 1, 1]);
      const { store } = await at.logs("&level=error");
      assert.equal(store.lost_lines, 2);
    } finally {
      await at.stage.stop();
    }
  });

  it("survive a kill between the two objects, and are not repeated", async () => {
    const disk = await mkdtemp(join(tmpdir(), "llm-bridge-lines-"));
    try {
      let at = await startLines({ disk });
      const ids = [report(10), report(10)].map((batch) => ({ batch, id: `fed-${batch.id}` }));
      await at.control({ feed: [ids[0].batch], away: { LOG_FILES: "fails" } });
      // A chunk is made, and not taken.
      await call(`${at.stage.gateway.url}/admin/api/logs`, { headers: as(ADMIN_KEY) });
      await at.control({ feed: [ids[1].batch] });
      for (let starts = 0; starts < 2; starts++) {
        await at.stage.stop();
        at = await startLines({ disk });
        const page = await at.logs();
        assert.deepEqual(page.data.map(({ request_id }) => request_id), ids.map(({ id }) => id));
      }
      await at.stage.stop();
    } finally {
      await rm(disk, { recursive: true });
    }
  });
});
