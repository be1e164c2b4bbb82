// What providers behind proxies do with their responses: early, compressed, cut off, faster than they are read.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { brotliCompressSync, constants, createBrotliCompress, createGzip, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { open, settled, until } from "./client.mjs";
import { expectError, expectErrorFrame } from "./expect.mjs";
import { startProxyStage } from "./proxy-stage.mjs";
import { startHttpProxy } from "./proxies.mjs";
import { ASKING, startStage } from "./stage.mjs";

const WAYS = ["http", "socks"];
const MIB = 1 << 20;
const EVENTS = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

/** Brotli at a quality that does not take seconds. */
const quick = (text) => brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });

const completion = (content) => JSON.stringify({ id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } });
const head = (headers, status = "200 OK") => `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
const word = (text) => event(chunk({ model: "m" }, { content: text }));

// One at a time: what the scripted provider does is set for all of them.
describe("a provider behind a proxy", () => {
  let stage;
  before(async () => void (stage = await startProxyStage({ faults: [], more: `limits: { max_answer_bytes: ${MIB} }` })));
  after(() => stage.stopAll());

  /** The provider reads the whole request and writes these bytes; then `end`, by default a close_notify. */
  const answers = (bytes, end = ({ tls }) => tls.end()) =>
    stage.scripted.set(async (exchange) => {
      await exchange.body();
      exchange.tls.write(bytes, () => end(exchange));
    });
  const chunked = (...pieces) => pieces.map((piece) => `${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n`).join("");

  for (const way of WAYS) {
    const ask = (fields) => stage.ask(`scripted-${way}/m`, fields);

    it(`may refuse a large body before it has read it: ${way}`, async () => {
      const refusal = JSON.stringify({ error: { message: "far too large for us", type: "invalid_request_error", param: null, code: "too_large" } });
      const content = "x".repeat(5 * MIB);
      // npm's HTTP proxy drops what it holds for the client when the provider closes.
      const ends = { "and reads on": ({ tls }) => tls.resume(), "and reads no more": () => {}, ...(way === "socks" ? { "and closes": ({ tls }) => tls.end() } : {}) };
      for (const [what, end] of Object.entries(ends)) {
        let read = 0;
        stage.scripted.set((exchange) => {
          const { tls } = exchange;
          tls.on("data", (part) => (read += part.length));
          tls.pause();
          tls.write(head({ "content-length": refusal.length }, "413 Too Large") + refusal, () => end(exchange));
        });
        const answer = await ask({ messages: [{ role: "user", content }] });
        expectError(answer, { status: 413, says: /far too large for us/ });
        if (what !== "and reads on") assert.ok(read < content.length, `${read} bytes were read by one that answers ${what}`);
      }
    });

    for (const [coding, pack] of Object.entries({ gzip: gzipSync, "x-gzip": gzipSync, deflate: deflateSync, "Deflate": deflateRawSync, br: quick })) {
      it(`may compress although it was asked not to: ${coding}, ${way}`, async () => {
        const text = completion(randomBytes(200_000).toString("hex"));
        let asked;
        const body = pack(text);
        stage.scripted.set(async (exchange) => {
          asked = exchange.head;
          await exchange.body();
          exchange.tls.end(Buffer.concat([Buffer.from(head({ "content-encoding": coding, "content-length": body.length })), body]));
        });
        const answer = await ask();
        assert.equal(answer.status, 200);
        assert.equal(answer.text, text);
        assert.equal(answer.headers["content-encoding"], undefined);
        assert.match(asked, /^accept-encoding: identity$/im);
      });
    }

    const STREAMS = { gzip: [createGzip, constants.Z_SYNC_FLUSH], br: [createBrotliCompress, constants.BROTLI_OPERATION_FLUSH] };
    for (const [coding, [compress, FLUSH]] of Object.entries(STREAMS)) it(`may compress a stream, which stays live: ${coding}, ${way}`, async () => {
      let write;
      let end;
      stage.scripted.set(async ({ tls, body }) => {
        await body();
        tls.write(`${EVENTS}content-encoding: ${coding}\r\ntransfer-encoding: chunked\r\n\r\n`);
        const packed = compress();
        packed.on("data", (part) => tls.write(Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")])));
        packed.on("end", () => tls.end("0\r\n\r\n"));
        write = (text) => packed.write(text, () => packed.flush(FLUSH));
        end = () => packed.end();
        write(word("word-0."));
      });
      const caller = await stage.openStream(`scripted-${way}/m`, ASKING);
      await caller.until("word-0.");
      for (let index = 1; index < 20; index++) {
        write(word(`word-${index}.`));
        await caller.until(`word-${index}.`);
      }
      write(DONE);
      end();
      assert.match((await caller.rest()).toString(), /\[DONE\]/);
    });

    for (const [coding, pack] of Object.entries({ gzip: gzipSync, br: quick })) {
      const bomb = (text, type = head({ "content-encoding": coding })) => answers(Buffer.concat([Buffer.from(type), pack(text)]));

      it(`may not send gigabytes in a few bytes: ${coding}, ${way}`, async () => {
        bomb(completion(" ".repeat(64 * MIB)));
        expectError(await ask(), { status: 502, type: "upstream_error", code: "answer_too_large", says: /longer than this gateway unpacks/ });
        bomb(": still thinking\n\n".repeat(MIB), `${EVENTS}content-encoding: ${coding}\r\n\r\n`);
        expectError(await ask({ stream: true }), { status: 502, code: "answer_too_large" });
      });

      it(`may not send them in a stream either: ${coding}, ${way}`, async () => {
        // Of the relays, the runtime pipes the second.
        for (const fields of [{}, ASKING]) {
          bomb(word("first") + word("more").repeat(64_000) + DONE, `${EVENTS}content-encoding: ${coding}\r\n\r\n`);
          const { status, text } = await ask({ stream: true, ...fields });
          assert.equal(status, 200);
          assert.ok(text.length < 2 * MIB && text.includes("first"), `${text.length} characters`);
          expectErrorFrame(text, { type: "upstream_error", code: "answer_too_large" });
        }
      });
    }

    it(`is told apart if it compresses in a way that cannot be undone: ${way}`, async () => {
      const [packed, code] = [zstdCompressSync(completion("zstd")), "upstream_unreachable"];
      answers(Buffer.concat([Buffer.from(head({ "content-encoding": "zstd", "content-length": packed.length })), packed]));
      expectError(await ask(), { status: 502, code, says: /compressed its response \(zstd\) although it was asked not to/ });
      // A window of 16 MiB.
      const wide = brotliCompressSync(completion("x".repeat(40 * MIB)), { params: { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_QUALITY]: 4 } });
      answers(Buffer.concat([Buffer.from(head({ "content-encoding": "br" })), wide]));
      expectError(await ask(), { status: 502, type: "upstream_error" });
    });

    // What is left out, and how the connection ends.
    const notify = ({ tls }) => tls.end();
    const fin = ({ socket }) => socket.end();
    const reset = ({ socket }) => socket.resetAndDestroy();
    const text = completion("all of it");
    // npm's SOCKS5 server does not tell the client of a reset.
    const breaks = way === "http" ? reset : fin;
    const CUTS = {
      "a body without a length, without close_notify": [head({}) + text, fin],
      "a body without a length, broken off": [head({}) + text, breaks],
      "fewer bytes than content-length": [head({ "content-length": text.length + 1 }) + text, notify],
      "chunks without the last one": [head({ "transfer-encoding": "chunked" }) + chunked(text), notify],
      "a chunk cut short": [head({ "transfer-encoding": "chunked" }) + chunked(text).slice(0, -9), notify],
      "the last chunk without its end": [`${head({ "transfer-encoding": "chunked" })}${chunked(text)}0\r\n`, notify],
      "gzip without its trailer": [Buffer.concat([Buffer.from(head({ "content-encoding": "gzip" })), gzipSync(text).subarray(0, -4)]), notify],
      "half a head": [head({}).slice(0, -2), notify],
    };
    for (const [what, [bytes, end]] of Object.entries(CUTS)) {
      it(`cannot make a cut response look whole: ${what}, ${way}`, async () => {
        answers(bytes, end);
        expectError(await ask(), { status: 502, type: "upstream_error" });
      });
    }

    it(`may end a body without a length by close_notify: ${way}`, async () => {
      answers(head({}) + text, notify);
      const answer = await ask();
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.text, text);
    });

    const STREAM_CUTS = {
      "without close_notify": [EVENTS + "\r\n", fin],
      "between chunks": [`${EVENTS}transfer-encoding: chunked\r\n\r\n`, notify],
      "broken off": [`${EVENTS}transfer-encoding: chunked\r\n\r\n`, breaks],
    };
    for (const [what, [start, end]] of Object.entries(STREAM_CUTS)) {
      it(`cannot make a cut stream look whole: ${what}, ${way}`, async () => {
        const first = word("first");
        let cut;
        stage.scripted.set(async (exchange) => {
          await exchange.body();
          exchange.tls.write(start + (start.includes("chunked") ? chunked(first) : first));
          cut = () => end(exchange);
        });
        const caller = await stage.openStream(`scripted-${way}/m`, ASKING);
        const seen = await caller.until("first");
        cut();
        expectErrorFrame(seen + (await caller.rest()), { type: "upstream_error" });
      });
    }

    it(`waits while its client does not read: ${way}`, { timeout: 240_000 }, async () => {
      const model = `flood-${way}`;
      const held = stage.held(model);
      const answering = stage.openStream(`${way}/${model}`, ASKING);
      const exchange = await held;
      exchange.openStream();
      exchange.write(word("first"));
      const caller = await answering;
      const all = createHash("sha256").update(await caller.until("first"));
      const [PIECES, PIECE] = [64, word("y".repeat(MIB))];
      for (let piece = 0; piece < PIECES; piece++) exchange.write(PIECE);
      // What is on the way fills the buffers of the sockets between them, and no more is taken.
      const waiting = await settled(() => exchange.backlog);
      assert.ok(waiting > (PIECES * MIB) / 2, `${waiting} bytes wait at the provider`);
      exchange.write(answerEvents(exchange.request).at(-1) + DONE);
      exchange.end();
      all.update(await caller.rest());
      const sent = createHash("sha256").update(Buffer.concat(exchange.record.sent));
      assert.equal(all.digest("hex"), sent.digest("hex"));
    });
  }
});

describe("a response through a proxy that is cancelled while its request goes on", () => {
  let stage;
  let proxy;
  let server;
  before(async () => {
    stage = await startStage({ entry: "proxy-reader.mjs" });
    proxy = await startHttpProxy();
    // One chunk, or one each 20 ms.
    server = createServer(({ url }, response) => {
      response.writeHead(200).write("chunk");
      if (url !== "/flowing") return;
      const timer = setInterval(() => response.write("chunk"), 20);
      response.on("close", () => clearInterval(timer));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
  });
  after(async () => {
    await stage.stop();
    await proxy.stop();
    server.closeAllConnections();
    server.close();
  });

  // In the flowing one, a chunk waits for a reader when the response is cancelled.
  for (const kind of ["silent", "flowing"]) {
    it(`closes its connection: ${kind}`, async () => {
      const url = `http://127.0.0.1:${server.address().port}/${kind}`;
      const body = JSON.stringify({ url, proxy: `http://${proxy.host}`, wait: 300 });
      const caller = await open(`${stage.gateway.url}/test/read`, { method: "POST", body });
      assert.equal(caller.status, 200);
      await until(() => proxy.open() === 0, "the connection to the proxy to be closed");
      assert.ok(proxy.all() > 0 && (await caller.next()), "the request goes on");
      caller.leave();
    });
  }
});
