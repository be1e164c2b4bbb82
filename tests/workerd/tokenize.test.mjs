// Token counts: the vocabulary is read from the static files at the first count, and streams flow on while
// others count.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { call } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { startGateway } from "./harness.mjs";
import { inOneOf } from "./pace.mjs";
import { KEY, startStage } from "./stage.mjs";

const PATH = "/v1/tokenize";

describe("counting tokens", () => {
  let stage;
  before(async () => {
    stage = await startStage();
  });
  after(() => stage.stop());

  const count = async (body, path = PATH) => stage.request(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });

  it("counts a chat", async () => {
    const answer = await count({ model: "gpt-4o", stream: true, temperature: 1, messages: [{ role: "user", content: "hello world" }] });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json(), { object: "token_count", model: "gpt-4o", encoding: "o200k_base", tokens: 3 + 1 + 2 + 3, estimated: false });
  });

  it("counts texts, with either encoding, at both paths", async () => {
    const texts = ["hello world", "", "你好，世界！", "<|endoftext|>", "👩‍👩‍👧‍👦"];
    const newer = (await count({ model: "any/gpt-5-mini", input: texts })).json();
    assert.deepEqual(
      { encoding: newer.encoding, per_input: newer.per_input, estimated: newer.estimated },
      { encoding: "o200k_base", per_input: [2, 0, 4, 7, 11], estimated: false },
    );
    const older = (await count({ model: "any/gpt-4", input: texts }, "/tokenize")).json();
    assert.deepEqual(
      { encoding: older.encoding, per_input: older.per_input, estimated: older.estimated },
      { encoding: "cl100k_base", per_input: [2, 0, 7, 7, 18], estimated: false },
    );
    assert.equal(older.tokens, 34);
  });

  it("calls a count with another model's encoding an estimate", async () => {
    assert.equal((await count({ model: "ok", input: "hello" })).json().estimated, true);
  });

  it("counts many at once, also when none has counted before", async () => {
    const fresh = await startStage();
    const body = JSON.stringify({ model: "gpt-4o", input: "hello world" });
    const answers = await Promise.all(Array.from({ length: 20 }, () => fresh.request(PATH, { method: "POST", body })));
    await fresh.stop();
    assert.deepEqual(answers.map((answer) => answer.json().tokens), Array(20).fill(2));
  });

  it("lets streams flow while a long text is counted", async () => {
    const text = "The quick brown fox jumps over the lazy dog. ".repeat(400_000);
    // In each try, a chat that waits for the count would come after it.
    await inOneOf(3, async () => {
      let counted;
      const counting = count({ model: "gpt-4o", input: text }).then((answer) => (counted = answer.json().tokens));
      await new Promise((resolve) => setTimeout(resolve, 30));
      const answer = await stage.ask("ok");
      assert.equal(answer.status, 200);
      const before = counted === undefined;
      assert.ok((await counting) > 3_600_000);
      assert.ok(before, "the chat came first");
    });
  });

  it("refuses in OpenAI's shape", async () => {
    const refused = (code, param, status = 400) => ({ status, type: "invalid_request_error", code, param });
    expectError(await count("{"), refused("invalid_json", null));
    expectError(await count({ model: "gpt-4o" }), refused("missing_required_parameter", "messages"));
    expectError(await count({ model: "gpt-4o", input: [1] }), refused("invalid_type", "input"));
    expectError(await count({ model: "nobody/x", input: "x" }), refused("model_not_found", "model", 404));
    const stranger = await call(stage.gateway.url + PATH, { method: "POST", body: "{}" });
    expectError(stranger, refused("invalid_api_key", null, 401));
  });

  it("gives no static file away", async () => {
    for (const path of ["/o200k_base.bin", "/assets/o200k_base.bin", "/v1/o200k_base.bin"]) {
      assert.equal((await stage.request(path)).status, 404, path);
    }
  });

  it("says so when there is no vocabulary, and serves on", async () => {
    const assets = await mkdtemp(join(tmpdir(), "llm-bridge-empty-"));
    const config = "providers:\n  demo: { adapter: echo, models: { echo: {} } }\n";
    const gateway = await startGateway({ config, bindings: { ACCESS_API_KEYS: KEY }, assets });
    try {
      const ask = (path, body) => call(gateway.url + path, { method: "POST", headers: { authorization: `Bearer ${KEY}` }, body: JSON.stringify(body) });
      const answer = await ask(PATH, { model: "demo/echo", input: "x" });
      expectError(answer, { status: 503, type: "configuration_error", code: "tokenizer_unavailable", param: null });
      assert.equal((await ask("/v1/chat/completions", { model: "demo/echo", messages: [] })).status, 200);
    } finally {
      await gateway.stop();
      await rm(assets, { recursive: true });
    }
  });
});
