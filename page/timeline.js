// The timeline of a recording as one SVG: the waveform on top, below it the emotions as stacked areas.
// Drawn in pixels of the width at hand, so that its letters stay readable on a phone.

const WAVEFORM_HEIGHT = 56;
const AREAS_TOP = 68;
const AREAS_HEIGHT = 132;
const AXIS_HEIGHT = 24;
const CHART_HEIGHT = AREAS_TOP + AREAS_HEIGHT + AXIS_HEIGHT;
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

// `nameTime` writes a time of the axis.
function drawTimeline({ segments, waveform, duration }, width, nameTime = formatClock) {
  const scale = width / duration; // pixels a second
  return drawShape(
    "svg",
    { viewBox: `0 0 ${width} ${CHART_HEIGHT}`, height: CHART_HEIGHT, "aria-hidden": "true" },
    drawWaveform(waveform, segments, duration, width),
    ...speechRuns(segments).flatMap((run) => [
      drawAreas(run, scale),
      ...dominantStretches(run).flatMap((stretch) => drawName(stretch, run, scale)),
    ]),
    drawAxis(duration, scale, width, nameTime, CHART_HEIGHT),
  );
}

function strongest(segment) {
  return Object.entries(segment.scores).reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}

function segmentAt(segments, time) {
  const distance = ({ start, end }) => Math.abs((start + end) / 2 - time);
  return segments.reduce((best, segment) => (distance(segment) < distance(best) ? segment : best));
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
    const height = Math.max(2, WAVEFORM_HEIGHT * Math.max(...waveform.slice(from, until)));
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
  const half = (LETTER_WIDTH * text.length + LETTER_HEIGHT / 2) / 2 / scale; // seconds
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
