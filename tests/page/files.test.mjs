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

test("the pictures of the documentation are small", () => {
  const folder = join(PROJECT, "docs/img");
  const sizes = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name)).length]);
  assert.ok(sizes.length >= 15, "each view has one");
  assert.deepEqual(sizes.filter(([, bytes]) => bytes > 60 * 1024), []);
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

test("no word has two meanings", () => {
  for (const language of ["en", "zh"]) {
    const folder = join(PROJECT, "public/src/words", language);
    const all = readdirSync(folder).flatMap((name) => [...readFileSync(join(folder, name), "utf8").matchAll(/^ {2}"?([\w.-]+)"?: "/gm)].map(([, word]) => word));
    assert.ok(all.length >= Object.keys(en).length);
    assert.deepEqual(all.filter((word, index) => all.indexOf(word) !== index), [], language);
  }
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

/** The names of a list in Rust: what is in quotes between two texts of a file. */
function namesOf(file, from, to, pattern) {
  const text = readFileSync(join(PROJECT, "src", file), "utf8");
  const begin = text.indexOf(from);
  assert.ok(begin >= 0, `${file} has no ${from}`);
  return [...text.slice(begin, text.indexOf(to, begin)).matchAll(pattern)].map(([, name]) => name);
}

test("each name that the API gives to something has words", () => {
  const api = JSON.parse(readFileSync(join(PROJECT, "src/admin/openapi.json"), "utf8")).components.schemas;
  const of = (schema, field) => api[schema].properties[field].enum;
  const groups = {
    class: namesOf("catalogue/cause.rs", "const CLASS_NAMES", "];", /"(\w+)"/g),
    outcome: namesOf("gateway/fact.rs", "Self::Complete =>", "}", /"(\w+)"/g),
    action: ["read", ...namesOf("admin/routes.rs", "fn ", "mod tests", /"([\w]+\.[\w]+)"\)/g)],
    "key-status": of("Key", "status"),
    per: of("Budget", "per"),
    health: of("HealthState", "state"),
    known: of("HealthState", "known"),
    destination: of("AlertDestination", "kind"),
    alert: of("RaisedAlert", "kind"),
    delivery: of("AlertDelivery", "state"),
    bill: api.Attempt.properties.bill.items.properties.kind.enum,
    store: api.Stores.properties.data.items.properties.store.enum,
  };
  for (const [group, names] of Object.entries(groups)) {
    assert.ok(names.length >= 2, `${group}: ${names}`);
    assert.deepEqual(names.filter((name) => !(`${group}.${name}` in en)), [], group);
  }
});

test("no text stands in the sources of the page: each is a word of both languages", () => {
  const names = readdirSync(join(PROJECT, "public/src"), { recursive: true }).filter((name) => name.endsWith(".jsx"));
  const texts = names.flatMap((name) => {
    const source = readFileSync(join(PROJECT, "public/src", name), "utf8").replaceAll(/\/\*.*?\*\/|^\s*\/\/.*$/gms, "");
    const between = [...source.matchAll(/<\/?[A-Za-z][^<>]*>\s*([A-Za-z][^<>{}]*?)\s*(?=[<{])/g)].map(([, text]) => text);
    const attributes = [...source.matchAll(/\b(?:aria-label|title|alt|placeholder)="([^"]+)"/g)].map(([, text]) => text);
    return [...between, ...attributes].map((text) => `${name}: ${text.trim()}`);
  });
  // Names, formats and code are the same in all languages.
  const KNOWN = /: (LLM Bridge|CSV|sk-llm-bridge-admin-dev|\d{4}-\d\d-\d\d)$/;
  assert.deepEqual(texts.filter((text) => !KNOWN.test(text)), []);
});
