// Fields of forms, each with its label, a hint, and what is wrong with it.

import { useId } from "preact/hooks";

/** A labelled input. `as` is the element: input, select or textarea. */
export function Field({ label, hint, fault, as: Element = "input", children, class: kind = "", ...rest }) {
  const id = useId();
  const notes = [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(" ");
  return (
    <div class={`field ${kind}`}>
      <label for={id}>{label}</label>
      <Element id={id} aria-describedby={notes || undefined} aria-invalid={fault ? "true" : undefined} {...rest}>
        {children}
      </Element>
      {hint && <span class="hint" id={`${id}-hint`}>{hint}</span>}
      {fault && <span class="fault" id={`${id}-fault`}>{fault}</span>}
    </div>
  );
}

/** A choice of a few, all of them visible. */
export function Choices({ label, value, options, onChange }) {
  return (
    <div class="tabs" role="group" aria-label={label}>
      {options.map(([name, text]) => (
        <button key={name} type="button" aria-pressed={name === value} onClick={() => onChange(name)}>
          {text}
        </button>
      ))}
    </div>
  );
}
