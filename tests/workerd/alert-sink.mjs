// A receiver of notices about alerts: each path is a destination, which keeps what it gets and replies as the
// test says.

import { createServer } from "node:http";

/** The destinations and their variables. */
const VARIABLES = { webhook: "ALERT_WEBHOOK_URL", slack: "ALERT_SLACK_URL", feishu: "ALERT_FEISHU_URL", wecom: "ALERT_WECOM_URL" };
/** The secret of the webhook, and that of Feishu's bot. */
export const WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
export const FEISHU_SECRET = "feishu-secret-5772156649";
/** What the destinations reply if the test says nothing else. */
const FINE = { webhook: [204], slack: [200, "ok"], feishu: [200, '{"code":0,"msg":"success"}'], wecom: [200, '{"errcode":0,"errmsg":"ok"}'] };

/**
 * Starts a receiver. `got` are the requests so far: kind, path, headers, text, json. `reply(kind, ...)` sets the
 * status, the body and the headers of the next responses; `null` leaves them without a response.
 */
export async function startSink() {
  const got = [];
  const replies = { ...FINE };
  const server = createServer(async (request, response) => {
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      // The gateway was stopped meanwhile.
      return;
    }
    const text = Buffer.concat(chunks).toString();
    const kind = request.url.split("/")[1];
    got.push({ kind, path: request.url, method: request.method, headers: request.headers, text, json: JSON.parse(text) });
    if (!replies[kind]) return;
    const [status, body = "", headers = {}] = replies[kind];
    response.writeHead(status, headers).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return {
    got,
    url,
    /** The bindings that name these destinations. */
    bindings: (...kinds) =>
      Object.fromEntries([
        ...kinds.map((kind) => [VARIABLES[kind], `${url}/${kind}/secret-path-of-${kind}`]),
        ["ALERT_WEBHOOK_SECRET", WEBHOOK_SECRET],
        ["ALERT_FEISHU_SECRET", FEISHU_SECRET],
      ]),
    reply: (kind, ...reply) => void (replies[kind] = reply.length ? (reply[0] === null ? null : reply) : FINE[kind]),
    stop: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))),
  };
}
