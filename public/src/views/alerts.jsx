// Alerts that are raised, where notices go, what became of them, and how full the stores are.

import { useState } from "preact/hooks";
import { bytes, count, money, percent, time } from "../format.js";
import { View } from "../frame.jsx";
import { Dialog } from "../parts/dialog.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty, Notice } from "../parts/notice.jsx";
import { Table } from "../parts/table.jsx";
import { link } from "../router.js";
import { named, t } from "../words/index.js";

const TONES = { delivered: "good", due: "warn", refused: "bad", gone: "bad", given_up: "bad" };

export function Alerts({ session }) {
  const alerts = useLoad((signal) => session.api.get("/alerts", { limit: 50 }, signal), []);
  const stores = useLoad((signal) => session.api.get("/stores", {}, signal), []);
  const [isAsking, setAsking] = useState(false);
  const hasDestination = alerts.data?.destinations.length > 0;
  const actions = session.may_change && hasDestination && <button type="button" class="button" onClick={() => setAsking(true)}>{t("alerts.test")}</button>;
  const test = async () => {
    await session.api.post("/alerts/test");
    alerts.reload();
  };
  return (
    <View title={t("view.alerts")} actions={actions}>
      <Loaded of={alerts}>{(data) => <Report data={data} />}</Loaded>
      <section class="stack"><h2>{t("stores")}</h2><Loaded of={stores}>{({ data }) => <Stores rows={data} />}</Loaded></section>
      {isAsking && <Dialog title={t("alerts.test.question")} action={t("alerts.test")} onAction={test} onClose={() => setAsking(false)}><p>{t("alerts.test.text")}</p></Dialog>}
    </View>
  );
}

function Report({ data }) {
  const raised = [
    { name: "kind", title: t("alert"), cell: (row) => named("alert", row.kind) },
    { name: "subject", title: t("subject"), isLong: true, cell: (row) => row.subject?.startsWith("vk_") ? <a href={link("keys", { id: row.subject.slice(3) })}>{row.subject}</a> : row.subject ?? "" },
    { name: "percent", title: t("threshold"), isNumber: true, cell: (row) => (row.percent === null ? "" : percent(row.percent / 100)) },
    { name: "per", title: t("period"), cell: (row) => (row.per ? t(`per.${row.per}`) : "") },
    { name: "since", title: t("out.since"), cell: (row) => time(row.since) },
  ];
  const places = [
    { name: "kind", title: t("destination"), cell: (row) => named("destination", row.kind) },
    { name: "address", title: t("address"), cell: (row) => <code>{row.address}</code> },
    { name: "signed", title: t("signed"), cell: (row) => (row.is_signed ? t("yes") : t("no")) },
    { name: "state", title: t("state"), cell: (row) => <span class={`status ${row.is_gone ? "bad" : "good"}`}><span>{t(row.is_gone ? "destination.gone" : "destination.used")}</span></span> },
  ];
  const deliveries = [
    { name: "title", title: t("notice"), isLong: true, cell: (row) => <span lang="en" title={row.title}>{row.title}</span> },
    { name: "destination", title: t("destination"), cell: (row) => named("destination", row.destination) },
    { name: "state", title: t("state"), cell: (row) => <span class={`status ${TONES[row.state] ?? "none"}`}><span>{named("delivery", row.state)}</span></span> },
    { name: "attempts", title: t("attempts"), isNumber: true, cell: (row) => count(row.attempts) },
    { name: "failure", title: t("reason"), isLong: true, cell: (row) => <span lang="en" title={row.failure}>{row.failure ?? ""}</span> },
    { name: "at", title: t("at"), cell: (row) => time(row.at) },
  ];
  return (
    <>
      <section class="stack">
        <h2>{t("alerts.raised")}</h2>
        {data.raised.length === 0 ? <p class="status good"><span>{t("alerts.none")}</span></p> : <Table caption={t("alerts.raised")} columns={raised} rows={data.raised} keyOf={(row) => [row.kind, row.subject, row.per].join()} />}
      </section>
      <section class="stack">
        <h2>{t("destinations")}</h2>
        {data.destinations.length === 0 ? <Empty title={t("destinations.none")}>{t("destinations.none.text")}</Empty> : <Table caption={t("destinations")} columns={places} rows={data.destinations} keyOf={(row) => row.kind} />}
      </section>
      {data.deliveries.length > 0 && <section class="stack"><h2>{t("deliveries")}</h2><Table caption={t("deliveries")} columns={deliveries} rows={data.deliveries} keyOf={(row) => row.notice + row.destination} /></section>}
    </>
  );
}

function Stores({ rows }) {
  const columns = [
    { name: "store", title: t("store"), cell: (row) => named("store", row.store) },
    { name: "bytes", title: t("used"), isNumber: true, cell: (row) => bytes(row.bytes) },
    { name: "max", title: t("most"), isNumber: true, cell: (row) => bytes(row.max_bytes) },
    { name: "share", title: t("share"), isNumber: true, cell: (row) => percent(row.bytes / row.max_bytes) },
    { name: "requests", title: t("requests"), isNumber: true, cell: (row) => (row.recorded_requests === undefined ? "" : count(row.recorded_requests)) },
    { name: "oldest", title: t("oldest"), cell: (row) => (row.oldest_request_at ? time(row.oldest_request_at) : "") },
  ];
  return <Table caption={t("stores")} columns={columns} rows={rows} keyOf={(row) => row.store} />;
}
