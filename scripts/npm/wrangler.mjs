// `llm-bridge dev` and `deploy`: Cloudflare's wrangler, which npx fetches, on a copy of the built worker in
// `.llm-bridge/` with the configuration of this folder.

import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Mistake } from "../serve/options.mjs";
import { main as check } from "./check.mjs";
import { ENV_FILE, guarded, packaged } from "./command.mjs";

const FOLDER = ".llm-bridge";
const CONFIG = "config.yaml";
const COPIED = ["src", "build"];
const PAGE = ["index.html", "_headers", "ui"];
// As scripts/build-page.mjs.
const DASHBOARD_OFF = /^dashboard: false[ \t]*(#.*)?\r?$/m;

/** The project's wrangler.toml without its build: everything is built. */
export const withoutBuild = (toml) => toml.replace(/^(?:#.*\n)*\[build\]\n(?:(?!\[).*\n)*/m, "");

function layOut() {
  const worker = join(FOLDER, "worker");
  rmSync(worker, { recursive: true, force: true });
  mkdirSync(worker, { recursive: true });
  for (const name of COPIED) cpSync(packaged(name), join(worker, name), { recursive: true });
  // A link, so that wrangler sees each edit.
  rmSync(join(worker, "build/config.yaml"), { force: true });
  symlinkSync(resolve(CONFIG), join(worker, "build/config.yaml"));
  if (DASHBOARD_OFF.test(readFileSync(CONFIG, "utf8"))) for (const name of PAGE) rmSync(join(worker, "build/assets", name), { recursive: true, force: true });
  // Settings of one's own: another name, a domain, a bucket.
  const toml = existsSync("wrangler.toml") ? "wrangler.toml" : packaged("wrangler.toml");
  writeFileSync(join(worker, "wrangler.toml"), withoutBuild(readFileSync(toml, "utf8")));
  if (existsSync(ENV_FILE)) {
    cpSync(ENV_FILE, join(worker, ".dev.vars"));
    chmodSync(join(worker, ".dev.vars"), 0o600);
  }
  return worker;
}

export const main = (name, words) => guarded(async () => {
  if (!existsSync(CONFIG)) throw new Mistake(`There is no ${CONFIG} here. npx llm-bridge init writes one.`);
  if ((await check("check", [CONFIG])) !== 0) return 1;
  const worker = layOut();
  const { wranglerVersion } = JSON.parse(readFileSync(packaged("package.json"), "utf8"));
  const port = name === "dev" && !words.includes("--port") ? ["--port", "1219"] : [];
  const child = spawn("npx", ["--yes", `wrangler@${wranglerVersion}`, name, ...port, ...words], { cwd: worker, stdio: "inherit", env: { ...process.env, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" } });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  return new Promise((done, failed) => {
    child.on("error", (fault) => failed(new Mistake(`npx does not start: ${fault.message}`)));
    child.on("close", (code) => done(code ?? 1));
  });
});
