// From a waveform to the emotions that its voice expresses, and when, as ser_model/recognizer.py has them.

import { hasSpeech, speaks, speechProbabilities } from "./speech_activity.js";

const { labels, sampling_rate: RATE } = settings;
const NO_SPEECH = settings.no_speech;

// What Prediction.to_dict gives to programs; `network(waveforms)` as of `runner`.
export async function predict(waveform, silero, network, progress) {
  const duration = waveform.length / RATE;
  if (duration <= settings.whole_seconds) {
    const [heard] = (await hasSpeech(waveform, silero)) ? await network([waveform]) : [null];
    return { ...emotions(heard), duration, segments: [{ ...emotions(heard), start: 0, end: duration }] };
  }
  const bounds = segmentBounds(duration);
  const probabilities = await speechProbabilities(waveform, silero, (share) => progress(share / 2));
  const spoken = bounds.filter(({ start, end }) => speaks(probabilities.slice(chunkAt(start), chunkAt(end))));
  const heard = [];
  while (heard.length < spoken.length) {
    const batch = spoken.slice(heard.length, heard.length + settings.batch_size);
    heard.push(...(await network(batch.map((bound) => windowAround(waveform, bound)))));
    await progress((1 + heard.length / spoken.length) / 2);
  }
  const segments = bounds.map((bound) => ({ ...emotions(heard[spoken.indexOf(bound)] ?? null), ...bound }));
  return { ...emotions(meanOf(heard)), duration, segments };
}

// What gives { probabilities, familiarity } of each of some waveforms, of a promise of the network's session.
export function runner(ort, loading) {
  return async (waveforms) => {
    const longest = Math.max(...waveforms.map(({ length }) => length));
    const padded = new Float32Array(waveforms.length * longest);
    waveforms.forEach((waveform, row) => padded.set(waveform, row * longest));
    const session = await loading;
    const { logits, familiarity } = await session.run({
      waveforms: new ort.Tensor("float32", padded, [waveforms.length, longest]),
      lengths: new ort.Tensor("int32", waveforms.map(({ length }) => length), [waveforms.length]),
    });
    return waveforms.map((_, row) => ({
      probabilities: softmax(logits.data.slice(row * labels.length, (row + 1) * labels.length)),
      familiarity: familiarity ? familiarity.data[row] : null,
    }));
  };
}

function softmax(logits) {
  const highest = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - highest) / settings.temperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

function meanOf(heard) {
  if (heard.length === 0) return null;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / heard.length;
  return {
    probabilities: labels.map((_, index) => mean(heard.map(({ probabilities }) => probabilities[index]))),
    familiarity: heard[0].familiarity === null ? null : mean(heard.map(({ familiarity }) => familiarity)),
  };
}

function emotions(heard) {
  const scores = Object.fromEntries(labels.map((label, index) => [label, heard?.probabilities[index] ?? 0]));
  const label = heard ? labels.reduce((best, other) => (scores[other] > scores[best] ? other : best)) : NO_SPEECH;
  return emotionsOf(label, scores, heard?.familiarity ?? null);
}

// As ser_model/prediction.py's Emotions: everything that follows from a label and its scores.
export function emotionsOf(label, scores, familiarity) {
  const speech = label !== NO_SPEECH;
  const confidence = scores[label] ?? 0;
  const knowsArousal = speech && labels.every((name) => name in settings.arousal);
  return {
    label,
    scores,
    confidence,
    speech,
    sure: speech && confidence >= settings.answer_threshold,
    candidates: speech ? candidatesOf(label, scores) : [],
    arousal: knowsArousal ? labels.reduce((sum, name) => sum + scores[name] * settings.arousal[name], 0) : null,
    familiarity,
  };
}

function candidatesOf(label, scores) {
  const taken = [label];
  let mass = scores[label];
  for (const other of labels.filter((name) => name !== label).sort((a, b) => scores[b] - scores[a])) {
    if (mass >= settings.candidate_mass) break;
    taken.push(other);
    mass += scores[other];
  }
  return taken;
}

// Start and end of the segments of a long recording; the last one takes the rest.
function segmentBounds(duration) {
  const count = Math.max(1, Math.floor(duration / settings.hop_seconds));
  const starts = Array.from({ length: count }, (_, index) => index * settings.hop_seconds);
  return starts.map((start, index) => ({ start, end: starts[index + 1] ?? duration }));
}

// What the network hears of a segment: a window with the segment in its middle, at both ends as near as can be.
function windowAround(waveform, { start, end }) {
  const latest = waveform.length / RATE - settings.window_seconds;
  const first = roundEven(Math.min(Math.max(0, (start + end - settings.window_seconds) / 2), latest) * RATE);
  return waveform.subarray(first, first + settings.window_seconds * RATE);
}

function chunkAt(time) {
  return roundEven((time * RATE) / settings.speech.chunk);
}

// As Python rounds: what lies in the middle goes to the even number.
function roundEven(number) {
  const rounded = Math.round(number);
  return rounded - number === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
