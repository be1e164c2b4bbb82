// The choice of a range of days, in the address.

import { RANGES } from "../periods.js";
import { refine } from "../router.js";
import { t } from "../words/index.js";
import { Choices } from "./field.jsx";

export function RangeChoice({ range }) {
  const day = (name) => (event) => event.target.value && refine({ from: range.from, to: range.to, [name]: event.target.value, days: undefined });
  return (
    <>
      <input type="date" class="day" aria-label={t("from")} value={range.from} max={range.to} onChange={day("from")} />
      <span class="soft" aria-hidden="true">–</span>
      <input type="date" class="day" aria-label={t("to")} value={range.to} min={range.from} onChange={day("to")} />
      <Choices label={t("range")} value={range.days} options={RANGES.map((n) => [n, n === "1" ? t("today") : t("range.days", { n })])} onChange={(days) => refine({ days, from: undefined, to: undefined })} />
    </>
  );
}
