// Two models side by side, streamed, with the raw exchange. A key made for it pays, with a small budget and an end.

import { useEffect, useRef, useState } from "preact/hooks";
import { segment } from "../api.js";
import { NONE, count, duration, money } from "../format.js";
import { View } from "../frame.jsx";
import { Code } from "../parts/code.jsx";
import { Dropped } from "../parts/dropped.jsx";
import { Field } from "../parts/field.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty, ErrorNotice, Notice } from "../parts/notice.jsx";
import { link } from "../router.js";
import { TRIAL_BUDGET, isOwn, makeTrialKey, ownPatterns } from "../trial.js";
import { t } from "../words/index.js";
import { askModel, bodyOf } from "../playground.js";

const EFFORTS = ["low", "medium", "high"];
const SIDES = ["a", "b"];
const MAX_IMAGE = 5_000_000;
/** The longest response by default; with reasoning, which some models only do where there is room for it. */
const USUAL_TOKENS = "1024";
const THINKING_TOKENS = "4096";

export function Playground({ session }) {
  const models = useLoad((signal) => session.api.get("/models", {}, signal), []);
  if (!session.may_change) return <View title={t("view.playground")}><Empty title={t("playground.reader")}>{t("playground.reader.text")}</Empty></View>;
  return (
    <View title={t("view.playground")}>
      <Loaded of={models}>{(data) => <Bench session={session} providers={data.providers} models={data.models.data.filter((model) => model.available)} />}</Loaded>
    </View>
  );
}

function Bench({ session, providers, models }) {
  const listed = models.filter((model) => !model.id.includes("*")).map((model) => model.id);
  const [wanted, setWanted] = useState({ a: listed[0] ?? "", b: "", system: "", prompt: "", tools: "", effort: "", image: null, max_tokens: USUAL_TOKENS });
  const [runs, setRuns] = useState({});
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  // One key pays; another, without a budget, opens what the gateway answers itself.
  const keys = useRef({});
  const controller = useRef(null);
  const set = (name) => (event) => setWanted({ ...wanted, [name]: event.target.value });
  const setEffort = (event) => {
    const isUsual = wanted.max_tokens === USUAL_TOKENS && event.target.value;
    setWanted({ ...wanted, effort: event.target.value, max_tokens: isUsual ? THINKING_TOKENS : wanted.max_tokens });
  };
  const toolFault = faultOfTools(wanted.tools);
  // The key ends with the view, as well as by itself.
  useEffect(() => () => {
    controller.current?.abort();
    for (const { id } of Object.values(keys.current)) session.api.delete(`/keys/${segment(id)}`).catch(() => {});
  }, []);

  const send = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    setRuns({});
    controller.current = new AbortController();
    try {
      const asked = SIDES.filter((side) => wanted[side]);
      const kindOf = (side) => (isOwn(wanted[side], providers) ? "free" : "paid");
      for (const kind of new Set(asked.map(kindOf)))
        keys.current[kind] ??= await makeTrialKey(session.api, kind === "free" ? ownPatterns(providers) : null, kind === "free");
      await Promise.all(asked.map((side) => askModel({ api: session.api, key: keys.current[kindOf(side)].key, body: bodyOf(wanted, wanted[side]), signal: controller.current.signal, onChange: (run) => setRuns((all) => ({ ...all, [side]: run })) })));
    } catch (fault) {
      if (fault.name !== "AbortError") setError(fault);
    }
    setBusy(false);
  };
  const choose = async (event) => {
    const file = event.target.files[0];
    if (!file) return setWanted({ ...wanted, image: null });
    if (file.size > MAX_IMAGE) return setError({ message: t("playground.image.large") });
    setWanted({ ...wanted, image: await asDataUrl(file) });
  };
  const model = (side) => <Field key={side} label={t(`playground.${side}`)} list="models" value={wanted[side]} onInput={set(side)} placeholder={side === "b" ? t("playground.none") : ""} required={side === "a"} autocomplete="off" spellcheck={false} />;

  return (
    <>
      <form class="stack" onSubmit={send}>
        <datalist id="models">{listed.map((id) => <option key={id} value={id} />)}</datalist>
        <div class="pair">{SIDES.map(model)}</div>
        <Field label={t("playground.prompt")} as="textarea" value={wanted.prompt} onInput={set("prompt")} required />
        <details class="table">
          <summary>{t("playground.more")}</summary>
          <div class="stack">
            <Field label={t("playground.system")} as="textarea" value={wanted.system} onInput={set("system")} />
            <div class="pair">
              <Field label={t("playground.effort")} as="select" value={wanted.effort} onChange={setEffort}>
                <option value="">{t("playground.effort.default")}</option>
                {EFFORTS.map((name) => <option key={name} value={name}>{t(`effort.${name}`)}</option>)}
              </Field>
              <Field label={t("playground.max")} inputMode="numeric" pattern="[1-9][0-9]*" value={wanted.max_tokens} onInput={set("max_tokens")} />
              <Field label={t("playground.image")} type="file" accept="image/png,image/jpeg,image/webp,image/gif" onChange={choose} />
            </div>
            <Field label={t("playground.tools")} hint={t("playground.tools.hint")} as="textarea" class="mono" value={wanted.tools} onInput={set("tools")} fault={toolFault} spellcheck={false} />
          </div>
        </details>
        <div class="row">
          <button class="button main" disabled={isBusy || !!toolFault}>{t("playground.send")}</button>
          {isBusy && <button type="button" class="button" onClick={() => controller.current.abort()}>{t("playground.stop")}</button>}
          <span class="soft small">{t("playground.pays", { budget: money(Number(TRIAL_BUDGET) * 1e9) })} {keys.current.paid && <a href={link("keys", { id: keys.current.paid.id })}>{keys.current.paid.id}</a>}</span>
        </div>
        <ErrorNotice error={error} />
      </form>
      <div class="sides" aria-live="off">{SIDES.filter((side) => runs[side]).map((side) => <Run key={side} run={runs[side]} />)}</div>
    </>
  );
}

function faultOfTools(text) {
  if (!text.trim()) return undefined;
  try {
    return Array.isArray(JSON.parse(text)) ? undefined : t("playground.tools.list");
  } catch (fault) {
    return fault.message;
  }
}

const asDataUrl = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

function Run({ run }) {
  const { chat, request, raw, error, id, record, ttft, took, isDone } = run;
  const body = JSON.stringify(request, (name, value) => (name === "url" && value.length > 200 ? `${value.slice(0, 60)}…` : value), 2);
  const facts = [
    [t("playground.seen.first"), duration(ttft)],
    [t("playground.seen.all"), duration(took)],
    [t("tokens"), chat.usage ? `${count(chat.usage.prompt_tokens)} + ${count(chat.usage.completion_tokens)}` : NONE],
    [t("cost"), record ? money(record.cost_nanos) : NONE],
    ...(record?.dropped ? [[t("dropped"), <Dropped names={record.dropped} />]] : []),
  ];
  return (
    <section class="card stack" aria-label={request.model} aria-busy={!isDone}>
      <header><h2>{request.model}</h2>{id && <a class="small" href={link("requests", { id })}>{t("request")}</a>}</header>
      <ErrorNotice error={error} />
      {chat.error && <Notice kind="bad" title={t("playground.broke")}><span lang="en">{chat.error.message}</span></Notice>}
      {chat.reasoning && <details class="table"><summary>{t("playground.reasoning")}</summary><p class="said soft">{chat.reasoning}</p></details>}
      {chat.text && <p class="said">{chat.text}</p>}
      {chat.tools.map((tool, index) => <Code key={index} wraps label={tool.name} text={`${tool.name}(${tool.arguments})`} />)}
      {isDone && !error && chat.finish && <p class="soft small">{t("playground.finish", { reason: chat.finish })}</p>}
      <dl class="facts">{facts.map(([name, value]) => <><dt>{name}</dt><dd class="number">{value}</dd></>)}</dl>
      <details class="table">
        <summary>{t("playground.raw")}</summary>
        <div class="stack"><Code label={t("playground.raw.request")} text={body} wraps /><Code label={t("playground.raw.response")} text={raw} wraps /></div>
      </details>
    </section>
  );
}
