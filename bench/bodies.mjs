// The chats that callers send: a small one, and two of 100 KB, one that is a single long text and one that is
// an agent's long history. Each in OpenAI's format, as messages in Anthropic's, and as items of the Responses API.

const SENTENCE = "Please look at the weather of the coast and tell me what the sea will do tomorrow. ";
const WORDS = [
  ...["Grüße aus München", "数据流的成本几乎为零", "これは長い会話です", "Привет, мир"],
  ...["emoji 🌊🚀👩‍💻", 'a "quoted" word', "C:\\temp\\file", "line one\nline two"],
];

const chat = (messages, more) => ({ model: "fake/chat", messages, temperature: 0.7, max_tokens: 256, ...more });
const system = { role: "system", content: "You are a helpful assistant." };
const user = (content) => ({ role: "user", content });

/** Repeats a text until the JSON of `build(text)` has `size` bytes. */
function grow(size, build) {
  const room = size - Buffer.byteLength(JSON.stringify(build("")));
  return build(SENTENCE.repeat(Math.ceil(room / SENTENCE.length)).slice(0, room));
}

function tool(index) {
  const parameters = {
    type: "object",
    properties: {
      place: { type: "string", description: "The city and, where it is not clear, the country" },
      days: { type: "integer", minimum: 1, maximum: 14, default: 3 },
      unit: { type: "string", enum: ["celsius", "fahrenheit"] },
    },
    required: ["place"],
    additionalProperties: false,
  };
  return { type: "function", function: { name: `look_up_${index}`, description: `Looks up what is known: ${SENTENCE}`, parameters } };
}

/** One turn of an agent: a question, a call of a tool, its result, an answer. */
function turn(index) {
  const text = Array.from({ length: 20 }, (_, at) => `${WORDS[(index + at) % WORDS.length]} ${index * at}`).join("; ");
  const question = JSON.stringify({ place: text, days: 3 });
  const call = { id: `call_${index}`, type: "function", function: { name: `look_up_${index % 10}`, arguments: question } };
  const found = { temperature: 21.5, wind: [1.0, 2.5, 3e2], notes: text, at: null, ok: true };
  return [
    user([{ type: "text", text }, { type: "text", text: SENTENCE }]),
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", tool_call_id: call.id, content: JSON.stringify(found) },
    { role: "assistant", content: `${text} ${SENTENCE.repeat(6)}` },
  ];
}

function agent() {
  const messages = [system, ...Array.from({ length: 30 }, (_, index) => turn(index)).flat()].slice(0, 120);
  return chat(messages, { tools: Array.from({ length: 10 }, (_, index) => tool(index)), tool_choice: "auto" });
}

export const SHAPES = [
  { name: "small", label: "1 KB", body: grow(1000, (text) => chat([system, user(text)])) },
  { name: "text", label: "100 KB, one long string", body: grow(100_000, (text) => chat([system, user(text)])) },
  { name: "agent", label: "100 KB, 120 messages with tools and unicode", body: agent() },
];

/** A streamed chat; `model` says what the fake provider is to do. */
export function streamed(model, { usage }) {
  return { model, stream: true, ...(usage && { stream_options: { include_usage: true } }), messages: [system, user(SENTENCE.repeat(3))] };
}

const result = ({ tool_call_id, content }) => ({ role: "user", content: [{ type: "tool_result", tool_use_id: tool_call_id, content }] });
const call = ({ id, function: { name, arguments: json } }) => ({ type: "tool_use", id, name, input: JSON.parse(json) });

function message(said) {
  if (said.role === "tool") return result(said);
  return said.tool_calls ? { role: said.role, content: said.tool_calls.map(call) } : said;
}

/** The same chat in Anthropic's format. */
export function messages({ messages: [{ content: system }, ...rest], tools, tool_choice, stream_options, ...body }) {
  const named = tools?.map(({ function: { name, description, parameters } }) => ({ name, description, input_schema: parameters }));
  return { max_tokens: 256, ...body, system, messages: rest.map(message), ...(tools && { tools: named, tool_choice: { type: "auto" } }) };
}

function items(said) {
  if (said.role === "tool") return [{ type: "function_call_output", call_id: said.tool_call_id, output: said.content }];
  if (said.tool_calls) return said.tool_calls.map(({ id, function: { name, arguments: json } }) => ({ type: "function_call", call_id: id, name, arguments: json }));
  const type = said.role === "assistant" ? "output_text" : "input_text";
  const parts = typeof said.content === "string" ? [{ type, text: said.content }] : said.content.map(({ text }) => ({ type, text }));
  return [{ type: "message", role: said.role, content: parts }];
}

/** The same chat for the Responses API; nothing of it is to be stored. */
export function responses({ messages: [{ content: instructions }, ...rest], tools, max_tokens, stream_options, ...body }) {
  const flat = tools?.map(({ function: tool }) => ({ type: "function", ...tool, strict: false }));
  return { ...body, ...(max_tokens && { max_output_tokens: max_tokens }), instructions, input: rest.flatMap(items), ...(tools && { tools: flat }), store: false };
}
