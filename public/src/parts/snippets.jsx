// The ways to call the gateway with a key, one at a time.

import { useState } from "preact/hooks";
import { snippets } from "../snippets.js";
import { t } from "../words/index.js";
import { Code } from "./code.jsx";
import { Choices } from "./field.jsx";

export function Snippets({ apiKey, model }) {
  const all = snippets({ origin: location.origin, key: apiKey, model });
  const [name, setName] = useState(all[0][0]);
  return (
    <div class="stack">
      <Choices label={t("snippets")} value={name} options={all.map(([client]) => [client, client])} onChange={setName} />
      <Code text={all.find(([client]) => client === name)[1]} label={name} />
    </div>
  );
}
