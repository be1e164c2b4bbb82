// What is wrong, in words, and what to do about it; and what is said where there is nothing to show.

import { has, t } from "../words/index.js";
import { Icon } from "./icons.jsx";

/** What to do about an error: by its code, else by its status. */
function advice(error) {
  const names = [`advice.${error.code}`, `advice.${error.status}`, error.status >= 500 && "advice.5xx"];
  const known = names.find((name) => name && has(name));
  return known && t(known);
}

function title(error) {
  if (error.status === 0) return t("error.unreachable");
  if (error.status === undefined) return t("error.page");
  return t("error.status", { status: error.status });
}

/** An error of the gateway or of the page. */
export function ErrorNotice({ error, onRetry }) {
  if (!error) return null;
  return (
    <div class="notice bad" role="alert">
      <Icon name="warning" />
      <div>
        <strong>{title(error)}</strong>
        <span lang="en">{error.message}</span> <span>{advice(error)}</span>
        {error.requestId && <div class="small soft">{t("error.request", { id: error.requestId })}</div>}
      </div>
      {onRetry && (
        <button type="button" class="button" onClick={onRetry}>
          {t("retry")}
        </button>
      )}
    </div>
  );
}

export function Notice({ kind = "", title: head, children }) {
  return (
    <div class={`notice ${kind}`} role={kind ? "alert" : "note"}>
      <Icon name={kind ? "warning" : "info"} />
      <div>
        {head && <strong>{head}</strong>}
        {children}
      </div>
    </div>
  );
}

export function Empty({ title: head, children }) {
  return (
    <div class="empty">
      <strong>{head}</strong>
      {children}
    </div>
  );
}
