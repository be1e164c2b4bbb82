// The door and the first steps, on a gateway without any provider's key.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "../workerd/client.mjs";
import { assertAccessible, assertFits, missing, signIn, walk } from "./chromium.mjs";
import { look } from "./look.mjs";
import { ADMIN_KEY, READER_KEY, startPage } from "./stage.mjs";

describe("a fresh gateway", { skip: missing }, () => {
  let page;
  before(async () => void (page = await startPage()));
  after(() => page?.stop());

  test("the door names what is wrong with a key", async () => {
    const tab = await page.open();
    await assertAccessible(tab, "the door");
    await look(tab, "door");
    await tab.getByLabel("Key", { exact: true }).fill("sk-unknown");
    await tab.keyboard.press("Enter");
    await tab.getByRole("alert").waitFor();
    assert.match(await tab.getByRole("alert").textContent(), /status 401.*ADMIN_API_KEYS/);
    assert.deepEqual(tab.faults, []);
  });

  test("a key in three clicks answers a chat, and its snippets hold it", async () => {
    const tab = await page.open();
    await signIn(tab, ADMIN_KEY);
    await tab.getByText("No provider's key is set yet.").waitFor();
    assert.ok(await tab.getByText("OPENAI_API_KEY", { exact: true }).first().isVisible());
    await look(tab, "start-empty");
    await tab.getByRole("button", { name: "Make a key" }).click();
    await tab.getByRole("button", { name: "Send a chat" }).click();
    const answer = tab.getByLabel("Response", { exact: true });
    assert.equal(JSON.parse(await answer.textContent()).object, "chat.completion");
    const key = await tab.getByLabel("Text of the key", { exact: true }).textContent();
    assert.match(key, /^sk-lb-/);
    const curl = await tab.getByLabel("curl", { exact: true }).textContent();
    assert.ok(curl.includes(key) && curl.includes(page.front.url));
    await assertAccessible(tab, "first steps");
    await look(tab, "start");
    assert.deepEqual(tab.faults, []);
  });

  test("the session lasts for the tab, and ends with its key", async () => {
    const tab = await page.open();
    await signIn(tab, ADMIN_KEY);
    await tab.reload();
    await tab.locator("nav").waitFor({ state: "attached" });
    assert.equal(await tab.evaluate(() => Object.values(localStorage).some((kept) => kept.includes("admin-key"))), false);
    // The key is revoked: the next call is refused.
    await tab.route("**/admin/api/models", (route) => route.fulfill({ status: 401, json: { error: { message: "This is not an admin key.", type: "invalid_request_error", param: null, code: "invalid_api_key" } } }));
    await tab.reload();
    await tab.getByText("The session has ended.").waitFor();
    assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
  });

  test("a reader is offered nothing that the API refuses", async () => {
    const tab = await page.open();
    await signIn(tab, READER_KEY);
    await tab.getByText("Your key is read-only.").waitFor();
    assert.equal(await tab.getByRole("button", { name: "Make a key" }).count(), 0);
    assert.ok(await tab.getByText("Read-only admin").isVisible());
  });

  test("a caller sees their own usage and nothing else", async () => {
    const key = await page.office.key("own", { name: "Own" });
    await page.office.key("other", { name: "A secret neighbour" });
    assert.equal((await page.office.ask(key, "demo/echo")).status, 200);
    await page.office.totals("own", 1);
    page.front.calls.length = 0;
    const tab = await page.open();
    await signIn(tab, key);
    await tab.getByRole("heading", { name: "Your usage" }).waitFor();
    await tab.getByRole("rowheader", { name: "echo" }).waitFor();
    assert.equal((await tab.textContent("body")).includes("neighbour"), false);
    assert.ok(page.front.calls.every((call) => call.startsWith("GET /v1/usage")), page.front.calls.join("\n"));
    await assertAccessible(tab, "the usage of a caller");
    await look(tab, "usage");
  });

  test("a key that is revoked ends its session", async () => {
    const key = await page.office.key("brief", { name: "Brief" });
    const tab = await page.open();
    await signIn(tab, key);
    await tab.getByRole("heading", { name: "Your usage" }).waitFor();
    await page.office.order("DELETE", "/keys/brief");
    // Isolates know of it within some seconds. Each choice asks anew.
    await until(async () => {
      const choice = tab.getByRole("button", { name: "7 d", exact: true });
      if ((await choice.count()) > 0) {
        await choice.click().catch(() => {});
        await tab.getByRole("button", { name: "30 d", exact: true }).click({ timeout: 2000 }).catch(() => {});
      }
      return (await tab.getByText("The session has ended.").count()) > 0;
    }, "the end of the session");
    assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
  });

  test("no other page can frame it", async () => {
    const tab = await page.open();
    await tab.goto("about:blank");
    await tab.setContent(`<iframe src="${page.front.url}/"></iframe>`);
    await until(() => tab.frames()[1]?.url().startsWith("chrome-error:"), "the refusal of the frame");
  });

  test("all is reached by keyboard, with the focus in sight", async () => {
    const tab = await page.open();
    await signIn(tab, ADMIN_KEY);
    await tab.getByRole("button", { name: "Make a key" }).waitFor();
    const names = await walk(tab);
    assert.ok(names.some((name) => name.startsWith("button Make a key")), names.join("\n"));
    assert.ok(names.some((name) => name.startsWith("button Sign out")), names.join("\n"));
    assert.deepEqual(names.filter((name) => name.includes("cannot be seen")), []);
  });

  test("it fits a phone, in Chinese and in the dark", async () => {
    const tab = await page.open({ size: "narrow", theme: "dark", locale: "zh-CN" });
    await tab.getByLabel("密钥", { exact: true }).fill(ADMIN_KEY);
    await tab.getByRole("button", { name: "登录", exact: true }).click();
    await tab.getByRole("heading", { name: "开始使用" }).waitFor();
    await tab.getByText("尚未设置任何提供商的密钥。").waitFor();
    assert.equal(await tab.evaluate(() => document.documentElement.lang), "zh-Hans");
    await assertFits(tab, "first steps on a phone");
    await assertAccessible(tab, "first steps in the dark");
    await look(tab, "start-phone");
    assert.deepEqual(tab.faults, []);
  });
});
