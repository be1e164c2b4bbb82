// Shows from where the calls of each provider leave. URL is the gateway's address; the admin key comes from
// ADMIN_API_KEYS, in the environment or in .dev.vars.
import { existsSync, readFileSync } from "node:fs";

const { URL: address, PORT = "1219", ADMIN_API_KEYS } = process.env;
const url = address || `http://localhost:${PORT}`;

function stop(message) {
  console.error(message);
  process.exit(1);
}

const stored = existsSync(".dev.vars") ? readFileSync(".dev.vars", "utf8").match(/^ADMIN_API_KEYS *= *"?([^"\n]*)"?/m)?.[1] : "";
const key = (ADMIN_API_KEYS || stored || "").split(",")[0].trim();
if (!key) stop("An admin key is needed: set ADMIN_API_KEYS in .dev.vars, or in the environment.");

const answer = await fetch(`${url.replace(/\/$/, "")}/admin/api/egress`, { headers: { authorization: `Bearer ${key}` } }).catch((fault) => stop(`${url} cannot be reached: ${fault.cause?.code ?? fault.message}`));
const text = await answer.text();
if (!answer.ok) stop(`${answer.status}: ${text}`);
const { here, trace, data } = JSON.parse(text);

const named = (place) => (place ? `${place.country} ${place.data_center}` : "not known");
const way = ({ way, binding, region, is_fallback }) =>
  ({ direct: "directly", proxy: "through a proxy", binding: `by the binding ${binding}`, region: is_fallback ? `directly, else from ${region}` : `from ${region}` })[way];
const objects = (row) => row.objects.map(({ number, place, is_reached, is_avoided }) => `${row.region}-${number}: ${is_reached ? named(place) : "not reached"}${is_avoided ? ", avoided" : ""}`).join("; ");

const rows = data.map((row) => [row.model ? `${row.provider}/${row.model}` : row.provider, way(row), named(row.place), objects(row)]);
const lines = [["calls of", "leave", "in", "objects of the region"], ...rows];
const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => line[column].length)));
for (const line of lines) console.log(line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
console.log(`\nThis isolate of the gateway: ${named(here)}. Asked: ${trace ?? "nobody (regions.trace: none)"}.`);
