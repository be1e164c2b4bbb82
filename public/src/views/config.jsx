// The configuration: what the gateway notes about the one in use, and a check of another.

import { useState } from "preact/hooks";
import { count } from "../format.js";
import { View } from "../frame.jsx";
import { Field } from "../parts/field.jsx";
import { ErrorNotice, Notice } from "../parts/notice.jsx";
import { Table } from "../parts/table.jsx";
import { t } from "../words/index.js";

export function Config({ session }) {
  return (
    <View title={t("view.config")}>
      <section class="stack">
        <h2>{t("config.used")}</h2>
        <dl class="facts">
          <dt>{t("config.zone")}</dt><dd>{session.timezone}</dd>
          <dt>{t("config.tags")}</dt><dd>{session.tags.length ? session.tags.join(", ") : t("without")}</dd>
          <dt>{t("config.reporting")}</dt><dd>{t(session.reporting ? "yes" : "no")}</dd>
          <dt>{t("config.logs")}</dt><dd>{t(session.log_files ? "yes" : "no")}</dd>
        </dl>
        {session.notes.length === 0 ? <p class="status good"><span>{t("config.no-notes")}</span></p> : <Problems caption={t("start.notes")} rows={session.notes} />}
      </section>
      <Check session={session} />
    </View>
  );
}

function Problems({ caption, rows }) {
  const columns = [
    { name: "path", title: t("config.path"), cell: (row) => <code>{row.path || "—"}</code> },
    { name: "line", title: t("config.line"), isNumber: true, cell: (row) => (row.line ? count(row.line) : "") },
    { name: "message", title: t("config.message"), cell: (row) => row.message },
  ];
  return <Table caption={caption} columns={columns} rows={rows} keyOf={(row) => [row.line, row.path, row.message].join()} />;
}

function Check({ session }) {
  const [text, setText] = useState("");
  const [checked, setChecked] = useState(null);
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setError(null);
    setChecked(null);
    try {
      setChecked(await session.api.post("/config/check", text));
    } catch (fault) {
      setError(fault);
    }
  };
  const readFile = async (event) => setText((await event.target.files[0]?.text()) ?? "");
  return (
    <section class="stack">
      <h2>{t("config.check")}</h2>
      <p class="soft">{t("config.check.text")}</p>
      <form class="stack" onSubmit={submit}>
        <Field label={t("config.file")} type="file" accept=".yaml,.yml" onChange={readFile} />
        <Field label={t("config.paste")} as="textarea" class="mono tall" value={text} onInput={(event) => setText(event.target.value)} spellcheck={false} />
        <p><button class="button main" disabled={!text.trim()}>{t("config.check")}</button></p>
      </form>
      <ErrorNotice error={error} />
      {checked && (
        <div class="stack" role="status">
          {checked.is_sound
            ? <Notice title={t("config.sound", { providers: count(checked.providers), models: count(checked.models) })} />
            : <Notice kind="bad" title={t("config.faulty", { n: count(checked.faults.length) })}>{t("config.faulty.text")}</Notice>}
          {checked.faults.length > 0 && <Problems caption={t("config.faults")} rows={checked.faults} />}
          {checked.notes.length > 0 && <Problems caption={t("start.notes")} rows={checked.notes} />}
        </div>
      )}
    </section>
  );
}
