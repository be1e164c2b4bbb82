// The examples of docs/websocket.md, verbatim: in Node, and in a browser.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { browse, missing } from "./browser.mjs";
import { soon } from "./client.mjs";
import { streamedText } from "./expect.mjs";
import { startWire } from "./socket.mjs";
import { startStage } from "./stage.mjs";

const document = await readFile(new URL("../../docs/websocket.md", import.meta.url), "utf8");
const [plain, named] = [...document.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
const ADDRESS = "localhost:1219";
// A program takes long to start on a slow machine.
const PATIENCE_MS = 120_000;

const config = () => `
providers:
  demo: { adapter: echo, models: { echo: {}, echo-long: { echo: { words: 300, delay_ms: 20 } } } }
`;

/** The oldest Node.js in the folders of PATH, from 20. */
function oldestNode() {
  const version = (node) => {
    const { stdout } = spawnSync(node, ["--version"], { encoding: "utf8" });
    return stdout?.match(/^v(\d+)/)?.[1] ?? 0;
  };
  const known = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "node")).filter(existsSync);
  const all = [process.execPath, ...known].map((node) => [Number(version(node)), node]).filter(([major]) => major >= 20);
  return all.sort(([one], [other]) => one - other)[0][1];
}

describe("the examples", { concurrency: 2 }, () => {
  let stage, wire, plainAnswer;
  before(async () => {
    stage = await startStage({ config, bindings: { ACCESS_API_KEYS: "sk-llm-bridge-dev" } });
    wire = await startWire(stage.gateway.port);
    const body = { model: "demo/echo", stream: true, messages: [{ role: "user", content: "Hello!" }] };
    plainAnswer = streamedText((await stage.post(body, { authorization: "Bearer sk-llm-bridge-dev" })).text);
  });
  after(async () => {
    await wire.stop();
    await stage.stop();
  });

  /**
   * Runs a script in Node and passes each line that it prints to `line`. The address that it calls leads to
   * `url`.
   */
  function run(script, url, line) {
    const lead = `const Own = WebSocket; globalThis.WebSocket = class extends Own {
      constructor(address, protocols) { super(address.replace("${ADDRESS}", "${new URL(url).host}"), protocols); }
    };\n`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", lead + script], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.on("data", (part) => line((said += part), child));
    return soon(new Promise((resolve) => child.once("exit", () => resolve(said))), "the example to end", PATIENCE_MS).finally(() => child.kill());
  }

  const isOver = (text) => text.includes("data: [DONE]");

  it("without names runs in Node as it stands", async () => {
    const said = await run(plain, stage.gateway.url, (text, child) => isOver(text) && child.kill());
    assert.equal(streamedText(said), plainAnswer);
  });

  it("run in the oldest Node.js that is here, as the page says for that which README names", async () => {
    const node = oldestNode();
    for (const [script, isDone] of [[plain, isOver], [named, () => false]]) {
      const here = script.replaceAll(ADDRESS, new URL(stage.gateway.url).host);
      const child = spawn(node, ["--experimental-websocket", "--input-type=module", "-e", here], { stdio: ["ignore", "pipe", "inherit"] });
      let said = "";
      child.stdout.on("data", (part) => isDone((said += part)) && child.kill());
      const code = await soon(new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 0))), "the example to end", PATIENCE_MS).finally(() => child.kill());
      assert.deepEqual([code, said.length > 0], [0, true], node);
    }
  });

  it("without names runs in Chromium as it stands", { skip: missing }, async () => {
    // Each word is a request of its own, so they may overtake each other.
    const length = (words) => words.filter((word) => !isOver(word)).reduce((sum, word) => sum + streamedText(word).length, 0);
    const words = await browse(plain, {
      names: { [ADDRESS]: `127.0.0.1:${stage.gateway.port}` },
      isOver: (words) => words.some((word) => !word.startsWith("data: ")) || (words.some(isOver) && length(words) >= plainAnswer.length),
    });
    assert.ok(words.every((word) => word.startsWith("data: ")), JSON.stringify(words));
    assert.equal(length(words), plainAnswer.length);
  });

  it("with names runs in Node as it stands, and goes on over a connection that breaks", async () => {
    let cut = 0;
    const said = await run(named, wire.url, (text) => {
      if (cut < 2 && text.split("\n").length > 60 * (cut + 1)) cut += wire.cut() ? 1 : 0;
    });
    assert.equal(cut, 2);
    const words = (id) => [...said.matchAll(new RegExp(`^${id} (.*)$`, "gm"))].map(([, word]) => JSON.parse(word)).join("");
    const whole = async (content) => {
      const body = { model: "demo/echo-long", stream: true, messages: [{ role: "user", content }] };
      return streamedText((await stage.post(body, { authorization: "Bearer sk-llm-bridge-dev" })).text);
    };
    assert.deepEqual([words("short"), words("long")], await Promise.all([whole("Say hello."), whole("Say much.")]));
  });
});
