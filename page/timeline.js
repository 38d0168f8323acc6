// The timeline of a recording as one SVG: the waveform on top, below it the emotions as stacked areas; of many minutes
// a ribbon of the strongest emotion and a line for each. Drawn in pixels of the width at hand, so that its letters stay
// readable on a phone.

const WAVEFORM_HEIGHT = 56;
const AREAS_TOP = 68;
const AREAS_HEIGHT = 132;
const AXIS_HEIGHT = 24;
const RIBBON_HEIGHT = 30;
const LINES_TOP = AREAS_TOP + RIBBON_HEIGHT + 12;
const LINES_HEIGHT = 120;
const MOMENT_WIDTH = 4; // pixels of a moment on the ribbon, at least
const SMOOTHING_WIDTH = 14; // pixels of the standard deviation by which the lines are smoothed
const LETTER_HEIGHT = 20; // pixels that a name needs
const LETTER_WIDTH = 8.5;
const BAR_STEP = 4; // pixels from bar to bar of the waveform
const TICK_DISTANCE = 64; // pixels between times on the axis, at least
const TICK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900]; // seconds
// From subdued at the bottom to lively at the top, always in this order.
const STACKING = ["neutral", "calm", "sad", "fearful", "disgust", "angry", "surprised", "happy"];

function drawShape(tag, attributes, ...children) {
  const shape = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
  shape.append(...children);
  return shape;
}

// The waveform with or without `areas`; `nameTime` writes a time of the axis.
function drawTimeline({ segments, waveform, duration, areas }, width, nameTime = formatClock) {
  const scale = width / duration; // pixels a second
  const runs = areas ? speechRuns(segments) : [];
  const height = AXIS_HEIGHT + (areas ? AREAS_TOP + AREAS_HEIGHT : WAVEFORM_HEIGHT);
  return drawChartOf(
    width,
    height,
    drawWaveform(waveform, segments, duration, width),
    ...runs.flatMap((run) => [
      drawAreas(run, scale),
      ...dominantStretches(run).flatMap((stretch) => drawName(stretch, run, scale)),
    ]),
    drawAxis(duration, scale, width, nameTime, height),
  );
}

function drawChartOf(width, height, ...parts) {
  return drawShape("svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" }, ...parts);
}

// The same of a recording of many minutes.
function drawRibbon({ moments, waveform, duration }, width) {
  const scale = width / duration;
  const height = LINES_TOP + LINES_HEIGHT + AXIS_HEIGHT;
  const segments = smoothed(fewer(moments, Math.ceil(width / MOMENT_WIDTH)), SMOOTHING_WIDTH / scale);
  const half = LINES_TOP + LINES_HEIGHT / 2;
  return drawChartOf(
    width,
    height,
    drawWaveform(waveform, segments, duration, width),
    drawShape("path", { class: "half", d: `M0 ${half}H${width}` }),
    ...speechRuns(segments).flatMap((run) => [
      ...dominantStretches(run).flatMap((stretch) => drawPassage(stretch, scale)),
      ...Object.keys(run[0].scores).map((emotion) => drawLine(run, emotion, scale)),
    ]),
    drawAxis(duration, scale, width, formatClock, height),
  );
}

// Neighbouring moments as one, so that at most `count` are left; scores are the means of those with speech.
function fewer(moments, count) {
  const size = Math.ceil(moments.length / count);
  if (size < 2) return moments;
  return Array.from({ length: Math.ceil(moments.length / size) }, (_, index) => {
    const group = moments.slice(index * size, (index + 1) * size);
    const spoken = group.filter(({ speech }) => speech);
    return { start: group[0].start, end: group.at(-1).end, speech: spoken.length > 0, scores: meanScores(spoken, () => 1) };
  });
}

// Scores of each moment with speech as the mean of those around it, by a bell curve of so many seconds.
function smoothed(moments, deviation) {
  const middle = ({ start, end }) => (start + end) / 2;
  const reach = Math.ceil((3 * deviation) / Math.max(1e-3, moments[0].end - moments[0].start));
  return moments.map((moment, index) => {
    if (!moment.speech) return moment;
    const around = moments.slice(Math.max(0, index - reach), index + reach + 1).filter(({ speech }) => speech);
    return { ...moment, scores: meanScores(around, (other) => Math.exp(-(((middle(other) - middle(moment)) / deviation) ** 2) / 2)) };
  });
}

function meanScores(moments, weigh) {
  const weights = moments.map(weigh);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const names = Object.keys(moments[0]?.scores ?? {});
  return Object.fromEntries(names.map((name) => [name, moments.reduce((sum, { scores }, index) => sum + weights[index] * scores[name], 0) / total]));
}

function drawPassage({ emotion, start, end }, scale) {
  const [x, width] = [start * scale, (end - start) * scale];
  const band = drawShape("rect", { class: "passage", x, y: AREAS_TOP, width, height: RIBBON_HEIGHT, "data-emotion": emotion });
  const name = nameOf(emotion);
  if (width < LETTER_HEIGHT + 2) return [band];
  if (letterWidths(name) + LETTER_HEIGHT / 2 > width) return [band, placeFace(emotion, x + width / 2, AREAS_TOP + RIBBON_HEIGHT / 2)];
  const place = { x: x + width / 2, y: AREAS_TOP + RIBBON_HEIGHT / 2 + LETTER_HEIGHT / 4, class: "area-name", "data-emotion": emotion };
  return [band, drawShape("text", place, name)];
}

// A face where there is no room for the name.
function placeFace(emotion, x, y) {
  const face = drawFace(emotion);
  const size = LETTER_HEIGHT;
  for (const [key, value] of Object.entries({ x: x - size / 2, y: y - size / 2, width: size, height: size })) face.setAttribute(key, value);
  return face;
}

function drawLine(run, emotion, scale) {
  const height = ({ scores }) => (LINES_TOP + LINES_HEIGHT * (1 - scores[emotion])).toFixed(1);
  const points = run.map((moment) => `${(((moment.start + moment.end) / 2) * scale).toFixed(1)} ${height(moment)}`);
  const [first, last] = [run[0].start * scale, run.at(-1).end * scale];
  const d = `M${first.toFixed(1)} ${height(run[0])}L${points.join("L")}L${last.toFixed(1)} ${height(run.at(-1))}`;
  return drawShape("path", { class: "line", d, "data-emotion": emotion });
}

// Pixels that a name needs; a Chinese letter is twice as wide as a Latin one.
function letterWidths(text) {
  return [...text].reduce((sum, letter) => sum + (letter > "\u2e7f" ? 2 : 1) * LETTER_WIDTH, 0);
}

// Moments as page/answer.py packs them: the emotions, and rows of an end in seconds and, where there is speech, the per
// mille of each emotion.
function unpackMoments(packed) {
  const [emotions, lines] = JSON.parse(packed);
  let start = 0;
  return lines.map(([end, ...shares]) => {
    const scores = Object.fromEntries(emotions.map((emotion, index) => [emotion, (shares[index] ?? 0) / 1000]));
    const moment = { start, end, speech: shares.length > 0, scores };
    start = end;
    return moment;
  });
}

// An array of numbers from 0 to 255, of base64.
function unpackBytes(text) {
  return Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function strongest(segment) {
  return Object.entries(segment.scores).reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}

function segmentAt(segments, time) {
  return segments.find(({ end }) => time < end) ?? segments.at(-1);
}

// Consecutive segments with speech, each as a list.
function speechRuns(segments) {
  const runs = [];
  let open = false;
  for (const segment of segments) {
    if (segment.speech && open) runs.at(-1).push(segment);
    else if (segment.speech) runs.push([segment]);
    open = segment.speech;
  }
  return runs;
}

// Stretches of a speech run in which one emotion is the strongest: {emotion, start, end}.
function dominantStretches(run) {
  const stretches = [];
  for (const segment of run) {
    const [emotion] = strongest(segment);
    if (stretches.at(-1)?.emotion === emotion) stretches.at(-1).end = segment.end;
    else stretches.push({ emotion, start: segment.start, end: segment.end });
  }
  return stretches;
}

function drawWaveform(waveform, segments, duration, width) {
  const group = drawShape("g", { class: "waveform" });
  const count = Math.floor(width / BAR_STEP);
  for (let index = 0; index < count; index++) {
    const from = Math.floor((index * waveform.length) / count);
    const until = Math.max(from + 1, Math.floor(((index + 1) * waveform.length) / count));
    const height = Math.max(2, WAVEFORM_HEIGHT * Math.max(0, ...waveform.slice(from, until)));
    const segment = segmentAt(segments, ((index + 0.5) * duration) / count);
    const bar = { x: index * BAR_STEP, y: (WAVEFORM_HEIGHT - height) / 2, width: BAR_STEP - 1.5, height, rx: 1.25 };
    if (segment.speech) bar["data-emotion"] = strongest(segment)[0];
    group.append(drawShape("rect", bar));
  }
  return group;
}

// Upper edge of each emotion in a segment's stack, in probability from the bottom: {emotion: [lower, upper]}.
function stack(segment) {
  const known = STACKING.filter((emotion) => emotion in segment.scores);
  const others = Object.keys(segment.scores).filter((emotion) => !STACKING.includes(emotion));
  let lower = 0;
  return Object.fromEntries(
    [...known, ...others].map((emotion) => {
      const upper = lower + segment.scores[emotion];
      const band = [emotion, [lower, upper]];
      lower = upper;
      return band;
    }),
  );
}

function areaHeight(probability) {
  return AREAS_TOP + AREAS_HEIGHT * (1 - Math.min(1, probability));
}

function drawAreas(run, scale) {
  const middles = run.map(({ start, end }) => ((start + end) / 2) * scale);
  const stacks = run.map(stack);
  const points = [
    [run[0].start * scale, stacks[0]],
    ...middles.map((x, index) => [x, stacks[index]]),
    [run.at(-1).end * scale, stacks.at(-1)],
  ];
  const group = drawShape("g", { class: "areas" });
  for (const emotion of Object.keys(stacks[0])) {
    const upper = points.map(([x, bands]) => `${x.toFixed(1)} ${areaHeight(bands[emotion][1]).toFixed(1)}`);
    const lower = points.map(([x, bands]) => `${x.toFixed(1)} ${areaHeight(bands[emotion][0]).toFixed(1)}`);
    const outline = `M${upper.join("L")}L${lower.reverse().join("L")}Z`;
    group.append(drawShape("path", { d: outline, "data-emotion": emotion }));
  }
  return group;
}

// The emotion's name inside its area, at the place with the most room for it, if there is enough.
function drawName({ emotion, start, end }, run, scale) {
  const text = nameOf(emotion);
  const half = (letterWidths(text) + LETTER_HEIGHT / 2) / 2 / scale; // seconds
  let best = { room: LETTER_HEIGHT };
  for (let time = start + half; time <= end - half; time += half / 2) {
    const bands = [time - half, time, time + half].map((moment) => bandAt(run, emotion, moment));
    const lower = Math.max(...bands.map(([edge]) => edge));
    const upper = Math.min(...bands.map(([, edge]) => edge));
    const room = (upper - lower) * AREAS_HEIGHT;
    if (room > best.room) best = { room, x: time * scale, y: areaHeight((lower + upper) / 2) + LETTER_HEIGHT / 4 };
  }
  if (best.x === undefined) return [];
  return [drawShape("text", { x: best.x, y: best.y, "data-emotion": emotion, class: "area-name" }, text)];
}

// Lower and upper edge of an emotion's area at a time, between the middles of the segments around it.
function bandAt(run, emotion, time) {
  const middle = ({ start, end }) => (start + end) / 2;
  const next = run.findIndex((segment) => middle(segment) > time);
  const after = run.at(next);
  const before = run[Math.max(0, (next < 0 ? run.length : next) - 1)];
  const distance = middle(after) - middle(before);
  const share = distance > 0 ? (time - middle(before)) / distance : 0;
  const [from, to] = [stack(before)[emotion], stack(after)[emotion]];
  return from.map((edge, index) => edge + share * (to[index] - edge));
}

// Times whose letters end above `bottom`.
function drawAxis(duration, scale, width, nameTime, bottom) {
  const group = drawShape("g", { class: "axis" });
  const step = TICK_STEPS.find((seconds) => seconds * scale >= TICK_DISTANCE) ?? TICK_STEPS.at(-1);
  for (let time = 0; time <= duration; time += step) {
    const x = time * scale;
    const anchor = x < 16 ? "start" : x > width - 16 ? "end" : "middle";
    group.append(drawShape("text", { x, y: bottom - 6, "text-anchor": anchor }, nameTime(time)));
  }
  return group;
}
