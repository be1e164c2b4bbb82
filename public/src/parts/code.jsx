// Text to copy.

import { useRef, useState } from "preact/hooks";
import { t } from "../words/index.js";
import { Icon } from "./icons.jsx";

export function CopyButton({ text, label = t("copy") }) {
  const [isCopied, setCopied] = useState(false);
  const timer = useRef();
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without https, browsers have no clipboard for pages: the text can be selected.
      return;
    }
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 2000);
  };
  return (
    <button type="button" class="button plain" onClick={copy} aria-label={isCopied ? t("copied") : label} title={label}>
      <Icon name={isCopied ? "check" : "copy"} />
    </button>
  );
}

/** A block of text with a button that copies it. */
export function Code({ text, label, wraps = false }) {
  return (
    <div class={`code ${wraps ? "wraps" : ""}`}>
      {/* A scrollable block has to be reachable by keyboard. */}
      <pre tabIndex={0} aria-label={label}>{text}</pre>
      <CopyButton text={text} label={label ? t("copy.what", { what: label }) : undefined} />
    </div>
  );
}
