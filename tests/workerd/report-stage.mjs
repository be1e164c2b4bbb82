// A gateway whose operations object is given batches of requests, for the tests of reports.

import { startGateway, STILL } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";

export const DAY = 86_400_000;
export const QUARTER = 900_000;
/** After this time the object folds, however few batches wait. */
export const FOLD = 6 * 3_600_000 + 1;
export const config = (reporting = "{}") => `
providers: { demo: { adapter: echo, models: { echo: {} } } }
reporting: ${reporting}
`;

/** A gateway whose operations object can be fed with batches. */
export const startFed = async ({ reporting, disk } = {}) => {
  const gateway = await startGateway({ config: config(reporting), bindings: OFFICE, disk, entry: "production.mjs" });
  const now = (await gateway.control({ speed: STILL })).now;
  return { gateway, now, office: new Office(gateway.url), feed: (...feed) => gateway.control({ feed }), stop: () => gateway.stop() };
};

let made = 0;

/** A batch of requests, each with what is special about it. */
export const batch = (requests, more = {}) => ({ id: ++made, summaries: requests.map(request), ...more });
const request = ({ at, ...special }) => ({
  at,
  started: at - 900,
  duration: 900,
  ttft: 300,
  gateway_time: 2,
  request_id: `r-${++made}`,
  key_id: "vk_a",
  provider: "p",
  model: "m",
  route: "p/m",
  status: 200,
  outcome: "complete",
  tokens: { fresh: 10, cache_read: 0, cache_write: 0, output: 5, reasoning: 0 },
  cost: 1_000,
  attempts: [{ provider: "p", model: "m", started: at - 890, ended: at }],
  stream: false,
  ...special,
});
export const many = (count, special) => Array.from({ length: count }, (_, n) => special(n));

// The days around now: a gateway's clock that was set forward may show another day, and a restart sets it back.
export const LAST_DAY = new Date(Date.now() + 10 * DAY).toISOString().slice(0, 10);
export const report = (office, query = "") => office.order("GET", `/reports?resolution=total${query.includes("&to=") ? "" : `&to=${LAST_DAY}`}${query}`);
export const total = async (office, query) => (await report(office, query)).totals.requests;

/** All requests of a list, page by page. */
export async function list(office, query, limit = 1000) {
  const all = [];
  for (let before = ""; ; ) {
    const page = await office.order("GET", `/requests?limit=${limit}${query}${before}`);
    all.push(...page.data);
    if (!page.has_more) return all;
    before = `&before=${page.next_before}`;
  }
}
