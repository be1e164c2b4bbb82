// What `wrangler deploy` uploads, served by plain workerd: calls through a proxy work from it, and its second
// wasm is not touched before the first of them. Needs a build.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { expectError } from "../workerd/expect.mjs";
import { startProxyStage } from "../workerd/proxy-stage.mjs";

const ROOT = new URL("../..", import.meta.url).pathname;
const KINDS = { wasm: "wasm", yaml: "text" };

/** wrangler.toml without its build, which would change the configuration below another test. */
function settings() {
  const toml = readFileSync(join(ROOT, "wrangler.toml"), "utf8").replace(/^\[build\]\n(?:(?!\[).*\n)*/m, "");
  assert.doesNotMatch(toml, /^command = /m);
  return toml.replace(/^directory = "(.*?)"/m, (_, path) => `directory = ${JSON.stringify(join(ROOT, path))}`);
}

/** What wrangler bundles, with a configuration of its own: build/config.yaml leads wherever the last command had it. */
function copyTo(project) {
  const isModule = (path) => !/\.(rs|json)$/.test(path);
  cpSync(join(ROOT, "src"), join(project, "src"), { recursive: true, filter: isModule });
  mkdirSync(join(project, "build"));
  for (const name of ["index.js", "index_bg.wasm", "tunnel.js", "tunnel_bg.wasm"]) copyFileSync(join(ROOT, "build", name), join(project, "build", name));
  writeFileSync(join(project, "build/config.yaml"), "providers: { demo: { adapter: echo, models: { echo: {} } } }\n");
  writeFileSync(join(project, "wrangler.toml"), settings());
}

describe("the uploaded bundle", () => {
  const project = mkdtempSync(join(tmpdir(), "llm-bridge-bundle-"));
  const folder = join(project, "uploaded");
  /** Its modules, as the harness takes them: the entry module is first. */
  let modules;
  let tunnel;
  before(() => {
    copyTo(project);
    execFileSync("wrangler", ["deploy", "--dry-run", "--outdir", folder], { cwd: project, encoding: "utf8", timeout: 170_000 });
    const others = readdirSync(folder).filter((name) => /\.(wasm|yaml)$/.test(name));
    modules = [["worker.js", "esModule"], ...others.map((name) => [name, KINDS[name.split(".").at(-1)]])];
    [tunnel] = others.filter((name) => name.endsWith("tunnel_bg.wasm"));
  });
  after(() => rmSync(project, { recursive: true }));

  const start = () => startProxyStage({ faults: [], build: folder, modules, assets: join(ROOT, "build/assets") });

  it("has the tunnel as a module of its own, unchanged", () => {
    assert.equal(modules.length, 4, modules.join());
    assert.equal(statSync(join(folder, tunnel)).size, statSync(join(ROOT, "build/tunnel_bg.wasm")).size);
  });

  it("calls providers through proxies", async () => {
    const stage = await start();
    for (const way of ["http-login", "https", "socks", "plain-http"]) {
      for (const stream of [false, true]) assert.equal((await stage.ask(`${way}/ok`, { stream })).status, 200, way);
    }
    await stage.stopAll();
  });

  it("does not compile the tunnel before the first call through a proxy", async () => {
    // Neither compiles nor instantiates: whoever touches it fails.
    copyFileSync(join(folder, tunnel), join(folder, "whole"));
    writeFileSync(join(folder, tunnel), "this is no wasm");
    const stage = await start();
    assert.equal((await stage.ask("direct/ok")).status, 200);
    assert.equal((await stage.ask("direct/ok", { stream: true })).status, 200);
    expectError(await stage.ask("http/ok"), { status: 502, code: "upstream_unreachable" });
    assert.equal((await stage.ask("direct/ok")).status, 200);
    await stage.stopAll();
    copyFileSync(join(folder, "whole"), join(folder, tunnel));
  });
});

describe("the uploaded files", () => {
  const project = mkdtempSync(join(tmpdir(), "llm-bridge-files-"));
  before(() => copyTo(project));
  after(() => rmSync(project, { recursive: true }));

  /** What `wrangler deploy` would upload beside the Worker, and who answers for it, with a configuration. */
  function uploaded(config) {
    const assets = join(project, "build/assets");
    const file = join(project, "build/config.yaml");
    cpSync(join(ROOT, "build/assets"), assets, { recursive: true });
    writeFileSync(file, config);
    execFileSync(process.execPath, [join(ROOT, "scripts/build-page.mjs"), file, assets]);
    writeFileSync(join(project, "wrangler.toml"), settings().replace(join(ROOT, "build/assets"), () => assets));
    const said = execFileSync("wrangler", ["deploy", "--dry-run", "--outdir", join(project, "uploaded")], { cwd: project, encoding: "utf8", timeout: 170_000, env: { ...process.env, WRANGLER_LOG: "debug" } });
    const list = said.match(/Read \d+ files from the assets directory .*\n((?:\/.*\n)+)/);
    assert.ok(list, said);
    const ignored = [...said.matchAll(/^Ignoring asset: (.*)$/gm)].map(([, name]) => `/${name}`);
    return list[1].trim().split("\n").filter((path) => /\.\w+$|_headers/.test(path) && !ignored.includes(path)).toSorted();
  }

  const VOCABULARIES = ["/cl100k_base.bin", "/o200k_base.bin"];
  const PAGE = ["/index.html", "/ui/app.js", "/ui/icon.svg", "/ui/style.css"];

  it("are the dashboard and the vocabularies, of which the first alone is served without the Worker", () => {
    assert.deepEqual(uploaded("providers: {}\n"), [...VOCABULARIES, ...PAGE].toSorted());
    const toml = readFileSync(join(project, "wrangler.toml"), "utf8");
    const rules = JSON.parse(toml.match(/^run_worker_first = (.*)$/m)[1]);
    // As Cloudflare reads them: a pattern with `!` wins over one without.
    const matches = (pattern, path) => (pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern);
    const isOpen = (path) => rules.some((rule) => rule.startsWith("!") && matches(rule.slice(1), path));
    const isWorkers = (path) => rules.some((rule) => !rule.startsWith("!") && matches(rule, path)) && !isOpen(path);
    for (const path of [...VOCABULARIES, "/index.html", "/v1/chat/completions", "/admin/api/keys", "/_headers"]) assert.ok(isWorkers(path), path);
    for (const path of ["/", ...PAGE.slice(1)]) assert.ok(!isWorkers(path), path);
  });

  it("are the vocabularies alone with dashboard: false", () => {
    assert.deepEqual(uploaded("providers: {}\ndashboard: false\n"), VOCABULARIES);
  });
});
