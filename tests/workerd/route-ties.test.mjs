// Requests that name what one account of a provider stores, or that only it can open: where they go, and what
// is said if they cannot.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { cut, ok, refuse } from "./route-behaviours.mjs";
import { RouteStage } from "./route-stage.mjs";

const stage = new RouteStage();
before(() => stage.start());
after(() => stage.stop());

const messages = (...parts) => ({ messages: [{ role: "user", content: [{ type: "text", text: "Read it." }, ...parts] }] });
const file = { type: "file", file: { file_id: "file-31415" } };
const document = { type: "document", source: { type: "file", file_id: "file_31415" } };
const down = () => refuse(503, { error: { message: "Down for now", type: "server_error", code: null } });
const errorOf = ({ answer }) => JSON.parse(answer.text).error;

/** The tied request of each format, its path, and the field that ties it. */
const TIED = {
  openai: { path: "/v1/chat/completions", body: messages(file), field: "messages[0].content[1].file.file_id" },
  anthropic: { path: "/v1/messages", body: { max_tokens: 100, ...messages(document) }, field: "messages.0.content.1.source.file_id" },
};
const ask = (scene, { path, body }, more) => scene.stage.ask({ path, body: { model: scene.route, ...body }, ...more });

describe("a request that names a stored file", { concurrency: 8 }, () => {
  for (const [kind, tied] of Object.entries(TIED)) {
    const other = kind === "openai" ? "anthropic" : "openai";
    const scene = stage.scene({ first: other, second: kind });

    it(`goes to the only target that can have it, as it was sent (${kind})`, async () => {
      const result = await ask(scene, tied);
      scene.expectServed(result, "second", [0, 1]);
      assert.deepEqual(scene.second.last.body.messages, tied.body.messages);
    });

    const failing = stage.scene({ first: kind, second: other });

    it(`stays there when the target is down, and its error says so (${kind})`, async () => {
      failing.first.plays(down());
      const result = await ask(failing, tied);
      assert.equal(result.answer.status, 503, result.answer.text);
      assert.equal(failing.second.calls, 0, "the other target was asked");
      const { message } = errorOf(result);
      assert.ok(message.startsWith("Down for now. This request cannot move to another target of its route:"), message);
      assert.ok(message.includes(`\`${tied.field}\``), message);
    });

    const several = stage.scene({ first: kind, second: other, third: kind });

    it(`is refused if several accounts may have it, which are named (${kind})`, async () => {
      const result = await ask(several, tied);
      assert.equal(result.answer.status, 400, result.answer.text);
      assert.deepEqual(several.calls, [0, 0, 0]);
      const { message, type, code, param } = errorOf(result);
      assert.equal(type, "invalid_request_error");
      if (kind === "openai") assert.deepEqual([code, param], ["bound_to_account", tied.field]);
      for (const role of ["first", "third"]) assert.ok(message.includes(`\`${several.target(role)}\``), message);
      assert.ok(message.includes(`\`${tied.field}\``) && !message.includes(several.target("second")), message);
      // What it advises works.
      const direct = await stage.ask({ path: tied.path, body: { ...tied.body, model: several.target("third") } });
      assert.equal(direct.said, `said by ${several.third.name}`, direct.answer.text);
      assert.deepEqual(several.calls, [0, 0, 1]);
    });

    const foreign = stage.scene({ first: other });

    it(`is refused by a target of another format (${kind})`, async () => {
      const result = await ask(foreign, tied);
      assert.equal(result.answer.status, 400, result.answer.text);
      assert.equal(foreign.first.calls, 0);
      assert.ok(errorOf(result).message.startsWith(`\`${tied.field}\` names a file that another service holds.`), result.answer.text);
    });
  }

  const plain = stage.scene({ first: "openai", second: "anthropic" });

  it("only mentions one, and moves like any other", async () => {
    plain.first.plays(down());
    const call = { id: "c", type: "function", function: { name: "read", arguments: '{"file_id":"file-1"}' } };
    const said = [{ role: "user", content: 'Say {"file_id": "file-1"}.' }, { role: "assistant", content: null, tool_calls: [call] }, { role: "tool", tool_call_id: "c", content: "done" }];
    plain.expectServed(await plain.chat({ messages: said }), "second", [1, 1]);
  });

  const retried = stage.scene({ first: "openai", second: "anthropic" });

  it("is sent again to its target after a connection that broke", async () => {
    retried.first.plays(cut, ok());
    retried.expectServed(await ask(retried, TIED.openai), "first", [2, 0]);
  });

  const weighted = stage.scene({ first: { kind: "openai", weight: 1 }, second: { kind: "anthropic", weight: 1000 } }, "strategy: weighted");

  it("goes there whatever the strategy and the conversation prefer", async () => {
    const results = await Promise.all([..."abcdefgh"].map((id) => ask(weighted, TIED.openai, { headers: { "x-session-id": id } })));
    assert.deepEqual(new Set(results.map(({ said }) => said)), new Set([`said by ${weighted.first.name}`]));
    assert.deepEqual(weighted.calls, [8, 0]);
  });

  const keys = stage.scene({ first: { kind: "openai", pool: ["sk-one-1415926", "sk-two-5358979"] }, second: "anthropic" });

  it("is tried with the key of another account if one does not know it", async () => {
    const unknown = refuse(404, { error: { message: "No such File object: file-31415", type: "invalid_request_error", param: "id", code: null } });
    keys.first.plays(unknown, ok());
    keys.expectServed(await ask(keys, TIED.openai), "first", [2, 0]);
    assert.equal(new Set(keys.first.keys).size, 2, `${keys.first.keys}`);
    // No key is the worse for it.
    keys.first.plays(ok());
    for (const id of "abcdefgh") await keys.chat({}, { headers: { "x-session-id": id } });
    assert.equal(new Set(keys.first.keys.slice(2)).size, 2, `${keys.first.keys}`);
  });
});

/** A provider's response in the Responses API. */
const responds = (exchange) => {
  const content = [{ type: "output_text", text: `said by ${exchange.provider.name}`, annotations: [], logprobs: [] }];
  const output = [{ type: "message", id: "msg_1", role: "assistant", status: "completed", content }];
  const usage = { input_tokens: 10, input_tokens_details: { cached_tokens: 0 }, output_tokens: 5, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 15 };
  exchange.whole(200, { id: "resp_1", object: "response", created_at: 1, status: "completed", model: "served", error: null, incomplete_details: null, output, usage });
};
const unverified = refuse(400, { error: { message: "The encrypted content gAAA...DQ== could not be verified.", type: "invalid_request_error", param: null, code: "invalid_encrypted_content" } });
const respond = (scene, fields) => stage.ask({ path: "/v1/responses", body: { model: scene.route, store: false, input: "Hello", ...fields } });
const saidIn = ({ answer }) => JSON.parse(answer.text).output?.[0].content[0].text;
const thought = (encrypted_content, type = "reasoning") => ({ type, summary: [], encrypted_content });
const went = (...items) => ({ input: [{ role: "user", content: "Hello" }, ...items, { role: "user", content: "Go on." }] });

describe("a request of the Responses API", { concurrency: 8 }, () => {
  const sealed = stage.scene({ first: "anthropic", second: "openai" });

  it("with encrypted reasoning goes to who can open it, and says so when that is down", async () => {
    sealed.second.plays(responds);
    assert.equal(saidIn(await respond(sealed, went(thought("gAAAAABo")))), `said by ${sealed.second.name}`);
    assert.deepEqual(sealed.calls, [0, 1]);
    assert.equal(sealed.second.last.body.input[1].encrypted_content, "gAAAAABo");
    sealed.second.plays(down());
    const failed = await respond(sealed, went(thought("gAAAAABo")));
    assert.equal(failed.answer.status, 503, failed.answer.text);
    assert.match(errorOf(failed).message, /cannot move to another target of its route: `input\[1\]\.encrypted_content`/);
    assert.equal(sealed.first.calls, 0);
  });

  const own = stage.scene({ first: "anthropic", second: "openai" });

  it("with what the gateway sealed itself is free", async () => {
    assert.equal(saidIn(await respond(own, went(thought("lb1.YQ==.YQ==")))), `said by ${own.first.name}`);
  });

  const back = stage.scene({ first: "openai" });

  it("with what the gateway sealed itself is rewritten for a provider that cannot open it", async () => {
    back.first.plays(responds);
    assert.equal(saidIn(await respond(back, went(thought("lb1.YQ==.YQ==")))), `said by ${back.first.name}`);
    assert.ok(!back.first.last.raw.includes("lb1."), back.first.last.raw.toString());
    assert.equal(back.first.last.url, "/v1/responses");
  });

  const twins = stage.scene({ first: "openai", second: "openai", third: "anthropic" });

  it("with encrypted content finds its account among several", async () => {
    for (const type of ["reasoning", "compaction"]) {
      twins.first.plays(unverified);
      twins.second.plays(responds);
      const before = twins.calls;
      assert.equal(saidIn(await respond(twins, went(thought("gAAAAABo", type)))), `said by ${twins.second.name}`);
      assert.deepEqual(twins.calls, [before[0] + 1, before[1] + 1, 0]);
    }
  });

  const stores = stage.scene({ first: "openai", second: "anthropic", third: "openai" });

  it("with a vector store or a container is refused if several accounts may have it", async () => {
    for (const [tool, field] of [
      [{ type: "file_search", vector_store_ids: ["vs_1"] }, "tools[0].vector_store_ids"],
      [{ type: "code_interpreter", container: "cntr_1" }, "tools[0].container"],
    ]) {
      const refused = await respond(stores, { tools: [tool] });
      assert.deepEqual([refused.answer.status, errorOf(refused).code, errorOf(refused).param], [400, "bound_to_account", field]);
    }
    assert.deepEqual(stores.calls, [0, 0, 0]);
  });
});

describe("a request of Gemini's API", { concurrency: 8 }, () => {
  const generate = (scene, body) => stage.ask({ path: `/v1beta/models/${scene.route}:generateContent`, body });
  const contents = (...parts) => ({ contents: [{ role: "user", parts: [{ text: "Read it." }, ...parts] }] });
  const BODIES = {
    cachedContent: { ...contents(), cachedContent: "cachedContents/abc" },
    "contents[0].parts[1].fileData.fileUri": contents({ fileData: { mimeType: "application/pdf", fileUri: "https://generativelanguage.googleapis.com/v1beta/files/abc" } }),
  };
  for (const [field, body] of Object.entries(BODIES)) {
    const scene = stage.scene({ first: "openai", second: "gemini" });

    it(`with ${field} goes to who can have it, and says so when that is down`, async () => {
      const { answer } = await generate(scene, body);
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(scene.calls, [0, 1]);
      scene.second.plays(refuse(503, { error: { code: 503, message: "Down for now.", status: "UNAVAILABLE" } }));
      const failed = await generate(scene, body);
      assert.equal(failed.answer.status, 503, failed.answer.text);
      assert.ok(errorOf(failed).message.includes(`\`${field}\` means nothing to other accounts`), failed.answer.text);
      assert.equal(scene.first.calls, 0);
    });

    const several = stage.scene({ first: "gemini", second: "gemini" });

    it(`with ${field} is refused if several accounts may have it`, async () => {
      const failed = await generate(several, body);
      assert.equal(failed.answer.status, 400, failed.answer.text);
      assert.deepEqual(several.calls, [0, 0]);
      assert.ok(errorOf(failed).message.startsWith(`\`${field}\` names what is stored`), failed.answer.text);
    });
  }

  const stranger = stage.scene({ first: { kind: "gemini", pool: ["AIza-one-1415926", "AIza-two-5358979"] } });

  it("with a file that nobody has is refused in Google's words, and no key rests", async () => {
    const { status, message } = { status: "PERMISSION_DENIED", message: "You do not have permission to access the File abc or it may not exist." };
    stranger.first.plays(refuse(403, { error: { code: 403, message, status } }));
    const failed = await generate(stranger, BODIES["contents[0].parts[1].fileData.fileUri"]);
    assert.deepEqual([failed.answer.status, errorOf(failed).message], [403, message], failed.answer.text);
    assert.equal(stranger.first.calls, 2, "both keys were tried");
    stranger.first.plays(ok());
    for (const id of "abcdefgh") assert.equal((await stranger.chat({}, { headers: { "x-session-id": id } })).answer.status, 200);
    assert.equal(new Set(stranger.first.keys.slice(2)).size, 2, `${stranger.first.keys}`);
  });
});

describe("a client's own order", () => {
  const scene = stage.scene({ first: "anthropic", second: "openai" });

  it("is bound as a route is", async () => {
    const result = await stage.ask({ path: "/v1/chat/completions", body: { ...messages(file), model: scene.target("first"), models: [scene.target("second")] } });
    assert.equal(result.said, `said by ${scene.second.name}`, result.answer.text);
    assert.deepEqual(scene.calls, [0, 1]);
  });
});
