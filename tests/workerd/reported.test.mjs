// The usage that a provider reports, in any format, is charged. If it stops before that, the rest is an
// estimate and marked as one.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { as, call, chatRequest, HELLO, open, until } from "./client.mjs";
import { chunks } from "./expect.mjs";
import { startGateway } from "./harness.mjs";
import { Office, OFFICE } from "./office.mjs";

const WORDS = "It is sunny in Paris today, and it will be sunny tomorrow as well. ".repeat(4);

// Prices that differ for each kind of token, in nano-dollars per token.
const PRICE = "price: { input: 1, cached_input: 0.1, cache_write: 1.25, cache_write_1h: 2, output: 5 }, max_output: 100";
const costOf = ({ fresh, cache_read, cache_write, cache_write_1h, completion }) =>
  fresh * 1000 + cache_read * 100 + (cache_write - cache_write_1h) * 1250 + cache_write_1h * 2000 + completion * 5000;

const sse = (...events) => events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");

const START = { input_tokens: 1000, cache_read_input_tokens: 500, cache_creation_input_tokens: 100, cache_creation: { ephemeral_5m_input_tokens: 60, ephemeral_1h_input_tokens: 40 }, output_tokens: 1 };
const started = (usage = START) => ({ type: "message_start", message: { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], stop_reason: null, usage } });
const block = { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } };
const words = { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: WORDS } };
const stopped = (usage) => [{ type: "content_block_stop", index: 0 }, { type: "message_delta", delta: { stop_reason: "end_turn" }, usage }, { type: "message_stop" }];

const said = (text, usageMetadata, finishReason) => ({ candidates: [{ content: { role: "model", parts: [{ text }] }, finishReason }], usageMetadata });
const counts = (candidatesTokenCount) => ({ promptTokenCount: 100, cachedContentTokenCount: 64, toolUsePromptTokenCount: 10, candidatesTokenCount, thoughtsTokenCount: 5, totalTokenCount: 115 + candidatesTokenCount });

const piece = (content, usage, finish_reason = null) => ({ id: "1", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content }, finish_reason }], ...(usage && { usage }) });
const grown = (n) => ({ prompt_tokens: 30, completion_tokens: n, total_tokens: 30 + n, prompt_tokens_details: { cached_tokens: 10 } });

const STARTED = { prompt: 1600, fresh: 1000, cache_read: 500, cache_write: 100, cache_write_1h: 40, reasoning: 0 };
const GEMINI = { prompt: 110, fresh: 46, cache_read: 64, cache_write: 0, cache_write_1h: 0, reasoning: 5 };
const OPENAI = { prompt: 30, fresh: 20, cache_read: 10, cache_write: 0, cache_write_1h: 0, reasoning: 0 };

// The ways to end a stream: what is sent before the connection is closed, and what the receipt says. `least`
// stands for an estimate of the output tokens that is no lower.
const WAYS = {
  claude: {
    corrected: {
      sent: sse(started(), block, words, ...stopped({ input_tokens: 900, cache_read_input_tokens: 600, cache_creation_input_tokens: 100, output_tokens: 70 })),
      tokens: { ...STARTED, fresh: 900, cache_read: 600, completion: 70 },
    },
    repeated: { sent: sse(started(), block, words, ...stopped({ ...START, cache_creation: undefined, output_tokens: 70 })), tokens: { ...STARTED, completion: 70 } },
    brief: { sent: sse(started(), block, words, ...stopped({ output_tokens: 70 })), tokens: { ...STARTED, completion: 70 } },
    silent: { sent: sse(started(), block, words, ...stopped(undefined)), tokens: STARTED, least: 40 },
    cut: { sent: sse(started(), block, words), tokens: STARTED, least: 40, outcome: "truncated" },
    "cut-early": { sent: sse(started()), tokens: STARTED, least: 1, outcome: "refused" },
    failed: { sent: sse(started(), block, words, { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }), tokens: STARTED, least: 40, outcome: "upstream_error" },
  },
  google: {
    whole: { sent: sse(said("It is ", counts(2)), said("sunny.", counts(20), "STOP")), tokens: { ...GEMINI, completion: 25 } },
    partial: {
      sent: sse(said(WORDS, { ...counts(0), candidatesTokenCount: undefined }), said("", { candidatesTokenCount: 20, thoughtsTokenCount: 5 }, "STOP"), { usageMetadata: { trafficType: "ON_DEMAND" } }),
      tokens: { ...GEMINI, completion: 25 },
    },
    cut: { sent: sse(said("It is ", counts(2)), said("sunny", counts(20))), tokens: { ...GEMINI, completion: 25 }, outcome: "truncated" },
    "cut-unsaid": { sent: sse(said("It is ", counts(2)), said(WORDS)), tokens: GEMINI, least: 40, outcome: "truncated" },
    "cut-soon": { sent: sse(said("It is ", counts(90)), said("so")), tokens: GEMINI, least: 95, outcome: "truncated" },
    blocked: { sent: sse({ promptFeedback: { blockReason: "SAFETY" }, usageMetadata: { promptTokenCount: 4, totalTokenCount: 4 } }), tokens: { prompt: 4, fresh: 4, cache_read: 0, cache_write: 0, cache_write_1h: 0, reasoning: 0, completion: 0 }, outcome: "refused" },
  },
  chats: {
    grown: { sent: sse(piece("It is ", grown(2)), piece("sunny.", grown(20)), piece("", undefined, "stop")) + "data: [DONE]\n\n", tokens: { ...OPENAI, completion: 20 } },
    cut: { sent: sse(piece("It is ", grown(2)), piece("sunny", grown(20))), tokens: { ...OPENAI, completion: 20 }, outcome: "truncated" },
    "cut-unsaid": { sent: sse(piece("It is ", grown(2)), piece(WORDS)), tokens: OPENAI, least: 40, outcome: "truncated" },
  },
};

describe("what a provider reported is what is billed", { concurrency: 4 }, () => {
  let gateway, office, key, provider;
  const left = new Map();
  before(async () => {
    provider = createServer(async (req, res) => {
      let body = "";
      for await (const bytes of req) body += bytes;
      const model = req.url.match(/models\/([^:]+):/)?.[1] ?? JSON.parse(body).model;
      const row = req.url.startsWith("/claude") ? "claude" : req.url.startsWith("/google") ? "google" : "chats";
      if (model === "kept-whole") {
        const answer = { ...started().message, content: [{ type: "text", text: "Hi" }], stop_reason: "end_turn", usage: { ...START, output_tokens: 7 } };
        return res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
      }
      res.writeHead(200, { "content-type": "text/event-stream" });
      if (model !== "left") return res.end(WAYS[row][model].sent);
      res.write(sse(started(), block, words));
      res.on("close", () => left.set(model, true));
    });
    // A pooled connection that it closes by age would look like a fault of the gateway.
    provider.keepAliveTimeout = 0;
    await new Promise((resolve) => provider.listen(0, "127.0.0.1", resolve));
    const base = `http://127.0.0.1:${provider.address().port}`;
    const row = ([name, adapter]) => `  ${name}: { adapter: ${adapter}, base_url: "${base}/${name}", models: { "*": { ${PRICE} } } }`;
    const config = ["providers:", ...[["claude", "anthropic"], ["google", "gemini"], ["chats", "openai"]].map(row), ""].join("\n");
    gateway = await startGateway({ config, bindings: { ...OFFICE, CLAUDE_API_KEY: "c", GOOGLE_API_KEY: "g", CHATS_API_KEY: "o" } });
    office = new Office(gateway.url);
    key = await office.key("payer");
  });
  after(async () => {
    await gateway.stop();
    provider.closeAllConnections();
    await new Promise((resolve) => provider.close(resolve));
  });

  /** The receipt of a request, once it is entered. */
  const receiptOf = (id) => until(async () => (await office.receipts("payer")).find(({ request_id }) => request_id === id), `the receipt of ${id}`);

  const ways = Object.entries(WAYS).flatMap(([row, ways]) => Object.entries(ways).map(([way, demand]) => ({ row, way, ...demand })));

  const messages = (model, id) => ({
    method: "POST",
    headers: { ...as(key), "content-type": "application/json", "x-request-id": id },
    body: JSON.stringify({ model, max_tokens: 100, stream: true, messages: HELLO }),
  });

  for (const { row, way, tokens, least, outcome = "complete" } of ways) {
    for (const client of ["chat", "messages"]) {
      it(`${row}, ${way}, to a client of ${client}`, async () => {
        const id = `${client}-${row}-${way}`;
        const fields = { model: `${row}/${way}`, messages: HELLO, stream: true, stream_options: { include_cost: true } };
        const answer =
          client === "chat"
            ? await call(`${gateway.url}/v1/chat/completions`, chatRequest(key, fields, { "x-request-id": id }))
            : await call(`${gateway.url}/v1/messages`, messages(`${row}/${way}`, id));
        const receipt = await receiptOf(id);
        const context = JSON.stringify({ receipt, text: answer.text.slice(-600) });
        assert.equal(receipt?.outcome, outcome, context);
        const { completion, ...prompt } = receipt.tokens;
        const { completion: expected, ...known } = tokens;
        assert.deepEqual(prompt, known, context);
        assert.equal(receipt.estimated, least !== undefined, context);
        if (least === undefined) assert.equal(completion, expected, context);
        else assert.ok(completion >= least && completion <= Math.max(least, WORDS.length / 2), context);
        assert.equal(receipt.cost_nanos, costOf(receipt.tokens), context);
        if (client === "chat" && outcome === "complete") {
          const told = chunks(answer.text).findLast(({ usage }) => usage).usage;
          assert.deepEqual(
            { prompt_tokens: told.prompt_tokens, cost: told.cost },
            { prompt_tokens: tokens.prompt, cost: least === undefined ? receipt.cost_nanos / 1e9 : null },
            context,
          );
        }
      });
    }
  }

  it("a whole answer tells the price of its cache writes in the header, and the client its two kinds", async () => {
    const plain = { model: "claude/kept-whole", messages: HELLO };
    const answer = await call(`${gateway.url}/v1/chat/completions`, chatRequest(key, plain, { "x-request-id": "kept" }));
    const { tokens, cost_nanos: cost, estimated } = await receiptOf("kept");
    assert.deepEqual({ tokens, estimated }, { tokens: { ...STARTED, completion: 7 }, estimated: false });
    // 1000 × 1 + 500 × 0.1 + 60 × 1.25 + 40 × 2 + 7 × 5 millionths of a dollar.
    assert.deepEqual({ cost, "x-llm-bridge-cost": answer.headers["x-llm-bridge-cost"] }, { cost: 1_240_000, "x-llm-bridge-cost": "0.00124" });
    assert.deepEqual(answer.json().usage.prompt_tokens_details, { cached_tokens: 500, cache_write_tokens: 100 });
  });

  for (const client of ["chat", "messages"]) {
    it(`a client of ${client} that leaves pays for what it was sent`, async () => {
      const id = `${client}-left`;
      const request = client === "chat" ? chatRequest(key, { model: "claude/left", messages: HELLO, stream: true }, { "x-request-id": id }) : messages("claude/left", id);
      const answer = await open(`${gateway.url}/v1/${client === "chat" ? "chat/completions" : "messages"}`, request);
      await answer.until("sunny tomorrow");
      answer.leave();
      const { outcome, estimated, tokens, cost_nanos: cost } = await receiptOf(id);
      const { completion, ...prompt } = tokens;
      assert.deepEqual({ outcome, estimated, prompt, cost }, { outcome: "client_closed", estimated: true, prompt: STARTED, cost: costOf(tokens) });
      assert.ok(completion >= 40 && completion <= WORDS.length / 2, String(completion));
    });
  }
});
