// Live: while the microphone is open, every half second of sound goes to the server, and what it hears is drawn.
// Runs with `element`, `trigger`, `props` and `watch` of gradio's HTML component; talks with page/live.py.

const CHUNK_SECONDS = 0.5;
const SHOWN_SECONDS = 30;
const PEAK_SECONDS = 0.1; // a bar of the waveform
const FAINT_PEAK = 0.05; // drawn at full height at most
const PATIENCE_SECONDS = 10; // for an answer

const root = element.querySelector(".live");
const find = (name) => root.querySelector(`.${name}`);
const button = makeMicrophoneButton(find("microphone"));
let microphone = null;
let chunks = []; // not yet sent
let samples = 0; // in them
let sent = null; // the chunk that waits for its answer: { number, since, timer }
let number = 0; // of the next chunk
let segments = []; // answered, of the last SHOWN_SECONDS
let heard = 0; // samples of all sound so far
let peaks = []; // in it, a number for every PEAK_SECONDS

translateStatics(root);
find("live-heading").textContent = fill(texts.live_timeline, { length: formatLength(SHOWN_SECONDS) });
find("microphone").after(makeVoiceSwitch());
button.show("idle", texts.live_idle, texts.live_hint);
button.onPress(() => {
  if (microphone) stop(texts.live_again);
  else if (!button.isBusy()) start();
});
show(["empty"], texts.live_empty, texts.live_empty_detail);
drawRolling();
new ResizeObserver(drawRolling).observe(find("timeline-chart"));
watch("now", () => receive(props.now));

async function start() {
  button.show("asking", texts.asking);
  [chunks, samples, sent, number, segments, heard, peaks] = [[], 0, null, 0, [], 0, []];
  try {
    microphone = await openMicrophone(hear, () => microphone && stop(texts.missing));
  } catch (error) {
    return button.show("refused", explainRefusal(error));
  }
  button.show("listening", texts.live_listening, formatClock(0));
  show(["thinking"], texts.live_waiting, "");
}

function hear(chunk, sampleRate) {
  if (!microphone) return;
  chunks.push(chunk);
  samples += chunk.length;
  collectPeaks(chunk, sampleRate);
  button.follow(chunk);
  if (samples >= CHUNK_SECONDS * sampleRate && !sent) send(sampleRate);
}

function send(sampleRate) {
  const since = performance.now() - (1000 * samples) / sampleRate; // when the first of its sound was heard
  sent = { number, since, timer: setTimeout(() => stop(texts.live_lost), 1000 * PATIENCE_SECONDS) };
  submit({ number, rate: sampleRate, samples: toBase64(chunks) });
  [chunks, samples, number] = [[], 0, number + 1];
}

function submit(chunk) {
  props.value = chunk;
  trigger("submit");
}

function collectPeaks(chunk, sampleRate) {
  const bar = Math.floor(heard / (PEAK_SECONDS * sampleRate));
  peaks[bar] = chunk.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), peaks[bar] ?? 0);
  heard += chunk.length;
}

function receive(now) {
  if (!microphone || now?.number !== sent?.number) return; // an answer from before the stop
  clearTimeout(sent.timer);
  const { since } = sent;
  sent = null;
  if (now.state !== "speech" && now.state !== "silent") return stop(explainEnd(now.state));
  button.tick(now.end);
  segments = [...segments.filter(({ end }) => end > now.end - SHOWN_SECONDS), now];
  if (now.speech) showEmotion(now, texts.live_now);
  else show(["no_speech"], texts.live_silent, texts.live_silent_detail);
  drawRolling();
  root.dataset.latency = Math.round(performance.now() - since); // milliseconds from the first sound of the chunk
}

function explainEnd(state) {
  if (state === "limit") return fill(texts.live_limit, { length: formatLength(props.limit_seconds) });
  return { busy: texts.live_busy, problem: texts.sound_damaged, model_missing: texts.model_missing }[state] ?? texts.live_lost;
}

async function stop(remark) {
  const { close } = microphone;
  microphone = null;
  clearTimeout(sent?.timer);
  await close();
  submit({ number, rate: 0, samples: "" });
  button.show("idle", remark);
  const last = segments.findLast(({ speech }) => speech);
  if (last) showEmotion(last, texts.live_last);
  else show(["empty"], texts.live_empty, texts.live_empty_detail);
}

// As the answer to a recording says it; `when` is the text that tells how likely it is, and when.
function showEmotion({ label, scores, sure, candidates, arousal, familiar, adapted }, when) {
  const ranked = Object.keys(scores).sort((a, b) => (b === label) - (a === label) || scores[b] - scores[a]);
  const words = { first: nameOf(label), percent: percent(scores[label]) };
  const title = sure ? fill(texts.sounds, words) : unsureBetween(candidates, ranked);
  show(ranked.slice(0, sure ? 1 : 2), title, remarkAdapted(fill(when, words) + remarkArousal(arousal), adapted));
  find("answer-advice").textContent = familiar ? "" : texts.unfamiliar;
}

function show(faces, title, detail) {
  const shown = [...find("answer-faces").children].map(({ dataset }) => dataset.emotion);
  if (shown.join() !== faces.join()) find("answer-faces").replaceChildren(...faces.map(drawFace));
  if (find("answer-title").textContent !== title) find("answer-title").textContent = title;
  find("answer-detail").textContent = detail;
  find("answer-advice").textContent = "";
}

function drawRolling() {
  const chart = find("timeline-chart");
  if (chart.clientWidth === 0) return; // in a tab that is not shown
  const now = segments.at(-1)?.end ?? 0;
  const shift = SHOWN_SECONDS - now;
  const shown = segments.map((segment) => ({
    ...segment,
    start: Math.max(0, segment.start + shift),
    end: segment.end + shift,
  }));
  const before = { start: 0, end: shown[0]?.start ?? SHOWN_SECONDS, speech: false, scores: {} };
  const bars = Math.round(SHOWN_SECONDS / PEAK_SECONDS);
  const answered = peaks.slice(0, Math.round(now / PEAK_SECONDS)).slice(-bars);
  const loudest = Math.max(FAINT_PEAK, ...answered);
  const waveform = [...Array(bars - answered.length).fill(0), ...answered.map((peak) => peak / loudest)];
  const picture = { segments: [before, ...shown], waveform, duration: SHOWN_SECONDS, areas: true };
  chart.replaceChildren(drawTimeline(picture, chart.clientWidth, nameTime));
  const heardEmotions = [...new Set(segments.filter(({ speech }) => speech).flatMap(({ scores }) => Object.keys(scores)))];
  if (find("shares-list").childElementCount !== heardEmotions.length) {
    find("shares-list").replaceChildren(...heardEmotions.map((emotion) => makeElement("li", {}, drawFace(emotion), nameOf(emotion))));
  }
  chart.setAttribute("aria-label", `${find("live-heading").textContent}: ${find("answer-title").textContent}`);
}

function nameTime(time) {
  return time === SHOWN_SECONDS ? texts.now : fill(texts.seconds_ago, { number: SHOWN_SECONDS - time });
}
