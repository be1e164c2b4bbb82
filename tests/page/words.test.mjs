// Every view in both languages: what is not a name, a code or a text of somebody else is in the reader's language, no
// column is cut off, all is reached by keyboard, axe finds nothing, and few calls are made.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { zh } from "../../public/src/words/zh.js";
import { as, call, HELLO, until } from "../workerd/client.mjs";
import { assertAccessible, assertFits, missing, settled, walk } from "./chromium.mjs";
import { look } from "./look.mjs";
import { ADMIN_KEY, startPage } from "./stage.mjs";

const PRICE = "context: 8000, max_output: 2000, price: { input: 1, output: 2 }, limit_fields: [max_tokens]";
const config = (fake) => `
default_provider: first
providers:
  first: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { ok: { ${PRICE} }, err-500: { ${PRICE} }, cut: { ${PRICE} } } }
  openai: { base_url: "https://api.openai.com/v1", models: { gpt-4o: {}, gpt-4.1: {} } }
  demo: { adapter: echo, base_url: "https://unused.example", models: { echo: {} } }
routes: { smart: [first/err-500, first/ok] }
reporting: { tags: [team] }
logging: { output: { file: { path: logs } } }
`;

const VIEWS = ["start", "overview", "overview?group=owner&days=7", "overview?days=hour", "requests", "requests/zh-1", "requests?model=none", "live", "keys", "keys/team-a", "keys/new", "keys/many", "models", "playground", "config", "logs", "alerts", "audit"];
/** What the test itself has named, and what is a name in every language. */
const NAMES = ["first", "openai", "demo", "ok", "err-500", "smart", "gpt-4o", "gpt-4.1", "echo", "team-a", "vk_team-a", "team", "search", "zh-1", "Ann", "127.0.0.1", "api.openai.com", "ok-2026-11-01", "LLM Bridge", "English", "CSV", "PDF", "UTC", "Slack", "openai.com", "hooks.slack.example", "key.edit", "cut", "Token", "token"];
/** Words of a format that the page shows as they are written there. */
const WRITTEN = { "keys/many": /^每行一个密钥。/, config: /^复制：[a-z_]+$/, models: /^[a-z_]+(, [a-z_]+){3,}$/ };

/** The texts of a view that readers see or hear, but for code and texts that are marked as English. */
const texts = (tab) =>
  tab.evaluate(() => {
    const SKIPPED = "code, pre, [lang=en], [translate=no], textarea, .who, .log summary, script, style";
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) if (!node.parentElement.closest(SKIPPED)) found.push(node.data.trim());
    for (const name of ["aria-label", "title", "placeholder", "alt"])
      for (const at of document.querySelectorAll(`[${name}]`)) if (!at.closest(SKIPPED)) found.push(at.getAttribute(name).trim());
    return [...new Set([...found, document.title])].filter(Boolean);
  });

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
/** Each Chinese text as a pattern. Values stand where it has a name in braces. */
const PATTERNS = Object.values(zh)
  .filter((text) => /[A-Za-z]{2,}/.test(text.replace(/\{\w+\}/g, "")))
  .map((text) => new RegExp(`^${text.split(/\{\w+\}/).map(escaped).join("(.*)")}$`, "s"));

/** Codes: addresses, ids of admin keys, names with underscores, and units. */
const CODES = [/https?:\S+/g, /\bkey_[0-9a-f]+\b/g, /\b[a-z]+(_[a-z]+)+\b/g, /\b[245]xx\b/g, /\d (kB|MB|GB)\b/g];

/** What of a text is in no language of the page: words of Latin letters that are neither names nor part of a Chinese text. */
function foreign(text) {
  const whole = PATTERNS.map((pattern) => pattern.exec(text)).find(Boolean);
  const parts = (whole ? whole.slice(1) : [text]).map((part) => CODES.reduce((left, code) => left.replaceAll(code, " "), part));
  const rest = parts.map((part) => NAMES.toSorted((a, b) => b.length - a.length).reduce((left, name) => left.replaceAll(name, " "), part));
  return rest.flatMap((part) => part.match(/[A-Za-z][A-Za-z'’]+/g) ?? []);
}

describe("the words of every view", { skip: missing }, () => {
  let page;
  before(async () => {
    page = await startPage({ stage: { config }, bindings: { ALERT_SLACK_URL: "https://hooks.slack.example/services/x" } });
    const key = await page.office.key("team-a", { name: "team-a", owner: "Ann", budget: { amount: "5", per: "day" }, requests_per_minute: 60, metadata: { team: "search" } });
    const chat = (model, headers = {}, more = {}) =>
      call(`${page.gateway.url}/v1/chat/completions`, { method: "POST", headers: { ...as(key), "x-llm-bridge-tags": "team=search", ...headers }, body: JSON.stringify({ model, messages: HELLO, max_tokens: 9, ...more }) });
    await chat("smart", { "x-request-id": "zh-1" });
    await chat("first/err-500");
    await chat("first/none");
    await chat("demo/echo");
    await until(async () => (await page.office.order("GET", "/requests")).data.length >= 3, "the requests");
    await until(async () => (await page.office.order("GET", "/requests?request_id=zh-1")).data.length > 0, "the first of them");
    await until(async () => (await page.office.order("GET", "/audit")).data.length >= 1, "an entry of the audit log");
  });
  after(() => page?.stop());

  const open = async (locale) => {
    const tab = await page.open({ locale });
    await tab.locator("input[type=password]").fill(ADMIN_KEY);
    await tab.locator("form button.main").click();
    await tab.locator("nav").waitFor({ state: "attached" });
    return tab;
  };
  const visit = async (tab, view) => {
    await tab.goto(`${page.front.url}/#/${view}`);
    await tab.waitForFunction((name) => location.hash.startsWith(`#/${name}`) && document.querySelector("main h1"), view.split(/[/?]/)[0]);
    await settled(tab);
  };

  test("a word that nobody has translated is seen", () => {
    assert.deepEqual(foreign("your model's row"), ["your", "model's", "row"]);
    assert.deepEqual(foreign("当时的价格：your model's row"), ["your", "model's", "row"]);
    assert.deepEqual(foreign("首 token 延迟"), []);
    assert.deepEqual(foreign("openai/gpt-4o"), []);
    assert.deepEqual(foreign("truncated"), ["truncated"]);
  });

  test("in Chinese, each view is in Chinese", { timeout: 1_000_000 }, async () => {
    const tab = await open("zh-CN");
    const faults = {};
    for (const view of VIEWS) {
      await visit(tab, view);
      const found = (await texts(tab)).filter((text) => foreign(text).length > 0 && !WRITTEN[view]?.test(text));
      if (found.length > 0) faults[view] = found;
    }
    assert.deepEqual(faults, {});
    assert.deepEqual(tab.faults, []);
  });

  test("in both languages, no table of a wide page is cut off, and axe finds nothing", { timeout: 1_000_000 }, async () => {
    for (const locale of ["en-GB", "zh-CN"]) {
      const tab = await open(locale);
      for (const view of VIEWS) {
        await visit(tab, view);
        await assertFits(tab, `${view} in ${locale}`);
        const cut = await tab.locator(".table-box").evaluateAll((boxes) => boxes.filter((box) => box.clientWidth > 0 && box.scrollWidth > box.clientWidth + 1).map((box) => `${box.getAttribute("aria-label")}: ${box.scrollWidth} of ${box.clientWidth} pixels`));
        assert.deepEqual(cut, [], `${view} in ${locale}`);
        await assertAccessible(tab, `${view} in ${locale}`);
        await look(tab, `words-${locale}-${view.replaceAll(/\W/g, "-")}`);
      }
    }
  });

  test("each view asks the gateway for five things at most, and is whole by keyboard", { timeout: 1_000_000 }, async () => {
    const tab = await open("en-GB");
    for (const view of VIEWS) {
      // From another view, so that nothing is left over from the last.
      await visit(tab, "start");
      page.front.calls.length = 0;
      await visit(tab, view);
      const { calls } = page.front;
      assert.ok(calls.length <= 5, `${view}: ${calls.join("\n")}`);
      // The focus begins at the top of a page that was loaded anew.
      await tab.reload();
      await tab.locator("main h1").waitFor();
      await settled(tab);
      const reachable = await tab.evaluate(() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter((at) => at.tabIndex >= 0 && !at.disabled && at.checkVisibility()).length);
      const names = await walk(tab, reachable + 60);
      assert.deepEqual(names.filter((name) => name.includes("cannot be seen")), [], view);
      assert.ok(names.length >= reachable, `${view}: ${names.length} stops for ${reachable} things\n${names.join("\n")}`);
    }
  });
});
