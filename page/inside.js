// What the network hears: spectrogram, MFCC and attention of a recording. Draws what page/inside.py computes.

const CURVE_HEIGHT = 64;
const LOUD = [214, 63, 131]; // the accent, strong where it is loud; alike on light and dark
const MORE = [214, 63, 131];
const LESS = [42, 128, 200];

const root = element.querySelector(".inside");
const find = (name) => root.querySelector(`.${name}`);

translateStatics(root);
find("inside-spectrogram").setAttribute("aria-label", texts.spectrogram);
find("inside-mfcc").setAttribute("aria-label", texts.mfcc);
find("inside-curve").setAttribute("aria-label", texts.attention);
draw();
watch("value", draw);
new ResizeObserver(drawCurve).observe(find("inside-curve"));

function draw() {
  const inside = props.value;
  root.hidden = !inside;
  if (!inside) return;
  find("inside-pictures").hidden = !inside.spectrogram;
  find("inside-message").textContent = message(inside);
  if (!inside.spectrogram) return;
  find("inside-attention-note").textContent = inside.attention.length > 0 ? texts.attention_note : texts.attention_missing;
  drawPicture(find("inside-spectrogram"), inside.spectrogram, (value) => [...LOUD, value]);
  drawPicture(find("inside-mfcc"), inside.mfcc, (value) => [...(value < 128 ? LESS : MORE), Math.min(255, 2 * Math.abs(value - 128))]);
  drawCurve();
}

function message({ spectrogram, is_cut, duration }) {
  if (!spectrogram) return texts.inside_empty;
  return is_cut ? fill(texts.inside_cut, { length: formatLength(duration) }) : "";
}

function drawPicture(canvas, { columns, rows, values }, colour) {
  [canvas.width, canvas.height] = [columns, rows];
  const bytes = Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0));
  const image = new ImageData(columns, rows);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) {
      image.data.set(colour(bytes[column * rows + row]), 4 * ((rows - 1 - row) * columns + column));
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function drawCurve() {
  const width = find("inside-curve").clientWidth;
  if (!props.value?.spectrogram || width === 0) return;
  const { attention, start, end, duration } = props.value;
  const scale = width / duration;
  const step = ((end - start) * scale) / Math.max(1, attention.length);
  const points = attention.map((weight, index) => `${start * scale + (index + 0.5) * step} ${CURVE_HEIGHT * (1 - weight)}`);
  const outline = points.length > 0 ? `M${start * scale} ${CURVE_HEIGHT}L${points.join("L")}L${end * scale} ${CURVE_HEIGHT}Z` : "";
  find("inside-curve").replaceChildren(
    drawShape("svg", { viewBox: `0 0 ${width} ${CURVE_HEIGHT}`, height: CURVE_HEIGHT }, drawShape("path", { d: outline })),
  );
  const axis = drawShape("svg", { viewBox: `0 0 ${width} ${AXIS_HEIGHT}`, height: AXIS_HEIGHT });
  axis.append(drawAxis(duration, scale, width, formatClock, AXIS_HEIGHT));
  find("inside-axis").replaceChildren(axis);
}
