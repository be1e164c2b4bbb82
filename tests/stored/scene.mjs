// The gateway whose data is stored: its configuration, its provider, and the requests of the fixture's maker
// and of its test. Stored data depend on time, so both set the clock.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { as, call } from "../workerd/client.mjs";
import { startGateway } from "../workerd/harness.mjs";
import { Office, OFFICE } from "../workerd/office.mjs";
import { json, stream } from "../workerd/scripted.mjs";

export const DAY = 86_400_000;
/** A key of `ACCESS_API_KEYS`, which has receipts, too. */
export const FIXED = "caller-key-3141592653";

const answered = (scene) => JSON.parse(readFileSync(new URL(`../fixtures/translation/answered/${scene}.json`, import.meta.url)));

/** Where objects of regions ask where they are. */
const TRACE = "/cdn-cgi/trace";

const config = (port) => `
providers:
${["openai", "anthropic", "gemini"].map((format) => `  ${format}: { adapter: ${format}, base_url: "http://127.0.0.1:${port}/v1", api_key_env: ANY_API_KEY, keep_alive: 0, models: { "*": { price: { input: 1, output: 2 }, context: 200000, max_output: 4000 } } }`).join("\n")}
  far: { base_url: "http://127.0.0.1:${port}/v1", api_key_env: ANY_API_KEY, keep_alive: 0, region: wnam, models: { "*": {} } }
  demo: { adapter: echo, models: { echo: {} } }
regions: { trace: "http://127.0.0.1:${port}${TRACE}" }
logging: { level: warning }
`;

/** The provider's responses, selected by the model's name, complete or streamed. `silent` never gets one. */
function answer(req, res) {
  const format = req.url.includes(":") ? "gemini" : req.url.endsWith("/messages") ? "anthropic" : "openai";
  const name = format === "gemini" ? req.url : req.body.model;
  if (name.includes("silent")) return undefined;
  if (name.includes("busy")) return json(503, { error: { message: "Overloaded.", type: "server_error" } })(req, res);
  const scene = answered(name.includes("call") ? "call-thought" : "text")[format];
  if (!req.body.stream && !req.url.includes("stream")) return json(200, scene.whole)(req, res);
  // Without reported usage, it is an estimate.
  const events = scene.stream.filter((event) => !(name.includes("uncounted") && event.usage));
  return stream(...events.map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`))(req, res);
}

/**
 * Starts the gateway on `disk`, with the clock at `at`, in milliseconds since 1970. `place` is where an object of a
 * region is told to be.
 */
export async function startScene({ disk, at, place = "SJC US" }) {
  const seen = [];
  let traced = 0;
  const server = createServer(async (req, res) => {
    if (req.url === TRACE) {
      traced++;
      const [colo, country] = place.split(" ");
      return res.end(`colo=${colo}\nloc=${country}\n`);
    }
    const pieces = [];
    for await (const piece of req) pieces.push(piece);
    const record = { url: req.url, body: JSON.parse(Buffer.concat(pieces)) };
    seen.push(record);
    answer(record, res);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bindings = { ACCESS_API_KEYS: FIXED, ANY_API_KEY: "sk-provider-2718281828", ...OFFICE };
  const gateway = await startGateway({ config: config(server.address().port), bindings, disk, entry: "production.mjs" });
  await gateway.control({ advance: at - Date.now() });
  return {
    gateway,
    seen,
    /** How often objects of regions have asked where they are. */
    traced: () => traced,
    office: new Office(gateway.url),
    /** Sets the clock forward and returns the time. */
    advance: async (ms) => (await gateway.control({ advance: ms })).now,
    /** Sends a chat with a key's text. */
    chat: (key, model, fields = {}) => call(`${gateway.url}/v1/chat/completions`, { method: "POST", headers: as(key), body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }], ...fields }) }),
    async stop() {
      await gateway.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * A conversation with a tool and reasoning: its first turn, and its second one by a client that cannot carry
 * the reasoning state.
 */
export const FIRST_TURN = { reasoning_effort: "low", tools: [{ type: "function", function: { name: "look", parameters: { type: "object" } } }] };
export const secondTurn = (toolCall) => ({
  ...FIRST_TURN,
  messages: [
    { role: "user", content: "Hello" },
    { role: "assistant", content: null, tool_calls: [toolCall] },
    { role: "tool", tool_call_id: toolCall.id, content: "12" },
  ],
});

/** A response so long that a budget of one cent admits one of them, and not a second one at the same time. */
export const RESERVED = { max_tokens: 3000 };

/** Everything that the public APIs say about the keys and their accounts. */
export async function look({ office }, ids) {
  const seen = { keys: (await office.order("GET", "/keys?limit=100")).data, receipts: {}, usage: {} };
  for (const id of ids) {
    seen.receipts[id] = await office.receipts(id);
    seen.usage[id] = (await office.order("GET", `/usage?key=${id}&from=2026-09-01&to=2026-12-31&group_by=key,provider,model,day`)).data;
  }
  return seen;
}
