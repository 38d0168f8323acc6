// Many files: a line for each, as it is answered. Draws what page/many.py puts into a table.

const root = element.querySelector(".many");
const find = (name) => root.querySelector(`.${name}`);

const SORT_KEYS = [({ name }) => name, ({ problem, label }) => (problem ? "\uffff" : nameOf(label)), ({ probability }) => -probability, ({ duration }) => duration];
let order = null; // { column, back }: as they were dropped until a heading is pressed

translateStatics(root);
root.querySelectorAll("th button").forEach((heading, column) => heading.addEventListener("click", () => sortBy(column)));
find("many-scroll").setAttribute("aria-label", texts.tab_many);
draw();
watch("value", draw);

function draw() {
  const { rows, total, given, csv } = props.value;
  const failed = rows.filter(({ problem }) => problem).length;
  const finished = rows.length === total;
  find("answer-title").textContent = describe(rows.length, total, failed);
  find("answer-detail").textContent = total === 0 ? fill(texts.many_empty_detail, { count: props.max_files }) : describeRest(failed, total, given);
  find("answer-progress").hidden = finished;
  find("answer-progress").value = total > 0 ? rows.length / total : 0;
  find("many-scroll").hidden = rows.length === 0;
  root.querySelector("tbody").replaceChildren(...inOrder(rows).map(drawRow));
  find("downloads").hidden = !csv;
  find("downloads").replaceChildren(find("downloads").firstElementChild, makeDownload(texts.save_csv, "emotions.csv", csv, "text/csv"));
}

function sortBy(column) {
  order = { column, back: order?.column === column && !order.back };
  root.querySelectorAll("th[scope=col]").forEach((heading, index) =>
    heading.setAttribute("aria-sort", index !== column ? "none" : order.back ? "descending" : "ascending"),
  );
  draw();
}

function inOrder(rows) {
  if (!order) return rows;
  const key = SORT_KEYS[order.column];
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  return [...rows].sort((a, b) => (order.back ? -1 : 1) * compare(key(a), key(b)));
}

function describe(done, total, failed) {
  if (total === 0) return texts.many_empty;
  return done < total ? fill(texts.many_progress, { done, total }) : fill(texts.many_done, { done: done - failed });
}

function describeRest(failed, total, given) {
  const sentences = [];
  if (failed > 0) sentences.push(fill(texts.many_failed, { failed }));
  if (given > total) sentences.push(fill(texts.many_extra, { count: total }));
  return sentences.join(" · ");
}

function drawRow({ name, problem, label, speech, unsure, probability, duration }) {
  const file = makeElement("th", { scope: "row", textContent: name });
  if (problem) return makeElement("tr", {}, file, makeElement("td", { colSpan: 3, className: "many-problem", textContent: problem }));
  const emotion = makeElement("td", {}, makeElement("span", { className: "many-emotion" }, drawFace(speech ? label : "no_speech")));
  emotion.firstChild.append(speech ? nameOf(label) + (unsure ? ` (${texts.unsure_short})` : "") : texts.no_voice);
  return makeElement("tr", {}, file, emotion, makeElement("td", { textContent: speech ? percent(probability) : "" }), makeElement("td", { textContent: formatLength(duration) }));
}
