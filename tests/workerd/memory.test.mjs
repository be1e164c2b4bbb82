// The memory that requests hold: measured from outside as the memory of the process, and counted by the
// gateway against `limits.memory_bytes`. The process compiles and collects garbage at any time, so the bounds
// are generous; an unbounded gateway exceeds them by far.

import assert from "node:assert/strict";
import { createServer, request as httpRequest } from "node:http";
import { gzipSync } from "node:zlib";
import { after, before, describe, it } from "node:test";
import { as, soon, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { inOneOf } from "./pace.mjs";
import { peak } from "./process-memory.mjs";
import { KEY, startStage } from "./stage.mjs";

const MB = 1e6;
const TIME = { timeout: 300_000 };

const config = (fake) => `
providers:
  any: { base_url: "${fake.base}", models: "*" }
  claude: { adapter: anthropic, base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*" }
  gemini: { adapter: gemini, base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*" }
  echo: { adapter: echo, models: { m: {} } }
`;

const CHAT = { id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } };
const MESSAGE = { id: "m", type: "message", role: "assistant", model: "m", content: [{ type: "text", text: "hi" }], stop_reason: "end_turn", stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } };

const GENERATED = { candidates: [{ content: { parts: [{ text: "hi" }] }, finishReason: "STOP", index: 0 }], usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1 } };
const answerTo = (url) => (url.endsWith("/messages") ? MESSAGE : url.includes(":generateContent") ? GENERATED : CHAT);

/**
 * A provider that keeps nothing of its requests. `play(req, res, body)` responds, if it is set; `body` is the
 * part of the request that has come.
 */
async function startProvider() {
  const fake = { play: null, calls: 0 };
  const server = createServer((req, res) => {
    let length = 0;
    req.on("data", (piece) => (length += piece.length));
    req.on("error", () => {});
    res.on("error", () => {});
    req.on("end", () => {
      fake.calls++;
      fake.length = length;
      if (fake.play) return fake.play(req, res);
      json(res, answerTo(req.url));
    });
  });
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  fake.port = server.address().port;
  fake.base = `http://127.0.0.1:${fake.port}/v1`;
  fake.stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return fake;
}

function json(res, body) {
  const text = JSON.stringify(body);
  res.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  res.end(text);
}

const chat = (length, model = "any/ok") => JSON.stringify({ model, messages: [{ role: "user", content: "x".repeat(length) }] });

describe("bodies in memory", () => {
  const start = (more = "") => startStage({ provider: startProvider, config: (fake) => config(fake) + more });

  /** Bytes of memory per byte of a body, between 4 and 16 MB. */
  async function slope(model) {
    const peaks = [];
    for (const length of [4 * MB, 16 * MB]) {
      const stage = await start();
      try {
        for (let n = 0; n < 20; n++) await stage.post(chat(10, model));
        const body = chat(length, model);
        peaks.push(await peak(stage.gateway, async () => assert.equal((await stage.post(body)).status, 200)));
      } finally {
        await stage.stop();
      }
    }
    return (peaks[1] - peaks[0]) / (12 * MB);
  }

  for (const [model, most] of [["any/ok", 4], ["claude/ok", 5.5]]) {
    it(`a body for ${model} takes at most ${most} times its length`, TIME, async (t) => {
      // Garbage that happens to be there adds to one measurement, not to each of three.
      await inOneOf(3, async () => {
        const bytes = await slope(model);
        t.diagnostic(`${bytes.toFixed(2)} bytes for each`);
        assert.ok(bytes <= most, `${bytes.toFixed(2)} bytes for each`);
      });
    });
  }

  it("a body of millions of members is refused before they are kept", TIME, async (t) => {
    const stage = await start();
    try {
      await stage.post(chat(10));
      const body = `{${'"a":1,'.repeat(8 * MB / 6)}"model":"any/ok"}`;
      const most = await peak(stage.gateway, async () => {
        expectError(await stage.post(body), { status: 400, type: "invalid_request_error", code: "invalid_body", param: null });
      });
      t.diagnostic(`${(most / MB).toFixed(1)} MB`);
      assert.ok(most <= 80 * MB, `${(most / MB).toFixed(1)} MB`);
    } finally {
      await stage.stop();
    }
  });

  describe("of many small pieces", () => {
    const repeated = (item, length) => Array.from({ length: Math.ceil(length / (item.length + 1)) }, () => item).join(",");
    const named = (length) => Array.from({ length: Math.ceil(length / 11) }, (_, n) => `"b${n}":1`).join(",");
    const told = (messages, more = "") => (model) => `{"model":"${model}","max_tokens":9,"messages":[${messages}]${more}}`;
    const one = '{"role":"user","content":"a"}';
    const shapes = {
      messages: (length) => told(repeated('{"role":"user","content":"a"},{"role":"assistant","content":"a"}', length)),
      "empty messages": (length) => told(repeated("{}", length)),
      parts: (length) => told(`{"role":"user","content":[${repeated('{"type":"text","text":"a"}', length)}]}`),
      "empty parts": (length) => told(`{"role":"user","content":[${repeated("{}", length)}]}`),
      tools: (length) => told(one, `,"tools":[${repeated('{"name":"a","function":{"name":"a"}}', length)}]`),
      calls: (length) => told(`${one},{"role":"assistant","content":"a","tool_calls":[${repeated('{"id":"a","function":{"name":"a"}}', length)}]}`),
      "ends of an answer": (length) => told(one, `,"stop":[${repeated('"a"', length / 2)}],"stop_sequences":[${repeated('"a"', length / 2)}]`),
      levels: (length) => told(one, `,"x":${"[".repeat(length / 2)}${"]".repeat(length / 2)}`),
      // Each name has to be reported as dropped, once.
      "unknown names": (length) => told(`{"role":"user","content":"a",${named(length)}}`),
    };
    const ways = [
      ["/v1/chat/completions", "claude/m"], ["/v1/chat/completions", "gemini/m"], ["/v1/chat/completions", "echo/m"],
      ["/v1/messages", "any/m"], ["/v1/messages", "gemini/m"], ["/v1/messages/count_tokens", "any/m"],
    ];
    let stage;
    before(async () => {
      stage = await start();
    });
    after(() => stage.stop());
    const send = (path, body) => stage.request(path, { method: "POST", headers: { "content-type": "application/json" }, body });

    for (const [path, model] of ways) {
      it(`8 MB of them for ${model} at ${path} are refused before they are taken apart`, TIME, async (t) => {
        await send(path, told(one)(model));
        for (const [name, shape] of Object.entries(shapes)) {
          const body = shape(8 * MB)(model);
          const calls = stage.fake.calls;
          let answer;
          const most = await peak(stage.gateway, async () => (answer = await send(path, body)));
          t.diagnostic(`${name}: ${(most / MB).toFixed(1)} MB`);
          assert.deepEqual(
            { status: answer.status, calls: stage.fake.calls - calls },
            { status: 400, calls: 0 },
            name,
          );
          assert.match(answer.json().error.message, /too many pieces to be translated/, name);
          // The first one also takes the code that the runtime compiles meanwhile.
          assert.ok(most <= 90 * MB, `${name}: ${(most / MB).toFixed(1)} MB`);
        }
      });
    }

    it("as many as may be are translated, and take no more than five times the body and a few megabytes", TIME, async (t) => {
      for (const [path, model, pair] of [["/v1/chat/completions", "gemini/m", 6], ["/v1/messages", "any/m", 6]]) {
        const small = '{"role":"user","content":"a"},{"role":"assistant","content":"a"}';
        const few = Array.from({ length: Math.floor(140_000 / pair) }, () => small).join(",");
        const body = told(`${few},{"role":"user","content":"${"x".repeat(12 * MB - few.length)}"}`)(model);
        let answer;
        const most = await peak(stage.gateway, async () => (answer = await send(path, body)));
        t.diagnostic(`${model}: ${(most / MB).toFixed(1)} MB`);
        assert.equal(answer.status, 200, answer.text.slice(0, 300));
        assert.ok(most <= 90 * MB, `${(most / MB).toFixed(1)} MB`);
      }
    });

    it("a provider of the client's own format gets them as they are", TIME, async (t) => {
      const body = shapes.messages(8 * MB)("any/m");
      const most = await peak(stage.gateway, async () => assert.equal((await stage.post(body)).status, 200));
      t.diagnostic(`${(most / MB).toFixed(1)} MB`);
      assert.equal(stage.fake.length, body.length - "any/".length);
      assert.ok(most <= 60 * MB, `${(most / MB).toFixed(1)} MB`);
    });
  });

  it("what one body took is there for the next", TIME, async (t) => {
    const stage = await start();
    try {
      const body = chat(8 * MB);
      const send = async (number) => {
        for (let n = 0; n < number; n++) assert.equal((await stage.post(body)).status, 200);
      };
      await send(4);
      // Garbage of a few bodies may wait to be collected; half of them may not.
      const number = 24;
      const more = await peak(stage.gateway, () => send(number));
      t.diagnostic(`${number} more take ${(more / MB).toFixed(1)} MB`);
      assert.ok(more <= (number / 2) * 8 * MB, `${(more / MB).toFixed(1)} MB`);
    } finally {
      await stage.stop();
    }
  });

  it("sixteen bodies of 8 MB at once stay far below what sixteen would take, and who has to come again is told when", TIME, async (t) => {
    const stage = await start();
    try {
      await stage.post(chat(10));
      const body = chat(8 * MB);
      let answers;
      const most = await peak(stage.gateway, async () => {
        answers = await Promise.all(Array.from({ length: 16 }, () => stage.post(body).catch((fault) => fault)));
      });
      const refused = answers.filter((answer) => answer.status === 503);
      // The runtime closes a connection whose body was refused: a client that still writes may not read the refusal.
      const closed = answers.filter((answer) => ["EPIPE", "ECONNRESET"].includes(answer.code));
      t.diagnostic(`${(most / MB).toFixed(1)} MB, ${refused.length} refused, ${closed.length} more closed`);
      assert.ok(most <= 200 * MB, `${(most / MB).toFixed(1)} MB`);
      assert.equal(answers.filter((answer) => answer.status === 200).length + refused.length + closed.length, 16);
      assert.ok(refused.length > 0);
      for (const answer of refused) expectFull(answer);
      assert.equal((await stage.post(body)).status, 200);
    } finally {
      await stage.stop();
    }
  });

  describe("of an isolate with little", () => {
    let stage;
    before(async () => {
      stage = await start("limits: { memory_bytes: 3000000 }\nroutes: { two: { targets: [any/ok, claude/m] } }\n");
    });
    after(() => stage.stop());

    /** Starts a request of `length` bytes, and sends `sent` of them. */
    function begin(length, sent, headers = as(KEY), path = "/v1/chat/completions") {
      const req = httpRequest(stage.gateway.url + path, { method: "POST", agent: false, headers: { ...headers, "content-length": length } });
      const answering = new Promise((resolve, reject) => {
        req.on("response", (res) => {
          const parts = [];
          res.on("data", (part) => parts.push(part));
          res.on("end", () => resolve({ status: res.statusCode, headers: res.headers, json: () => JSON.parse(Buffer.concat(parts)) }));
        });
        req.on("error", reject);
      });
      answering.catch(() => {});
      req.write("x".repeat(sent));
      return { answering, req };
    }

    /** Holds 0.9 MB three times, with a body that does not end. */
    async function occupy() {
      const first = begin(900_000, 10);
      await until(async () => (await stage.post(chat(200_000))).status === 503, "the body to be counted");
      return first;
    }

    it("a body that only begins is counted by what it announces; another is refused, small ones are taken, and a wrong key is told so", TIME, async () => {
      const first = await occupy();
      expectFull(await stage.post(chat(200_000)));
      assert.equal((await stage.post(chat(10))).status, 200);
      const { status } = await soon(begin(500_000, 10, { ...as("wrong-key"), "content-type": "application/json" }).answering, "an answer");
      assert.equal(status, 401);
      first.req.destroy();
      await freed();
    });

    it("who waits for the answer before sending is refused without a byte of the body", TIME, async () => {
      const first = await occupy();
      expectFull(await soon(begin(500_000, 0).answering, "a refusal"));
      first.req.destroy();
      await freed();
    });

    it("clients of messages are told in their own words", TIME, async () => {
      const first = await occupy();
      const body = JSON.stringify({ model: "any/ok", max_tokens: 9, messages: [{ role: "user", content: "x".repeat(200_000) }] });
      const answer = await stage.request("/v1/messages", { method: "POST", headers: { "content-type": "application/json" }, body });
      assert.deepEqual(
        { status: answer.status, type: answer.json().error.type, "retry-after": answer.headers["retry-after"] },
        { status: 503, type: "overloaded_error", "retry-after": "1" },
      );
      first.req.destroy();
      await freed();
    });

    it("a body of no announced length is counted as it comes", TIME, async () => {
      const first = await occupy();
      const headers = { "transfer-encoding": "chunked" };
      expectFull(await stage.post(chat(300_000), headers));
      first.req.destroy();
      await freed();
      assert.equal((await stage.post(chat(300_000), headers)).status, 200);
    });

    for (const [what, path, body] of [
      ["embeddings", "/v1/embeddings", (text) => ({ model: "gemini/m", input: text })],
      ["a count", "/v1/messages/count_tokens", (text) => ({ model: "claude/m", messages: [{ role: "user", content: text }] })],
      ["a count in another format", "/v1/messages/count_tokens", (text) => ({ model: "gemini/m", messages: [{ role: "user", content: text }] })],
    ]) {
      it(`a body for ${what} is let go of while the provider is waited for`, TIME, async () => {
        await freed();
        const asked = new Promise((resolve) => (stage.fake.play = (_, res) => resolve(res)));
        const headers = { "content-type": "application/json" };
        const answering = stage.request(path, { method: "POST", headers, body: JSON.stringify(body("x".repeat(900_000))) });
        const res = await soon(asked, "the provider to be asked");
        stage.fake.play = null;
        // Otherwise there would be room for 0.1 MB.
        await freed();
        json(res, path.endsWith("count_tokens") ? { input_tokens: 7, totalTokens: 7 } : { embeddings: [{ values: [1] }] });
        assert.equal((await answering).status, 200);
      });
    }

    it("a body along a route is let go of once content has come", TIME, async () => {
      await freed();
      const opened = new Promise((resolve) => {
        stage.fake.play = (_, res) => {
          res.writeHead(200, { "content-type": "text/event-stream" });
          res.write(`data: ${JSON.stringify({ ...CHAT, object: "chat.completion.chunk", choices: [{ index: 0, delta: { content: "a" }, finish_reason: null }] })}\n\n`);
          resolve(res);
        };
      });
      const body = JSON.stringify({ ...JSON.parse(chat(900_000, "two")), stream: true });
      const { req } = begin(Buffer.byteLength(body), 0);
      req.end(body);
      const res = await soon(opened, "the provider to be asked");
      stage.fake.play = null;
      await freed();
      res.end();
    });

    it("clients that leave in the middle of their bodies or their answers take nothing with them", TIME, async () => {
      for (let n = 0; n < 200; n++) {
        const { req } = begin(900_000, 10 + n * 1000);
        await new Promise((resolve) => setTimeout(resolve, 2));
        req.destroy();
      }
      await freed();
      const asked = [];
      stage.fake.play = (_, res) => asked.push(res);
      for (let n = 0; n < 50; n++) {
        const body = chat(300_000);
        const { req } = begin(body.length, 0);
        req.end(body);
        await until(() => asked.length > n, "the request to reach the provider");
        req.destroy();
      }
      stage.fake.play = null;
      await freed();
    });

    /** Waits until the largest body that fits is accepted. */
    const freed = () => until(async () => (await stage.post(chat(990_000))).status === 200, "room to be given back");
  });
});

describe("whole answers in memory", () => {
  let stage;
  before(async () => {
    stage = await startStage({ provider: startProvider, config });
  });
  after(() => stage.stop());

  /** The provider responds with `text`: with a length, chunked, or compressed. */
  const answers = (text, form) => {
    stage.fake.play = (_, res) => {
      stage.fake.closed = new Promise((resolve) => res.on("close", () => resolve(!res.writableFinished)));
      const bytes = form === "gzip" ? gzipSync(text) : Buffer.from(text);
      res.writeHead(200, { "content-type": "application/json", ...(form === "length" ? { "content-length": bytes.length } : {}), ...(form === "gzip" ? { "content-encoding": "gzip" } : {}) });
      res.end(bytes);
    };
  };
  const long = (length, more = {}) => JSON.stringify({ ...CHAT, choices: [{ index: 0, message: { role: "assistant", content: "A".repeat(length) }, finish_reason: "stop" }], usage: { prompt_tokens: 11, completion_tokens: 22, total_tokens: 33 }, ...more });
  const ask = (model, id) => stage.post(chat(10, model), { "x-request-id": id });

  for (const form of ["length", "pieces", "gzip"]) {
    it(`a long answer passes in pieces (${form}), whatever its length, with its usage in the receipt`, TIME, async (t) => {
      for (const length of [5 * MB, 40 * MB]) {
        const text = long(length);
        answers(text, form);
        let answer;
        const id = `long-${form}-${length}`;
        const most = await peak(stage.gateway, async () => (answer = await ask("any/m", id)));
        t.diagnostic(`${(most / MB).toFixed(1)} MB for ${length / MB} MB`);
        assert.equal(answer.status, 200);
        assert.ok(answer.text === text, `${answer.text.length} of ${text.length}`);
        assert.equal(answer.headers["x-llm-bridge-cost"], undefined);
        if (form === "length") assert.equal(answer.headers["content-length"], String(text.length));
        const end = await stage.end(id, "request_complete");
        assert.deepEqual(
          { outcome: end.outcome, input_tokens: end.input_tokens, output_tokens: end.output_tokens, estimated: end.estimated },
          { outcome: "complete", input_tokens: 11, output_tokens: 22, estimated: undefined },
        );
        assert.ok(most <= 100 * MB, `${(most / MB).toFixed(1)} MB`);
      }
    });

    it(`an answer that has to be held ends at 16 MiB (${form}): an error, a receipt, and the provider's call is given up`, TIME, async (t) => {
      answers("A".repeat(64 * MB), form);
      if (form !== "gzip") {
        // Longer than all buffers on the way, so it ends when the call is cancelled.
        stage.fake.play = async (_, res) => {
          stage.fake.closed = new Promise((resolve) => res.on("close", () => resolve(!res.writableFinished)));
          res.writeHead(200, { "content-type": "application/json", ...(form === "length" ? { "content-length": 4000 * MB } : {}) });
          while (!res.destroyed) if (!res.write("A".repeat(MB))) await new Promise((resolve) => res.once("drain", resolve).once("close", resolve));
        };
      }
      let answer;
      const most = await peak(stage.gateway, async () => (answer = await ask("claude/m", `held-${form}`)));
      t.diagnostic(`${(most / MB).toFixed(1)} MB`);
      expectError(answer, { status: 502, type: "upstream_error", code: "answer_too_large", param: null });
      await stage.end(`held-${form}`, "request_error");
      if (form !== "gzip") assert.equal(await soon(stage.fake.closed, "the call to be given up"), true);
      assert.ok(most <= 80 * MB, `${(most / MB).toFixed(1)} MB`);
    });
  }

  it("a bomb of gzip takes no more than other answers", TIME, async (t) => {
    const bomb = gzipSync(Buffer.alloc(400 * MB, "A"), { level: 9 });
    stage.fake.play = (_, res) => {
      res.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip", "content-length": bomb.length });
      res.end(bomb);
    };
    const most = await peak(stage.gateway, async () => {
      expectError(await ask("claude/m", "bomb"), { status: 502, type: "upstream_error", code: "answer_too_large", param: null });
    });
    t.diagnostic(`${(most / MB).toFixed(1)} MB for ${(bomb.length / MB).toFixed(1)} MB`);
    assert.ok(most <= 80 * MB, `${(most / MB).toFixed(1)} MB`);
  });

  const filled = (before, item, after, length) => before + Array.from({ length: Math.floor(length / (item.length + 1)) }, () => item).join(",") + after;
  for (const [what, model, path, text, more] of [
    ["choices", "any/m", "/v1/chat/completions", filled('{"choices":[', "{}", "]}", 4 * MB)],
    ["choices, translated", "any/m", "/v1/messages", filled('{"choices":[', "{}", "]}", 16 * MB)],
    ["parts of a choice, translated", "any/m", "/v1/messages", filled('{"choices":[{"message":{"content":[', "{}", "]}}]}", 16 * MB)],
    ["usage", "any/m", "/v1/chat/completions", filled('{"choices":[],"usage":[', '{"":0}', "]}", 4 * MB)],
    ["an error", "any/m", "/v1/chat/completions", filled('{"error":{"message":"x"},"choices":[', '{"":0}', "]}", 4 * MB)],
    ["an answer that was to be a stream", "any/m", "/v1/chat/completions", filled('{"choices":[{"message":{"content":"a"}}],"more":[', '{"":0}', "]}", 16 * MB), { stream: true }],
    ["blocks", "claude/m", "/v1/chat/completions", filled('{"content":[', "{}", "]}", 16 * MB)],
    ["chunks", "gemini/m", "/v1/chat/completions", filled("[", "{}", "]", 16 * MB)],
    ["parts", "gemini/m", "/v1/chat/completions", filled('{"candidates":[{"content":{"parts":[', "{}", "]}}]}", 16 * MB)],
  ]) {
    it(`an answer of millions of pieces is an error before they are kept: ${what}`, TIME, async (t) => {
      answers(text, "length");
      const body = JSON.stringify({ model, max_tokens: 9, messages: [{ role: "user", content: "a" }], ...more });
      let answer;
      const most = await peak(stage.gateway, async () => (answer = await stage.request(path, { method: "POST", headers: { "content-type": "application/json" }, body })));
      t.diagnostic(`${(most / MB).toFixed(1)} MB for ${(text.length / MB).toFixed(1)} MB`);
      assert.equal(answer.status, 502, answer.text.slice(0, 300));
      assert.ok(most <= 110 * MB, `${(most / MB).toFixed(1)} MB`);
    });
  }

  it("an answer that is cut does not look whole", TIME, async () => {
    for (const form of ["length", "pieces"]) {
      stage.fake.play = (_, res) => {
        const text = long(6 * MB);
        res.writeHead(200, { "content-type": "application/json", ...(form === "length" ? { "content-length": text.length } : {}) });
        res.write(text.slice(0, -1000), () => setTimeout(() => res.destroy(), 50));
      };
      await assert.rejects(ask("any/m", `cut-${form}`));
      assert.equal((await stage.end(`cut-${form}`, "request_error")).outcome, "truncated");
    }
    // Closed in good order, but in the middle of its JSON.
    answers(long(6 * MB).slice(0, -1000), "pieces");
    await assert.rejects(ask("any/m", "half"));
    assert.equal((await stage.end("half", "request_error")).outcome, "truncated");
  });
});

const event = (data) => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
const chunk = (delta, finish_reason = null) => event({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason }] });
const picture = (length) => ({ images: [{ type: "image_url", index: 0, image_url: { url: `data:image/png;base64,${"A".repeat(length)}` } }] });

describe("streams in memory", () => {
  let stage;
  const config = (fake) => `
providers:
  any: { base_url: "${fake.base}", models: "*" }
  native: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, stream_usage: show, models: "*" }
  checked: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, relay: checked, models: "*" }
  claude: { adapter: anthropic, base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*" }
  gemini: { adapter: gemini, base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*" }
`;
  before(async () => {
    stage = await startStage({ provider: startProvider, config });
  });
  after(() => stage.stop());

  /** The provider sends these pieces, each when the one before has been taken. */
  const says = (...pieces) => {
    stage.fake.play = async (_, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      for (const piece of pieces) if (!res.write(piece)) await new Promise((resolve) => res.once("drain", resolve).once("close", resolve));
      res.end();
    };
  };
  const stream = (model, path = "/v1/chat/completions") =>
    stage.request(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ model, stream: true, max_tokens: 9, messages: [{ role: "user", content: "hi" }] }) });

  const start = chunk({ role: "assistant", content: "" });
  const stop = chunk({}, "stop") + event("[DONE]");

  for (const provider of ["any", "native", "checked"]) {
    it(`an event of 12 MB, and one of 24 MB, pass by ${provider}`, TIME, async (t) => {
      for (const length of [12 * MB, 24 * MB]) {
        const big = chunk(picture(length));
        says(start, chunk({ content: "Here: " }), big, stop);
        let answer;
        const most = await peak(stage.gateway, async () => (answer = await stream(`${provider}/m`)));
        t.diagnostic(`${(most / MB).toFixed(1)} MB for ${length / MB} MB`);
        assert.equal(answer.status, 200);
        assert.ok(answer.bytes.includes("A".repeat(length)), `${answer.bytes.length} bytes came`);
        assert.ok(answer.text.slice(-300).includes('"finish_reason":"stop"') && answer.text.endsWith("data: [DONE]\n\n"), answer.text.slice(-300));
        assert.ok(!answer.text.slice(-2000).includes('"error"'), answer.text.slice(-2000));
      }
    });

    it(`an event of 20 MB that does not come to its end is an error by ${provider}`, TIME, async () => {
      says(start, chunk({ content: "Here: " }), chunk(picture(20 * MB)).slice(0, -9));
      const answer = await stream(`${provider}/m`);
      const end = answer.text.slice(answer.text.lastIndexOf("data: {"));
      assert.match(end, /"code":"stream_truncated"/);
      assert.ok(answer.text.includes(`\n\n${end}`));
    });
  }

  it("an event that is too large to be translated is an error in the client's format, never a plain stop", TIME, async () => {
    const gemini = (text, more) => event({ candidates: [{ content: { role: "model", parts: [{ text }] }, index: 0, ...more }] });
    says(gemini("Here: "), gemini("A".repeat(17 * MB)), gemini("", { finishReason: "STOP" }));
    for (const path of ["/v1/chat/completions", "/v1/messages"]) {
      const answer = await stream("gemini/m", path);
      assert.match(answer.text.slice(-600), /too large to be read/);
      assert.doesNotMatch(answer.text, /"finish_reason":"stop"|message_stop/);
    }
    says(event({ type: "message_start", message: { ...MESSAGE, content: [], stop_reason: null } }), event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }), event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Here: " } }), event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "A".repeat(17 * MB) } }), event({ type: "message_delta", delta: { stop_reason: "end_turn" } }), event({ type: "message_stop" }));
    const claude = await stream("claude/m");
    assert.match(claude.text.slice(-600), /"code":"event_too_large"/);
    assert.doesNotMatch(claude.text, /"finish_reason":"stop"/);
    // Between equal formats it passes.
    const own = await stream("claude/m", "/v1/messages");
    assert.ok(own.bytes.length > 17 * MB && own.text.endsWith('data: {"type":"message_stop"}\n\n'), own.text.slice(-200));
    says(start, chunk({ content: "Here: " }), chunk({ content: "A".repeat(17 * MB) }), stop);
    const messages = await stream("any/m", "/v1/messages");
    assert.match(messages.text.slice(-600), /event: error\ndata: .*too large to be read/);
    assert.doesNotMatch(messages.text, /message_stop/);
  });

  it("comments before the first content take no room, however many come", TIME, async (t) => {
    const flood = ": still thinking, still thinking, still thinking\n\n".repeat(20_000);
    for (const model of ["any/m", "native/m", "checked/m"]) {
      says(...Array.from({ length: 100 }, () => flood), start, chunk({ content: "hi" }), stop);
      let answer;
      const most = await peak(stage.gateway, async () => (answer = await stream(model)));
      t.diagnostic(`${(most / MB).toFixed(1)} MB for ${(flood.length / 1e4).toFixed(0)} MB`);
      assert.ok(answer.text.includes('"content":"hi"') && answer.text.endsWith("data: [DONE]\n\n"));
      assert.ok(most <= 40 * MB, `${(most / MB).toFixed(1)} MB`);
    }
  });

  it("more than a mebibyte of events before the first content is an error", TIME, async () => {
    for (const model of ["any/m", "native/m", "checked/m"]) {
      says(...Array.from({ length: 100 }, () => start.repeat(100)), chunk({ content: "hi" }), stop);
      expectError(await stream(model), { status: 502, type: "upstream_error", code: "upstream_invalid_response", param: null });
    }
  });

  it("lines without an end, and ends without lines, take no room", TIME, async (t) => {
    const most = await peak(stage.gateway, async () => {
      for (const flood of ["\r".repeat(MB), ":".repeat(MB), "\r\n".repeat(MB / 2)]) {
        says(start, chunk({ content: "hi" }), ...Array.from({ length: 16 }, () => flood), "\n\n", stop);
        for (const model of ["any/m", "checked/m", "claude/m"]) await stream(model);
      }
    });
    t.diagnostic(`${(most / MB).toFixed(1)} MB`);
    assert.ok(most <= 30 * MB, `${(most / MB).toFixed(1)} MB`);
  });
});

function expectFull(answer) {
  expectError(answer, { status: 503, type: "configuration_error", code: "gateway_overloaded", param: null });
  assert.equal(answer.headers["retry-after"], "1");
}

