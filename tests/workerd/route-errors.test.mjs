// What the caller of a route is told when no target helps: one error, one waiting time, and whether to come
// again.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { APIError } from "openai";
import { HELLO, soon } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { OFFICE, Office } from "./office.mjs";
import { cut, ok, refuse, refuseRaw, refusing, stream } from "./route-behaviours.mjs";
import { ERROR_EVENTS, REFUSALS } from "./route-speech.mjs";
import { KEY, RouteStage } from "./route-stage.mjs";

const withHeaders = ([status, body], headers) => refuse(status, body, headers);
/** Official SDKs come again for waits up to this length. */
const OBEYED_MS = 60_000;
/** The time that a test may take between two looks at the clock. */
const SLACK_MS = 25_000;

const stage = new RouteStage({ bindings: OFFICE });
let office;
before(async () => {
  await stage.start();
  office = new Office(stage.gateway.url);
});
after(() => stage.stop());

/** How long a response asks to wait, as official SDKs read it, in milliseconds. */
function waitOf({ headers }) {
  const [ms, seconds] = [headers["retry-after-ms"], headers["retry-after"]];
  if (ms !== undefined) return Number(ms);
  if (seconds === undefined) return undefined;
  return /^\d/.test(seconds) ? Number(seconds) * 1000 : Date.parse(seconds) - Date.now();
}

describe("a waiting time", { concurrency: 8 }, () => {
  const S = 1000;
  const MIN = 60 * S;
  const HOUR = 60 * MIN;
  const in_ = (ms) => new Date(Date.now() + ms);
  const openai = (message, type = "requests") => JSON.stringify({ error: { message, type, param: null, code: "rate_limit_exceeded" } });
  const PLAIN = openai("Rate limit reached.");
  const anthropic = (message = "This request would exceed your organization's rate limit.") => JSON.stringify({ type: "error", error: { type: "rate_limit_error", message } });
  const gemini = (message, ...details) => JSON.stringify({ error: { code: 429, message, status: "RESOURCE_EXHAUSTED", details } });
  const retryInfo = (retryDelay) => ({ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay });
  const perMinute = { "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations: [{ quotaId: "GenerateRequestsPerMinutePerProjectPerModel" }] };
  const openrouter = (message, metadata, code = 429) => JSON.stringify({ error: { code, message, metadata } });

  // Each form: what the provider says after its status, and the wait in milliseconds. A date passes while the
  // test runs.
  const FORMS = [
    ["retry-after-ms", "openai", () => [["retry-after-ms: 1500"], PLAIN], 1_500],
    ["retry-after-ms with a fraction", "openai", () => [["Retry-After-Ms: 1500.5"], PLAIN], 1_501],
    ["seconds", "anthropic", () => [["Retry-After: 2"], anthropic()], 2 * S],
    ["no seconds", "openai", () => [["Retry-After: 0"], PLAIN], 0],
    ["half a second", "deepseek", () => [["retry-after: 0.5"], PLAIN], 500],
    ["a day", "openai", () => [["retry-after: 86400"], PLAIN], 24 * HOUR],
    ["a date", "openrouter", () => [[`Retry-After: ${in_(30 * S).toUTCString()}`], openrouter("Rate limited")], 30 * S, true],
    ["a date that has passed", "openai", () => [[`Retry-After: ${in_(-30 * S).toUTCString()}`], PLAIN], 0],
    ...[["6m0s", 6 * MIN], ["1s", S], ["100ms", 100], ["7.66s", 7_660], ["1h2m3s", HOUR + 2 * MIN + 3 * S], ["2m59.56s", 2 * MIN + 59_560]].map(([text, ms]) => [
      `the reset of an exhausted limit, ${text}`,
      "openai",
      () => [["x-ratelimit-limit-requests: 60", "x-ratelimit-remaining-requests: 0", `x-ratelimit-reset-requests: ${text}`, "x-ratelimit-remaining-tokens: 5000", "x-ratelimit-reset-tokens: 9h0m0s"], PLAIN],
      ms,
    ]),
    ["the reset in plain seconds", "openai", () => [["x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 34"], PLAIN], 34 * S],
    ["the reset in seconds with a fraction", "openai", () => [["x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 59.7"], PLAIN], 59_700],
    ["a window of a minute without a reset", "openai", () => [["x-ratelimit-limit-req-minute: 60", "x-ratelimit-remaining-req-minute: 0"], JSON.stringify({ object: "error", message: "Rate limit exceeded", type: "rate_limited", param: null, code: "1300" })], MIN],
    ["a reset in epoch milliseconds", "openrouter", () => [["X-RateLimit-Limit: 20", "X-RateLimit-Remaining: 0", `X-RateLimit-Reset: ${in_(40 * S).getTime()}`], openrouter("Rate limit exceeded")], 40 * S, true],
    ["a reset in RFC 3339", "anthropic", () => [["anthropic-ratelimit-requests-remaining: 0", `anthropic-ratelimit-requests-reset: ${in_(40 * S).toISOString().replace(/\.\d+/, "")}`], anthropic()], 40 * S, true],
    ["a reset of a plan's window", "anthropic", () => [["anthropic-ratelimit-unified-5h-status: rejected", `anthropic-ratelimit-unified-5h-reset: ${Math.ceil(in_(40 * S).getTime() / 1000)}`], anthropic()], 40 * S, true],
    ["RetryInfo in seconds", "gemini", () => [[], gemini("Quota exceeded.", retryInfo("36s"))], 36 * S],
    ["RetryInfo with a fraction", "gemini", () => [[], gemini("Quota exceeded.", perMinute, retryInfo("34.074824224s"))], 34_075],
    ["RetryInfo in milliseconds", "gemini", () => [[], gemini("Quota exceeded.", retryInfo("900ms"))], 900],
    ["a quota of a minute without a delay", "gemini", () => [[], gemini("Quota exceeded.", perMinute)], MIN],
    ["a text of Gemini's", "gemini", () => [[], gemini("Please retry in 36.429760048s.")], 36_430],
    ["a long text of Gemini's", "gemini", () => [[], gemini("Please retry in 10h17m5.7s.")], 10 * HOUR + 17 * MIN + 5_700],
    ["a text of OpenAI's", "openai", () => [[], openai("Rate limit reached for gpt-4.1 on tokens per min (TPM): Limit 30000, Used 29000, Requested 3000. Please try again in 5.289s.")], 5_289],
    ["a text of Groq's", "openai", () => [[], openai("Rate limit reached. Please try again in 6m0s.")], 6 * MIN],
    ["a text of Azure's", "openai", () => [[], openai("Requests have exceeded the rate limit. Please retry after 37 seconds.")], 37 * S],
    ["a text with a date", "openai", () => [[], openai(`Your limit will reset at ${in_(40 * S).toISOString().slice(0, 19).replace("T", " ")}`)], 40 * S, true],
    ["a text in minutes", "openai", () => [[], openai("Usage limit reached. Try again in ~162 min.")], 162 * MIN],
    ["resets_in_seconds", "openai", () => [[], JSON.stringify({ error: { type: "rate_limit_exceeded", message: "The usage limit has been reached", resets_in_seconds: 41 } })], 41 * S],
    ["resets_at", "openrouter", () => [[], openrouter("Limit reached", { resets_at: Math.ceil(in_(40 * S).getTime() / 1000) })], 40 * S, true],
  ];
  // Of two that disagree, the more exact counts.
  const DISAGREEING = [
    ["retry-after-ms before retry-after", "openai", () => [["retry-after: 20", "retry-after-ms: 1500"], PLAIN], 1_500],
    ["a header before the body's delay", "gemini", () => [["retry-after: 7"], gemini("Please retry in 36s.", retryInfo("36s"))], 7 * S],
    ["the body's delay before its text", "gemini", () => [[], gemini("Please retry in 34s.", retryInfo("12s"))], 12 * S],
    ["a text before the reset of a limit", "openai", () => [["x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 20s"], openai("Please try again in 5s.")], 5 * S],
    ["a header before the reset of a limit", "anthropic", () => [["retry-after: 3", "anthropic-ratelimit-requests-remaining: 0", `anthropic-ratelimit-requests-reset: ${in_(HOUR).toISOString()}`], anthropic()], 3 * S],
    ["the exhausted of two limits", "openai", () => [["x-ratelimit-remaining-requests: 9", "x-ratelimit-reset-requests: 2s", "x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 11s"], PLAIN], 11 * S],
  ];

  for (const [what, kind, said, wanted, passes] of [...FORMS, ...DISAGREEING]) {
    const scene = stage.scene({ first: kind, second: "deepseek" }, "attempts: 2");

    it(`is told whatever its form: ${what}`, async () => {
      scene.first.plays((exchange) => refuseRaw(429, ...said())(exchange));
      scene.second.plays(refusing(REFUSALS.deepseek.credential));
      const { answer, classes } = await scene.chat();
      assert.deepEqual(scene.calls, [1, 1]);
      assert.deepEqual(classes, ["rate", "credential"]);
      assert.equal(answer.status, 429, answer.text);
      const wait = waitOf(answer);
      // Whole seconds are rounded up; a date has whole seconds, and its time runs.
      const [least, most] = [passes ? wanted - SLACK_MS : wanted, wanted + (passes ? 2 * S : S - 1)];
      assert.ok(wait <= 0 ? wanted === 0 || least <= 0 : wait >= least && wait <= Math.max(most, S), `${wait} ms of ${wanted}: ${JSON.stringify(answer.headers)}`);
      assert.equal(answer.headers["x-should-retry"], wanted > OBEYED_MS ? "false" : undefined);
    });
  }

  const unsaid = stage.scene({ first: "gemini", second: "deepseek" }, "attempts: 2");

  it("is not made up", async () => {
    unsaid.first.plays(refuse(429, { error: { code: 429, message: "Resource has been exhausted (e.g. check quota).", status: "RESOURCE_EXHAUSTED" } }));
    unsaid.second.plays(refusing(REFUSALS.deepseek.credential));
    const { answer } = await unsaid.chat();
    assert.deepEqual([answer.status, waitOf(answer), answer.headers["x-should-retry"]], [429, undefined, undefined], answer.text);
  });
});

describe("the error of a plan that failed", { concurrency: 8 }, () => {
  const { openai, anthropic, gemini, deepseek } = REFUSALS;

  // Two targets in their order, the status that is told, the index of the target whose words are told, the
  // wait, and whether a retry may help.
  for (const [what, one, other, status, told, wait, helps] of [
    ["a limit, not a refused key", deepseek.credential, anthropic.rate, 429, 1, 17_000, true],
    ["a limit, not money", anthropic.quota, openai.rate, 429, 1, 20_000, true],
    ["the shorter of two limits", openai.rate, anthropic.rate, 429, 1, 17_000, true],
    ["a limit, not a busy host", anthropic.overload, openai.rate, 429, 1, 20_000, true],
    ["what the caller can mend", anthropic.overload, openai.caller, 400, 1, undefined, false],
    ["a prompt that is too long", anthropic.overload, openai.context, 400, 1, undefined, false],
    ["a busy host, not one that is down", gemini.overload, [522, "error code: 522"], 503, 0, undefined, true],
    ["money that is gone, not a refused key", openai.quota, anthropic.credential, 429, 0, undefined, false],
    ["a region, not a refused key", gemini.credential, openai.region, 403, 1, undefined, false],
  ]) {
    for (const turned of [false, true]) {
      // A cause that stops the plan comes last.
      if (turned && status === 400) continue;
      const kinds = [one, other].map((refusal) => Object.keys(REFUSALS).find((kind) => Object.values(REFUSALS[kind]).includes(refusal)) ?? "openai");
      const pairs = [[one, kinds[0]], [other, kinds[1]]];
      const [[first, firstKind], [second, secondKind]] = turned ? pairs.reverse() : pairs;
      const scene = stage.scene({ first: firstKind, second: secondKind }, "attempts: 2");

      it(`is the most useful one: ${what}${turned ? ", in the other order" : ""}`, async () => {
        scene.first.plays(refusing(first));
        scene.second.plays(refusing(second));
        const { answer, end } = await scene.chat();
        assert.deepEqual(scene.calls, [1, 1]);
        assert.equal(answer.status, status, answer.text);
        const { message } = answer.json().error;
        assert.ok(message.startsWith([one, other][told][1].error?.message ?? ""), message);
        assert.equal(waitOf(answer), wait, JSON.stringify(answer.headers));
        assert.equal(answer.headers["x-should-retry"], helps ? undefined : "false");
        assert.deepEqual([end.event, end.outcome, end.status], ["request_error", "refused", status]);
      });
    }
  }

  const least = stage.scene({ first: "openai", second: "anthropic", third: "gemini" });

  it("asks to wait for the first target that comes back, whichever error is told", async () => {
    least.first.plays(refusing(openai.rate));
    least.second.plays(withHeaders(anthropic.overload, { "retry-after": "3" }));
    least.third.plays(withHeaders(gemini.overload, { "retry-after": "30" }));
    const { answer } = await least.chat();
    assert.deepEqual(least.calls, [1, 1, 1]);
    assert.equal(answer.status, 429, answer.text);
    assert.equal(waitOf(answer), 3_000, JSON.stringify(answer.headers));
  });

  const keys = stage.scene({ first: "openai", second: "anthropic" });

  it("says of refused keys that they are the gateway's, and that no retry helps", async () => {
    keys.first.plays(refusing(openai.credential));
    keys.second.plays(refusing(anthropic.credential));
    const { answer } = await keys.chat();
    expectError(answer, { status: 502, code: "upstream_credentials_refused" });
    assert.equal(answer.headers["x-should-retry"], "false");
    assert.deepEqual(keys.calls, [1, 1]);
  });

  const messages = stage.scene({ first: "openai", second: "gemini" });

  it("is in the caller's own format", async () => {
    messages.first.plays(refusing(openai.overload));
    messages.second.plays(refusing(gemini.rate));
    const { answer } = await messages.message();
    assert.equal(answer.status, 429, answer.text);
    assert.deepEqual([answer.json().type, answer.json().error.type], ["error", "rate_limit_error"]);
    assert.equal(waitOf(answer), 35_000);
  });

  const shown = stage.scene({ first: "openai", second: "anthropic", third: "gemini" });

  it("names the attempts for a key that may see them, and so does a good answer", async () => {
    const key = await office.key("route-errors-shown", { show_attempts: true });
    const refused = [[shown.first, openai.overload], [shown.second, anthropic.rate], [shown.third, gemini.overload]];
    for (const [provider, refusal] of refused) provider.plays(refusing(refusal));
    const { answer: bad } = await shown.chat({}, { key });
    assert.equal(bad.headers["x-llm-bridge-attempts"], `${shown.target("first")} overload, ${shown.target("second")} rate, ${shown.target("third")} overload`);
    shown.third.plays(ok());
    const { answer: good } = await shown.chat({}, { key });
    assert.match(good.headers["x-llm-bridge-attempts"], new RegExp(`${shown.target("third")}$`));
    const { answer: other } = await shown.chat();
    assert.equal(other.headers["x-llm-bridge-attempts"], undefined);
  });
});

describe("a wait", { concurrency: 8 }, () => {
  const soonAgain = withHeaders(REFUSALS.openai.rate, { "retry-after": "1" });
  const waiting = stage.scene({ first: "openai" }, "attempts: 2");

  it("is the gateway's, if nothing else is left and it fits the request's time", async () => {
    waiting.first.plays(soonAgain, ok());
    const result = await waiting.chat();
    waiting.expectServed(result, "first", [2]);
    assert.ok(result.end.duration_ms >= 1_000, `${result.end.duration_ms} ms`);
  });

  const repeated = stage.scene({ first: "openai" }, "attempts: 2");

  it("is left to a client that has come again by itself", async () => {
    repeated.first.plays(soonAgain, ok());
    const { answer } = await repeated.chat({}, { headers: { "x-stainless-retry-count": "1" } });
    assert.equal(answer.status, 429, answer.text);
    assert.equal(waitOf(answer), 1_000);
    assert.deepEqual(repeated.calls, [1]);
  });

  const short = stage.scene({ first: { kind: "openai", row: "clocks: { total: 20 }" } }, "attempts: 2");

  it("is not begun if it is longer than the request's time", async () => {
    short.first.plays(withHeaders(REFUSALS.openai.rate, { "retry-after": "30" }), ok());
    const { answer, end } = await short.chat();
    assert.equal(answer.status, 429, answer.text);
    assert.equal(waitOf(answer), 30_000);
    assert.deepEqual(short.calls, [1]);
    assert.ok(end.duration_ms < 15_000, `${end.duration_ms} ms`);
  });

  const elsewhere = stage.scene({ first: "openai", second: "anthropic" });

  it("is not begun while another target is left", async () => {
    elsewhere.first.plays(withHeaders(REFUSALS.openai.rate, { "retry-after": "30" }));
    const result = await elsewhere.chat();
    elsewhere.expectServed(result, "second", [1, 1]);
    assert.ok(result.end.duration_ms < 15_000, `${result.end.duration_ms} ms`);
  });
});

describe("the official clients", { concurrency: 8 }, () => {
  const openai = () => new OpenAI({ baseURL: stage.url("/v1"), apiKey: KEY });
  const anthropic = () => new Anthropic({ baseURL: stage.gateway.url, apiKey: KEY });
  const CLIENTS = {
    openai: {
      whole: async (model) => (await openai().chat.completions.create({ model, messages: HELLO })).choices[0].message.content,
      streamed: async (model) => {
        const chunks = await Array.fromAsync(await openai().chat.completions.create({ model, messages: HELLO, stream: true }));
        return chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
      },
      error: APIError,
    },
    anthropic: {
      whole: async (model) => (await anthropic().messages.create({ model, max_tokens: 100, messages: HELLO })).content[0].text,
      streamed: async (model) => (await anthropic().messages.stream({ model, max_tokens: 100, messages: HELLO }).finalMessage()).content[0].text,
      error: Anthropic.APIError,
    },
  };

  for (const [name, client] of Object.entries(CLIENTS)) {
    for (const form of ["whole", "streamed"]) {
      for (const [what, behaviour] of [
        ["a refusal", refusing(REFUSALS.gemini.overload)],
        ["a broken connection", cut],
        ["an error event", stream(ERROR_EVENTS.gemini.overload)],
      ]) {
        const scene = stage.scene({ first: "gemini", second: name === "openai" ? "anthropic" : "openai" });

        it(`see one good answer: ${name}, ${form}, after ${what}`, async () => {
          scene.first.plays(form === "whole" && what === "an error event" ? refusing(REFUSALS.gemini.rate) : behaviour);
          assert.equal(await soon(client[form](scene.route), "the answer"), `said by ${scene.second.name}`);
          assert.deepEqual(scene.calls, [1, 1]);
        });
      }

      const failing = stage.scene({ first: "openai", second: "gemini" });

      it(`see one good error and do not come again where it cannot help: ${name}, ${form}`, async () => {
        failing.first.plays(refusing(REFUSALS.openai.quota));
        failing.second.plays(refusing(REFUSALS.gemini.credential));
        const fault = await soon(client[form](failing.route), "the error").then(() => assert.fail("no error"), (reason) => reason);
        assert.ok(fault instanceof client.error, `${fault}`);
        assert.equal(fault.status, 429);
        assert.match(fault.message, /exceeded your current quota/);
        assert.deepEqual(failing.calls, [1, 1]);
      });
    }

    const busy = stage.scene({ first: "openai" }, "attempts: 2");

    it(`come again by themselves, and the gateway adds nothing to it: ${name}`, async () => {
      // Each of the client's three tries is one call: the first is followed by one of the gateway's own.
      busy.first.plays(withHeaders(REFUSALS.openai.rate, { "retry-after": "1" }));
      const fault = await soon(client.whole(busy.route), "the error").then(() => assert.fail("no error"), (reason) => reason);
      assert.equal(fault.status, 429);
      assert.deepEqual(busy.calls, [4]);
    });
  }
});
