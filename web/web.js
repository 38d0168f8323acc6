// The page without a server: microphone or file > 16 kHz mono > the exported network > bars.
// `texts`, `settings` and the functions of page/language.js, faces.js and capture.js come with page.js.

import * as ort from "./ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1; // more need headers that a static server does not send

const microphoneButton = makeMicrophoneButton(document.querySelector(".microphone"));
const upload = document.querySelector("#upload input");
const answer = document.querySelector(".answer");
const find = (name) => answer.querySelector(`.answer-${name}`);
const loading = ort.InferenceSession.create("model.onnx");
let asked = 0; // recordings so far: only the last one is answered

translateStatics(document);
microphoneButton.show("idle", texts.idle, texts.hint);
makeRecorder(microphoneButton, settings.microphone_seconds, answerRecorded);
upload.addEventListener("change", () => upload.files.length > 0 && answerFile(upload.files[0]));
show("empty", texts.empty, texts.empty_detail);
loading.catch(() => show("problem", texts.problem, texts.model_missing));

async function answerRecorded(chunks, sampleRate) {
  await answerRecording(() => (chunks.length > 0 ? resample(chunks, sampleRate) : new Float32Array()));
  microphoneButton.show("idle", texts.again);
}

function answerFile(file) {
  return answerRecording(async () => {
    try {
      return toMono(await offlineContext(1).decodeAudioData(await file.arrayBuffer()));
    } catch {
      throw new Error(fill(texts.undecodable, { name: file.name }));
    }
  });
}

// Shows the answer to the waveform that `decode` gives; its errors are sentences for the visitor.
async function answerRecording(decode) {
  const number = ++asked;
  show("thinking", texts.thinking);
  try {
    const waveform = await decode();
    const scores = await probabilities(waveform);
    if (number === asked) showScores(waveform, scores);
  } catch (error) {
    if (number === asked) show("problem", texts.problem, error.message);
  }
}

function offlineContext(samples) {
  return new OfflineAudioContext(1, samples, settings.sampling_rate);
}

// Float32Array of the mean of the channels.
function toMono(buffer) {
  const waveform = new Float32Array(buffer.length);
  for (let index = 0; index < buffer.numberOfChannels; index++) {
    buffer.getChannelData(index).forEach((sample, i) => (waveform[i] += sample / buffer.numberOfChannels));
  }
  return waveform;
}

// Float32Array at the network's rate, of chunks at another.
async function resample(chunks, sampleRate) {
  const buffer = new AudioBuffer({ length: countSamples(chunks), numberOfChannels: 1, sampleRate });
  let offset = 0;
  for (const chunk of chunks) {
    buffer.copyToChannel(chunk, 0, offset);
    offset += chunk.length;
  }
  const context = offlineContext(Math.ceil((buffer.length * settings.sampling_rate) / sampleRate));
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  return toMono(await context.startRendering());
}

// Probability of each label, or null where there is silence. A long recording is heard through a window that moves by
// a second; the answer is the mean over the seconds that are not silent.
async function probabilities(waveform) {
  const loudest = peak(waveform);
  const floor = Math.max(settings.faintest_peak, loudest * settings.quiet_share);
  if (loudest < settings.faintest_peak || seconds(waveform) < settings.min_speech) return null;
  const heard = windows(waveform, floor);
  const sums = new Array(settings.labels.length).fill(0);
  for (let start = 0; start < heard.length; start += settings.batch_size) {
    show("thinking", texts.thinking, start > 0 ? fill(texts.progress, { percent: percent(start / heard.length) }) : "");
    const batch = await run(heard.slice(start, start + settings.batch_size));
    batch.forEach((probability, index) => (sums[index % sums.length] += probability));
  }
  return sums.map((sum) => sum / heard.length);
}

// What the network hears: all of a short recording, of a long one a window around each second that is not silent.
function windows(waveform, floor) {
  if (seconds(waveform) <= settings.whole_seconds) return [waveform];
  const [hop, size] = [settings.hop_seconds, settings.window_seconds].map((time) => time * settings.sampling_rate);
  const count = Math.floor(waveform.length / hop);
  const starts = Array.from({ length: count }, (_, index) => index * hop);
  const end = (start) => (start === (count - 1) * hop ? waveform.length : start + hop); // the last takes the rest
  return starts
    .filter((start) => peak(waveform.subarray(start, end(start))) >= floor)
    .map((start) => Math.min(Math.max(0, start + hop / 2 - size / 2), waveform.length - size))
    .map((start) => waveform.subarray(start, start + size));
}

async function run(waveforms) {
  const longest = Math.max(...waveforms.map(({ length }) => length));
  const padded = new Float32Array(waveforms.length * longest);
  waveforms.forEach((waveform, row) => padded.set(waveform, row * longest));
  const session = await loading.catch(() => {
    throw new Error(texts.model_missing);
  });
  const outputs = await session.run({
    waveforms: new ort.Tensor("float32", padded, [waveforms.length, longest]),
    lengths: new ort.Tensor("int32", waveforms.map(({ length }) => length), [waveforms.length]),
  });
  const count = settings.labels.length;
  return waveforms.flatMap((_, row) => softmax(outputs.logits.data.subarray(row * count, (row + 1) * count)));
}

function softmax(logits) {
  const highest = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - highest) / settings.temperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

function peak(waveform) {
  return waveform.reduce((highest, sample) => Math.max(highest, Math.abs(sample)), 0);
}

function seconds(waveform) {
  return waveform.length / settings.sampling_rate;
}

function showScores(waveform, scores) {
  if (scores === null) return show("no_speech", texts.no_speech, texts.no_speech_detail);
  const ranking = settings.labels.map((emotion, index) => [emotion, scores[index]]).sort((a, b) => b[1] - a[1]);
  const [[first, probability], [second, next]] = ranking;
  const unsure = probability < settings.answer_threshold;
  const words = {
    first: nameOf(first),
    second: nameOf(second),
    percent: percent(probability),
    second_percent: percent(next),
    length: formatLength(seconds(waveform)),
  };
  const verdict = unsure ? "unsure" : "sounds";
  show("answer", fill(texts[verdict], words), fill(texts[`${verdict}_detail`], words), unsure ? [first, second] : [first], ranking);
  find("advice").textContent = advise(waveform).map((key) => texts[key]).join(" ");
}

function advise(waveform) {
  return [
    ...(seconds(waveform) < settings.short_seconds ? ["too_short"] : []),
    ...(peak(waveform) < settings.quiet_level ? ["too_quiet"] : []),
  ];
}

function show(state, title, detail = "", faces = [state], ranking = null) {
  answer.dataset.state = state;
  find("faces").replaceChildren(...faces.map(drawFace));
  find("title").textContent = title;
  find("detail").textContent = detail;
  find("advice").textContent = "";
  if (state === "thinking") return; // until then the former bars stay
  const bars = ranking ?? settings.labels.map((emotion) => [emotion, 0]);
  find("bars").replaceChildren(
    ...bars.map(([emotion, share], rank) => {
      const bar = makeBar(emotion, share, ranking ? percent(share) : "");
      bar.style.setProperty("--rank", rank);
      return bar;
    }),
  );
}
