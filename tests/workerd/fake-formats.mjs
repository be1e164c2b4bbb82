// Fakes of providers of four formats: OpenAI's chats and Responses API, Anthropic's Messages API and Gemini's
// generateContent.
// They are as strict as the real ones: an unknown or misplaced field is refused, and so is a signature that
// is not theirs or belongs to another model. They play one dialogue: a question, two tool calls, an answer; or the
// one that a test writes.

import { createServer } from "node:http";

/** The contents of the dialogue. */
export const SCENE = {
  thought: "The user wants weather.",
  calls: [
    { name: "get_weather", args: { city: "Paris — \"là\"" } },
    { name: "get_time", args: {} },
  ],
  words: ["It is ", "sunny — ☀ ", "in \"Paris\"."],
};

/** The signature of reasoning. It is valid for one model only. */
const sign = (model, step) => Buffer.from(`${model} thought this at step ${step}`).toString("base64");
/** Ids of calls are never reused. */
let calls = 0;
const isSigned = (model, signature) => [0, 1, 2, 3].some((step) => sign(model, step) === signature);
/** The signature that Gemini accepts for a call that it did not make. */
const UNSIGNED = Buffer.from("skip_thought_signature_validator").toString("base64");

class Refusal extends Error {}
const insist = (holds, message) => {
  if (!holds) throw new Refusal(message);
};
const onlyKeys = (object, allowed, where) => {
  for (const key of Object.keys(object)) insist(allowed.includes(key), `${where}: unknown field ${key}`);
};

/** What a model says in the dialogue, by the number of results of tools that it was told. */
const playScene = ({ step }) => (SCENE.calls[step] ? { thought: SCENE.thought, calls: [SCENE.calls[step]] } : { words: SCENE.words });

/**
 * Starts all of them on loopback. `play` is the model: from `{ step, tools, body }`, the number of results in the
 * prompt, the names of the tools that are offered, and the request, it makes a turn: `{ words }`, or
 * `{ thought, calls: [{ name, args }] }`. `fault` may spoil a response: from `{ step, format, body }` it makes
 * `{ status, message, code, headers }`, an error, or `{ cut: true }`, a stream that ends in its middle. `native` has the
 * Responses API take what its own clients say, custom tools among it, and keep responses. Otherwise it takes only what
 * the gateway may write there for clients of other formats.
 */
export async function startFormats({ play = playScene, fault = () => null, native = false } = {}) {
  const requests = [];
  const state = { requests, refused: [], cut: false, refusal: null, play, fault, kept: native ? new Map() : null };
  const server = createServer((req, res) => serve(req, res, state));
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    openai: `${origin}/v1`,
    anthropic: `${origin}/v1`,
    gemini: `${origin}/v1beta`,
    responses: `${origin}/v1`,
    requests,
    /** What was wrong with the requests that were refused for it. */
    refused: state.refused,
    /**
     * From now on refuses everything with this status and these headers. Without a status, stops refusing.
     */
    refuse: (status, headers = {}) => (state.refusal = status ? { status, headers } : null),
    /** From now on streams break off after their first words, or after so many events, or no longer do. */
    cut: (at) => (state.cut = at),
    /** The events of a stream that calls the first tool. */
    events: (name) => ({ openai, anthropic, gemini, responses })[name].stream({ step: 0, ...playScene({ step: 0 }) }, "a model"),
    stop: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))),
  };
}

async function serve(req, res, state) {
  // It lists no models.
  if (req.method === "GET") return void res.writeHead(404).end();
  const pieces = [];
  try {
    for await (const piece of req) pieces.push(piece);
  } catch {
    // The gateway has cancelled the call.
    return;
  }
  const paths = { "/v1/messages": anthropic, "/v1/chat/completions": openai, "/v1/responses": responses };
  const format = Object.entries(paths).find(([path]) => req.url.startsWith(path))?.[1] ?? gemini;
  try {
    const body = JSON.parse(Buffer.concat(pieces));
    state.requests.push({ url: req.url, headers: req.headers, body });
    insist(!req.headers.authorization || [openai, responses].includes(format), "a key for somebody else");
    if (format === responses && state.kept) responses.resolve(body, state.kept);
    if (state.refusal) {
      const { status, headers } = state.refusal;
      return res.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(format.refuse("not now", status)));
    }
    const other = format.others?.(req, body);
    if (other) return res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(other));
    const said = format.read(req, body, state.kept !== null);
    const spoilt = state.fault({ step: said.step, format: format.name, body });
    if (spoilt?.status) {
      const { status, headers = {}, message, code } = spoilt;
      return res.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(format.refuse(message, status, code)));
    }
    const turn = { step: said.step, ...state.play({ step: said.step, tools: format.tools(body), body }), body, kept: state.kept };
    if (said.stream) {
      const events = format.stream(turn, said.model);
      const after = spoilt?.cut ? Math.ceil(events.length / 2) : state.cut;
      const end = after === true ? events.length - 2 : Number.isInteger(after) ? after : events.length;
      res.writeHead(200, { "content-type": "text/event-stream" });
      for (const event of events.slice(0, end)) res.write(event);
      return res.end();
    }
    const whole = format.whole(turn, said.model);
    res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said.isArray ? [whole] : whole));
  } catch (fault) {
    if (!(fault instanceof Refusal)) console.error(fault);
    state.refused.push(`${req.url}: ${fault.message}`);
    res.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify(format.refuse(fault.message)));
  }
}

const anthropic = {
  name: "anthropic",
  tools: (body) => (body.tools ?? []).map(({ name }) => name),
  read(req, body) {
    insist(req.headers["x-api-key"] === "key-of-anthropic", "wrong key");
    insist(req.headers["anthropic-version"], "anthropic-version: field required");
    const { bodies, tools } = this.early(req);
    onlyKeys(body, ["model", "messages", "system", "max_tokens", "tools", "tool_choice", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "thinking", "output_config", ...bodies], "body");
    for (const tool of body.tools ?? []) onlyKeys(tool, ["name", "description", "input_schema", "cache_control", "strict", ...tools], "tools");
    onlyKeys(body.thinking ?? {}, ["type", "budget_tokens", "display"], "thinking");
    insist(Number.isInteger(body.max_tokens), "max_tokens: field required");
    return { stream: body.stream, step: this.prompt(body), model: body.model };
  },
  /** The fields that a request may have besides, as it names their betas. */
  early(req) {
    const named = req.headers["anthropic-beta"] ?? "";
    const of = (beta, field) => (named.includes(beta) ? [field] : []);
    return { bodies: of("context-management-", "context_management"), tools: of("advanced-tool-use-", "defer_loading") };
  },
  /** Counts the tokens of a request, and refuses fields that are not part of the prompt. */
  others(req, body) {
    if (req.url.split("?")[0] !== "/v1/messages/count_tokens") return null;
    insist(req.headers["x-api-key"] === "key-of-anthropic", "wrong key");
    insist(req.headers["anthropic-version"], "anthropic-version: field required");
    for (const field of Object.keys(body)) {
      insist(["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"].includes(field), `${field}: Extra inputs are not permitted`);
    }
    for (const tool of body.tools ?? []) onlyKeys(tool, ["name", "description", "input_schema", "cache_control", "strict"], "tools");
    this.prompt(body);
    return { input_tokens: JSON.stringify([body.system, body.messages, body.tools]).length };
  },
  /** Checks a prompt and returns the number of tool results in it. */
  prompt(body) {
    let called = [];
    let results = 0;
    body.messages.forEach(({ role, content, ...rest }, n) => {
      onlyKeys(rest, [], `messages.${n}`);
      insist(role === (n % 2 ? "assistant" : "user"), `messages.${n}: roles must alternate`);
      const blocks = typeof content === "string" ? [{ type: "text", text: content }] : content;
      insist(blocks.length > 0, `messages.${n}: empty content`);
      const answered = blocks.filter(({ type }) => type === "tool_result").map((block) => block.tool_use_id);
      if (role === "user") {
        insist(JSON.stringify(answered) === JSON.stringify(called), `messages.${n}: tool_use ids were found without tool_result blocks: ${called}`);
        insist(answered.length === 0 || blocks[0].type === "tool_result", `messages.${n}: results come first`);
      }
      results += answered.length;
      called = blocks.filter(({ type }) => type === "tool_use").map(({ id }) => id);
      for (const block of blocks) {
        this.block(block, `messages.${n}`);
        if (block.type === "thinking") insist(isSigned(body.model, block.signature), `messages.${n}: Invalid \`signature\` in \`thinking\` block`);
      }
      // With thinking on, a turn that calls tools begins with its reasoning.
      if (body.thinking?.type === "enabled" && called.length > 0) insist(blocks[0].type === "thinking", "Expected `thinking` or `redacted_thinking`, but found `tool_use`");
    });
    for (const tool of body.tools ?? []) {
      insist(tool.input_schema?.type === "object", "tools: input_schema: type required");
    }
    return results;
  },
  block(block, where) {
    const keys = { text: ["text", "cache_control"], image: ["source", "cache_control"], document: ["source", "cache_control", "title"], tool_use: ["id", "name", "input", "cache_control"], tool_result: ["tool_use_id", "content", "is_error", "cache_control"], thinking: ["thinking", "signature"], redacted_thinking: ["data"] }[block.type];
    insist(keys, `${where}: unknown block ${block.type}`);
    onlyKeys(block, ["type", ...keys], where);
    if (block.type === "thinking") insist(/^[A-Za-z0-9+/=]+$/.test(block.signature ?? ""), `${where}: Invalid \`signature\` in \`thinking\` block`);
    if (block.type === "text") insist(block.text !== "", `${where}: text must not be empty`);
    if (block.type === "tool_use") insist(block.input && typeof block.input === "object", `${where}: input must be an object`);
  },
  blocks({ step, thought, calls: made = [], words }, model) {
    if (words) return [{ type: "text", text: words.join("") }];
    return [
      { type: "thinking", thinking: thought, signature: sign(model, step) },
      ...made.map(({ name, args }) => ({ type: "tool_use", id: `toolu_${++calls}`, name, input: args })),
    ];
  },
  usage: { input_tokens: 20, cache_read_input_tokens: 30, cache_creation_input_tokens: 5, output_tokens: 12 },
  whole(turn, model) {
    const stop = turn.words ? "end_turn" : "tool_use";
    return { id: `msg_${turn.step}`, type: "message", role: "assistant", model: "claude-served", content: this.blocks(turn, model), stop_reason: stop, stop_sequence: null, usage: this.usage };
  },
  stream(turn, model) {
    const event = (type, data) => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
    const { content, stop_reason, ...message } = this.whole(turn, model);
    const out = [event("message_start", { message: { ...message, content: [], stop_reason: null, usage: { ...this.usage, output_tokens: 1 } } }), event("ping", {})];
    content.forEach((block, index) => {
      const delta = (fields) => out.push(event("content_block_delta", { index, delta: fields }));
      const empty = { text: { text: "" }, thinking: { thinking: "", signature: "" }, tool_use: { id: block.id, name: block.name, input: {} } }[block.type];
      out.push(event("content_block_start", { index, content_block: { type: block.type, ...empty } }));
      if (block.type === "text") turn.words.forEach((text) => delta({ type: "text_delta", text }));
      if (block.type === "thinking") (delta({ type: "thinking_delta", thinking: block.thinking }), delta({ type: "signature_delta", signature: block.signature }));
      if (block.type === "tool_use") {
        const json = JSON.stringify(block.input);
        delta({ type: "input_json_delta", partial_json: "" });
        if (json !== "{}") for (let at = 0; at < json.length; at += 5) delta({ type: "input_json_delta", partial_json: json.slice(at, at + 5) });
      }
      out.push(event("content_block_stop", { index }));
    });
    out.push(event("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: this.usage.output_tokens } }), event("message_stop", {}));
    return out;
  },
  refuse: (message, status = 400) => ({ type: "error", error: { type: { 400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error" }[status] ?? "api_error", message }, request_id: "req_1" }),
};

const openai = {
  name: "openai",
  tools: (body) => (body.tools ?? []).map((tool) => tool.function.name),
  read(req, body) {
    insist(req.headers.authorization === "Bearer key-of-openai", "wrong key");
    onlyKeys(body, ["model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "stop", "seed", "n", "user", "reasoning_effort", "response_format"], "body");
    let waiting = [];
    let results = 0;
    body.messages.forEach((message, n) => {
      onlyKeys(message, { system: ["role", "content", "name"], user: ["role", "content", "name"], assistant: ["role", "content", "tool_calls", "reasoning_content"], tool: ["role", "content", "tool_call_id"] }[message.role] ?? [], `messages[${n}]`);
      if (message.role === "tool") {
        insist(waiting.includes(message.tool_call_id), `messages[${n}]: no such tool_call_id`);
        waiting = waiting.filter((id) => id !== message.tool_call_id);
        results++;
      } else insist(waiting.length === 0, `messages[${n}]: tool_call_ids did not have response messages: ${waiting}`);
      if (message.reasoning_content !== undefined) insist(this.thoughts.has(message.reasoning_content), `messages[${n}]: reasoning_content is not ours`);
      for (const call of message.tool_calls ?? []) {
        onlyKeys(call, ["id", "type", "function"], "tool_calls");
        insist(JSON.parse(call.function.arguments), "arguments are JSON");
        waiting.push(call.id);
      }
    });
    for (const tool of body.tools ?? []) onlyKeys(tool.function, ["name", "description", "parameters", "strict"], "tools");
    return { stream: body.stream, step: results };
  },
  usage: { prompt_tokens: 55, completion_tokens: 12, total_tokens: 67, prompt_tokens_details: { cached_tokens: 30 }, completion_tokens_details: { reasoning_tokens: 5 } },
  thoughts: new Set(),
  message({ thought, calls: made = [], words }) {
    if (words) return { role: "assistant", content: words.join("") };
    const tool_calls = made.map(({ name, args }) => ({ id: `call_${++calls}`, type: "function", function: { name, arguments: JSON.stringify(args) } }));
    this.thoughts.add(thought);
    return { role: "assistant", content: null, reasoning_content: thought, tool_calls };
  },
  whole(turn) {
    const choice = { index: 0, message: this.message(turn), logprobs: null, finish_reason: turn.words ? "stop" : "tool_calls" };
    return { id: "chatcmpl-1", object: "chat.completion", created: 1, model: "gpt-served", choices: [choice], usage: this.usage };
  },
  stream(turn) {
    const chunk = (delta, finish_reason = null) => `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "gpt-served", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
    const { tool_calls, reasoning_content } = this.message(turn);
    const out = [chunk({ role: "assistant", content: "" })];
    if (!tool_calls) turn.words.forEach((content) => out.push(chunk({ content })));
    if (reasoning_content) out.push(chunk({ reasoning_content }));
    (tool_calls ?? []).forEach(({ id, type, function: fn }, index) => {
      out.push(chunk({ tool_calls: [{ index, id, type, function: { name: fn.name, arguments: "" } }] }));
      for (let at = 0; at < fn.arguments.length; at += 4) out.push(chunk({ tool_calls: [{ index, function: { arguments: fn.arguments.slice(at, at + 4) } }] }));
    });
    const usage = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "gpt-served", choices: [], usage: this.usage };
    return [...out, chunk({}, tool_calls ? "tool_calls" : "stop"), `data: ${JSON.stringify(usage)}\n\n`, "data: [DONE]\n\n"];
  },
  refuse: (message, status = 400, code = null) => ({ error: { message, type: { 429: "requests", 503: "server_error" }[status] ?? "invalid_request_error", param: null, code } }),
};

const responses = {
  name: "responses",
  tools: (body) => (body.tools ?? []).map(({ name }) => name),
  read(req, body, native) {
    insist(req.headers.authorization === "Bearer key-of-responses", "wrong key");
    onlyKeys(body, ["model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "stream", "store", "include", "max_output_tokens", "temperature", "top_p", "text", "reasoning", "user", ...(native ? this.own : [])], "body");
    insist(native || body.store === false, "this fake stores nothing");
    insist((body.max_output_tokens ?? 16) >= 16, "Invalid 'max_output_tokens': integer below minimum value.");
    for (const tool of native ? [] : (body.tools ?? [])) {
      onlyKeys(tool, ["type", "name", "description", "parameters", "strict"], "tools");
      insist(tool.type === "function" && tool.strict === false, "tools: a schema that is not strict");
    }
    return { stream: body.stream, step: this.prompt(body, native), model: body.model };
  },
  /** The fields that only clients of this API say. */
  own: ["previous_response_id", "prompt_cache_key", "client_metadata", "service_tier", "truncation", "metadata", "max_tool_calls", "top_logprobs"],
  /** Puts the items of kept responses where a request names them. */
  resolve(body, kept) {
    const before = kept.get(body.previous_response_id);
    insist(before || !body.previous_response_id, `Previous response with id '${body.previous_response_id}' not found.`);
    const items = [...kept.values()].flat();
    const named = ({ id }) => items.find((item) => item.id === id) ?? insist(false, `Item with id '${id}' not found.`);
    const input = typeof body.input === "string" ? [{ role: "user", content: body.input }] : body.input;
    body.input = [...(before ?? []), ...input.map((item) => (item.type === "item_reference" ? named(item) : item))];
  },
  /** Checks the items and returns the number of results of tools among them. */
  prompt({ input, model }, native) {
    // Its own clients may say ids, and what Codex notes of a call.
    const more = native ? ["id", "internal_chat_message_metadata_passthrough"] : [];
    let sealed = false;
    let waiting = [];
    let results = 0;
    input.forEach((item, n) => {
      const { type = "message" } = item;
      const keys = { message: ["role", "content", "status"], reasoning: ["summary", "encrypted_content", "content"], function_call: ["call_id", "name", "arguments", "status"], function_call_output: ["call_id", "output", "status"], ...(native && { custom_tool_call: ["call_id", "name", "input", "status"], custom_tool_call_output: ["call_id", "output"] }) }[type];
      insist(keys, `input[${n}]: unknown item ${type}`);
      onlyKeys(item, ["type", ...keys, ...more], `input[${n}]`);
      if (type === "reasoning") insist((sealed = isSigned(model, item.encrypted_content)), `input[${n}]: the encrypted content could not be verified`);
      if (type === "function_call" || type === "custom_tool_call") {
        insist(sealed || waiting.length > 0, `input[${n}]: ${type} was provided without its required reasoning item`);
        if (type === "function_call") insist(JSON.parse(item.arguments), "arguments are JSON");
        waiting.push(item.call_id);
        sealed = false;
      }
      if (type === "function_call_output" || type === "custom_tool_call_output") {
        insist(waiting.includes(item.call_id), `No tool call found for function call output with call_id ${item.call_id}`);
        waiting = waiting.filter((id) => id !== item.call_id);
        results++;
      }
      for (const { type: kind } of type === "message" && typeof item.content !== "string" ? item.content : []) {
        insist((item.role === "assistant" ? ["output_text"] : ["input_text", "input_image", "input_file"]).includes(kind), `input[${n}]: ${kind} of ${item.role}`);
      }
    });
    insist(waiting.length === 0, `No tool output found for function call ${waiting}`);
    return results;
  },
  usage: { input_tokens: 55, input_tokens_details: { cached_tokens: 30 }, output_tokens: 12, output_tokens_details: { reasoning_tokens: 5 }, total_tokens: 67 },
  items({ step, thought, calls: made = [], words, body = {} }, model) {
    if (words) return [{ type: "message", id: `msg_${++calls}`, status: "completed", role: "assistant", content: [{ type: "output_text", text: words.join(""), annotations: [], logprobs: [] }] }];
    const isCustom = (name) => body.tools?.some((tool) => tool.name === name && tool.type === "custom");
    const called = made.map(({ name, args }) => {
      const call = { call_id: `call_${++calls}`, status: "completed", name };
      return isCustom(name) ? { type: "custom_tool_call", id: `ctc_${calls}`, ...call, input: args.input } : { type: "function_call", id: `fc_${calls}`, ...call, arguments: JSON.stringify(args) };
    });
    return [{ type: "reasoning", id: `rs_${++calls}`, summary: [{ type: "summary_text", text: thought }], encrypted_content: sign(model, step) }, ...called];
  },
  whole(turn, model) {
    const response = { id: `resp_${++calls}`, object: "response", created_at: 1, status: "completed", error: null, incomplete_details: null, model: "gpt-served", output: this.items(turn, model), usage: this.usage };
    if (turn.kept && turn.body.store !== false) turn.kept.set(response.id, [...turn.body.input, ...response.output]);
    return response;
  },
  stream(turn, model) {
    const out = [];
    const event = (type, fields) => out.push(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: out.length, ...fields })}\n\n`);
    const response = this.whole(turn, model);
    for (const type of ["response.created", "response.in_progress"]) event(type, { response: { ...response, status: "in_progress", output: [], usage: null } });
    response.output.forEach((item, output_index) => {
      const place = { item_id: item.id, output_index };
      const empty = { reasoning: { summary: [], encrypted_content: "not yet" }, message: { content: [], status: "in_progress" }, function_call: { arguments: "", status: "in_progress" }, custom_tool_call: { input: "", status: "in_progress" } }[item.type];
      event("response.output_item.added", { output_index, item: { ...item, ...empty } });
      if (item.type === "reasoning") {
        event("response.reasoning_summary_part.added", { ...place, summary_index: 0, part: { type: "summary_text", text: "" } });
        event("response.reasoning_summary_text.delta", { ...place, summary_index: 0, delta: turn.thought });
        event("response.reasoning_summary_text.done", { ...place, summary_index: 0, text: turn.thought });
        event("response.reasoning_summary_part.done", { ...place, summary_index: 0, part: item.summary[0] });
      }
      if (item.type === "message") {
        event("response.content_part.added", { ...place, content_index: 0, part: { ...item.content[0], text: "" } });
        for (const delta of turn.words) event("response.output_text.delta", { ...place, content_index: 0, delta, logprobs: [] });
        event("response.output_text.done", { ...place, content_index: 0, text: item.content[0].text, logprobs: [] });
        event("response.content_part.done", { ...place, content_index: 0, part: item.content[0] });
      }
      if (item.type === "function_call") {
        for (let at = 0; at < item.arguments.length; at += 5) event("response.function_call_arguments.delta", { ...place, delta: item.arguments.slice(at, at + 5) });
        event("response.function_call_arguments.done", { ...place, arguments: item.arguments });
      }
      if (item.type === "custom_tool_call") {
        for (let at = 0; at < item.input.length; at += 5) event("response.custom_tool_call_input.delta", { ...place, delta: item.input.slice(at, at + 5) });
        event("response.custom_tool_call_input.done", { ...place, input: item.input });
      }
      event("response.output_item.done", { output_index, item });
    });
    event("response.completed", { response });
    return out;
  },
  refuse: (message, status, code) => openai.refuse(message, status, code),
};

const gemini = {
  name: "gemini",
  tools: (body) => (body.tools ?? []).flatMap((tool) => (tool.functionDeclarations ?? []).map(({ name }) => name)),
  read(req, body, native) {
    insist(req.headers["x-goog-api-key"] === "key-of-gemini", "API key not valid");
    const [path, query] = req.url.split("?");
    const [, model, method] = path.match(/^\/v1beta\/models\/(gemini-[\w.-]+):(\w+)$/) ?? [];
    insist(["generateContent", "streamGenerateContent"].includes(method), `no such method: ${req.url}`);
    insist([undefined, "alt=sse"].includes(query), "no such parameter");
    // Without `alt=sse`, a stream is one array.
    return { stream: query === "alt=sse", isArray: method === "streamGenerateContent", step: this.prompt(body, model, native), model };
  },
  /** Counts and embeddings. */
  others(req, body) {
    const [, model, method] = req.url.match(/^\/v1beta\/models\/([\w-]+):(countTokens|embedContent|batchEmbedContents)$/) ?? [];
    if (!method) return null;
    insist(req.headers["x-goog-api-key"] === "key-of-gemini", "API key not valid");
    if (method === "countTokens") {
      insist(model === "gemini-fake", `models/${model} is not found`);
      onlyKeys(body, ["contents", "generateContentRequest"], "body");
      insist(!body.contents !== !body.generateContentRequest, "contents and generateContentRequest are mutually exclusive");
      const { model: named, ...asked } = body.generateContentRequest ?? { model: "models/gemini-fake", contents: body.contents };
      insist(named === "models/gemini-fake", "generateContentRequest.model: must be that of the path");
      this.prompt(asked, model);
      const tokenCount = JSON.stringify([asked.systemInstruction, asked.contents, asked.tools]).length;
      return { totalTokens: tokenCount, promptTokensDetails: [{ modality: "TEXT", tokenCount }] };
    }
    insist(/^gemini-embedding-\d+$/.test(model), `models/${model} is not found, or is not supported for embedContent`);
    if (method === "embedContent") return { embedding: this.vector(body, 0, model) };
    onlyKeys(body, ["requests"], "body");
    insist(body.requests?.length > 0, "BatchEmbedContentsRequest.requests: must not be empty");
    insist(body.requests.length <= 100, "BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch");
    const embeddings = body.requests.map((request, index) => {
      insist(request.model === `models/${model}`, `requests[${index}].model must match the model in the path`);
      return this.vector(request, index, model);
    });
    // The older model reports no usage.
    const told = { usageMetadata: { promptTokenCount: 5, promptTokenDetails: [{ modality: "TEXT", tokenCount: 5 }] } };
    return { embeddings, ...(model === "gemini-embedding-001" ? {} : told) };
  },
  vector({ content, outputDimensionality = 4, ...rest }, index) {
    onlyKeys(rest, ["model", "taskType", "title"], "requests");
    onlyKeys(content, ["parts", "role"], "content");
    insist(content.parts?.length > 0 && content.parts.every((part) => Object.keys(part).join() === "text" && typeof part.text === "string" && part.text), "content is required");
    insist(Number.isInteger(outputDimensionality) && outputDimensionality > 0, "outputDimensionality must be positive");
    return { values: Array.from({ length: outputDimensionality }, (_, at) => index + 0.5 - at * 0.125) };
  },
  /** Checks a request and returns the number of tool results in it. */
  prompt(body, model, native) {
    onlyKeys(body, ["contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent"], "body");
    onlyKeys(body.generationConfig ?? {}, ["temperature", "topP", "topK", "seed", "maxOutputTokens", "stopSequences", "candidateCount", "presencePenalty", "frequencyPenalty", "responseMimeType", "responseJsonSchema", "responseLogprobs", "logprobs", "thinkingConfig"], "generationConfig");
    let called = [];
    let results = 0;
    body.contents.forEach(({ role, parts, ...rest }, n) => {
      onlyKeys(rest, [], `contents[${n}]`);
      insist(role === "user" || role === "model", `contents[${n}].role`);
      insist(parts.length > 0, `contents[${n}].parts must not be empty`);
      const answers = parts.flatMap(({ functionResponse }) => (functionResponse ? [functionResponse.name] : []));
      if (role === "user") insist(JSON.stringify(answers) === JSON.stringify(called), `function responses must match the calls: ${called}`);
      results += answers.length;
      called = parts.flatMap(({ functionCall }) => (functionCall ? [functionCall.name] : []));
      const [first] = parts.filter(({ functionCall }) => functionCall);
      if (model.startsWith("gemini-3-")) insist(!first || first.thoughtSignature, "Function call is missing a thought_signature in functionCall parts");
      for (const part of parts) {
        const { thought: _, thoughtSignature, ...data } = part;
        insist([undefined, UNSIGNED].includes(thoughtSignature) || isSigned(model, thoughtSignature), "Thought signature is not valid");
        insist(Object.keys(data).length === 1, "a part holds one thing");
        onlyKeys(data, ["text", "inlineData", "fileData", "functionCall", "functionResponse"], "part");
        if (data.functionResponse) {
          onlyKeys(data.functionResponse, ["id", "name", "response"], "functionResponse");
          insist(data.functionResponse.response?.constructor === Object, "functionResponse.response must be an object");
        }
      }
    });
    for (const tool of body.tools ?? []) {
      onlyKeys(tool, ["functionDeclarations"], "tools");
      tool.functionDeclarations.forEach((fn) => onlyKeys(fn, ["name", "description", "parametersJsonSchema", ...(native ? ["parameters_json_schema"] : [])], "functionDeclarations"));
    }
    return results;
  },
  chunk: (parts, more = {}, candidate = {}) => ({
    candidates: [{ content: { parts, role: "model" }, index: 0, ...candidate }],
    usageMetadata: { promptTokenCount: 55, cachedContentTokenCount: 30, candidatesTokenCount: 7, thoughtsTokenCount: 5, totalTokenCount: 67 },
    modelVersion: "gemini-served",
    responseId: `resp-${calls}`,
    ...more,
  }),
  parts({ step, thought, calls: made = [], words }, model) {
    if (words) return words.map((text) => ({ text }));
    // Of several calls, the first one is signed.
    return [{ text: thought, thought: true }, ...made.map((functionCall, at) => ({ functionCall, ...(at === 0 && { thoughtSignature: sign(model, step) }) }))];
  },
  whole(turn, model) {
    calls++;
    return this.chunk(this.parts(turn, model), {}, { finishReason: "STOP" });
  },
  stream(turn, model) {
    const { responseId } = this.whole(turn, model);
    const event = (chunk) => `data: ${JSON.stringify(chunk)}\r\n\r\n`;
    return [...this.parts(turn, model).map((part) => event(this.chunk([part], { responseId }))), event({ ...this.chunk([], { responseId }), candidates: [{ content: { role: "model" }, finishReason: "STOP", index: 0 }] })];
  },
  refuse: (message, code = 400) => ({ error: { code, message, status: { 400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE" }[code] ?? "INTERNAL" } }),
};
