// The door: asks for a key.

import { useEffect, useState } from "preact/hooks";
import { IDENTITY, signIn } from "./session.js";
import { Field } from "./parts/field.jsx";
import { Logo } from "./parts/icons.jsx";
import { ErrorNotice, Notice } from "./parts/notice.jsx";
import { LanguageChoice } from "./frame.jsx";
import { t } from "./words/index.js";

/** `reason` says why an earlier session ended. */
export function SignIn({ reason, onSession, onSignedOut, onLanguage }) {
  const [key, setKey] = useState("");
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => void (document.title = `${t("sign-in")} · LLM Bridge`));

  const open = async (text) => {
    setBusy(true);
    setError(null);
    try {
      onSession(await signIn(text, onSignedOut));
    } catch (fault) {
      setError(fault);
      setBusy(false);
    }
  };
  const submit = (event) => {
    event.preventDefault();
    if (key.trim()) open(key.trim());
  };

  return (
    <main class="door">
      <div>
        <div class="row spread">
          <h1 class="brand"><Logo /> LLM Bridge</h1>
          <LanguageChoice onLanguage={onLanguage} />
        </div>
        {reason && !error && <Notice kind="warn" title={t("session.ended")}><span lang="en">{reason.message}</span></Notice>}
        <ErrorNotice error={error} />
        <form onSubmit={submit}>
          {/* A password manager may keep the key: it asks, and the page never stores it beyond the tab. */}
          <Field label={t("sign-in.key")} hint={t("sign-in.hint")} type="password" autocomplete="current-password" spellcheck={false} autofocus value={key} onInput={(event) => setKey(event.target.value)} />
          <div class="choices">
            <button class="button main" disabled={isBusy || !key.trim()}>{t("sign-in")}</button>
            <button type="button" class="button plain" disabled={isBusy} onClick={() => open(IDENTITY)}>{t("sign-in.access")}</button>
          </div>
        </form>
        <p class="small soft">{t("sign-in.local")} <code>sk-llm-bridge-admin-dev</code></p>
      </div>
    </main>
  );
}
