// The language switch, how often the model is right on new voices, and what gradio leaves to the page: its title in the
// visitor's language, tabs by arrow keys, and errors where their answer was awaited.
// Runs with `element` of gradio's HTML component.

const ERROR = ".toast-body.error";
const KEYS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

element.querySelector(".header").append(makeLanguageSwitch());
tellTruth();
watch("value", tellTruth);
keepTitle();
new MutationObserver(keepTitle).observe(document.head, { childList: true, subtree: true, characterData: true });
document.addEventListener("keydown", changeTab);
new MutationObserver(tellFailure).observe(document.body, { childList: true, subtree: true });

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

// gradio tells an error in a corner of the page: only where no part of it does.
function tellFailure(changes) {
  const added = changes.flatMap(({ addedNodes }) => [...addedNodes]);
  const toast = added.map((part) => part.closest?.(ERROR) ?? part.querySelector?.(ERROR)).find(Boolean);
  if (toast) toast.style.display = recording.dispatchEvent(new Event("failed", { cancelable: true })) ? "" : "none";
}
