// What goes wrong with a stream after its content has begun.

import { ERROR_EVENTS, KINDS } from "./route-speech.mjs";

const event = (data) => `data: ${JSON.stringify(data)}\n\n`;

/** The beginning of a provider's answer, up to the first words of this kind. */
const BEGINNINGS = {
  openai: {
    text: (speech) => speech.stream({ text: "first words" }).slice(0, 2),
    thinking: (speech) => [speech.opening(), speech.chunk({ reasoning_content: "Let me think." })],
    "a tool call": (speech) => [speech.opening(), speech.chunk({ tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"ci' } }] })],
  },
  anthropic: {
    text: (speech) => speech.stream({ text: "first words" }).slice(0, 3),
    thinking: (speech) => [speech.opening(), speech.event("content_block_start", { index: 0, content_block: { type: "thinking", thinking: "" } }), speech.event("content_block_delta", { index: 0, delta: { type: "thinking_delta", thinking: "Let me think." } })],
    "a tool call": (speech) => [speech.opening(), speech.event("content_block_start", { index: 0, content_block: { type: "tool_use", id: "toolu_1", name: "get_weather", input: {} } }), speech.event("content_block_delta", { index: 0, delta: { type: "input_json_delta", partial_json: '{"ci' } })],
  },
  gemini: {
    text: (speech) => speech.stream({ text: "first words" }).slice(0, 1),
    thinking: (speech) => [event(speech.chunk([{ text: "Let me think.", thought: true }]))],
    "a tool call": (speech) => [event(speech.chunk([{ functionCall: { name: "get_weather", args: { city: "Oslo" } } }]))],
  },
  responses: {
    text: (speech) => speech.stream({ text: "first words" }).slice(0, 5),
    thinking: (speech) => [
      speech.opening(),
      speech.event("response.output_item.added", { output_index: 0, item: { id: "rs_7", type: "reasoning", summary: [] } }),
      speech.event("response.reasoning_summary_part.added", { item_id: "rs_7", output_index: 0, summary_index: 0, part: { type: "summary_text", text: "" } }),
      speech.event("response.reasoning_summary_text.delta", { item_id: "rs_7", output_index: 0, summary_index: 0, delta: "Let me think." }),
    ],
    "a tool call": (speech) => [
      speech.opening(),
      speech.event("response.output_item.added", { output_index: 0, item: { id: "fc_7", type: "function_call", status: "in_progress", call_id: "call_1", name: "get_weather", arguments: "" } }),
      speech.event("response.function_call_arguments.delta", { item_id: "fc_7", output_index: 0, delta: '{"ci' }),
    ],
  },
};

/** The one of {@link FAULTS} after which a time limit has to pass. */
export const SILENCE = "silence";

/** What goes wrong then, and the class of it. */
export const FAULTS = {
  "a broken connection": [(exchange) => setTimeout(() => exchange.reset(), 20), "unreachable"],
  "an early end": [(exchange) => exchange.end(), "truncated"],
  [SILENCE]: [() => {}, "timeout"],
  "an event that nobody can read": [(exchange) => exchange.write("data: {oops\n\n"), "hollow"],
  "an error event": [(exchange) => exchange.write(ERROR_EVENTS[exchange.provider.kind].overload), "overload"],
};

/** Of which kinds the first words of a provider can be. */
export const kindsOf = (provider) => Object.keys(BEGINNINGS[provider]);

/** Begins an answer with words of this kind. */
export const begin = (exchange, what = "text") => {
  exchange.openStream();
  BEGINNINGS[KINDS[exchange.provider.kind].format][what](exchange.speech).forEach((event) => exchange.write(event));
};
