// My voice: three sentences to read, one after the other, and what the page then knows of the voice.
// Runs with `element`, `trigger`, `props` and `watch` of gradio's HTML component; talks with page/my_voice.py.

const SENTENCES = props.sentences;
const PATIENCE_SECONDS = 10; // for an answer

const root = element.querySelector(".my-voice");
const find = (name) => root.querySelector(`.${name}`);
const button = makeMicrophoneButton(find("microphone"));
const request = { number: 0, action: "look", rate: 0, samples: "" }; // the last one
let reading = true; // or done with it
let timer = null; // while a request waits for its answer

translateStatics(root);
find("voice-controls").prepend(makeVoiceSwitch());
makeRecorder(button, props.limit_seconds, (chunks, rate) => ask("read", rate, toBase64(chunks)));
find("voice-again").addEventListener("click", readAgain);
find("voice-forget").addEventListener("click", () => ask("forget"));
ownVoice.addEventListener("switch", () => ask(ownVoice.adapted ? "off" : "on"));
// While a phone sleeps, or without a network, the server may take the visitor for gone.
document.addEventListener("visibilitychange", lookAfterAbsence);
window.addEventListener("online", lookAfterAbsence);
watch("known", receive);
button.show("idle", texts.voice_idle, texts.voice_hint);
draw();

function ask(action, rate = 0, samples = "") {
  Object.assign(request, { number: request.number + 1, action, rate, samples });
  clearTimeout(timer);
  timer = setTimeout(giveUp, 1000 * PATIENCE_SECONDS);
  props.value = { ...request };
  trigger("submit");
  request.samples = "";
}

function giveUp() {
  const switched = ["on", "off"].includes(request.action);
  if (reading && !switched) button.show("refused", texts.live_lost);
  else ownVoice.dispatchEvent(new Event("lost"));
}

function receive() {
  const { number, problem, heard, adapted } = props.known;
  if (number !== request.number) return;
  clearTimeout(timer);
  const former = { heard: ownVoice.heard, adapted: ownVoice.adapted };
  const finished = request.action === "read" && !problem && heard % SENTENCES === 0;
  tellOwnVoice(heard, heard >= SENTENCES, adapted);
  if (finished) reading = false;
  else if (heard === 0) reading = true;
  draw();
  if (finished) find("answer-title").focus();
  else if (request.action === "forget") forgotten();
  else if (request.action === "read") button.show("idle", texts[problem] ?? texts.voice_next, problem ? "" : texts.voice_hint);
  else if (former.heard > 0 && heard === 0) button.show("idle", texts.voice_lost);
  if (adapted !== former.adapted || (adapted && heard !== former.heard)) trigger("apply"); // answer once more
}

function forgotten() {
  button.show("idle", texts.voice_forgotten, texts.voice_hint);
  find("microphone").querySelector("button").focus();
}

function readAgain() {
  reading = true;
  button.show("idle", texts.voice_idle, texts.voice_hint);
  draw();
  find("microphone").querySelector("button").focus();
}

function lookAfterAbsence() {
  if (document.visibilityState === "visible" && ownVoice.heard > 0 && !button.isBusy()) ask("look");
}

function draw() {
  const { heard } = ownVoice;
  const step = heard % SENTENCES;
  find("voice-reading").hidden = !reading;
  find("voice-known").hidden = reading;
  find("voice-step").textContent = fill(texts.voice_step, { number: step + 1, count: SENTENCES });
  find("voice-steps").replaceChildren(...Array.from({ length: SENTENCES }, (_, index) => drawStep(index, step)));
  find("voice-mood").textContent = texts[`voice_mood_${step + 1}`];
  find("voice-sentence").textContent = texts[`voice_sentence_${step + 1}`];
  find("answer-title").textContent = fill(texts.voice_done, { count: heard });
  find("answer-detail").textContent = texts.voice_done_detail;
  find("voice-again").hidden = reading || heard >= props.max_sentences;
  find("voice-forget").hidden = heard === 0;
  drawChanges(Object.entries(props.known?.factors ?? {}));
  drawComparison(props.known?.changes ?? []);
}

function drawStep(index, current) {
  const state = index < current ? "done" : index === current ? "current" : "open";
  return makeElement("span", { className: `voice-step-${state}` });
}

// Each emotion with how many times as much it counts, the rarest heard first; as far to the right as its opposite to the left.
function drawChanges(factors) {
  find("voice-changes").hidden = factors.length === 0;
  const format = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  const bars = factors.sort((a, b) => b[1] - a[1]).map(([emotion, factor]) => {
    const share = Math.min(1, Math.abs(Math.log(factor)) / Math.log(props.largest_factor));
    const bar = makeBar(emotion, share, `×\u202f${factor.toLocaleString(navigator.language, format)}`);
    bar.classList.toggle("bar-less", factor < 1);
    return bar;
  });
  find("answer-bars").replaceChildren(...bars);
}

// The last sentences, each as it was heard without the correction and with it.
function drawComparison(changes) {
  const first = ownVoice.heard - changes.length;
  const cell = ({ emotion, probability }) => makeElement("td", {}, makeElement("span", { className: "many-emotion" }, drawFace(emotion), `${nameOf(emotion)} ${percent(probability)}`));
  root.querySelector("tbody").replaceChildren(
    ...changes.map(({ before, after }, index) =>
      makeElement("tr", {}, makeElement("th", { scope: "row", textContent: texts[`voice_as_${((first + index) % SENTENCES) + 1}`] }), cell(before), cell(after)),
    ),
  );
}
