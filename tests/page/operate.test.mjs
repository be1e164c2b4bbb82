// The configuration, logs, alerts and the audit log.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "../workerd/client.mjs";
import { assertAccessible, assertFits, missing, signIn, walk } from "./chromium.mjs";
import { look } from "./look.mjs";
import { ADMIN_KEY, READER_KEY, startPage } from "./stage.mjs";

const CONFIG = `
providers:
  demo: { adapter: echo, base_url: "https://unused.example", models: { echo: {} } }
logging: { output: { file: { path: logs } } }
alerts: { allow_private_addresses: true }
`;
const HOSTILE = "<script>document.title='owned'</script>";

describe("operating", { skip: missing }, () => {
  let page;
  before(async () => {
    page = await startPage({ config: CONFIG, bindings: { ALERT_SLACK_URL: "https://hooks.slack.example/services/secret-path" } });
    const key = await page.office.key("team-a", { name: HOSTILE });
    await page.office.ask(key, HOSTILE);
    await page.office.ask(key, "demo/echo");
    await page.office.order("PATCH", "/keys/team-a", { owner: HOSTILE, budget: { amount: "5", per: "day" } });
    await until(async () => (await page.office.order("GET", "/audit")).data.length >= 2, "two entries");
    await until(async () => (await page.office.order("GET", "/logs")).data.some((line) => line.event === "request_complete"), "a line");
  });
  after(() => page?.stop());

  const open = async (hash, options, key = ADMIN_KEY) => {
    const tab = await page.open(options);
    await signIn(tab, key);
    await tab.goto(`${page.front.url}/${hash}`);
    return tab;
  };

  test("the audit log says who changed what, as text", async () => {
    const tab = await open("#/audit");
    await tab.getByRole("row", { name: /Changed a key/ }).waitFor();
    assert.match(await tab.getByRole("row", { name: /Changed a key/ }).textContent(), /budget\.amount_nanos: — → 5000000000/);
    assert.notEqual(await tab.title(), "owned");
    await assertAccessible(tab, "the audit log");
    await look(tab, "audit");
    await tab.getByLabel("What", { exact: true }).fill("key.create");
    await tab.keyboard.press("Enter");
    await tab.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    assert.match(tab.url(), /action=key\.create/);
    assert.deepEqual(tab.faults, []);
  });

  test("logs are filtered and paused; lines are text", async () => {
    const tab = await open("#/logs");
    await tab.locator(".log li").first().waitFor();
    await assertAccessible(tab, "logs");
    await look(tab, "logs");
    const all = await tab.locator(".log li").count();
    await tab.getByLabel("Lowest level").selectOption("warning");
    await tab.waitForFunction((before) => document.querySelectorAll(".log li").length < before, all);
    await tab.locator(".log summary").first().click();
    assert.ok((await tab.locator(".log li").first().textContent()).includes("unknown_model") || (await tab.locator(".log li").first().textContent()).includes("model_not_found"));
    assert.notEqual(await tab.title(), "owned");
    await tab.getByRole("button", { name: "Pause" }).click();
    assert.equal(await tab.getByRole("button", { name: "Go on" }).getAttribute("aria-pressed"), "true");
    await assertAccessible(tab, "a line of the log");
    assert.deepEqual(tab.faults, []);
  });

  test("alerts: destinations without their secrets, a test after a question, and the stores", async () => {
    const tab = await open("#/alerts");
    await tab.getByText("No alert is raised.").waitFor();
    await tab.getByRole("rowheader", { name: "Slack" }).waitFor();
    assert.equal((await tab.textContent("body")).includes("secret-path"), false);
    await tab.getByRole("region", { name: "Stores" }).getByRole("rowheader", { name: "Log files" }).waitFor();
    await assertAccessible(tab, "alerts");
    await look(tab, "alerts");
    await tab.getByRole("button", { name: "Send a test" }).click();
    await tab.getByRole("dialog").getByRole("button", { name: "Send a test" }).click();
    await tab.getByRole("region", { name: "Deliveries" }).waitFor();
    const reader = await open("#/alerts", {}, READER_KEY);
    await reader.getByText("No alert is raised.").waitFor();
    assert.equal(await reader.getByRole("button", { name: "Send a test" }).count(), 0);
  });

  test("the configuration: notes of the one in use, faults of another with their lines", async () => {
    const tab = await open("#/config", {}, READER_KEY);
    await tab.getByText("providers.demo.base_url").waitFor();
    await tab.locator("summary", { hasText: /^alerts/ }).click();
    const alerts = await tab.getByLabel("alerts", { exact: true }).textContent();
    assert.match(alerts, /^alerts:\n {2}allow_private_addresses: true\n {2}budget: \[50, 80, 100\]/);
    assert.equal(await tab.locator("details > summary code").count(), 18, "every section of the file");
    await tab.getByLabel("or its text").fill("providers: {}\nloging: {}\n");
    await tab.getByRole("button", { name: "Check a configuration" }).click();
    const fault = tab.getByRole("region", { name: "Faults" }).getByRole("row", { name: /loging/ });
    await fault.waitFor();
    assert.match(await fault.textContent(), /2.*logging/);
    await assertAccessible(tab, "a faulty configuration");
    await look(tab, "config");
    await tab.getByLabel("or its text").fill(CONFIG);
    await tab.getByRole("button", { name: "Check a configuration" }).click();
    await tab.getByText("It is sound: 1 providers, 1 listed models.").waitFor();
    assert.deepEqual(tab.faults, []);
  });

  test("they fit a phone in the dark, and all is reached by keyboard", async () => {
    for (const view of ["audit", "logs", "alerts", "config"]) {
      const tab = await open(`#/${view}`, { size: "narrow", theme: "dark" });
      await tab.locator("tbody tr, .log li").first().waitFor().catch(async () => assert.fail(`${view}: ${await tab.textContent("main")}`));
      await assertFits(tab, view);
      await assertAccessible(tab, `${view} in the dark`);
      const names = await walk(tab);
      assert.deepEqual(names.filter((name) => name.includes("cannot be seen")), [], view);
      await look(tab, `${view}-phone`);
      await tab.context().close();
    }
  });
});
