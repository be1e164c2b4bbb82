// A chart of bars over time, as SVG. The same figures are in the table below it, which readers of the screen get
// instead, so the chart itself is hidden from them.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { labelled, scale } from "../chart.js";

const HEIGHT = 150;
const FOOT = 18;
const SIDE = 52;

/**
 * `points` are `{ label, title, value, bad, to }`: `value` is the height (null where nothing is known), `bad` the part
 * of it that failed, `to` where a click leads. `format` writes a value.
 */
export function Chart({ points, format }) {
  const box = useRef();
  const [width, setWidth] = useState(600);
  useLayoutEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.max(200, entry.contentRect.width)));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  const [at, setAt] = useState(null);
  const { top, ticks } = scale(Math.max(0, ...points.map((point) => point.value ?? 0)));
  const plot = HEIGHT - FOOT - 8;
  const y = (value) => 8 + plot * (1 - value / top);
  const step = (width - SIDE) / points.length;
  const gap = step > 6 ? Math.min(3, step * 0.2) : 0;
  const shown = at === null ? null : points[at];
  return (
    <div class="chart" ref={box} aria-hidden="true">
      <p class="chart-at small">{shown ? <><span class="soft">{shown.title}</span> <span class="number">{format(shown.value)}</span></> : "\u00a0"}</p>
      <svg width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} onMouseLeave={() => setAt(null)}>
        {ticks.map((tick) => (
          <g key={tick}>
            <line class="grid" x1={SIDE} x2={width} y1={y(tick)} y2={y(tick)} />
            <text x={SIDE - 8} y={y(tick) + 4} text-anchor="end">{format(tick)}</text>
          </g>
        ))}
        {points.map((point, index) => {
          const x = SIDE + index * step;
          const isShown = index === at;
          return (
            <g key={index} class="at" onMouseEnter={() => setAt(index)} onClick={() => (location.hash = point.to)}>
              <rect class="hit" x={x} y={0} width={step} height={HEIGHT - FOOT} />
              {point.value > 0 && <rect class={isShown ? "bar is-shown" : "bar"} x={x + gap / 2} width={Math.max(0.5, step - gap)} y={Math.min(y(point.value), y(0) - 1)} height={Math.max(1, y(0) - y(point.value))} />}
              {point.bad > 0 && <rect class="bar-bad" x={x + gap / 2} width={Math.max(0.5, step - gap)} y={Math.min(y(point.bad), y(0) - 1)} height={Math.max(1, y(0) - y(point.bad))} />}
            </g>
          );
        })}
        {labelled(points.length, width - SIDE).map((index) => (
          <text key={index} x={SIDE + index * step + 1} y={HEIGHT - 3}>{points[index].label}</text>
        ))}
      </svg>
    </div>
  );
}
