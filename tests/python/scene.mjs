// Starts the usual setup (gateway, workerd, fake provider) for tests in another language: prints its
// addresses as one line of JSON, and ends with its standard input.

import { KEY, startStage } from "../workerd/stage.mjs";

const SCRAPER = "scraper-key-5772156649";
const stage = await startStage({ bindings: { METRICS_API_KEYS: SCRAPER } });
console.log(JSON.stringify({ gateway: stage.gateway.url, provider: stage.fake.origin, key: KEY, scraper: SCRAPER }));
process.stdin.resume();
await new Promise((resolve) => process.stdin.on("end", resolve));
// Asserts that the log has no secrets. A failure is this process's exit status.
await stage.stop();
process.exit();
