// The gateway's surface: its paths and methods, and the headers of every response, however it ends.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { call, chatRequest, HELLO } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { KEY, startStage } from "./stage.mjs";

const CHAT = "/v1/chat/completions";
const READABLE = ["/health", "/v1/models", "/v1/models/openai/ok"];
const DASHED_UUID_OR_ALIKE = /^[A-Za-z0-9._:-]{1,128}$/;

describe("the surface", () => {
  let stage;
  before(async () => {
    stage = await startStage();
  });
  after(() => stage.stop());

  describe("paths", () => {
    for (const path of [CHAT, "/chat/completions"]) {
      it(`serves a chat at ${path}`, async () => {
        const answer = await call(stage.gateway.url + path, chatRequest(KEY, { model: "ok", messages: HELLO }));
        assert.equal(answer.status, 200);
        assert.equal(answer.json().object, "chat.completion");
      });
    }

    it("lists models at both paths alike", async () => {
      const [long, short] = await Promise.all([stage.request("/v1/models"), stage.request("/models")]);
      assert.equal(long.status, 200);
      assert.deepEqual(short.json().data.map(({ id }) => id), long.json().data.map(({ id }) => id));
      assert.notEqual(long.json().data.length, 0);
    });

    it("retrieves a model at both paths", async () => {
      for (const path of ["/v1/models/openai/ok", "/models/openai/ok"]) {
        assert.equal((await stage.request(path)).json().id, "openai/ok");
      }
    });

    it("says that it is healthy without being shown a key", async () => {
      assert.equal((await call(`${stage.gateway.url}/health`)).status, 200);
    });

    it("finds a route in spite of a query", async () => {
      const answer = await call(`${stage.gateway.url}${CHAT}?api-version=2026-10-01`, chatRequest(KEY, { model: "ok", messages: HELLO }));
      assert.equal(answer.status, 200);
    });

    it("says at the base URL that the gateway is there", async () => {
      for (const path of ["/", "//", "/v1", "/v1/", "/api/hello"]) {
        const answer = await call(`${stage.gateway.url}${path}`);
        assert.deepEqual([answer.status, answer.json()], [200, { status: "ok" }], path);
        assert.equal((await call(`${stage.gateway.url}${path}`, { method: "HEAD" })).status, 200, path);
      }
      expectError(await stage.request("/v1", { method: "POST" }), { status: 404, type: "invalid_request_error", code: "unknown_url", param: null });
    });

    it("passes over empty segments of a path, and still asks for the key that it needs", async () => {
      for (const path of ["//v1/models", "/v1//models", "//models", "/v1beta//models"]) assert.equal((await stage.request(path)).status, 200, path);
      const chat = await call(`${stage.gateway.url}//v1//chat/completions`, chatRequest(KEY, { model: "ok", messages: HELLO }));
      assert.equal(chat.status, 200);
      const admin = await stage.request("//admin//api/keys");
      assert.deepEqual([admin.status, admin.headers["cache-control"]], [401, "no-store"]);
    });

    it("passes over a byte order mark before a request", async () => {
      const request = chatRequest(KEY, { model: "ok", messages: HELLO });
      const answer = await call(`${stage.gateway.url}${CHAT}`, { ...request, body: `\ufeff${request.body}` });
      assert.equal(answer.status, 200);
      assert.equal(stage.fake.last().request.model, "ok");
    });

    for (const path of ["/v2/chat/completions", "/v1/chat", "/v1/chat/completions/more", "/v1/unheard-of", "/healthy", "/favicon.ico"]) {
      it(`knows nothing at ${path}`, async () => {
        for (const method of ["GET", "POST"]) {
          const answer = await stage.request(path, { method });
          expectError(answer, { status: 404, type: "invalid_request_error", code: "unknown_url", param: null });
        }
      });
    }
  });

  describe("methods", () => {
    for (const [method, path, allowed] of [
      ["GET", CHAT, "POST"],
      ["PUT", CHAT, "POST"],
      ["DELETE", CHAT, "POST"],
      ["GET", "/v1/embeddings", "POST"],
      ["PUT", "/completions", "POST"],
      ["PUT", "/v1/responses", "POST"],
      ["GET", "/v1/responses/input_tokens", "POST"],
      ["POST", "/v1/models", "GET"],
      ["DELETE", "/v1/models/openai/ok", "GET"],
      ["PATCH", "/models", "GET"],
      ["POST", "/health", "GET"],
    ]) {
      it(`refuses ${method} on ${path} and says what is allowed`, async () => {
        const answer = await stage.request(path, { method });
        expectError(answer, { status: 405, type: "invalid_request_error", code: "method_not_allowed", param: null });
        assert.ok(answer.headers.allow.split(/, */).includes(allowed), answer.headers.allow);
      });
    }

    for (const path of READABLE) {
      it(`answers HEAD on ${path} as GET, without a body`, async () => {
        const [head, get] = await Promise.all([stage.request(path, { method: "HEAD" }), stage.request(path)]);
        assert.equal(head.status, 200);
        assert.equal(get.status, 200);
        assert.equal(head.headers["content-type"], get.headers["content-type"]);
        assert.equal(head.bytes.length, 0);
        assert.notEqual(get.bytes.length, 0);
      });
    }

    it("refuses HEAD where GET is refused", async () => {
      assert.equal((await stage.request(CHAT, { method: "HEAD" })).status, 405);
    });

    for (const path of [CHAT, "/chat/completions", "/v1/embeddings", "/completions", "/v1/messages/count_tokens", "/v1/responses", "/v1beta/models/openai/ok:generateContent", ...READABLE]) {
      it(`answers OPTIONS on ${path} without a key`, async () => {
        const answer = await call(stage.gateway.url + path, { method: "OPTIONS" });
        assert.equal(answer.status, 204);
        assert.equal(answer.bytes.length, 0);
      });
    }
  });

  describe("request ids", () => {
    const idFor = async (id) => (await stage.request("/v1/models", { headers: id === undefined ? {} : { "x-request-id": id } })).headers["x-request-id"];

    for (const id of ["7", "req_ABC-123.4:5", "a".repeat(128)]) {
      it(`keeps the caller's ${id.length > 40 ? `${id.length} characters` : id}`, async () => {
        assert.equal(await idFor(id), id);
      });
    }

    for (const [what, id] of [
      ["an empty one", ""],
      ["one of 129 characters", "a".repeat(129)],
      ["one with a space", "a b"],
      ["one with a slash", "a/b"],
      ["one beyond ASCII", "caf\u00e9"],
      ["one with markup", "<script>"],
    ]) {
      it(`replaces ${what}`, async () => {
        const given = await idFor(id);
        assert.notEqual(given, id);
        assert.match(given, DASHED_UUID_OR_ALIKE);
      });
    }

    it("makes a new one each time", async () => {
      const ids = await Promise.all(Array.from({ length: 20 }, () => idFor()));
      assert.equal(new Set(ids).size, 20);
      for (const id of ids) assert.match(id, DASHED_UUID_OR_ALIKE);
    });

    it("keeps its own where the provider sends another", async () => {
      for (const stream of [false, true]) {
        const answer = await stage.ask("ok", { stream }, { "x-request-id": "mine" });
        assert.equal(answer.headers["x-request-id"], "mine");
      }
    });

    it("puts one on every kind of answer", async () => {
      const answers = await Promise.all([
        stage.request("/health"),
        stage.request("/nowhere"),
        stage.request("/v1/models", { method: "OPTIONS" }),
        stage.request("/v1/models", { headers: { authorization: "Bearer wrong-key" } }),
        stage.post("{"),
        stage.ask("any/err-500"),
        stage.ask("ok", { stream: true }),
      ]);
      for (const { headers } of answers) assert.match(headers["x-request-id"], DASHED_UUID_OR_ALIKE);
    });
  });

  describe("a browser's questions", () => {
    it("are answered for every origin by default, well or badly", async () => {
      const headers = { origin: "https://anywhere.example" };
      const answers = await Promise.all([
        stage.ask("ok", {}, headers),
        stage.ask("ok", { stream: true }, headers),
        stage.ask("any/err-429", {}, headers),
        stage.post("{", headers),
        stage.request("/v1/models", { headers: { ...headers, authorization: "Bearer wrong-key" } }),
        stage.request("/nowhere", { headers }),
        stage.request("/health", { headers }),
      ]);
      for (const answer of answers) {
        assert.equal(answer.headers["access-control-allow-origin"], "*");
        assert.equal(answer.headers["access-control-expose-headers"], "*");
      }
    });

    it("have no such headers where no browser asks, unless a cache may keep the response for one", async () => {
      const named = (answer) => Object.keys(answer.headers).filter((name) => name.startsWith("access-control-") || name === "vary");
      const unasked = [await stage.ask("ok"), await stage.ask("ok", { stream: true }), await stage.ask("any/err-429"), await stage.post("{"), await stage.request("/nowhere", { method: "POST" })];
      for (const answer of unasked) assert.deepEqual(named(answer), [], answer.text);
      for (const path of ["/v1/models", "/health"]) {
        const answer = await stage.request(path);
        assert.equal(answer.headers["access-control-allow-origin"], "*", path);
      }
    });

    it("are answered in advance: method, headers, and for how long", async () => {
      const answer = await call(stage.gateway.url + CHAT, {
        method: "OPTIONS",
        headers: {
          origin: "https://anywhere.example",
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization,content-type,x-stainless-lang",
        },
      });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers["access-control-allow-origin"], "*");
      assert.match(answer.headers["access-control-allow-methods"], /\bPOST\b/);
      const allowed = answer.headers["access-control-allow-headers"].toLowerCase().split(/, */);
      assert.deepEqual(allowed, ["authorization", "content-type", "x-stainless-lang"]);
      assert.ok(Number(answer.headers["access-control-max-age"]) > 0);
    });
  });
});

describe("a gateway for two origins", () => {
  let stage;
  const config = (fake) => `
default_provider: openai
cors: { origins: ["https://app.example", "https://other.example"] }
providers:
  openai: { base_url: "${fake.base}", models: { ok: {} } }
`;
  before(async () => {
    stage = await startStage({ config });
  });
  after(() => stage.stop());

  for (const origin of ["https://app.example", "https://other.example"]) {
    it(`lets ${origin} in by name`, async () => {
      for (const answer of [await stage.ask("ok", {}, { origin }), await stage.request("/v1/models", { method: "OPTIONS", headers: { origin } })]) {
        assert.equal(answer.headers["access-control-allow-origin"], origin);
        assert.match(answer.headers.vary, /\borigin\b/i);
      }
    });
  }

  for (const origin of ["https://evil.example", "http://app.example", "https://app.example.evil.example", "https://app.example:8443", "null"]) {
    it(`names no origin to ${origin}`, async () => {
      for (const answer of [await stage.ask("ok", {}, { origin }), await stage.request("/v1/models", { method: "OPTIONS", headers: { origin } })]) {
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
      }
    });
  }

  it("still serves callers that name no origin", async () => {
    const answer = await stage.ask("ok");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["access-control-allow-origin"], undefined);
    assert.equal(answer.headers.vary, undefined);
    const models = await stage.request("/v1/models");
    assert.equal(models.headers["access-control-allow-origin"], undefined);
    assert.match(models.headers.vary, /\borigin\b/i, "a cache must not give it to a page");
  });
});
