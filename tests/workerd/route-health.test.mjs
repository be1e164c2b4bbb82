// The health of targets: one that is down is left alone and found again, without a request lost; what is no
// fault of a target does not count; operators see what is out and can reset it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { as, call, until } from "./client.mjs";
import { OFFICE, Office } from "./office.mjs";
import { cut, headAndSilence, ok, refuse, refusing, silence, stream, succeed } from "./route-behaviours.mjs";
import { ERROR_EVENTS, REFUSALS } from "./route-speech.mjs";
import { BRIEFLY, KEY, TimedStage } from "./route-stage.mjs";
import { stopClock } from "./timed.mjs";

const { openai } = REFUSALS;
/** How often a target may fail until it is left alone. */
const FAILURES = 3;
/** Longer than the first time that a target is left alone for, and than the longest. */
const [FIRST_OPEN_MS, LONGEST_OPEN_MS] = [7_000, 75_000];

describe("a target that is down", { concurrency: 1 }, () => {
  const stage = new TimedStage({ bindings: OFFICE });
  before(() => stage.start());
  after(() => stage.stop());
  const pass = (advance) => stage.gateway.control({ advance });

  /** So many requests, one after another, all of which must be answered. Returns who served them. */
  async function serve(scene, count, fields) {
    const served = [];
    for (let n = 0; n < count; n++) {
      const { answer, said } = await scene.chat({ messages: [{ role: "user", content: `Question ${n}` }], ...fields });
      assert.equal(answer.status, 200, answer.text);
      served.push(scene.providers.find(({ name }) => said === `said by ${name}`)?.role);
    }
    return served;
  }

  for (const [what, behaviour, fields] of [
    ["busy", refusing(openai.overload), {}],
    ["unreachable from the edge", refuse(522, "error code: 522"), {}],
    ["broken before the head", cut, {}],
    ["empty", succeed(openai.hollow[1]), {}],
    ["busy in its streams", stream(ERROR_EVENTS.openai.overload), { stream: true }],
    ["silent", headAndSilence, { stream: true }],
  ]) {
    const scene = stage.scene({ first: { kind: "openai", row: BRIEFLY }, second: "anthropic" });

    it(`is left alone for some time, and found again, and no request is lost: ${what}`, async () => {
      assert.deepEqual(await serve(scene, 2, fields), ["first", "first"]);
      scene.first.plays(behaviour === headAndSilence ? stage.silently(behaviour) : behaviour);
      assert.deepEqual(new Set(await serve(scene, 12, fields)), new Set(["second"]));
      const failed = scene.first.calls - 2;
      assert.ok(failed >= 1 && failed <= FAILURES, `${failed} of 12 requests were sent to a target that is down`);
      // It is still down when it is asked again, and left alone for longer.
      await pass(FIRST_OPEN_MS);
      assert.deepEqual(new Set(await serve(scene, 6, fields)), new Set(["second"]));
      assert.equal(scene.first.calls, 2 + failed + 1, "one probe");
      scene.first.plays(ok());
      await pass(LONGEST_OPEN_MS);
      const calls = scene.first.calls;
      assert.deepEqual(new Set(await serve(scene, 6, fields)), new Set(["first"]));
      assert.equal(scene.first.calls, calls + 6);
    });
  }

  const away = stage.scene({ first: "openai", second: "anthropic" });

  it("is left alone, and found again: a host that takes no connections", async () => {
    assert.deepEqual(await serve(away, 1), ["first"]);
    await away.first.goesDown();
    assert.deepEqual(new Set(await serve(away, 10)), new Set(["second"]));
    await away.first.comesBack();
    await pass(LONGEST_OPEN_MS);
    assert.deepEqual(await serve(away, 3), ["first", "first", "first"]);
  });

  const probed = stage.scene({ first: "openai", second: "anthropic" });

  it("gets one probe at a time, and other requests go elsewhere", async () => {
    probed.first.plays(refusing(openai.overload));
    await serve(probed, FAILURES + 1);
    const before = probed.first.calls;
    await pass(FIRST_OPEN_MS);
    const held = probed.first.holds();
    const probe = probed.chat();
    const exchange = await held;
    assert.deepEqual(await serve(probed, 5), Array(5).fill("second"));
    assert.equal(probed.first.calls, before + 1);
    ok()(exchange);
    assert.equal((await probe).said, `said by ${probed.first.name}`);
    probed.first.plays(ok());
    assert.deepEqual(await serve(probed, 2), ["first", "first"]);
  });

  const failing = stage.scene({ first: "openai", second: "anthropic" });

  it("does not cost the request that probes it its answer", async () => {
    failing.first.plays(refusing(openai.overload));
    await serve(failing, FAILURES + 1);
    await pass(FIRST_OPEN_MS);
    const result = await failing.chat();
    assert.equal(result.said, `said by ${failing.second.name}`);
    assert.deepEqual(result.classes, ["overload"]);
  });

  const both = stage.scene({ first: "openai", second: "anthropic" });

  it("is tried all the same if all are down", async () => {
    // The gateway waits before it asks a target again.
    await stage.gateway.control({ speed: 1 });
    both.first.plays(refusing(openai.overload));
    both.second.plays(refusing(REFUSALS.anthropic.overload));
    for (let n = 0; n < 5; n++) assert.ok((await both.chat()).answer.status >= 500);
    both.first.plays(ok());
    both.second.plays(ok());
    const calls = both.first.calls + both.second.calls;
    const { answer } = await both.chat();
    assert.equal(answer.status, 200, answer.text);
    assert.equal(both.first.calls + both.second.calls, calls + 1);
    await stopClock(stage.gateway);
  });

  // What does not count against a target.
  for (const [what, behaviour, times] of [
    ["a caller's mistakes", refusing(openai.caller), 8],
    ["prompts that are too long", refusing(openai.context), 8],
    ["content that is refused", refusing(openai.policy), 8],
  ]) {
    const scene = stage.scene({ first: "openai", second: "anthropic" });

    it(`is not a target of ${what}`, async () => {
      scene.first.plays(behaviour);
      for (let n = 0; n < times; n++) await scene.chat();
      assert.equal(scene.first.calls, times);
      scene.first.plays(ok());
      assert.deepEqual(await serve(scene, 2), ["first", "first"]);
    });
  }

  for (const [what, refusal] of [
    ["does not have the model", openai.unsupported],
    ["never takes so many tokens", openai.tpm_size],
  ]) {
    const scene = stage.scene({ first: "openai", second: "anthropic" });

    it(`is not one that ${what}`, async () => {
      scene.first.plays(refusing(refusal));
      await serve(scene, 6);
      assert.equal(scene.first.calls, 6);
    });
  }

  const left = stage.scene({ first: "openai", second: "anthropic" });

  it("is not one whose callers leave", async () => {
    left.first.plays(silence);
    for (let n = 0; n < 6; n++) {
      const { id, answering, leave } = left.begin({ stream: true });
      answering.catch(() => {});
      await until(() => left.first.calls === n + 1, "the call");
      leave();
      assert.equal((await stage.story(id)).end.outcome, "client_closed");
    }
    left.first.plays(ok());
    assert.deepEqual(await serve(left, 2), ["first", "first"]);
  });

  const limited = stage.scene({ first: "openai", second: "anthropic" });

  it("is not one with a limit: it rests as long as it says, and is back at once", async () => {
    limited.first.plays(refuse(429, openai.rate[1], { "retry-after": "10" }));
    assert.deepEqual(new Set(await serve(limited, 8)), new Set(["second"]));
    assert.equal(limited.first.calls, 1);
    limited.first.plays(ok());
    await pass(15_000);
    assert.deepEqual(await serve(limited, 8), Array(8).fill("first"));
  });
});

describe("the operator", { concurrency: 1 }, () => {
  const stage = new TimedStage({ bindings: OFFICE });
  let office;
  before(async () => {
    await stage.start();
    office = new Office(stage.gateway.url);
  });
  after(() => stage.stop());

  const list = async () => (await office.order("GET", "/health")).data;
  const of = (rows, { name }) => rows.filter(({ provider }) => provider === name);

  const down = stage.scene({ first: "openai", second: "anthropic" });
  const pool = stage.scene({ first: { kind: "openai", pool: ["sk-health-a-5772156649", "sk-health-b-5772156649"] } });
  const poor = stage.scene({ first: "anthropic", second: "openai" });

  it("sees nothing of targets that are well", async () => {
    assert.equal((await down.chat()).answer.status, 200);
    assert.deepEqual(of(await list(), down.first), []);
  });

  it("sees which target is out, why, since when and until when", async () => {
    down.first.plays(refusing(openai.overload));
    for (let n = 0; n <= FAILURES; n++) await down.chat();
    const rows = await until(async () => {
      const found = of(await list(), down.first);
      return found.length > 0 && found;
    }, "the target in the list");
    const [{ object, model, state, reason, since, until: end }, ...others] = rows;
    assert.deepEqual(others, []);
    assert.deepEqual([object, model, state, reason], ["health_state", "gpt-4.1", "open", "overload"]);
    assert.ok(Date.parse(since) <= Date.now() + 1_000 && Date.parse(end) > Date.parse(since), `${since} to ${end}`);
  });

  it("sees which key rests, by its number and never by its text", async () => {
    pool.first.plays(refusing(openai.credential), ok());
    assert.equal((await pool.chat()).answer.status, 200);
    const refused = pool.first.pool.indexOf(pool.first.keys[0]);
    const rows = await until(async () => {
      const found = of(await list(), pool.first);
      return found.length > 0 && found;
    }, "the key in the list");
    assert.deepEqual(rows.map(({ state, reason, keys }) => [state, reason, keys]), [["resting", "credential", [refused]]]);
    const text = JSON.stringify(await list());
    for (const key of pool.first.pool) assert.ok(!text.includes(key), "a key in the list");
  });

  it("sees which account has no money", async () => {
    poor.first.plays(refusing(REFUSALS.anthropic.quota));
    await poor.chat();
    const rows = await until(async () => {
      const found = of(await list(), poor.first);
      return found.length > 0 && found;
    }, "the account in the list");
    assert.deepEqual(rows.map(({ state, reason }) => [state, reason]), [["resting", "quota"]]);
  });

  it("resets one state, and the target is used again", async () => {
    const [row] = of(await list(), poor.first);
    poor.first.plays(ok());
    assert.equal((await poor.chat()).said, `said by ${poor.second.name}`);
    await office.order("POST", "/health/reset", { id: row.id });
    assert.deepEqual(of(await list(), poor.first), []);
    assert.equal(of(await list(), down.first).length, 1, "the others are still out");
    assert.equal((await poor.chat()).said, `said by ${poor.first.name}`);
  });

  it("resets all", async () => {
    await office.order("POST", "/health/reset", {});
    assert.deepEqual(await list(), []);
    down.first.plays(ok());
    assert.equal((await down.chat()).said, `said by ${down.first.name}`);
  });

  it("is told of an id that is not out", async () => {
    const error = await office.order("POST", "/health/reset", { id: "nothing" }, 404);
    assert.equal(error.error.code, "health_state_not_found");
  });

  it("alone may see and reset", async () => {
    for (const [method, path] of [["GET", "/admin/api/health"], ["POST", "/admin/api/health/reset"]]) {
      const answer = await call(stage.url(path), { method, headers: as(KEY), body: method === "POST" ? "{}" : null });
      assert.equal(answer.status, 401, answer.text);
    }
  });
});
