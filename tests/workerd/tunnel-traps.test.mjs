// The wasm of tunnels fails: in the middle of calls and streams, its calls end clearly, all others go on, and the
// next call gets a fresh instance.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { PRICED } from "./bills.mjs";
import { until } from "./client.mjs";
import { expectError, expectErrorFrame } from "./expect.mjs";
import { OFFICE, Office } from "./office.mjs";
import { startProxyStage } from "./proxy-stage.mjs";
import { ASKING } from "./stage.mjs";
import { withTraps } from "./trapped-wasm.mjs";

/**
 * What the wasm believes the time to be where it is to trap: in a task, at the beginning of a call, or in a function
 * that it gives to a constructor of promises, which catches what it throws.
 */
const TRAPS = { "a task": -1, "a call": -2, "a promise": -3 };

/** The wasm's function that the glue calls with so many arguments for its closures. */
const closure = (glue, count) => glue.match(new RegExp(`\\.(wasm_bindgen__convert__closures_____invoke__\\w+)\\((?:\\w+,){${count - 1}}\\w+\\)`))[1];

/** The build's wasm with traps, and its functions with a clock that sets them off. */
async function trapped(folder) {
  const build = process.env.GATEWAY_BUILD ? pathToFileURL(join(process.env.GATEWAY_BUILD, "build/")) : new URL("../../build/", import.meta.url);
  const glue = await readFile(new URL("tunnel.js", build), "utf8");
  const places = { [closure(glue, 3)]: TRAPS["a task"], tunnel: TRAPS["a call"], [closure(glue, 4)]: TRAPS["a promise"] };
  const wasm = withTraps(await readFile(new URL("tunnel_bg.wasm", build)), "__wbg_now_", places);
  const [clock, instance] = ["return Date.now()", "new LLM_BRIDGE_TUNNEL.Instance("];
  assert.ok(glue.includes(clock) && glue.includes(instance));
  // A fresh instance has no trap that is set.
  const set = glue.replace(clock, "return TUNNEL.trap||Date.now()").replaceAll(instance, "new (TUNNEL.trap=0,TUNNEL.instances++,LLM_BRIDGE_TUNNEL.Instance)(");
  const files = { "build/tunnel_bg.wasm": join(folder, "tunnel_bg.wasm"), "build/tunnel.js": join(folder, "tunnel.js") };
  await writeFile(files["build/tunnel_bg.wasm"], wasm);
  await writeFile(files["build/tunnel.js"], set);
  return files;
}

// One at a time: a trap is for all calls.
describe("the wasm of tunnels that traps", () => {
  let stage, folder, office;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tunnel-traps-"));
    // Each for one test: a target that has failed rests.
    const more = "routes:\n  after-1: { targets: [https/ok, direct/ok] }\n  after-2: { targets: [rsa/ok, direct/ok] }\n  after-3: { targets: [tls-1-2/ok, direct/ok] }\n";
    stage = await startProxyStage({ faults: [], models: `{ ok: { ${PRICED} }, "*": {} }`, more, entry: "tunnel-traps.mjs", files: await trapped(folder), bindings: OFFICE });
    office = new Office(stage.gateway.url);
  });
  after(async () => {
    await stage.stopAll();
    await rm(folder, { recursive: true });
  });

  const instances = async () => (await stage.gateway.control()).instances;
  const failures = () => [...stage.gateway.lines, ...stage.gateway.complaints].filter((line) => line.includes("The tunnel failed")).length;

  /** A stream that has begun, its exchange at the provider, and what it has brought. */
  async function begun(provider, model) {
    const held = stage.held(model);
    const answering = stage.openStream(`${provider}/${model}`, ASKING);
    const exchange = await held;
    exchange.openStream();
    exchange.write(event(chunk(exchange.request, { content: "first" })));
    const caller = await answering;
    return { exchange, caller, seen: await caller.until("first") };
  }

  async function expectWhole({ exchange, caller }) {
    exchange.write(event(chunk(exchange.request, { content: "last" })));
    await caller.until("last");
    exchange.write(answerEvents(exchange.request).at(-1) + DONE);
    exchange.end();
    assert.match((await caller.rest()).toString(), /\[DONE\]/);
  }

  for (const [where, trap] of Object.entries(TRAPS)) {
    it(`tells its call of it, and no other: ${where}`, async () => {
      assert.equal((await stage.ask("http/ok")).status, 200);
      const other = await begun("direct", `beside-${trap}`);
      const [before, told] = [await instances(), failures()];
      await stage.gateway.control({ trap });
      const answer = await stage.ask("http/ok");
      expectError(answer, { status: 502, code: "upstream_unreachable", type: "upstream_error", says: /^The gateway failed while it called this provider through its proxy\. Send the request again\.$/ });
      await expectWhole(other);
      assert.equal((await stage.ask("http/ok")).status, 200);
      assert.equal(await instances(), before + 1, "it was put up once more");
      await until(() => failures() === told + 1, "the failure to be logged");
    });

    it(`is followed by another target: ${where}`, async () => {
      const told = failures();
      await stage.gateway.control({ trap });
      const answer = await stage.ask(`after${trap}`);
      assert.equal(answer.status, 200, answer.text);
      // The next test counts from here.
      await until(() => failures() === told + 1, "the failure to be logged");
      assert.equal(answer.headers["x-llm-bridge-model"], "direct/ok");
    });
  }

  it("ends the streams and connections it was busy with, and no others", async () => {
    const tunnelled = [await begun("http", "cut-1"), await begun("socks", "cut-2"), await begun("plain-http", "cut-3")];
    const other = await begun("direct", "uncut");
    await stage.gateway.control({ trap: TRAPS["a task"] });
    const [first] = tunnelled;
    first.exchange.write(event(chunk(first.exchange.request, { content: "more" })));
    for (const { caller, seen, exchange } of tunnelled) {
      expectErrorFrame(seen + (await caller.rest()), { type: "upstream_error" });
      await stage.expectCancelled(exchange.record);
    }
    await until(() => stage.proxies.http.open() === 0 && stage.proxies.socks.open() === 0, "the connections to the proxies to be closed");
    await expectWhole(other);
    const again = await begun("http", "afterwards");
    await expectWhole(again);
  });

  it("leaves no account open", async () => {
    const key = await office.key("trapped", { budget: { amount: "0.0100", per: "total" }, concurrent_requests: 1 });
    for (const trap of Object.values(TRAPS)) {
      await stage.gateway.control({ trap });
      const answer = await office.ask(key, "http/ok");
      assert.equal(answer.status, 502, answer.text);
      assert.equal((await office.ask(key, "http/ok")).status, 200, "its place is free again");
    }
    await office.totals("trapped", 6);
    const outcomes = (await office.receipts("trapped")).map(({ outcome }) => outcome);
    assert.equal(outcomes.length, 6);
    assert.ok(!outcomes.includes("lost"), outcomes.join());
  });
});
