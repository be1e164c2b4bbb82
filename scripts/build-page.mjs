// Builds the dashboard: bundles public/src and public/style into the folder of static files, beside the
// vocabularies. If the configuration says `dashboard: false`, removes it from there instead.
//
// usage: node scripts/build-page.mjs CONFIG OUTPUT

import { build } from "esbuild";
import { cp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("../public/", import.meta.url));
// As src/config/dashboard.rs demands it: a faulty spelling stops the check of the configuration.
const OFF = /^dashboard: false[ \t]*(#.*)?\r?$/m;

const [config, output] = process.argv.slice(2);
const [page, headers, ui] = ["index.html", "_headers", "ui"].map((name) => join(output, name));

await Promise.all([page, headers, ui].map((path) => rm(path, { recursive: true, force: true })));
if (!OFF.test(await readFile(config, "utf8"))) {
  await build({
    entryPoints: { app: join(SOURCES, "src/main.jsx"), style: join(SOURCES, "style/app.css") },
    entryNames: "[name]",
    outdir: ui,
    bundle: true,
    minify: true,
    format: "esm",
    target: ["chrome111", "firefox114", "safari16.4"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    logLevel: "warning",
  });
  await cp(join(SOURCES, "icon.svg"), join(ui, "icon.svg"));
  await cp(join(SOURCES, "index.html"), page);
  await cp(join(SOURCES, "_headers"), headers);
}
