// The reader's choices of language and colours. They stay in the browser, and nothing of them is sent.

const read = (name) => {
  try {
    return localStorage.getItem(`llm-bridge.${name}`);
  } catch {
    return null;
  }
};

const write = (name, value) => {
  try {
    localStorage.setItem(`llm-bridge.${name}`, value);
  } catch {
    // A browser that stores nothing asks again next time.
  }
};

export const LANGUAGES = { en: "English", zh: "简体中文" };
export const THEMES = ["system", "light", "dark"];

/** The chosen language, or else the first of the browser's that there is. */
export function language() {
  const wanted = [read("language"), ...navigator.languages].filter(Boolean);
  return wanted.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag in LANGUAGES) ?? "en";
}

export const theme = () => (THEMES.includes(read("theme")) ? read("theme") : "system");
export const keepLanguage = (tag) => write("language", tag);

export function applyTheme(name = theme()) {
  write("theme", name);
  document.documentElement.dataset.theme = name;
}
