// Requests while they run, and those that have ended since the view was opened.

import { useEffect, useState } from "preact/hooks";
import { segment } from "../api.js";
import { duration, shortTime } from "../format.js";
import { View } from "../frame.jsx";
import { LiveFeed } from "../live.js";
import { Dialog } from "../parts/dialog.jsx";
import { Empty, ErrorNotice, Notice } from "../parts/notice.jsx";
import { Table } from "../parts/table.jsx";
import { link } from "../router.js";
import { t } from "../words/index.js";
import { columns } from "./requests.jsx";

export function Live({ session }) {
  const [feed, setFeed] = useState(null);
  const [error, setError] = useState(null);
  const [isPaused, setPaused] = useState(false);
  const [ending, setEnding] = useState(null);
  const [shown, setShown] = useState(null);
  useEffect(() => {
    if (!session.reporting) return;
    const live = new LiveFeed(session.api, { onChange: setFeed, onError: setError });
    live.start();
    return () => live.stop();
  }, []);
  // A paused view keeps what it shows; the connection goes on, so that nothing is missed afterwards.
  useEffect(() => void (isPaused || setShown(feed)), [feed, isPaused]);

  if (!session.reporting) return <View title={t("view.live")}><Empty title={t("reporting.off")}>{t("reporting.off.text")}</Empty></View>;
  const actions = (
    <>
      <span class={`status ${feed?.isOpen ? "good" : "none"}`} role="status"><span>{t(feed?.isOpen ? "live.open" : "live.closed")}</span></span>
      <button type="button" class="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>{t(isPaused ? "resume" : "pause")}</button>
      <a class="button" href={link("requests")}>{t("view.requests")}</a>
    </>
  );
  return (
    <View title={t("view.live")} actions={actions}>
      <ErrorNotice error={error} />
      {shown?.dropped > 0 && <Notice kind="warn" title={t("live.dropped", { n: shown.dropped })} />}
      {shown && <Running feed={shown} onEnd={session.may_change && setEnding} />}
      {shown?.ended.length > 0 && <section class="stack"><h2>{t("live.ended")}</h2><Table caption={t("live.ended")} columns={columns()} rows={shown.ended} keyOf={(row) => row.request_id + row.started_at} /></section>}
      {ending && <End session={session} request={ending} onClose={() => setEnding(null)} />}
    </View>
  );
}

function Running({ feed, onEnd }) {
  const now = useClock();
  const rows = [...feed.running.values()];
  const shape = [
    { name: "started", title: t("started"), cell: (row) => shortTime(row.started_at) },
    { name: "model", title: t("model"), isLong: true, cell: (row) => <>{row.model || row.route} <span class="soft">{row.provider}</span></> },
    { name: "key", title: t("key"), isLong: true, cell: (row) => row.key_id },
    { name: "request", title: t("request_id"), isLong: true, cell: (row) => <code>{row.request_id}</code> },
    { name: "stream", title: t("stream"), cell: (row) => (row.stream ? t("yes") : t("no")) },
    { name: "ttft", title: t("ttft"), isNumber: true, cell: (row) => duration(row.ttft_ms) },
    { name: "since", title: t("since"), isNumber: true, cell: (row) => duration(Math.max(0, Math.round((now - Date.parse(row.started_at)) / 1000) * 1000)) },
    onEnd && { name: "end", title: <span class="hidden-text">{t("end")}</span>, cell: (row) => <button type="button" class="button danger" onClick={() => onEnd(row)} aria-label={t("end.which", { id: row.request_id })}>{t("end")}</button> },
  ].filter(Boolean);
  return (
    <section class="stack">
      <h2>{t("live.running", { n: rows.length + feed.more })}</h2>
      {rows.length === 0
        ? <Empty title={t("live.none")}>{t("live.none.text")}</Empty>
        : <Table caption={t("view.live")} columns={shape} rows={rows} keyOf={(row) => row.run} />}
      {feed.more > 0 && <p class="soft">{t("live.more", { n: feed.more })}</p>}
    </section>
  );
}

/** The time, each second. */
function useClock() {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

function End({ session, request, onClose }) {
  return (
    <Dialog title={t("end.question")} onClose={onClose} action={t("end")} isDangerous onAction={() => session.api.post(`/requests/${segment(request.run)}/end`)}>
      <p>{t("end.text")}</p>
      <p><code>{request.request_id}</code></p>
    </Dialog>
  );
}
