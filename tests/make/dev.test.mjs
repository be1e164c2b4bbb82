// `make dev` and the commands that it prints. Needs a build.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { authority } from "../workerd/certificates.mjs";
import { startFake } from "../workerd/fake-openai.mjs";
import { startMixedProxy, startTls } from "../workerd/proxies.mjs";
import { freePort } from "./free-port.mjs";

const ROOT = new URL("../..", import.meta.url).pathname;
const CONFIG = `
providers:
  demo:
    adapter: echo
    models:
      echo: {}
`;

/** The configuration of the Python LLM Bridge as it was shipped, with providers of the test; its proxy opens TLS. */
const seedConfig = ({ plain, secure, proxy, ca }) => `
providers:
  closeai:
    adapter: openai
    base_url: ${plain}/v1/chat/completions
    requires_proxy: false
    api_key: key-of-closeai
    models:
      ok: { max_tokens: 8192, timeout: 120 }
  gemini:
    adapter: openai
    base_url: ${secure}/v1beta/openai/chat/completions
    requires_proxy: true
    api_key: key-of-gemini
    models:
      ok: { max_tokens: 8192, timeout: 120 }
proxy:
  http: socks5://127.0.0.1:${proxy}
  https: socks5://127.0.0.1:${proxy}
  ca: ${JSON.stringify(ca)}
logging:
  format: json
  level: debug
  output:
    file: { path: ../logs/llm-bridge.log, max_size: 10485760, backup_count: 5 }
    console: true
`;

const folder = mkdtempSync(join(tmpdir(), "llm-bridge-make-"));
after(() => rmSync(folder, { recursive: true }));

// The environment of a user's shell, without the variables of the make and the test runner that run this
// file.
const { MAKEFLAGS, MFLAGS, MAKELEVEL, NODE_TEST_CONTEXT, PORT, CONFIG: _, ...env } = process.env;
const make = (...args) => spawnSync("make", args, { cwd: ROOT, env, encoding: "utf8", timeout: 300_000 });

/** How editors save: nobody sees a half of the file. */
function save(path, text) {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

// Polls until the result is truthy.
async function eventually(what, seconds, ask) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(200)) {
    const answer = await ask();
    if (answer) return answer;
  }
  assert.fail(`${what}: not within ${seconds} s`);
}

describe("make dev", () => {
  const config = join(folder, "config.yaml");
  let port, dev, exit;
  let said = "";

  // It may have to build the gateway.
  before(async () => {
    writeFileSync(config, CONFIG);
    port = await freePort();
    dev = spawn("make", ["dev", `PORT=${port}`, `CONFIG=${config}`], { cwd: ROOT, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    exit = once(dev, "exit");
    for (const stream of [dev.stdout, dev.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
    await eventually("an address to try", 540, () => {
      assert.equal(dev.exitCode, null, said);
      return said.includes("README.md");
    });
  }, { timeout: 600_000 });

  after(() => {
    try { process.kill(-dev.pid, "SIGKILL"); } catch { /* it has ended, as it should */ }
    make("config-link"); // build/config.yaml is a copy of this test's file
  });

  test("the dashboard is served at /, and no other file", async () => {
    const get = (path) => fetch(`http://localhost:${port}${path}`);
    const page = await get("/");
    assert.equal(page.status, 200);
    assert.match(page.headers.get("content-type"), /^text\/html/);
    assert.match(page.headers.get("content-security-policy"), /default-src 'none'/);
    assert.equal(page.headers.get("cache-control"), "no-store");
    const html = await page.text();
    for (const [, path] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const file = await get(path);
      assert.equal(file.status, 200, path);
      assert.equal(file.headers.get("x-content-type-options"), "nosniff", path);
    }
    // Everything else is the gateway's, and so are the vocabularies.
    for (const path of ["/cl100k_base.bin", "/_headers", "/index.html", "/nothing"]) {
      const refused = await get(path);
      assert.equal(refused.status, 404, path);
      assert.equal((await refused.json()).error.code, "unknown_url", path);
    }
    assert.equal((await get("/ui/nothing.js")).status, 404);
  });

  // The commands as printed; only the placeholder for a key is filled in.
  const lines = () => said.split("\n").filter((line) => line.startsWith("  curl "))
    .map((line) => line.replace("ONE-OF-YOUR-ACCESS_API_KEYS", () => ownKey()));
  const ownKey = () => readFileSync(join(ROOT, ".dev.vars"), "utf8").match(/^ACCESS_API_KEYS=["']?([^,"'\n]+)/m)[1];
  const run = (line) => execFileSync("bash", ["-c", line], { env, encoding: "utf8", timeout: 120_000, stdio: ["ignore", "pipe", "ignore"] });
  const models = async () => {
    const key = lines()[0].match(/Bearer ([^']+)/)[1];
    const answer = await fetch(`http://localhost:${port}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    return (await answer.json()).data?.map((model) => model.id);
  };

  test("the first command that it prints is a chat that gets a response", () => {
    const { choices } = JSON.parse(run(lines()[0]));
    assert.match(choices[0].message.content, /demonstration/i);
  });

  test("the second command is the same, streamed", () => {
    const events = run(lines()[1]).split("\n").filter((line) => line.startsWith("data: "));
    assert.ok(events.length > 2, `a few events: ${events}`);
    assert.equal(events.at(-1), "data: [DONE]");
  });

  test("a model renamed in the YAML is there in seconds, and no Rust was built for it", async () => {
    assert.deepEqual(await models(), ["demo/echo"]);
    const before = said.length;
    save(config, CONFIG.replace("echo: {}", "parrot: {}"));
    await eventually("the new name", 120, async () => (await models().catch(() => []))?.includes("demo/parrot"));
    assert.doesNotMatch(said.slice(before), /Compiling/);
  });

  test("the model of the printed commands is one that there is", () => {
    const named = execFileSync("node", ["scripts/first-model.mjs", `http://localhost:${port}`, ".dev.vars"], { cwd: ROOT, env, encoding: "utf8" });
    assert.equal(named, "demo/parrot\n");
  });

  test("a configuration that is away leaves the last one served, and is followed when it is back", async () => {
    const ask = async () => {
      const answer = await fetch(`http://localhost:${port}/v1/models`, { headers: { authorization: `Bearer ${lines()[0].match(/Bearer ([^']+)/)[1]}` }, signal: AbortSignal.timeout(60_000) });
      return (await answer.json()).data.map(({ id }) => id);
    };
    renameSync(config, `${config}.away`);
    await eventually("word of it", 60, () => said.includes("is away: the gateway serves what it held"));
    for (let calls = 0; calls < 5; calls++) assert.deepEqual(await ask(), ["demo/parrot"]);
    save(config, CONFIG.replace("echo: {}", "magpie: {}"));
    await eventually("the new name", 120, async () => (await models().catch(() => []))?.includes("demo/magpie"));
    await eventually("word that it is back", 60, () => said.includes("config.yaml is back"));
  });

  test("keys that are added to .dev.vars are used", async () => {
    const file = join(ROOT, ".dev.vars");
    const before = readFileSync(file, "utf8");
    try {
      writeFileSync(file, before.replace(/^ACCESS_API_KEYS=.*$/m, `$&,sk-added-by-a-test-0001`));
      await eventually("the new key", 120, async () => {
        const answer = await fetch(`http://localhost:${port}/v1/models`, { headers: { authorization: "Bearer sk-added-by-a-test-0001" } }).catch(() => undefined);
        return answer?.status === 200;
      });
    } finally {
      writeFileSync(file, before);
    }
    await eventually("the key to be gone", 120, async () => {
      const answer = await fetch(`http://localhost:${port}/v1/models`, { headers: { authorization: "Bearer sk-added-by-a-test-0001" } }).catch(() => undefined);
      return answer?.status === 401;
    });
  });

  /**
   * Sends a chat, and returns its response with what the proxy was spoken to meanwhile. A call that wrangler
   * had begun when it took a new configuration, it refuses, and asks in these words to be sent it again.
   */
  async function post(request, proxy) {
    for (;;) {
      const before = proxy.spoken.length;
      const answer = await fetch(`http://localhost:${port}/v1/chat/completions`, { method: "POST", ...request });
      const text = await answer.text();
      if (answer.status !== 503 || !text.includes("restarted mid-request")) return { status: answer.status, text, spoken: proxy.spoken.slice(before) };
    }
  }

  test("the configuration of the Python LLM Bridge works, with a proxy at 127.0.0.1:7890", async () => {
    const { root, leaf } = authority("ec", ["localhost"]);
    const fake = await startFake();
    const tls = await startTls(fake.port, { key: leaf.key, cert: leaf.chain });
    // The machine may have a proxy of its own there.
    const proxy = await startMixedProxy(7890).catch(() => startMixedProxy(0));
    try {
      save(config, seedConfig({ plain: fake.origin, secure: `https://localhost:${tls.port}`, proxy: proxy.port, ca: root.cert }));
      await eventually("its models", 120, async () => (await models().catch(() => []))?.includes("gemini/ok"));
      const key = lines()[0].match(/Bearer ([^']+)/)[1];
      for (const [model, through] of [["closeai/ok", 0], ["gemini/ok", 1]]) {
        for (const stream of [false, true]) {
          const body = JSON.stringify({ model, stream, messages: [{ role: "user", content: "Hello" }] });
          const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
          const { status, text, spoken } = await post({ headers, body }, proxy);
          assert.equal(status, 200, text);
          assert.match(text, stream ? /data: \[DONE\]\n\n$/ : /"finish_reason": "stop"/);
          assert.equal(fake.last().headers.authorization, `Bearer key-of-${model.split("/")[0]}`);
          assert.deepEqual(spoken, Array(through).fill("SOCKS5"), model);
        }
      }
    } finally {
      await Promise.all([fake, tls, proxy].map((server) => server.stop()));
    }
  });

  test("a port that is taken is named, with the option that helps", () => {
    const second = make("dev", `PORT=${port}`, `CONFIG=${config}`);
    assert.notEqual(second.status, 0);
    assert.match(second.stderr, new RegExp(`Port ${port} is taken.*make dev PORT=`));
  });

  test("Ctrl-C ends all of it", async () => {
    process.kill(-dev.pid, "SIGINT");
    await Promise.race([exit, sleep(120_000, undefined, { ref: false })]);
    const left = () => execFileSync("ps", ["-eo", "pgid=,stat=,args="], { encoding: "utf8" }).split("\n")
      .filter((row) => Number.parseInt(row, 10) === dev.pid && !/^ *\d+ +Z/.test(row));
    await eventually("every process gone", 60, () => left().length === 0).catch(() => assert.deepEqual(left(), []));
    await assert.rejects(fetch(`http://localhost:${port}/health`), "nothing listens any more");
  });
});

test("a faulty configuration stops make dev, and the line is named", () => {
  const faulty = join(folder, "faulty.yaml");
  writeFileSync(faulty, CONFIG.replace("adapter: echo", "adapter: ecko"));
  const dev = make("dev", `CONFIG=${faulty}`);
  assert.notEqual(dev.status, 0);
  assert.match(dev.stderr, /faulty\.yaml:4\b/);
});

for (const [option, words] of [["PORT=abc", /PORT=abc is no port: .*1 to 65535/], ["PORT=70000", /PORT=70000 is no port/], ["PORT=", /PORT= is no port/], ["CONFIG=nope", /CONFIG=nope is no file: .*make dev CONFIG=/]]) {
  test(`make dev ${option} says at once what is wrong`, () => {
    const dev = make("dev", option);
    assert.notEqual(dev.status, 0);
    assert.match(dev.stderr, words);
    assert.doesNotMatch(dev.stdout, /Checking|Building/);
  });
}

test("a second set-up does nothing", () => {
  const { status, stdout, stderr } = make("setup");
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stdout + stderr, /Installing|Compiling|Adding/);
});

test("make alone lists every command", () => {
  const { stdout } = make();
  for (const name of ["help", "setup", "dev", "logs", "build", "test", "check", "pin", "deploy", "bench", "clean"]) {
    assert.match(stdout, new RegExp(`^  make ${name} +\\w`, "m"));
  }
});
