// What a running gateway exports to OpenTelemetry, in both encodings, for the judges in test_telemetry.py: starts
// a gateway for each encoding, makes requests, and prints the bodies that a back end got, and which drops the
// gateway logged, as one line of JSON. Standard input has the back end's responses, as base64 by encoding and signal.

import { readFileSync } from "node:fs";

import { until } from "../workerd/client.mjs";
import { respond, startSink } from "../workerd/otlp-sink.mjs";
import { event, json, startScripted, stream } from "../workerd/scripted.mjs";

const choice = { index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" };
const usage = { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 };
const whole = { id: "c", object: "chat.completion", created: 1, model: "served", choices: [choice], usage };
const chunk = (more) => event({ id: "c", object: "chat.completion.chunk", created: 1, model: "served", choices: [], ...more });
const streamed = stream(chunk({ choices: [{ index: 0, delta: { role: "assistant", content: "Hi" }, finish_reason: null }] }), chunk({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }), chunk({ usage }), event("[DONE]"));

function provider(record, res) {
  if (record.body.model === "broken") return json(500, { error: { message: "broken" } })(record, res);
  return (record.body.stream ? streamed : json(200, whole))(record, res);
}

/** They are sent in intervals. */
const PATIENCE_MS = 110_000;
const SIGNALS = ["traces", "logs", "metrics"];
const responses = JSON.parse(readFileSync(0));

async function capture(format) {
  const sink = await startSink();
  sink.choose = ({ path, headers }) => respond(200, { "content-type": headers["content-type"] }, Buffer.from(responses[format][path.split("/").at(-1)], "base64"));
  const top = `
telemetry:
  otlp: { endpoint: "${sink.url}", logs: true, metrics: true, format: ${format} }
routes:
  two: { targets: [hidden/broken, shown/sound] }
`;
  const stage = await startScripted({ top });
  stage.answer(provider);
  const trace = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", tracestate: "rojo=1" };
  await stage.chat("two", { stream: true }, { "x-request-id": "captured-route", ...trace });
  await stage.chat("hidden/sound", {}, { "x-request-id": "captured-whole" });
  await stage.chat("hidden/sound", { messages: 5 }, { "x-request-id": "captured-refusal" });
  const bodies = (signal) => sink.requests.filter(({ path }) => path.endsWith(signal)).map(({ bytes }) => bytes);
  const knows = (signal) => ["captured-route", "captured-whole", "captured-refusal"].every((id) => bodies(signal).some((bytes) => bytes.includes(id)));
  await until(() => knows("traces") && knows("logs") && bodies("metrics").length > 0, "all spans and log records, and metrics", PATIENCE_MS);
  const drops = () => stage.gateway.logs().filter(({ event }) => event === "export_dropped");
  await until(() => SIGNALS.every((signal) => drops().some((drop) => drop.signal === signal)), "what the back end rejected, in the log", PATIENCE_MS);
  const logged = drops();
  await stage.stop();
  await sink.stop();
  const { headers } = sink.requests[0];
  const texts = (signal) => bodies(signal).map((bytes) => bytes.toString("base64"));
  return { contentType: headers["content-type"], drops: logged, ...Object.fromEntries(SIGNALS.map((signal) => [signal, texts(signal)])) };
}

console.log(JSON.stringify({ protobuf: await capture("protobuf"), json: await capture("json") }));
process.exit();
