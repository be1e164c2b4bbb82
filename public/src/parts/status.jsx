// How a request ended, in a word with its status.

import { SERVED } from "../sums.js";
import { named } from "../words/index.js";

export function Status({ request }) {
  const { outcome, status, class: kind } = request;
  const tone = outcome === SERVED ? "good" : status >= 500 || status === 0 || outcome === "lost" ? "bad" : "warn";
  return (
    <span class={`status ${tone}`} title={kind ? named("class", kind) : undefined}>
      <span>{status || ""} {named("outcome", outcome)}</span>
    </span>
  );
}
