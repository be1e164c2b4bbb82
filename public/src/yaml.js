// Writes values as YAML, for people to read.

const isPlain = (text) => /^[A-Za-z_/][\w./ -]*$/.test(text) && !/^(true|false|null|yes|no|on|off)$/i.test(text) && !text.endsWith(" ");
const scalar = (value) => (typeof value === "string" ? (isPlain(value) ? value : JSON.stringify(value)) : String(value));
const isEmpty = (value) => Object.keys(value).length === 0;

/** The lines of a value, each without its line break. */
function lines(value) {
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      const [first, ...rest] = isInline(item) ? [inline(item)] : lines(item);
      return [`- ${first}`, ...rest.map((line) => `  ${line}`)];
    });
  }
  return Object.entries(value).flatMap(([name, item]) => (isInline(item) ? [`${scalar(name)}: ${inline(item)}`] : [`${scalar(name)}:`, ...lines(item).map((line) => `  ${line}`)]));
}

const isScalar = (value) => value === null || typeof value !== "object";
/** Whether a value fits into the line of its name. */
const isInline = (value) => isScalar(value) || isEmpty(value) || (Array.isArray(value) && value.every(isScalar));
const inline = (value) => (isScalar(value) ? scalar(value) : Array.isArray(value) ? `[${value.map(scalar).join(", ")}]` : "{}");

/** A value as YAML. */
export const toYaml = (value) => (isInline(value) ? inline(value) : lines(value).join("\n"));
