// The configuration: the one in use, what the gateway notes about it, and a check of another.

import { useState } from "preact/hooks";
import { count } from "../format.js";
import { View } from "../frame.jsx";
import { Code } from "../parts/code.jsx";
import { Field } from "../parts/field.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { ErrorNotice, Notice } from "../parts/notice.jsx";
import { Table } from "../parts/table.jsx";
import { t } from "../words/index.js";
import { toYaml } from "../yaml.js";

export function Config({ session }) {
  return (
    <View title={t("view.config")}>
      <section class="stack">
        <h2>{t("config.used")}</h2>
        <Served session={session} />
        {session.notes.length === 0 ? <p class="status good"><span>{t("config.no-notes")}</span></p> : <Problems caption={t("start.notes")} rows={session.notes} />}
      </section>
      <Check session={session} />
    </View>
  );
}

/** The settings in use, a section at a time. */
function Served({ session }) {
  const loaded = useLoad((signal) => session.api.get("/config", {}, signal), []);
  return (
    <>
      <p class="soft">{t("config.used.text")}</p>
      <Loaded of={loaded}>
        {({ config }) => (
          <div class="sections">
            {SECTIONS.filter((name) => name in config).map((name) => (
              <details class="table" key={name}>
                <summary><code>{name}</code> <span class="soft small" translate={false}>{glance(config[name])}</span></summary>
                <Code label={name} text={toYaml({ [name]: config[name] })} />
              </details>
            ))}
          </div>
        )}
      </Loaded>
    </>
  );
}

const SECTIONS = ["providers", "default_provider", "routes", "aliases", "auth", "cors", "limits", "accounting", "reporting", "dashboard", "admin", "websocket", "vault", "logging", "telemetry", "alerts", "proxy", "regions"];

/** What can be said of a section in its line: a value, or the names in it. */
function glance(value) {
  if (value === null || typeof value !== "object") return String(value ?? "");
  return Object.keys(value).join(", ");
}

function Problems({ caption, rows }) {
  const columns = [
    { name: "path", title: t("config.path"), cell: (row) => <code>{row.path || "—"}</code> },
    { name: "line", title: t("config.line"), isNumber: true, cell: (row) => (row.line ? count(row.line) : "") },
    { name: "message", title: t("config.message"), cell: (row) => <span lang="en">{row.message}</span> },
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
