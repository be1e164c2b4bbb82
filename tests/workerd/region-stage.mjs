// A gateway whose providers are called from regions, and what says where an object is.

import { createServer } from "node:http";
import { QUIET, startStage } from "./stage.mjs";

const HERE = "SJC US";

/**
 * Starts what an object asks where it is. `places` are the next answers ("HKG HK"), or null for one that never
 * comes; then it answers `HERE`.
 */
async function startTrace(places) {
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    const place = places.length > 0 ? places.shift() : HERE;
    if (place === null) return;
    const [colo, country] = place.split(" ");
    response.end(`fl=1f1\nh=127.0.0.1\nip=::1\ncolo=${colo}\nloc=${country}\ntls=off\n`);
  });
  // A pooled connection that it closes by age would look like a place that nobody says.
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/cdn-cgi/trace`,
    asked: () => asked,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * Starts it. `rows` makes the providers from the fake: their names, and the keys of their rows. `places` are
 * where objects are, in the order in which they ask.
 */
export async function startRegionStage({ rows, places = [], more = "", ...rest }) {
  const trace = await startTrace(places);
  const config = (fake) => {
    const row = ([name, keys]) => `  ${name}: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, ${QUIET}, ${keys.includes("models:") ? keys : `models: "*", ${keys}`} }`;
    return ["providers:", ...Object.entries(rows).map(row), `regions: { trace: "${trace.url}" }`, more, ""].join("\n");
  };
  const stage = await startStage({ config, entry: "production.mjs", ...rest });
  return Object.assign(stage, {
    trace,
    places,
    /** The calls of each object so far, by its name. */
    objects: async () => (await stage.gateway.control()).regions.calls,
    async stopAll() {
      await stage.stop();
      await trace.stop();
    },
  });
}
