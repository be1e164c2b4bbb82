// The UTC offsets of time zones. The runtime has IANA's database and is kept up to date. A copy of it in the wasm
// would add 120 KB compressed (all zones as TZif files), and would have to be replaced whenever a government
// changes its clocks.

const DAY = 86_400_000;
const SECOND = 1_000;
const OFFSET = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/;

// The offsets of a zone between two times in milliseconds, as the JSON that `reports::Zone` reads; `undefined` if
// the runtime does not know the zone. A year takes about 2 ms. Two changes within 24 hours that undo
// each other would not be seen.
export function zoneOffsets(name, from, to) {
  const offsetAt = reader(name);
  if (!offsetAt) return undefined;
  const changes = [];
  const first = offsetAt(from);
  for (let [start, known] = [from, first]; start < to; start += DAY) {
    const end = Math.min(start + DAY, to);
    if (offsetAt(end) === known) continue;
    const at = firstAfter(start, end, (time) => offsetAt(time) !== known);
    known = offsetAt(at);
    changes.push({ at, offset: known });
  }
  return JSON.stringify({ first, changes });
}

// Reads a zone's offset at a time, in seconds east of UTC.
function reader(name) {
  let format;
  try {
    format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" });
  } catch {
    return undefined;
  }
  return (time) => {
    const [, sign, hours, minutes, seconds = 0] = OFFSET.exec(format.format(time)) ?? [];
    return sign ? Number(`${sign}1`) * (hours * 3_600 + minutes * 60 + Number(seconds)) : 0;
  };
}

// The first whole second after `low` at which a condition holds that holds at `high`, but not at `low`.
function firstAfter(low, high, holds) {
  while (high - low > SECOND) {
    const middle = low + Math.floor((high - low) / 2 / SECOND) * SECOND;
    [low, high] = holds(middle) ? [low, middle] : [middle, high];
  }
  return high;
}
