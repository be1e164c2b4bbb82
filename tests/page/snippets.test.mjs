// The snippets of a key, run as they are printed: by the programs themselves where they are installed, and otherwise by
// one that reads what is printed and calls the gateway as the program does. tests/clis runs the coding agents.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startGateway } from "../workerd/harness.mjs";
import { Office, OFFICE } from "../workerd/office.mjs";
import { FRESH } from "./stage.mjs";
import { snippets } from "../../public/src/snippets.js";

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const PYTHON = join(PROJECT, ".tools/python");

/** A stand-in for a coding agent: reads what the agent reads, and calls what it calls. */
const AGENTS = {
  // Anthropic's SDK adds /v1/messages to ANTHROPIC_BASE_URL, and sends ANTHROPIC_AUTH_TOKEN as a bearer token.
  claude: `
    const { ANTHROPIC_BASE_URL: base, ANTHROPIC_AUTH_TOKEN: key, ANTHROPIC_MODEL: model } = process.env;
    const body = { model, max_tokens: 100, messages: [{ role: "user", content: "Hello!" }] };
    say(base + "/v1/messages", { authorization: "Bearer " + key, "anthropic-version": "2023-06-01" }, body);`,
  // Codex reads config.toml in CODEX_HOME, asks a command for the key, and adds /responses to base_url.
  codex: `
    const text = process.getBuiltinModule("node:fs").readFileSync(process.env.CODEX_HOME + "/config.toml", "utf8");
    const of = (name) => new RegExp("^" + name + ' = "(.*)"$', "m").exec(text)[1];
    const provider = of("model_provider");
    if (!text.includes("[model_providers." + provider + "]") || of("wire_api") !== "responses") throw new Error(text);
    const [, word] = /^args = \\["(.*)"\\]$/m.exec(text);
    const key = process.getBuiltinModule("node:child_process").execFileSync(of("command"), [word], { encoding: "utf8" }).trim();
    say(of("base_url") + "/responses", { authorization: "Bearer " + key }, { model: of("model"), input: "Hello!", stream: false });`,
  // Google's SDK adds /v1beta/models/… to GOOGLE_GEMINI_BASE_URL, and sends GEMINI_API_KEY as x-goog-api-key.
  gemini: `
    const { GOOGLE_GEMINI_BASE_URL: base, GEMINI_API_KEY: key, GEMINI_MODEL: model } = process.env;
    say(base + "/v1beta/models/" + model + ":generateContent", { "x-goog-api-key": key }, { contents: [{ role: "user", parts: [{ text: "Hello!" }] }] });`,
};
const SAY = `
  async function say(url, headers, body) {
    const response = await fetch(url, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) });
    console.log(response.status, await response.text());
  }`;

describe("snippets work as they are printed", () => {
  let gateway, office, key, printed, folder;
  before(async () => {
    gateway = await startGateway({ config: FRESH, bindings: OFFICE });
    office = new Office(gateway.url);
    key = await office.key("snippets", { models: ["demo/*"] });
    printed = Object.fromEntries(snippets({ origin: gateway.url, key, model: "demo/echo" }));
    folder = await mkdtemp(join(tmpdir(), "llm-bridge-snippets-"));
  });
  after(async () => {
    await gateway?.stop();
    if (folder) await rm(folder, { recursive: true });
  });

  const shell = (text, env = {}) => run("bash", ["-c", text], { timeout: 150_000, cwd: folder, env: { ...process.env, HOME: folder, ...env } });
  const field = (client, name) => new RegExp(`^${name}: +(\\S+)$`, "m").exec(printed[client])[1];
  const chat = (url, key) => fetch(url, { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify({ model: "demo/echo", messages: [{ role: "user", content: "Hello!" }] }) });

  test("curl", async () => {
    const { stdout } = await shell(printed.curl);
    assert.equal(JSON.parse(stdout).object, "chat.completion");
  });

  test("Node.js, by the official SDK", async () => {
    await symlink(join(PROJECT, "node_modules"), join(folder, "node_modules"));
    await writeFile(join(folder, "snippet.mjs"), printed["Node.js"]);
    const { stdout } = await run(process.execPath, ["snippet.mjs"], { cwd: folder, timeout: 150_000 });
    assert.match(stdout, /You said: Hello!/);
  });

  test("Python, by the official SDK", { skip: !existsSync(join(PYTHON, "openai")) && "NOT TESTED with Python: `make test-python` installs its packages" }, async () => {
    await writeFile(join(folder, "snippet.py"), printed.Python);
    const { stdout } = await run("python3", ["snippet.py"], { cwd: folder, timeout: 150_000, env: { ...process.env, PYTHONPATH: PYTHON } });
    assert.match(stdout, /You said: Hello!/);
  });

  for (const [client, program] of [["Claude Code", "claude"], ["Codex", "codex"], ["Gemini CLI", "gemini"]])
    test(client, async () => {
      await writeFile(join(folder, program), `#!${process.execPath}\n${SAY}\n${AGENTS[program]}`);
      await chmod(join(folder, program), 0o755);
      const { stdout } = await shell(printed[client], { PATH: `${folder}:${process.env.PATH}` });
      assert.match(stdout, /^200 .*You said: Hello!/s);
    });

  test("Codex is configured as the documentation says", async () => {
    const document = await readFile(join(PROJECT, "docs/clients.md"), "utf8");
    const block = /```toml\n(model = [\s\S]*?)```/.exec(document)[1].trim();
    const ours = /<<'END'\n([\s\S]*?)\nEND\n/.exec(printed.Codex)[1];
    const settings = (text) => text.split("\n").filter((line) => line && !line.startsWith("model = ")).join("\n");
    assert.equal(settings(ours).replaceAll(gateway.url, "http://localhost:1219"), settings(block));
  });

  test("the fields of Cherry Studio, Cline and Open WebUI lead to the gateway", async () => {
    assert.equal((await chat(`${field("Cherry Studio", "API host")}/v1/chat/completions`, field("Cherry Studio", "API key"))).status, 200);
    assert.equal((await chat(`${field("Cline", "Base URL")}/chat/completions`, field("Cline", "API key"))).status, 200);
    const { stdout } = await shell(`${printed["Open WebUI"]}\ncurl -s $OPENAI_API_BASE_URL/models -H "authorization: Bearer $OPENAI_API_KEY"`);
    assert.ok(JSON.parse(stdout).data.some(({ id }) => id === "demo/echo"));
  });
});
