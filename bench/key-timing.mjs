// Checks that the time of a refusal does not reveal whether a key's id exists:
// node bench/key-timing.mjs [tries]
//
// Prints the median time of the refusals of each kind of key, measured in turns over one connection each, and
// the largest difference between two medians. It must stay below 5 %.

import { Agent, request } from "node:http";
import { performance } from "node:perf_hooks";
import { OFFICE, Office } from "../tests/workerd/office.mjs";
import { startGateway } from "../tests/workerd/harness.mjs";

const TRIES = Number(process.argv[2] ?? 2000);
const CONFIG = "providers:\n  demo: { adapter: echo, models: { echo: {} } }\n";
const BODY = JSON.stringify({ model: "demo/echo", messages: [{ role: "user", content: "Hello" }] });
const letters = (count) => Array.from({ length: count }, () => Math.floor(Math.random() * 36).toString(36)).join("");

const gateway = await startGateway({ config: CONFIG, bindings: { ...OFFICE, ACCESS_API_KEYS: "caller" } });
const office = new Office(gateway.url);
await office.key("there");
await office.key("idle");

const kinds = {
  "an id that exists": () => `sk-lb-there-1${letters(62)}`,
  "an id that exists and was never used": () => `sk-lb-idle-1${letters(62)}`,
  "an id that does not exist": () => `sk-lb-nobod-1${letters(62)}`,
};
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function refused(key) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const asking = request(`${gateway.url}/v1/chat/completions`, { method: "POST", agent, headers }, (answer) => {
      answer.resume().on("end", () => (answer.statusCode === 401 ? resolve(performance.now() - began) : reject(new Error(answer.statusCode))));
    });
    asking.on("error", reject).end(BODY);
  });
}

const took = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
for (let time = 0; time < TRIES + 200; time++) {
  // In turns, each first as often as the others, so that the machine's other load affects all alike.
  const names = Object.keys(kinds);
  for (let turn = 0; turn < names.length; turn++) {
    const kind = names[(turn + time) % names.length];
    const millis = await refused(kinds[kind]());
    if (time >= 200) took[kind].push(millis);
  }
}
const median = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
const medians = Object.entries(took).map(([kind, all]) => [kind, median(all)]);
for (const [kind, millis] of medians) console.log(`${(millis * 1000).toFixed(0).padStart(6)} µs  ${kind}`);
const all = medians.map(([, millis]) => millis);
const apart = (Math.max(...all) / Math.min(...all) - 1) * 100;
console.log(`${apart.toFixed(1)} % apart`);
agent.destroy();
await gateway.stop();
process.exitCode = apart < 5 ? 0 : 1;
