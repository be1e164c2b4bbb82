// Sets the usual scene (gateway, workerd, fake provider) for tests in another language: prints where it is as one line of JSON, and ends with its standard input.

import { KEY, startStage } from "../workerd/stage.mjs";

const stage = await startStage();
console.log(JSON.stringify({ gateway: stage.gateway.url, provider: stage.fake.origin, key: KEY }));
process.stdin.resume();
await new Promise((resolve) => process.stdin.on("end", resolve));
// Demands a log without secrets; a failure is this process's exit status.
await stage.stop();
process.exit();
