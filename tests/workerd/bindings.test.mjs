// Providers that are called by a binding: another Worker on workerd, which passes the calls on.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { chunk, DONE, event } from "./behaviours.mjs";
import { begin, chatRequest, HELLO } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { STILL } from "./harness.mjs";
import { closeAll, openSession } from "./socket.mjs";
import { ASKING, freshId, KEY, PROVIDER_KEY, QUIET, startStage } from "./stage.mjs";

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

const row = (name, base, more) => `  ${name}: { base_url: "${base}", api_key_env: ANY_API_KEY, models: "*", ${QUIET}, ${more} }`;
const config = (fake) =>
  [
    "providers:",
    row("direct", fake.base, ""),
    // No network has such a host: only the binding can serve it.
    row("home", "https://home.invalid/v1", "binding: HOME_SERVER"),
    row("hurried", "https://home.invalid/v1", "binding: HOME_SERVER, timeout: 30"),
    row("missing", "https://home.invalid/v1", "binding: NOT_DEPLOYED"),
    "routes:\n  either: { targets: [missing/ok, home/ok] }",
    "",
  ].join("\n");
const services = (fake) => ({ HOME_SERVER: { module: "home.mjs", texts: { TARGET: fake.origin } } });

describe("a provider that is called by a binding", { concurrency: 4 }, () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, services });
  });
  after(async () => {
    closeAll();
    await stage.stop();
  });

  it("gets calls like any other", async () => {
    stage.fake.behave("like", stage.fake.behaviour("ok"));
    const { answer, record, end } = await stage.watch("home/like");
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.bytes, Buffer.concat(record.sent));
    assert.equal(record.headers["x-home-saw"], "https://home.invalid/v1/chat/completions");
    assert.equal(record.headers.authorization, `Bearer ${PROVIDER_KEY}`);
    assert.equal(end.event, "request_complete");
  });

  it("streams live, chunk by chunk", async () => {
    const held = stage.held("live");
    const answering = stage.openStream("home/live", ASKING);
    const exchange = await held;
    exchange.openStream();
    const send = (word) => exchange.write(event(chunk(exchange.request, { content: word })));
    send("word-0.");
    const caller = await answering;
    await caller.until("word-0.");
    for (let index = 1; index < 50; index++) {
      send(`word-${index}.`);
      await caller.until(`word-${index}.`);
    }
    exchange.write(DONE);
    exchange.end();
    assert.match((await caller.rest()).toString(), /\[DONE\]/);
  });

  it("gets large bodies intact", async () => {
    const content = randomBytes(3_750_000).toString("base64");
    stage.fake.behave("large", stage.fake.behaviour("ok"));
    const answer = await stage.ask("home/large", { messages: [{ role: "user", content }] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(hash(stage.fake.of("large").request.messages[0].content), hash(content));
  });

  it("fails as one that is called directly", async () => {
    const told = ({ status, text }) => ({ status, error: text.match(/"code":"\w+"/)?.[0], done: text.includes("[DONE]") });
    for (const model of ["err-401", "err-429", "err-503-html", "redirect", "html-200", "hang-up-before-headers", "cut-mid-stream", "reset-mid-stream", "empty-stream"]) {
      for (const stream of [false, true]) {
        const direct = told(await stage.ask(`direct/${model}`, { stream }));
        assert.deepEqual(told(await stage.ask(`home/${model}`, { stream })), direct, `${model} ${stream}`);
      }
    }
  });

  it("is let go by a caller who leaves", async () => {
    for (const stream of [false, true]) {
      const model = `left-${stream}`;
      const held = stage.held(model);
      const caller = begin(`${stage.gateway.url}/v1/chat/completions`, chatRequest(KEY, { model: `home/${model}`, messages: HELLO, stream }));
      caller.answering.catch(() => {});
      const exchange = await held;
      caller.leave();
      await stage.expectCancelled(exchange.record);
    }
  });

  it("is called for the chats of a WebSocket session too", async () => {
    const socket = await openSession(stage.gateway.url, { key: KEY });
    stage.fake.behave("framed", stage.fake.behaviour("ok"));
    for (const stream of [false, true]) {
      socket.chat({ model: "home/framed", stream }, { id: `framed-${stream}` });
      const last = await socket.until(({ id, type }) => id === `framed-${stream}` && ["done", "error"].includes(type), "the response");
      assert.notEqual(last.type, "error", JSON.stringify(last));
    }
    assert.match(stage.fake.of("framed").headers["x-home-saw"], /^https:\/\/home\.invalid\//);
  });

  it("is unavailable without the binding, and no other is", async () => {
    for (const stream of [false, true]) {
      const answer = await stage.ask("missing/ok", { stream });
      expectError(answer, { status: 503, code: "binding_missing", type: "configuration_error", says: /binding NOT_DEPLOYED.*wrangler\.toml/ });
    }
    const id = freshId();
    const answer = await stage.ask("either", {}, { "x-request-id": id });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers["x-llm-bridge-model"], "home/ok");
  });
});

describe("a slow provider that is called by a binding", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, services, entry: "production.mjs" });
    await stage.gateway.control({ speed: STILL });
  });
  after(() => stage.stop());

  it("is held to its deadlines", async () => {
    const held = stage.held("slow");
    const answering = stage.ask("hurried/slow");
    const exchange = await held;
    await stage.gateway.control({ advance: 30_000 });
    expectError(await answering, { status: 504, code: "upstream_timeout" });
    await stage.expectCancelled(exchange.record);
  });
});
