// What the fake provider says, in each of four formats: a whole answer, and the events of a streamed one.

const TEXT = "Hello there, how can I help you today? ".repeat(5);
const [PROMPT, SAID] = [200, 400];
/** Stands in a word's event where the time at which it is sent will be written, between two tildes. */
const TIME = " word ~@~";

const data = (value, end = "\n\n") => `data: ${typeof value === "string" ? value : JSON.stringify(value)}${end}`;

/** A word's event, cut where the time belongs. */
const cut = (event) => event.split("@");

// ── OpenAI's
// ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const USAGE = { prompt_tokens: PROMPT, completion_tokens: SAID, total_tokens: PROMPT + SAID };
const chunk = (more) => data({ id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1700000000, model: "say", ...more });
const choice = (delta, finish_reason = null) => chunk({ choices: [{ index: 0, delta, finish_reason }] });

const openai = {
  whole: {
    ...{ id: "chatcmpl-bench", object: "chat.completion", created: 1, model: "chat", usage: USAGE },
    choices: [{ index: 0, message: { role: "assistant", content: TEXT }, finish_reason: "stop" }],
  },
  begin: choice({ role: "assistant", content: "" }),
  word: cut(choice({ content: TIME })),
  end: (usage) => choice({}, "stop") + (usage ? chunk({ choices: [], usage: USAGE }) : "") + data("[DONE]"),
};

// ── Anthropic's
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

const message = { id: "msg_bench", type: "message", role: "assistant", model: "say", content: [], stop_reason: null, stop_sequence: null };
const tokens = { input_tokens: PROMPT, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: SAID };
const step = (type, more) => `event: ${type}\n${data({ type, ...more })}`;
const delta = step("content_block_delta", { index: 0, delta: { type: "text_delta", text: TIME } });

const anthropic = {
  whole: { ...message, content: [{ type: "text", text: TEXT }], stop_reason: "end_turn", usage: tokens },
  begin:
    step("message_start", { message: { ...message, usage: { ...tokens, output_tokens: 1 } } }) +
    step("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
  word: cut(delta),
  end: () =>
    step("content_block_stop", { index: 0 }) +
    step("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: tokens }) +
    step("message_stop"),
};

// ── Gemini's, which tells the tokens with every chunk
// ────────────────────────────────────────────────────────────────────────

function gemini(text, finishReason) {
  const promptTokensDetails = [{ modality: "TEXT", tokenCount: PROMPT }];
  const usageMetadata = { promptTokenCount: PROMPT, candidatesTokenCount: SAID, totalTokenCount: PROMPT + SAID, promptTokensDetails };
  const candidate = { content: { parts: [{ text }], role: "model" }, ...(finishReason && { finishReason }), index: 0 };
  return { candidates: [candidate], usageMetadata, modelVersion: "say", responseId: "bench" };
}

const google = {
  whole: gemini(TEXT, "STOP"),
  begin: "",
  word: cut(data(gemini(TIME), "\r\n\r\n")),
  end: () => data(gemini("", "STOP"), "\r\n\r\n"),
};

// ── OpenAI's Responses API
// ───────────────────────────────────────────────────────────────────────────────────────────────────────

const reported = { input_tokens: PROMPT, input_tokens_details: { cached_tokens: 0 }, output_tokens: SAID, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: PROMPT + SAID };
const part = (text) => ({ type: "output_text", text, annotations: [], logprobs: [] });
const item = (status, content) => ({ id: "msg_bench", type: "message", status, role: "assistant", content });
const response = (status, output, usage = null) => ({ id: "resp_bench", object: "response", created_at: 1, status, error: null, model: "say", output, store: false, usage });
const at = { item_id: "msg_bench", output_index: 0, content_index: 0 };
// Readers do not count events: the numbers of those that repeat may be the same.
const event = (type, sequence_number, more) => step(type, { sequence_number, ...more });
const spoken = item("completed", [part(TEXT)]);

const responses = {
  whole: response("completed", [spoken], reported),
  begin:
    event("response.created", 0, { response: response("in_progress", []) }) +
    event("response.in_progress", 1, { response: response("in_progress", []) }) +
    event("response.output_item.added", 2, { output_index: 0, item: item("in_progress", []) }) +
    event("response.content_part.added", 3, { ...at, part: part("") }),
  word: cut(event("response.output_text.delta", 4, { ...at, delta: TIME, logprobs: [] })),
  end: () =>
    event("response.output_text.done", 5, { ...at, text: TEXT, logprobs: [] }) +
    event("response.content_part.done", 6, { ...at, part: part(TEXT) }) +
    event("response.output_item.done", 7, { output_index: 0, item: spoken }) +
    event("response.completed", 8, { response: response("completed", [spoken], reported) }),
};

/** The formats, by the ends of the paths that ask for them; any other path is Gemini's. */
export const FORMATS = { "/chat/completions": openai, "/messages": anthropic, "/responses": responses, "": google };
