// How providers speak and refuse: the wire forms of OpenAI, Anthropic, Gemini, DeepSeek and OpenRouter.

const event = (data, name) => `${name ? `event: ${name}\n` : ""}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;

/** The kinds of providers: format, host in the catalogue, path of the API, a model. Nobody calls `echo`. */
export const KINDS = {
  openai: { format: "openai", host: "openai", path: "/v1", model: "gpt-4.1" },
  anthropic: { format: "anthropic", host: "anthropic", path: "/v1", model: "claude-sonnet-4-5" },
  gemini: { format: "gemini", host: "google", path: "/v1beta", model: "gemini-2.5-flash" },
  responses: { format: "responses", host: "openai", path: "/v1", model: "gpt-4.1" },
  deepseek: { format: "openai", host: "deepseek", path: "", model: "deepseek-v4-flash" },
  openrouter: { format: "openai", host: "openrouter", path: "/api/v1", model: "openai/gpt-4.1" },
  echo: { format: "echo", host: "none", path: "", model: "echo" },
};

export const USAGE = { prompt: 11, completion: 7 };

const openai = {
  isStream: ({ body }) => body.stream === true,
  contentAt: 1,
  usage: (usage = USAGE) => ({ prompt_tokens: usage.prompt, completion_tokens: usage.completion, total_tokens: usage.prompt + usage.completion }),
  whole({ text = "Hello.", message, finish = "stop", usage }) {
    return { id: "chatcmpl-7", object: "chat.completion", created: 1763856000, model: "served", choices: [{ index: 0, message: message ?? { role: "assistant", content: text }, logprobs: null, finish_reason: finish }], usage: this.usage(usage) };
  },
  chunk: (delta, finish_reason = null, more = {}) => event({ id: "chatcmpl-7", object: "chat.completion.chunk", created: 1763856000, model: "served", choices: [{ index: 0, delta, finish_reason }], ...more }),
  opening() {
    return this.chunk({ role: "assistant", content: "" });
  },
  stream({ text = "Hello.", usage }) {
    const half = Math.ceil(text.length / 2);
    const words = [text.slice(0, half), text.slice(half)].map((content) => this.chunk({ content }));
    return [this.opening(), ...words, this.chunk({}, "stop"), this.chunk({}, null, { choices: [], usage: this.usage(usage) }), event("[DONE]")];
  },
};

const anthropic = {
  isStream: ({ body }) => body.stream === true,
  contentAt: 2,
  message: (more) => ({ id: "msg_7", type: "message", role: "assistant", model: "served", content: [], stop_reason: null, stop_sequence: null, ...more }),
  usage: (usage = USAGE) => ({ input_tokens: usage.prompt, output_tokens: usage.completion }),
  whole({ text = "Hello.", content = [{ type: "text", text }], finish = "end_turn", usage }) {
    return this.message({ content, stop_reason: finish, usage: this.usage(usage) });
  },
  event: (type, data) => event({ type, ...data }, type),
  opening() {
    return this.event("message_start", { message: this.message({ usage: { input_tokens: USAGE.prompt, output_tokens: 1 } }) });
  },
  stream({ text = "Hello.", usage = USAGE }) {
    const half = Math.ceil(text.length / 2);
    const delta = (text) => this.event("content_block_delta", { index: 0, delta: { type: "text_delta", text } });
    return [
      this.opening(),
      this.event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
      delta(text.slice(0, half)),
      delta(text.slice(half)),
      this.event("content_block_stop", { index: 0 }),
      this.event("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: usage.completion } }),
      this.event("message_stop", {}),
    ];
  },
};

const gemini = {
  isStream: ({ url }) => url.includes(":streamGenerateContent"),
  contentAt: 0,
  chunk: (parts, candidate = {}, usage = USAGE) => ({
    candidates: [{ content: { parts, role: "model" }, index: 0, ...candidate }],
    usageMetadata: { promptTokenCount: usage.prompt, candidatesTokenCount: usage.completion, totalTokenCount: usage.prompt + usage.completion },
    modelVersion: "served",
    responseId: "resp-7",
  }),
  whole({ text = "Hello.", finish = "STOP", usage }) {
    return this.chunk([{ text }], { finishReason: finish }, usage);
  },
  opening: () => event({ usageMetadata: { promptTokenCount: USAGE.prompt, totalTokenCount: USAGE.prompt }, modelVersion: "served", responseId: "resp-7" }),
  stream({ text = "Hello.", usage }) {
    const half = Math.ceil(text.length / 2);
    return [this.chunk([{ text: text.slice(0, half) }], {}, usage), this.chunk([{ text: text.slice(half) }], { finishReason: "STOP" }, usage)].map((chunk) => event(chunk));
  },
};

const responses = {
  isStream: ({ body }) => body.stream === true,
  contentAt: 4,
  usage: (usage = USAGE) => ({ input_tokens: usage.prompt, input_tokens_details: { cached_tokens: 0 }, output_tokens: usage.completion, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: usage.prompt + usage.completion }),
  message: (text, status = "completed") => ({ id: "msg_7", type: "message", status, role: "assistant", content: text === undefined ? [] : [{ type: "output_text", text, annotations: [] }] }),
  response: (more) => ({ id: "resp_7", object: "response", created_at: 1763856000, status: "in_progress", model: "served", output: [], error: null, incomplete_details: null, ...more }),
  whole({ text = "Hello.", usage }) {
    return this.response({ status: "completed", output: [this.message(text)], usage: this.usage(usage) });
  },
  event: (type, data, number = 0) => event({ type, sequence_number: number, ...data }, type),
  opening() {
    return this.event("response.created", { response: this.response() });
  },
  stream({ text = "Hello.", usage }) {
    const half = Math.ceil(text.length / 2);
    const at = { item_id: "msg_7", output_index: 0, content_index: 0 };
    const part = (text) => ({ type: "output_text", text, annotations: [] });
    return [
      ["created", { response: this.response() }],
      ["in_progress", { response: this.response() }],
      ["output_item.added", { output_index: 0, item: this.message(undefined, "in_progress") }],
      ["content_part.added", { ...at, part: part("") }],
      ["output_text.delta", { ...at, delta: text.slice(0, half) }],
      ["output_text.delta", { ...at, delta: text.slice(half) }],
      ["output_text.done", { ...at, text }],
      ["content_part.done", { ...at, part: part(text) }],
      ["output_item.done", { output_index: 0, item: this.message(text) }],
      ["completed", { response: this.whole({ text, usage }) }],
    ].map(([name, data], number) => this.event(`response.${name}`, data, number));
  },
};

/** The formats: whole answers, and the events of streams. */
export const SPEECH = { openai, anthropic, gemini, responses };

const ofOpenai = (message, type, code = null, param = null) => ({ error: { message, type, param, code } });
const ofAnthropic = (type, message, more = {}) => ({ type: "error", error: { type, message, ...more }, request_id: "req_011CSHoEeqs5C35K2UUqR7Fy" });
const ofGemini = (code, status, message, details) => ({ error: { code, message, status, ...(details && { details }) } });
const ofOpenrouter = (code, message, metadata) => ({ error: { message, code, ...(metadata && { metadata }) }, user_id: "user_2x" });
const retryInfo = (retryDelay) => ({ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay });
const quotaFailure = (quotaId) => ({ "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations: [{ quotaMetric: "generativelanguage.googleapis.com/generate_content_free_tier_requests", quotaId, quotaDimensions: { model: "gemini-2.5-flash", location: "global" }, quotaValue: "10" }] });
const errorInfo = (reason, metadata = {}) => ({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason, domain: "googleapis.com", metadata });

const HTML = "<html>\n<head><title>524 A timeout occurred</title></head>\n<body>cloudflare</body></html>\n";

/**
 * What providers refuse with: by kind and class of failure, the status, the body and the headers. Status 200
 * is a success with an error inside.
 */
export const REFUSALS = {
  openai: {
    rate: [429, ofOpenai("Rate limit reached for gpt-4.1 in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s. Visit https://platform.openai.com/account/rate-limits to learn more.", "requests", "rate_limit_exceeded"), { "retry-after": "20", "retry-after-ms": "20000", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20s" }],
    quota: [429, ofOpenai("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", "insufficient_quota")],
    credential: [401, ofOpenai("Incorrect API key provided: sk-pr***28. You can find your API key at https://platform.openai.com/account/api-keys.", "invalid_request_error", "invalid_api_key")],
    overload: [503, ofOpenai("The server is currently overloaded with other requests. Sorry about that! You can retry your request.", "service_unavailable_error", "server_is_overloaded")],
    capacity: [429, ofOpenai("Insufficient capacity for flex processing. Try again later or use the standard tier.", "resource_unavailable", "resource_unavailable")],
    context: [400, ofOpenai("This model's maximum context length is 1047576 tokens. However, your messages resulted in 1100003 tokens. Please reduce the length of the messages.", "invalid_request_error", "context_length_exceeded", "messages")],
    tpm_size: [429, ofOpenai("Request too large for gpt-4.1 in organization org-x on tokens per min (TPM): Limit 30000, Requested 40123. The input or output tokens must be reduced in order to run successfully.", "tokens", "rate_limit_exceeded")],
    policy: [400, ofOpenai("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", "invalid_request_error", "invalid_prompt")],
    unsupported: [404, ofOpenai("The model `gpt-4.1` does not exist or you do not have access to it.", "invalid_request_error", "model_not_found")],
    region: [403, ofOpenai("Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory")],
    unreachable: [522, "error code: 522", { "content-type": "text/plain" }],
    timeout: [524, HTML, { "content-type": "text/html; charset=UTF-8" }],
    hollow: [200, { id: "chatcmpl-7", object: "chat.completion", created: 1, model: "served", choices: [], usage: { prompt_tokens: 11, completion_tokens: 0, total_tokens: 11 } }],
    caller: [400, ofOpenai("Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer instead.", "invalid_request_error", "invalid_type", "messages[0].content")],
  },
  anthropic: {
    rate: [429, ofAnthropic("rate_limit_error", "This request would exceed your organization's rate limit of 50 requests per minute."), { "retry-after": "17", "x-should-retry": "true", "anthropic-ratelimit-requests-remaining": "0" }],
    quota: [400, ofAnthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.")],
    credential: [401, ofAnthropic("authentication_error", "invalid x-api-key")],
    overload: [529, ofAnthropic("overloaded_error", "Overloaded")],
    context: [400, ofAnthropic("invalid_request_error", "prompt is too long: 210214 tokens > 200000 maximum")],
    policy: [400, ofAnthropic("invalid_request_error", "Output blocked by content filtering policy")],
    unsupported: [404, ofAnthropic("not_found_error", "model: claude-sonnet-4-5")],
    region: [403, ofAnthropic("forbidden", "Request not allowed")],
    timeout: [504, ofAnthropic("timeout_error", "Request timed out")],
    hollow: [200, { ...anthropic.message(), content: [], stop_reason: "end_turn", usage: { input_tokens: 11, output_tokens: 0 } }],
    caller: [400, ofAnthropic("invalid_request_error", "messages.0.content.0.type: Field required")],
  },
  gemini: {
    rate: [429, ofGemini(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details.\nPlease retry in 34.074824224s.", [quotaFailure("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), retryInfo("34.074824224s")])],
    quota: [429, ofGemini(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details.", [quotaFailure("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), retryInfo("12s")])],
    credential: [400, ofGemini(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [errorInfo("API_KEY_INVALID", { service: "generativelanguage.googleapis.com" })])],
    overload: [503, ofGemini(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")],
    capacity: [429, ofGemini(429, "RESOURCE_EXHAUSTED", "No capacity available for model gemini-2.5-flash on the server", [errorInfo("MODEL_CAPACITY_EXHAUSTED", { model: "gemini-2.5-flash" })])],
    context: [400, ofGemini(400, "INVALID_ARGUMENT", "The input token count (1234567) exceeds the maximum number of tokens allowed (1048576).")],
    policy: [200, { promptFeedback: { blockReason: "PROHIBITED_CONTENT" }, usageMetadata: { promptTokenCount: 11, totalTokenCount: 11 }, modelVersion: "served" }],
    unsupported: [404, ofGemini(404, "NOT_FOUND", "models/gemini-2.5-flash is not found for API version v1beta, or is not supported for generateContent.")],
    region: [400, ofGemini(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")],
    timeout: [504, ofGemini(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.")],
    hollow: [200, { candidates: [{ content: { role: "model" }, finishReason: "MALFORMED_FUNCTION_CALL", index: 0 }], usageMetadata: { promptTokenCount: 11, totalTokenCount: 11 }, modelVersion: "served" }],
    caller: [400, ofGemini(400, "INVALID_ARGUMENT", "Invalid value at 'contents[0].parts[0]' (oneof), oneof field 'data' is already set.")],
  },
  deepseek: {
    rate: [429, ofOpenai("Rate limit reached", "rate_limit_error")],
    quota: [402, ofOpenai("Insufficient Balance", "unknown_error", "invalid_request_error")],
    credential: [401, ofOpenai("Authentication Fails (no such user)", "authentication_error", "invalid_request_error")],
    overload: [503, ofOpenai("The server is overloaded due to high traffic. Please retry your request after a brief wait.", "service_unavailable")],
    context: [400, ofOpenai("This model's maximum context length is 65536 tokens. However, you requested 70000 tokens (66000 in the messages, 4000 in the completion). Please reduce the length of the messages or completion.", "invalid_request_error", "invalid_request_error")],
    policy: [400, ofOpenai("Content Exists Risk", "invalid_request_error", "invalid_request_error")],
    hollow: [200, { id: "7", object: "chat.completion", created: 1, model: "served", choices: [{ index: 0, message: { role: "assistant", content: null }, finish_reason: "stop" }], usage: { prompt_tokens: 11, completion_tokens: 0, total_tokens: 11 } }],
    caller: [422, ofOpenai("Failed to deserialize the JSON body into the target type: messages[0].content: invalid type", "invalid_request_error", "invalid_request_error")],
  },
  openrouter: {
    rate: [429, ofOpenrouter(429, "Provider returned error", { raw: "openai/gpt-4.1 is temporarily rate-limited upstream. Please retry shortly.", provider_name: "OpenAI" }), { "x-ratelimit-limit": "20", "x-ratelimit-remaining": "0" }],
    quota: [402, ofOpenrouter(402, "This request requires more credits, or fewer max_tokens. You requested up to 32768 tokens, but can only afford 1234.")],
    credential: [401, ofOpenrouter(401, "No auth credentials found")],
    overload: [502, ofOpenrouter(502, "Provider returned error", { error_type: "provider_unavailable", provider_name: "OpenAI" })],
    context: [400, ofOpenrouter(400, "This endpoint's maximum context length is 1047576 tokens. However, you requested about 1100003 tokens. Please reduce the length of either one.")],
    policy: [403, ofOpenrouter(403, 'openai/gpt-4.1 requires moderation on OpenAI. Your input was flagged for "violence". No credits were charged.', { reasons: ["violence"], flagged_input: "Hello" })],
    unsupported: [503, ofOpenrouter(503, "No endpoints found that support the requested parameters.")],
    timeout: [504, ofOpenrouter(504, "The operation was aborted", { error_type: "timeout" })],
    // An error in a success.
    overload_inside: [200, ofOpenrouter(502, "Upstream error from OpenAI: overloaded", { error_type: "provider_overloaded" })],
    rate_inside: [200, ofOpenrouter(429, "Rate limit exceeded: provider", { error_type: "rate_limit_exceeded" })],
    hollow: [200, ""],
    caller: [400, ofOpenrouter(400, "Input required: specify \"prompt\" or \"messages\"")],
  },
};

/** The first event of a stream that is an error. */
export const ERROR_EVENTS = {
  openai: { overload: event(ofOpenai("The server had an error while processing your request. Sorry about that!", "server_error", "server_is_overloaded")), rate: event(ofOpenai("Rate limit reached for gpt-4.1", "tokens", "rate_limit_exceeded")) },
  anthropic: { overload: event({ type: "error", error: { type: "overloaded_error", message: "Overloaded" }, request_id: "req_7" }, "error"), rate: event({ type: "error", error: { type: "rate_limit_error", message: "This request would exceed your organization's rate limit." } }, "error") },
  gemini: { overload: event(ofGemini(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")), rate: event(ofGemini(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")) },
  responses: { overload: event({ type: "error", sequence_number: 7, code: "server_is_overloaded", message: "The server had an error while processing your request. Sorry about that!", param: null }, "error") },
  deepseek: { overload: event(ofOpenai("The server is overloaded", "service_unavailable_error")) },
  openrouter: { overload: event({ id: "gen-7", object: "chat.completion.chunk", created: 1763856000, model: "openai/gpt-4.1", provider: "OpenAI", error: { code: 502, message: "Upstream error", metadata: { error_type: "provider_overloaded" } }, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: "error" }] }) },
};
