// A face for each emotion, so that no answer rests on colour alone, and a sign for each state without one.
// Drawn on a circle of radius 50.

const DOTS = '<circle cx="35" cy="43" r="5" class="fill"/><circle cx="65" cy="43" r="5" class="fill"/>';
const SOUND = '<path d="M26 45v10M38 36v28M50 27v46M62 36v28M74 45v10"/>';
const FEATURES = {
  angry: '<path d="M25 32 43 41M75 32 57 41"/><circle cx="36" cy="49" r="4.5" class="fill"/><circle cx="64" cy="49" r="4.5" class="fill"/><path d="M36 73Q50 61 64 73"/>',
  calm: '<path d="M27 43q8 8 16 0M57 43q8 8 16 0M38 64q12 8 24 0"/>',
  disgust: '<path d="M28 38 42 45 28 51M72 38 58 45 72 51M31 70q9-9 18-2t19-5"/>',
  fearful: '<path d="M25 31q7-6 15-5M75 31q-7-6-15-5"/><circle cx="35" cy="46" r="8"/><circle cx="65" cy="46" r="8"/><circle cx="35" cy="46" r="2.5" class="fill"/><circle cx="65" cy="46" r="2.5" class="fill"/><path d="M32 72q6-8 12 0t12 0 12 0"/>',
  happy: '<path d="M27 45q8-11 16 0M57 45q8-11 16 0"/><path d="M29 59q21 27 42 0Z" class="fill"/>',
  neutral: `${DOTS}<path d="M35 66H65"/>`,
  sad: '<path d="M25 39 41 31M75 39 59 31"/><circle cx="36" cy="48" r="4.5" class="fill"/><circle cx="64" cy="48" r="4.5" class="fill"/><path d="M36 74Q50 61 64 74"/>',
  surprised: `<path d="M26 29q9-8 17-2M74 29q-9-8-17-2"/>${DOTS}<ellipse cx="50" cy="69" rx="9" ry="11" class="fill"/>`,
  empty: SOUND,
  thinking: SOUND,
  no_speech: '<path d="M24 50h.1M37 50h.1M50 50h.1M63 50h.1M76 50h.1"/>',
  problem: '<path d="M50 27v29M50 73v.1"/>',
};

function drawFace(name) {
  const holder = document.createElement("template");
  holder.innerHTML = `<svg class="face" viewBox="0 0 100 100" aria-hidden="true"><circle class="skin" cx="50" cy="50" r="50"/><g class="features">${FEATURES[name] ?? ""}</g></svg>`;
  const face = holder.content.firstChild;
  face.dataset.emotion = name; // set here, because a model may name its labels as it likes
  return face;
}

// A line of a list: face, name, and a bar as long as the share.
function makeBar(emotion, share, value) {
  const track = makeElement("span", { className: "bar-track" }, makeElement("span"));
  const name = makeElement("span", { className: "bar-name", textContent: nameOf(emotion) });
  const figure = makeElement("span", { className: "bar-value", textContent: value });
  const row = makeElement("li", { className: "bar" }, drawFace(emotion), name, track, figure);
  row.dataset.emotion = emotion;
  row.style.setProperty("--share", share);
  return row;
}
