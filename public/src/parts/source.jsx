// Where a price comes from: a document of the catalogue with its date, or the operator's own row.

import { period } from "../format.js";
import { t } from "../words/index.js";

export function sourceText({ name, date, is_documented: isDocumented }) {
  if (!name) return t("source.own");
  return [period(date), t(isDocumented ? "documented" : "reported"), name].join(", ");
}
