// Requests of the past for the operations object, as isolates report them: what a month of traffic leaves.

const DAY = 86_400_000;
let made = 0;

/** A batch of requests, each with what is special about it. */
export const batch = (requests) => ({ id: ++made, summaries: requests.map(request) });

function request({ at, ...special }) {
  const took = special.duration ?? 900;
  const [provider, model] = [special.provider ?? "openai", special.model ?? "gpt-4o"];
  return {
    at,
    started: at - took,
    duration: took,
    ttft: 300,
    gateway_time: 2,
    request_id: `seed-${++made}`,
    key_id: "vk_team-a",
    provider,
    model,
    route: `${provider}/${model}`,
    status: 200,
    outcome: "complete",
    tokens: { fresh: 1200, cache_read: 300, cache_write: 0, output: 240, reasoning: 0 },
    cost: 5_400_000,
    attempts: [{ provider, model, started: at - took + 2, ended: at }],
    stream: true,
    ...special,
  };
}

/** A small generator of numbers below 1 that is the same in each run. */
function dice(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const MODELS = [["openai", "gpt-4o", 8_000_000], ["openai", "gpt-4.1", 6_000_000], ["anthropic", "claude-sonnet-4-5", 14_000_000], ["groq", "llama-3.3-70b", 700_000], ["own", "unpriced", null]];

/** `count` requests spread over `days` until `now`, of several keys and models; some fail, some say no tokens. */
export function month(now, { count = 3000, days = 30, keys = 12 } = {}) {
  const roll = dice(7);
  return Array.from({ length: count }, (_, n) => {
    const [provider, model, price] = MODELS[Math.floor(roll() ** 1.6 * MODELS.length)];
    const size = 0.2 + roll() * 2;
    // More by day than by night, and growing.
    const share = (n + roll()) / count;
    const at = Math.floor(now - days * DAY * (1 - Math.sqrt(share)) - roll() * 3_600_000) - 1000;
    const fate = roll();
    const common = { at, provider, model, key_id: `vk_team-${String.fromCharCode(97 + Math.floor(roll() ** 2 * keys))}`, ttft: Math.floor(120 + roll() * 900), duration: Math.floor(600 + roll() * 9000), tags: roll() < 0.6 ? [["team", roll() < 0.5 ? "search" : "chat"]] : [] };
    if (fate < 0.04) return { ...common, status: 429, outcome: "upstream_error", class: "rate", ttft: null, tokens: null, cost: 0, attempts: [{ provider, model, started: at - 400, ended: at, class: "rate" }] };
    if (fate < 0.05) return { ...common, status: 200, outcome: "client_closed", tokens: null, cost: price && 0 };
    const tokens = { fresh: Math.floor(1400 * size), cache_read: Math.floor(600 * size), cache_write: 0, output: Math.floor(420 * size), reasoning: 0 };
    return { ...common, tokens, cost: price === null ? null : Math.floor(price * size) };
  });
}

/** Cuts a list into batches. */
export const batches = (requests, size = 500) => Array.from({ length: Math.ceil(requests.length / size) }, (_, n) => batch(requests.slice(n * size, (n + 1) * size)));
