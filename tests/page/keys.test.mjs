// Keys: made in three clicks, their text once, limits as bars, changed, and made by the hundred.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { assertAccessible, assertFits, missing, settled, signIn, walk } from "./chromium.mjs";
import { look } from "./look.mjs";
import { ADMIN_KEY, READER_KEY, startPage } from "./stage.mjs";

const run = promisify(execFile);
const CONFIG = `
providers:
  demo:
    adapter: echo
    limit_fields: [max_tokens]
    models:
      echo: { context: 4000, max_output: 200, price: { input: 0, output: 0 } }
      dear: { context: 4000, max_output: 200, price: { input: 1000, output: 1000 } }
`;
const HOSTILE = "<b onmouseover=alert(1)>Team</b>";

describe("keys", { skip: missing }, () => {
  let page;
  before(async () => void (page = await startPage({ config: CONFIG })));
  after(() => page?.stop());

  const open = async (hash, options, as = ADMIN_KEY) => {
    const tab = await page.open(options);
    await signIn(tab, as);
    await tab.goto(`${page.front.url}/${hash}`);
    return tab;
  };

  test("none: the page says why to make one", async () => {
    const tab = await open("#/keys");
    await tab.getByText("No keys yet.").waitFor();
    await assertAccessible(tab, "no keys");
    await look(tab, "keys-empty");
  });

  test("a key is made; its text is shown once and works", async () => {
    const tab = await open("#/keys/new");
    await tab.getByLabel("Name", { exact: true }).fill(HOSTILE);
    await tab.getByLabel("Models", { exact: true }).fill("demo/*");
    await tab.getByLabel("Budget in dollars").fill("0.05");
    await tab.getByLabel("Requests per minute").fill("60");
    await tab.getByLabel("Tags", { exact: true }).fill("team=search\nenv=prod");
    await assertAccessible(tab, "the form of a key");
    await look(tab, "key-new");
    await tab.getByRole("button", { name: "Make a key" }).click();
    const text = await tab.getByLabel("Text of the key", { exact: true }).textContent();
    const answer = await page.office.ask(text, "demo/echo");
    assert.equal(answer.status, 200, answer.text);
    await assertAccessible(tab, "a new key");
    await look(tab, "key-made");
    for (const client of ["curl", "Python", "Node.js", "Claude Code", "Codex", "Gemini CLI", "Cherry Studio", "Cline", "Open WebUI"]) {
      await tab.getByRole("button", { name: client, exact: true }).click();
      const snippet = await tab.getByLabel(client, { exact: true }).textContent();
      assert.ok(snippet.includes(text), client);
      assert.ok(client === "Open WebUI" || snippet.includes("demo/echo"), snippet);
    }
    // As printed.
    await tab.getByRole("button", { name: "curl", exact: true }).click();
    const { stdout } = await run("bash", ["-c", await tab.getByLabel("curl", { exact: true }).textContent()], { timeout: 150_000 });
    assert.equal(JSON.parse(stdout).object, "chat.completion", stdout);
    await tab.getByRole("link", { name: HOSTILE }).click();
    await tab.getByRole("heading", { name: HOSTILE }).waitFor();
    assert.equal((await tab.textContent("body")).includes(text), false, "its text is not shown again");
    assert.equal(await tab.locator("main b").count(), 0, "a name is text");
    assert.deepEqual(tab.faults, []);
  });

  test("a key out of budget shows it, and how much is used", async () => {
    const key = await page.office.key("spent", { name: "Spent", budget: { amount: "1.20", per: "month" }, requests_per_minute: 60 });
    const answer = await page.office.ask(key, "demo/dear", { max_tokens: 20 });
    assert.equal(answer.status, 200, answer.text);
    await page.office.totals("spent", 1);
    const standing = await page.office.order("GET", "/keys/spent/standing");
    const tab = await open("#/keys/spent");
    await tab.locator(".meter").first().waitFor();
    const dollars = new Intl.NumberFormat("en-GB", { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", minimumFractionDigits: 2, maximumFractionDigits: 4 }).format(standing.spent_nanos / 1e9);
    assert.ok((await tab.textContent(".limit")).startsWith(dollars), `${dollars}: ${await tab.textContent(".limit")}`);
    await assertAccessible(tab, "a key");
    await look(tab, "key");
  });

  test("a fault of a field is said beside the field", async () => {
    const tab = await open("#/keys/new");
    await tab.getByLabel("Name", { exact: true }).fill("Child");
    await tab.getByLabel("Parent", { exact: true }).fill("nobody");
    await tab.getByRole("button", { name: "Make a key" }).click();
    await tab.locator(".field .fault").waitFor();
    assert.match(await tab.locator(".field .fault").textContent(), /parent.*existing key/);
    assert.equal(await tab.getByLabel("Parent", { exact: true }).getAttribute("aria-invalid"), "true");
  });

  test("a key is edited, rotated, disabled and deleted, each after a question", async () => {
    const key = await page.office.key("worker", { name: "Worker", owner: "Ops" });
    const tab = await open("#/keys/worker");
    await tab.getByRole("button", { name: "Edit" }).click();
    await tab.getByRole("dialog").getByLabel("Name", { exact: true }).fill("Worker two");
    await tab.getByRole("dialog").getByLabel("Requests per minute").fill("7");
    await tab.getByRole("dialog").getByRole("button", { name: "Save" }).click();
    await tab.getByRole("heading", { name: "Worker two" }).waitFor();
    const changed = await page.office.order("GET", "/keys/worker");
    assert.deepEqual([changed.requests_per_minute, changed.owner, changed.budget], [7, "Ops", null]);
    await tab.getByRole("button", { name: "Rotate" }).click();
    await tab.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
    const text = await tab.getByLabel("Text of the key", { exact: true }).textContent();
    assert.notEqual(text, key);
    await tab.getByRole("button", { name: "Disable" }).click();
    await look(tab, "key-question");
    await tab.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
    await tab.getByText("disabled", { exact: true }).waitFor();
    await tab.getByRole("button", { name: "Delete" }).click();
    const remove = tab.getByRole("dialog").getByRole("button", { name: "Delete" });
    assert.ok(await remove.isDisabled());
    await tab.getByLabel("To confirm, type worker").fill("worker");
    await remove.click();
    await tab.getByRole("heading", { name: "Keys" }).waitFor();
    await page.office.order("GET", "/keys/worker", undefined, 404);
    assert.deepEqual(tab.faults, []);
  });

  test("a reader is offered nothing that the API refuses", async () => {
    const tab = await open("#/keys/spent", {}, READER_KEY);
    await tab.locator(".meter").first().waitFor();
    assert.equal(await tab.getByRole("button", { name: /Edit|Rotate|Disable|Delete/ }).count(), 0);
  });

  test("keys are made by CSV, and their texts come as CSV", async () => {
    const tab = await open("#/keys/many");
    await tab.getByLabel("or its text").fill("id,name,colour\na,A,red");
    await tab.getByText("Line 1: there is no column colour.").waitFor();
    const rows = Array.from({ length: 30 }, (_, n) => `bulk-${n},"Person, ${n}",demo/*,${n + 1}`);
    await tab.getByLabel("or its text").fill(["id,name,models,budget", ...rows].join("\n"));
    await assertAccessible(tab, "keys by CSV");
    await look(tab, "keys-bulk");
    await tab.getByRole("button", { name: "Make 30 keys" }).click();
    await tab.getByText("30 keys were made.").waitFor();
    const [file] = await Promise.all([tab.waitForEvent("download"), tab.getByRole("button", { name: "Save their texts as CSV" }).click()]);
    let text = "";
    for await (const part of await file.createReadStream()) text += part;
    const lines = text.trim().split("\r\n");
    assert.equal(lines.length, 31);
    assert.match(lines[1], /^bulk-0,"Person, 0",sk-lb-bulk-0-/);
    const made = await page.office.order("GET", "/keys/bulk-4");
    assert.deepEqual([made.budget.amount_nanos, made.models], [5_000_000_000, ["demo/*"]]);
  });

  test("shows nothing of one key at the address of another", async () => {
    await page.office.key("first-of-two", { name: "First of two" });
    await page.office.key("second-of-two", { name: "Second of two" });
    const tab = await open("#/keys/first-of-two");
    await tab.getByText("First of two").first().waitFor();
    await tab.route("**/admin/api/keys/second-of-two*", () => {});
    await tab.goto(`${page.front.url}/#/keys/second-of-two`);
    await tab.locator("main .loading").waitFor();
    assert.equal(await tab.locator("main").getByText("First of two").count(), 0);
  });

  test("1,000 keys: found within few calls, at any width", { timeout: 1_000_000 }, async () => {
    for (let n = 0; n < 1000; n += 25) await Promise.all(Array.from({ length: 25 }, (_, k) => page.office.key(`k-${n + k}`, { name: `Key ${n + k}`, owner: n % 2 ? "even" : "odd" })));
    const tab = await open("#/keys");
    await tab.getByRole("button", { name: "Show all 400 rows" }).waitFor();
    page.front.calls.length = 0;
    await tab.reload();
    await tab.getByRole("button", { name: "Show all 400 rows" }).waitFor();
    await settled(tab);
    const calls = page.front.calls.filter((call) => !call.includes("/session"));
    assert.ok(calls.length <= 5, calls.join("\n"));
    await tab.getByLabel("Find").fill("Person, 17");
    await tab.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await tab.getByRole("link", { name: "More keys" }).click();
    await tab.waitForFunction(() => document.querySelectorAll("tbody tr").length === 100 && location.hash.includes("after="));
    await settled(tab);
    await tab.getByRole("button", { name: /^Show all/ }).click();
    await tab.getByRole("rowheader", { name: "Key 500", exact: true }).waitFor();
    await tab.setViewportSize({ width: 390, height: 800 });
    await assertFits(tab, "keys on a phone");
    await assertAccessible(tab, "keys");
  });

  test("all is reached by keyboard", async () => {
    const tab = await open("#/keys/new", { theme: "dark" });
    await tab.getByLabel("Name", { exact: true }).waitFor();
    const names = await walk(tab);
    assert.ok(names.some((name) => name.startsWith("button Make a key")), names.join("\n"));
    assert.deepEqual(names.filter((name) => name.includes("cannot be seen")), []);
    await look(tab, "key-new-dark");
  });
});
