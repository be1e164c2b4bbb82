// Managed keys: listed, found, and made.

import { useEffect, useState } from "preact/hooks";
import { count, money, time } from "../format.js";
import { View } from "../frame.jsx";
import { Field } from "../parts/field.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty } from "../parts/notice.jsx";
import { Table } from "../parts/table.jsx";
import { link, refine } from "../router.js";
import { named, t } from "../words/index.js";
import { Key } from "./key.jsx";
import { BulkKeys } from "./keys-bulk.jsx";
import { NewKey } from "./key-new.jsx";

const PAGE = 100;
/** How many pages are read to search in: a view makes few calls. */
const MOST_PAGES = 4;

export function Keys({ session, id, params }) {
  if (id === "new") return <NewKey session={session} />;
  if (id === "many") return <BulkKeys session={session} />;
  return id ? <Key session={session} id={id} /> : <List session={session} params={params} />;
}

async function load(api, after, signal) {
  const all = [];
  let next = after;
  for (let page = 0; page < MOST_PAGES; page++) {
    const { data, has_more, next_after } = await api.get("/keys", { limit: PAGE, after: next }, signal);
    all.push(...data);
    next = has_more ? next_after : null;
    if (!next) break;
  }
  return { keys: all, next };
}

function List({ session, params }) {
  const loaded = useLoad((signal) => load(session.api, params.after, signal), [params.after]);
  const [text, setText] = useState("");
  useEffect(() => setText(""), [params.after]);
  const actions = session.may_change && (
    <>
      <a class="button" href={link("keys", { id: "many" })}>{t("keys.bulk")}</a>
      <a class="button main" href={link("keys", { id: "new" })}>{t("keys.make")}</a>
    </>
  );
  return (
    <View title={t("view.keys")} actions={actions}>
      <Loaded of={loaded}>
        {({ keys, next }) => (
          <>
            {(keys.length > 8 || params.after) && (
              <div class="filters">
                <Field label={t("keys.find")} type="search" value={text} onInput={(event) => setText(event.target.value)} hint={next ? t("keys.find.part", { n: count(keys.length) }) : undefined} />
              </div>
            )}
            <Rows keys={keys.filter((key) => matches(key, text))} isEmpty={keys.length === 0} session={session} />
            {(next || params.after) && (
              <div class="row">
                {params.after && <button type="button" class="button" onClick={() => refine({ after: undefined })}>{t("keys.first")}</button>}
                {next && <a class="button" href={link("keys", { params: { after: next } })}>{t("keys.more")}</a>}
              </div>
            )}
          </>
        )}
      </Loaded>
    </View>
  );
}

/** Whether a key has a text in its id, name, owner, parent or metadata. */
function matches(key, text) {
  const wanted = text.trim().toLowerCase();
  const own = [key.id, key.name, key.owner, key.parent, ...Object.entries(key.metadata).flat()];
  return own.some((value) => value?.toLowerCase().includes(wanted)) || wanted === "";
}

const TONES = { active: "good", disabled: "none", expired: "none" };
export const KeyStatus = ({ status }) => <span class={`status ${TONES[status] ?? "warn"}`}><span>{named("key-status", status)}</span></span>;

export const budgetText = (budget) => (budget ? `${money(budget.amount_nanos)} ${t(`per.${budget.per}`)}` : t("no-limit"));

function Rows({ keys, isEmpty, session }) {
  if (isEmpty) return <Empty title={t("keys.none")}><span>{t("keys.none.text")}</span>{session.may_change && <a href={link("keys", { id: "new" })}>{t("keys.make")}</a>}</Empty>;
  if (keys.length === 0) return <Empty title={t("keys.unmatched")}>{t("keys.unmatched.text")}</Empty>;
  const columns = [
    { name: "id", title: t("key"), isLong: true, cell: (key) => <a href={link("keys", { id: key.id })} title={key.name ?? key.id}>{key.name ?? key.id}</a>, sort: (key) => key.name ?? key.id },
    { name: "state", title: t("state"), cell: (key) => <KeyStatus status={key.status} />, sort: (key) => key.status },
    { name: "text", title: t("key.id"), isLong: true, cell: (key) => <code>{key.id} …{key.hint}</code> },
    { name: "owner", title: t("owner"), isLong: true, cell: (key) => key.owner ?? "", sort: (key) => key.owner },
    { name: "parent", title: t("parent"), isLong: true, cell: (key) => key.parent && <a href={link("keys", { id: key.parent })}>{key.parent}</a>, sort: (key) => key.parent },
    { name: "budget", title: t("budget"), cell: (key) => <span class={key.budget ? "" : "soft"}>{budgetText(key.budget)}</span>, sort: (key) => key.budget?.amount_nanos },
    { name: "models", title: t("view.models"), isLong: true, cell: (key) => key.models?.join(", ") ?? <span class="soft">{t("all")}</span> },
    { name: "expires", title: t("expires"), cell: (key) => (key.expires_at ? time(key.expires_at) : <span class="soft">{t("never")}</span>), sort: (key) => key.expires_at },
  ];
  return <Table caption={t("view.keys")} columns={columns} rows={keys} keyOf={(key) => key.id} />;
}
