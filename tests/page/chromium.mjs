// Chromium for the tests of the dashboard, driven by Playwright and judged by axe.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterEach } from "node:test";
import { fileURLToPath } from "node:url";

const HOME = fileURLToPath(new URL("../../.tools/browser/", import.meta.url));
const RUNS = process.platform === "linux" && process.arch === "x64";
const IS_THERE = existsSync(join(HOME, "node_modules/playwright-core"));
/** Why there is no browser, or undefined. */
export const missing =
  (!RUNS && "NOT TESTED in a browser: that of the tests is for Linux on x64") ||
  (!IS_THERE && "NOT TESTED in a browser: there is none in .tools/browser; `make test-page` installs it") ||
  undefined;

const need = createRequire(HOME);
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-zygote", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts a browser. */
export async function startBrowser() {
  // Chromium's own libraries come with it. It unpacks them in environments that may lack the system's.
  process.env.AWS_EXECUTION_ENV ??= "AWS_Lambda_nodejs22.x";
  const { default: packed } = await import(need.resolve("@sparticuz/chromium"));
  const { chromium } = need("playwright-core");
  return chromium.launch({ executablePath: await packed.executablePath(), args: FLAGS, headless: true, timeout: 120_000 });
}

/** The contexts of the tabs that the running test has opened. */
const contexts = new Set();
// A view goes on asking the gateway. What it asks must not be taken for a call of the next test's.
if (process.env.NODE_TEST_CONTEXT) afterEach(async () => {
  await Promise.all([...contexts].map((context) => context.close()));
  contexts.clear();
});

const SIZES = { wide: { width: 1280, height: 860 }, narrow: { width: 390, height: 844 } };

/** A tab in a context of its own. `faults` collects errors of the page, and what its security policy blocks. */
export async function openTab(browser, url, { size = "wide", theme = "light", locale = "en-GB", zone = "Europe/Berlin" } = {}) {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: theme, locale, timezoneId: zone, reducedMotion: "reduce" });
  contexts.add(context);
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(url).origin });
  const tab = await context.newPage();
  // This only delays the failure of what never comes.
  tab.setDefaultTimeout(120_000);
  tab.faults = [];
  tab.on("pageerror", (fault) => tab.faults.push(String(fault)));
  tab.on("console", (line) => {
    // The browser reports each refused call; the page says what is wrong.
    if (line.type() === "error" && !line.text().startsWith("Failed to load resource")) tab.faults.push(line.text());
  });
  // The event of a new fragment comes in a task of its own: until then, the view is that of the last one.
  const go = tab.goto.bind(tab);
  tab.goto = (to) => go(to).then(() => drawn(tab));
  await tab.goto(url);
  return tab;
}

/** Waits until the page has drawn what it has been told. */
const drawn = (tab) => tab.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

/** Signs in with a key. */
export async function signIn(tab, key) {
  await tab.getByLabel("Key", { exact: true }).fill(key);
  await tab.getByRole("button", { name: "Sign in", exact: true }).click();
  await tab.locator("nav").waitFor({ state: "attached" });
}

/** Waits until the view has what it asked the gateway for. That it did not get it fails the test with what the page says. */
export async function settled(tab) {
  await drawn(tab);
  await tab.waitForFunction(() => document.querySelector("main") && !document.querySelector("main [aria-busy=true], main .loading"), null, { timeout: 120_000 });
  assert.deepEqual(await tab.locator("main .notice.bad").allInnerTexts(), [], "errors that the page shows");
}

/** Asserts that axe finds nothing wrong with the page as it is. */
export async function assertAccessible(tab, what) {
  const source = await readFile(need.resolve("axe-core/axe.min.js"), "utf8");
  // Scripts of tests run in the page by the browser's own protocol, which its security policy does not govern.
  const violations = await tab.evaluate(`(() => { ${source}; return axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ": " + nodes.map((node) => node.html.slice(0, 160) + " " + node.failureSummary).join(" | "))); })()`);
  assert.deepEqual(violations, [], what);
}

/** Asserts that nothing on the page is wider than the page. */
export async function assertFits(tab, what) {
  const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(overflow <= 0, `${what} is ${overflow} pixels wider than the page`);
}

/**
 * Goes through the page with the Tab key, and returns the accessible names of what has the focus, in order, until
 * the focus leaves the page. What the view loads has come by then: what is replaced would lose the focus.
 */
export async function walk(tab, most = 150) {
  await settled(tab);
  await tab.evaluate(() => document.activeElement?.blur?.());
  const names = [];
  for (let step = 0; step < most; step++) {
    await tab.keyboard.press("Tab");
    const name = await tab.evaluate(() => {
      const at = document.activeElement;
      if (!at || at === document.body) return null;
      const shown = getComputedStyle(at);
      const isOutlined = shown.outlineStyle !== "none" && parseFloat(shown.outlineWidth) > 0;
      const label = at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent;
      return `${at.tagName.toLowerCase()} ${label.trim().slice(0, 60)}${isOutlined ? "" : " (the focus cannot be seen)"}`;
    });
    if (name === null) break;
    names.push(name);
  }
  return names;
}
