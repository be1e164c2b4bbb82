// The geometry of a chart of bars: no markup, so that it can be read and tested alone.

/** A round number that is at least `value`, and the steps up to it. */
export function scale(value, steps = 3) {
  if (!(value > 0)) return { top: 1, ticks: [0] };
  const raw = value / steps;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const count = Math.ceil(value / step - 1e-9);
  return { top: step * count, ticks: Array.from({ length: count + 1 }, (_, n) => n * step) };
}

/** The indices of the labels that fit below `count` bars of a chart this wide. */
export function labelled(count, width, each = 64) {
  const most = Math.max(1, Math.floor(width / each));
  const every = Math.ceil(count / most);
  return Array.from({ length: Math.ceil(count / every) }, (_, n) => n * every);
}
