// Models: what can be called and why not, what is out, a try; and the playground.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { as, call, HELLO, until } from "../workerd/client.mjs";
import { assertAccessible, assertFits, missing, signIn, walk } from "./chromium.mjs";
import { look } from "./look.mjs";
import { ADMIN_KEY, READER_KEY, startPage } from "./stage.mjs";

const PRICE = "context: 8000, max_output: 2000, price: { input: 1, output: 2 }, limit_fields: [max_tokens]";
const config = (fake) => `
default_provider: first
providers:
  first: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { ok: { ${PRICE} }, err-500: { ${PRICE} }, unpriced: {} } }
  closed: { base_url: "https://closed.example/v1", models: { gpt-4o: {} } }
  demo: { adapter: echo, models: { echo: {} } }
routes: { smart: [first/err-500, first/ok] }
`;

describe("models", { skip: missing }, () => {
  let page;
  before(async () => void (page = await startPage({ stage: { config } })));
  after(() => page?.stop());

  const open = async (hash, options, key = ADMIN_KEY) => {
    const tab = await page.open(options);
    await signIn(tab, key);
    await tab.goto(`${page.front.url}/${hash}`);
    return tab;
  };
  const row = (tab, name) => tab.getByRole("region", { name: "Models" }).getByRole("row").filter({ hasText: name }).first();

  test("what can be called, why not, and where prices come from", async () => {
    const tab = await open("#/models");
    await row(tab, "first/ok").waitFor();
    assert.match(await row(tab, "first/ok").textContent(), /Can be called.*\$1\.00/);
    assert.match(await row(tab, "closed/gpt-4o").textContent(), /CLOSED_API_KEY is not set/);
    assert.match(await row(tab, "first/unpriced").textContent(), /—/);
    await assertAccessible(tab, "models");
    await look(tab, "models");
    assert.deepEqual(tab.faults, []);
  });

  test("a try says in words what came of it, and leaves no key behind", async () => {
    const tab = await open("#/models");
    await row(tab, "first/ok").getByRole("button", { name: /^Try/ }).click();
    await tab.getByText(/^It answered in/).waitFor();
    await row(tab, "first/err-500").getByRole("button", { name: /^Try/ }).click();
    await tab.getByRole("alert").getByText(/The server had an error/).waitFor();
    await row(tab, "first/unpriced").getByRole("button", { name: /^Try/ }).click();
    await tab.getByText(/A budget pays only for known prices/).waitFor();
    await look(tab, "models-try");
    await assertAccessible(tab, "a try");
    const left = async () => (await page.office.order("GET", "/keys")).data.length === 0;
    await until(left, "the end of the keys of tries");
  });

  test("a failing provider is out, and an admin resets it", async () => {
    const key = await page.office.key("caller");
    const chat = () => call(`${page.gateway.url}/v1/chat/completions`, { method: "POST", headers: as(key), body: JSON.stringify({ model: "smart", messages: HELLO }) });
    await until(async () => (await chat(), (await page.office.order("GET", "/health")).data.length > 0), "a target that is out");
    const tab = await open("#/models");
    const out = tab.getByRole("region", { name: "Out of service" });
    await out.getByText("first/err-500").waitFor();
    await assertAccessible(tab, "a target that is out");
    await look(tab, "models-out");
    const reader = await open("#/models", {}, READER_KEY);
    await reader.getByRole("region", { name: "Out of service" }).waitFor();
    assert.equal(await reader.getByRole("button", { name: /^Reset/ }).count(), 0);
    while ((await out.count()) > 0 && (await out.getByRole("button", { name: /^Reset/ }).count()) > 0) {
      await out.getByRole("button", { name: /^Reset/ }).first().click();
      await tab.waitForTimeout(200);
    }
    await tab.getByText("Nothing is out.").waitFor();
    await page.office.order("DELETE", "/keys/caller");
  });

  test("the playground streams two models, shows the raw exchange and the cost, and its key ends with it", async () => {
    const tab = await open("#/playground");
    await tab.getByLabel("Model", { exact: true }).fill("first/ok");
    await tab.getByLabel("Second model").fill("demo/echo");
    await tab.getByLabel("Message").fill("Hello <b>there</b>");
    await tab.locator("summary").first().click();
    await tab.getByLabel("System prompt").fill("Be brief.");
    await tab.getByLabel("Tools", { exact: true }).fill("{");
    await tab.locator(".field .fault").waitFor();
    assert.ok(await tab.getByRole("button", { name: "Send" }).isDisabled());
    await tab.getByLabel("Tools", { exact: true }).fill('[{"type":"function","function":{"name":"clock","parameters":{"type":"object","properties":{}}}}]');
    await tab.getByRole("button", { name: "Send" }).click();
    const one = tab.getByRole("region", { name: "first/ok" });
    const two = tab.getByRole("region", { name: "demo/echo" });
    await two.getByText(/You said: Hello <b>there<\/b>/).first().waitFor();
    await one.getByText(/^clock\(\{/).waitFor();
    await tab.waitForFunction(() => /\$/.test(document.querySelector(".sides .facts").textContent));
    await one.locator("summary", { hasText: "Raw exchange" }).click();
    const sent = JSON.parse(await one.getByLabel("Body of the request", { exact: true }).textContent());
    assert.deepEqual([sent.messages[0].role, sent.tools.length, sent.stream], ["system", 1, true]);
    assert.match(await one.getByLabel("Body of the response", { exact: true }).textContent(), /^data: \{/);
    await assertAccessible(tab, "the playground");
    await look(tab, "playground");
    const made = (await page.office.order("GET", "/keys")).data;
    const key = made.find(({ budget }) => budget !== null);
    assert.deepEqual(made.filter(({ budget }) => budget === null).map(({ models }) => models), [["demo/*"]]);
    assert.deepEqual([key.budget.amount_nanos, key.budget.per, key.metadata.made_by], [250_000_000, "total", "dashboard"]);
    assert.ok(key.expires_at);
    await tab.getByRole("link", { name: "Models" }).click();
    await until(async () => (await page.office.order("GET", "/keys")).data.length === 0, "the end of the playground's key");
    assert.deepEqual(tab.faults, []);
  });

  test("they fit a phone, and all is reached by keyboard", async () => {
    const tab = await open("#/models", { size: "narrow", theme: "dark" });
    await row(tab, "first/ok").waitFor();
    await assertFits(tab, "models on a phone");
    await assertAccessible(tab, "models in the dark");
    await tab.goto(`${page.front.url}/#/playground`);
    await tab.getByLabel("Message").waitFor();
    await assertFits(tab, "the playground on a phone");
    await assertAccessible(tab, "the playground in the dark");
    await look(tab, "playground-phone");
    const names = await walk(tab);
    assert.ok(names.some((name) => name.startsWith("textarea Message")), names.join("\n"));
    assert.deepEqual(names.filter((name) => name.includes("cannot be seen")), []);
  });
});
