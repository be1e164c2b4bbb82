// One key: what is used of its limits, its fields, and what can be done with it.

import { useState } from "preact/hooks";
import { segment } from "../api.js";
import { NONE, count, money, percent, time } from "../format.js";
import { View } from "../frame.jsx";
import { Dialog } from "../parts/dialog.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { go, link } from "../router.js";
import { t } from "../words/index.js";
import { KeyFields, bodyOfTexts, textsOf } from "./key-fields.jsx";
import { MadeKey } from "./key-new.jsx";
import { KeyStatus, budgetText } from "./keys.jsx";

export function Key({ session, id }) {
  const { api } = session;
  const path = `/keys/${segment(id)}`;
  const key = useLoad((signal) => api.get(path, {}, signal), [id]);
  const standing = useLoad((signal) => api.get(`${path}/standing`, {}, signal), [id]);
  const [open, setOpen] = useState(null);
  const [made, setMade] = useState(null);
  const close = () => setOpen(null);
  const reload = () => (key.reload(), standing.reload());
  const act = async (work) => {
    await work();
    reload();
  };
  const data = key.data;
  const actions = data && (
    <>
      <a class="button" href={link("requests", { params: { key: data.key_id } })}>{t("view.requests")}</a>
      <a class="button" href={link("overview", { params: { key: data.key_id } })}>{t("view.overview")}</a>
      {session.may_change && (
        <>
          <button type="button" class="button" onClick={() => setOpen("edit")}>{t("edit")}</button>
          <button type="button" class="button" onClick={() => setOpen("rotate")}>{t("rotate")}</button>
          <button type="button" class="button" onClick={() => setOpen("switch")}>{t(data.enabled ? "disable" : "enable")}</button>
          <button type="button" class="button danger" onClick={() => setOpen("delete")}>{t("delete")}</button>
        </>
      )}
    </>
  );
  return (
    <View title={data?.name ?? id} actions={actions}>
      {made && <MadeKey session={session} made={made} />}
      <Loaded of={key}>
        {(key) => (
          <>
            <section class="stack"><h2>{t("used")}</h2><Loaded of={standing}>{(used) => <Used key_={key} used={used} />}</Loaded></section>
            <section class="stack"><h2>{t("fields")}</h2><Facts key_={key} /></section>
          </>
        )}
      </Loaded>
      {open === "edit" && <Edit api={api} path={path} of={data} onClose={close} onDone={reload} />}
      {open === "rotate" && <Dialog title={t("rotate.question")} action={t("rotate")} onClose={close} onAction={() => act(async () => setMade(await api.post(`${path}/rotate`)))}><p>{t("rotate.text")}</p></Dialog>}
      {open === "switch" && <Dialog title={t(data.enabled ? "disable.question" : "enable.question")} action={t(data.enabled ? "disable" : "enable")} isDangerous={data.enabled} onClose={close} onAction={() => act(() => api.post(`${path}/${data.enabled ? "disable" : "enable"}`))}><p>{t(data.enabled ? "disable.text" : "enable.text")}</p></Dialog>}
      {open === "delete" && <Delete api={api} path={path} of={data} onClose={close} />}
    </View>
  );
}

function Edit({ api, path, of, onClose, onDone }) {
  const [texts, setTexts] = useState(textsOf(of));
  const save = async () => {
    await api.patch(path, bodyOfTexts(texts, true));
    onDone();
  };
  return <Dialog title={t("edit")} action={t("save")} onAction={save} onClose={onClose}><KeyFields texts={texts} onChange={setTexts} /></Dialog>;
}

function Delete({ api, path, of, onClose }) {
  const [typed, setTyped] = useState("");
  const remove = async () => {
    await api.delete(path);
    go("keys");
  };
  return (
    <Dialog title={t("delete.question")} action={t("delete")} isDangerous isReady={typed === of.id} onAction={remove} onClose={onClose}>
      <p>{t("delete.text")}</p>
      <label class="field">{t("delete.type", { id: of.id })}<input value={typed} onInput={(event) => setTyped(event.target.value)} autocomplete="off" /></label>
    </Dialog>
  );
}

/** A limit as a bar: what is used, and of how much. */
function Meter({ name, used, limit, format, note }) {
  const share = limit > 0 ? used / limit : used > 0 ? 1 : 0;
  const tone = share >= 1 ? "bad" : share >= 0.8 ? "warn" : "";
  return (
    <>
      <dt>{name}</dt>
      <dd class="limit">
        <span class={`meter ${tone}`} aria-hidden="true"><span style={{ width: `${Math.min(100, share * 100)}%` }} /></span>
        <span class="number">{t("of", { used: format(used), limit: format(limit) })} <span class="soft">{percent(share)}{note ? ` · ${note}` : ""}</span></span>
      </dd>
    </>
  );
}

function Used({ key_: key, used }) {
  const { budget } = key;
  const reserved = used.reserved_nanos > 0 && t("reserved", { n: money(used.reserved_nanos) });
  return (
    <dl class="facts">
      {budget && used.spent_nanos !== null
        ? <Meter name={`${t("budget")} ${t(`per.${budget.per}`)}`} used={used.spent_nanos} limit={budget.amount_nanos} format={money} note={reserved} />
        : <><dt>{t("budget")}</dt><dd class="soft">{t("no-limit")}</dd></>}
      {key.requests_per_minute !== null && <Meter name={t("field.requests_per_minute")} used={used.requests_in_minute} limit={key.requests_per_minute} format={count} />}
      {key.tokens_per_minute !== null && <Meter name={t("field.tokens_per_minute")} used={used.tokens_in_minute} limit={key.tokens_per_minute} format={count} />}
      {key.concurrent_requests !== null && <Meter name={t("field.concurrent_requests")} used={used.running_requests} limit={key.concurrent_requests} format={count} />}
    </dl>
  );
}

function Facts({ key_: key }) {
  const tags = Object.entries(key.metadata);
  const facts = [
    [t("state"), <KeyStatus status={key.status} />],
    [t("key.id"), <code>{key.id}</code>],
    [t("key.hint"), <code>…{key.hint}</code>],
    [t("owner"), key.owner ?? NONE],
    [t("parent"), key.parent ? <a href={link("keys", { id: key.parent })}>{key.parent}</a> : NONE],
    [t("field.models"), key.models?.join(", ") ?? t("all")],
    [t("budget"), budgetText(key.budget)],
    [t("field.requests_per_minute"), key.requests_per_minute === null ? t("no-limit") : count(key.requests_per_minute)],
    [t("field.tokens_per_minute"), key.tokens_per_minute === null ? t("no-limit") : count(key.tokens_per_minute)],
    [t("field.concurrent_requests"), key.concurrent_requests === null ? t("no-limit") : count(key.concurrent_requests)],
    [t("expires"), key.expires_at ? time(key.expires_at) : t("never")],
    [t("created"), time(key.created_at)],
    [t("changed"), time(key.updated_at)],
    [t("tags"), tags.length ? <span class="row">{tags.map(([name, value]) => <span key={name} class="tag">{name}={value}</span>)}</span> : NONE],
  ];
  return <dl class="facts">{facts.map(([name, value]) => <><dt>{name}</dt><dd>{value}</dd></>)}</dl>;
}
