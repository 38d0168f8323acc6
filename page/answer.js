// The answer: a face, one line of words, a bar for each emotion, and the timeline of a longer recording.
// Runs with `element`, `props` and `watch` of gradio's HTML component; draws what page/answer.py describes.

const texts = chooseTexts(props.texts);
const root = element.querySelector(".answer");
const find = (name) => root.querySelector(`.${name}`);
let drawnWidth = 0; // of the timeline, in pixels
const rows = new Map(); // emotion -> its bar, kept from answer to answer so that it moves

translateStatics();
draw();
watch(["value", "emotions"], draw);
new ResizeObserver(redrawAtNewWidth).observe(find("timeline"));
find("timeline-chart").addEventListener("pointermove", showMoment);
find("timeline-chart").addEventListener("pointerleave", hideMoment);

function fill(text, words) {
  return text.replace(/{(\w+)}/g, (_, key) => words[key]);
}

function nameOf(emotion) {
  return texts[emotion] ?? emotion;
}

function percent(probability) {
  return probability.toLocaleString(navigator.language, { style: "percent" });
}

function translateStatics() {
  for (const part of root.querySelectorAll("[data-text]")) part.textContent = texts[part.dataset.text];
}

function draw() {
  const answer = props.value;
  root.dataset.state = answer.state;
  const named = answer.ranking.slice(0, answer.unsure ? 2 : 1).map(({ emotion }) => emotion);
  find("answer-faces").replaceChildren(...(named.length > 0 ? named : [answer.state]).map(drawFace));
  const [title, explanation] = describe(answer);
  find("answer-title").textContent = title;
  find("answer-detail").textContent = explanation;
  find("answer-advice").textContent = answer.advice.map((key) => texts[key]).join(" ");
  if (answer.state !== "thinking") drawBars(answer.ranking); // until then the former bars stay
  drawChart(answer);
  drawTable(answer.segments);
}

function describe(answer) {
  if (answer.state === "problem") return [texts.problem, texts[answer.message] ?? answer.message];
  if (answer.state !== "answer") return [texts[answer.state], texts[`${answer.state}_detail`] ?? ""];
  const [first, second = first] = answer.ranking;
  const number = answer.duration.toLocaleString(navigator.language, { maximumFractionDigits: 1 });
  const words = {
    first: nameOf(first.emotion),
    second: nameOf(second.emotion),
    percent: percent(first.probability),
    second_percent: percent(second.probability),
    seconds: fill(texts.seconds, { number }),
  };
  const verdict = answer.unsure ? "unsure" : "sounds";
  return [fill(texts[verdict], words), fill(texts[`${verdict}_detail`], words)];
}

function drawBars(ranking) {
  const ranked = ranking.map(({ emotion }) => emotion);
  const others = [...props.emotions, ...rows.keys()].filter((emotion) => !ranked.includes(emotion));
  ranking.forEach(({ emotion, probability }, rank) => drawBar(emotion, rank, probability, percent(probability)));
  new Set(others).forEach((emotion) => drawBar(emotion, rows.size, 0, ""));
}

function drawBar(emotion, rank, share, value) {
  const row = rows.get(emotion) ?? addRow(emotion);
  row.style.setProperty("--rank", rank);
  row.style.setProperty("--share", share);
  row.querySelector(".bar-value").textContent = value;
}

function addRow(emotion) {
  const row = document.createElement("li");
  row.className = "bar";
  row.dataset.emotion = emotion;
  row.innerHTML = '<span class="bar-name"></span><span class="bar-track"><span></span></span><span class="bar-value"></span>';
  row.prepend(drawFace(emotion));
  row.querySelector(".bar-name").textContent = nameOf(emotion);
  rows.set(emotion, row);
  find("answer-bars").append(row);
  return row;
}

function drawChart(answer) {
  const timeline = find("timeline");
  timeline.hidden = answer.segments.length < 2;
  if (timeline.hidden) return;
  const chart = find("timeline-chart");
  drawnWidth = chart.clientWidth;
  chart.replaceChildren(drawTimeline(answer, drawnWidth, nameOf));
  const runs = speechRuns(answer.segments).flatMap(dominantStretches).map(({ emotion, start, end }) =>
    fill(texts.timeline_run, { emotion: nameOf(emotion), start: formatClock(start), end: formatClock(end) }),
  );
  chart.setAttribute("aria-label", fill(texts.timeline_description, { runs: runs.join(", ") }));
  hideMoment();
}

function redrawAtNewWidth() {
  if (find("timeline-chart").clientWidth !== drawnWidth) drawChart(props.value);
}

function drawTable(segments) {
  find("timeline-rows").replaceChildren(
    ...segments.map((segment) => {
      const [emotion, probability] = strongest(segment);
      const row = document.createElement("tr");
      const span = `${formatClock(segment.start)} – ${formatClock(segment.end)}`;
      const cells = segment.speech ? [span, nameOf(emotion), percent(probability)] : [span, texts.no_voice, ""];
      row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return row;
    }),
  );
}

function showMoment(event) {
  const chart = find("timeline-chart");
  const { left, width } = chart.getBoundingClientRect();
  const { segments, duration } = props.value;
  const time = (duration * Math.min(Math.max(event.clientX - left, 0), width)) / width;
  const segment = segmentAt(segments, time);
  const strongestTwo = Object.entries(segment.scores).sort((a, b) => b[1] - a[1]).slice(0, 2);
  const words = strongestTwo.map(([emotion, probability]) => `${nameOf(emotion)} ${percent(probability)}`);
  find("timeline-note").textContent = `${formatClock(time)} · ${segment.speech ? words.join(", ") : texts.no_voice}`;
  find("timeline-cursor").style.left = `${(100 * time) / duration}%`;
  find("timeline-cursor").hidden = false;
}

function hideMoment() {
  find("timeline-note").textContent = texts.timeline_note;
  find("timeline-cursor").hidden = true;
}
