// The frame around every view: the list of views, who is signed in, and the reader's preferences.

import { useEffect, useRef, useState } from "preact/hooks";
import { Icon, Logo } from "./parts/icons.jsx";
import { LANGUAGES, THEMES, applyTheme, keepLanguage, language, theme } from "./preferences.js";
import { link } from "./router.js";
import { t } from "./words/index.js";

export function LanguageChoice({ onLanguage }) {
  const choose = (event) => {
    keepLanguage(event.target.value);
    onLanguage(event.target.value);
  };
  return (
    <select aria-label={t("language")} value={language()} onChange={choose} class="language">
      {Object.entries(LANGUAGES).map(([tag, name]) => <option key={tag} value={tag} lang={tag}>{name}</option>)}
    </select>
  );
}

function ThemeChoice() {
  const [name, setName] = useState(theme());
  const choose = (event) => {
    applyTheme(event.target.value);
    setName(event.target.value);
  };
  return (
    <select aria-label={t("theme")} value={name} onChange={choose}>
      {THEMES.map((known) => <option key={known} value={known}>{t(`theme.${known}`)}</option>)}
    </select>
  );
}

function Who({ session }) {
  const role = session.kind === "caller" ? "role.caller" : session.may_change ? "role.admin" : "role.reader";
  const name = session.actor ?? session.usage?.data?.[0]?.key_id;
  return (
    <div class="small stack tight">
      <span class="soft">{t(role)}</span>
      {name && <code class="who" title={name}>{name}</code>}
    </div>
  );
}

/** `groups` are the views: lists of names with a title. `current` is the name of the present one. */
export function Frame({ session, groups, current, onSignOut, onLanguage, children }) {
  const [isOpen, setOpen] = useState(false);
  const main = useRef();
  const isFirst = useRef(true);
  useEffect(() => {
    setOpen(false);
    // Readers of the screen and the keyboard go on at the new view, not at the end of the list.
    if (!isFirst.current) main.current.focus({ preventScroll: true });
    isFirst.current = false;
    scrollTo(0, 0);
  }, [current]);
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={skip}>{t("skip")}</a>
      <header class={`side ${isOpen ? "is-open" : ""}`}>
        <div class="side-top">
          <a class="brand" href={link(groups[0].views[0])}><Logo /> LLM Bridge</a>
          <button type="button" class="button plain menu-button" aria-expanded={isOpen} aria-label={t("menu")} onClick={() => setOpen(!isOpen)}>
            <Icon name={isOpen ? "close" : "menu"} />
          </button>
        </div>
        <nav aria-label={t("views")}>
          {groups.map(({ title, views }) => (
            <div key={title}>
              {title && <h2>{title && t(title)}</h2>}
              <ul>
                {views.map((name) => (
                  <li key={name}>
                    <a href={link(name)} aria-current={name === current ? "page" : undefined}><Icon name={name} /> {t(`view.${name}`)}</a>
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </nav>
        <div class="side-foot">
          <Who session={session} />
          <div class="pair">
            <LanguageChoice onLanguage={onLanguage} />
            <ThemeChoice />
          </div>
          <button type="button" class="button" onClick={onSignOut}>{t("sign-out")}</button>
        </div>
      </header>
      <main id="main" tabIndex={-1} ref={main}>{children}</main>
    </div>
  );
}

/** The head and the body of a view. */
export function View({ title, actions, children }) {
  useEffect(() => void (document.title = `${title} · LLM Bridge`), [title]);
  return (
    <>
      <header class="view-head">
        <h1>{title}</h1>
        {actions && <div class="row">{actions}</div>}
      </header>
      <div class="view-body">{children}</div>
    </>
  );
}
