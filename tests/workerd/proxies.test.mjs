// Calls through proxies: by real ones from npm, and by ones that fail; to a provider over TLS.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { chunk, DONE, event } from "./behaviours.mjs";
import { until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { suitesOf } from "./proxies.mjs";
import { LOGIN, named, startProxyStage } from "./proxy-stage.mjs";
import { closeAll, openSession } from "./socket.mjs";
import { ASKING, freshId, KEY, PROVIDER_KEY } from "./stage.mjs";
import { stopClock } from "./timed.mjs";

const WAYS = ["http", "http-login", "https", "https-login", "hasty", "socks", "socks-login", "plain-http", "plain-http-login", "plain-https-login", "plain-socks", "plain-socks-login", "tls 1.2", "rsa", "another curve"];
const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

describe("a call through a proxy", { concurrency: 4 }, () => {
  let stage;
  before(async () => void (stage = await startProxyStage({ faults: [] })));
  after(async () => {
    closeAll();
    await stage.stopAll();
  });

  for (const way of WAYS) {
    it(`is one like any other: ${way}`, async () => {
      const model = `${named(way)}-model`;
      stage.fake.behave(model, stage.fake.behaviour("ok"));
      const { answer, record, end } = await stage.watch(`${named(way)}/${model}`);
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(answer.bytes, Buffer.concat(record.sent));
      assert.equal(record.headers.authorization, `Bearer ${PROVIDER_KEY}`);
      assert.match(record.headers.host, /^(localhost|127\.0\.0\.1):\d+$/);
      assert.equal(record.headers["content-length"], String(record.body.length));
      assert.equal(record.headers["proxy-authorization"], undefined);
      assert.equal(end.event, "request_complete");
    });

    it(`streams: ${way}`, async () => {
      const model = `${named(way)}-stream`;
      stage.fake.behave(model, stage.fake.behaviour("ok"));
      const answer = await stage.openStream(`${named(way)}/${model}`, ASKING);
      assert.equal(answer.status, 200);
      const bytes = await answer.rest();
      assert.equal(bytes.toString(), Buffer.concat(stage.fake.of(model).sent).toString());
    });
  }

  it("asks the proxy for the provider's host by its name, and shows it nothing else", async () => {
    await stage.ask("http/ok");
    await stage.ask("socks/ok");
    const host = `localhost:${stage.tls.ec.port}`;
    const { method, url, headers } = stage.proxies.http.requests.findLast(({ url }) => url === host);
    assert.deepEqual({ method, url }, { method: "CONNECT", url: host });
    assert.ok(!JSON.stringify(headers).includes(PROVIDER_KEY));
    assert.ok(stage.proxies.socks.targets.includes(host));
    assert.ok(stage.tls.ec.handshakes.every(({ name }) => name === "localhost"), "the name is sent");
  });

  it("asks an HTTP proxy for the whole address of a provider without TLS", async () => {
    assert.equal((await stage.ask("plain-http/ok")).status, 200);
    const last = stage.proxies.http.requests.findLast(({ method }) => method === "POST");
    assert.equal(last.url, `${stage.fake.base}/chat/completions`);
  });

  for (const kind of ["seldom called", "seldom called over tls 1.2"]) {
    it(`resumes a session: ${kind}`, async () => {
      for (let round = 0; round < 3; round++) assert.equal((await stage.ask(`${named(kind)}/ok`)).status, 200);
      const { handshakes } = stage.tls[kind];
      assert.deepEqual(handshakes.map(({ resumed }) => resumed), [false, true, true]);
      assert.ok(handshakes.every(({ protocol }) => protocol === (kind.endsWith("1.2") ? "TLSv1.2" : "TLSv1.3")));
    });
  }

  it("offers ChaCha20 first, in TLS 1.3 and in 1.2, and no suite without forward secrecy", async () => {
    assert.equal((await stage.ask("silent/ok")).status, 502);
    const suites = suitesOf(stage.silent.heard[0]);
    const [new13, old12] = [suites.filter((suite) => suite.startsWith("13")), suites.filter((suite) => /^c0|^cc/.test(suite))];
    // TLS_CHACHA20_POLY1305_SHA256, and ECDHE with it.
    assert.equal(new13[0], "1303", suites.join());
    assert.match(old12[0], /^cca[89]$/, suites.join());
    // Besides them: that renegotiation is secure.
    assert.deepEqual(suites.filter((suite) => ![...new13, ...old12, "ff"].includes(suite)), []);
  });

  for (const kind of ["chooses by the client's order", "chooses so in tls 1.2"]) {
    it(`uses ChaCha20 with a server that ${kind}`, async () => {
      assert.equal((await stage.ask(`${named(kind)}/ok`)).status, 200);
      assert.match(stage.tls[kind].handshakes[0].suite, /CHACHA20/);
    });
  }

  it("delivers 8 MB intact, 24 times", { timeout: 600_000 }, async () => {
    const text = randomBytes(6 << 20).toString("base64");
    stage.fake.behave("large", (exchange) =>
      exchange.json(200, JSON.stringify({ id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } })));
    const expected = hash((await stage.ask("direct/large")).bytes);
    const one = async (way) => assert.equal(hash((await stage.ask(`${way}/large`)).bytes), expected, way);
    for (let round = 0; round < 8; round++) await Promise.all(["http", "socks", "rsa"].map(one));
  });

  it("sends 5 MB intact", async () => {
    const content = randomBytes(3_750_000).toString("base64");
    stage.fake.behave("sent", stage.fake.behaviour("ok"));
    for (const way of ["http", "socks", "plain-http"]) {
      const answer = await stage.ask(`${way}/sent`, { messages: [{ role: "user", content }] });
      assert.equal(answer.status, 200, answer.text);
      const record = stage.fake.of("sent");
      assert.equal(record.headers["content-length"], String(record.body.length));
      assert.equal(hash(record.request.messages[0].content), hash(content), way);
    }
  });

  for (const relay of ["http", "socks"]) {
    it(`streams live, chunk by chunk: ${relay}`, async () => {
      const model = `live-${relay}`;
      const held = stage.held(model);
      const answering = stage.openStream(`${relay}/${model}`, ASKING);
      const exchange = await held;
      exchange.openStream();
      const send = (word) => exchange.write(event(chunk(exchange.request, { content: word })));
      send("word-0.");
      const caller = await answering;
      await caller.until("word-0.");
      for (let index = 1; index < 200; index++) {
        send(`word-${index}.`);
        await caller.until(`word-${index}.`);
      }
      exchange.write(DONE);
      exchange.end();
      assert.match((await caller.rest()).toString(), /\[DONE\]/);
    });
  }

  it("carries 50 streams at once, each its own", async () => {
    const bytesOf = async (index) => {
      const model = `many-${index}`;
      const words = Array.from({ length: 20 }, (_, at) => `s${index}w${at} `);
      stage.fake.behave(model, async (exchange) => {
        exchange.openStream();
        for (const word of words) {
          exchange.write(event(chunk(exchange.request, { content: word })));
          await new Promise(setImmediate);
        }
        exchange.write(event(chunk(exchange.request, {}, { finish: "stop" })) + DONE);
        exchange.end();
      });
      const answer = await stage.openStream(`${index % 2 ? "http" : "socks"}/${model}`, ASKING);
      assert.equal((await answer.rest()).toString(), Buffer.concat(stage.fake.of(model).sent).toString(), model);
    };
    await Promise.all(Array.from({ length: 50 }, (_, index) => bytesOf(index)));
  });

  it("fails as a direct call does once the tunnel stands", async () => {
    const told = ({ status, text }) => ({ status, error: text.match(/"code":"\w+"/)?.[0], done: text.includes("[DONE]") });
    for (const model of ["err-401", "err-429", "err-503-html", "redirect", "html-200", "gzip", "reset-before-headers", "hang-up-before-headers", "cut-mid-stream", "reset-mid-stream", "empty-stream", "not-http"]) {
      for (const stream of [false, true]) {
        const direct = told(await stage.ask(`direct/${model}`, { stream }));
        for (const way of ["http", "socks"]) assert.deepEqual(told(await stage.ask(`${way}/${model}`, { stream })), direct, `${way} ${model} ${stream}`);
      }
    }
  });

  it("is made for the chats of a WebSocket session too", async () => {
    const socket = await openSession(stage.gateway.url, { key: KEY });
    stage.fake.behave("framed", stage.fake.behaviour("ok"));
    for (const stream of [false, true]) {
      socket.chat({ model: "http-login/framed", stream }, { id: `framed-${stream}` });
      const last = await socket.until(({ id, type }) => id === `framed-${stream}` && ["done", "error"].includes(type), "the response");
      assert.notEqual(last.type, "error", JSON.stringify(last));
      assert.equal(stage.fake.of("framed").headers.authorization, `Bearer ${PROVIDER_KEY}`);
    }
  });
});

describe("a caller who leaves a call through a proxy", () => {
  let stage;
  before(async () => {
    stage = await startProxyStage({ faults: [], entry: "production.mjs" });
    // No timer of the gateway closes a connection.
    await stopClock(stage.gateway);
  });
  after(() => stage.stopAll());

  for (const way of ["http", "socks"]) {
    it(`closes its connection to the proxy, without waiting for anything: ${way}`, async () => {
      for (let round = 0; round < 8; round++) {
        const model = `left-${way}-${round}`;
        const held = stage.held(model);
        const answering = stage.openStream(`${way}/${model}`, ASKING);
        const exchange = await held;
        exchange.openStream();
        exchange.write(event(chunk(exchange.request, { content: "first" })));
        const caller = await answering;
        await caller.until("first");
        caller.leave();
        await until(() => stage.proxies[way].open() === 0, "the connection to the proxy to be closed");
        await stage.expectCancelled(exchange.record);
      }
    });
  }
});

// A provider's name, status, code, and what the message says.
const REFUSED = /did not connect to it/;
const OTHER = /cannot be used: .*Check the scheme and the port/;
const FAILURES = [
  ["dead", 502, "proxy_unreachable", /could not be reached.*a deployed Worker reaches public addresses only/],
  ["nameless", 502, "proxy_unreachable", /could not be reached: no connection was made/],
  ["untrusted", 502, "proxy_unreachable", /could not be reached/],
  ["http-no-login", 502, "proxy_auth", /asks for a login \(407\), and its URL has none/],
  ["http-wrong-login", 502, "proxy_auth", /refused the login/],
  ["socks-no-login", 502, "proxy_auth", /its URL has none/],
  ["socks-wrong-login", 502, "proxy_auth", /refused the login/],
  ["http-refuses by a rule", 502, "proxy_refused", REFUSED],
  ["http-does not reach the host", 502, "proxy_refused", REFUSED],
  ["http-repeats the login", 502, "proxy_refused", REFUSED],
  ["http-unknown host", 502, "proxy_refused", REFUSED],
  ["http-closed port", 502, "proxy_refused", REFUSED],
  ["socks-has a host that refuses", 502, "proxy_refused", /connection refused by the host \(5\)/],
  ["socks-does not allow it", 502, "proxy_refused", /not allowed by its rules \(2\)/],
  ["socks-unknown host", 502, "proxy_refused", REFUSED],
  ["socks-closed port", 502, "proxy_refused", REFUSED],
  ["socks-takes no method", 502, "proxy_auth", /accepts no user name and password/],
  ["http-hangs up in its head", 502, "proxy_protocol", OTHER],
  ["http-hangs up at once", 502, "proxy_protocol", OTHER],
  ["http-is another service", 502, "proxy_protocol", OTHER],
  ["http-speaks SOCKS5 instead", 502, "proxy_protocol", /begin with socks5:\/\//],
  ["http-sends a head without an end", 502, "proxy_protocol", OTHER],
  ["socks-hangs up in its reply", 502, "proxy_protocol", OTHER],
  ["socks-hangs up at once", 502, "proxy_protocol", OTHER],
  ["socks-is another service", 502, "proxy_protocol", OTHER],
  ["socks-speaks HTTP instead", 502, "proxy_protocol", /begin with http:\/\//],
  ["http-hangs up in the TLS handshake", 502, "upstream_unreachable", /the connection ended in the handshake/],
  ["http-speaks in the tunnel", 502, "upstream_unreachable", /base_url begins with http:\/\//],
  ["http-no TLS", 502, "upstream_unreachable", /the connection ended in the handshake.*speaks no TLS/],
  ["socks-no TLS", 502, "upstream_unreachable", /the connection ended in the handshake.*speaks no TLS/],
  ["the wrong name", 502, "upstream_certificate", /not valid for the-wrong-name, but for: wrong\.test\. Check the host of base_url/],
  ["an expired certificate", 502, "upstream_certificate", /expired (1 hours|60 minutes) ago\. Whoever runs the host has to renew it/],
  ["a certificate of its own", 502, "upstream_certificate", /issuer is not known.*belongs in proxy\.ca/],
  ["no intermediate", 502, "upstream_certificate", /issuer is not known.*has to send its intermediate certificates/],
  ["no common suite", 502, "upstream_unreachable", /has to offer TLS 1\.3, or TLS 1\.2 with ECDHE/],
  ["h2 only", 502, "upstream_unreachable", /has to offer HTTP\/1\.1/],
];

describe("a call that fails on its way", { concurrency: 4 }, () => {
  let stage;
  const routes = FAILURES.map(([title]) => `  next-${named(title)}: { targets: [${named(title)}/ok, direct/ok] }`);
  before(async () => void (stage = await startProxyStage({ more: ["routes:", ...routes].join("\n") })));
  after(async () => {
    const log = stage.gateway.lines.join("\n");
    for (const part of secrets(LOGIN)) assert.ok(!log.includes(part), "a proxy's login in the log");
    await stage.stopAll();
  });

  const secrets = (login) => [login, ...login.split(/:(.*)/s).filter(Boolean), Buffer.from(login).toString("base64"), encodeURIComponent(login.split(/:(.*)/s)[1])];

  for (const [title, status, code, says] of FAILURES) {
    it(`says why: ${title}`, async () => {
      for (const stream of [false, true]) {
        const answer = await stage.ask(`${named(title)}/ok`, { stream });
        const error = expectError(answer, { status, code, type: "upstream_error", says });
        for (const part of [...secrets(LOGIN), "localhost", "127.0.0.1"]) assert.ok(!answer.text.includes(part), `${part} in ${error.message}`);
      }
    });

    it(`is followed by another target: ${title}`, async () => {
      const id = freshId();
      const answer = await stage.ask(`next-${named(title)}`, {}, { "x-request-id": id });
      assert.equal(answer.status, 200, answer.text);
      await stage.end(id, "request_complete");
    });
  }

  it("is given up after 10 seconds if the proxy is silent", { timeout: 180_000 }, async () => {
    const silent = [
      ["http-says nothing", /did not establish the tunnel in time/],
      ["socks-says nothing", /did not establish the tunnel in time/],
      ["http-says nothing in the tunnel", /TLS with the provider was not established/],
    ];
    const expectTimeout = async ([title, says]) => {
      const answer = await stage.ask(`${named(title)}/ok`);
      expectError(answer, { status: 504, code: "proxy_timeout", type: "upstream_error", says });
    };
    await Promise.all(silent.map(expectTimeout));
  });
});
