// The overview: none, a month, and 100,000 requests; and from each figure to its requests.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertAccessible, assertFits, missing, signIn, walk } from "./chromium.mjs";
import { look } from "./look.mjs";
import { ADMIN_KEY, startPage } from "./stage.mjs";
import { batch, batches, month } from "./traffic.mjs";

const CONFIG = `
providers: { demo: { adapter: echo, models: { echo: {} } } }
reporting: { timezone: Asia/Kolkata, tags: [team] }
`;
const HOSTILE = "<img src=x onerror=\"document.title='owned'\">";

describe("the overview", { skip: missing }, () => {
  let page;
  before(async () => void (page = await startPage({ config: CONFIG, entry: "production.mjs" })));
  after(() => page?.stop());

  const open = async (hash, options) => {
    const tab = await page.open(options);
    await signIn(tab, ADMIN_KEY);
    await tab.goto(`${page.front.url}/${hash}`);
    return tab;
  };

  test("without requests it says so, and where to begin", async () => {
    const tab = await open("#/overview");
    await tab.getByText("No requests in this range.").waitFor();
    assert.equal(await tab.locator(".totals").count(), 0, "no figure is invented");
    await assertAccessible(tab, "an empty overview");
    await look(tab, "overview-empty");
  });

  test("a month: every figure is the API's, and leads to its requests", async () => {
    const { now } = await page.gateway.control();
    const seeded = month(now);
    await page.gateway.control({ feed: batches(seeded) });
    await page.gateway.control({ feed: [batch([{ at: now - 5000, model: HOSTILE, tags: [["team", HOSTILE]] }])] });
    const tab = await open("#/overview?days=90");
    await tab.getByRole("rowheader").first().waitFor();
    page.front.calls.length = 0;
    await tab.reload();
    await tab.locator(".charts").waitFor();
    await tab.getByRole("region", { name: "By group" }).getByRole("rowheader").first().waitFor();
    const calls = page.front.calls.filter((call) => !call.includes("/session"));
    assert.ok(calls.length <= 5, calls.join("\n"));
    const { totals } = await page.office.order("GET", "/reports?resolution=total&from=2026-01-01");
    const shown = await tab.locator(".totals").innerText();
    const dollars = new Intl.NumberFormat("en-GB", { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol" }).format(totals.cost_nanos / 1e9);
    assert.ok(shown.includes(dollars), `${dollars} in ${shown}`);
    assert.ok(shown.includes(`without ${new Intl.NumberFormat("en-GB").format(totals.unpriced_requests)} requests of unknown price`), shown);
    await look(tab, "overview");
    await assertAccessible(tab, "an overview");
    await assertFits(tab, "an overview");
    // Text from outside is text.
    assert.notEqual(await tab.title(), "owned");
    assert.equal(await tab.locator("main img").count(), 0);
    assert.ok(await tab.getByRole("rowheader", { name: HOSTILE }).isVisible());
    // A price that is not known is not 0.
    assert.match(await tab.getByRole("row", { name: /^unpriced/ }).textContent(), /^unpriced—/);
    // By a tag, and what has none.
    await tab.getByRole("button", { name: "Tag team" }).click();
    await tab.getByRole("rowheader", { name: "(none)" }).waitFor();
    // From a row to its requests.
    const to = await tab.getByRole("link", { name: "search", exact: true }).getAttribute("href");
    assert.match(to, /^#\/requests\?tags=team%3Dsearch&from=/);
    assert.deepEqual(tab.faults, []);
  });

  test("one day has hours of the reporting zone, each with a bar or a gap", async () => {
    const tab = await open("#/overview?days=1");
    await tab.locator(".charts").waitFor();
    assert.ok(await tab.getByText("Days of Asia/Kolkata").isVisible());
    const hours = await tab.locator(".chart svg").first().locator(".at").count();
    assert.equal(hours, 24);
    await tab.getByRole("button", { name: "Quarter hours" }).click();
    await tab.waitForFunction(() => document.querySelector(".chart svg").querySelectorAll(".at").length === 96);
    // The table has what the chart shows.
    await tab.locator("summary").click();
    assert.ok((await tab.getByRole("region", { name: "The figures of the charts as a table" }).getByRole("rowheader").count()) > 0);
  });

  test("the table comes as CSV", async () => {
    const tab = await open("#/overview?days=90&group=key");
    const button = tab.getByRole("region", { name: "By group" }).getByRole("button", { name: "CSV" });
    const [file] = await Promise.all([tab.waitForEvent("download"), button.click()]);
    const stream = await file.createReadStream();
    let text = "";
    for await (const part of stream) text += part;
    assert.match(text, /^period,key,requests,/);
    assert.ok(text.includes("vk_team-a"));
  });

  test("it fits a phone in the dark, and all is reached by keyboard", async () => {
    const tab = await open("#/overview?days=90", { size: "narrow", theme: "dark" });
    await tab.locator(".charts").waitFor();
    await assertFits(tab, "an overview on a phone");
    await assertAccessible(tab, "an overview in the dark");
    await look(tab, "overview-phone");
    const names = await walk(tab);
    assert.ok(names.some((name) => name.includes("The figures of the charts")), names.join("\n"));
    assert.deepEqual(names.filter((name) => name.includes("cannot be seen")), []);
  });

  test("100,000 requests are shown within seconds", async () => {
    const { now } = await page.gateway.control();
    for (const feed of batches(month(now, { count: 100_000, days: 80, keys: 20 }), 5000)) await page.gateway.control({ feed: [feed] });
    const tab = await open("#/overview?days=90");
    await tab.locator(".charts").waitFor();
    const took = await tab.evaluate(async () => {
      const begin = performance.now();
      location.hash = "#/overview?days=30";
      await new Promise((resolve) => {
        const look = () => (document.querySelector(".totals") && !document.querySelector("[aria-busy=true]") ? resolve() : requestAnimationFrame(look));
        setTimeout(look, 50);
      });
      return performance.now() - begin;
    });
    console.log(`100,000 requests: the overview took ${Math.round(took)} ms`);
    assert.ok(await tab.locator(".totals").isVisible());
  });
});
