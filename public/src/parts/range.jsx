// The choice of a range of days, or of the last hour, in the address.

import { HOUR, RANGES, daysOf } from "../periods.js";
import { refine } from "../router.js";
import { t } from "../words/index.js";
import { Choices } from "./field.jsx";

/** `zone` is that of the days, and given if the last hour can be chosen. */
export function RangeChoice({ range, zone }) {
  const days = daysOf(range, zone);
  const day = (name) => (event) => event.target.value && refine({ ...days, [name]: event.target.value, days: undefined });
  const all = RANGES.map((n) => [n, n === "1" ? t("today") : t("range.days", { n })]);
  return (
    <>
      <input type="date" class="day" aria-label={t("from")} value={days.from} max={days.to} onChange={day("from")} />
      <span class="soft" aria-hidden="true">–</span>
      <input type="date" class="day" aria-label={t("to")} value={days.to} min={days.from} onChange={day("to")} />
      <Choices label={t("range")} value={range.days} options={zone ? [[HOUR, t("range.hour")], ...all] : all} onChange={(days) => refine({ days, from: undefined, to: undefined })} />
    </>
  );
}
