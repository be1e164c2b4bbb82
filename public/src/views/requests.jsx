// Requests across keys, newest first, with filters in the address; and one request by its id.

import { useState } from "preact/hooks";
import { count, duration, money, shortTime } from "../format.js";
import { View } from "../frame.jsx";
import { Field } from "../parts/field.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty } from "../parts/notice.jsx";
import { Status } from "../parts/status.jsx";
import { Table } from "../parts/table.jsx";
import { go, link, refine } from "../router.js";
import { named, t } from "../words/index.js";
import { Request } from "./request.jsx";

/** The filters of the API that have a field. */
const TEXTS = ["key", "owner", "model", "provider", "route", "tags", "request_id"];
const STATUSES = ["2xx", "4xx", "5xx", "429"];
const OUTCOMES = ["complete", "refused", "truncated", "timed_out", "upstream_error", "client_closed", "ended_by_admin", "lost"];
const PAGE = 50;

export function Requests({ session, id, params }) {
  if (!session.reporting) return <View title={t("view.requests")}><Empty title={t("reporting.off")}>{t("reporting.off.text")}</Empty></View>;
  return id ? <Request session={session} id={id} /> : <List session={session} params={params} />;
}

function List({ session, params }) {
  const { before, ...filters } = params;
  const loaded = useLoad((signal) => session.api.get("/requests", { limit: PAGE, ...params }, signal), [JSON.stringify(params)]);
  return (
    <View title={t("view.requests")} actions={<a class="button" href={link("live")}>{t("view.live")}</a>}>
      <Filters key={JSON.stringify(filters)} filters={filters} />
      <Loaded of={loaded}>{(page) => <Page page={page} params={params} />}</Loaded>
    </View>
  );
}

function Filters({ filters }) {
  const [wanted, setWanted] = useState(filters);
  const change = (name) => (event) => setWanted({ ...wanted, [name]: event.target.value });
  const choose = (name) => (event) => go("requests", { params: { ...wanted, [name]: event.target.value } });
  const submit = (event) => {
    event.preventDefault();
    go("requests", { params: wanted });
  };
  return (
    <form class="filters" onSubmit={submit} aria-label={t("filters")}>
      {TEXTS.map((name) => <Field key={name} label={t(name)} value={wanted[name] ?? ""} onInput={change(name)} spellcheck={false} autocomplete="off" />)}
      <Field label={t("status")} as="select" value={wanted.status ?? ""} onChange={choose("status")}>
        <option value="">{t("any")}</option>
        {[...new Set([...STATUSES, wanted.status].filter(Boolean))].map((name) => <option key={name}>{name}</option>)}
      </Field>
      <Field label={t("outcome")} as="select" value={wanted.outcome ?? ""} onChange={choose("outcome")}>
        <option value="">{t("any")}</option>
        <option value="failed">{t("failed")}</option>
        {OUTCOMES.map((name) => <option key={name} value={name}>{named("outcome", name)}</option>)}
      </Field>
      <Field label={t("stream")} as="select" value={wanted.stream ?? ""} onChange={choose("stream")}>
        <option value="">{t("any")}</option>
        <option value="true">{t("yes")}</option>
        <option value="false">{t("no")}</option>
      </Field>
      <Field label={t("from")} value={wanted.from ?? ""} onInput={change("from")} placeholder="2026-11-27" />
      <Field label={t("to")} value={wanted.to ?? ""} onInput={change("to")} placeholder="2026-11-27" />
      <button class="button main">{t("filter")}</button>
      {Object.values(filters).some(Boolean) && <a class="button plain" href={link("requests")}>{t("filter.none")}</a>}
    </form>
  );
}

const tokensOf = (request, kind) => (request.tokens ? request.tokens[kind] : null);

/** The columns of a list of requests. */
export const columns = () => [
  { name: "time", title: t("time"), cell: (row) => <a class="nowrap" href={link("requests", { id: row.request_id })}>{shortTime(row.ended_at)}</a> },
  { name: "state", title: t("state"), cell: (row) => <Status request={row} /> },
  { name: "model", title: t("model"), isLong: true, cell: (row) => <span title={`${row.provider}/${row.model}`}>{row.model || row.route} <span class="soft">{row.provider}</span></span> },
  { name: "key", title: t("key"), isLong: true, cell: (row) => <span title={row.key_id}>{row.key_id}</span> },
  { name: "tokens.prompt", title: t("tokens.in"), isNumber: true, cell: (row) => count(tokensOf(row, "prompt")) },
  { name: "tokens.completion", title: t("tokens.out"), isNumber: true, cell: (row) => count(tokensOf(row, "completion")) },
  { name: "ttft", title: t("ttft"), isNumber: true, cell: (row) => duration(row.ttft_ms) },
  { name: "duration", title: t("duration"), isNumber: true, cell: (row) => duration(row.duration_ms) },
  { name: "attempts", title: t("attempts"), isNumber: true, cell: (row) => count(row.attempts.length) },
  { name: "cost", title: t("cost"), isNumber: true, cell: (row) => money(row.cost_nanos) },
];

function Page({ page, params }) {
  const older = page.has_more && <a class="button" href={link("requests", { params: { ...params, before: page.next_before } })}>{t("older")}</a>;
  const newest = params.before && <button type="button" class="button" onClick={() => refine({ before: undefined })}>{t("newest")}</button>;
  return (
    <>
      {page.data.length === 0
        ? <Empty title={t("requests.none")}>{page.has_more ? t("requests.none.more") : t("requests.none.text")}</Empty>
        : <Table caption={t("view.requests")} columns={columns()} rows={page.data} keyOf={(row) => row.number} />}
      {(older || newest) && <div class="row">{newest}{older}</div>}
    </>
  );
}
