// How many requests a second `llm-bridge serve` answers: whole chats of 1 KB to a provider that answers at once.
// Not part of `make test`. It prints the rate, and the CPU time of workerd per request.
//
// usage: node tests/serve/rate.mjs [--seconds 20] [--callers 16]

import { readFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import { parseArgs } from "node:util";
import { configuration, file, serve } from "./serve.mjs";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "20" }, callers: { type: "string", default: "16" } } });
const [seconds, callers] = [values.seconds, values.callers].map(Number);
const WARM_UP = 3000;

const usage = { prompt_tokens: 250, completion_tokens: 10, total_tokens: 260 };
const completion = JSON.stringify({ id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: "Hello. ".repeat(10) }, finish_reason: "stop" }], usage });
const provider = createServer((req, res) => {
  req.resume();
  req.on("end", () => res.writeHead(200, { "content-type": "application/json" }).end(completion));
});
provider.keepAliveTimeout = 0;
await new Promise((resolve) => provider.listen(0, "127.0.0.1", resolve));
const config = file("c.yaml", configuration(`http://127.0.0.1:${provider.address().port}`, "logging: { level: error }\n"));
const gateway = await serve({ config });
const key = await gateway.office.key("rate", {});
const agent = new Agent({ keepAlive: true });
const body = JSON.stringify({ model: "fake/m", messages: [{ role: "user", content: "word ".repeat(190) }] });
const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "content-length": Buffer.byteLength(body) };

function chat() {
  return new Promise((resolve, reject) => {
    const call = request(`${gateway.url}/v1/chat/completions`, { method: "POST", agent, headers }, (answer) => {
      answer.resume();
      answer.on("end", () => (answer.statusCode === 200 ? resolve() : reject(new Error(`Status ${answer.statusCode}.`))));
    });
    call.on("error", reject);
    call.end(body);
  });
}

let answers = 0;
async function callWhile(goes) {
  while (goes()) {
    await chat();
    answers++;
  }
}
const runCallers = (goes) => Promise.all(Array.from({ length: callers }, () => callWhile(goes)));
/** The CPU time of workerd so far, in milliseconds. */
const cpu = () => readFileSync(`/proc/${gateway.workerd}/stat`, "utf8").split(" ").slice(13, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * 10;

await runCallers(() => answers < WARM_UP);
const before = { answers, cpu: cpu(), at: performance.now() };
await runCallers(() => performance.now() - before.at < seconds * 1000);
const [count, took, used] = [answers - before.answers, (performance.now() - before.at) / 1000, cpu() - before.cpu];
console.log(`${Math.round(count / took)} requests a second by ${callers} callers; ${(used / count).toFixed(3)} ms of workerd's CPU time each: a core suffices for ${Math.round((1000 * count) / used)} a second.`);
await gateway.stop();
process.exit(0);
