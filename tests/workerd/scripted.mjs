// A provider that responds to each request as the test says, in any format, and a gateway with a row for each
// format.

import { createServer } from "node:http";
import { as, call, HELLO, open } from "./client.mjs";
import { startGateway } from "./harness.mjs";

export const KEY = "caller-key-3141592653";
export const PROVIDER_KEY = "sk-provider-2718281828";

/** One event of a stream: `data` as it is, or an object as JSON; with a name, if it has one. */
export const event = (data, name) => `${name ? `event: ${name}\n` : ""}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;

/** Responds with this JSON, or with these bytes. */
export const json = (status, body, headers = {}) => (_, res) =>
  res.writeHead(status, { "content-type": "application/json", ...headers }).end(typeof body === "string" ? body : JSON.stringify(body));

/** Responds with a stream of these events, and ends it. */
export const stream = (...events) => (_, res) => {
  res.writeHead(200, { "content-type": "text/event-stream" });
  for (const text of events) res.write(text);
  res.end();
};

/** The providers of {@link startScripted}: name, format, and further keys of the row. */
export const ROWS = {
  hidden: ["openai", ""],
  shown: ["openai", "stream_usage: show"],
  checked: ["openai", "relay: checked"],
  anthropic: ["anthropic", ""],
  gemini: ["gemini", ""],
};

/**
 * Starts both. `answer(handler)` sets the provider's behaviour: `handler(request, response)`, where the
 * request has its `body`.
 */
export async function startScripted({ bindings = {}, rows = ROWS, top = "", ...rest } = {}) {
  const seen = [];
  let handler = json(500, "{}");
  const server = createServer(async (req, res) => {
    // It lists no models.
    if (req.method === "GET") return void res.writeHead(404).end();
    const pieces = [];
    try {
      for await (const piece of req) pieces.push(piece);
    } catch {
      // The gateway was stopped, or has cancelled the call.
      return;
    }
    const record = { url: req.url, headers: req.headers, body: JSON.parse(Buffer.concat(pieces)), closed: new Promise((resolve) => res.on("close", () => resolve(!res.writableFinished))) };
    seen.push(record);
    await handler(record, res);
  });
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${server.address().port}`;
  const row = ([name, [adapter, more]]) => `  ${name}: { adapter: ${adapter}, base_url: "http://${host}/v1", ${more.includes("api_key_env:") ? "" : "api_key_env: ANY_API_KEY, "}${more.includes("models:") ? "" : 'models: "*", '}${more} }`;
  const config = [top, "providers:", ...Object.entries(rows).map(row), ""].join("\n");
  const gateway = await startGateway({ config, bindings: { ACCESS_API_KEYS: KEY, ANY_API_KEY: PROVIDER_KEY, ...bindings }, ...rest });
  const request = (path, body, headers = {}) => [`${gateway.url}${path}`, { method: "POST", headers: { ...as(KEY), ...headers }, body: JSON.stringify(body) }];
  return {
    gateway,
    host,
    seen,
    answer: (next) => (handler = next),
    /** Sends any request with a body. */
    post: (path, body, headers) => call(...request(path, body, headers)),
    /** The same, to be read step by step. */
    open: (path, body, headers) => open(...request(path, body, headers)),
    /** Sends a chat. */
    chat: (model, fields = {}, headers) => call(...request("/v1/chat/completions", { model, messages: HELLO, ...fields }, headers)),
    /** The same in the Messages API. */
    message: (model, fields = {}, headers) => call(...request("/v1/messages", { model, max_tokens: 50, messages: HELLO, ...fields }, headers)),
    async stop() {
      await gateway.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
