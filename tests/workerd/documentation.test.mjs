// The examples of README and docs run verbatim, except for the gateway's address: every curl command, and
// every Node program that imports an SDK. Those of docs/websocket.md have a file of their own.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { call, chatRequest } from "./client.mjs";
import { startGateway } from "./harness.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ADDRESS = "localhost:1219";
// It only ends a program that hangs.
const LIMIT_MS = 150_000;
const CONFIG = `
providers:
  demo: { adapter: echo, models: { echo: {}, echo-long: { echo: { words: 600 } } } }
`;

const docs = (await readdir(`${ROOT}docs`)).filter((name) => name.endsWith(".md")).sort();
const pages = ["README.md", ...docs.map((name) => `docs/${name}`)];

/** The fenced blocks of a page in order: their language and text. */
const blocksOf = (page) =>
  [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(({ 1: language, 2: text, index }) => ({ language, text, section: page.lastIndexOf("\n#", index) }));

const examples = [];
for (const file of pages) {
  const blocks = blocksOf(await readFile(ROOT + file, "utf8"));
  blocks.forEach(({ language, text, section }, index) => {
    const next = blocks[index + 1];
    const reply = next?.language === "json" && next.section === section ? next.text.trim() : undefined;
    if (language === "sh" && text.includes("curl ")) examples.push({ file, command: text, reply });
    if (language === "js" && /^import /m.test(text)) examples.push({ file, program: text });
  });
}

describe("the examples of the documentation", () => {
  let gateway;
  before(async () => {
    const bindings = { ACCESS_API_KEYS: "sk-llm-bridge-dev", ADMIN_API_KEYS: "sk-llm-bridge-admin-dev" };
    gateway = await startGateway({ config: CONFIG, bindings });
  });
  after(() => gateway.stop());

  const run = async (command, args, text) => {
    const here = text.replaceAll(ADDRESS, new URL(gateway.url).host);
    const options = { cwd: ROOT, timeout: LIMIT_MS, env: { ...process.env, NODE_TEST_CONTEXT: undefined } };
    const { stdout } = await promisify(execFile)(command, [...args, here], options);
    return stdout;
  };

  it("are found", () => {
    assert.ok(examples.filter(({ command }) => command).length >= 4, "curl commands");
    assert.ok(examples.filter(({ program }) => program).length >= 3, "programs");
  });

  for (const { file, command, program, reply } of examples) {
    const title = `${file}: ${(command ?? program).trim().split("\n").at(command ? 0 : -1).slice(0, 70)}`;
    it(title, async () => {
      const strict = 'set -e; curl() { command curl -sS --fail-with-body "$@"; }\n';
      const said = command ? await run("bash", ["-c"], strict + command) : await run(process.execPath, ["--input-type=module", "-e"], program);
      assert.notEqual(said.trim(), "");
      if (reply) assert.equal(said, reply);
    });
  }

  it("of docs/errors.md has the code, type and fields that a wrong key gets", async () => {
    const [{ text }] = blocksOf(await readFile(`${ROOT}docs/errors.md`, "utf8")).filter(({ language }) => language === "json");
    const answer = await call(`${gateway.url}/v1/chat/completions`, chatRequest("sk-wrong", { model: "demo/echo", messages: [] }));
    const { message, ...shown } = JSON.parse(text).error;
    const { message: words, ...sent } = answer.json().error;
    assert.deepEqual(sent, shown);
    assert.ok(message && words);
  });
});
