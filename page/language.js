// What all of the page's scripts share: words and numbers in the visitor's language.

const language = navigator.languages.map((locale) => locale.split("-")[0]).find((code) => code in allTexts) ?? "en";
const texts = { ...allTexts.en, ...allTexts[language] };
document.documentElement.lang = language;

// A list of the languages; choosing one loads the page anew.
function makeLanguageSwitch() {
  const options = Object.entries(allTexts).map(([code, { language_name }]) =>
    makeElement("option", { value: code, textContent: language_name, lang: code, selected: code === language }),
  );
  const list = makeElement("select", {}, ...options);
  list.setAttribute("aria-label", texts.language);
  list.addEventListener("change", () => {
    localStorage.setItem(LANGUAGE_KEY, list.value);
    location.reload();
  });
  const holder = document.createElement("template");
  holder.innerHTML = '<svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="9.5"/><path d="M2.5 12h19M12 2.5c6 6 6 13 0 19c-6-6-6-13 0-19Z"/></svg>';
  return makeElement("div", { className: "language" }, holder.content.firstChild, list);
}

function fill(text, words) {
  return text.replace(/{(\w+)}/g, (_, key) => words[key]);
}

function nameOf(emotion) {
  return texts[emotion] ?? emotion;
}

const percentFormats = []; // by digits; making one takes longer than all the rest

function percent(share, digits = 0) {
  const options = { style: "percent", maximumFractionDigits: digits };
  percentFormats[digits] ??= new Intl.NumberFormat(navigator.language, options);
  return percentFormats[digits].format(share);
}

function decimal(number, digits = 1) {
  return number.toLocaleString(navigator.language, { maximumFractionDigits: digits });
}

function formatClock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// How long a recording is: "4.2 s", and "12:05" from a minute on.
function formatLength(seconds) {
  return seconds < 60 ? fill(texts.seconds_short, { number: decimal(seconds) }) : formatClock(seconds);
}

// How lively a voice is, from 0 to 1, behind other words; nothing where it is not known.
function remarkArousal(arousal) {
  return arousal === null || arousal === undefined ? "" : ` · ${fill(texts.arousal, { percent: percent(arousal) })}`;
}

// What an answer that is not sure may be otherwise, as a title: its candidates, or the two likeliest if it has but one.
function unsureBetween(candidates, ranked) {
  const emotions = (candidates.length > 1 ? candidates : ranked.slice(0, 2)).map(nameOf);
  const list = new Intl.ListFormat(navigator.language, { type: texts.unsure_list });
  return fill(texts.unsure, { emotions: list.format(emotions) });
}

// What is said of a recording in which somebody speaks: a title, and how sure that is.
function verdictOf({ ranking, unsure, candidates, duration, arousal }) {
  const [first] = ranking;
  const words = {
    first: nameOf(first.emotion),
    percent: percent(first.probability),
    length: formatLength(duration),
  };
  if (!unsure) return [fill(texts.sounds, words), fill(texts.sounds_detail, words) + remarkArousal(arousal)];
  return [unsureBetween(candidates, ranking.map(({ emotion }) => emotion)), texts.unsure_detail + remarkArousal(arousal)];
}

// What a file may be, for the words of `drop_formats`.
function limitsInWords({ max_minutes, max_megabytes }) {
  const inUnit = (number, unit, unitDisplay) =>
    new Intl.NumberFormat(navigator.language, { style: "unit", unit, unitDisplay }).format(number);
  return { minutes: inUnit(max_minutes, "minute", "long"), megabytes: inUnit(max_megabytes, "megabyte", "short") };
}

// Writes the words into elements whose data-text names them.
function translateStatics(root) {
  for (const part of root.querySelectorAll("[data-text]")) part.textContent = texts[part.dataset.text];
}

function makeElement(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

// A link that saves a text as a file, which is made when it is pressed.
function makeDownload(label, fileName, content, type) {
  const link = makeElement("a", { className: "download", href: "#", textContent: label });
  link.addEventListener("click", (event) => {
    if (link.href.startsWith("blob:")) return;
    event.preventDefault();
    link.href = URL.createObjectURL(new Blob(type === "text/csv" ? ["\ufeff", content] : [content], { type }));
    link.download = fileName;
    link.click();
  });
  return link;
}

// What the texts about corpora that the model never heard are filled with, of page/about.py's NeverHeard.
function neverHeardWords({ corpora, clips, speakers, labels, right, calibration_error }) {
  return {
    right: decimal(Math.round(10 * right)),
    labels: decimal(labels),
    clips: decimal(clips),
    speakers: decimal(speakers),
    corpora: corpora.join(", "),
    error: percent(calibration_error, 1),
  };
}
