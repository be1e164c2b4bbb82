// Loads what a view shows, and shows that it loads or why it cannot.

import { useCallback, useEffect, useState } from "preact/hooks";
import { t } from "../words/index.js";
import { ErrorNotice } from "./notice.jsx";

/**
 * Calls `load` with an AbortSignal, again whenever `inputs` change. While that runs, the earlier data stay, so
 * that the view does not flicker.
 */
export function useLoad(load, inputs) {
  const [round, setRound] = useState(0);
  const wanted = JSON.stringify([inputs, round]);
  // Compared while drawing: an effect would mark the data as outdated only after they were drawn for the new inputs.
  const [{ data, error, loaded }, setState] = useState({ data: null, error: null, loaded: null });
  useEffect(() => {
    const controller = new AbortController();
    load(controller.signal).then(
      (data) => controller.signal.aborted || setState({ data, error: null, loaded: wanted }),
      (error) => controller.signal.aborted || setState((before) => ({ ...before, error, loaded: wanted })),
    );
    return () => controller.abort();
  }, [wanted]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  return { data, error, isLoading: loaded !== wanted, reload };
}

/** The children with the data of `useLoad`; above them the error, if there is one. */
export function Loaded({ of: { data, error, isLoading, reload }, children }) {
  return (
    <>
      <ErrorNotice error={error} onRetry={reload} />
      {data ? <div aria-busy={isLoading} class="stack wide">{children(data)}</div> : isLoading && <p class="loading" role="status">{t("loading")}</p>}
    </>
  );
}
