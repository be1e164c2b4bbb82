// (a′) What a native stream needs if someone is to learn its usage, and that its client has left, in plain
// JavaScript: one copy of the provider's stream is piped through an identity stream, the other is read once a
// second.

const PERIOD_MS = 1000;
const VIEW_BYTES = 32 << 10;
/** The end of what was read: enough for the usage. */
const TAIL_CHARS = 2000;

export default {
  async fetch(request, env, context) {
    const body = await request.json();
    body.model = body.model.slice(body.model.indexOf("/") + 1);
    const call = new AbortController();
    const answer = await fetch(env.UPSTREAM, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${env.PROVIDER_KEY}` },
      body: JSON.stringify(body),
      signal: call.signal,
    });
    const [bytes, copy] = answer.body.tee();
    const client = new IdentityTransformStream();
    const hasLeft = new Promise((left) => request.signal.addEventListener("abort", left));
    hasLeft.then(() => call.abort());
    context.waitUntil(Promise.allSettled([bytes.pipeTo(client.writable), listen(copy, hasLeft)]));
    return new Response(client.readable, answer);
  },
};

async function listen(copy, hasLeft) {
  const decoder = new TextDecoder();
  const reader = copy.getReader({ mode: "byob" });
  let view = new Uint8Array(VIEW_BYTES);
  let tail = "";
  for (let done = false; !done; ) {
    let timer;
    const left = await Promise.race([hasLeft, new Promise((over) => (timer = setTimeout(over, PERIOD_MS)))]);
    clearTimeout(timer);
    if (left) return reader.cancel();
    const read = await reader.read(view);
    done = read.done;
    tail = (tail + decoder.decode(read.value, { stream: true })).slice(-TAIL_CHARS);
    view = new Uint8Array(read.value.buffer);
  }
  return /"total_tokens": ?\d+/.exec(tail)?.[0];
}
