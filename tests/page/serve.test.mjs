// The dashboard as `llm-bridge serve` gives it: the gateway itself has the files there, and the browser its policy.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "../workerd/client.mjs";
import { startFake } from "../workerd/fake-openai.mjs";
import { ADMIN_KEY } from "../workerd/office.mjs";
import { KEY, configuration, file, serve } from "../serve/serve.mjs";
import { missing, openTab, settled, signIn, startBrowser } from "./chromium.mjs";

describe("the dashboard under serve", { skip: missing }, () => {
  let fake, gateway, browser;
  before(async () => {
    fake = await startFake({ pace: 1 });
    gateway = await serve({ config: file("config.yaml", configuration(fake.origin)) });
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
    await fake?.stop();
  });

  test("an admin signs in, tries a model, watches a request live, and sees every view", async () => {
    const tab = await openTab(browser, gateway.url);
    await signIn(tab, ADMIN_KEY);
    for (const view of ["overview", "requests", "keys", "models", "logs", "alerts", "audit", "config", "start"]) {
      await tab.goto(`${gateway.url}/#/${view}`);
      await tab.waitForFunction((name) => location.hash === `#/${name}` && document.querySelector("main h1"), view);
      await settled(tab);
    }
    await tab.goto(`${gateway.url}/#/live`);
    await tab.getByText("Connected", { exact: true }).waitFor();
    await tab.goto(`${gateway.url}/#/playground`);
    await tab.getByLabel("Model", { exact: true }).fill("demo/echo");
    await tab.getByLabel("Message").fill("Hello there");
    await tab.getByRole("button", { name: "Send" }).click();
    await tab.getByRole("region", { name: "demo/echo" }).locator(".said", { hasText: "You said: Hello there" }).waitFor();
    assert.deepEqual(tab.faults, []);
  });

  test("a caller signs in, and no other page frames it", async () => {
    const tab = await openTab(browser, gateway.url);
    await signIn(tab, KEY);
    await tab.getByRole("heading", { name: "Your usage" }).waitFor();
    assert.deepEqual(tab.faults, []);
    await tab.goto("about:blank");
    await tab.setContent(`<iframe src="${gateway.url}/"></iframe>`);
    // A frame is empty at first.
    await until(() => tab.frames()[1]?.url().startsWith("chrome-error:"), "the refusal of the frame");
  });
});
