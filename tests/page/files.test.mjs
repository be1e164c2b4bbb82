// The files of the dashboard: their size, their headers, the words of both languages, and how they are left out.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { pageHeaders } from "./front.mjs";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const FILES = join(PROJECT, "build/assets");
/** The whole page, gzipped. */
const MOST_BYTES = 90 * 1024;

test("the whole page is small", () => {
  const names = ["index.html", ...readdirSync(join(FILES, "ui")).map((name) => `ui/${name}`)];
  const bytes = names.reduce((sum, name) => sum + gzipSync(readFileSync(join(FILES, name)), { level: 9 }).length, 0);
  console.log(`The dashboard: ${bytes} bytes gzipped, of ${MOST_BYTES} allowed.`);
  assert.ok(bytes <= MOST_BYTES);
});

test("the page loads nothing from elsewhere, and its policy forbids it", async () => {
  const headers = await pageHeaders(FILES);
  const policy = headers["Content-Security-Policy"];
  for (const rule of ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"])
    assert.ok(policy.split("; ").includes(rule), rule);
  assert.equal(policy.includes("unsafe"), false);
  assert.equal(headers["Cache-Control"], "no-store");
  const page = readFileSync(join(FILES, "index.html"), "utf8");
  assert.deepEqual([...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, to]) => to).filter((to) => !to.startsWith("/ui/")), []);
});

test("only the page is served without the gateway: vocabularies stay private", () => {
  const rules = readFileSync(join(PROJECT, "wrangler.toml"), "utf8").match(/^run_worker_first = (.*)$/m)[1];
  assert.deepEqual(JSON.parse(rules), ["/*", "!/", "!/ui/*"]);
});

function build(config) {
  const folder = mkdtempSync(join(tmpdir(), "llm-bridge-page-"));
  const file = join(folder, "config.yaml");
  try {
    writeFileSync(file, config);
    execFileSync(process.execPath, [join(PROJECT, "scripts/build-page.mjs"), file, folder]);
    return ["index.html", "_headers", "ui/app.js", "ui/style.css"].filter((name) => existsSync(join(folder, name)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("dashboard: false leaves the files out", () => {
  assert.equal(build("providers: {}\n").length, 4);
  assert.equal(build("dashboard: true\n").length, 4);
  for (const line of ["dashboard: false", "dashboard: false  # not here", "dashboard: false\r"]) assert.deepEqual(build(`a: 1\n${line}\n`), []);
});

const { en } = await import("../../public/src/words/en.js");
const { zh } = await import("../../public/src/words/zh.js");

test("both languages have the same words, with the same values in them", () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  const values = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  for (const name of Object.keys(en)) assert.deepEqual(values(zh[name]), values(en[name]), name);
});

test("each word that the page names exists, and each is used", () => {
  const sources = readdirSync(join(PROJECT, "public/src"), { recursive: true })
    .filter((name) => /\.jsx?$/.test(name) && !/^words\/(en|zh)/.test(name))
    .map((name) => readFileSync(join(PROJECT, "public/src", name), "utf8"))
    .join("\n");
  const named = [...sources.matchAll(/\bt\("([^"]+)"/g)].map(([, name]) => name);
  assert.deepEqual(named.filter((name) => !(name in en)), []);
  // Names that are made of a group and a part, such as t(`view.${name}`), named("outcome", …).
  const groups = new Set([...sources.matchAll(/[`"]([\w.-]+)\.\$\{/g), ...sources.matchAll(/named\("([a-z-]+)"/g)].map(([, group]) => group));
  const unused = Object.keys(en).filter((name) => !sources.includes(`"${name}"`) && ![...groups].some((group) => name.startsWith(`${group}.`)));
  assert.deepEqual(unused, []);
});
