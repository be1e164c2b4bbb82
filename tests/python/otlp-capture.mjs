// What a running gateway exports to OpenTelemetry, in both encodings, for the judges in test_telemetry.py: starts
// a gateway for each encoding, makes requests, and prints the bodies that a back end got, as one line of JSON.

import { until } from "../workerd/client.mjs";
import { startSink } from "../workerd/otlp-sink.mjs";
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

async function capture(format) {
  const sink = await startSink();
  const top = `
telemetry:
  otlp: { endpoint: "${sink.url}", logs: true, format: ${format} }
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
  await until(() => knows("traces") && knows("logs"), "all spans and log records");
  await stage.stop();
  await sink.stop();
  const { headers } = sink.requests[0];
  const texts = (signal) => bodies(signal).map((bytes) => bytes.toString("base64"));
  return { contentType: headers["content-type"], traces: texts("traces"), logs: texts("logs") };
}

console.log(JSON.stringify({ protobuf: await capture("protobuf"), json: await capture("json") }));
process.exit();
