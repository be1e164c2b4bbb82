// A question before something happens, or a form. The browser's own dialog keeps the keyboard inside, and Escape closes
// it.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../words/index.js";
import { ErrorNotice } from "./notice.jsx";

/**
 * `onAction` does what `action` says; if it fails, its error is shown, and the dialog stays. Without an action, there is
 * only a button that closes.
 */
export function Dialog({ title, action, onAction, isDangerous = false, isReady = true, onClose, children }) {
  const element = useRef();
  const id = useId();
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => element.current.showModal(), []);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      if ((await onAction()) !== false) onClose();
    } catch (fault) {
      setError(fault);
    }
    setBusy(false);
  };
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return (
    <dialog ref={element} aria-labelledby={id} onCancel={cancel}>
      <form class="stack" onSubmit={submit}>
        <h2 id={id}>{title}</h2>
        {children}
        <ErrorNotice error={error} />
        <div class="ends">
          <button type="button" class="button" onClick={onClose}>{t(action ? "cancel" : "close")}</button>
          {action && <button class={`button ${isDangerous ? "danger" : "main"}`} disabled={isBusy || !isReady}>{action}</button>}
        </div>
      </form>
    </dialog>
  );
}
