// A gateway, the dashboard before it, and a browser.

import { fileURLToPath } from "node:url";
import { startGateway } from "../workerd/harness.mjs";
import { startStage } from "../workerd/stage.mjs";
import { ADMIN_KEY, Office } from "../workerd/office.mjs";
import { startBrowser, openTab } from "./chromium.mjs";
import { startFront } from "./front.mjs";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
/** The built files. */
export const FILES = `${PROJECT}build/assets`;
export const READER_KEY = "reader-key-1618033988";
export { ADMIN_KEY };

/** A gateway with a provider that needs no key and two whose keys are not set. */
export const FRESH = `
default_provider: openai
providers:
  demo: { adapter: echo, models: { echo: {}, echo-slow: { echo: { first_delay_ms: 200, delay_ms: 100 } } } }
  openai: { base_url: "https://api.openai.com/v1", models: { gpt-4o: {}, gpt-4.1: {} } }
  anthropic: { adapter: anthropic, base_url: "https://api.anthropic.com/v1", models: "*" }
logging: { output: { file: { path: logs } } }
`;

const KEYS = { ACCESS_API_KEYS: "caller-key-3141592653", ADMIN_API_KEYS: ADMIN_KEY, ADMIN_READ_API_KEYS: READER_KEY };

/** Starts all three. `stage` are the options of `startStage`, for providers that answer as a test says. */
export async function startPage({ config = FRESH, bindings = {}, stage: wanted, ...rest } = {}) {
  const stage = wanted && (await startStage({ bindings: { ...KEYS, ...bindings }, ...wanted }));
  const gateway = stage?.gateway ?? (await startGateway({ config, bindings: { ...KEYS, ...bindings }, ...rest }));
  const front = await startFront(gateway.port, FILES);
  const browser = await startBrowser();
  return {
    stage,
    gateway,
    front,
    office: new Office(gateway.url),
    open: (options) => openTab(browser, front.url, options),
    stop: async () => {
      await browser.close();
      await front.stop();
      await (stage ?? gateway).stop();
    },
  };
}
