// Makes many keys from a CSV file, and hands back their texts as one.

import { useState } from "preact/hooks";
import { download, toCsv } from "../csv.js";
import { count } from "../format.js";
import { View } from "../frame.jsx";
import { COLUMNS, readKeys } from "../keys-csv.js";
import { Code } from "../parts/code.jsx";
import { Field } from "../parts/field.jsx";
import { ErrorNotice, Notice } from "../parts/notice.jsx";
import { link } from "../router.js";
import { t } from "../words/index.js";

const EXAMPLE = `id,name,owner,models,budget,per
ci,CI,platform,demo/*,5.00,month
anna,Anna,research,openai/gpt-4o* anthropic/*,20,month`;

export function BulkKeys({ session }) {
  const [text, setText] = useState("");
  const [made, setMade] = useState([]);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const { keys, fault } = text.trim() ? readKeys(text) : {};
  const readFile = async (event) => setText((await event.target.files[0]?.text()) ?? "");

  // One after the other: what was made before a fault stays made, and is shown.
  const make = async () => {
    setBusy(true);
    setError(null);
    const done = [];
    try {
      for (const body of keys.slice(made.length)) {
        const { id, name, key } = await session.api.post("/keys", body);
        done.push({ id, name, key });
        setMade([...made, ...done]);
      }
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  const save = () => download("llm-bridge-keys.csv", toCsv([["id", "name", "key"], ...made.map(({ id, name, key }) => [id, name, key ?? ""])]));
  const isDone = keys && made.length === keys.length;

  return (
    <View title={t("keys.bulk")} actions={<a class="button" href={link("keys")}>{t("view.keys")}</a>}>
      <div class="stack narrow">
        <p>{t("bulk.text", { columns: COLUMNS.join(", ") })}</p>
        <Code text={EXAMPLE} label={t("bulk.example")} />
        <Field label={t("bulk.file")} type="file" accept=".csv,text/csv" onChange={readFile} disabled={made.length > 0} />
        <Field label={t("bulk.paste")} as="textarea" value={text} onInput={(event) => setText(event.target.value)} spellcheck={false} class="mono" readOnly={made.length > 0}
          fault={fault && t(`bulk.fault.${fault.kind}`, fault)} />
        <ErrorNotice error={error} />
        {error && <Notice kind="warn" title={t("bulk.stopped", { n: count(made.length), row: count(made.length + 2) })}>{t("bulk.stopped.text")}</Notice>}
        {made.length > 0 && <Notice title={t("bulk.made", { n: count(made.length) })}>{t("key.once.text")}</Notice>}
        <p class="row">
          {!isDone && <button type="button" class="button main" disabled={!keys || isBusy || !session.may_change} onClick={make}>{t("bulk.make", { n: count((keys?.length ?? 0) - made.length) })}</button>}
          {made.length > 0 && <button type="button" class="button" onClick={save}>{t("bulk.save")}</button>}
        </p>
      </div>
    </View>
  );
}
