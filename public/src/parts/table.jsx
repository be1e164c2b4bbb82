// Tables: a row per thing, the first cell of each names it.

import { useState } from "preact/hooks";
import { count } from "../format.js";
import { t } from "../words/index.js";

/** How many rows are shown at first. */
const MOST_ROWS = 100;

/**
 * `columns` are `{ name, title, cell, isNumber, isLong, sort }`; `cell(row)` is what is shown, and `sort(row)` a
 * number or a text to sort by, if the column can be sorted. `keyOf(row)` tells rows apart.
 */
export function Table({ caption, columns, rows, keyOf, sortBy = null }) {
  const [isWhole, setWhole] = useState(false);
  const [order, setOrder] = useState(sortBy && { name: sortBy, isDown: true });
  const by = order && columns.find((column) => column.name === order.name);
  const sorted = by ? [...rows].sort((a, b) => compare(by.sort(a), by.sort(b)) * (order.isDown ? -1 : 1)) : rows;
  // A browser takes long for thousands of rows, and nobody reads them.
  const shown = isWhole ? sorted : sorted.slice(0, MOST_ROWS);
  return (
    // A table that scrolls sideways has to be reachable by keyboard.
    <div class="table-box" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption class="hidden-text">{caption}</caption>
        <thead>
          <tr>{columns.map((column) => <Head key={column.name} column={column} order={order} onOrder={setOrder} />)}</tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column, index) => {
                const Cell = index === 0 ? "th" : "td";
                return <Cell key={column.name} scope={index === 0 ? "row" : undefined} class={kindOf(column)}>{column.cell(row)}</Cell>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length < sorted.length && <p class="more"><button type="button" class="button" onClick={() => setWhole(true)}>{t("table.all", { n: count(sorted.length) })}</button></p>}
    </div>
  );
}

function Head({ column, order, onOrder }) {
  const isOrder = order?.name === column.name;
  const turn = () => onOrder({ name: column.name, isDown: isOrder ? !order.isDown : true });
  return (
    <th scope="col" class={kindOf(column)} aria-sort={isOrder ? (order.isDown ? "descending" : "ascending") : undefined}>
      {column.sort ? (
        <button type="button" class="sort" onClick={turn} title={t("table.sort")}>
          {column.title} <span aria-hidden="true">{isOrder ? (order.isDown ? "↓" : "↑") : ""}</span>
        </button>
      ) : column.title}
    </th>
  );
}

const kindOf = (column) => [column.isNumber && "number", column.isLong && "long"].filter(Boolean).join(" ") || undefined;

/** What is unknown comes last, whichever way. */
function compare(a, b) {
  if (a == null || b == null) return (a == null ? 0 : 1) - (b == null ? 0 : 1);
  return typeof a === "string" ? a.localeCompare(b) : a - b;
}
