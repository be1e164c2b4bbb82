// The static files of the dashboard: their types, headers and tags. Cloudflare's assets do this there.

const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml" };
const PATH = /^\/(?:ui\/[\w-]+(?:\.[\w-]+)*\.(?:js|css|svg))?$/;
// As scripts/build-page.mjs.
const OFF = /^dashboard: false[ \t]*(#.*)?\r?$/m;

let isServed = false;
/** By path; they do not change while the process runs. */
const files = new Map();
let common;

/** Tells whether the configuration wants the dashboard. */
export function setConfiguration(text) {
  isServed = !OFF.test(text);
}

/** The headers of all files, from `_headers`. */
async function commonHeaders(assets) {
  const text = await read(assets, "/_headers");
  const lines = (text ? new TextDecoder().decode(text) : "").split("\n").filter((line) => /^\s+[\w-]+:/.test(line));
  const headers = lines.map((line) => line.trim().split(/:\s*(.*)/s, 2));
  return [...headers.filter(([name]) => name.toLowerCase() !== "cache-control"), ["cache-control", "no-cache"]];
}

async function read(assets, path) {
  const response = await assets.fetch(`http://assets${path}`);
  const bytes = await response.arrayBuffer();
  return response.ok ? bytes : null;
}

async function load(assets, path) {
  const name = path === "/" ? "/index.html" : path;
  const bytes = await read(assets, name);
  if (!bytes) return null;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  common ??= await commonHeaders(assets);
  return { bytes, etag: `"${digest.slice(0, 32)}"`, type: TYPES[name.split(".").at(-1)] };
}

/** The response with a file of the dashboard; `null` if the path is none. */
export async function staticFile(request, path, assets) {
  if (!isServed || !PATH.test(path) || (request.method !== "GET" && request.method !== "HEAD")) return null;
  if (!files.has(path)) {
    const file = await load(assets, path);
    if (!file) return null;
    files.set(path, file);
  }
  const { bytes, etag, type } = files.get(path);
  const headers = new Headers(common);
  headers.set("etag", etag);
  const known = (request.headers.get("if-none-match") ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (known.includes(etag) || known.includes("*")) return new Response(null, { status: 304, headers });
  headers.set("content-type", type);
  headers.set("content-length", bytes.byteLength);
  return new Response(request.method === "HEAD" ? null : bytes, { headers });
}
