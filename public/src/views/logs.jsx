// The newest lines of log files, filtered, and followed until it is paused.

import { useEffect, useState } from "preact/hooks";
import { bytes, count, shortTime } from "../format.js";
import { View } from "../frame.jsx";
import { Field } from "../parts/field.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty, Notice } from "../parts/notice.jsx";
import { go, link } from "../router.js";
import { t } from "../words/index.js";

const LEVELS = ["debug", "info", "warning", "error"];
const TAILS = ["100", "500", "2000"];
const EVERY_MS = 5000;
const TONES = { error: "bad", warning: "warn", info: "good", debug: "none" };

export function Logs({ session, params }) {
  if (!session.log_files) return <View title={t("view.logs")}><Empty title={t("logs.off")}>{t("log.off")}</Empty></View>;
  return <List session={session} params={params} />;
}

function List({ session, params }) {
  const [isPaused, setPaused] = useState(false);
  const filters = { tail: params.tail ?? "100", level: params.level, request_id: params.request_id, from: params.from };
  const loaded = useLoad((signal) => session.api.get("/logs", filters, signal), [JSON.stringify(filters)]);
  useEffect(() => {
    if (isPaused) return;
    // A tab that nobody sees asks for nothing.
    const timer = setInterval(() => document.hidden || loaded.reload(), EVERY_MS);
    return () => clearInterval(timer);
  }, [isPaused, loaded.reload]);
  const [text, setText] = useState("");
  const actions = <button type="button" class="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>{t(isPaused ? "resume" : "pause")}</button>;
  return (
    <View title={t("view.logs")} actions={actions}>
      <Filters key={JSON.stringify(params)} params={params} text={text} onText={setText} />
      <Loaded of={loaded}>{(page) => <Lines page={page} text={text} />}</Loaded>
    </View>
  );
}

function Filters({ params, text, onText }) {
  const [id, setId] = useState(params.request_id ?? "");
  const set = (name) => (event) => go("logs", { params: { ...params, [name]: event.target.value } });
  const submit = (event) => {
    event.preventDefault();
    go("logs", { params: { ...params, request_id: id } });
  };
  return (
    <form class="filters" onSubmit={submit} aria-label={t("filters")}>
      <Field label={t("logs.level")} as="select" value={params.level ?? ""} onChange={set("level")}>
        <option value="">{t("any")}</option>
        {LEVELS.map((level) => <option key={level} value={level}>{t(`level.${level}`)}</option>)}
      </Field>
      <Field label={t("request_id")} value={id} onInput={(event) => setId(event.target.value)} autocomplete="off" spellcheck={false} />
      <Field label={t("logs.tail")} as="select" value={params.tail ?? "100"} onChange={set("tail")}>
        {TAILS.map((n) => <option key={n} value={n}>{count(Number(n))}</option>)}
      </Field>
      <Field label={t("keys.find")} type="search" value={text} onInput={(event) => onText(event.target.value)} />
      <button class="button main">{t("filter")}</button>
    </form>
  );
}

function Lines({ page, text }) {
  const wanted = text.trim().toLowerCase();
  const lines = page.data.filter((line) => !wanted || JSON.stringify(line).toLowerCase().includes(wanted)).reverse();
  const { store } = page;
  return (
    <>
      {page.unread_segments > 0 && <Notice title={t("logs.unread", { n: count(page.unread_segments) })} />}
      {lines.length === 0 ? <Empty title={t("logs.none")}>{t("logs.none.text")}</Empty> : (
        <ol class="log" aria-label={t("view.logs")}>{lines.map((line, index) => <Line key={`${line.timestamp}${index}`} line={line} />)}</ol>
      )}
      <p class="soft small">{t("logs.store", { used: bytes(store.bytes), of: bytes(store.capacity), n: count(store.segments) })}</p>
    </>
  );
}

/** The most telling fields are the line; all of them are below it. */
function Line({ line }) {
  const { timestamp, level, event, request_id: id, model, status, error } = line;
  return (
    <li>
      <details>
        <summary>
          <span class="number soft">{shortTime(timestamp)}</span>
          <span class={`status ${TONES[level] ?? "none"}`}><span>{event}</span></span>
          <span class="rest">{[status, model, error].filter(Boolean).join(" · ")}</span>
        </summary>
        <dl class="facts">
          {Object.entries(line).map(([name, value]) => <><dt translate={false}>{name}</dt><dd><code>{typeof value === "string" ? value : JSON.stringify(value)}</code></dd></>)}
        </dl>
        {id && <p><a href={link("requests", { id })}>{t("request")}</a></p>}
      </details>
    </li>
  );
}
