// Access keys: every header that carries one, every form of the variable that lists them, and ways in which a
// careless check would let strangers in.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { call, chatRequest, HELLO } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { startGateway } from "./harness.mjs";
import { startStage } from "./stage.mjs";

const ECHO = "providers: { demo: { adapter: echo, models: { echo: {} } } }";
const NO_KEY = { status: 401, type: "invalid_request_error", code: "invalid_api_key", param: null };

const models = (gateway, headers) => call(`${gateway.url}/v1/models`, { headers });
const bearer = (key) => ({ authorization: `Bearer ${key}` });

async function expectIn(gateway, headers) {
  assert.equal((await models(gateway, headers)).status, 200, JSON.stringify(headers));
}

async function expectOut(gateway, headers) {
  const answer = await models(gateway, headers);
  const error = expectError(answer, NO_KEY);
  assert.match(answer.headers["www-authenticate"], /^Bearer\b/);
  return error;
}

describe("showing a key", () => {
  let stage;
  const KEY = "Alpha-key_0123456789";
  before(async () => {
    stage = await startStage({ bindings: { ACCESS_API_KEYS: KEY } });
  });
  after(() => stage.stop());

  for (const [how, headers] of [
    ["as a bearer", { authorization: `Bearer ${KEY}` }],
    ["as a bearer in lower case", { authorization: `bearer ${KEY}` }],
    ["as a bearer in upper case", { authorization: `BEARER ${KEY}` }],
    ["in x-api-key", { "x-api-key": KEY }],
    ["in api-key", { "api-key": KEY }],
  ]) {
    it(`works ${how}`, () => expectIn(stage.gateway, headers));
  }

  for (const [what, headers] of [
    ["nothing", {}],
    ["an empty header", { authorization: "" }],
    ["a bearer of nothing", { authorization: "Bearer " }],
    ["a bearer without a space", { authorization: `Bearer${KEY}` }],
    ["another scheme", { authorization: `Basic ${KEY}` }],
    ["a prefix of the key", bearer(KEY.slice(0, -1))],
    ["the key and one letter more", bearer(`${KEY}x`)],
    ["the key in another case", bearer(KEY.toLowerCase())],
    ["the key twice", bearer(`${KEY},${KEY}`)],
    ["the key inside other text", bearer(`x ${KEY} x`)],
    ["Bearer twice", bearer(`Bearer ${KEY}`)],
    ["a wrong key in x-api-key", { "x-api-key": "wrong" }],
    ["an empty api-key", { "api-key": "" }],
  ]) {
    it(`fails with ${what}`, () => expectOut(stage.gateway, headers));
  }

  it("is not told back what it tried", async () => {
    const answer = await models(stage.gateway, bearer("a-wrong-secret-of-mine"));
    assert.ok(!answer.text.includes("a-wrong-secret-of-mine"));
    assert.ok(!answer.text.includes(KEY));
  });

  for (const body of ['{"model":"ok"', '{"model":"nobody/nothing","messages":[]}', JSON.stringify({ model: "ok", messages: HELLO })]) {
    it(`comes before everything in the body: ${body.slice(0, 24)}`, async () => {
      const before_ = stage.fake.requests.length;
      expectError(await call(`${stage.gateway.url}/v1/chat/completions`, chatRequest("wrong", body)), NO_KEY);
      assert.equal(stage.fake.requests.length, before_, "the provider was asked");
    });
  }

  it("is asked of a stream with a plain error", async () => {
    expectError(await call(`${stage.gateway.url}/v1/chat/completions`, chatRequest("wrong", { model: "ok", messages: HELLO, stream: true })), NO_KEY);
  });
});

describe("the list of keys", () => {
  for (const { written, keys, strangers } of [
    { written: "alpha-key,beta-key", keys: ["alpha-key", "beta-key"], strangers: ["alpha", "alpha-key,beta-key", ",", "key"] },
    { written: " alpha-key , beta-key,, ", keys: ["alpha-key", "beta-key"], strangers: ["", " ", ","] },
    { written: "single-key", keys: ["single-key"], strangers: ["single", "s"] },
    { written: '["alpha-key","beta-key"]', keys: ["alpha-key", "beta-key"], strangers: ['["alpha-key","beta-key"]', '"alpha-key"', "["] },
    { written: '["one, with comma"]', keys: ["one, with comma"], strangers: ["one", "with comma"] },
    { written: "123456", keys: ["123456"], strangers: ["12345", "1234567", "123456.0", "0123456"] },
    { written: "9007199254740993", keys: ["9007199254740993"], strangers: ["9007199254740992"] },
    { written: '"secret"', keys: ["secret"], strangers: ["s", "secre", "ecret", "", '"secret"'] },
    { written: '{"alice":true,"bob":false}', keys: ["alice", "bob"], strangers: ["true", "false", '{"alice":true,"bob":false}', "ali"] },
  ]) {
    it(`may be written ${written}`, async (t) => {
      const gateway = await startGateway({ config: ECHO, bindings: { ACCESS_API_KEYS: written } });
      t.after(() => gateway.stop());
      for (const key of keys) await expectIn(gateway, { "x-api-key": key });
      for (const key of strangers) await expectOut(gateway, { "x-api-key": key });
    });
  }

  for (const [what, bindings] of [
    ["missing", {}],
    ["empty", { ACCESS_API_KEYS: "" }],
    ["blank", { ACCESS_API_KEYS: " , " }],
    ["an empty JSON list", { ACCESS_API_KEYS: "[]" }],
  ]) {
    it(`locks everyone out when it is ${what}, and says which variable to set`, async (t) => {
      const gateway = await startGateway({ config: ECHO, bindings });
      t.after(() => gateway.stop());
      for (const headers of [{}, bearer(""), bearer("anything"), { "x-api-key": "" }, { "x-api-key": "undefined" }, { "api-key": "null" }]) {
        assert.match((await expectOut(gateway, headers)).message, /ACCESS_API_KEYS/);
      }
      assert.equal((await call(`${gateway.url}/health`)).status, 200);
    });
  }
});

describe("a gateway without keys, for one's own machine", () => {
  let gateway;
  before(async () => {
    gateway = await startGateway({ config: `auth: none\n${ECHO}` });
  });
  after(() => gateway.stop());

  for (const host of ["127.0.0.1", "127.0.0.1:8787", "localhost", "localhost:8787", "[::1]:8787"]) {
    it(`is open when called ${host}`, () => expectIn(gateway, { host }));
  }

  for (const host of ["gateway.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:127", "notlocalhost", "8.8.8.8"]) {
    it(`is closed when called ${host}`, () => expectOut(gateway, { host }));
  }
});
