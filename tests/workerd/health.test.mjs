// The health of targets on the built worker: what one isolate finds is known to the shared object, survives a
// restart, is listed and can be reset.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { as, call, HELLO, until } from "./client.mjs";
import { STILL } from "./harness.mjs";
import { json, startScripted } from "./scripted.mjs";

const ADMIN = "admin-key-2718281828";
const OPTIONS = {
  rows: { a: ["openai", ""], b: ["openai", ""] },
  top: "routes: { smart: { targets: [a/first, b/second] } }",
  bindings: { ADMIN_API_KEYS: ADMIN },
  entry: "production.mjs",
};
const GOOD = json(200, { choices: [{ message: { role: "assistant", content: "hi" }, finish_reason: "stop" }], usage: { prompt_tokens: 1, completion_tokens: 1 } });
const BUSY = json(503, { error: { message: "busy", type: "server_error", code: null } });

async function health(gateway, body) {
  const path = `/admin/api/health${body ? "/reset" : ""}`;
  const answer = await call(`${gateway.url}${path}`, { method: body ? "POST" : "GET", headers: as(ADMIN), body: body && JSON.stringify(body) });
  assert.equal(answer.status, 200, answer.text);
  return answer.json().data;
}

describe("the health of targets", () => {
  let stage, disk;
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-health-"));
    stage = await startScripted({ ...OPTIONS, disk });
    // A target that fails rests for five seconds, which do not pass.
    await stage.gateway.control({ speed: STILL });
  });
  after(async () => {
    await stage.stop();
    await rm(disk, { recursive: true });
  });

  const chat = async () => {
    const answer = await stage.post("/v1/chat/completions", { model: "smart", messages: HELLO });
    assert.equal(answer.status, 200, answer.text);
    return stage.seen.splice(0).map(({ body }) => body.model);
  };
  const calls = async () => (await stage.gateway.control({})).calls.HEALTH ?? 0;

  it("is asked about once in half a minute, and in the background", async () => {
    stage.answer(GOOD);
    for (let count = 0; count < 10; count++) assert.deepEqual(await chat(), ["first"]);
    await until(async () => (await calls()) > 0, "the call in the background");
    assert.equal(await calls(), 1);
    assert.deepEqual(await health(stage.gateway), []);
  });

  it("leaves out a target that fails, and tells why", async () => {
    stage.answer((request, response) => (request.body.model === "first" ? BUSY : GOOD)(request, response));
    for (let count = 0; count < 3; count++) assert.deepEqual(await chat(), ["first", "second"]);
    assert.deepEqual(await chat(), ["second"]);
    const [state, ...more] = await until(async () => (await health(stage.gateway)).some((state) => state.known === "everywhere") && health(stage.gateway), "the report");
    assert.deepEqual(more, []);
    const { id, provider, model, keys, reason } = state;
    assert.deepEqual({ id, provider, model, keys, reason }, { id: "target:a:first", provider: "a", model: "first", keys: null, reason: "overload" });
  });

  it("survives a restart", async () => {
    const { now } = await stage.gateway.control({});
    await stage.stop();
    stage = await startScripted({ ...OPTIONS, disk });
    // The clock goes on from there.
    const advance = now - (await stage.gateway.control({ speed: STILL })).now;
    await stage.gateway.control({ advance });
    assert.deepEqual((await health(stage.gateway)).map(({ id }) => id), ["target:a:first"]);
  });

  it("is reset by an operator", async () => {
    assert.deepEqual(await health(stage.gateway, { id: "target:a:first" }), []);
    stage.answer(GOOD);
    assert.deepEqual(await chat(), ["first"]);
    assert.deepEqual(await health(stage.gateway), []);
  });
});
