// One call of a model by the playground: its request, and what comes of it.

import { errorOf, segment, send } from "./api.js";
import { EMPTY, fold, readEvents } from "./stream.js";

/** The body of a chat with these wishes. */
export function bodyOf({ system, prompt, tools, effort, image, max_tokens: limit }, model) {
  const content = image ? [{ type: "text", text: prompt }, { type: "image_url", image_url: { url: image } }] : prompt;
  const messages = [...(system ? [{ role: "system", content: system }] : []), { role: "user", content }];
  const body = { model, messages, stream: true, stream_options: { include_usage: true } };
  if (limit) body.max_tokens = Number(limit);
  if (effort) body.reasoning_effort = effort;
  if (tools.trim()) body.tools = JSON.parse(tools);
  return body;
}

/** The longest raw response that is kept, in characters. */
const MAX_RAW = 200_000;
/** A request is listed some seconds after its end. */
const LOOKS_MS = [1500, 2000, 3000, 5000, 10_000, 20_000];

/** Calls a model, and tells what has become of it with each event. Does not throw, unless it is aborted. */
export async function askModel({ api, key, body, signal, onChange }) {
  const began = performance.now();
  let run = { request: body, chat: EMPTY, raw: "", error: null, id: null, record: null, ttft: null, took: null, isDone: false };
  const change = (changes) => onChange((run = { ...run, ...changes }));
  const since = () => Math.round(performance.now() - began);
  change({});
  try {
    const response = await send("/v1/chat/completions", { method: "POST", key, body, signal });
    change({ id: response.headers.get("x-request-id") });
    if (!response.ok) {
      const raw = await response.clone().text();
      return change({ error: await errorOf(response), raw, took: since(), isDone: true });
    }
    await readEvents(response, (data) => {
      const chat = fold(run.chat, data);
      const hasContent = chat.text || chat.reasoning || chat.tools.length;
      change({ chat, raw: (run.raw + `data: ${data}\n\n`).slice(0, MAX_RAW), ttft: run.ttft ?? (hasContent ? since() : null) });
    });
  } catch (fault) {
    change({ took: since(), isDone: true, error: fault.name === "AbortError" ? null : fault });
    throw fault;
  }
  change({ took: since(), isDone: true });
  await look(api, run.id, signal, change);
}

/** Reads the record of the request, for its cost, or until Stop. Without one, the cost stays unknown. */
async function look(api, id, signal, change) {
  for (const pause of LOOKS_MS) {
    await new Promise((resolve) => {
      setTimeout(resolve, pause);
      signal.addEventListener("abort", resolve, { once: true });
    });
    if (signal.aborted) return;
    const record = await api.get(`/requests/${segment(id)}`).catch(() => null);
    if (record) return change({ record });
  }
}
