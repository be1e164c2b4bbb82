// Which calls go through which proxy: the configuration and the secrets, and what is wrong with them.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { authority } from "./certificates.mjs";
import { until } from "./client.mjs";
import { startFake } from "./fake-openai.mjs";
import { expectError } from "./expect.mjs";
import { startHttpProxy, startSocksProxy, startTls } from "./proxies.mjs";
import { DEAD_PORT, startStage } from "./stage.mjs";

const BOTH = ["secure", "bare"];

// One test at a time: connections are counted.
describe("the proxy of a provider", () => {
  const { root, leaf } = authority("ec", ["localhost"]);
  const proxies = {};
  let fake;
  let tls;
  before(async () => {
    fake = await startFake();
    tls = await startTls(fake.port, { key: leaf.key, cert: leaf.chain });
    for (const name of ["own", "shared", "plain", "secret"]) proxies[name] = await startHttpProxy();
    proxies.socks = await startSocksProxy();
  });
  after(() => Promise.all([fake, tls, ...Object.values(proxies)].map((server) => server?.stop())));

  const address = (name) => `${name === "socks" ? "socks5" : "http"}://${proxies[name].host}`;
  const quoted = (pem) => JSON.stringify(pem);

  /** A gateway with the providers `secure`, over TLS, and `bare`, without, whose rows have these keys. */
  async function staged(row, section, bindings, act) {
    const base = { secure: `https://localhost:${tls.port}/v1`, bare: fake.base };
    const rows = BOTH.map((name) => `  ${name}: { base_url: "${base[name]}", api_key_env: ANY_API_KEY, models: "*", ${row} }`);
    const config = () => ["providers:", ...rows, `  near: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*" }`, `proxy: ${section}`, ""].join("\n");
    const stage = await startStage({ config, bindings, provider: async () => ({ ...fake, stop: () => {} }) });
    try {
      await act(stage);
    } finally {
      await stage.stop();
    }
  }

  /** Through which proxies both providers are called; `-` means directly. */
  async function ways(row, section, bindings = {}) {
    const used = [];
    const count = () => Object.fromEntries(Object.entries(proxies).map(([name, { all }]) => [name, all()]));
    await staged(row, section, { ROOT: root.cert, ...bindings }, async (stage) => {
      for (const provider of BOTH) {
        const before = count();
        const answer = await stage.ask(`${provider}/ok`);
        const now = count();
        const name = Object.keys(now).find((name) => now[name] > before[name]);
        // Without a proxy, the runtime does not trust the certificate of the test.
        if (provider === "bare" || name) assert.equal(answer.status, 200, answer.text);
        used.push(name ?? "-");
      }
    });
    return used;
  }

  it("is chosen by the file and the secrets", async () => {
    const shared = `{ https: "${address("shared")}", http: "${address("plain")}", ca: ROOT }`;
    const only = `{ https: "${address("socks")}", ca: ROOT }`;
    for (const [row, section, bindings, expected] of [
      ["", shared, {}, ["-", "-"]],
      ["requires_proxy: true", shared, {}, ["shared", "plain"]],
      ["requires_proxy: true", only, {}, ["socks", "socks"]],
      ["requires_proxy: true", only, { HTTPS_PROXY: address("secret") }, ["secret", "secret"]],
      [`proxy: "${address("own")}"`, shared, {}, ["own", "own"]],
      [`proxy: "${address("own")}"`, shared, { HTTPS_PROXY: address("secret") }, ["own", "own"]],
      [`proxy: "${address("own")}"`, shared, { SECURE_PROXY: address("socks") }, ["socks", "own"]],
      ["requires_proxy: true", shared, { HTTP_PROXY: address("secret"), BARE_PROXY: "" }, ["shared", "secret"]],
      ["", shared, { BARE_PROXY: address("secret"), HTTPS_PROXY: address("own") }, ["-", "secret"]],
      ["proxy: none", shared, { HTTP_PROXY: address("plain"), BARE_PROXY: address("own") }, ["-", "-"]],
      ["requires_proxy: true", `{ https: "${address("shared")}", no_proxy: [127.0.0.0/8], ca: ROOT }`, {}, ["shared", "-"]],
      ["requires_proxy: true", `{ https: "${address("shared")}", ca: ROOT }`, { NO_PROXY: "localhost, other.example" }, ["-", "shared"]],
    ]) {
      assert.deepEqual(await ways(row, section, bindings), expected, `${row} ${JSON.stringify(bindings)}`);
    }
  });

  it("trusts certificates in the file, and in a variable whose line breaks are written as in JSON", async () => {
    for (const [ca, bindings] of [[quoted(root.cert), {}], ["ROOT", { ROOT: root.cert.replaceAll("\n", "\\n") }]]) {
      await staged(`proxy: "${address("own")}"`, `{ ca: ${ca} }`, bindings, async (stage) => {
        assert.equal((await stage.ask("secure/ok")).status, 200);
      });
    }
  });

  it("trusts public certificates only if the variable is not set, and notes it", async () => {
    await staged(`proxy: "${address("own")}"`, "{ ca: ROOT }", {}, async (stage) => {
      expectError(await stage.ask("secure/ok"), { status: 502, code: "upstream_certificate", says: /proxy\.ca/ });
      await until(() => stage.gateway.lines.some((line) => /proxy\.ca: ROOT is not set/.test(line)), "a note in the log");
    });
  });

  it("says that certificates cannot be read, and other providers work", async () => {
    for (const ROOT of ["certs/own.pem", root.cert.replace(/\n[^\n]*\n/, "\n!\n")]) {
      await staged(`proxy: "${address("own")}"`, "{ ca: ROOT }", { ROOT }, async (stage) => {
        expectError(await stage.ask("secure/ok"), { status: 503, code: "proxy_misconfigured", type: "configuration_error", says: /`ca` holds/ });
        assert.equal((await stage.ask("near/ok")).status, 200);
      });
    }
  });

  it("makes its provider unavailable if it cannot be reached, and no other", async () => {
    await staged("requires_proxy: true", `{ https: "socks5://127.0.0.1:${DEAD_PORT}" }`, {}, async (stage) => {
      for (const name of BOTH) expectError(await stage.ask(`${name}/ok`), { status: 502, code: "proxy_unreachable", says: /private/ });
      assert.equal((await stage.ask("near/ok")).status, 200);
    });
  });

  it("is a fault of the configuration if it is required and missing, or is none", async () => {
    for (const [row, bindings, says] of [
      ["requires_proxy: true", {}, /providers\.secure\.requires_proxy: no proxy is configured: set `proxy\.https`/],
      ["requires_proxy: true", { HTTPS_PROXY: "user:secret-word@proxy.example" }, /HTTPS_PROXY: expected the address of a proxy/],
    ]) {
      await staged(row, "{}", bindings, async (stage) => {
        const { message } = expectError(await stage.ask("near/ok"), { status: 500, code: "invalid_configuration", says });
        assert.ok(!message.includes("secret-word"));
      });
    }
  });

  it("gets the provider's address as `fetch` would write it", async () => {
    const base = `${fake.origin.replace("127.0.0.1", "LOCALHOST")}/a b/é/../v1`;
    const config = () => `providers:\n  odd: { base_url: ${quoted(base.replace("a b", "a%20b"))}, proxy: "${address("own")}", api_key_env: ANY_API_KEY, models: "*" }\n`;
    const stage = await startStage({ config, provider: async () => ({ ...fake, stop: () => {} }) });
    await stage.ask("odd/ok");
    await stage.stop();
    const { url } = proxies.own.requests.at(-1);
    assert.equal(url, `http://localhost:${fake.port}/a%20b/v1/chat/completions`);
  });
});
