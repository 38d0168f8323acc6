// Before anything else: the language that the visitor chose here becomes, to this page alone, that of the browser.

const LANGUAGE_KEY = "language"; // where the browser keeps the choice
obeyChoice();

function obeyChoice() {
  const chosen = rememberedLanguage();
  if (!chosen || navigator.language.startsWith(chosen)) return;
  Object.defineProperty(navigator, "language", { value: chosen });
  Object.defineProperty(navigator, "languages", { value: [chosen] });
}

function rememberedLanguage() {
  try {
    return localStorage.getItem(LANGUAGE_KEY);
  } catch {
    return null; // a browser may forbid to remember
  }
}
