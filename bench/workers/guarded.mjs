// (b′) What the gateway guarantees for a complete response, in plain JavaScript: the caller's key is compared in
// constant time, the provider's response is read for its usage, a call that takes too long or whose client has
// left is aborted, and the record of the request outlives its client. With the binding BOOKS, receipts are
// gathered for 100 ms and stored by a Durable Object, one row for each batch.

const DEADLINE_MS = 600_000;
const GATHERED_MS = 100;
const MOST = 250;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The receipts of this isolate that wait for others, and whether a request is going to send them. */
let waiting = [];
let isSending = false;
/** What is remembered of requests without receipts: it keeps the record from being optimised away. */
let last;

export default {
  fetch(request, env, context) {
    const answer = serve(request, env, context);
    context.waitUntil(answer);
    return answer;
  },
};

function isKnown(request, env) {
  const given = encoder.encode(request.headers.get("authorization")?.slice("Bearer ".length) ?? "");
  const known = encoder.encode(env.ACCESS_KEY);
  return given.length === known.length && crypto.subtle.timingSafeEqual(given, known);
}

async function serve(request, env, context) {
  const began = Date.now();
  if (!isKnown(request, env)) return Response.json({ error: { message: "Unknown key." } }, { status: 401 });
  const id = crypto.randomUUID();
  const call = new AbortController();
  const timer = setTimeout(() => call.abort(new Error("the deadline has passed")), DEADLINE_MS);
  try {
    const body = await request.json();
    const model = body.model;
    body.model = model.slice(model.indexOf("/") + 1);
    const answer = await fetch(env.UPSTREAM, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${env.PROVIDER_KEY}` },
      body: JSON.stringify(body),
      redirect: "manual",
      signal: AbortSignal.any([request.signal, call.signal]),
    });
    const bytes = await answer.arrayBuffer();
    const { usage } = JSON.parse(decoder.decode(bytes));
    record({ id, model, status: answer.status, began, ms: Date.now() - began, usage }, env, context);
    return new Response(bytes, { status: answer.status, headers: headers(id, answer) });
  } catch (fault) {
    record({ id, status: 502, began, ms: Date.now() - began, fault: String(fault) }, env, context);
    return Response.json({ error: { message: "The provider did not respond." } }, { status: 502, headers: { "x-request-id": id } });
  } finally {
    clearTimeout(timer);
  }
}

/** As many as the gateway's. */
function headers(id, answer) {
  return {
    "content-type": answer.headers.get("content-type"),
    "x-request-id": id,
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "x-request-id, retry-after",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
}

function record(receipt, env, context) {
  last = receipt;
  if (!env.BOOKS) return;
  waiting.push(receipt);
  if (isSending) return;
  isSending = true;
  context.waitUntil(send(env));
}

async function send(env) {
  await new Promise((gathered) => setTimeout(gathered, GATHERED_MS));
  isSending = false;
  const all = waiting;
  waiting = [];
  for (let from = 0; from < all.length; from += MOST) {
    const body = JSON.stringify(all.slice(from, from + MOST));
    const stored = await env.BOOKS.getByName("caller").fetch("http://book/", { method: "POST", body });
    if (!stored.ok) console.error(`Receipts were lost: ${body}`);
  }
}

/** The account of a key: each batch is a row, beside the sums. */
export class Book {
  constructor(state) {
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS batches (at INTEGER, receipts TEXT)");
    this.sums = { requests: 0, tokens: 0 };
  }

  async fetch(request) {
    const text = await request.text();
    for (const { usage } of JSON.parse(text)) {
      this.sums.requests += 1;
      this.sums.tokens += usage?.total_tokens ?? 0;
    }
    this.sql.exec("INSERT INTO batches VALUES (?, ?)", Date.now(), JSON.stringify({ sums: this.sums, receipts: text }));
    return new Response(null, { status: 204 });
  }
}

