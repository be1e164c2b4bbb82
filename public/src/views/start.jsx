// First steps: keys of providers, a first call without any, and how clients call the gateway.

import { useState } from "preact/hooks";
import { errorOf, send } from "../api.js";
import { View } from "../frame.jsx";
import { Code } from "../parts/code.jsx";
import { Loaded, useLoad } from "../parts/load.jsx";
import { ErrorNotice, Notice } from "../parts/notice.jsx";
import { Snippets } from "../parts/snippets.jsx";
import { Table } from "../parts/table.jsx";
import { link } from "../router.js";
import { t } from "../words/index.js";

/** Whether a provider can be called with a key that the operator has set. */
export const isReady = (provider) => provider.keys > 0;
const isRemote = (provider) => provider.host !== null;

export function Start({ session }) {
  const loaded = useLoad((signal) => session.api.get("/models", {}, signal), []);
  return (
    <View title={t("view.start")}>
      <Loaded of={loaded}>{(models) => <Steps session={session} models={models} />}</Loaded>
    </View>
  );
}

function Steps({ session, models }) {
  const remote = models.providers.filter(isRemote);
  const ready = remote.filter(isReady);
  return (
    <>
      {ready.length === 0 && <Notice title={t("start.none")}>{t("start.none.text")}</Notice>}
      <Notes notes={session.notes} />
      <ol class="steps">
        <li><div>
          <h2>{t("start.try")}</h2>
          <Trial session={session} models={models} />
        </div></li>
        <li><div>
          <h2>{t("start.providers")}</h2>
          <Providers providers={remote} />
        </div></li>
        <li><div>
          <h2>{t("start.next")}</h2>
          <p>{t("start.next.text")}</p>
          <p class="row"><a href={link("keys")}>{t("view.keys")}</a> <a href={link("models")}>{t("view.models")}</a> <a href={link("overview")}>{t("view.overview")}</a></p>
        </div></li>
      </ol>
    </>
  );
}

function Notes({ notes }) {
  if (notes.length === 0) return null;
  return (
    <Notice kind="warn" title={t("start.notes")}>
      <ul>{notes.map((note) => <li key={note.path + note.message}><code>{note.path}</code>: <span lang="en">{note.message}</span></li>)}</ul>
    </Notice>
  );
}

function Providers({ providers }) {
  const first = providers.find((provider) => provider.missing)?.missing;
  const columns = [
    { name: "provider", title: t("provider"), cell: (row) => row.name },
    { name: "host", title: t("host"), cell: (row) => <span class="soft">{row.host}</span> },
    { name: "variable", title: t("start.variable"), cell: (row) => row.key_variables.map((name) => <code key={name}>{name} </code>) },
    { name: "state", title: t("state"), cell: (row) => <ProviderState provider={row} /> },
  ];
  return (
    <>
      <p>{t("start.providers.text")}</p>
      <Table caption={t("start.providers")} columns={columns} rows={providers} keyOf={(row) => row.name} />
      {first && (
        <>
          <p>{t("start.local")}</p>
          <Code text={`${first}=sk-…`} label=".dev.vars" />
          <p>{t("start.deployed")}</p>
          <Code text={`npx wrangler secret put ${first}`} label="wrangler" />
        </>
      )}
    </>
  );
}

function ProviderState({ provider }) {
  if (provider.missing) return <span class="status none"><span>{t("start.not-set")}</span></span>;
  const text = provider.keys > 0 ? t("start.keys", { n: provider.keys }) : t("start.keyless");
  return <span class="status good"><span>{text}</span></span>;
}

/** The model that answers without a provider's key, if the configuration has one. */
const echoOf = (models) => models.models.data.find((model) => models.providers.some((provider) => provider.host === null && provider.name === model.owned_by))?.id;

/** Makes a key, which opens the models that cost nothing for a day, and sends a chat with it. */
function Trial({ session, models }) {
  const [made, setMade] = useState(null);
  const [answer, setAnswer] = useState(null);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const model = echoOf(models);
  if (!model) return <p>{t("start.no-echo")}</p>;
  if (!session.may_change) return <p>{t("start.reader")}</p>;

  const run = async (work) => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (fault) {
      setError(fault);
    }
    setBusy(false);
  };
  const make = () =>
    run(async () => {
      const tomorrow = Math.floor(Date.now() / 1000) + 86_400;
      setMade(await session.api.post("/keys", { name: t("start.key-name"), models: [`${model.split("/")[0]}/*`], expires_at: tomorrow }));
    });
  const call = () =>
    run(async () => {
      const body = { model, messages: [{ role: "user", content: "Hello!" }] };
      const response = await send("/v1/chat/completions", { method: "POST", key: made.key, body });
      if (!response.ok) throw await errorOf(response);
      setAnswer(JSON.stringify(await response.json(), null, 2));
    });

  return (
    <>
      <p>{t("start.try.text", { model })}</p>
      {!made && <p><button type="button" class="button main" disabled={isBusy} onClick={make}>{t("start.make")}</button></p>}
      {made && (
        <>
          <p>{t("start.made")}</p>
          <Code text={made.key} label={t("key.text")} />
          <Snippets apiKey={made.key} model={model} />
          <p><button type="button" class="button main" disabled={isBusy} onClick={call}>{t("start.call")}</button></p>
        </>
      )}
      <ErrorNotice error={error} />
      {answer && <Code text={answer} label={t("start.answer")} wraps />}
    </>
  );
}
