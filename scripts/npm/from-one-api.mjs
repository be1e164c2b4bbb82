// Reads the channels of One API (or New API, which has the same): what `GET /api/channel/` responds, or a list of them.

import { Mistake } from "../serve/options.mjs";
import { Moving, variableName } from "./moving.mjs";

/** By a channel's type: a name, the adapter, the address, and what is added to a channel's own address. */
const TYPES = {
  1: ["openai", "openai", "https://api.openai.com", "/v1"],
  5: ["openai-sb", "openai", "https://api.openai-sb.com", "/v1"],
  7: ["ohmygpt", "openai", "https://api.ohmygpt.com", "/v1"],
  8: ["custom", "openai", null, "/v1"],
  14: ["anthropic", "anthropic", "https://api.anthropic.com", "/v1"],
  16: ["zhipu", "openai", "https://open.bigmodel.cn", "/api/paas/v4"],
  17: ["dashscope", "openai", "https://dashscope.aliyuncs.com", "/compatible-mode/v1"],
  20: ["openrouter", "openai", "https://openrouter.ai/api", "/v1"],
  24: ["gemini", "gemini", "https://generativelanguage.googleapis.com", "/v1beta"],
  25: ["moonshot", "openai", "https://api.moonshot.cn", "/v1"],
  26: ["baichuan", "openai", "https://api.baichuan-ai.com", "/v1"],
  28: ["mistral", "openai", "https://api.mistral.ai", "/v1"],
  29: ["groq", "openai", "https://api.groq.com/openai", "/v1"],
  30: ["ollama", "openai", "http://localhost:11434", "/v1"],
  31: ["lingyiwanwu", "openai", "https://api.lingyiwanwu.com", "/v1"],
  32: ["stepfun", "openai", "https://api.stepfun.com", "/v1"],
  36: ["deepseek", "openai", "https://api.deepseek.com", "/v1"],
  39: ["together", "openai", "https://api.together.xyz", "/v1"],
  40: ["doubao", "openai", "https://ark.cn-beijing.volces.com", "/api/v3"],
  41: ["novita", "openai", "https://api.novita.ai/v3/openai", ""],
};
const KEYLESS = 30;
const ENABLED = 1;

export function fromOneApi(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch (fault) {
    throw new Mistake(`This is no JSON: ${fault.message}`);
  }
  const channels = [file, file?.data, file?.data?.items].find(Array.isArray);
  if (!channels) throw new Mistake("This has no list of channels: save what GET /api/channel/ responds.");
  const moving = new Moving();
  channels.forEach((row, index) => channel(moving, row ?? {}, `channel ${row?.name || (row?.id ?? index)}`));
  return moving;
}

function channel(moving, row, place) {
  const type = Object.hasOwn(TYPES, row.type) ? TYPES[row.type] : null;
  if (row.status !== undefined && row.status !== ENABLED) return moving.note(place, "it is disabled, and not carried over");
  if (!type) return moving.note(place, `channels of type ${row.type} are not carried over`);
  const [kind, adapter, address, suffix] = type;
  const own = row.base_url?.replace(/\/+$/, "");
  if (!own && !address) return moving.note(place, "it has no base_url");
  const base_url = `${own || address}${suffix}`;
  const wish = row.name || kind;
  const keys = String(row.key ?? "").split("\n").map((key) => key.trim()).filter(Boolean);
  // The API leaves keys out.
  const source = row.type === KEYLESS ? {} : keys.length ? { key: keys.join(",") } : { variable: variableName(/^[\x20-\x7e]+$/.test(wish) ? wish : `${kind}_${row.id ?? ""}`) };
  const provider = moving.provider(/^[\x20-\x7e]+$/.test(wish) ? wish : kind, { adapter, base_url, ...source });
  const mapping = readMapping(moving, row.model_mapping, place);
  for (const name of String(row.models ?? "").split(",").map((model) => model.trim()).filter(Boolean)) {
    const model = mapping[name] ?? name;
    moving.model(provider, model, {}, place);
    moving.name(name, { provider, model, weight: row.weight || 1, rank: -(row.priority ?? 0) });
  }
  if (row.group && row.group !== "default") moving.note(place, `its group ${row.group} is not carried over: keys have lists of models instead`);
  for (const field of ["other", "config", "system_prompt", "setting", "param_override", "header_override", "status_code_mapping"]) if (row[field] && row[field] !== "{}") moving.note(place, `its ${field} is not carried over`);
}

function readMapping(moving, text, place) {
  if (!text) return {};
  try {
    const mapping = JSON.parse(text);
    return Object.fromEntries(Object.entries(mapping).filter(([, to]) => typeof to === "string"));
  } catch {
    moving.note(place, "its model_mapping is no JSON, and not carried over");
    return {};
  }
}
