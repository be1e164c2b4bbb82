// After a trap of the wasm, open requests get an error in the caller's format, and later ones are served.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { call, HELLO, soon, until } from "./client.mjs";
import { expectError, expectErrorFrame } from "./expect.mjs";
import { event, json, startScripted } from "./scripted.mjs";

const COMPLETION = { id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }] };
const CHUNK = event({ id: "c", choices: [{ index: 0, delta: { content: "ok" }, finish_reason: null }] });

describe("when the wasm is spoilt", () => {
  let stage;
  before(async () => void (stage = await startScripted({ entry: "spoilt.mjs" })));
  after(() => stage.stop());

  it("streams end in an error frame, requests in an error, and the next ones are served", async () => {
    const heads = [];
    stage.answer((_, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" }).write(CHUNK);
      heads.push(res);
    });
    const open = (path, name) => stage.open(path, { model: `${name}/m`, stream: true, max_tokens: 9, messages: HELLO });
    const streams = [];
    for (const [path, name] of [["/v1/chat/completions", "shown"], ["/v1/chat/completions", "checked"], ["/v1/messages", "hidden"]]) {
      const answer = await open(path, name);
      streams.push([path, answer, await answer.until("ok")]);
    }
    stage.answer(() => {});
    const waiting = [stage.chat("hidden/m"), stage.message("hidden/m")];
    await until(() => stage.seen.length >= 5, "both requests to reach the provider");
    assert.equal((await call(`${stage.gateway.url}/test/spoil`)).text, "spoilt");
    for (const [path, answer, first] of streams) {
      const text = first + (await answer.rest());
      if (path === "/v1/messages") assert.match(text, /event: error\ndata: \{"type":"error","error":\{"type":"api_error"/);
      else expectErrorFrame(text, { code: "internal_error" });
    }
    const [chat, message] = await soon(Promise.all(waiting), "answers to those who waited");
    expectError(chat, { status: 500, code: "internal_error" });
    assert.deepEqual({ status: message.status, type: message.json().error.type }, { status: 500, type: "api_error" });
    stage.answer(json(200, COMPLETION));
    assert.equal((await stage.chat("hidden/m")).status, 200);
  });

  it("an error of the runtime that passes through the wasm ends open requests as a trap does", async () => {
    stage.answer(() => {});
    const seen = stage.seen.length;
    const waiting = stage.chat("hidden/m");
    await until(() => stage.seen.length > seen, "the request to reach the provider");
    assert.equal((await call(`${stage.gateway.url}/test/throw`)).text, "set");
    const [first, second] = await soon(Promise.all([waiting, stage.chat("hidden/m")]), "answers to both");
    for (const answer of [first, second]) expectError(answer, { status: 500, code: "internal_error" });
    stage.answer(json(200, COMPLETION));
    assert.equal((await stage.chat("hidden/m")).status, 200);
  });

  it("a long whole answer is broken off, and does not end as if it were whole", async () => {
    for (const headers of [{}, { "content-length": 8 << 20 }]) {
      const piece = Buffer.alloc(5 << 20, 32);
      stage.answer((_, res) => res.writeHead(200, { "content-type": "application/json", ...headers }).write(piece));
      const answer = await stage.open("/v1/chat/completions", { model: "shown/m", messages: HELLO });
      assert.equal(answer.status, 200);
      await answer.until("  ");
      assert.equal((await call(`${stage.gateway.url}/test/spoil`)).text, "spoilt");
      await assert.rejects(soon(answer.rest(), "the end of the answer"), { code: "ECONNRESET" });
    }
  });
});
