// What the fake provider says, in each of three formats: a whole answer, and the events of a streamed one.

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

/** The formats, by the ends of the paths that ask for them; any other path is Gemini's. */
export const FORMATS = { "/chat/completions": openai, "/messages": anthropic, "": google };
