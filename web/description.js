// From a prediction to what page/answer.js draws and offers to save, as page/answer.py and ser_model/timeline.py have it.

import { emotionsOf } from "./recognizer.js";
import { peak } from "./speech_activity.js";

const { labels } = settings;
const LEFT_OUT = ["confidence", "sure", "candidates"]; // of moments: they follow from the scores
const FORMULA = /^[=+\-@\t\r]/; // what a spreadsheet would take for one

export function blank(state, further = {}) {
  const nothing = { ranking: [], unsure: false, candidates: [], arousal: null, familiar: true, adapted: false, before: {}, duration: 0, advice: [], message: "", progress: 0 };
  return { ...nothing, state, waveform: "", segments: [], fine: "[[],[]]", stretches: "[]", shares: [], name: "", files: {}, ...further };
}

export function describe(prediction, waveform, name) {
  const { speech, sure, candidates, scores, arousal, familiarity, duration, segments } = prediction;
  const passages = stretchesOf(segments);
  return blank(speech ? "answer" : "no_speech", {
    ranking: speech ? ranking(Object.entries(scores)) : [],
    unsure: speech && !sure,
    candidates,
    arousal,
    familiar: familiarity === null || familiarity >= settings.familiar_from,
    duration,
    advice: adviceOn(waveform, duration),
    waveform: btoa(String.fromCharCode(...outline(waveform).map((height) => Math.round(255 * height)))),
    segments,
    fine: JSON.stringify([labels, segments.map(({ speech, end, scores }) => [end, ...(speech ? Object.values(scores).map((score) => Math.round(1000 * score)) : [])])]),
    stretches: JSON.stringify(passages.map(({ start, end, speech, label, confidence }) => [start, end, speech ? label : "", confidence])),
    shares: ranking(Object.entries(sharesOf(segments))),
    name,
    files: speech ? filesOf(prediction, passages) : {},
  });
}

function ranking(entries) {
  return entries.map(([emotion, probability]) => ({ emotion, probability })).sort((a, b) => b.probability - a.probability);
}

// Consecutive segments of the same label as one, with the means of their scores.
function stretchesOf(segments) {
  const groups = [];
  for (const segment of segments) {
    if (groups.at(-1)?.[0].label === segment.label) groups.at(-1).push(segment);
    else groups.push([segment]);
  }
  return groups.map((group) => {
    const { label, start, familiarity } = group[0];
    const { end } = group.at(-1);
    const mean = (valueOf) => group.reduce((sum, segment) => sum + (valueOf(segment) * (segment.end - segment.start)) / (end - start), 0);
    const scores = Object.fromEntries(labels.map((name) => [name, mean((segment) => segment.scores[name])]));
    return { ...emotionsOf(label, scores, familiarity === null ? null : mean((segment) => segment.familiarity)), start, end };
  });
}

// Share of the time with speech in which each emotion is the likeliest.
function sharesOf(segments) {
  const shares = {};
  const spoken = segments.filter(({ speech }) => speech);
  const total = spoken.reduce((sum, { start, end }) => sum + end - start, 0);
  for (const { label, start, end } of spoken) shares[label] = (shares[label] ?? 0) + (end - start) / total;
  return shares;
}

function filesOf(prediction, passages) {
  const { scores: _, ...whole } = prediction;
  const moments = prediction.segments.map((segment) => Object.fromEntries(Object.entries(segment).filter(([key]) => !LEFT_OUT.includes(key))));
  const shares = sharesOf(prediction.segments);
  const json = JSON.stringify({ ...whole, shares, segments: passages, moments }, (_, value) => (typeof value === "number" ? round(value, 4) : value));
  const columns = ["start", "end", "emotion", "probability", ...labels, "sure", "candidates", "arousal", "familiarity"];
  const files = { csv: [columns, ...passages.map(cells)].map((line) => `${line.map(quoted).join(",")}\n`).join(""), json };
  if (prediction.segments.length < 2) return files;
  const spoken = passages.filter(({ speech }) => speech);
  return { ...files, txt: spoken.map(({ start, end, label }) => `${start.toFixed(6)}\t${end.toFixed(6)}\t${label}\n`).join("") };
}

function cells({ start, end, label, confidence, scores, sure, candidates, arousal, familiarity }) {
  const measures = [arousal, familiarity].map((measure) => (measure === null ? "" : round(measure, 4)));
  const numbers = [confidence, ...Object.values(scores)].map((score) => round(score, 4));
  return [round(start, 2), round(end, 2), label, ...numbers, sure ? "True" : "False", candidates.join("|"), ...measures];
}

function quoted(cell) {
  const text = typeof cell === "string" && FORMULA.test(cell) ? `'${cell}` : String(cell);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function round(number, digits) {
  return Math.round(number * 10 ** digits) / 10 ** digits;
}

function adviceOn(waveform, duration) {
  const clipped = waveform.filter((sample) => Math.abs(sample) >= settings.clipped_level).length / waveform.length;
  return [
    ...(duration < settings.short_seconds ? ["too_short"] : []),
    ...(peak(waveform) < settings.quiet_level ? ["too_quiet"] : []),
    ...(clipped > settings.clipped_share ? ["clipped"] : []),
  ];
}

// The waveform's peaks, 0 to 1, relative to its own loudest part.
function outline(waveform) {
  const points = Math.min(settings.waveform_points, waveform.length);
  const at = (index) => Math.floor((index * waveform.length) / points);
  const peaks = Array.from({ length: points }, (_, index) => peak(waveform.subarray(at(index), at(index + 1))));
  const sorted = peaks.toSorted((a, b) => a - b);
  const fullHeight = Math.max(sorted[Math.floor((settings.waveform_percentile / 100) * (points - 1))], settings.quiet_level);
  return peaks.map((height) => Math.min(height / fullHeight, 1));
}
