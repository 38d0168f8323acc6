// What all of the page's scripts share: words and numbers in the visitor's language.

const texts = chooseTexts(allTexts, navigator.languages);

function chooseTexts(byLanguage, wanted) {
  const known = wanted.map((locale) => locale.split("-")[0]).find((language) => language in byLanguage);
  return { ...byLanguage.en, ...byLanguage[known] };
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
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = fileName;
    link.click();
  });
  return link;
}
