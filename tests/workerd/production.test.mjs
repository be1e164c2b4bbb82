// Shows that the wrapped entry module does what it claims. Tests that rely on it would prove nothing
// otherwise.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { chunk, event } from "./behaviours.mjs";
import { begin, chatRequest, HELLO, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { OFFICE, Office } from "./office.mjs";
import { freshId, KEY, rows, startStage } from "./stage.mjs";

const CUT_MS = 30_000;
const ENDS = ["request_complete", "request_error"];

describe("the wrapped entry module", () => {
  let stage, gateway, office, limited;
  before(async () => {
    const config = rows({ any: "relay: native", heard: "on_disconnect: finish" });
    stage = await startStage({ config, bindings: OFFICE, entry: "production.mjs" });
    ({ gateway } = stage);
    office = new Office(gateway.url);
    limited = await office.key("limited", { concurrent_requests: 5 });
  });
  after(() => stage.stop());

  /** Waits until a request waits for its admission. Other calls of accounts may come meanwhile, of requests that have ended. */
  const admissionWaits = () => until(async () => (await gateway.control()).waiting.Admit > 0, "a request that waits for its admission");

  it("sets the gateway's clock forward", async () => {
    const { now } = await gateway.control();
    await gateway.control({ advance: 3_600_000 });
    await stage.watch("any/ok");
    const stamp = Date.parse(gateway.logs().at(-1).timestamp);
    assert.ok(stamp >= now + 3_600_000 && stamp < now + 3_700_000, `${stamp - now}`);
  });

  it("fires timers that the clock has passed", async () => {
    const held = stage.held("mute");
    const answering = stage.ask("any/mute");
    await held;
    await gateway.control({ advance: 601_000 });
    expectError(await answering, { status: 504, code: "upstream_timeout" });
  });

  it("counts the calls of objects and their rows", async () => {
    const { calls, rows } = await gateway.control();
    assert.equal((await office.ask(limited, "any/ok")).status, 200);
    await office.totals("vk_limited", 1);
    const after = await gateway.control();
    // Admission, settlement, and the query for the sums, which may have been repeated.
    assert.ok(after.calls.ACCOUNTS >= calls.ACCOUNTS + 3, JSON.stringify(after.calls));
    assert.ok(after.rows.ACCOUNTS.written >= (rows.ACCOUNTS?.written ?? 0) + 3, JSON.stringify(after.rows));
  });

  it("takes objects away, and brings them back", async () => {
    await gateway.control({ away: { ACCOUNTS: "fails" } });
    expectError(await office.ask(limited, "any/ok"), { status: 503, code: "accounts_unavailable" });
    await gateway.control({ away: { ACCOUNTS: "hangs" } });
    const waiting = office.ask(limited, "any/ok");
    await admissionWaits();
    await gateway.control({ away: {} });
    assert.equal((await waiting).status, 200);
  });

  for (const cut of [null, CUT_MS]) {
    it(`${cut ? "ends" : "does not end"} what goes on for long after the client left`, async () => {
      const { cuts } = await gateway.control({ cut, away: { ACCOUNTS: "hangs" } });
      const model = `left-${cut}`;
      const body = { model: `heard/${model}`, messages: HELLO };
      const caller = begin(`${gateway.url}/v1/chat/completions`, chatRequest(limited, body));
      const left = assert.rejects(caller.answering);
      await admissionWaits();
      caller.leave();
      await left;
      // Waits for the gateway to notice. Only then does the time count.
      await stage.request("/health");
      await gateway.control({ advance: CUT_MS + 1_000 });
      await stage.request("/health");
      if (cut) await until(async () => (await gateway.control()).cuts > cuts, "the request to be cut");
      const held = cut ? undefined : stage.held(model);
      await gateway.control({ away: {} });
      // A later answer of its account delays the request to the provider.
      if (cut) assert.equal((await office.ask(limited, "any/ok")).status, 200);
      else (await held).end();
      assert.equal(gateway.alive, true);
      if (cut) assert.equal(stage.fake.of(model), undefined, "the provider is not asked");
    });
  }
});
