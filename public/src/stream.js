// Reads a streamed chat: the events of a response, and what has become of it so far.

/** Calls `each` with the data of every server-sent event of a response. */
export async function readEvents(response, each) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const events = rest.split(/\r?\n\r?\n/);
    rest = done ? "" : events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      if (data.length) each(data.join("\n"));
    }
    if (done) return;
  }
}

export const EMPTY = { text: "", reasoning: "", tools: [], usage: null, finish: null, error: null };

/** What a chat is after one more event. */
export function fold(chat, data) {
  if (data === "[DONE]") return chat;
  const event = JSON.parse(data);
  if (event.error) return { ...chat, error: event.error };
  const choice = event.choices?.[0];
  const delta = choice?.delta ?? {};
  const tools = [...chat.tools];
  for (const part of delta.tool_calls ?? []) {
    const known = tools[part.index] ?? { name: "", arguments: "" };
    tools[part.index] = { name: known.name + (part.function?.name ?? ""), arguments: known.arguments + (part.function?.arguments ?? "") };
  }
  return {
    ...chat,
    text: chat.text + (delta.content ?? ""),
    reasoning: chat.reasoning + (delta.reasoning_content ?? delta.reasoning ?? ""),
    tools,
    usage: event.usage ?? chat.usage,
    finish: choice?.finish_reason ?? chat.finish,
  };
}
