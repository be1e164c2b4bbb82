// A provider's errors reach callers without the gateway's keys and the provider's address, wherever they
// occur, and by whichever way the provider is called.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { HELLO } from "./client.mjs";
import { startHttpProxy } from "./proxies.mjs";
import { event, json, KEY, PROVIDER_KEY, startScripted, stream } from "./scripted.mjs";
import { closeAll, openSession } from "./socket.mjs";

const HEADER_KEY = "header-secret-0577215664";
const HEADERS = `headers: { x-proxy-key: ${HEADER_KEY} }`;
const ROWS = { hidden: ["openai", HEADERS], checked: ["openai", `relay: checked, ${HEADERS}`], anthropic: ["anthropic", HEADERS], gemini: ["gemini", HEADERS] };
const LOGIN = "proxy-user-2718281828:proxy-word-1618033988";
/** Providers that are called otherwise than directly. */
const WAYS = { far: () => "region: wnam", proxied: (proxy) => `proxy: "http://${LOGIN}@${proxy.host}"` };
const DONE = "data: [DONE]\n\n";

/** What a careless provider says about a key and an address, in all kinds of encodings. */
const indiscretions = (host) => ({
  plain: `wrong key ${PROVIDER_KEY} at http://${host}/v1/x`,
  "in a URL": `https://other.example/?key=${encodeURIComponent(PROVIDER_KEY)}&host=${host}`,
  "in base64": `Basic ${btoa(`user:${PROVIDER_KEY}`)} and ${btoa(PROVIDER_KEY)} and ${btoa(`:${PROVIDER_KEY}:`)}`,
  "in part": `wrong key ${PROVIDER_KEY.slice(0, -3)}... at ${host.toUpperCase()}`,
  "of a header": `wrong x-proxy-key ${HEADER_KEY} or ${HEADER_KEY}`,
  "as JSON within a text": JSON.stringify({ url: `http://${host}/v1`, key: PROVIDER_KEY }).replaceAll("/", "\\/"),
});

// The place of an error in each format: the body, or the frame.
const ERRORS = {
  hidden: (message) => ({ error: { message, type: message, param: message, code: message, metadata: { raw: message, list: [{ [message]: message }] } } }),
  anthropic: (message) => ({ type: "error", error: { type: "api_error", message, details: [message] }, request_id: message }),
  gemini: (message) => ({ error: { code: 500, message, status: "INTERNAL", details: [{ "@type": "x", reason: message }] } }),
};
for (const name of ["checked", ...Object.keys(WAYS)]) ERRORS[name] = ERRORS.hidden;

// The beginning of a stream in each format.
const FIRST = {
  hidden: event({ id: "c", choices: [{ index: 0, delta: { content: "Hi" }, finish_reason: null }] }),
  anthropic:
    event({ type: "message_start", message: { id: "msg_1", type: "message", role: "assistant", model: "c", content: [], usage: { input_tokens: 1, output_tokens: 1 } } }, "message_start") +
    event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }, "content_block_start") +
    event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } }, "content_block_delta"),
  gemini: event({ candidates: [{ index: 0, content: { parts: [{ text: "Hi" }] } }] }),
};
for (const name of ["checked", ...Object.keys(WAYS)]) FIRST[name] = FIRST.hidden;

describe("no secret leaves", () => {
  let stage, proxy;
  before(async () => {
    proxy = await startHttpProxy({ login: LOGIN });
    const ways = Object.entries(WAYS).map(([name, row]) => [name, ["openai", `relay: checked, ${row(proxy)}, ${HEADERS}`]]);
    stage = await startScripted({ rows: { ...ROWS, ...Object.fromEntries(ways) }, top: "regions: { trace: none }" });
  });
  after(async () => {
    closeAll();
    assert.ok(proxy.requests.length > 0, "the proxy was used");
    await stage.stop();
    await proxy.stop();
  });

  function expectDiscreet(text, what) {
    const shown = text.toLowerCase();
    const [host, port] = stage.host.split(":");
    const coded = [0, 1, 2].map((skip) => btoa(PROVIDER_KEY.slice(skip)).slice(4, 20).toLowerCase());
    for (const secret of [...LOGIN.split(":"), btoa(LOGIN), proxy.host, PROVIDER_KEY, PROVIDER_KEY.slice(0, 16), HEADER_KEY, host, `:${port}`, ...coded]) {
      assert.ok(!shown.includes(secret.toLowerCase()), `${secret} in ${what}: ${text}`);
    }
  }

  const everywhere = (act) => async () => {
    for (const [what, message] of Object.entries(indiscretions(stage.host))) await act(message, what);
  };

  for (const name of [...Object.keys(ROWS), ...Object.keys(WAYS)]) {
    // What answers for the provider may be the proxy.
    const also = name === "proxied" ? ` by ${LOGIN} (Basic ${btoa(LOGIN)})` : "";
    const error = (message) => ERRORS[name](message + also);
    const asks = { chat: (fields) => stage.chat(`${name}/m`, fields), message: (fields) => stage.message(`${name}/m`, fields) };

    for (const [client, ask] of Object.entries(asks)) {
      // Between equal formats of the Messages API, bytes pass natively once the response has begun.
      const native = name === "anthropic" && client === "message";

      it(`in a refusal: ${name}, ${client}`, everywhere(async (message, what) => {
        for (const status of [400, 403, 429, 500]) {
          stage.answer(json(status, error(message)));
          const answer = await ask({});
          assert.ok(answer.status >= 400);
          expectDiscreet(answer.text + JSON.stringify(answer.headers), what);
        }
        stage.answer(json(400, error(message)));
        assert.match((await ask({})).text, /\*\*\*/, "something was taken out");
      }));

      it(`in an error within a success: ${name}, ${client}`, everywhere(async (message, what) => {
        stage.answer(json(200, error(message)));
        for (const stream of [false, true]) {
          const answer = await ask({ stream });
          assert.ok(answer.status >= 400);
          expectDiscreet(answer.text, what);
        }
      }));

      it(`in an error that begins a stream: ${name}, ${client}`, everywhere(async (message, what) => {
        stage.answer(stream(event(error(message), "error")));
        const answer = await ask({ stream: true });
        assert.ok(answer.status >= 400);
        expectDiscreet(answer.text, what);
      }));

      if (native) continue;
      it(`in an error in the middle of a stream: ${name}, ${client}`, everywhere(async (message, what) => {
        for (const end of [[], [DONE], [event(error(message), "error")]]) {
          stage.answer(stream(FIRST[name], event(error(message), "error"), ...end));
          const answer = await ask({ stream: true });
          assert.equal(answer.status, 200);
          assert.match(answer.text, /"error"/);
          expectDiscreet(answer.text, what);
          stage.answer(stream(FIRST[name], event(error(message), "error").trimEnd()));
          expectDiscreet((await ask({ stream: true })).text, what);
        }
      }));
    }
  }

  it("in the refusal of a place", everywhere(async (message, what) => {
    const refusal = json(403, { error: { message: `Country, region, or territory not supported. ${message}`, type: "request_forbidden", code: "unsupported_country_region_territory" } });
    for (const name of ["hidden", "far", "proxied"]) {
      stage.answer(refusal);
      for (const ask of [stage.chat, stage.message]) {
        const answer = await ask(`${name}/m`);
        assert.match(answer.text, /`region` of this provider/);
        expectDiscreet(answer.text + JSON.stringify(answer.headers), what);
      }
    }
  }));

  it("in the error of a single choice", everywhere(async (message, what) => {
    const failed = event({ id: "c", choices: [{ index: 0, delta: {}, finish_reason: "error", error: { message } }] });
    stage.answer(stream(FIRST.hidden, failed, DONE));
    for (const ask of [stage.chat, stage.message]) expectDiscreet((await ask("checked/m", { stream: true })).text, what);
  }));

  it("in errors of embeddings and counts", everywhere(async (message, what) => {
    for (const name of ["hidden", "gemini", "anthropic"]) {
      for (const status of [200, 400, 403]) {
        stage.answer(json(status, ERRORS[name](message)));
        if (name !== "anthropic") expectDiscreet((await stage.post("/v1/embeddings", { model: `${name}/m`, input: "x" })).text, what);
        if (name !== "hidden") expectDiscreet((await stage.post("/v1/messages/count_tokens", { model: `${name}/m`, messages: HELLO })).text, what);
      }
    }
  }));

  it("in a frame of a WebSocket", everywhere(async (message, what) => {
    for (const model of ["checked/m", "gemini/m"]) {
      const name = model.split("/")[0];
      for (const play of [stream(FIRST[name], event(ERRORS[name](message), "error")), json(500, ERRORS[name](message))]) {
        stage.answer(play);
        const socket = await openSession(stage.gateway.url, { key: KEY });
        socket.chat({ model, stream: true }, { id: "a" });
        const frames = await socket.answer("a");
        assert.equal(frames.at(-1).type, "error");
        expectDiscreet(socket.texts.join(""), what);
        socket.close();
      }
    }
  }));

  it("in what a header says of the time to wait: digits or a date pass, and nothing else", async () => {
    const refuse = (headers) => stage.answer(json(429, { error: { message: "slow down" } }, headers));
    for (const value of ["7", "0", "Sun, 06 Nov 1994 08:49:37 GMT"]) {
      refuse({ "retry-after": value });
      assert.equal((await stage.chat("hidden/m")).headers["retry-after"], value);
    }
    refuse({ "retry-after-ms": "1500" });
    assert.equal((await stage.chat("hidden/m")).headers["retry-after-ms"], "1500");
    for (const value of [PROVIDER_KEY, `7; key=${PROVIDER_KEY}`, "soon", "-1", "1.5", "9".repeat(400), "Sun, 06 Nov 1994 08:49:37 GMT x", "\u00e9\u00ff"]) {
      for (const name of ["retry-after", "retry-after-ms"]) {
        refuse({ [name]: value });
        const answer = await stage.chat("hidden/m");
        assert.deepEqual({ status: answer.status, header: answer.headers[name] }, { status: 429, header: undefined }, value);
      }
    }
  });
});
