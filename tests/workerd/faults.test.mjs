// Known faults of translating gateways that only real HTTP can show: compression, lengths, statuses, headers.
// `tests/faults.md` lists them.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { as, call, events } from "./client.mjs";
import { startGateway } from "./harness.mjs";

const KEY = "caller-key-3141592653";
const TEXT = JSON.parse(await readFile(new URL("../fixtures/translation/answered/text.json", import.meta.url)));
const SAID = "It is \"12 °C\"\n☀ — 😀";
const PROVIDERS = ["openai", "anthropic", "gemini"];
const CLIENTS = { openai: "/v1/chat/completions", anthropic: "/v1/messages" };
const PAIRS = Object.keys(CLIENTS).flatMap((client) => PROVIDERS.map((provider) => [client, provider]));
const CODINGS = { gzip: gzipSync, br: brotliCompressSync };

const REFUSAL = {
  openai: { error: { message: "Slow down.", type: "rate_limit_error", param: null, code: null } },
  anthropic: { type: "error", error: { type: "rate_limit_error", message: "Slow down." } },
  gemini: { error: { code: 429, message: "Slow down.", status: "RESOURCE_EXHAUSTED" } },
};

const frame = (chunk) => `${chunk.type ? `event: ${chunk.type}\n` : ""}data: ${typeof chunk === "string" ? chunk : JSON.stringify(chunk)}\n\n`;

/** A provider of every format. The model's name selects its behaviour: `gzip`, `refusing`, `whole` … */
async function startProvider() {
  const seen = [];
  const server = createServer(async (req, res) => {
    const pieces = [];
    for await (const piece of req) pieces.push(piece);
    const body = JSON.parse(Buffer.concat(pieces));
    const format = req.url.includes("/messages") ? "anthropic" : req.url.includes("/chat/") ? "openai" : "gemini";
    const how = body.model ?? req.url.match(/models\/([^:]+)/)[1];
    seen.push({ headers: req.headers, body });
    const streams = (body.stream || req.url.includes("stream")) && how !== "whole";
    if (how === "refusing") return res.writeHead(429, { "content-type": "application/json", "retry-after": "7" }).end(JSON.stringify(REFUSAL[format]));
    const text = streams ? TEXT[format].stream.map(frame).join("") : JSON.stringify(TEXT[format].whole);
    const coded = CODINGS[how] ? CODINGS[how](text) : Buffer.from(text);
    res.writeHead(200, {
      "content-type": streams ? "text/event-stream" : "application/json",
      "content-length": coded.length,
      ...(CODINGS[how] && { "content-encoding": how }),
    });
    res.end(coded);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, seen, stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))) };
}

/** The text that a client of this format reads from a response. */
function said(client, { text, headers }) {
  const stream = headers["content-type"].startsWith("text/event-stream");
  if (!stream) {
    const answer = JSON.parse(text);
    return client === "openai" ? answer.choices[0].message.content : answer.content.map((block) => block.text).join("");
  }
  const chunks = events(text).filter(({ data }) => data !== "[DONE]").map(({ data }) => JSON.parse(data));
  return chunks.map((chunk) => (client === "openai" ? chunk.choices[0]?.delta?.content : chunk.delta?.text) ?? "").join("");
}

describe("between formats, over HTTP,", { concurrency: 6 }, () => {
  let provider, gateway;
  before(async () => {
    provider = await startProvider();
    const row = (name) => `  ${name}: { adapter: ${name}, base_url: "${provider.url}/v1", api_key_env: ANY_API_KEY, models: "*" }`;
    gateway = await startGateway({ config: ["providers:", ...PROVIDERS.map(row), ""].join("\n"), bindings: { ACCESS_API_KEYS: KEY, ANY_API_KEY: "key-of-any" } });
  });
  after(async () => {
    await gateway.stop();
    await provider.stop();
  });

  const ask = (client, model, { stream = false, headers = {}, text = "Hi", body } = {}) => {
    const request = { model, stream, max_tokens: 100, messages: [{ role: "user", content: text }] };
    return call(gateway.url + CLIENTS[client], { method: "POST", headers: { ...as(KEY), ...headers }, body: body ?? JSON.stringify(request) });
  };

  it("a compressed answer is read, and what was said of its coding and length is not passed on", async () => {
    for (const [client, format] of PAIRS) {
      for (const coding of Object.keys(CODINGS)) {
        for (const stream of [false, true]) {
          const answer = await ask(client, `${format}/${coding}`, { stream });
          const what = `${client}, ${format}, ${coding}, ${stream}`;
          assert.equal(answer.status, 200, what);
          assert.equal(said(client, answer), SAID, what);
          assert.equal(answer.headers["content-encoding"], undefined, what);
          const length = answer.headers["content-length"];
          assert.ok(length === undefined || Number(length) === answer.bytes.length, `${what}: ${length}`);
        }
      }
    }
  });

  it("the length that a provider announces is that of its own answer alone", async () => {
    for (const [client, format] of PAIRS) {
      for (const stream of [false, true]) {
        const answer = await ask(client, `${format}/plain`, { stream });
        assert.equal(said(client, answer), SAID, `${client}, ${format}`);
        const length = answer.headers["content-length"];
        assert.ok(length === undefined || Number(length) === answer.bytes.length, `${client}, ${format}: ${length}`);
      }
    }
  });

  it("a refusal of a stream is an error with its status, and no stream", async () => {
    for (const [client, format] of PAIRS) {
      const answer = await ask(client, `${format}/refusing`, { stream: true });
      assert.deepEqual({ status: answer.status, "retry-after": answer.headers["retry-after"] }, { status: 429, "retry-after": "7" }, `${client}, ${format}`);
      assert.match(answer.headers["content-type"], /^application\/json/);
      assert.deepEqual(
        { message: answer.json().error.message, type: answer.json().type },
        { message: "Slow down.", type: client === "openai" ? undefined : "error" },
        `${client}, ${format}`,
      );
    }
  });

  it("a compressed request is refused in words, and never passed on unread", async () => {
    const body = gzipSync(JSON.stringify({ model: "anthropic/plain", max_tokens: 100, messages: [{ role: "user", content: "squeezed" }] }));
    for (const client of Object.keys(CLIENTS)) {
      const answer = await ask(client, "", { body, headers: { "content-encoding": "gzip" } });
      assert.equal(answer.status, 415);
      assert.match(answer.json().error.message, /compressed/);
    }
  });

  it("a beta of Anthropic's is asked for where the provider is Anthropic, and nowhere else", async () => {
    const headers = { "anthropic-beta": "a-beta-2026", "anthropic-version": "2023-06-01" };
    for (const format of PROVIDERS) {
      await ask("anthropic", `${format}/plain`, { headers, text: `beta of ${format}` });
      const { headers: sent } = provider.seen.find(({ body }) => JSON.stringify(body).includes(`beta of ${format}`));
      assert.equal(sent["anthropic-beta"], format === "anthropic" ? "a-beta-2026" : undefined, format);
    }
  });

  it("no header of a client goes on to a provider of another format", async () => {
    for (const [client, format] of PAIRS) {
      const text = `headers of ${client} for ${format}`;
      await ask(client, `${format}/plain`, { headers: { "x-mark": "yes", cookie: "a=b" }, text });
      const { headers } = provider.seen.find(({ body }) => JSON.stringify(body).includes(text));
      assert.deepEqual(
        { "x-mark": headers["x-mark"], cookie: headers.cookie, "content-encoding": headers["content-encoding"] },
        { "x-mark": undefined, cookie: undefined, "content-encoding": undefined },
      );
      assert.ok(!JSON.stringify(headers).includes(KEY), text);
    }
  });

  const whole = async (client) => {
    for (const format of PROVIDERS.filter((format) => format !== client)) {
      const answer = await ask(client, `${format}/whole`, { stream: true });
      assert.equal(answer.status, 200, format);
      assert.match(answer.headers["content-type"], /^text\/event-stream/, format);
      assert.equal(said(client, answer), SAID, format);
    }
  };

  it("a whole answer where a stream was asked for is told to a chat as a stream", () => whole("openai"));

  it("a whole answer where a stream was asked for is told to a client of messages as a stream", () => whole("anthropic"));
});
