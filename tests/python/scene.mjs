// Starts the usual setup (gateway, workerd, fake provider), and a gateway before strict fakes of providers of four
// formats, for tests in another language: prints its addresses as one line of JSON, and ends with its standard input.

import { SCENE, startFormats } from "../workerd/fake-formats.mjs";
import { startGateway } from "../workerd/harness.mjs";
import { KEY, startStage } from "../workerd/stage.mjs";

const SCRAPER = "scraper-key-5772156649";
// Its clock can be set: conftest.py.
const stage = await startStage({ entry: "production.mjs", bindings: { METRICS_API_KEYS: SCRAPER } });
const formats = await startFormats({ native: true });
const names = ["openai", "anthropic", "gemini", "responses"];
const rows = names.map((name) => `  ${name}: { adapter: ${name}, base_url: "${formats[name]}", api_key_env: ${name.toUpperCase()}_KEY, models: "*" }\n`);
const keys = Object.fromEntries(names.map((name) => [`${name.toUpperCase()}_KEY`, `key-of-${name}`]));
const gateway = await startGateway({ config: `providers:\n${rows.join("")}`, bindings: { ACCESS_API_KEYS: KEY, ...keys } });
console.log(JSON.stringify({ gateway: stage.gateway.url, provider: stage.fake.origin, key: KEY, scraper: SCRAPER, formats: gateway.url, dialogue: SCENE }));
process.stdin.resume();
await new Promise((resolve) => process.stdin.on("end", resolve));
await gateway.stop();
await formats.stop();
// Asserts that the log has no secrets. A failure is this process's exit status.
await stage.stop();
if (formats.refused.length > 0) throw new Error(`the providers refused requests: ${formats.refused.join("; ")}`);
process.exit();
