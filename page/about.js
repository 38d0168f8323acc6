// About the model that is running: draws what page/about.py reads from the files beside its weights.

const root = element.querySelector(".about");
const find = (name) => root.querySelector(`.${name}`);
const languages = new Intl.DisplayNames([navigator.language], { type: "language" });

translateStatics(root);
find("about-scroll").setAttribute("aria-label", texts.about_confusion);
draw();
watch("value", draw);

function draw() {
  const about = props.value;
  if (!about) return;
  find("about-training-section").hidden = about.corpora.length === 0;
  find("about-training").textContent = fill(texts.about_training_text, {
    count: about.corpora.length,
    corpora: about.corpora.join(", "),
    speakers: about.speakers,
  });
  find("about-model").textContent = fill(texts.about_model_text, {
    name: about.name,
    parameters: about.parameters === null ? "?" : decimal(about.parameters),
    version: about.version,
  });
  find("about-never-heard").hidden = !about.never_heard;
  if (about.never_heard) find("about-never-heard").textContent = fill(texts.about_never_heard, neverHeardWords(about.never_heard));
  find("about-figures").hidden = !about.quality;
  if (about.quality) drawQuality(about.quality, about.never_heard);
  else find("about-quality").textContent = texts.about_no_figures;
}

function drawQuality(quality, neverHeard) {
  find("about-quality").textContent = fill(texts[quality.unseen ? "about_quality_text" : "about_quality_seen"], {
    clips: decimal(quality.clips),
    speakers: quality.speakers,
    uar: percent(quality.uar),
    chance: percent(1 / quality.labels.length),
  });
  const list = Object.entries(quality.by_language).map(([code, uar]) => `${languages.of(code)} ${percent(uar)}`);
  find("about-more").textContent = [
    fill(texts.about_languages, { list: list.join(", ") }),
    neverHeard
      ? fill(texts.about_cautious, { says: percent(quality.says) })
      : fill(texts.about_calibration, { error: percent(quality.calibration_error, 1), worst: percent(quality.worst_calibration_error, 1) }),
  ].join(" ");
  const recalls = Object.entries(quality.recall).sort((a, b) => b[1] - a[1]);
  find("about-recall").replaceChildren(...recalls.map(([emotion, recall]) => makeBar(emotion, recall, percent(recall))));
  root.querySelector("thead").replaceChildren(drawHeader(quality.labels));
  root.querySelector("tbody").replaceChildren(...quality.labels.map((label, index) => drawRow(quality.labels, index, quality.confusion[index])));
}

function drawHeader(labels) {
  const corner = makeElement("td", { className: "confusion-corner", textContent: texts.about_confusion_corner });
  return makeElement("tr", {}, corner, ...labels.map((label) => drawName(label, "col")));
}

function drawName(label, scope) {
  return makeElement("th", { scope }, drawFace(label), makeElement("span", { textContent: nameOf(label) }));
}

function drawRow(labels, index, shares) {
  const cells = shares.map((share, column) => {
    const cell = makeElement("td", { textContent: Math.round(100 * share) });
    cell.style.setProperty("--share", share);
    if (column === index) cell.className = "confusion-right";
    return cell;
  });
  return makeElement("tr", {}, drawName(labels[index], "row"), ...cells);
}
