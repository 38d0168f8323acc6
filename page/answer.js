// The answer: a face, one line of words, a bar for each emotion, and the timeline of a longer recording.
// Runs with `element`, `props` and `watch` of gradio's HTML component; draws what page/answer.py describes.

const root = element.querySelector(".answer");
const find = (name) => root.querySelector(`.${name}`);
const FILES = { csv: ["save_csv", "text/csv"], json: ["save_json", "application/json"], txt: ["save_labels", "text/plain"] };
let drawnWidth = 0; // of the timeline, in pixels
const rows = new Map(); // emotion -> its bar, kept from answer to answer so that it moves

translateStatics(root);
draw();
watch(["value", "emotions"], draw);
new ResizeObserver(redrawAtNewWidth).observe(find("timeline"));
find("timeline-chart").addEventListener("pointermove", showMoment);
find("timeline-chart").addEventListener("pointerleave", hideMoment);

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
  find("answer-progress").hidden = answer.state !== "thinking" || answer.progress === 0;
  find("answer-progress").value = answer.progress;
  find("timeline").hidden = answer.segments.length < 2;
  drawChart(answer);
  drawShares(answer.shares);
  drawDownloads(answer);
  drawTable(JSON.parse(answer.stretches));
}

function describe(answer) {
  if (answer.state === "problem") return [texts.problem, texts[answer.message] ?? answer.message];
  if (answer.state === "thinking" && answer.progress > 0) return [texts.thinking, fill(texts.progress, { percent: percent(answer.progress) })];
  if (answer.state !== "answer") return [texts[answer.state], texts[`${answer.state}_detail`] ?? ""];
  const [first, second = first] = answer.ranking;
  const words = {
    first: nameOf(first.emotion),
    second: nameOf(second.emotion),
    percent: percent(first.probability),
    second_percent: percent(second.probability),
    seconds: fill(texts.seconds, { number: decimal(answer.duration) }),
  };
  const verdict = answer.unsure ? "unsure" : "sounds";
  return [fill(texts[verdict], words), remarkAdapted(fill(texts[`${verdict}_detail`], words), answer.adapted)];
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
  const row = makeBar(emotion, 0, "");
  rows.set(emotion, row);
  find("answer-bars").append(row);
  return row;
}

function drawChart(answer) {
  if (find("timeline").hidden) return;
  const chart = find("timeline-chart");
  drawnWidth = chart.clientWidth;
  chart.replaceChildren(drawTimeline(answer, drawnWidth));
  const runs = speechRuns(answer.segments).flatMap(dominantStretches).map(({ emotion, start, end }) =>
    fill(texts.timeline_run, { emotion: nameOf(emotion), start: formatClock(start), end: formatClock(end) }),
  );
  chart.setAttribute("aria-label", fill(texts.timeline_description, { runs: runs.join(", ") }));
  hideMoment();
}

function redrawAtNewWidth() {
  if (find("timeline-chart").clientWidth !== drawnWidth) drawChart(props.value);
}

function drawShares(shares) {
  find("shares").replaceChildren(
    ...shares.map(({ emotion, probability }) => {
      const part = makeElement("span");
      part.dataset.emotion = emotion;
      part.style.flexGrow = probability;
      return part;
    }),
  );
  find("shares-list").replaceChildren(
    ...shares.map(({ emotion, probability }) =>
      makeElement("li", {}, drawFace(emotion), fill(texts.shares_detail, { emotion: nameOf(emotion), percent: percent(probability) })),
    ),
  );
}

function drawDownloads({ name, files }) {
  const links = Object.entries(files).map(([ending, content]) => {
    const [label, type] = FILES[ending];
    return makeDownload(texts[label], `${name}.${ending}`, content, type);
  });
  find("downloads").replaceChildren(find("downloads").firstElementChild, ...links);
}

function drawTable(stretches) {
  find("timeline-rows").replaceChildren(
    ...stretches.map(([start, end, emotion, probability]) => {
      const span = `${formatClock(start)} – ${formatClock(end)}`;
      const cells = emotion ? [span, nameOf(emotion), percent(probability)] : [span, texts.no_voice, ""];
      return makeElement("tr", {}, ...cells.map((textContent) => makeElement("td", { textContent })));
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
