// Renders the figures as tables: for the terminal, and with a description of the method as
// docs/benchmarks.md.

import { availableParallelism } from "node:os";

import { SHAPES } from "./bodies.mjs";
import { METHOD } from "./figures.mjs";
import { median, percentile } from "./rounds.mjs";

const NONE = "–";

const fixed = (digits) => (value) => (value === undefined ? NONE : value.toFixed(digits));
const whole = fixed(0);
const one = fixed(1);
const two = fixed(2);
const times = (value) => (value === undefined ? NONE : `${value.toFixed(2)}×`);
const added = (value) => (value === undefined ? NONE : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`);

const addedWhole = (value) => (value === undefined ? NONE : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(0)}`);

/** A ratio or difference of values that may be missing. */
const over = (value, base) => (value === undefined || base === undefined ? undefined : value / base);
const above = (value, base) => (value === undefined || base === undefined ? undefined : value - base);

/** A Markdown table, aligned for reading as text. */
export function table(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((line) => line[column].length)));
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const fill = (cells) => line(cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))));
  const rule = line(widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)));
  return [fill(head), rule, ...rows.map(fill)].join("\n");
}

/**
 * A table with a row for each system, and the reason for each that failed. `columns` pair a head with a
 * function from system to cell.
 */
function systemsTable({ labels }, samples, columns) {
  const rows = samples.names.map((name) => {
    const fault = samples.fault(name);
    const cells = columns.map(([, cell], index) => (fault ? (index === 0 ? "failed" : NONE) : cell(name)));
    return [labels.get(name), ...cells];
  });
  const faults = samples.names.filter((name) => samples.fault(name)).map((name) => `${labels.get(name)} failed: ${samples.fault(name)}.`);
  return [table(["", ...columns.map(([head]) => head)], rows), ...faults].join("\n\n");
}

const against = (samples, base) => (name) => times(over(samples.median(name, "cpu"), samples.median(base, "cpu")));

// ── One table for each figure
// ────────────────────────────────────────────────────────────────────────────────────────────────

function requestTables(run, figures) {
  return SHAPES.map(({ name, label }) => {
    const samples = figures.get(name);
    return section(`Complete responses, body of ${label}`, [
      systemsTable(run, samples, [
        ["requests/s", (system) => whole(samples.median(system, "rate"))],
        ["CPU µs/request", (system) => whole(samples.median(system, "cpu"))],
        ["× (a)", against(samples, "pass")],
        ["× (b)", against(samples, "edit")],
        ...(name === "small" ? [["× (b′)", against(samples, "guarded")], [`the first ${METHOD.FIRST}, CPU ms`, (system) => whole(samples.median(system, "first"))]] : []),
      ]),
    ]);
  });
}

function instructionTable(run, samples) {
  const rows = [
    ["thousands a request", (name) => whole(samples.median(name, "cpu"))],
    ["× (b)", against(samples, "edit")],
    ["× (b′)", against(samples, "guarded")],
    ["× (b′) with receipts", against(samples, "booked")],
  ];
  return samples.names.length === 0 ? "" : section("Instructions of a complete response, body of 1 KB", [systemsTable(run, samples, rows)]);
}

function tailTable(run, samples) {
  const at = (part) => (name) => two(samples.pooled(name, "times", part));
  const count = (name) => whole(samples.rounds(name, "times").flat().length);
  const columns = [["requests", count], ["p50", at(0.5)], ["p90", at(0.9)], ["p99", at(0.99)], ["p99.9", at(0.999)]];
  return section(`Late responses: systems in turn, each at ${METHOD.RATE} requests/s, 1 KB, in ms`, [systemsTable(run, samples, columns)]);
}

function isolateTable(run, samples) {
  const { tokens, pace } = METHOD.ISOLATE;
  const columns = [["ms a stream", (name) => two(samples.median(name, "warm"))], ["ms, the first of a process", (name) => two(samples.median(name, "cold"))]];
  return section(`CPU in the isolate: a stream of ${tokens} tokens, one each ${pace} ms`, [systemsTable(run, samples, columns)]);
}

function leavingTable(run, samples) {
  const at = (part) => (name) => one(percentile(samples.rounds(name, "ms"), part));
  const columns = [["p50", at(0.5)], ["p90", at(0.9)], ["longest", at(1)]];
  return section("Milliseconds until a provider is let go after its client has left", [systemsTable(run, samples, columns)]);
}

function latencyTable(run, samples) {
  const pair = (head, part) => {
    const at = (name) => samples.pooled(name, "times", part);
    return [[head, (name) => two(at(name))], [`added ${head}`, (name) => (name === "direct" ? NONE : added(above(at(name), at("direct"))))]];
  };
  return section(`Latency at ${METHOD.RATE} requests/s, 1 KB, in ms`, [systemsTable(run, samples, [...pair("p50", 0.5), ...pair("p99", 0.99)])]);
}

function streamTables(run, figures) {
  const asked = (variant) => (variant === "asked" ? "asked for by the caller" : "not asked for");
  return [...figures].map(([variant, samples]) => {
    const { number, chunks, pace } = variant === "slow" ? METHOD.SLOW : METHOD.STREAMS;
    const cpu = (name) => (name === "direct" ? NONE : one(samples.median(name, "cpu")));
    return section(`${number} streams × ${chunks} chunks × ${pace} ms, usage ${asked(variant)}`, [
      systemsTable(run, samples, [
        ["CPU µs/chunk", cpu],
        ["× (a)", (name) => (name === "direct" ? NONE : against(samples, "pass")(name))],
        ["× (c)", (name) => (name === "direct" ? NONE : against(samples, "transform")(name))],
        ["first byte p50 ms", (name) => two(samples.median(name, "firstByte"))],
        ["vs (a)", (name) => added(above(samples.median(name, "firstByte"), samples.median("pass", "firstByte")))],
        ["chunk delay p50 ms", (name) => two(samples.median(name, "delay"))],
        ["p99 ms", (name) => two(samples.median(name, "late"))],
        [`arrivals of ${chunks}`, (name) => whole(samples.median(name, "arrivals"))],
        ["usage seen", (name) => (samples.rounds(name, "usage").every(Boolean) ? "yes" : "no")],
      ]),
    ]);
  });
}

function responsesTable(run, samples) {
  const { number, chunks, pace } = METHOD.STREAMS;
  return section(`Passed through: ${number} streams × ${chunks} chunks × ${pace} ms`, [
    systemsTable(run, samples, [
      ["CPU µs/chunk", (name) => one(samples.median(name, "cpu"))],
      ["× a chat", against(samples, "chats")],
      ["first byte p50 ms", (name) => two(samples.median(name, "firstByte"))],
      ["chunk delay p50 ms", (name) => two(samples.median(name, "delay"))],
    ]),
  ]);
}

function generatedTable(run, samples) {
  const { number, chunks, pace } = METHOD.GENERATED;
  return section(`${number} generated streams × ${chunks} tokens × ${pace} ms`, [
    systemsTable(run, samples, [
      ["CPU ms/stream-second", (name) => one(samples.median(name, "cpu"))],
      ["× (c)", against(samples, "transform")],
    ]),
  ]);
}

function translationTables(run, figures) {
  const { number, chunks, pace } = METHOD.STREAMS;
  return figures.map(({ pair, shape, samples }) => {
    const column = (head, key, format) => [head, (name) => format(samples.median(name, key))];
    const ratio = ["× (c′)", against(samples, "json")];
    if (shape) {
      const columns = [column("requests/s", "rate", whole), column("CPU µs/request", "cpu", whole), ratio];
      return section(`Translated: ${pair.label}, body of ${shape.label}`, [systemsTable(run, samples, columns)]);
    }
    return section(`Translated: ${pair.label}, ${number} streams × ${chunks} chunks × ${pace} ms`, [
      systemsTable(run, samples, [
        column("CPU µs/chunk", "cpu", one),
        ratio,
        column("first byte p50 ms", "firstByte", two),
        column("chunk delay p50 ms", "delay", two),
        column("p99 ms", "late", two),
        column(`arrivals of ${chunks}`, "arrivals", whole),
      ]),
    ]);
  });
}

function socketTables(run, { samples, idle }) {
  const { number, chunks, pace } = METHOD.STREAMS;
  const at = (part) => (name) => samples.pooled(name, "delays", part);
  const delay = (head, part) => [[`${head} ms`, (name) => two(at(part)(name))], [`added ${head}`, (name) => (name === "events" ? NONE : added(above(at(part)(name), at(part)("events"))))]];
  const cells = [idle.rest, idle.opened, idle.each, idle.asleep, idle.eachAsleep].map((value, index) => (index % 2 === 0 && index > 0 ? one(value) : whole(value)));
  return section(`Frames compared with events: ${number} streams × ${chunks} chunks × ${pace} ms`, [
    systemsTable(run, samples, [
      ["CPU µs/chunk", (name) => one(samples.median(name, "cpu"))],
      ["× events", against(samples, "events")],
      ...delay("chunk delay p50", 0.5),
      ...delay("p99", 0.99),
    ]),
    table(["MB (RSS) of a fresh process", "at rest", `${METHOD.SOCKETS.idle.toLocaleString("en")} idle WebSockets`, "KB each", "asleep", "KB each, asleep"], [["(d) LLM Bridge", ...cells]]),
  ]);
}

function accountingTable(run, { samples, counts }) {
  const plus = (name, value, format) => (name === "unkept" ? NONE : format(value(name) === undefined ? undefined : above(value(name), value("unkept"))));
  const cpu = (name) => samples.median(name, "cpu");
  const late = (part) => (name) => samples.pooled(name, "times", part);
  const latency = (head, part) => [[head, (name) => two(late(part)(name))], [`added ${head}`, (name) => plus(name, late(part), added)]];
  const { CALLERS, CROWD, RATE } = METHOD;
  return section(`Accounting: what the account of a key costs, 1 KB, latency in ms at ${RATE} requests/s`, [
    systemsTable(run, samples, [
      [`requests/s, ${CALLERS} callers`, (name) => whole(samples.median(name, "rate"))],
      [`${CROWD} callers`, (name) => whole(samples.median(name, "crowd"))],
      ["CPU µs/request", (name) => whole(cpu(name))],
      ["added", (name) => plus(name, cpu, addedWhole)],
      ...latency("p50", 0.5),
      ...latency("p99", 0.99),
      ["calls/request", (name) => two(counts.get(name)?.calls)],
      ["rows/request", (name) => two(counts.get(name)?.written)],
    ]),
  ]);
}

function watchingTable(run, samples) {
  return section("What it costs to watch: complete responses, body of 1 KB", [
    systemsTable(run, samples, [
      ["requests/s", (system) => whole(samples.median(system, "rate"))],
      ["CPU µs/request", (system) => whole(samples.median(system, "cpu"))],
      ["× without", against(samples, "unreported")],
    ]),
  ]);
}

function proxyTable(run, { requests, streams }) {
  const { number, chunks, pace } = METHOD.STREAMS;
  return section(`By what is between the gateway and the provider: requests of 1 KB; ${number} streams × ${chunks} chunks × ${pace} ms`, [
    systemsTable(run, requests, [
      ["requests/s", (name) => whole(requests.median(name, "rate"))],
      ["CPU µs/request", (name) => whole(requests.median(name, "cpu"))],
      ["CPU µs/chunk", (name) => one(streams.median(name, "cpu"))],
      ["first byte p50 ms", (name) => two(streams.median(name, "firstByte"))],
      ["chunk delay p50 ms", (name) => two(streams.median(name, "delay"))],
    ]),
  ]);
}

function regionTable(run, { requests, streams }) {
  const { number, chunks, pace } = METHOD.STREAMS;
  return section(`From a region: complete responses, body of 1 KB; ${number} streams × ${chunks} chunks × ${pace} ms`, [
    systemsTable(run, requests, [
      ["requests/s", (system) => whole(requests.median(system, "rate"))],
      ["CPU µs/request", (system) => whole(requests.median(system, "cpu"))],
      ["× direct", against(requests, "gateway")],
      ["CPU µs/chunk", (system) => one(streams.median(system, "cpu"))],
      ["× direct", against(streams, "gateway")],
      ["first byte p50 ms", (system) => two(streams.median(system, "firstByte"))],
      ["chunk delay p50 ms", (system) => two(streams.median(system, "delay"))],
    ]),
  ]);
}

function sizeTable(_, { raw, gzip }) {
  return section("Size of the wasm", [table(["", "raw KB", "gzip KB"], [["build/index_bg.wasm", whole(raw / 1000), whole(gzip / 1000)]])]);
}

function coldTable(run, samples) {
  const rows = [["ms", (name) => whole(samples.median(name, "ms"))], ["starts", (name) => String(samples.rounds(name, "ms").length)]];
  return section("From the start of the process to the first response", [systemsTable(run, samples, rows)]);
}

function memoryTable(run, samples) {
  const column = (head, key, format = whole) => [head, (name) => format(samples.median(name, key))];
  const many = METHOD.MANY.toLocaleString("en");
  return section(`Memory (RSS, MB) of a fresh process with ${many} streams`, [
    systemsTable(run, samples, [
      column("at rest", "rest"),
      column(`${many} open`, "opened"),
      column("KB a stream", "each", one),
      column("after their ends", "ended"),
      column(`after ${many} aborted`, "aborted"),
      column("provider responses still running 1 s later", "busy"),
      ["s until none is running", (name) => lasted(samples.rounds(name, "gone")[0])],
      column("connections open at the end", "still"),
    ]),
  ]);
}

const lasted = (ms) => (ms === undefined ? `> ${METHOD.PATIENCE_MS / 1000}` : one(ms / 1000));

const section = (title, parts) => [`### ${title}`, ...parts].join("\n\n");

const TABLES = {
  requests: requestTables,
  instructions: instructionTable,
  latency: latencyTable,
  tail: tailTable,
  streams: streamTables,
  isolate: isolateTable,
  leaving: leavingTable,
  generated: generatedTable,
  translation: translationTables,
  sockets: socketTables,
  accounting: accountingTable,
  watching: watchingTable,
  proxies: proxyTable,
  region: regionTable,
  responses: responsesTable,
  size: sizeTable,
  cold: coldTable,
  memory: memoryTable,
};

// ── Targets
// ────────────────────────────────────────────────────────────────────────────────────────────────────

const ms = (value) => (value === undefined ? NONE : `${value.toFixed(1)} ms`);
const addedMs = (value) => (value === undefined ? NONE : `${added(value)} ms`);

/** A target on the ratio of CPU, or of something else, to that of another system. */
const ratio = (figure, samples, base, most, name, key = "cpu") => ({
  figure,
  most,
  name,
  format: times,
  of: (name) => compare(over, samples, name, base, key),
});
/** A target on milliseconds more than another system's. */
const more = (figure, samples, base, most, name) => ({
  figure,
  most,
  name,
  format: addedMs,
  of: (name) => compare(above, samples, name, base, "firstByte"),
});

/** A target on a value of its own. */
const at = (figure, samples, key, most, name) => ({
  figure,
  most,
  name,
  format: ms,
  of: (name) => ({ value: samples.median(name, key), rounds: samples.rounds(name, key) }),
});
/** A target on the slowest responses: milliseconds more than another system's. */
const late = (figure, samples, base, most) => ({
  figure,
  most,
  format: addedMs,
  of: (name) => ({ value: above(samples.pooled(name, "times", 0.99), samples.pooled(base, "times", 0.99)), rounds: [] }),
});

const LEFT = { native: "native stream", checked: "checked stream", quiet: "stream in a pause", before: "before its response" };
/** A target on the longest time until a provider is let go. */
const longest = (samples, name) => ({
  figure: `until a provider is let go, ${LEFT[name]}, longest`,
  most: 200,
  name,
  format: ms,
  of: (name) => ({ value: percentile(samples.rounds(name, "ms"), 1), rounds: samples.rounds(name, "ms") }),
});

/** Compares the medians, and each round by itself: the width of the noise. */
function compare(how, samples, name, base, key) {
  const [values, bases] = [samples.rounds(name, key), samples.rounds(base, key)];
  const rounds = values.map((value, round) => how(value, bases[round])).filter((value) => value !== undefined);
  return { value: how(median(values), median(bases)), rounds };
}

/**
 * Targets by streams: whether their usage is asked for, and what the gateway does where it is not. Events at 25 ms leave one by
 * one: they shall cost no more than they did before fast ones were read three at a time.
 */
const STREAM_TARGETS = [
  ["asked", "gateway", "usage asked for", 1.4],
  ["unasked", "gateway", "usage not asked for and hidden", 2.5],
  ["unasked", "shown", "usage not asked for and shown", 1.4],
  ["slow", "gateway", "usage not asked for and hidden, one each 25 ms", 4.1],
];

function targets(results) {
  const { requests, instructions, tail, streams, isolate, leaving, generated, translation = [], watching, responses, memory } = results;
  const rows = [];
  if (requests) {
    rows.push(ratio("CPU per request, 1 KB, without receipts, vs (b′)", requests.get("small"), "guarded", 1.12, "alone"));
    rows.push(ratio("CPU per request, 1 KB, with receipts, vs (b′)", requests.get("small"), "booked", 1.15));
    rows.push(ratio("CPU per request, 100 KB in one string, vs (b)", requests.get("text"), "edit", 1.3));
    rows.push(ratio("CPU per request, 100 KB in 120 messages, vs (b)", requests.get("agent"), "edit", 0.95));
  }
  if (instructions) {
    rows.push(ratio("instructions per request, 1 KB, without receipts, vs (b′)", instructions, "guarded", 1.12, "alone"));
    rows.push(ratio("instructions per request, 1 KB, with receipts, vs (b′)", instructions, "booked", 1.15));
  }
  if (tail) rows.push(late(`p99 at ${METHOD.RATE} requests/s, vs (b)`, tail, "edit", 2));
  for (const [variant, name, when, most] of streams ? STREAM_TARGETS : []) {
    const samples = streams.get(variant);
    rows.push(ratio(`CPU per chunk, ${when}, vs (a)`, samples, "pass", most, name));
    rows.push(ratio(`CPU per chunk, ${when}, vs (c)`, samples, "transform", 0.6, name));
    rows.push(more(`first byte p50, ${when}, vs (a)`, samples, "pass", 1, name));
  }
  if (isolate) rows.push(at(`CPU in the isolate, ${METHOD.ISOLATE.tokens} tokens with plan: free`, isolate, "warm", 8, "free"));
  for (const name of leaving?.names ?? []) rows.push(longest(leaving, name));
  if (generated) rows.push(ratio("CPU per stream-second, generated streams, vs (c)", generated, "transform", 0.5));
  for (const { pair, shape, samples } of translation) {
    const what = shape ? `CPU per request, ${shape.label}` : "CPU per chunk";
    rows.push(ratio(`${what}, ${pair.label}, vs (c′)`, samples, "json", shape ? 1.1 : 1));
  }
  if (memory) rows.push(ratio("KB per open stream, vs tee and identity in JavaScript", memory, "tapped", 1.05, "gateway", "each"));
  if (responses) rows.push(ratio("CPU per chunk of a passed response, vs a chat's", responses, "chats", 1.05, "items"));
  if (watching) rows.push(ratio("CPU per request with reports and metrics, vs without", watching, "unreported", 1.05));
  return rows;
}

function targetTable(run) {
  const rows = targets(run.results).map(({ figure, most, name = "gateway", format, of }) => {
    const { value, rounds } = of(name);
    const range = rounds.length === 0 ? NONE : `${format(percentile(rounds, 0.25))} … ${format(percentile(rounds, 0.75))}`;
    const verdict = value === undefined ? "no figure" : value <= most ? "reached" : "missed";
    return [figure, format(most), format(value), verdict, range, format(name === "gateway" ? of("info").value : undefined)];
  });
  const head = ["", "at most", "LLM Bridge", "verdict", "middle half", "at level info"];
  return rows.length === 0 ? "" : section("Targets", [table(head, rows)]);
}

/** All tables of a run. */
export function tables(run) {
  const parts = Object.entries(run.results).flatMap(([name, result]) => TABLES[name](run, result));
  const busy = `Other programs had ${Math.round(run.busy * 100)} % of the machine's CPU during the run.`;
  return [targetTable(run), ...parts, [...run.notes, busy].join("\n")].filter(Boolean).join("\n\n");
}

// ── The front pages
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const SHOWN = ["gateway", "portkey", "litellm"];
const FIGURES_BLOCK = /(<!-- figures: [^\n]*\n(?:\|[^\n]*\n){2})([^]*?)(?=<!-- end of figures -->)/;

/** A front page with the figures of this run: rows keep their labels, cells are replaced. */
export function frontPage(page, { requests, streams, latency }) {
  const cpu = (samples, format) => (name) => `${format(samples.median(name, "cpu"))} µs`;
  const late = (name) => latency.pooled(name, "times", 0.5);
  const cells = [cpu(requests.get("small"), whole), cpu(streams.get("asked"), one), (name) => `${two(above(late(name), late("direct")))} ms`];
  const row = (line, index) => [line.split(" | ")[0], ...SHOWN.map(cells[index])].join(" | ").concat(" |\n");
  return page.replace(FIGURES_BLOCK, (_, head, body) => head + body.trimEnd().split("\n").map(row).join(""));
}

// ── The document
// ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function document(run) {
  const { number, chunks, pace, spacing } = METHOD.STREAMS;
  return `# Benchmarks

Written by \`${run.command}\` on ${new Date().toISOString().slice(0, 10)}, in ${Math.ceil(run.minutes)} minutes on ${availableParallelism()} cores:
${run.versions.workerd}, Node.js ${run.versions.node.slice(1)}, ${run.versions.rust ?? "Rust unknown"}. Do not edit: run it again.

\`make bench ROUNDS=3 SECONDS=4 PEERS=no\` sets how often and how long each figure is measured, \`ONLY=streams,cold\` measures only some
(${Object.keys(TABLES).join(", ")}), \`INSTRUCTIONS=yes\` counts instructions, too,
and \`PROFILE=yes\` shows where the gateway's CPU time goes.

**Compare rows of one run, never runs or machines.** All of them include the kernel's share of the CPU and the machine's noise.

${tables(run).replaceAll("### ", "## ")}

## How it is measured

- Everything runs on loopback, with one fake provider that responds at once and streams at an exact pace. The Workers run under
  \`workerd serve\` with the deployment's compatibility date and flags, each in a process of its own; the other gateways as their
  documentation says. (a), (b) and (c) do not authenticate, account or log. (b′) compares the caller's key in constant time, reads the
  usage, aborts a call that takes too long or whose client has left, and finishes its record after the response; with receipts, they are
  gathered for 100 ms and stored by a Durable Object, a row for each batch. LLM Bridge authenticates, reads the usage and stores each receipt in the
  account of the caller's key, a Durable Object in the same process, whose database is in memory (\`/dev/shm\`) if the machine supports it.
- Each figure measures every system in turn, round after round, in alternating direction and from a different start, after a
  warm-up: ${METHOD.WARM.requests} requests (${METHOD.WARM.long} of 100 KB, fewer if they take longer than ${METHOD.WARM.seconds} s) or at least ${METHOD.WARM.streams * METHOD.STREAMS.number} short streams. Until then V8 compiles
  what is run often, in threads of its own, whose CPU is counted, too. The column of the first ${METHOD.FIRST} requests of a process shows what that costs. There are
  ${run.rounds} rounds (for requests ${METHOD.CUTS} times as many, each shorter by that factor); the other gateways take part in every third. The tables show
  medians over the rounds; a ratio divides two medians of one figure. "Middle half" is the range from the first to the third quartile of the
  ratios within each round: the width of the noise.
- CPU is the time of the system's own processes in user and kernel mode, as reported by /proc: for complete responses while 8 callers send as
  fast as responses come, ${run.seconds} s in each round, and until ${METHOD.GATHERED_MS / 1000} s later, when the receipts are stored; for streams until ${METHOD.SETTLE_MS / 1000} s after the last one, to include what is stored then.
- Latency is taken at ${METHOD.RATE} requests/s, independently of the responses; its percentiles are over all rounds.
- Instructions: what the process executes in user mode, all threads, counted by a plugin of QEMU's user-mode emulation over
  ${METHOD.INSTRUCTIONS.REQUESTS * run.rounds} requests of ${METHOD.CALLERS} callers, after ${METHOD.INSTRUCTIONS.WARM} requests. Other load of the machine does not change them. The emulation is slow,
  so receipts share a batch with fewer others than at full speed: rows with receipts are overstated, of both systems.
- Late responses: the systems get requests at the same time, in turn. The percentiles are over all requests.
- Isolate: V8's profiler, asked for a sample each ${METHOD.ISOLATE.INTERVAL_US} µs, takes one only while the isolate is entered. "The first of a process"
  also pays for what an isolate does once. ${METHOD.ISOLATE.number} streams run at the same time, after many short ones.
- Let go: from the client's closing of its connection to the provider's loss of its own, ${METHOD.LEAVING.TIMES} clients one after the other. workerd learns of
  a connection that was closed when it next writes to it, and at once of one that was reset, as the last two rows do.
- Streams: ${number} of them, opened ${spacing} ms apart, ${chunks} chunks of about 190 bytes, one each ${pace} ms. The provider's role-only chunk and its
  first word come together. Each word carries the time at which it was sent: "chunk delay" is the time from there to its arrival, and
  "arrivals" is how often something with a word in it came. "Usage seen" is whether the caller saw the usage chunk. A system that needs
  more than ${Math.floor((pace * 1000) / number)} µs a chunk on one core can't keep up: its delays are those of a queue.
- Generated streams are LLM Bridge's \`echo\`: ${METHOD.GENERATED.chunks} words, ${METHOD.GENERATED.pace} ms each; (c) passes a provider's stream of the same pace.
- Translated: the fake provider speaks the format in which it is called. (c′) translates nothing: it parses and re-serialises the client's body and each event of
  the provider, the least that any translation in JavaScript does. The pace and number of streams are the same.
- Frames: the same streams once over HTTP and once over ${METHOD.SOCKETS.connections} WebSockets, in the session protocol, without acknowledgements;
  usage is requested, so that over HTTP the runtime pipes them. A WebSocket is asleep when its Durable Object has left memory, ten seconds after its last event.
- Accounting: one gateway with a key of each kind, and one that is configured to keep no receipts. No limit is reached. The last two
  columns, which Cloudflare bills, are counted in another process, with ${METHOD.CALLERS} callers at full speed ([what they cost](costs.md)). A limited
  key's requests are all admitted and settled by one Durable Object, one after the other. Here it shares a thread with the gateway, so
  "requests/s" is what both achieve together; on Cloudflare it has a thread of its own.
- Watching: a gateway whose configuration turns reports and metrics off, one that has them, one that also logs at level info, and one that
  writes these lines to log files, too. CPU is counted until ${METHOD.REPORTED_MS / 1000} s after the load, when all of it is stored.
- Memory: a stream sends a chunk a second. "After" is ${METHOD.REST_MS / 1000} s later. The aborted streams are opened in the same process when the first ones
  have ended; then the provider observes for ${METHOD.PATIENCE_MS / 1000} s how many responses it still sends.
- Log lines go to a file. A wrong or incomplete response makes a figure fail.
`;
}
