// The answer: a face, one line of words, a bar for each emotion, the sound, and the timeline of a longer recording.
// Runs with `element`, `props` and `watch` of gradio's HTML component; draws what page/answer.py describes.

const root = element.querySelector(".answer");
const find = (name) => root.querySelector(`.${name}`);
const FILES = { csv: ["save_csv", "text/csv"], json: ["save_json", "application/json"], txt: ["save_labels", "text/plain"] };
const RIBBON_SECONDS = 120; // a longer recording is drawn as a ribbon, which can be enlarged
const FINEST = 8; // pixels a second: no more can be seen
const STEP_SECONDS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
let answer = props.value;
let moments = []; // of the timeline, as fine as they are known
let waveform = []; // 0 to 1
let zoom = 1;
let drawnWidth = 0; // of the timeline, in pixels
const rows = new Map(); // emotion -> its bar, kept from answer to answer so that it moves

translateStatics(root);
find("playhead").setAttribute("aria-label", texts.position);
find("zoom-in").setAttribute("aria-label", texts.zoom_in);
find("zoom-out").setAttribute("aria-label", texts.zoom_out);
find("sound-zoom").setAttribute("aria-label", texts.zoom);
draw();
watch(["value", "emotions"], () => {
  answer = props.value;
  draw();
});
recording.addEventListener("sending", () => show({ state: "thinking", message: "sending" }));
recording.addEventListener("refused", ({ detail }) => show({ state: "problem", ...detail }));
recording.addEventListener("failed", fail);
recording.addEventListener("sound", followSound);
recording.addEventListener("unplayable", () => tell(texts.unplayable));
new ResizeObserver(redrawAtNewWidth).observe(find("timeline-scroll"));
find("sound-play").addEventListener("click", toggleSound);
find("zoom-in").addEventListener("click", () => enlarge(zoom * 2));
find("zoom-out").addEventListener("click", () => enlarge(zoom / 2));
find("timeline-plot").addEventListener("pointermove", showMoment);
find("timeline-plot").addEventListener("pointerleave", hideMoment);
find("timeline-plot").addEventListener("click", (event) => playFrom(timeAt(event)));
find("playhead").addEventListener("keydown", seekByKey);

// What is no answer of the server's.
function show(local) {
  answer = { ...props.value, ranking: [], segments: [], shares: [], advice: [], files: {}, stretches: "[]", fine: "[[],[]]", waveform: "", progress: 0, familiar: true, before: {}, ...local };
  draw();
}

// The server gave no answer.
function fail(event) {
  if (answer.state !== "thinking") return;
  event.preventDefault();
  show({ state: "problem", message: "no_answer" });
}

function draw() {
  root.dataset.state = answer.state;
  const named = answer.ranking.slice(0, answer.unsure ? 2 : 1).map(({ emotion }) => emotion);
  find("answer-faces").replaceChildren(...(named.length > 0 ? named : [answer.state]).map(drawFace));
  const [title, explanation] = describe();
  find("answer-title").textContent = title;
  find("answer-detail").textContent = explanation;
  find("answer-advice").textContent = [...answer.advice, ...(answer.familiar ? [] : ["unfamiliar"])].map((key) => texts[key]).join(" ");
  if (answer.state !== "thinking") drawBars(answer.ranking); // until then the former bars stay
  find("answer-bars").hidden = answer.state === "no_speech" || answer.state === "problem";
  find("answer-progress").hidden = answer.state !== "thinking" || answer.progress === 0;
  find("answer-progress").value = answer.progress;
  const heard = answer.state === "answer" || answer.state === "no_speech";
  find("sound").hidden = !heard;
  find("timeline").hidden = !changes();
  zoom = 1;
  moments = unpackMoments(answer.fine);
  waveform = unpackBytes(answer.waveform).map((value) => value / 255);
  find("sound-zoom").hidden = answer.duration <= RIBBON_SECONDS;
  drawChart();
  followSound();
  drawShares(answer.shares);
  drawDownloads(answer);
  drawTable(JSON.parse(answer.stretches));
}

// Whether there are emotions over time.
function changes() {
  return answer.state === "answer" && answer.segments.length > 1;
}

function describe() {
  if (answer.state === "problem") return [texts.problem, fill(texts[answer.message] ?? answer.message, answer)];
  if (answer.state === "thinking" && answer.progress > 0) return [texts.thinking, fill(texts.progress, { percent: percent(answer.progress) })];
  if (answer.state === "thinking" && answer.message) return [texts[answer.message], ""];
  if (answer.state !== "answer") return [texts[answer.state], texts[`${answer.state}_detail`] ?? ""];
  const [title, explanation] = verdictOf(answer);
  return [title, remarkAdapted(explanation, answer.adapted, answer.before)];
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
  row.style.setProperty("--before", answer.before[emotion] ?? "");
  row.querySelector(".bar-value").textContent = value;
}

function addRow(emotion) {
  const row = makeBar(emotion, 0, "");
  rows.set(emotion, row);
  find("answer-bars").append(row);
  return row;
}

function drawChart() {
  drawnWidth = find("timeline-scroll").clientWidth;
  if (find("sound").hidden || drawnWidth === 0) return;
  const width = Math.round(drawnWidth * zoom);
  find("timeline-plot").style.width = `${width}px`;
  const chart = find("timeline-chart");
  const { duration, segments } = answer;
  const isRibbon = changes() && duration > RIBBON_SECONDS;
  chart.replaceChildren(isRibbon ? drawRibbon({ moments, waveform, duration }, width) : drawTimeline({ segments: moments, waveform, duration, areas: changes() }, width));
  const runs = speechRuns(segments).flatMap(dominantStretches).map(({ emotion, start, end }) =>
    fill(texts.timeline_run, { emotion: nameOf(emotion), start: formatClock(start), end: formatClock(end) }),
  );
  chart.setAttribute("aria-label", fill(texts.timeline_description, { runs: runs.join(", ") || texts.no_voice }));
  find("zoom-out").disabled = zoom === 1;
  find("zoom-in").disabled = (2 * width) / duration > FINEST;
  hideMoment();
}

function enlarge(factor) {
  const scroll = find("timeline-scroll");
  const middle = (scroll.scrollLeft + drawnWidth / 2) / scroll.scrollWidth;
  zoom = factor;
  drawChart();
  movePlayhead();
  scroll.scrollLeft = middle * scroll.scrollWidth - drawnWidth / 2;
}

function redrawAtNewWidth() {
  if (find("timeline-scroll").clientWidth !== drawnWidth) drawChart();
}

// The playhead, the clock and the button, as long as the sound moves.
function followSound() {
  const { paused } = recording.audio;
  find("sound-play").dataset.playing = !paused;
  find("sound-play").setAttribute("aria-label", paused ? texts.play : texts.pause);
  movePlayhead();
  if (!paused) requestAnimationFrame(followSound);
}

function movePlayhead() {
  const { currentTime } = recording.audio;
  const playhead = find("playhead");
  const share = answer.duration > 0 ? Math.min(1, currentTime / answer.duration) : 0;
  playhead.style.left = `${100 * share}%`;
  playhead.setAttribute("aria-valuemax", answer.duration.toFixed(1));
  playhead.setAttribute("aria-valuenow", currentTime.toFixed(1));
  playhead.setAttribute("aria-valuetext", [formatClock(currentTime), ...wordsAt(currentTime)].join(" · "));
  find("sound-clock").textContent = `${formatClock(currentTime)} / ${formatClock(answer.duration)}`;
  if (!recording.audio.paused) {
    const scroll = find("timeline-scroll");
    const place = share * scroll.scrollWidth - scroll.scrollLeft;
    if (place < 0 || place > drawnWidth) scroll.scrollLeft += place - drawnWidth / 8;
    if (changes()) tell([formatClock(currentTime), ...wordsAt(currentTime)].join(" · "));
  }
}

function seekByKey(event) {
  const { audio } = recording;
  const to = { Home: 0, End: answer.duration }[event.key] ?? audio.currentTime + STEP_SECONDS[event.key];
  if (event.key === " " || event.key === "Enter") toggleSound();
  else if (Number.isFinite(to)) audio.currentTime = Math.min(Math.max(0, to), answer.duration);
  else return;
  event.preventDefault();
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

function drawDownloads({ name, files, state }) {
  const links = Object.entries(files).map(([ending, content]) => {
    const [label, type] = FILES[ending];
    return makeDownload(texts[label], `${name}.${ending}`, content, type);
  });
  find("downloads").hidden = links.length === 0;
  find("downloads").replaceChildren(find("downloads").firstElementChild, ...links, ...(state === "answer" ? makeSharing(name) : []));
}

function makeSharing(name) {
  const [title, detail] = describe();
  const { ranking } = answer;
  const chart = () => (changes() ? find("timeline-chart").firstElementChild : null);
  const picture = makeSaver(texts.save_picture, `${name}.png`, () => drawPicture(root, { title, detail, ranking, chart: chart(), name: texts.title }));
  // Browsers lend the clipboard to https pages only.
  return navigator.clipboard ? [picture, makeCopier(texts.copy, texts.copied, `${title} (${detail})`)] : [picture];
}

function drawTable(stretches) {
  find("timeline-rows").replaceChildren(
    ...stretches.map(([start, end, emotion, probability]) => {
      const span = `${formatClock(start)} – ${formatClock(end)}`;
      const cells = emotion ? [span, nameOf(emotion), percent(probability)] : [span, texts.no_voice, ""];
      const play = makeElement("button", { type: "button", className: "passage-play", textContent: "▶" });
      play.setAttribute("aria-label", fill(texts.play_passage, { passage: span }));
      play.addEventListener("click", () => playFrom(start, end));
      return makeElement("tr", {}, makeElement("td", {}, play), ...cells.map((textContent) => makeElement("td", { textContent })));
    }),
  );
}

function timeAt(event) {
  const { left, width } = find("timeline-plot").getBoundingClientRect();
  return (answer.duration * Math.min(Math.max(event.clientX - left, 0), width)) / width;
}

// The two strongest emotions at a time.
function wordsAt(time) {
  if (moments.length === 0) return [];
  const segment = segmentAt(moments, time);
  if (!segment.speech) return [texts.no_voice];
  const strongestTwo = Object.entries(segment.scores).sort((a, b) => b[1] - a[1]).slice(0, 2);
  return [strongestTwo.map(([emotion, probability]) => `${nameOf(emotion)} ${percent(probability)}`).join(", ")];
}

function showMoment(event) {
  const time = timeAt(event);
  tell([formatClock(time), ...wordsAt(time)].join(" · "));
  find("timeline-cursor").style.left = `${(100 * time) / answer.duration}%`;
  find("timeline-cursor").hidden = false;
}

function hideMoment() {
  const long = answer.duration > RIBBON_SECONDS;
  tell(!changes() ? "" : long ? texts.ribbon_note : texts.timeline_note);
  find("timeline-cursor").hidden = true;
}

function tell(words) {
  if (find("timeline-note").textContent !== words) find("timeline-note").textContent = words;
}
