// Requests: a list with filters in the address, one request with its attempts, and those that run.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { as, call, HELLO, until } from "../workerd/client.mjs";
import { assertAccessible, assertFits, missing, signIn, walk } from "./chromium.mjs";
import { look } from "./look.mjs";
import { ADMIN_KEY, READER_KEY, startPage } from "./stage.mjs";

const config = (fake) => `
providers:
  first: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*" }
  second: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { ok: { price: { input: 2.5, output: 10, cached_input: 1.25 } } } }
  demo: { adapter: echo, models: { slow: { echo: { words: 10000, delay_ms: 200 } } } }
routes: { smart: [first/err-500, second/ok] }
reporting: { tags: [team] }
logging: { output: { file: { path: logs } } }
`;
const HOSTILE = '"><script>document.title="owned"</script>';

describe("requests", { skip: missing }, () => {
  let page, key;
  const chat = (model, headers = {}, more = {}) =>
    call(`${page.gateway.url}/v1/chat/completions`, { method: "POST", headers: { ...as(key), ...headers }, body: JSON.stringify({ model, messages: HELLO, ...more }) });

  before(async () => {
    page = await startPage({ stage: { config } });
    key = await page.office.key("team-a", { name: HOSTILE, owner: HOSTILE });
    const first = await chat("smart", { "x-request-id": "the-one", "x-llm-bridge-tags": `team=${encodeURIComponent(HOSTILE)}`, "user-agent": HOSTILE });
    assert.equal(first.status, 200, first.text);
    await chat("first/err-500", { "x-request-id": "bad-one" });
    await chat("second/ok", {}, { stream: true });
    await until(async () => (await page.office.order("GET", "/requests")).data.length >= 3, "three requests");
    await until(async () => (await page.office.order("GET", "/logs?request_id=the-one")).data.some(({ event }) => event === "request_complete"), "the lines of the first");
  });
  after(() => page?.stop());

  /** Makes requests until one is shown: an isolate learns that somebody watches when it reports. */
  const warmUp = async (tab) => {
    await tab.getByText("Connected", { exact: true }).waitFor();
    await until(async () => {
      await chat("second/ok");
      return (await tab.getByRole("region", { name: "Ended" }).count()) > 0;
    }, "a request that is shown live");
  };

  const open = async (hash, options, as = ADMIN_KEY) => {
    const tab = await page.open(options);
    await signIn(tab, as);
    await tab.goto(`${page.front.url}/${hash}`);
    return tab;
  };

  test("filters stand in the address, which is a link to what it shows", async () => {
    const tab = await open("#/requests");
    await tab.locator("tbody tr").nth(2).waitFor();
    await assertAccessible(tab, "requests");
    await look(tab, "requests");
    await tab.getByLabel("Status", { exact: true }).selectOption("5xx");
    await tab.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    assert.match(tab.url(), /#\/requests\?status=5xx$/);
    const again = await open("#/requests?status=5xx");
    await again.locator("tbody tr").first().waitFor();
    assert.equal(await again.locator("tbody tr").count(), 1);
    assert.match(await again.locator("tbody tr").first().textContent(), /err-500/);
    await again.goto(`${page.front.url}/#/requests?model=nothing`);
    await again.getByText("No requests match.").waitFor();
    assert.deepEqual([...tab.faults, ...again.faults], []);
  });

  test("a wrong filter is named in words", async () => {
    const tab = await open("#/requests?status=nonsense");
    await tab.getByRole("alert").waitFor();
    assert.match(await tab.getByRole("alert").textContent(), /status 400.*`?status/i);
  });

  test("one request: its attempts, tokens, price, log lines; text from outside stays text", async () => {
    page.front.calls.length = 0;
    const tab = await open("#/requests/the-one");
    const attempts = tab.getByRole("region", { name: "Attempts" });
    await attempts.waitFor();
    assert.equal(await attempts.locator("tbody tr").count(), 2);
    assert.match(await attempts.locator("tbody tr").first().textContent(), /Provider is overloaded/);
    assert.match(await attempts.locator("tbody tr").nth(1).textContent(), /Served/);
    const { data } = await page.office.order("GET", "/requests?request_id=the-one");
    assert.ok((await tab.getByText(`Cost: `).textContent()).length > 6);
    // The bill of the attempt that served it, line by line, with where its prices come from.
    const bill = tab.getByRole("region", { name: "The bill of second/ok" });
    const lines = data[0].attempts[1].bill;
    assert.deepEqual(lines.map(({ kind }) => kind), ["input", "cache_read", "output", "reasoning"]);
    for (const [index, [title, price]] of [["Prompt", "$2.50"], ["Prompt, from the cache", "$1.25"], ["Response", "$10.00"], ["Response, reasoning", "$10.00"]].entries()) {
      const line = lines[index];
      const row = await bill.getByRole("row").filter({ has: tab.getByRole("rowheader", { name: title, exact: true }) }).textContent();
      assert.ok(row.includes(String(line.count)) && row.includes(`${price} per million`), row);
    }
    assert.equal(lines.reduce((sum, line) => sum + line.amount_nanos, 0), data[0].cost_nanos);
    await tab.getByText(/^Prices at that time: /).waitFor();
    assert.equal(data[0].attempts[0].cost_nanos, 0, "the attempt that failed cost nothing");
    await tab.getByLabel("Log", { exact: true }).waitFor();
    assert.ok((await tab.getByLabel("Log", { exact: true }).textContent()).includes("request_complete"));
    assert.ok((await tab.textContent("main")).includes(HOSTILE));
    assert.equal(data[0].owner, HOSTILE);
    assert.equal(await tab.getByRole("link", { name: HOSTILE }).count(), 1, "the owner leads to their requests");
    assert.notEqual(await tab.title(), "owned");
    await assertAccessible(tab, "a request");
    await look(tab, "request");
    assert.deepEqual(tab.faults, []);
  });

  test("a request that is not known says what to do", async () => {
    const tab = await open("#/requests/nobody");
    await tab.getByRole("alert").waitFor();
    assert.match(await tab.getByRole("alert").textContent(), /There is no request/);
  });

  test("a running request is shown live, and can be ended after a question", async () => {
    const tab = await open("#/live");
    await warmUp(tab);
    const running = chat("demo/slow", { "x-request-id": "slow-one" }, { stream: true });
    const row = tab.getByRole("region", { name: "Live" }).locator("tbody tr", { hasText: "slow-one" });
    await row.waitFor();
    await look(tab, "live");
    await assertAccessible(tab, "live requests");
    await row.getByRole("button", { name: "End the request slow-one" }).click();
    await assertAccessible(tab, "the question before an end");
    await look(tab, "live-question");
    await tab.getByRole("dialog").getByRole("button", { name: "End", exact: true }).click();
    assert.match((await running).text, /request_ended_by_admin/);
    await tab.getByText("ended by an admin").waitFor();
    assert.deepEqual(tab.faults, []);
  });

  test("a reader watches, but is offered no end", async () => {
    const tab = await open("#/live", {}, READER_KEY);
    await warmUp(tab);
    const running = chat("demo/slow", { "x-request-id": "slow-two" }, { stream: true });
    await tab.getByText("slow-two").waitFor();
    assert.equal(await tab.getByRole("button", { name: /^End the request/ }).count(), 0);
    await page.office.order("POST", "/requests/slow-two/end", {}, 202);
    await running;
  });

  test("they fit a phone, and all is reached by keyboard", async () => {
    const tab = await open("#/requests", { size: "narrow", theme: "dark" });
    await tab.locator("tbody tr").nth(2).waitFor();
    await assertFits(tab, "requests on a phone");
    await assertAccessible(tab, "requests in the dark");
    await look(tab, "requests-phone");
    const names = await walk(tab);
    assert.ok(names.some((name) => name.startsWith("button Filter")), names.join("\n"));
    assert.deepEqual(names.filter((name) => name.includes("cannot be seen")), []);
    await tab.goto(`${page.front.url}/#/requests/the-one`);
    await tab.getByRole("region", { name: "Attempts" }).waitFor();
    await assertFits(tab, "a request on a phone");
    await look(tab, "request-phone");
  });
});
