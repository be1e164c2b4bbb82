// Reads the configuration of LiteLLM's proxy.

import { parse } from "yaml";
import { Mistake } from "../serve/options.mjs";
import { Moving } from "./moving.mjs";

/** By the beginning of a model's name: adapter, address, the variable that LiteLLM reads; `null`: it has no fixed one. */
const HOSTS = {
  openai: ["openai", "https://api.openai.com/v1", "OPENAI_API_KEY"],
  anthropic: ["anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"],
  gemini: ["gemini", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"],
  groq: ["openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY"],
  deepseek: ["openai", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"],
  mistral: ["openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"],
  openrouter: ["openai", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"],
  together_ai: ["openai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY"],
  fireworks_ai: ["openai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"],
  xai: ["openai", "https://api.x.ai/v1", "XAI_API_KEY"],
  perplexity: ["openai", "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"],
  cerebras: ["openai", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"],
  nvidia_nim: ["openai", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"],
  moonshot: ["openai", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"],
  ollama: ["openai", "http://localhost:11434/v1", null],
  ollama_chat: ["openai", "http://localhost:11434/v1", null],
  hosted_vllm: ["openai", null, null],
  lm_studio: ["openai", null, null],
  litellm_proxy: ["openai", null, "LITELLM_PROXY_API_KEY"],
};
const WITHOUT_VERSION = new Set(["ollama", "ollama_chat"]);
const PARAMETERS = new Set(["model", "api_base", "api_key", "extra_headers", "timeout", "stream_timeout", "weight", "order", "input_cost_per_token", "output_cost_per_token", "custom_llm_provider", "max_tokens", "temperature", "top_p"]);
const INFO = new Set(["id", "mode", "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "max_tokens", "max_input_tokens", "max_output_tokens", "base_model", "description", "supports_function_calling", "supports_vision"]);
/** Settings that need nothing here: it is so anyway, or it is about LiteLLM's own process. */
const NEEDLESS = new Set(["drop_params", "set_verbose", "json_logs", "telemetry", "modify_params", "allowed_fails", "cooldown_time", "routing_strategy", "retry_after"]);
const VARIABLE = /^os\.environ\/(\w+)$/;

const million = (value) => (value === undefined ? undefined : Number((Number(value) * 1e6).toPrecision(12)));
const defined = (row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined));

/** Text of a file to what is carried over. */
export function fromLitellm(text) {
  let file;
  try {
    file = parse(text);
  } catch (fault) {
    throw new Mistake(`This is no YAML: ${fault.message}`);
  }
  if (!Array.isArray(file?.model_list)) throw new Mistake("This has no model_list, so it is no configuration of LiteLLM's proxy.");
  const moving = new Moving();
  const [litellm, router, general] = ["litellm_settings", "router_settings", "general_settings"].map((name) => file[name] ?? {});
  const timeout = Number(router.timeout ?? litellm.request_timeout) || undefined;
  const retries = router.num_retries ?? litellm.num_retries;
  if (retries !== undefined) moving.attempts = Number(retries) + 1;
  file.model_list.forEach((row, index) => deployment(moving, row ?? {}, `model_list[${index}]`, timeout));
  for (const [place, settings] of [["litellm_settings", litellm], ["router_settings", router]]) others(moving, settings, place);
  if (general.master_key) adminKey(moving, general.master_key);
  for (const name of Object.keys(general)) if (name !== "master_key") moving.note(`general_settings.${name}`, "not carried over");
  for (const [name, value] of Object.entries(file.environment_variables ?? {})) moving.secrets[name] = String(value);
  for (const name of Object.keys(file)) if (!["model_list", "litellm_settings", "router_settings", "general_settings", "environment_variables"].includes(name)) moving.note(name, "not carried over");
  return moving;
}

function adminKey(moving, key) {
  const variable = VARIABLE.exec(key);
  if (variable) moving.note("general_settings.master_key", `set ADMIN_API_KEYS to the value of ${variable[1]}, or to a new key. It opens the admin API; callers need keys of their own`);
  else moving.secrets.ADMIN_API_KEYS = key;
}

function deployment(moving, { model_name: name, litellm_params: params = {}, model_info: info = {}, ...rest }, place, timeout) {
  const full = String(params.model ?? "");
  const slash = full.indexOf("/");
  const prefix = params.custom_llm_provider ?? (slash < 0 ? "openai" : full.slice(0, slash));
  const host = Object.hasOwn(HOSTS, prefix) ? HOSTS[prefix] : null;
  if (!name || !full || !host) return moving.note(place, host ? "it has no model_name or no model" : `${full}: providers of the kind ${prefix} are not carried over`);
  const [adapter, address, fallback] = host;
  const base_url = params.api_base ? withVersion(prefix, params.api_base) : address;
  if (!base_url) return moving.note(place, `${full} has no api_base`);
  for (const field of ["api_base"]) if (VARIABLE.test(params[field] ?? "")) return moving.note(place, `its ${field} is the variable ${VARIABLE.exec(params[field])[1]}; addresses have to stand in the file`);
  const variable = VARIABLE.exec(params.api_key ?? "")?.[1];
  const key = variable || isPlaceholder(params.api_key) ? undefined : params.api_key;
  // A host of one's own is not sent the key of the public one.
  const usual = params.api_base && base_url !== address ? undefined : fallback ?? undefined;
  const provider = moving.provider(prefix, { adapter, base_url, headers: params.extra_headers, timeout, key, variable, fallback: usual });
  const model = params.custom_llm_provider || slash < 0 ? full : full.slice(slash + 1);
  moving.model(provider, model, modelRow(params, info), place);
  if (name.includes("*")) {
    if (model !== "*") moving.note(`${place}.model_name`, `${name}: names with * are not carried over; ${provider}/${model} is there`);
  } else moving.name(String(name), { provider, model, weight: params.weight ?? 1, rank: params.order ?? 0 });
  for (const field of Object.keys(params)) if (!PARAMETERS.has(field)) moving.note(`${place}.litellm_params.${field}`, "not carried over");
  for (const field of Object.keys(info)) if (!INFO.has(field)) moving.note(`${place}.model_info.${field}`, "not carried over");
  for (const field of Object.keys(rest)) moving.note(`${place}.${field}`, "not carried over");
}

/** Keys that are written for hosts that need none. */
const isPlaceholder = (key) => key === undefined || key === null || /^(none|null|empty|dummy|fake|na|n\/a|sk-1234|not-needed)?$/i.test(String(key));

/** LiteLLM adds /v1 for these; elsewhere it stands in the address. */
const withVersion = (prefix, address) => (WITHOUT_VERSION.has(prefix) && !/\/v\d+\/?$/.test(address) ? `${address.replace(/\/$/, "")}/v1` : address);

function modelRow(params, info) {
  const [input, output] = ["input_cost_per_token", "output_cost_per_token"].map((field) => million(params[field] ?? info[field]));
  const cached = million(info.cache_read_input_token_cost);
  const added = defined({ max_tokens: params.max_tokens, temperature: params.temperature, top_p: params.top_p });
  return defined({
    timeout: Number(params.timeout) || undefined,
    price: input !== undefined && output !== undefined ? defined({ input, cached_input: cached, output }) : undefined,
    context: info.max_input_tokens,
    max_output: info.max_output_tokens,
    // What a caller does not say.
    param_config: Object.keys(added).length ? { add_params: added } : undefined,
  });
}

function others(moving, settings, place) {
  for (const [name, value] of Object.entries(settings)) {
    const here = `${place}.${name}`;
    if (name === "fallbacks" || name === "context_window_fallbacks") for (const row of value ?? []) for (const [from, to] of Object.entries(row)) moving.fallBack(from, [to].flat(), here);
    else if (name === "model_group_alias") for (const [alias, to] of Object.entries(value ?? {})) moving.alias(alias, typeof to === "string" ? to : to.model);
    else if (!NEEDLESS.has(name) && !["num_retries", "timeout", "request_timeout"].includes(name)) moving.note(here, "not carried over");
  }
}
