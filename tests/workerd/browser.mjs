// Opens one page of a test in headless Chromium and returns what the page reports.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { soon } from "./client.mjs";

const HOME = fileURLToPath(new URL("../../.tools/browser/", import.meta.url));
const IS_THERE = existsSync(join(HOME, "node_modules/@sparticuz/chromium"));
const RUNS = process.platform === "linux" && process.arch === "x64";
/** Why there is no browser, or undefined. */
export const missing =
  (!RUNS && "NOT TESTED in a browser: that of the tests is for Linux on x64") ||
  (!IS_THERE && "NOT TESTED in a browser: there is none in .tools/browser; `make test-workerd` installs it") ||
  undefined;

// Unpacking and starting a browser for the first time takes long on a slow machine.
const PATIENCE_MS = 120_000;
// It makes no requests but those of the page.
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-zygote", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/**
 * Opens a page with this script; `names` maps addresses in the script to others. Resolves to the page's
 * output once `isOver` accepts it.
 */
export async function browse(script, { names = {}, isOver }) {
  const words = [];
  let done;
  const over = new Promise((resolve) => (done = resolve));
  const page = `<!DOCTYPE html><script>
    console.log = (...words) => fetch("/say", { method: "POST", body: words.join(" ") });
    onerror = (message) => console.log("page error: " + message);
  </script><script>${script.replaceAll("</script", "<\\/script")}</script>`;
  const server = createServer(async (req, res) => {
    if (req.method !== "POST") return res.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
    let word = "";
    for await (const part of req) word += part;
    res.end();
    words.push(word);
    if (isOver(words)) done(words);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const profile = await mkdtemp(join(tmpdir(), "llm-bridge-browser-"));
  // Chromium's own libraries come with it. It unpacks them in environments that may lack the system's.
  process.env.AWS_EXECUTION_ENV ??= "AWS_Lambda_nodejs22.x";
  const { default: chromium } = await import(createRequire(HOME).resolve("@sparticuz/chromium"));
  const rules = Object.entries(names).map(([from, to]) => `MAP ${from} ${to}`);
  const args = [...FLAGS, `--host-resolver-rules=${rules.join(",")}`, `--user-data-dir=${profile}`, `http://127.0.0.1:${server.address().port}/`];
  const child = spawn(await chromium.executablePath(), args, { stdio: "ignore", detached: true });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  try {
    return await soon(over, `the page; it said ${JSON.stringify(words)}`, PATIENCE_MS);
  } finally {
    process.kill(-child.pid, "SIGKILL");
    await gone;
    server.closeAllConnections();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
