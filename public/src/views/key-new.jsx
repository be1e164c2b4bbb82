// Makes a key, and shows its text once.

import { useState } from "preact/hooks";
import { View } from "../frame.jsx";
import { Code } from "../parts/code.jsx";
import { ErrorNotice, Notice } from "../parts/notice.jsx";
import { Snippets } from "../parts/snippets.jsx";
import { link } from "../router.js";
import { t } from "../words/index.js";
import { useLoad } from "../parts/load.jsx";
import { KeyFields, bodyOfTexts, textsOf } from "./key-fields.jsx";

export function NewKey({ session }) {
  const [texts, setTexts] = useState(textsOf());
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const [made, setMade] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      setMade(await session.api.post("/keys", bodyOfTexts(texts, false)));
    } catch (fault) {
      setError(fault);
    }
    setBusy(false);
  };
  return (
    <View title={t("keys.make")} actions={<a class="button" href={link("keys")}>{t("view.keys")}</a>}>
      {made ? <MadeKey session={session} made={made} /> : (
        <form class="stack narrow" onSubmit={submit}>
          <KeyFields texts={texts} onChange={setTexts} fault={error} />
          <ErrorNotice error={error} />
          <p><button class="button main" disabled={isBusy || !session.may_change}>{t("keys.make")}</button></p>
        </form>
      )}
    </View>
  );
}

/** The text of a key that was just made or rotated, and how clients use it. */
export function MadeKey({ session, made }) {
  const models = useLoad((signal) => session.api.get("/models", {}, signal), []);
  return (
    <div class="stack narrow">
      <Notice title={t("key.once")}>{t("key.once.text")}</Notice>
      <Code text={made.key} label={t("key.text")} />
      {models.data && <Snippets apiKey={made.key} model={modelFor(made, models.data.models.data)} />}
      <p><a href={link("keys", { id: made.id })}>{made.name ?? made.id}</a></p>
    </div>
  );
}

/** A model that the key may call and that can be called, for the snippets. */
function modelFor({ models: patterns }, all) {
  const matches = (pattern, id) => new RegExp(`^${pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`, "i").test(id);
  const callable = all.filter((model) => model.available && !model.id.includes("*"));
  return callable.find(({ id }) => !patterns || patterns.some((pattern) => matches(pattern, id)))?.id ?? patterns?.[0] ?? "demo/echo";
}
