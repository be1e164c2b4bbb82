// Load on `llm-bridge serve` for as long as is asked: streams that are held, WebSockets that chat, keys with limits.
// At the end it is stopped, and each answer has to have a receipt. Not part of `make test`.
//
// Each minute it prints a line: the memory of workerd, and how many answers clients got and receipts accounts have.
// Between the two are requests that run.
//
// usage: node tests/serve/soak.mjs [--minutes 30] [--streams 200] [--sockets 50] [--every 60]

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { chatRequest, HELLO, open } from "../workerd/client.mjs";
import { closeAll, openSession } from "../workerd/socket.mjs";
import { configuration, file, serve } from "./serve.mjs";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "30" }, streams: { type: "string", default: "200" }, sockets: { type: "string", default: "50" }, every: { type: "string", default: "60" } } });
const [minutes, streams, sockets, every] = [values.minutes, values.streams, values.sockets, values.every].map(Number);
const CHUNKS = 20;
const CHUNK_MS = 1000;
const KEYS = 10;

const chunk = (delta, more = {}) => `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: null }], ...more })}\n\n`;

/** A provider whose streams take twenty seconds, except those of `quick`. */
const provider = createServer(async (req, res) => {
  let body = "";
  for await (const piece of req) body += piece;
  const pause = JSON.parse(body).model === "quick" ? 0 : CHUNK_MS;
  res.writeHead(200, { "content-type": "text/event-stream" });
  for (let index = 0; index < CHUNKS; index++) {
    res.write(chunk({ content: `word ${index} ` }));
    await sleep(pause);
  }
  res.end(`data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [], usage: { prompt_tokens: 5, completion_tokens: 40, total_tokens: 45 } })}\n\ndata: [DONE]\n\n`);
});
// A pooled connection that it closes by age would look like a fault of the gateway.
provider.keepAliveTimeout = 0;
await new Promise((resolve) => provider.listen(0, "127.0.0.1", resolve));
const config = file("c.yaml", configuration(`http://127.0.0.1:${provider.address().port}`, "logging: { level: error }\n"));
const gateway = await serve({ config, words: ["--stop-streams", "60"] });
const keys = await Promise.all(Array.from({ length: KEYS }, (_, index) => gateway.office.key(`key-${index}`, index % 2 ? { budget: { amount: "1000", per: "total" }, requests_per_minute: 100_000 } : {})));

const end = Date.now() + minutes * 60_000;
const answers = Array(KEYS).fill(0);
let faults = 0;
const fail = (fault) => {
  faults++;
  if (faults < 10) console.error(fault, gateway.lines.slice(-3));
};

async function holdStreams(index) {
  await sleep((index / streams) * CHUNKS * CHUNK_MS);
  while (Date.now() < end) {
    const key = index % KEYS;
    try {
      const answer = await open(`${gateway.url}/v1/chat/completions`, chatRequest(keys[key], { model: "fake/slow", stream: true, messages: HELLO }));
      const text = (await answer.rest()).toString();
      if (answer.status === 200 && text.includes("[DONE]")) answers[key]++;
      else fail(new Error(`${answer.status} ${text.slice(-300)}`));
    } catch (fault) {
      fail(fault);
    }
  }
}

async function chatOnSocket(index) {
  const key = index % KEYS;
  const socket = await openSession(gateway.url, { key: keys[key] });
  for (let turn = 0; Date.now() < end; turn++) {
    try {
      socket.chat({ model: "fake/quick", stream: true }, { id: `t${turn}` });
      const frames = await socket.answer(`t${turn}`);
      if (frames.at(-1).type === "done") answers[key]++;
      else fail(new Error(JSON.stringify(frames.at(-1))));
      socket.send({ type: "ack", seq: frames.at(-1).seq });
      socket.frames.length = socket.texts.length = 0;
    } catch (fault) {
      fail(fault);
    }
    await sleep(5000);
  }
}

const megabytes = () => Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${gateway.workerd}/status`, "utf8"))[1]) / 1024);
const cpu = () => readFileSync(`/proc/${gateway.workerd}/stat`, "utf8").split(" ").slice(13, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
const sum = (list) => list.reduce((a, b) => a + b, 0);
const receiptsOf = (office) => Promise.all(keys.map(async (_, index) => (await office.totals(`key-${index}`, 0)).requests));
const began = Date.now();
const report = setInterval(async () => {
  const seconds = Math.round((Date.now() - began) / 1000);
  const receipts = sum(await receiptsOf(gateway.office));
  console.log(`${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}  ${megabytes()} MB  ${cpu()} s of CPU  ${sum(answers)} answers  ${receipts} receipts  ${faults} faults`);
}, every * 1000);

await Promise.all([...Array.from({ length: streams }, (_, index) => holdStreams(index)), ...Array.from({ length: sockets }, (_, index) => chatOnSocket(index))]);
clearInterval(report);
console.log(`At the end: ${megabytes()} MB, ${sum(answers)} answers, ${faults} faults.`);
await gateway.stop();
closeAll();
const again = await serve({ config, data: gateway.data });
const receipts = await receiptsOf(again.office);
await again.stop();
console.log(`Answers by key:  ${answers.join(" ")}\nReceipts by key: ${receipts.join(" ")}`);
process.exit(faults === 0 && receipts.join() === answers.join() ? 0 : 1);
