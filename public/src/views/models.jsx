// Providers and models: what can be called and why not, what it takes and costs, and what is out.

import { useState } from "preact/hooks";
import { errorOf, send } from "../api.js";
import { NONE, count, perMillion, time } from "../format.js";
import { View } from "../frame.jsx";
import { Field } from "../parts/field.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty, ErrorNotice, Notice } from "../parts/notice.jsx";
import { sourceText } from "../parts/source.jsx";
import { Table } from "../parts/table.jsx";
import { link } from "../router.js";
import { isOwn, withTrialKey } from "../trial.js";
import { named, t } from "../words/index.js";

export function Models({ session }) {
  const models = useLoad((signal) => session.api.get("/models", {}, signal), []);
  const health = useLoad((signal) => session.api.get("/health", {}, signal), []);
  return (
    <View title={t("view.models")}>
      <Loaded of={health}>{({ data }) => <Out states={data} session={session} onReset={health.reload} />}</Loaded>
      <Loaded of={models}>
        {(data) => (
          <>
            <section class="stack"><h2>{t("providers")}</h2><Providers data={data} /></section>
            <List data={data} session={session} />
          </>
        )}
      </Loaded>
    </View>
  );
}

/** What is out, with a button that forgets it. */
function Out({ states, session, onReset }) {
  const [error, setError] = useState(null);
  const reset = async (id) => {
    setError(null);
    try {
      await session.api.post("/health/reset", id ? { id } : {});
      onReset();
    } catch (fault) {
      setError(fault);
    }
  };
  const columns = [
    { name: "target", title: t("target"), isLong: true, cell: (row) => [row.provider, row.model].filter(Boolean).join("/") },
    { name: "state", title: t("state"), cell: (row) => <span class={`status ${row.state === "open" ? "bad" : "warn"}`}><span>{named("health", row.state)}</span></span> },
    { name: "keys", title: t("out.keys"), cell: (row) => row.keys?.map((key) => key + 1).join(", ") ?? t("all") },
    { name: "reason", title: t("reason"), isLong: true, cell: (row) => <span title={row.reason}>{named("class", row.reason)}</span> },
    { name: "since", title: t("out.since"), cell: (row) => time(row.since) },
    { name: "until", title: t("out.until"), cell: (row) => time(row.until) },
    { name: "known", title: t("out.known"), cell: (row) => t(`known.${row.known}`) },
    session.may_change && { name: "reset", title: <span class="hidden-text">{t("reset")}</span>, cell: (row) => <button type="button" class="button" onClick={() => reset(row.id)} aria-label={`${t("reset")}: ${row.id}`}>{t("reset")}</button> },
  ].filter(Boolean);
  return (
    <section class="stack">
      <h2>{t("out")}</h2>
      <ErrorNotice error={error} />
      {states.length === 0
        ? <p class="status good"><span>{t("out.none")}</span></p>
        : <Table caption={t("out")} columns={columns} rows={states} keyOf={(row) => row.id} />}
    </section>
  );
}

function Providers({ data }) {
  const columns = [
    { name: "name", title: t("provider"), cell: (row) => <>{row.name} {row.name === data.default_provider && <span class="tag">{t("default")}</span>}</>, sort: (row) => row.name },
    { name: "state", title: t("state"), cell: (row) => row.missing ? <span class="status none"><span>{t("missing", { name: row.missing })}</span></span> : <span class="status good"><span>{row.keys > 0 ? t("start.keys", { n: row.keys }) : t("start.keyless")}</span></span>, sort: (row) => row.missing ?? "" },
    { name: "format", title: t("format"), cell: (row) => row.format },
    { name: "host", title: t("host"), isLong: true, cell: (row) => row.host ?? <span class="soft">{t("host.own")}</span> },
    { name: "proxy", title: t("proxy"), cell: (row) => (row.is_proxied ? t("yes") : t("no")) },
  ];
  return <Table caption={t("providers")} columns={columns} rows={data.providers} keyOf={(row) => row.name} />;
}

function List({ data, session }) {
  const [text, setText] = useState("");
  const [trying, setTrying] = useState(null);
  const rows = data.models.data.filter((model) => model.id.toLowerCase().includes(text.trim().toLowerCase()));
  const price = (name) => ({ isNumber: true, cell: (row) => perMillion(row.pricing?.[name]), sort: (row) => (row.pricing ? Number(row.pricing[name]) : null) });
  const columns = [
    { name: "id", title: t("model"), isLong: true, cell: (row) => <span title={row.id}>{row.id}</span>, sort: (row) => row.id },
    { name: "state", title: t("state"), cell: (row) => row.available ? <span class="status good"><span>{t("callable")}</span></span> : <span class="status none"><span>{reasonOf(row, data.providers)}</span></span>, sort: (row) => row.unavailable_reason ?? "" },
    session.may_change && { name: "try", title: <span class="hidden-text">{t("try")}</span>, cell: (row) => row.available && !row.id.includes("*") && <button type="button" class="button" onClick={() => setTrying(row.id)} aria-label={`${t("try")}: ${row.id}`}>{t("try")}</button> },
    { name: "input", title: t("price.input"), ...price("prompt") },
    { name: "output", title: t("price.output"), ...price("completion") },
    { name: "source", title: t("price.source"), isLong: true, cell: (row) => <Source source={data.price_sources[row.id]} /> },
    { name: "context", title: t("context"), isNumber: true, cell: (row) => count(row.context_length), sort: (row) => row.context_length },
    { name: "output-limit", title: t("max-output"), isNumber: true, cell: (row) => count(row.top_provider?.max_completion_tokens), sort: (row) => row.top_provider?.max_completion_tokens },
    { name: "takes", title: t("takes"), cell: (row) => <span title={(row.supported_parameters ?? []).join(", ")}>{takes(row).join(t("and")) || NONE}</span> },
  ].filter(Boolean);
  return (
    <section class="stack">
      <h2>{t("view.models")}</h2>
      {trying && <Try key={trying} session={session} model={trying} isFree={isOwn(trying, data.providers)} onClose={() => setTrying(null)} />}
      {data.models.data.length > 8 && <div class="filters"><Field label={t("keys.find")} type="search" value={text} onInput={(event) => setText(event.target.value)} /></div>}
      {rows.length === 0 ? <Empty title={t("models.none")}>{t("models.none.text")}</Empty> : <Table caption={t("view.models")} columns={columns} rows={rows} keyOf={(row) => row.id} />}
      <p class="soft small">{t("models.note")}</p>
    </section>
  );
}

/** Why a model cannot be called: in the reader's language, if its provider's key is missing. */
function reasonOf({ id, unavailable_reason: reason }, providers) {
  const missing = providers.find(({ name }) => name === id.split("/")[0])?.missing;
  return missing && reason?.includes(missing) ? t("missing", { name: missing }) : <span lang="en">{reason}</span>;
}

/** What a model is known to take, in words. */
function takes({ architecture, supported_parameters: parameters = [] }) {
  const kinds = (architecture?.input_modalities ?? []).filter((kind) => kind !== "text").map((kind) => named("input", kind));
  const abilities = [["tools", "tools"], ["reasoning_effort", "reasoning"], ["structured_outputs", "structured"]];
  return [...kinds, ...abilities.filter(([name]) => parameters.includes(name)).map(([, name]) => t(`takes.${name}`))];
}

function Source({ source }) {
  if (!source) return NONE;
  const text = sourceText(source);
  return <span class="soft" title={text}>{text}</span>;
}

/** Sends one short chat, and says in words what came of it. */
function Try({ session, model, isFree, onClose }) {
  const tried = useLoad(async (signal) => withTrialKey(session.api, [model], isFree, async (key) => {
    const began = performance.now();
    const body = { model, max_tokens: 64, messages: [{ role: "user", content: "Say hello in one word." }] };
    const response = await send("/v1/chat/completions", { method: "POST", key, body, signal });
    const took = Math.round(performance.now() - began);
    const id = response.headers.get("x-request-id");
    if (!response.ok) return { error: await errorOf(response), took, id };
    const answer = await response.json();
    return { text: answer.choices?.[0]?.message?.content ?? "", took, id };
  }), [model]);
  const done = tried.data;
  return (
    <div class="card" role="status">
      <header><h3>{t("try.model", { model })}</h3><button type="button" class="button plain" onClick={onClose}>{t("close")}</button></header>
      {tried.isLoading && <p class="loading">{t("loading")}</p>}
      <ErrorNotice error={tried.error} />
      {done?.error && <ErrorNotice error={done.error} />}
      {done && !done.error && <Notice title={t("try.well", { ms: count(done.took) })}>{done.text}</Notice>}
      {done?.id && <p class="small"><a href={link("requests", { id: done.id })}>{t("try.request")}</a></p>}
    </div>
  );
}
