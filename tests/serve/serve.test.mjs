// `llm-bridge serve` on real workerd: configuration, secrets, addresses, networks, files.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { as, call, chatRequest, HELLO, open, until } from "../workerd/client.mjs";
import { startFake } from "../workerd/fake-openai.mjs";
import { configuration, file, folder, KEY, launch, owners, PROVIDER_KEY, run, SECRETS, serve } from "./serve.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const chat = (url, model, fields = {}, headers = {}) => call(`${url}/v1/chat/completions`, chatRequest(KEY, { model, messages: HELLO, ...fields }, headers));
/** How editors save: a new file in the place of the old one. */
function save(path, text) {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

test("a faulty configuration stops the start, with its line", async () => {
  const { code, text } = await run(["serve", "--config", file("c.yaml", "providers:\n  a: { bas_url: x }\n"), "--data", folder(), "--listen", "http://127.0.0.1:0"]);
  assert.equal(code, 2, text);
  assert.match(text, /line 2/);
  assert.match(text, /bas_url/);
});

test("a changed file is served without a restart; a running stream goes on; a faulty file is not served", async () => {
  const config = file("c.yaml", configuration(fake.origin));
  const gateway = await serve({ config });
  assert.equal((await chat(gateway.url, "other/echo")).status, 404);
  const stream = await open(`${gateway.url}/v1/chat/completions`, chatRequest(KEY, { model: "demo/echo-slow", stream: true, messages: HELLO }));
  await stream.next();
  save(config, configuration(fake.origin, "  other: { adapter: echo, models: { echo: {} } }\nlogging: { fields: { client_ip: false } }\n"));
  await gateway.seen("serve_reloaded");
  assert.equal((await chat(gateway.url, "other/echo")).status, 200);
  assert.match((await stream.rest()).toString(), /\[DONE\]\s*$/);

  save(config, "providers: [\n");
  const { message } = await gateway.seen("serve_reload_refused");
  assert.match(message, /The configuration before it is served/);
  assert.ok(gateway.events().some(({ event, message }) => event === "serve_configuration_faulty" && /line \d/.test(message)));
  assert.equal((await chat(gateway.url, "other/echo")).status, 200, "what was served is");

  // Written in place this time, and reported by SIGHUP.
  const before = gateway.events().length;
  writeFileSync(config, configuration(fake.origin));
  gateway.child.kill("SIGHUP");
  await until(() => gateway.events().slice(before).some(({ event }) => event === "serve_reloaded"), "the configuration");
  assert.equal((await chat(gateway.url, "other/echo")).status, 404);
  assert.equal(gateway.child.exitCode, null);
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
});

test("what is saved while it starts is served, too", async () => {
  const config = file("c.yaml", configuration(fake.origin));
  const gateway = launch({ config });
  // It has read the file before it locks its data, and follows it only when workerd runs.
  await until(() => existsSync(join(gateway.data, "lock")), "the lock");
  save(config, configuration(fake.origin, "  other: { adapter: echo, models: { echo: {} } }\n"));
  await gateway.seen("serve_reloaded");
  gateway.workerd = owners(gateway.data).workerd;
  const [, url] = /(http:\S+)$/.exec((await gateway.seen("serve_listening")).message);
  assert.equal((await chat(url, "other/echo")).status, 200);
  await gateway.stop();
});

test("a file that disappears and a section that objects keep are said", async () => {
  const config = file("c.yaml", configuration(fake.origin));
  const gateway = await serve({ config });
  renameSync(config, `${config}.gone`);
  assert.match((await gateway.seen("serve_reload_refused")).message, /no such file/i);
  assert.equal((await chat(gateway.url, "demo/echo")).status, 200);
  save(config, configuration(fake.origin, "accounting: { keep_receipts_days: 30 }\n"));
  await gateway.seen("serve_reloaded");
  assert.match(gateway.events().find(({ event }) => event === "serve_configuration_note").message, /Restart for the whole of the changes in: accounting\./);
  await gateway.stop();
});

test("secrets come from files, and reach neither a log line nor a file on disk", async () => {
  const env = { ACCESS_API_KEYS_FILE: file("keys", `${KEY}\n`), FAKE_API_KEY_FILE: file("provider", PROVIDER_KEY) };
  const gateway = await serve({ config: file("c.yaml", configuration(fake.origin)), env });
  assert.equal((await chat(gateway.url, "fake/ok")).status, 200);
  assert.equal(fake.last().headers.authorization, `Bearer ${PROVIDER_KEY}`);
  await gateway.stop();
  for (const secret of [KEY, PROVIDER_KEY]) {
    assert.ok(!gateway.lines.join("\n").includes(secret));
    for (const path of readdirSync(gateway.data, { recursive: true }).filter((name) => name.endsWith("sqlite"))) assert.ok(!readFileSync(join(gateway.data, path)).includes(secret), path);
  }
});

test("it listens on several addresses, and speaks TLS", async () => {
  const place = folder();
  const [certificate, key] = [join(place, "cert.pem"), join(place, "key.pem")];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], { stdio: "ignore" });
  const gateway = await serve({ config: file("c.yaml", configuration(fake.origin)), listen: ["http://127.0.0.1:0", "https://127.0.0.1:0"], words: ["--tls-cert", certificate, "--tls-key", key] });
  assert.equal((await chat(gateway.urls[0], "demo/echo")).status, 200);
  const port = new URL(gateway.urls[1]).port;
  const status = await new Promise((resolve, reject) => httpsRequest({ port, host: "127.0.0.1", servername: "localhost", path: "/ready", ca: readFileSync(certificate) }, (response) => resolve(response.resume().statusCode)).on("error", reject).end());
  assert.equal(status, 200);
  await gateway.stop();
});

test("the caller's address is the connection's, or a trusted proxy's word for it", async () => {
  const config = file("c.yaml", configuration(fake.origin));
  const headers = { "x-forwarded-for": "198.51.100.7", "cf-connecting-ip": "192.0.2.1" };
  const address = async (words) => {
    const gateway = await serve({ config, words });
    await chat(gateway.url, "demo/echo", {}, headers);
    const { client_ip } = await gateway.seen("request_complete");
    await gateway.stop();
    return client_ip;
  };
  assert.equal(await address([]), "127.0.0.1");
  assert.equal(await address(["--trust-proxy", "127.0.0.0/8"]), "198.51.100.7");
});

test("private hosts are called if they are named, and not otherwise", async () => {
  const config = file("c.yaml", configuration(fake.origin.replace("127.0.0.1", "localhost")));
  const closed = await serve({ config, isPrivate: false });
  const refused = await chat(closed.url, "fake/ok");
  assert.equal(refused.status, 502, refused.text);
  await closed.stop();
  const named = await serve({ config, isPrivate: false, words: ["--allow-private", "localhost"] });
  assert.equal((await chat(named.url, "fake/ok")).status, 200);
  await named.stop();
});

test("the dashboard has types, a policy and tags, and goes with its setting", async () => {
  const config = file("c.yaml", configuration(fake.origin));
  const gateway = await serve({ config });
  const page = await call(gateway.url);
  assert.equal(page.status, 200);
  assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
  assert.match(page.headers["content-security-policy"], /default-src 'none'/);
  assert.equal(page.headers["x-content-type-options"], "nosniff");
  const types = { "app.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml" };
  for (const [name, type] of Object.entries(types)) {
    const answer = await call(`${gateway.url}/ui/${name}`);
    assert.deepEqual([answer.status, answer.headers["content-type"]], [200, type], name);
    const { etag } = answer.headers;
    assert.match(etag, /^"[0-9a-f]{32}"$/);
    const again = await call(`${gateway.url}/ui/${name}`, { headers: { "if-none-match": `"other", W/${etag}` } });
    assert.deepEqual([again.status, again.bytes.length, again.headers.etag], [304, 0, etag]);
    const head = await call(`${gateway.url}/ui/${name}`, { method: "HEAD" });
    assert.deepEqual([head.status, Number(head.headers["content-length"])], [200, answer.bytes.length]);
  }
  for (const path of ["/o200k_base.bin", "/_headers", "/ui/", "/ui/none.js", "/ui/..%2fo200k_base.bin", "/index.html"]) assert.equal((await call(gateway.url + path)).status, 404, path);
  save(config, configuration(fake.origin, "dashboard: false\n"));
  await gateway.seen("serve_reloaded");
  assert.equal((await call(`${gateway.url}/ui/app.js`)).status, 404);
  const root = await call(gateway.url);
  assert.deepEqual([root.status, root.headers["content-type"]], [200, "application/json"], "the gateway itself responds");
  await gateway.stop();
});

test("lines go to rotated files instead of the console", async () => {
  const path = join(folder(), "logs/gateway.log");
  const config = file("c.yaml", configuration(fake.origin));
  await assert.rejects(serve({ config: file("bad.yaml", "providers: 1\n"), words: ["--log-file", path] }), /bad.yaml is faulty/);
  assert.match(readFileSync(path, "utf8"), /serve_configuration_faulty/);
  const place = join(folder(), "gateway.log");
  const gateway = launch({ config, words: ["--log-file", place, "--log-max-size", "2000", "--log-backup-count", "50"] });
  // A file may be renamed between the list and its reading.
  const read = (path) => (existsSync(path) ? readFileSync(path, "utf8") : "");
  const all = () => readdirSync(join(place, "..")).map((name) => read(join(place, "..", name)));
  const listening = await until(() => /listens on (\S+?)"/.exec(read(place)), "the address");
  gateway.workerd = owners(gateway.data).workerd;
  for (let index = 0; index < 10; index++) await chat(listening[1], "demo/echo", {}, { "x-request-id": `number-${index}` });
  await until(() => all().join("").match(/"request_complete"/g)?.length === 10, "ten lines");
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  assert.deepEqual(gateway.lines, []);
  assert.ok(all().length > 2 && all().every((text) => text.length <= 2000), "files of at most 2000 bytes");
  const events = all().join("").trim().split("\n").map((line) => JSON.parse(line).event);
  assert.equal(events.filter((event) => event === "request_complete").length, 10);
  assert.ok(events.includes("serve_stopped"));
});

test("variables of the worker are not those of its objects and files", async () => {
  const gateway = await serve({ config: file("c.yaml", configuration(fake.origin)), env: { ...SECRETS, ASSETS: "x", ACCOUNTS: "x" } });
  assert.equal((await chat(gateway.url, "demo/echo")).status, 200);
  assert.equal((await call(`${gateway.url}/v1/models`, { headers: as(KEY) })).status, 200);
  await gateway.stop();
});
