// What was spent, asked and answered in a range of days, against the days before, and by whom.

import { download } from "../csv.js";
import { count, duration, money, percent, period, short } from "../format.js";
import { View } from "../frame.jsx";
import { Chart } from "../parts/chart.jsx";
import { Choices } from "../parts/field.jsx";
import { Icon } from "../parts/icons.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { Empty, Notice } from "../parts/notice.jsx";
import { RangeChoice } from "../parts/range.jsx";
import { Table } from "../parts/table.jsx";
import { Totals } from "../parts/totals.jsx";
import { before, periods, rangeOf, resolutions } from "../periods.js";
import { link, refine } from "../router.js";
import { change, cost, failed, failureShare, isLeast, tokens } from "../sums.js";
import { t } from "../words/index.js";
import { Standing } from "./standing.jsx";

const FILTERS = ["key", "owner", "provider", "model", "tags"];

export function Overview({ session, params }) {
  if (!session.reporting) return <View title={t("view.overview")}><Empty title={t("reporting.off")}>{t("reporting.off.text")}</Empty></View>;
  return <Report session={session} params={params} />;
}

function Report({ session, params }) {
  const { api, timezone, tags } = session;
  const range = rangeOf(params, timezone);
  const { from, to } = range;
  const filters = Object.fromEntries(FILTERS.map((name) => [name, params[name]]));
  const steps = resolutions(range);
  const resolution = steps.includes(params.by) ? params.by : steps[0];
  const dimensions = ["model", "provider", "key", "owner", ...tags.map((name) => `tag.${name}`)];
  const group = dimensions.includes(params.group) ? params.group : "model";
  const report = (more, signal) => api.get("/reports", { from, to, ...filters, ...more }, signal);

  const inputs = [from, to, JSON.stringify(filters)];
  const series = useLoad((signal) => report({ resolution }, signal), [...inputs, resolution]);
  const earlier = useLoad((signal) => report({ ...before(range), resolution: "total" }, signal), inputs);
  // The group travels with its rows: those of an earlier choice stay until the new ones are there.
  const parts = useLoad(async (signal) => ({ group, ...(await report({ resolution: "total", group_by: group }, signal)) }), [...inputs, group]);
  const save = async (more) => download(`llm-bridge-${from}-${to}.csv`.replaceAll(":", ""), await api.text("/reports", { from, to, ...filters, ...more, format: "csv" }));

  return (
    <View title={t("view.overview")} actions={<RangeChoice range={range} zone={timezone} />}>
      <Standing session={session} />
      <Chips filters={filters} />
      <Loaded of={series}>
        {(data) => data.totals.requests === 0 ? <Nothing filters={filters} /> : (
          <>
            <Sums now={data.totals} then={earlier.data?.totals} days={{ from, to }} filters={filters} />
            {data.lost > 0 && <Notice kind="warn" title={t("lost", { n: count(data.lost) })}>{t("lost.text")}</Notice>}
            <Charts data={data} steps={steps} filters={filters} onSave={() => save({ resolution })} />
          </>
        )}
      </Loaded>
      {series.data?.totals.requests > 0 && (
        <section class="stack" aria-label={t("breakdown")}>
          <div class="row spread">
            <Choices label={t("group-by")} value={group} options={dimensions.map((name) => [name, dimensionName(name)])} onChange={(name) => refine({ group: name })} />
            <button type="button" class="button" onClick={() => save({ resolution: "total", group_by: group })}><Icon name="download" /> CSV</button>
          </div>
          <Loaded of={parts}>{(data) => <Breakdown data={data} group={data.group} filters={{ ...filters, from, to }} />}</Loaded>
        </section>
      )}
    </View>
  );
}

export const dimensionName = (name) => (name.startsWith("tag.") ? t("tag.name", { name: name.slice(4) }) : t(name));

function Nothing({ filters }) {
  const isFiltered = Object.values(filters).some(Boolean);
  return (
    <Empty title={t("overview.none")}>
      <span>{isFiltered ? t("overview.none.filtered") : t("overview.none.text")}</span>
      {!isFiltered && <a href={link("start")}>{t("view.start")}</a>}
    </Empty>
  );
}

/** The filters that hold, each with a button that drops it. */
export function Chips({ filters }) {
  const held = Object.entries(filters).filter(([, value]) => value);
  if (held.length === 0) return null;
  return (
    <ul class="row" aria-label={t("filters")}>
      {held.map(([name, value]) => (
        <li key={name} class="chip">
          <span class="soft">{t(name)}</span> <span>{value}</span>
          <button type="button" class="button plain" aria-label={t("filter.drop", { name: t(name) })} onClick={() => refine({ [name]: undefined })}><Icon name="close" /></button>
        </li>
      ))}
    </ul>
  );
}

function Sums({ now, then, days, filters }) {
  const versus = (name, of) => {
    const share = then && change(of(now), of(then));
    // From little to much, a share says nothing.
    if (share >= 10) return t("change.times", { n: short(Math.round(share + 1)) });
    return share == null ? null : t("change", { n: `${share > 0 ? "+" : share < 0 ? "−" : ""}${percent(Math.abs(share))}` });
  };
  const notes = (...parts) => parts.filter(Boolean).join(" · ") || null;
  const bad = failed(now);
  const to = (more) => link("requests", { params: { ...filters, ...days, ...more } });
  const ttft = now.ttft_ms;
  return (
    <Totals items={[
      [t("cost"), <a href={to()}>{money(cost(now))}</a>, notes(versus("cost", cost), now.unpriced_requests > 0 && t("unpriced.note", { n: count(now.unpriced_requests) }))],
      [t("requests"), <a href={to()}>{short(now.requests)}</a>, versus("requests", (sums) => sums.requests)],
      [t("failed"), <a href={to({ outcome: "failed" })}>{percent(failureShare(now))}</a>, notes(bad > 0 && t("failed.note", { n: count(bad) }), versus("failed", failureShare))],
      [t("tokens"), <a href={to()}>{short(tokens(now, "prompt") == null ? null : now.tokens.prompt + now.tokens.completion)}</a>, notes(versus("tokens", (sums) => sums.tokens.prompt + sums.tokens.completion), now.unreported_requests > 0 && t("unreported.note", { n: count(now.unreported_requests) }))],
      [t("ttft.p50"), <a href={to()}>{duration(ttft.p50)}</a>, notes(ttft.p95 != null && t("p95", { n: duration(ttft.p95) }))],
    ]} />
  );
}

function Charts({ data, steps, filters, onSave }) {
  const { resolution } = data;
  const all = periods(data, resolution, data.timezone, data.data);
  const to = (at, more) => link("requests", { params: { ...filters, from: at.from, to: at.to, ...more } });
  const points = (value, bad) => all.map((at) => ({
    label: period(at.period, true),
    title: period(at.period),
    value: at.row ? value(at.row) : 0,
    bad: at.row && bad ? bad(at.row) : 0,
    to: to(at),
  }));
  const charts = [
    ["cost", points(cost), money],
    ["requests", points((row) => row.requests, failed), short],
    ["tokens", points((row) => tokens(row, "prompt") == null ? null : row.tokens.prompt + row.tokens.completion), short],
    ["ttft.p95", points((row) => row.ttft_ms.p95), duration],
  ];
  return (
    <section class="stack" aria-label={t("charts")}>
      <div class="row spread">
        <span class="soft small">{t("zone", { zone: data.timezone })}</span>
        {steps.length > 1 && <Choices label={t("resolution")} value={resolution} options={steps.map((name) => [name, t(`resolution.${name}`)])} onChange={(by) => refine({ by })} />}
      </div>
      <div class="charts">
        {charts.map(([name, shown, format]) => (
          <figure class="card" key={name}>
            <header><h2>{t(name)}</h2></header>
            <Chart points={shown} format={format} />
          </figure>
        ))}
      </div>
      <details class="table">
        <summary>{t("charts.table")}</summary>
        <div class="stack">
          <SeriesTable all={all} to={to} />
          <p><button type="button" class="button" onClick={onSave}><Icon name="download" /> CSV</button></p>
        </div>
      </details>
    </section>
  );
}

/**
 * A figure that leads to its requests: those that failed, if it counts these. `to` makes the link. What leads where the
 * name of the row leads is no further stop of the keyboard.
 */
function Figure({ column, row, to }) {
  const isOfFailed = column.name === "failed";
  return <a href={to(isOfFailed ? { outcome: "failed" } : {})} tabIndex={isOfFailed && failed(row) > 0 ? undefined : -1}>{column.cell(row)}</a>;
}

const COLUMNS = [
  { name: "cost", cell: (row) => `${isLeast(row) ? "≥ " : ""}${money(cost(row))}`, sort: cost },
  { name: "requests", cell: (row) => count(row.requests), sort: (row) => row.requests },
  { name: "failed", cell: (row) => count(failed(row)), sort: failed },
  { name: "tokens.prompt", cell: (row) => count(tokens(row, "prompt")), sort: (row) => tokens(row, "prompt") },
  { name: "tokens.completion", cell: (row) => count(tokens(row, "completion")), sort: (row) => tokens(row, "completion") },
  { name: "ttft.p50", cell: (row) => duration(row.ttft_ms.p50), sort: (row) => row.ttft_ms.p50 },
  { name: "ttft.p95", cell: (row) => duration(row.ttft_ms.p95), sort: (row) => row.ttft_ms.p95 },
];

function SeriesTable({ all, to }) {
  const shown = all.filter((at) => at.row).map((at) => ({ ...at.row, at }));
  const columns = [
    { name: "period", title: t("period"), cell: (row) => <a href={to(row.at)}>{period(row.period)}</a>, sort: (row) => row.period },
    ...COLUMNS.map((column) => ({ ...column, title: t(column.name), isNumber: true, cell: (row) => <Figure column={column} row={row} to={(more) => to(row.at, more)} /> })),
  ];
  return <Table caption={t("charts.table")} columns={columns} rows={shown} keyOf={(row) => row.period} sortBy="period" />;
}

function Breakdown({ data, group, filters }) {
  const most = Math.max(...data.data.map((row) => row.cost_nanos), 1);
  const valueOf = (row) => row.group[group];
  // Requests cannot be filtered by what has no value, nor by what was gathered under `(other)`.
  const to = (row, more) => {
    const value = valueOf(row);
    if (value == null || value.startsWith("(")) return undefined;
    const own = group.startsWith("tag.") ? { tags: [filters.tags, `${group.slice(4)}=${encodeURIComponent(value)}`].filter(Boolean).join(",") } : { [group]: value };
    return link("requests", { params: { ...filters, ...own, ...more } });
  };
  const columns = [
    { name: group, title: dimensionName(group), isLong: true, sort: (row) => valueOf(row) ?? "", cell: (row) => <a href={to(row)} title={valueOf(row)}>{valueOf(row) ?? <span class="soft">{t("without")}</span>}</a> },
    ...COLUMNS.filter((column) => column.name !== "ttft.p50").map((column) => ({
      ...column,
      title: t(column.name),
      isNumber: true,
      cell: (row) => (
        <>
          {column.name === "cost" && <span class="share" style={{ width: `${(60 * row.cost_nanos) / most}px` }} />}
          <Figure column={column} row={row} to={(more) => to(row, more)} />
        </>
      ),
    })),
  ];
  return <Table key={group} caption={t("breakdown.of", { name: dimensionName(group) })} columns={columns} rows={data.data} keyOf={(row) => String(valueOf(row))} sortBy="cost" />;
}
