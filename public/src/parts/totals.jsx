// A few totals in a row, each with a remark on what it leaves out.

export function Totals({ items }) {
  return (
    <dl class="totals">
      {items.map(([name, value, note]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="number">{value}</dd>
          {note && <dd class="small soft note">{note}</dd>}
        </div>
      ))}
    </dl>
  );
}
