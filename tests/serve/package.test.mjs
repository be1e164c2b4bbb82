// The npm package, as somebody without Rust uses it: packed, installed into an empty folder, with Node and npm alone
// on the PATH.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { withoutBuild } from "../../scripts/npm/wrangler.mjs";
import { call, chatRequest, HELLO, soon, until } from "../workerd/client.mjs";
import { folder, run } from "./serve.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** The folder of npm, which is beside another Node than the one that runs the tests. */
const npm = realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim());

/** A setting of npm on this machine. */
const setting = (name) => execFileSync(process.execPath, [npm, "config", "get", name], { encoding: "utf8" }).trim();
/** How this machine reaches a registry. */
const REGISTRY = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|(HTTPS?|NO)_PROXY|NPM_CONFIG_.*)$/i.test(name)));

let packed;
let place;
let bin;
let main;
let child;

before(async () => {
  packed = folder();
  execFileSync(process.execPath, [join(ROOT, "scripts/npm/pack.mjs"), packed], { stdio: "ignore" });
  const tarball = join(packed, readdirSync(packed).find((name) => name.endsWith(".tgz")));
  assert.match(readFileSync(join(packed, "SHA256SUMS"), "utf8"), /^[0-9a-f]{64} {2}llm-bridge-.*\.tgz\n$/);
  // Nothing else is found there: no cargo, no wrangler.
  bin = join(folder(), "bin");
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, "node"));
  for (const name of ["sh", "flock", "env"]) symlinkSync(execFileSync("which", [name], { encoding: "utf8" }).trim(), join(bin, name));
  place = folder();
  execFileSync(process.execPath, [npm, "install", "--prefix", place, "--prefer-offline", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts", tarball], { cwd: place, env: { ...process.env, PATH: bin }, stdio: "pipe" });
  main = join(place, "node_modules/llm-bridge/scripts/npm/llm-bridge.mjs");
});
// Not SIGKILL: workerd would outlive its launcher.
after(() => child?.kill("SIGTERM"));

const command = (words, env = {}, more = {}) => run(words, { PATH: bin, HOME: place, ...env }, { cwd: place, main, ...more });

test("it installs the command, workerd and a reader of YAML, and nothing else", () => {
  assert.ok(existsSync(join(place, "node_modules/.bin/llm-bridge")));
  const installed = readdirSync(join(place, "node_modules")).filter((name) => !name.startsWith("."));
  assert.deepEqual(installed.sort(), ["@cloudflare", "llm-bridge", "workerd", "yaml"]);
  const manifest = JSON.parse(readFileSync(join(place, "node_modules/llm-bridge/package.json"), "utf8"));
  assert.equal(manifest.engines.node, ">=22.13");
  assert.match(manifest.wranglerVersion, /^\d+\.\d+\.\d+$/);
});

test("init writes what serve needs, once, and keys that nobody else has", async () => {
  const { code, text } = await command(["init"]);
  assert.equal(code, 0, text);
  const variables = readFileSync(join(place, ".env"), "utf8");
  assert.match(variables, /^ACCESS_API_KEYS=sk-access-[\w-]{32}$/m);
  assert.match(variables, /^ADMIN_API_KEYS=sk-admin-[\w-]{32}$/m);
  const named = /^# yaml-language-server: \$schema=(.*)$/m.exec(readFileSync(join(place, "config.yaml"), "utf8"))[1];
  assert.equal(JSON.parse(readFileSync(join(place, named), "utf8")).title, "The configuration of LLM Bridge");
  assert.doesNotMatch(variables, /llm-bridge-(admin-)?dev/);
  assert.equal(statSync(join(place, ".env")).mode & 0o777, 0o600);
  const again = await command(["init"]);
  assert.equal(again.code, 2);
  assert.match(again.text, /config.yaml exists. Nothing was written/);
  assert.equal(readFileSync(join(place, ".env"), "utf8"), variables);
});

test("init writes the configuration for Cloudflare's free plan where it is asked to", async () => {
  assert.doesNotMatch(readFileSync(join(place, "config.yaml"), "utf8"), /^plan:/m);
  const free = await command(["init", "free", "--plan", "free"]);
  assert.equal(free.code, 0, free.text);
  assert.match(readFileSync(join(place, "free/config.yaml"), "utf8"), /^plan: free$/m);
  const checked = await command(["check", "free/config.yaml"]);
  assert.equal(checked.code, 0, checked.text);
  for (const words of [["--plan", "enterprise"], ["--plna", "free"], ["a", "b"]]) {
    const { code, text } = await command(["init", ...words]);
    assert.equal(code, 2, text);
    assert.match(text, /free/);
  }
});

test("check says what the gateway would say", async () => {
  const sound = await command(["check"]);
  assert.equal(sound.code, 0, sound.text);
  assert.match(sound.text, /config.yaml is sound/);
  writeFileSync(join(place, "bad.yaml"), "providers:\n  a: { base_url: 'http://x/v1', modls: {} }\n");
  const faulty = await command(["check", "bad.yaml"]);
  assert.equal(faulty.code, 1);
  assert.match(faulty.text, /bad.yaml: .*line 2.*modls/);
  assert.match((await command(["check", "none.yaml"])).text, /none.yaml: .*no such file/i);
});

test("deploy gives wrangler a whole worker", { timeout: 500_000 }, async () => {
  // npx is a script beside npm's. wrangler comes from npm's cache, if it is there.
  symlinkSync(join(dirname(npm), "npx-cli.js"), join(bin, "npx"));
  const { code, text } = await command(["deploy", "--dry-run"], { ...REGISTRY, npm_config_userconfig: setting("userconfig"), npm_config_cache: setting("cache"), npm_config_prefer_offline: "true" }, { patience_ms: 480_000 });
  assert.equal(code, 0, text);
  for (const name of ["ACCOUNTS", "OPERATIONS", "ASSETS"]) assert.ok(text.includes(`env.${name}`), text);
  assert.match(text, /--dry-run: exiting now/);
});

test("serve answers, and key create makes a key for it", async () => {
  const lines = [];
  child = spawn(process.execPath, [main, "serve", "--listen", "http://127.0.0.1:0"], { cwd: place, env: { PATH: bin }, stdio: ["ignore", "pipe", "pipe"] });
  child.stderr.on("data", (bytes) => lines.push(bytes.toString()));
  const exited = new Promise((resolve) => child.on("close", resolve));
  const [url] = await until(() => /http:\/\/127\.0\.0\.1:\d+(?=")/.exec(lines.join("")), "the address");
  const made = await command(["key", "create", "ann", "--url", url, "--requests-per-minute", "60"]);
  assert.equal(made.code, 0, made.text);
  const key = /^sk-lb-\S+$/m.exec(made.text)[0];
  const answer = await call(`${url}/v1/chat/completions`, chatRequest(key, { model: "demo/echo", messages: HELLO }));
  assert.equal(answer.status, 200, answer.text);
  assert.match((await command(["key", "create", "ann", "--url", url])).text, /The gateway refused: .*ann/);
  const limited = await command(["key", "create", "eve", "--url", url, "--budget", "5.00/month", "--name", "Eve"]);
  assert.match(limited.text, /^sk-lb-/m);
  assert.match((await command(["key", "create", "bob", "--budget", "5"])).text, /--budget 5: expected/);
  assert.match((await command(["key", "create", "bob", "--url", "http://127.0.0.1:9"])).text, /does not respond/);
  assert.equal((await call(url)).headers["content-type"], "text/html; charset=utf-8");
  child.kill("SIGTERM");
  assert.equal(await soon(exited, "the end"), 0);
});

test("wrangler takes what dev and deploy give it, with the version of the tests", () => {
  const toml = withoutBuild(readFileSync(join(ROOT, "wrangler.toml"), "utf8"));
  assert.doesNotMatch(toml, /watch_dir|^command|^\[build\]/m);
  assert.match(toml, /^main = "src\/worker.mjs"/m);
  assert.match(toml, /^\[assets\]$/m);
  const { version } = createRequire(import.meta.url)("wrangler/package.json");
  assert.equal(JSON.parse(readFileSync(join(place, "node_modules/llm-bridge/package.json"), "utf8")).wranglerVersion, version);
});

test("the branch of the deploy button is a whole worker, and holds no working secret", () => {
  const tree = join(packed, "deploy");
  const lines = readFileSync(join(tree, ".dev.vars.example"), "utf8").split("\n").filter((line) => line && !line.startsWith("#"));
  assert.deepEqual(lines, ["ACCESS_API_KEYS=", "ADMIN_API_KEYS="]);
  const manifest = JSON.parse(readFileSync(join(tree, "package.json"), "utf8"));
  assert.deepEqual(Object.keys(manifest.cloudflare.bindings), ["ACCESS_API_KEYS", "ADMIN_API_KEYS"]);
  const config = readFileSync(join(tree, "build/config.yaml"), "utf8");
  assert.equal(config.replace(/^plan: free$/m, "# $&"), readFileSync(join(ROOT, "configs/config.yaml"), "utf8"));
  assert.match(config, /^plan: free$/m, "it is the plan that most have");
  const out = join(folder(), "out");
  const wrangler = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
  execFileSync(process.execPath, [wrangler, "deploy", "--dry-run", "--outdir", out], { cwd: tree, env: { ...process.env, WRANGLER_SEND_METRICS: "false" }, stdio: "pipe" });
  assert.ok(readdirSync(out).some((name) => name.endsWith(".wasm")), "wrangler bundles it");
});

test("an unknown command lists the known ones", async () => {
  const { code, text } = await command(["serv"]);
  assert.equal(code, 2);
  for (const name of ["init", "serve", "check", "key create", "backup", "restore", "dev", "deploy"]) assert.match(text, new RegExp(`llm-bridge ${name}\\b`));
  assert.equal((await command(["toString"])).code, 2);
  assert.ok(dirname(main));
});
