// One request: what it asked, its attempts on a time line, its tokens and prices, and its lines in the log.

import { segment } from "../api.js";
import { NONE, count, duration, money, perMillion, time } from "../format.js";
import { View } from "../frame.jsx";
import { Code, CopyButton } from "../parts/code.jsx";
import { Dropped } from "../parts/dropped.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty, ErrorNotice } from "../parts/notice.jsx";
import { Status } from "../parts/status.jsx";
import { sourceText } from "../parts/source.jsx";
import { Table } from "../parts/table.jsx";
import { link } from "../router.js";
import { named, t } from "../words/index.js";

export function Request({ session, id }) {
  const { api } = session;
  const loaded = useLoad((signal) => api.get(`/requests/${segment(id)}`, {}, signal), [id]);
  return (
    <View title={t("request")} actions={<a class="button" href={link("requests")}>{t("view.requests")}</a>}>
      <Loaded of={loaded}>
        {(request) => (
          <>
            <Facts request={request} />
            <section class="stack"><h2>{t("attempts")}</h2><Timeline request={request} /></section>
            <section class="stack"><h2>{t("tokens.price")}</h2><Bill request={request} /></section>
          </>
        )}
      </Loaded>
      {loaded.data && <section class="stack"><h2>{t("log")}</h2><Lines session={session} id={id} /></section>}
    </View>
  );
}

function Facts({ request }) {
  const filter = (name, value) => value ? <a href={link("requests", { params: { [name]: value } })}>{value}</a> : NONE;
  const tags = Object.entries(request.tags);
  const facts = [
    [t("request_id"), <span class="row"><code>{request.request_id}</code><CopyButton text={request.request_id} /></span>],
    [t("state"), <><Status request={request} /> {request.class && <span class="soft">{named("class", request.class)}</span>}</>],
    [t("key"), filter("key", request.key_id)],
    [t("owner"), filter("owner", request.owner)],
    [t("route"), filter("route", request.route)],
    [t("model"), <>{filter("model", request.model)} <span class="soft">{request.provider}</span></>],
    [t("model.served"), request.model_served ?? NONE],
    [t("stream"), request.stream ? t("yes") : t("no")],
    [t("started"), time(request.started_at)],
    [t("ended"), time(request.ended_at)],
    [t("ttft"), duration(request.ttft_ms)],
    [t("duration"), duration(request.duration_ms)],
    [t("gateway"), duration(request.gateway_ms)],
    ...(request.dropped ? [[t("dropped"), <Dropped names={request.dropped} />]] : []),
    [t("tags"), tags.length ? tags.map(([name, value]) => <span key={name} class="tag">{name}={value}</span>) : NONE],
  ];
  return <dl class="facts">{facts.map(([name, value]) => <><dt>{name}</dt><dd>{value}</dd></>)}</dl>;
}

/** Bars from the beginning of the request to its end; the figures beside them are the API's. */
function Timeline({ request }) {
  const begin = Date.parse(request.started_at);
  const whole = Math.max(1, request.duration_ms);
  const share = (ms) => `${Math.min(100, Math.max(0, (100 * ms) / whole))}%`;
  if (request.attempts.length === 0) return <Empty title={t("attempts.none")}>{t("attempts.none.text")}</Empty>;
  const columns = [
    { name: "target", title: t("target"), cell: (row) => <>{row.model} <span class="soft">{row.provider}</span></> },
    { name: "state", title: t("state"), cell: (row) => row.failure ? <span class="status bad"><span>{named("class", row.failure)}</span></span> : <span class="status good"><span>{t("served")}</span></span> },
    { name: "line", title: t("time-line"), cell: (row) => (
      <span class="line" aria-hidden="true"><span class={row.failure ? "is-bad" : ""} style={{ left: share(Date.parse(row.started_at) - begin), width: share(row.duration_ms) }} /></span>
    ) },
    { name: "after", title: t("after"), isNumber: true, cell: (row) => duration(Date.parse(row.started_at) - begin) },
    { name: "duration", title: t("duration"), isNumber: true, cell: (row) => duration(row.duration_ms) },
    { name: "cost", title: t("cost"), isNumber: true, cell: (row) => money(row.cost_nanos) },
  ];
  return <Table caption={t("attempts")} columns={columns} rows={request.attempts} keyOf={(row) => row.started_at + row.provider + row.model} />;
}

/** Kinds of tokens that requests without a bill have. */
const KINDS = ["fresh", "cache_read", "cache_write", "completion", "reasoning"];

function Bill({ request }) {
  const billed = request.attempts.filter((attempt) => attempt.bill.length > 0);
  return (
    <>
      {billed.map((attempt, index) => <AttemptBill key={index} attempt={attempt} isOnly={request.attempts.length === 1} />)}
      {billed.length === 0 && <Tokens tokens={request.tokens} />}
      <p><strong>{t("cost")}: <span class="number">{money(request.cost_nanos)}</span></strong> {request.estimated && <span class="tag">{t("estimated")}</span>}</p>
      {request.cost_nanos === null && <p class="soft small">{t("cost.unknown")}</p>}
      {request.cost_nanos > 0 && billed.length === 0 && <p class="soft small">{t("cost.otherwise")}</p>}
    </>
  );
}

/** What one attempt cost: how many of each kind, at which price. */
function AttemptBill({ attempt, isOnly }) {
  const name = `${attempt.provider}/${attempt.model}`;
  const source = attempt.price_source;
  const isFee = (line) => line.kind === "request" || line.kind === "searches";
  const columns = [
    { name: "kind", title: t("kind"), cell: (line) => named("bill", line.kind) },
    { name: "count", title: t("count"), isNumber: true, cell: (line) => count(line.count) },
    { name: "price", title: t("price"), isNumber: true, cell: (line) => <>{isFee(line) ? money(Math.round(Number(line.price) * 1e9)) : perMillion(line.price)} <span class="soft">{t(isFee(line) ? "price.each" : "price.per-million")}</span></> },
    { name: "amount", title: t("amount"), isNumber: true, cell: (line) => money(line.amount_nanos) },
  ];
  return (
    <div class="stack tight">
      {!isOnly && <h3>{name}</h3>}
      <Table caption={t("bill.of", { name })} columns={columns} rows={attempt.bill} keyOf={(line) => line.kind} />
      <p class="soft small">{source ? t("bill.source", { source: sourceText(source) }) : t("bill.changed")}</p>
    </div>
  );
}

function Tokens({ tokens }) {
  const rows = KINDS.filter((kind) => !tokens || kind === "fresh" || kind === "completion" || tokens[kind] > 0);
  const columns = [
    { name: "kind", title: t("kind"), cell: (kind) => t(`token.${kind}`) },
    { name: "tokens", title: t("tokens"), isNumber: true, cell: (kind) => count(tokens?.[kind]) },
  ];
  return <Table caption={t("tokens")} columns={columns} rows={rows} keyOf={(kind) => kind} />;
}

function Lines({ session, id }) {
  if (!session.log_files) return <p class="soft">{t("log.off")}</p>;
  return <LogLines session={session} id={id} />;
}

function LogLines({ session, id }) {
  const { data, error, reload } = useLoad((signal) => session.api.get("/logs", { request_id: id, tail: 200 }, signal), [id]);
  if (error) return <ErrorNotice error={error} onRetry={reload} />;
  if (!data) return null;
  const lines = data.data;
  return (
    <>
      {lines.length === 0 ? <p class="soft">{t("log.none")}</p> : <Code wraps label={t("log")} text={lines.map((line) => JSON.stringify(line)).join("\n")} />}
    </>
  );
}
