// The form of a key: all of its fields, as texts.

import { bodyOf } from "../keys-csv.js";
import { Field } from "../parts/field.jsx";
import { t } from "../words/index.js";

const PERIODS = ["day", "week", "month", "total"];

/** The texts of the fields of a key, or of a new one. */
export function textsOf(key = {}) {
  const text = (value) => (value == null ? "" : String(value));
  return {
    name: text(key.name),
    owner: text(key.owner),
    parent: text(key.parent),
    models: (key.models ?? []).join(" "),
    budget: key.budget ? text(key.budget.amount_nanos / 1e9) : "",
    per: key.budget?.per ?? "month",
    fit: key.budget?.fit ?? false,
    requests_per_minute: text(key.requests_per_minute),
    tokens_per_minute: text(key.tokens_per_minute),
    concurrent_requests: text(key.concurrent_requests),
    expires_at: key.expires_at ? localTime(key.expires_at) : "",
    tags: Object.entries(key.metadata ?? {}).map(([name, value]) => `${name}=${value}`).join("\n"),
  };
}

/** A time as a field of a form wants it: by the reader's clock, without a zone. */
function localTime(text) {
  const date = new Date(text);
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

/** The body of a request with these texts; for a change, empty ones clear their field. */
export function bodyOfTexts(texts, isChange) {
  const { tags, expires_at: expires, ...rest } = texts;
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== ""));
  const body = bodyOf(given);
  if (expires) body.expires_at = new Date(expires).toISOString();
  const lines = tags.split("\n").map((line) => line.trim()).filter(Boolean);
  if (lines.length) body.metadata = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2).map((part) => part.trim())));
  if (!isChange) return body;
  const fields = ["name", "owner", "parent", "models", "budget", "requests_per_minute", "tokens_per_minute", "concurrent_requests", "expires_at", "metadata"];
  return Object.fromEntries(fields.map((name) => [name, body[name] ?? null]));
}

/** `fault` is the error of the API; its `param` names the field. */
export function KeyFields({ texts, onChange, fault }) {
  const set = (name) => (event) => onChange({ ...texts, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
  const faultOf = (...names) => (names.includes(fault?.param?.split(".")[0]) ? fault.message : undefined);
  const field = (name, more = {}) => <Field label={t(`field.${name}`)} value={texts[name]} onInput={set(name)} fault={faultOf(name)} autocomplete="off" spellcheck={false} {...more} />;
  const whole = { inputMode: "numeric", pattern: "[1-9][0-9]*", placeholder: t("no-limit") };
  return (
    <>
      <div class="pair">{field("name")}{field("owner")}</div>
      {field("models", { placeholder: t("all"), hint: t("field.models.hint") })}
      <div class="pair">
        {field("budget", { inputMode: "decimal", pattern: "[0-9]+([.][0-9]{1,9})?", placeholder: t("no-limit") })}
        <Field label={t("field.per")} as="select" value={texts.per} onChange={set("per")}>
          {PERIODS.map((name) => <option key={name} value={name}>{t(`per.${name}`)}</option>)}
        </Field>
      </div>
      <label class="row"><input type="checkbox" checked={texts.fit} onChange={set("fit")} /> {t("field.fit")}</label>
      <div class="pair">{field("requests_per_minute", whole)}{field("tokens_per_minute", whole)}{field("concurrent_requests", whole)}</div>
      <div class="pair">{field("expires_at", { type: "datetime-local" })}{field("parent", { hint: t("field.parent.hint") })}</div>
      {field("tags", { as: "textarea", hint: t("field.tags.hint"), fault: faultOf("metadata") })}
    </>
  );
}
