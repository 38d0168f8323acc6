// The language switch, how often the model is right on new voices, and what gradio leaves to the page: its title in the
// visitor's language, and tabs by arrow keys.
// Runs with `element` of gradio's HTML component.

const KEYS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

element.querySelector(".header").append(makeLanguageSwitch());
tellTruth();
watch("value", tellTruth);
keepTitle();
new MutationObserver(keepTitle).observe(document.head, { childList: true, subtree: true, characterData: true });
document.addEventListener("keydown", changeTab);

function tellTruth() {
  const figures = props.value?.never_heard;
  const line = element.querySelector(".header-truth");
  line.hidden = !figures;
  if (figures) line.textContent = fill(texts.truth, neverHeardWords(figures));
}

function keepTitle() {
  if (document.title !== texts.title) document.title = texts.title;
}

function changeTab(event) {
  const step = KEYS[event.key];
  if (!step || event.target.role !== "tab") return;
  const tabs = [...event.target.closest("[role=tablist]").querySelectorAll("[role=tab]")].filter((tab) => tab.offsetWidth > 0);
  const place = tabs.indexOf(event.target) + step;
  const next = Number.isFinite(step) ? tabs.at(place % tabs.length) : tabs.at(step < 0 ? 0 : -1);
  event.preventDefault();
  next.click();
  next.focus();
}
