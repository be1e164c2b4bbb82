// Fakes of providers of three formats: OpenAI's chats, Anthropic's Messages API and Gemini's generateContent.
// They are as strict as the real ones: an unknown or misplaced field is refused, and so is a signature that
// is not theirs or belongs to another model. They play one dialogue: a question, two tool calls, an answer.

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

/** Starts all of them on loopback. */
export async function startFormats() {
  const requests = [];
  const state = { requests, cut: false, refusal: null };
  const server = createServer((req, res) => serve(req, res, state));
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    openai: `${origin}/v1`,
    anthropic: `${origin}/v1`,
    gemini: `${origin}/v1beta`,
    requests,
    /**
     * From now on refuses everything with this status and these headers. Without a status, stops refusing.
     */
    refuse: (status, headers = {}) => (state.refusal = status ? { status, headers } : null),
    /** From now on streams break off after their first words, or no longer do. */
    cut: (on) => (state.cut = on),
    stop: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))),
  };
}

async function serve(req, res, state) {
  const pieces = [];
  for await (const piece of req) pieces.push(piece);
  const format = req.url.startsWith("/v1/messages") ? anthropic : req.url === "/v1/chat/completions" ? openai : gemini;
  try {
    const body = JSON.parse(Buffer.concat(pieces));
    state.requests.push({ url: req.url, headers: req.headers, body });
    insist(!req.headers.authorization || format === openai, "a key for somebody else");
    if (state.refusal) {
      const { status, headers } = state.refusal;
      return res.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(format.refuse("not now", status)));
    }
    const other = format.others?.(req, body);
    if (other) return res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(other));
    const said = format.read(req, body);
    if (said.stream) {
      const events = format.stream(said.step, said.model);
      const end = state.cut ? events.length - 2 : events.length;
      res.writeHead(200, { "content-type": "text/event-stream" });
      for (const event of events.slice(0, end)) res.write(event);
      return res.end();
    }
    res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(format.whole(said.step, said.model)));
  } catch (fault) {
    if (!(fault instanceof Refusal)) console.error(fault);
    res.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify(format.refuse(fault.message)));
  }
}

const anthropic = {
  read(req, body) {
    insist(req.headers["x-api-key"] === "key-of-anthropic", "wrong key");
    insist(req.headers["anthropic-version"], "anthropic-version: field required");
    onlyKeys(body, ["model", "messages", "system", "max_tokens", "tools", "tool_choice", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "thinking", "output_config"], "body");
    insist(Number.isInteger(body.max_tokens), "max_tokens: field required");
    return { stream: body.stream, step: this.prompt(body), model: body.model };
  },
  /** Counts the tokens of a request, and refuses fields that are not part of the prompt. */
  others(req, body) {
    if (req.url.split("?")[0] !== "/v1/messages/count_tokens") return null;
    insist(req.headers["x-api-key"] === "key-of-anthropic", "wrong key");
    insist(req.headers["anthropic-version"], "anthropic-version: field required");
    for (const field of Object.keys(body)) {
      insist(["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"].includes(field), `${field}: Extra inputs are not permitted`);
    }
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
      onlyKeys(tool, ["name", "description", "input_schema", "cache_control", "strict"], "tools");
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
  blocks(step, model) {
    const call = SCENE.calls[step];
    if (!call) return [{ type: "text", text: SCENE.words.join("") }];
    return [
      { type: "thinking", thinking: SCENE.thought, signature: sign(model, step) },
      { type: "tool_use", id: `toolu_${++calls}`, name: call.name, input: call.args },
    ];
  },
  usage: { input_tokens: 20, cache_read_input_tokens: 30, cache_creation_input_tokens: 5, output_tokens: 12 },
  whole(step, model) {
    const stop = SCENE.calls[step] ? "tool_use" : "end_turn";
    return { id: `msg_${step}`, type: "message", role: "assistant", model: "claude-served", content: this.blocks(step, model), stop_reason: stop, stop_sequence: null, usage: this.usage };
  },
  stream(step, model) {
    const event = (type, data) => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
    const { content: _, stop_reason, ...message } = this.whole(step, model);
    const out = [event("message_start", { message: { ...message, content: [], stop_reason: null, usage: { ...this.usage, output_tokens: 1 } } }), event("ping", {})];
    this.blocks(step, model).forEach((block, index) => {
      const delta = (fields) => out.push(event("content_block_delta", { index, delta: fields }));
      const empty = { text: { text: "" }, thinking: { thinking: "", signature: "" }, tool_use: { id: block.id, name: block.name, input: {} } }[block.type];
      out.push(event("content_block_start", { index, content_block: { type: block.type, ...empty } }));
      if (block.type === "text") SCENE.words.forEach((text) => delta({ type: "text_delta", text }));
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
  refuse: (message, status = 400) => ({ type: "error", error: { type: { 400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error" }[status] ?? "api_error", message }, request_id: "req_1" }),
};

const openai = {
  read(req, body) {
    insist(req.headers.authorization === "Bearer key-of-openai", "wrong key");
    onlyKeys(body, ["model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "n", "user", "reasoning_effort", "response_format"], "body");
    let waiting = [];
    let results = 0;
    body.messages.forEach((message, n) => {
      onlyKeys(message, { system: ["role", "content"], user: ["role", "content"], assistant: ["role", "content", "tool_calls"], tool: ["role", "content", "tool_call_id"] }[message.role] ?? [], `messages[${n}]`);
      if (message.role === "tool") {
        insist(waiting.includes(message.tool_call_id), `messages[${n}]: no such tool_call_id`);
        waiting = waiting.filter((id) => id !== message.tool_call_id);
        results++;
      } else insist(waiting.length === 0, `messages[${n}]: tool_call_ids did not have response messages: ${waiting}`);
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
  message(step) {
    const call = SCENE.calls[step];
    if (!call) return { role: "assistant", content: SCENE.words.join("") };
    return { role: "assistant", content: null, reasoning_content: SCENE.thought, tool_calls: [{ id: `call_${++calls}`, type: "function", function: { name: call.name, arguments: JSON.stringify(call.args) } }] };
  },
  whole(step) {
    const choice = { index: 0, message: this.message(step), logprobs: null, finish_reason: SCENE.calls[step] ? "tool_calls" : "stop" };
    return { id: "chatcmpl-1", object: "chat.completion", created: 1, model: "gpt-served", choices: [choice], usage: this.usage };
  },
  stream(step) {
    const chunk = (delta, finish_reason = null) => `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "gpt-served", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
    const { tool_calls, reasoning_content } = this.message(step);
    const out = [chunk({ role: "assistant", content: "" })];
    if (!tool_calls) SCENE.words.forEach((content) => out.push(chunk({ content })));
    if (reasoning_content) out.push(chunk({ reasoning_content }));
    for (const { id, type, function: fn } of tool_calls ?? []) {
      out.push(chunk({ tool_calls: [{ index: 0, id, type, function: { name: fn.name, arguments: "" } }] }));
      for (let at = 0; at < fn.arguments.length; at += 4) out.push(chunk({ tool_calls: [{ index: 0, function: { arguments: fn.arguments.slice(at, at + 4) } }] }));
    }
    const usage = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "gpt-served", choices: [], usage: this.usage };
    return [...out, chunk({}, tool_calls ? "tool_calls" : "stop"), `data: ${JSON.stringify(usage)}\n\n`, "data: [DONE]\n\n"];
  },
  refuse: (message) => ({ error: { message, type: "invalid_request_error", param: null, code: null } }),
};

const gemini = {
  read(req, body) {
    insist(req.headers["x-goog-api-key"] === "key-of-gemini", "API key not valid");
    const [path, query] = req.url.split("?");
    const [, model, method] = path.match(/^\/v1beta\/models\/(gemini-(?:3-)?fake):(\w+)$/) ?? [];
    insist(["generateContent", "streamGenerateContent"].includes(method), `no such method: ${req.url}`);
    insist(method === "generateContent" || query === "alt=sse", "streams are asked for as SSE");
    return { stream: method === "streamGenerateContent", step: this.prompt(body, model), model };
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
  prompt(body, model) {
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
      if (model === "gemini-3-fake") insist(!first || first.thoughtSignature, "Function call is missing a thought_signature in functionCall parts");
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
      tool.functionDeclarations.forEach((fn) => onlyKeys(fn, ["name", "description", "parametersJsonSchema"], "functionDeclarations"));
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
  parts(step, model) {
    const call = SCENE.calls[step];
    if (!call) return SCENE.words.map((text) => ({ text }));
    return [{ text: SCENE.thought, thought: true }, { functionCall: call, thoughtSignature: sign(model, step) }];
  },
  whole(step, model) {
    calls++;
    return this.chunk(this.parts(step, model), {}, { finishReason: "STOP" });
  },
  stream(step, model) {
    const { responseId } = this.whole(step, model);
    const event = (chunk) => `data: ${JSON.stringify(chunk)}\r\n\r\n`;
    return [...this.parts(step, model).map((part) => event(this.chunk([part], { responseId }))), event({ ...this.chunk([], { responseId }), candidates: [{ content: { role: "model" }, finishReason: "STOP", index: 0 }] })];
  },
  refuse: (message, code = 400) => ({ error: { code, message, status: { 400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED" }[code] ?? "INTERNAL" } }),
};
