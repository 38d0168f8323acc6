// An answer to pass on: a picture and a sentence, both made in the browser.

const PICTURE_WIDTH = 1200;
const PICTURE_MARGIN = 64;
const PICTURE_BARS = { left: 330, right: 1040, step: 46, height: 18 };
const PICTURE_SCALE = 2; // pixels of the file for one of the drawing
const COPIED_STYLES = ["fill", "stroke", "stroke-width", "opacity", "font-size", "font-weight", "text-anchor", "dominant-baseline"];

// A PNG of a card with an answer: its title and detail, its bars, its timeline if it has one, and the page's name.
async function drawPicture(card, { title, detail, ranking, chart, name }) {
  const style = getComputedStyle(card);
  const timeline = chart ? await readSvg(chart) : null;
  const timelineHeight = timeline ? (timeline.height / timeline.width) * (PICTURE_WIDTH - 2 * PICTURE_MARGIN) + 30 : 0;
  const height = 250 + PICTURE_BARS.step * ranking.length + timelineHeight + 70;
  const canvas = makeElement("canvas", { width: PICTURE_SCALE * PICTURE_WIDTH, height: PICTURE_SCALE * height });
  const pen = canvas.getContext("2d");
  pen.scale(PICTURE_SCALE, PICTURE_SCALE);
  pen.fillStyle = paperOf(card);
  pen.fillRect(0, 0, PICTURE_WIDTH, height);
  const write = (text, x, y, size, weight = 400, align = "left", opacity = 1) => {
    const fontOf = (pixels) => `${weight} ${pixels}px ${style.fontFamily}`;
    Object.assign(pen, { font: fontOf(size), textAlign: align, fillStyle: style.color, globalAlpha: opacity });
    pen.font = fontOf(size * Math.min(1, (PICTURE_WIDTH - 2 * PICTURE_MARGIN) / pen.measureText(text).width)); // long ones smaller
    pen.fillText(text, x, y);
    pen.globalAlpha = 1;
  };
  write(title, PICTURE_MARGIN, 116, 56, 700);
  write(detail, PICTURE_MARGIN, 168, 28, 400, "left", 0.75);
  ranking.forEach(({ emotion, probability }, rank) => {
    const y = 240 + rank * PICTURE_BARS.step;
    write(nameOf(emotion), PICTURE_MARGIN, y, 26, rank === 0 ? 700 : 400);
    drawPictureBar(pen, y, 1, style.color, 0.12);
    drawPictureBar(pen, y, probability, colourOf(card, emotion));
    write(percent(probability), PICTURE_WIDTH - PICTURE_MARGIN, y, 26, 400, "right");
  });
  if (timeline) {
    const top = 250 + PICTURE_BARS.step * ranking.length;
    pen.drawImage(timeline, PICTURE_MARGIN, top, PICTURE_WIDTH - 2 * PICTURE_MARGIN, timelineHeight - 30);
  }
  write(name, PICTURE_WIDTH - PICTURE_MARGIN, height - 36, 22, 400, "right", 0.75);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function drawPictureBar(pen, baseline, share, colour, opacity = 1) {
  const { left, right, height } = PICTURE_BARS;
  Object.assign(pen, { fillStyle: colour, globalAlpha: opacity });
  pen.beginPath();
  pen.roundRect(left, baseline - height, Math.max(height, share * (right - left)), height, height / 2);
  pen.fill();
  pen.globalAlpha = 1;
}

// The colour of an emotion, as the page's rules give it to whatever is marked with it.
function colourOf(card, emotion) {
  const probe = makeElement("span", { hidden: true });
  probe.dataset.emotion = emotion;
  card.append(probe);
  const colour = getComputedStyle(probe).getPropertyValue("--emotion") || getComputedStyle(card).color;
  probe.remove();
  return colour;
}

// The first opaque background around an element.
function paperOf(element) {
  const { backgroundColor } = getComputedStyle(element);
  const clear = backgroundColor === "transparent" || backgroundColor.endsWith(", 0)");
  return clear && element.parentElement ? paperOf(element.parentElement) : backgroundColor;
}

// An SVG of the page as an image; what the page's rules say of its parts is written into a copy.
async function readSvg(svg) {
  const { width, height } = svg.getBoundingClientRect();
  const copy = svg.cloneNode(true);
  const [parts, copies] = [svg, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  parts.forEach((part, index) => {
    const style = getComputedStyle(part);
    for (const key of COPIED_STYLES) copies[index].style.setProperty(key, style.getPropertyValue(key));
  });
  copy.style.fontFamily = getComputedStyle(svg).fontFamily;
  for (const [key, value] of Object.entries({ xmlns: "http://www.w3.org/2000/svg", width, height })) copy.setAttribute(key, value);
  const image = new Image(width, height);
  image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}

// A button that copies a text, and says so for a moment.
function makeCopier(label, done, text) {
  const button = makeElement("button", { type: "button", className: "pill", textContent: label });
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = done;
    setTimeout(() => (button.textContent = label), 2000);
  });
  return button;
}

// A button that saves what `make` gives, a promise of a Blob.
function makeSaver(label, fileName, make) {
  const button = makeElement("button", { type: "button", className: "pill", textContent: label });
  button.addEventListener("click", async () => {
    const href = URL.createObjectURL(await make());
    makeElement("a", { href, download: fileName }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60000);
  });
  return button;
}
