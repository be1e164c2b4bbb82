// Recovery in mid-answer as clients of Gemini's format and of the Responses API see it, by every kind of provider: the
// official SDKs accumulate one sound answer of two targets, each attempt is billed once, and the record, the log and the
// stream tell what happened.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { expectWhole } from "./bills.mjs";
import { events, until } from "./client.mjs";
import { OFFICE, Office } from "./office.mjs";
import { paced } from "./pace.mjs";
import { ok, refusing, stream } from "./route-behaviours.mjs";
import { begin, FAULTS } from "./route-faults.mjs";
import { REFUSALS, USAGE } from "./route-speech.mjs";
import { freshId, RouteStage } from "./route-stage.mjs";

// Dollars per million tokens are thousands of nano-dollars per token.
const PRICES = { cheap: { input: 1, output: 10 }, dear: { input: 3, output: 30 } };
const priced = (kind, { input, output }) => ({ kind, models: `{ "*": { price: { input: ${input}, output: ${output} }, context: 100000, max_output: 1000 } }` });
const cheap = (kind) => priced(kind, PRICES.cheap);
const dear = (kind) => priced(kind, PRICES.dear);
const costOf = ({ input, output }, { prompt, completion }) => 1000 * (prompt * input + completion * output);

const KINDS = ["openrouter", "anthropic", "gemini", "responses"];
const other = (kind) => KINDS[(KINDS.indexOf(kind) + 1) % KINDS.length];
const IDLE = `first_token: 30, idle: ${paced(1)}`;
const THOUGHT = "Let me think.";
/** An answer with text of one to four bytes a character, and how much of it the first target says: up to a half of a pair. */
const FULL = "Das Tor fügt 两个目标 zusammen 🚪🔑, sodass kein Byte der Antwort verloren geht, und keines zweimal gesagt wird.";
const SAID = 33;

const stage = new RouteStage({ bindings: OFFICE });
let office;
before(async () => {
  await stage.start();
  office = new Office(stage.gateway.url);
});
after(() => stage.stop());

let keys = 0;
/** A new key with a budget: its text and its account. */
async function newKey() {
  const id = `route-clients-${++keys}`;
  return { key: await office.key(id, { budget: { amount_nanos: 1e10, per: "day" } }), account: `vk_${id}` };
}

/** The only receipt of an account. */
async function receiptOf(account) {
  const receipts = await until(async () => {
    const found = await office.receipts(account);
    return found.length > 0 && found;
  }, `the receipt of ${account}`);
  assert.equal(receipts.length, 1);
  expectWhole(receipts);
  return receipts[0];
}

/** How each client asks by its official SDK: what it accumulates of a whole answer, or of a stream and its bytes. */
const CLIENTS = {
  async gemini({ key, id, model, stream, thinks }) {
    const config = { maxOutputTokens: 100, ...(thinks && { thinkingConfig: { includeThoughts: true } }) };
    const sdk = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: stage.gateway.url, headers: { "x-request-id": id } } });
    const request = { model, contents: "Hello", config };
    const chunks = [];
    if (stream) for await (const chunk of await sdk.models.generateContentStream(request)) chunks.push(chunk);
    else chunks.push(await sdk.models.generateContent(request));
    const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
    const textOf = (thought) => parts.filter((part) => Boolean(part.thought) === thought).map(({ text }) => text ?? "").join("");
    assert.equal(new Set(chunks.map(({ responseId }) => responseId)).size, 1, "one id");
    const ends = chunks.map((chunk) => chunk.candidates?.[0]?.finishReason).filter(Boolean);
    assert.deepEqual([ends, chunks.at(-1).candidates[0].finishReason], [["STOP"], "STOP"]);
    return { text: textOf(false), thoughts: textOf(true), usage: { prompt: chunks.at(-1).usageMetadata.promptTokenCount, completion: chunks.at(-1).usageMetadata.candidatesTokenCount } };
  },
  async responses({ key, id, model, stream }) {
    const bytes = [];
    const tee = async (...args) => {
      const response = await fetch(...args);
      const [one, copy] = response.body.tee();
      bytes.push(new Response(copy).text());
      return new Response(one, response);
    };
    const sdk = new OpenAI({ apiKey: key, baseURL: `${stage.gateway.url}/v1`, maxRetries: 0, fetch: tee });
    const request = { model, input: "Hello", store: false, max_output_tokens: 100 };
    const options = { headers: { "x-request-id": id } };
    let deltas = "";
    const run = stream && sdk.responses.stream(request, options).on("response.output_text.delta", ({ delta }) => (deltas += delta));
    const response = await (stream ? run.finalResponse() : sdk.responses.create(request, options));
    assert.deepEqual([response.status, response.error], ["completed", null]);
    const of = (type) => response.output.filter((item) => item.type === type);
    assert.deepEqual(response.output.map(({ type }) => type), [...of("reasoning"), ...of("message")].map(({ type }) => type));
    assert.ok(of("message").length === 1 && of("reasoning").length <= 1, JSON.stringify(response.output));
    const said = of("message")[0].content;
    assert.equal(said.length, 1);
    if (stream) {
      assert.equal(deltas, said[0].text, "the deltas are the text");
      expectNumbered(await bytes[0]);
    }
    const thoughts = of("reasoning").flatMap(({ summary }) => summary).map(({ text }) => text).join("");
    return { text: said[0].text, thoughts, usage: { prompt: response.usage.input_tokens, completion: response.usage.output_tokens }, bytes: await bytes[0] };
  },
};

/** Asserts that the events of a stream of responses are numbered, its items count on, and each is opened and closed once. */
function expectNumbered(text) {
  const all = events(text).filter(({ data }) => data).map(({ data }) => JSON.parse(data));
  assert.deepEqual(all.map(({ sequence_number }) => sequence_number), all.map((_, index) => index), text);
  const of = (type) => all.filter((event) => event.type === type);
  for (const type of ["response.output_item.added", "response.output_item.done"]) {
    assert.deepEqual(of(type).map(({ output_index }) => output_index), of(type).map((_, index) => index), text);
  }
  assert.deepEqual(of("response.output_item.added").map(({ item }) => item.id), of("response.output_item.done").map(({ item }) => item.id), text);
  assert.equal(of("response.created").length, 1, text);
  assert.equal(all.at(-1).type, "response.completed", text);
}

/** The texts of the turns that a provider was sent, each with its role. */
function turnsOf({ body }) {
  const turns = body.messages ?? body.contents ?? (typeof body.input === "string" ? [{ role: "user", content: body.input }] : body.input);
  const textOf = (content) => (typeof content === "string" ? content : content.map(({ text }) => text).join(""));
  return turns.map(({ role, content, parts }) => [role === "model" ? "assistant" : role, textOf(content ?? parts)]);
}

/** What a good model says: what follows the beginning that it was given, or else the last words once more. */
function continuationOf({ request }, end = FULL.length, again = 20) {
  const [before, last] = turnsOf(request).slice(-2);
  const isGiven = last[0] === "assistant";
  const text = isGiven ? last[1] : before[1];
  assert.equal(text, FULL.slice(0, text.length));
  return FULL.slice(text.length - (isGiven ? 0 : again), end);
}

const goesOn = (exchange) => ok({ text: continuationOf(exchange) })(exchange);
const say = (exchange, text) => {
  exchange.openStream();
  const said = exchange.speech.stream({ text }).slice(0, exchange.speech.contentAt + 2);
  // Gemini says the end of an answer with its last words.
  said.forEach((event) => exchange.write(event.replace(',"finishReason":"STOP"', "")));
};
const resetSoon = (exchange) => setTimeout(() => exchange.reset(), 20);

/** Asserts what the log and the receipt say of a request with these failed attempts, and one that served. */
async function expectRecorded({ id, account, recovered, failed, served, price = PRICES.dear }) {
  const { end, classes } = await stage.story(id);
  assert.deepEqual(classes, failed);
  assert.deepEqual([end.event, end.outcome, end.status, end.recovered], ["request_complete", "complete", 200, recovered]);
  const receipt = await receiptOf(account);
  assert.deepEqual([receipt.outcome, receipt.recovered ?? undefined, receipt.provider], ["complete", recovered, served.name]);
  assert.deepEqual(receipt.attempts.map(({ failure }) => failure), [...failed, null]);
  receipt.attempts.slice(0, -1).forEach(({ tokens, cost_nanos }) => {
    assert.ok(tokens.prompt > 0 && tokens.completion > 0, JSON.stringify(receipt));
    assert.equal(cost_nanos, costOf(PRICES.cheap, tokens), JSON.stringify(receipt));
  });
  assert.equal(receipt.attempts.at(-1).cost_nanos, costOf(price, USAGE), JSON.stringify(receipt));
  assert.equal(receipt.cost_nanos, receipt.attempts.reduce((sum, { cost_nanos }) => sum + cost_nanos, 0));
}

/** Asserts that a stream tells how it went on: once where it did, in a comment, and once at its end. */
function expectTold({ bytes }, how) {
  assert.equal(bytes.split(`: x-llm-bridge-recovered: ${how}\n\n`).length, 2, bytes);
  const told = events(bytes).filter(({ data }) => data).map(({ data }) => JSON.parse(data)).filter((event) => event.x_llm_bridge);
  assert.deepEqual(told.map(({ type, x_llm_bridge }) => [type, x_llm_bridge]), [["response.completed", { recovered: how }]], bytes);
}

/** The class of a failure after content. The connection had been a good one. */
const classOf = (wanted) => (wanted === "unreachable" ? "truncated" : wanted);

for (const [client, ask] of Object.entries(CLIENTS)) {
  const told = (answer, how) => client === "responses" && expectTold(answer, how);

  describe(`a client of ${client}`, { concurrency: 4 }, () => {
    for (const kind of KINDS) {
      for (const [fault, [fail, wanted]] of Object.entries(FAULTS)) {
        const texts = stage.scene({ first: cheap(kind), second: dear(other(kind)) }, `recover: continue, ${IDLE}`);

        it(`gets one text of two targets: ${fault}, ${kind}`, async () => {
          const [{ key, account }, id] = [await newKey(), freshId()];
          texts.first.plays((exchange) => (say(exchange, FULL.slice(0, SAID)), fail(exchange)));
          texts.second.plays(goesOn);
          const answer = await ask({ key, id, model: texts.route, stream: true });
          assert.deepEqual([answer.text, answer.thoughts, answer.usage], [FULL, "", USAGE]);
          told(answer, "joined");
          assert.deepEqual(texts.calls, [1, 1]);
          await expectRecorded({ id, account, recovered: "joined", failed: [classOf(wanted)], served: texts.second });
        });

        // Models of which it is not known whether they think.
        const thoughts = stage.scene({ first: { ...cheap(kind), model: "any" }, second: { ...dear(other(kind)), model: "any" } }, `recover: restart, ${IDLE}`);

        it(`gets another answer after thoughts: ${fault}, ${kind}`, async () => {
          const [{ key, account }, id] = [await newKey(), freshId()];
          thoughts.first.plays((exchange) => (begin(exchange, "thinking"), fail(exchange)));
          const answer = await ask({ key, id, model: thoughts.route, stream: true, thinks: true });
          assert.deepEqual([answer.text, answer.thoughts, answer.usage], [`said by ${thoughts.second.name}`, THOUGHT, USAGE]);
          told(answer, "restarted");
          await expectRecorded({ id, account, recovered: "restarted", failed: [classOf(wanted)], served: thoughts.second });
        });

        const whole = stage.scene({ first: cheap(kind), second: dear(other(kind)) }, IDLE);

        it(`gets a whole answer of another target: ${fault}, ${kind}`, async () => {
          const [{ key, account }, id] = [await newKey(), freshId()];
          whole.first.plays((exchange) => (begin(exchange), fail(exchange)));
          const answer = await ask({ key, id, model: whole.route, stream: false });
          assert.deepEqual([answer.text, answer.usage], [`said by ${whole.second.name}`, USAGE]);
          const { end } = await stage.story(id);
          assert.equal(end.status, 200);
          assert.deepEqual(whole.calls, [1, 1]);
          assert.equal((await receiptOf(account)).attempts.length, 2);
        });

        const held = stage.scene({ first: cheap(kind), second: dear(other(kind)) }, `recover: buffer, ${IDLE}`);

        it(`gets a held stream of another target: ${fault}, ${kind}`, async () => {
          const [{ key, account }, id] = [await newKey(), freshId()];
          held.first.plays((exchange) => (begin(exchange), fail(exchange)));
          const answer = await ask({ key, id, model: held.route, stream: true });
          assert.deepEqual([answer.text, answer.usage], [`said by ${held.second.name}`, USAGE]);
          await expectRecorded({ id, account, recovered: "buffered", failed: [wanted], served: held.second });
        });
      }
    }

    for (const recover of ["buffer", "restart", "continue"]) {
      for (const kind of KINDS) {
        const sound = stage.scene({ first: cheap(kind), second: dear(other(kind)) }, `recover: ${recover}, ${IDLE}`);

        it(`gets the first target's answer if nothing fails: ${recover}, ${kind}`, async () => {
          const [{ key, account }, id] = [await newKey(), freshId()];
          const answer = await ask({ key, id, model: sound.route, stream: true });
          assert.deepEqual([answer.text, answer.usage, sound.calls], [`said by ${sound.first.name}`, USAGE, [1, 0]]);
          const receipt = await receiptOf(account);
          assert.deepEqual([receipt.cost_nanos, receipt.attempts, receipt.recovered], [costOf(PRICES.cheap, USAGE), undefined, undefined], JSON.stringify(receipt));
        });
      }
    }

    const twice = stage.scene({ first: cheap("gemini"), second: cheap("anthropic"), third: dear("responses") }, `recover: continue, ${IDLE}`);

    it("gets one text of three targets", async () => {
      const [{ key, account }, id] = [await newKey(), freshId()];
      twice.first.plays((exchange) => (say(exchange, FULL.slice(0, 40)), resetSoon(exchange)));
      twice.second.plays((exchange) => (say(exchange, continuationOf(exchange, 70)), resetSoon(exchange)));
      twice.third.plays(goesOn);
      const answer = await ask({ key, id, model: twice.route, stream: true });
      assert.equal(answer.text, FULL);
      await expectRecorded({ id, account, recovered: "joined", failed: ["truncated", "truncated"], served: twice.third });
    });

    const refused = stage.scene({ first: cheap("gemini"), second: dear("anthropic") }, `recover: continue, ${IDLE}`);

    it("gets one text where the second target refuses the beginning of its answer", async () => {
      const [{ key, account }, id] = [await newKey(), freshId()];
      refused.first.plays((exchange) => (say(exchange, FULL.slice(0, SAID)), resetSoon(exchange)));
      const message = "This model does not support assistant message prefill. The conversation must end with a user message.";
      refused.second.plays(refusing([400, { type: "error", error: { type: "invalid_request_error", message } }]), goesOn);
      const answer = await ask({ key, id, model: refused.route, stream: true });
      assert.equal(answer.text, FULL);
      assert.deepEqual(refused.calls, [1, 2]);
      await expectRecorded({ id, account, recovered: "joined", failed: ["truncated"], served: refused.second });
    });

    const down = stage.scene({ first: cheap("openrouter"), second: dear("anthropic") }, `recover: continue, attempts: 2, ${IDLE}`);

    it("gets one error behind the text if nobody can go on", async () => {
      const [{ key, account }, id] = [await newKey(), freshId()];
      down.first.plays((exchange) => (say(exchange, FULL.slice(0, SAID)), resetSoon(exchange)));
      down.second.plays(refusing(REFUSALS.anthropic.overload));
      await assert.rejects(ask({ key, id, model: down.route, stream: true }));
      const { end, classes } = await stage.story(id);
      assert.deepEqual([classes, end.outcome], [["truncated", "overload"], "upstream_error"]);
      const receipt = await receiptOf(account);
      assert.equal(receipt.cost_nanos, costOf(PRICES.cheap, receipt.attempts[0].tokens));
    });
  });
}

describe("a stream of Gemini that has nothing but its end", { concurrency: 4 }, () => {
  const thought = { content: { role: "model" }, finishReason: "MAX_TOKENS", index: 0 };
  const event = { candidates: [thought], usageMetadata: { promptTokenCount: 11, thoughtsTokenCount: 100, totalTokenCount: 111 }, modelVersion: "served", responseId: "r" };
  const forms = {
    gemini: ["/v1beta/models/ROUTE:streamGenerateContent?alt=sse", { contents: [{ role: "user", parts: [{ text: "Hello" }] }] }, '"finishReason":"MAX_TOKENS"'],
    "gemini, as an array": ["/v1beta/models/ROUTE:streamGenerateContent", { contents: [{ role: "user", parts: [{ text: "Hello" }] }] }, '"finishReason":"MAX_TOKENS"'],
    openai: ["/v1/chat/completions", { messages: [{ role: "user", content: "Hello" }], stream: true }, '"finish_reason":"length"'],
    anthropic: ["/v1/messages", { messages: [{ role: "user", content: "Hello" }], max_tokens: 100, stream: true }, '"stop_reason":"max_tokens"'],
    responses: ["/v1/responses", { input: "Hello", store: false, stream: true }, '"reason":"max_output_tokens"'],
  };
  for (const recover of ["off", "buffer"]) {
    const scene = stage.scene({ first: cheap("gemini"), second: dear("openai") }, `recover: ${recover}`);
    for (const [client, [path, body, end]] of Object.entries(forms)) {
      it(`is an answer, after which nobody else is asked: ${recover}, for a client of ${client}`, async () => {
        const { key, account } = await newKey();
        scene.first.plays(stream(`data: ${JSON.stringify(event)}\n\n`));
        const { answer } = await stage.ask({ path: path.replace("ROUTE", scene.route), body: { ...(path.startsWith("/v1/") && { model: scene.route }), ...body }, key });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.text.split(end).length, 2, answer.text);
        assert.ok(!answer.text.includes("broke off") && scene.second.calls === 0, answer.text);
        assert.equal((await receiptOf(account)).cost_nanos, costOf(PRICES.cheap, { prompt: 11, completion: 100 }));
      });
    }
  }
});
