//! The names of attributes. Those of OpenTelemetry's conventions for generative AI are still in development
//! and move, so no other file spells them.

/// The version of the conventions that the names below follow, as `schema_url` states it. The source is the
/// repository `open-telemetry/semantic-conventions-genai`, `model/gen-ai/spans.yaml`, at commit 002c8a6e.
/// Later commits of this version rename `CACHE_WRITE_TOKENS` to `gen_ai.usage.cache_write.input_tokens`.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev";

/// What the model does: `chat`, `text_completion`, `embeddings`.
pub const OPERATION: &str = "gen_ai.operation.name";
/// The provider, by the conventions' name for it.
pub const PROVIDER: &str = "gen_ai.provider.name";
/// The model called.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// Whether a stream was asked for. Set only if one was.
pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
/// The model that the provider says it used.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// From the call to the first byte of the response, in seconds. Only of streams.
pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// All tokens of the prompt, cached ones included.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens of the response, reasoning included.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Tokens of the prompt that were read from the provider's cache.
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// Tokens of the prompt that were written to the provider's cache.
pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// Tokens of the response that were reasoning.
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";

/// The name of the service, of the resource.
pub const SERVICE_NAME: &str = "service.name";
/// Its version.
pub const SERVICE_VERSION: &str = "service.version";
/// The id of the isolate.
pub const SERVICE_INSTANCE: &str = "service.instance.id";

/// What went wrong: a class of failures, or a status.
pub const ERROR_TYPE: &str = "error.type";
/// The provider's host name.
pub const SERVER_ADDRESS: &str = "server.address";
/// The provider's port.
pub const SERVER_PORT: &str = "server.port";
/// The request's method.
pub const HTTP_METHOD: &str = "http.request.method";
/// The pattern of the request's path.
pub const HTTP_ROUTE: &str = "http.route";
/// The status of the response.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// The request's path.
pub const URL_PATH: &str = "url.path";
/// The request's scheme.
pub const URL_SCHEME: &str = "url.scheme";

/// The id of the request that its client sees.
pub const REQUEST_ID: &str = "llm_bridge.request_id";
/// The id of the caller's key.
pub const KEY_ID: &str = "llm_bridge.key_id";
/// The model or route, as the caller named it.
pub const ROUTE: &str = "llm_bridge.route";
/// How the request ended, as in receipts.
pub const OUTCOME: &str = "llm_bridge.outcome";
/// The cost of all attempts, in dollars. The conventions have no attribute for it.
pub const COST: &str = "llm_bridge.cost_dollars";
/// Whether tokens or cost are an estimate. Set only if they are.
pub const ESTIMATED: &str = "llm_bridge.estimated";
/// The part of the request's time in which no provider was being called, in seconds.
pub const GATEWAY_TIME: &str = "llm_bridge.gateway_time";
/// The provider, by its name in the configuration.
pub const CONFIGURED_PROVIDER: &str = "llm_bridge.provider";
/// The place of an attempt among those of its request, counted from 1.
pub const ATTEMPT: &str = "llm_bridge.attempt";
/// The beginning of the names of declared tags.
pub const TAG_PREFIX: &str = "llm_bridge.tag.";
