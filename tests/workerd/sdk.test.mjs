// The official OpenAI client for Node in common use: its results through the gateway, and the exceptions that
// it raises.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI, {
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
  UnprocessableEntityError,
} from "openai";
import { ANSWER, USAGE } from "./behaviours.mjs";
import { HELLO, soon } from "./client.mjs";
import { ASKING, KEY, rows, startStage } from "./stage.mjs";
import { runOut, stopClock } from "./timed.mjs";

const TOOLS = [{ type: "function", function: { name: "weather", description: "The weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];

describe("the official client", () => {
  let stage, openai;
  before(async () => {
    stage = await startStage();
    openai = client();
  });
  after(() => stage.stop());

  const client = (options = {}) => new OpenAI({ baseURL: `${stage.gateway.url}/v1`, apiKey: KEY, maxRetries: 0, ...options });
  const chat = (model, fields = {}) => openai.chat.completions.create({ model, messages: HELLO, ...fields });

  /** The reason for which `promise` is rejected, asserted to be an instance of `kind`. */
  async function raised(promise, kind) {
    const fault = await soon(promise, kind.name).then(
      () => assert.fail(`no ${kind.name}`),
      (reason) => reason,
    );
    assert.ok(fault instanceof kind, `${fault.constructor.name}: ${fault.message}`);
    return fault;
  }

  describe("chats", () => {
    it("and gets the answer", async () => {
      const completion = await chat("openai/ok");
      assert.equal(completion.choices[0].message.content, ANSWER);
      assert.deepEqual(completion.usage, USAGE);
    });

    it("and gets fields that it does not know", async () => {
      const completion = await chat("any/reasoner");
      assert.match(completion.choices[0].message.reasoning_content, /greet/);
      assert.equal((await chat("any/odd")).x_exp, 100);
    });

    it("and gets logprobs", async () => {
      const { choices } = await chat("ok", { logprobs: true });
      assert.equal(choices[0].logprobs.content[0].logprob, -0.25);
    });

    it("and gets a tool call", async () => {
      const { choices } = await chat("ok", { tools: TOOLS });
      assert.equal(choices[0].finish_reason, "tool_calls");
      assert.equal(JSON.parse(choices[0].message.tool_calls[0].function.arguments).city, "Paris");
    });

    it("and can see the response beneath", async () => {
      const { response, request_id } = await chat("ok").withResponse();
      assert.equal(response.status, 200);
      assert.equal(request_id, response.headers.get("x-request-id"));
      assert.ok(request_id);
    });

    it("under a base URL without /v1", async () => {
      const bare = client({ baseURL: stage.gateway.url });
      assert.equal((await bare.chat.completions.create({ model: "ok", messages: HELLO })).choices[0].message.content, ANSWER);
    });

    it("and its own extra fields and headers reach the provider, or do not", async () => {
      await openai.chat.completions.create({ model: "ok", messages: HELLO, x_mine: [1] }, { headers: { "x-mine": "1" } });
      assert.deepEqual(JSON.parse(stage.fake.last().body).x_mine, [1]);
      assert.equal(stage.fake.last().headers["x-mine"], undefined);
    });
  });

  describe("streams", () => {
    it("and gets the same answer", async () => {
      const seen = await Array.fromAsync(await chat("ok", { stream: true }));
      assert.equal(seen.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), ANSWER);
      assert.equal(seen.at(-1).choices[0].finish_reason, "stop");
      assert.equal(seen[0].system_fingerprint, "fp_44709d6fcb");
    });

    it("and gets usage in the last chunk", async () => {
      const seen = await Array.fromAsync(await chat("ok", { stream: true, stream_options: { include_usage: true } }));
      assert.deepEqual(seen.at(-1).usage, USAGE);
      assert.deepEqual(seen.at(-1).choices, []);
      assert.ok(seen.slice(0, -1).every(({ usage }) => usage === null));
    });

    it("with the helper that puts it together", async () => {
      const stream = openai.chat.completions.stream({ model: "ok", messages: HELLO, stream_options: { include_usage: true } });
      const pieces = [];
      stream.on("content", (piece) => pieces.push(piece));
      const final = await stream.finalChatCompletion();
      assert.equal(pieces.join(""), ANSWER);
      assert.equal(final.choices[0].message.content, ANSWER);
      assert.equal((await stream.totalUsage()).total_tokens, USAGE.total_tokens);
    });

    it("tool calls whose fragments add up", async () => {
      const { choices } = await openai.chat.completions.stream({ model: "ok", messages: HELLO, tools: TOOLS }).finalChatCompletion();
      assert.deepEqual(JSON.parse(choices[0].message.tool_calls[0].function.arguments), { city: "Paris", unit: "°C" });
    });

    for (const model of ["crlf", "comments", "no-space-data", "utf8-split", "no-done", "no-done-no-newline"]) {
      it(`of another provider's framing: ${model}`, async () => {
        const seen = await Array.fromAsync(await chat(`any/${model}`, { stream: true }));
        assert.equal(seen.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), ANSWER);
      });
    }

    it("and may stop listening, which stops the provider", async () => {
      const stream = await chat("any/trickle", { stream: true });
      for await (const chunk of stream) {
        assert.equal(chunk.choices[0].delta.content, "drip");
        break;
      }
      await stage.expectCancelled();
    });

    it("and may abort, which stops the provider", async () => {
      const stream = await chat("any/trickle", { stream: true });
      let seen = 0;
      for await (const _ of stream) if (++seen === 2) stream.controller.abort();
      assert.equal(seen, 2);
      await stage.expectCancelled();
    });
  });

  describe("asks for models", () => {
    it("and pages through the list", async () => {
      const models = await Array.fromAsync(openai.models.list());
      assert.ok(models.some(({ id }) => id === "openai/gpt-4o"));
    });

    it("and finds one whose name has a slash", async () => {
      const model = await openai.models.retrieve("openai/gpt-4o");
      assert.deepEqual({ id: model.id, object: model.object, owned_by: model.owned_by }, { id: "openai/gpt-4o", object: "model", owned_by: "openai" });
    });

    it("and does not find another", async () => {
      assert.equal((await raised(openai.models.retrieve("openai/gpt-9"), NotFoundError)).code, "model_not_found");
    });
  });

  describe("raises", () => {
    it("AuthenticationError for a wrong key", async () => {
      const fault = await raised(client({ apiKey: "wrong" }).chat.completions.create({ model: "ok", messages: HELLO }), AuthenticationError);
      assert.equal(fault.code, "invalid_api_key");
      assert.ok(fault.requestID);
    });

    for (const [model, kind, code] of [
      ["openai/unknown", NotFoundError, "model_not_found"],
      ["any/err-400-context", BadRequestError, "context_length_exceeded"],
      ["any/err-404", NotFoundError, "model_not_found"],
      ["any/err-422-detail", UnprocessableEntityError, undefined],
      ["any/err-429", RateLimitError, "rate_limit_exceeded"],
      ["any/err-500", InternalServerError, null],
      ["any/err-503-html", InternalServerError, undefined],
      ["any/err-401", InternalServerError, "upstream_credentials_refused"],
      ["any/html-200", InternalServerError, "upstream_invalid_response"],
      ["any/error-in-200", InternalServerError, "insufficient_credits"],
      ["any/reset-before-headers", InternalServerError, undefined],
      ["brief/silent", InternalServerError, "upstream_timeout"],
    ]) {
      it(`${kind.name} for ${model}, streamed or not`, async () => {
        for (const stream of [false, true]) {
          const fault = await raised(chat(model, { stream }), kind);
          if (code !== undefined) assert.equal(fault.code, code);
          assert.equal(typeof fault.error.message, "string");
        }
      });
    }

    it("BadRequestError for messages that are none", async () => {
      const fault = await raised(chat("ok", { messages: "Hello" }), BadRequestError);
      assert.deepEqual({ code: fault.code, param: fault.param }, { code: "invalid_type", param: "messages" });
    });

    // A gateway whose clock stands still until a stream has begun.
    let timed;
    before(async () => {
      timed = await startStage({ config: rows({ brief: "timeout: 5" }), entry: "production.mjs" });
      await stopClock(timed.gateway);
    });
    after(() => timed.stop());

    for (const [model, code] of [
      ["any/ends-early", "stream_truncated"],
      ["any/cut-mid-stream", "stream_truncated"],
      ["any/reset-mid-stream", "stream_truncated"],
      ["any/cut-mid-event", "stream_truncated"],
      ["brief/stall-mid-stream", "upstream_timeout"],
      ["any/error-mid-stream", "overloaded"],
      ["any/error-event", "overloaded"],
    ]) {
      for (const [how, fields] of [
        ["native", ASKING],
        ["checked", {}],
      ]) {
        // If a native stream is cut inside an event, half of the event has been forwarded. The client may
        // fail on that before it reads the error.
        const [kind, wanted] = model === "any/cut-mid-event" && how === "native" ? [Error, undefined] : [APIError, code];

        const isBrief = model.startsWith("brief/");
        const caller = () => (isBrief ? client({ baseURL: `${timed.gateway.url}/v1` }) : openai);

        it(`${kind.name} in the midst of the ${how} stream of ${model}, after what came before`, async () => {
          const stream = await caller().chat.completions.create({ model, messages: HELLO, stream: true, ...fields });
          let text = "";
          const begun = Promise.withResolvers();
          const reading = (async () => {
            for await (const chunk of stream) {
              text += chunk.choices[0].delta.content ?? "";
              if (text) begun.resolve();
            }
          })();
          if (isBrief) {
            await soon(begun.promise, "the first words");
            await runOut(timed.gateway, reading);
          }
          assert.equal((await raised(reading, kind)).code, wanted);
          assert.ok(text.length > 0 && ANSWER.startsWith(text), text);
        });

        it(`${kind.name} from the helper that would put the ${how} stream of ${model} together`, async () => {
          const helper = caller().chat.completions.stream({ model, messages: HELLO, ...fields });
          const reading = helper.finalChatCompletion();
          if (isBrief) {
            await soon(new Promise((resolve) => helper.once("content", resolve)), "the first words");
            await runOut(timed.gateway, reading);
          }
          await raised(reading, kind);
        });
      }
    }

    it("APIUserAbortError when the caller changes its mind", async () => {
      const abort = new AbortController();
      const asking = openai.chat.completions.create({ model: "any/slow-stream", messages: HELLO }, { signal: abort.signal });
      setTimeout(() => abort.abort(), 50);
      await raised(asking, APIUserAbortError);
    });
  });

  it("tries again as the provider asks, and then succeeds", async () => {
    const tries = [];
    stage.fake.behave("second-try", (exchange) => {
      if (tries.push(Date.now()) === 1) return exchange.json(429, '{"error":{"message":"wait","type":"requests","param":null,"code":"rate_limit_exceeded"}}', { "retry-after": "1" });
      exchange.json(200, '{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"message":{}}]}');
    });
    const completion = await client({ maxRetries: 1 }).chat.completions.create({ model: "any/second-try", messages: HELLO });
    assert.equal(completion.id, "1");
    assert.equal(tries.length, 2);
    // Without the header, the client waits for half a second.
    assert.ok(tries[1] - tries[0] >= 950, `${tries[1] - tries[0]} ms`);
  });
});
