// What a caller sees: the usage of their own key.

import { useState } from "preact/hooks";
import { errorOf, query, send } from "../api.js";
import { count, dayIn, money, shiftDay } from "../format.js";
import { View } from "../frame.jsx";
import { Choices } from "../parts/field.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty } from "../parts/notice.jsx";
import { Table } from "../parts/table.jsx";
import { Totals } from "../parts/totals.jsx";
import { t } from "../words/index.js";

const GROUPS = ["model", "provider", "day"];

export function Usage({ session, onSignedOut = () => {} }) {
  const [days, setDays] = useState("30");
  const [group, setGroup] = useState("model");
  // Days are those of the reporting zone, which the API says; the range ends today.
  const to = dayIn(session.usage.timezone);
  const load = async (signal) => {
    const params = { from: shiftDay(to, 1 - Number(days)), to, group_by: group };
    const response = await send(`/v1/usage${query(params)}`, { key: session.key, signal });
    if (response.ok) return response.json();
    const error = await errorOf(response);
    if (error.status === 401) onSignedOut(error);
    throw error;
  };
  const loaded = useLoad(load, [days, group]);
  const actions = <Choices label={t("range")} value={days} options={["1", "7", "30", "90"].map((n) => [n, t("range.days", { n })])} onChange={setDays} />;
  return (
    <View title={t("view.usage")} actions={actions}>
      <Loaded of={loaded}>{(usage) => <Report usage={usage} group={group} onGroup={setGroup} />}</Loaded>
    </View>
  );
}

const failures = (row) => Object.values(row.failures).reduce((sum, n) => sum + n, 0);

function Report({ usage, group, onGroup }) {
  const { totals, data } = usage;
  const columns = [
    { name: group, title: t(group), cell: (row) => row[group], isLong: true, sort: (row) => row[group] },
    { name: "requests", title: t("requests"), cell: (row) => count(row.requests), isNumber: true, sort: (row) => row.requests },
    { name: "failed", title: t("failed"), cell: (row) => count(failures(row)), isNumber: true, sort: failures },
    { name: "prompt", title: t("tokens.prompt"), cell: (row) => count(row.tokens.prompt), isNumber: true, sort: (row) => row.tokens.prompt },
    { name: "completion", title: t("tokens.completion"), cell: (row) => count(row.tokens.completion), isNumber: true, sort: (row) => row.tokens.completion },
    { name: "unpriced", title: t("unpriced"), cell: (row) => count(row.unpriced_requests), isNumber: true, sort: (row) => row.unpriced_requests },
    { name: "cost", title: t("cost"), cell: (row) => money(row.cost_nanos), isNumber: true, sort: (row) => row.cost_nanos },
  ];
  return (
    <>
      <Totals items={[
        [t("cost"), money(totals.cost_nanos), totals.unpriced_requests > 0 && t("unpriced.note", { n: count(totals.unpriced_requests) })],
        [t("requests"), count(totals.requests), failures(totals) > 0 && t("failed.note", { n: count(failures(totals)) })],
        [t("tokens.prompt"), count(totals.tokens.prompt)],
        [t("tokens.completion"), count(totals.tokens.completion)],
      ]} />
      <p class="soft small">{t("usage.days", { zone: usage.timezone, from: usage.from, to: usage.to })}</p>
      <Choices label={t("group-by")} value={group} options={GROUPS.map((name) => [name, t(name)])} onChange={onGroup} />
      {data.length === 0
        ? <Empty title={t("usage.none")}>{t("usage.none.text")}</Empty>
        : <Table caption={t("view.usage")} columns={columns} rows={data} keyOf={(row) => row[group]} sortBy={group === "day" ? "day" : "cost"} key={group} />}
    </>
  );
}
