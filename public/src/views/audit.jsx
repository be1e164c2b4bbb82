// Who changed what through the admin API, and who tried without the right.

import { useState } from "preact/hooks";
import { count, period, time } from "../format.js";
import { View } from "../frame.jsx";
import { Field } from "../parts/field.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty } from "../parts/notice.jsx";
import { Table } from "../parts/table.jsx";
import { go, link } from "../router.js";
import { named, t } from "../words/index.js";

const FILTERS = ["actor", "action", "from", "to"];

export function Audit({ session, params }) {
  const loaded = useLoad((signal) => session.api.get("/audit", { limit: 50, ...params }, signal), [JSON.stringify(params)]);
  return (
    <View title={t("view.audit")}>
      <Filters key={JSON.stringify(params)} params={params} />
      <Loaded of={loaded}>{(page) => <Page page={page} params={params} />}</Loaded>
    </View>
  );
}

function Filters({ params }) {
  const [wanted, setWanted] = useState(params);
  const submit = (event) => {
    event.preventDefault();
    go("audit", { params: { ...wanted, before: undefined } });
  };
  return (
    <form class="filters" onSubmit={submit} aria-label={t("filters")}>
      {FILTERS.map((name) => <Field key={name} label={t(name)} value={wanted[name] ?? ""} onInput={(event) => setWanted({ ...wanted, [name]: event.target.value })} placeholder={name === "action" ? "key.edit" : name.length < 5 ? "2026-11-27" : ""} autocomplete="off" spellcheck={false} />)}
      <button class="button main">{t("filter")}</button>
      {Object.values(params).some(Boolean) && <a class="button plain" href={link("audit")}>{t("filter.none")}</a>}
    </form>
  );
}

const valueText = (value) => (value === null ? "—" : typeof value === "string" ? value : JSON.stringify(value));

function Changes({ changes }) {
  if (changes.length === 0) return null;
  return <ul>{changes.map(({ field, from, to }) => <li key={field}><code>{field}</code>: <span translate={false}><span class="soft">{valueText(from)}</span> → {valueText(to)}</span></li>)}</ul>;
}

function Page({ page, params }) {
  const columns = [
    { name: "at", title: t("at"), cell: (row) => time(row.at) },
    { name: "actor", title: t("actor"), isLong: true, cell: (row) => <a href={link("audit", { params: { actor: row.actor } })} title={row.actor}>{row.actor}</a> },
    { name: "action", title: t("action"), cell: (row) => named("action", row.action) },
    { name: "subject", title: t("subject"), isLong: true, cell: (row) => <span title={row.subject}>{row.subject}</span> },
    { name: "status", title: t("status"), cell: (row) => <span class={`status ${row.status < 400 ? "good" : row.status < 500 ? "warn" : "bad"}`}><span>{row.status}</span></span> },
    { name: "changes", title: t("changes"), cell: (row) => <Changes changes={row.changes ?? []} /> },
    { name: "address", title: t("client"), cell: (row) => row.address ?? "" },
  ];
  const failed = page.failed_sign_ins ?? [];
  return (
    <>
      {page.data.length === 0 ? <Empty title={t("audit.none")}>{t("audit.none.text")}</Empty> : <Table caption={t("view.audit")} columns={columns} rows={page.data} keyOf={(row) => row.id} />}
      {page.has_more && <p><a class="button" href={link("audit", { params: { ...params, before: page.next_before } })}>{t("older")}</a></p>}
      {failed.length > 0 && <p class="soft small">{t("audit.failed")}: {failed.slice(0, 7).map(({ day, count: n }) => `${period(day)}: ${count(n)}`).join(" · ")}</p>}
    </>
  );
}
