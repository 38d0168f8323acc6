// Many files: a line for each as soon as it is taken, which is answered in its turn, and opens to bars and sound.
// Runs with `element`, `trigger`, `props`, `watch` and `upload` of gradio's HTML component; its value is the files on the
// server, props.table what page/many.py makes of them.

const root = element.querySelector(".many");
const find = (name) => root.querySelector(`.${name}`);
const SORT_KEYS = [
  ({ file }) => file.name,
  ({ problem, ranking }) => (problem ? "\uffff" : ranking.length > 0 ? nameOf(ranking[0].emotion) : "\ufffe"),
  ({ ranking }) => -(ranking[0]?.probability ?? 0),
  ({ duration }) => duration,
];
const UNANSWERED = { problem: "", ranking: [], unsure: false, candidates: [], arousal: null, familiar: true, duration: 0, answered: false };
let taken = 0; // times that files were taken: only the last ones count
let given = 0; // files then, of which some may be too many
let lines = []; // of the table: a file, what is known of it, and its two rows: the line, and what it opens to
let order = null; // { column, back }: as they were dropped until a heading is pressed

translateStatics(root);
find("many-formats").textContent = fill(texts.drop_formats, limitsInWords(props));
root.querySelectorAll("th button").forEach((heading, column) => heading.addEventListener("click", () => sortBy(column)));
find("many-scroll").setAttribute("aria-label", texts.tab_many);
root.querySelector("input").multiple = true;
takeFiles(root, root.querySelector("input"), take);
watch("table", receive);
recording.addEventListener("failed", fail);
draw();

async function take(files) {
  const number = ++taken;
  given = files.length;
  lines.forEach(({ sound }) => URL.revokeObjectURL(sound.src));
  lines = files.slice(0, props.max_files).map(makeLine);
  find("downloads").hidden = true;
  draw();
  const sent = [];
  for (const line of lines.filter(({ problem }) => !problem)) {
    try {
      const { path, url } = await upload(line.file);
      sent.push({ path, url, orig_name: line.file.name, meta: { _type: "gradio.FileData" } });
    } catch {
      know(line, { problem: "unsent" });
    }
    if (number !== taken) return;
  }
  props.value = sent;
  draw();
  if (sent.length > 0) trigger("submit");
}

function makeLine(file) {
  const sound = makeElement("audio", { controls: true, preload: "none", src: URL.createObjectURL(file) });
  sound.setAttribute("aria-label", file.name);
  const line = { file, sound, row: makeElement("tr"), more: makeElement("tr", { hidden: true, className: "many-more" }) };
  sound.addEventListener("error", () => sound.replaceWith(texts.unplayable), { once: true });
  line.row.addEventListener("click", () => open(line));
  know(line, file.size > props.max_megabytes * 2 ** 20 ? { ...UNANSWERED, problem: "problem_too_big" } : UNANSWERED);
  return line;
}

// What is known of a file from now on, drawn.
function know(line, known) {
  const { problem } = Object.assign(line, known, known.problem ? { answered: true } : {});
  drawLine(line);
  line.more.replaceChildren(makeElement("td", { colSpan: 4 }, ...(problem ? [] : drawAnswer(line)), line.sound));
}

function receive() {
  const { rows, csv, problem } = props.table;
  const sent = lines.filter(({ problem }) => !["problem_too_big", "unsent"].includes(problem));
  if (problem) sent.forEach((line) => know(line, { problem }));
  rows.forEach((row, index) => sent[index].answered || know(sent[index], { ...row, answered: true }));
  find("downloads").hidden = !csv;
  find("downloads").replaceChildren(find("downloads").firstElementChild, makeDownload(texts.save_csv, "emotions.csv", csv, "text/csv"));
  draw();
}

// The server gave no answer.
function fail(event) {
  const left = lines.filter(({ answered }) => !answered);
  if (left.length === 0) return;
  event.preventDefault();
  left.forEach((line) => know(line, { problem: "no_answer" }));
  draw();
}

function draw() {
  const [total, done] = [lines.length, lines.filter(({ answered }) => answered).length];
  find("answer-title").textContent = describe(done, total);
  find("answer-detail").textContent = total === 0 ? fill(texts.many_empty_detail, { count: props.max_files }) : describeRest(total);
  find("answer-progress").hidden = done === total;
  find("answer-progress").value = total > 0 ? done / total : 0;
  find("many-scroll").hidden = total === 0;
  root.querySelectorAll("tbody").forEach((body) => body.remove());
  root.querySelector("table").append(...inOrder().map(({ row, more }) => makeElement("tbody", {}, row, more)));
}

function sortBy(column) {
  order = { column, back: order?.column === column && !order.back };
  root.querySelectorAll("th[scope=col]").forEach((heading, index) =>
    heading.setAttribute("aria-sort", index !== column ? "none" : order.back ? "descending" : "ascending"),
  );
  draw();
}

function inOrder() {
  if (!order) return lines;
  const key = SORT_KEYS[order.column];
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  return [...lines].sort((a, b) => (order.back ? -1 : 1) * compare(key(a), key(b)));
}

function describe(done, total) {
  if (total === 0) return texts.many_empty;
  const failed = lines.filter(({ problem }) => problem).length;
  return done < total ? fill(texts.many_progress, { done, total }) : fill(texts.many_done, { done: done - failed });
}

function describeRest(total) {
  const failed = lines.filter(({ problem }) => problem).length;
  const sentences = [texts.many_open];
  if (failed > 0) sentences.unshift(fill(texts.many_failed, { failed }));
  if (given > total) sentences.push(fill(texts.many_extra, { count: total }));
  return sentences.join(" ");
}

function drawLine({ file, row, more, answered, problem, ranking, unsure, duration }) {
  const opener = makeElement("button", { type: "button", className: "many-open", textContent: file.name });
  opener.setAttribute("aria-expanded", !more.hidden);
  row.replaceChildren(makeElement("th", { scope: "row" }, opener));
  const sentence = problem ? fill(texts[problem], { name: file.name, ...limitsInWords(props) }) : answered ? "" : "…";
  if (sentence) return row.append(makeElement("td", { colSpan: 3, className: problem ? "many-problem" : "", textContent: sentence }));
  const [first] = ranking;
  const emotion = makeElement("span", { className: "many-emotion" }, drawFace(first?.emotion ?? "no_speech"));
  emotion.append(first ? nameOf(first.emotion) + (unsure ? ` (${texts.unsure_short})` : "") : texts.no_voice);
  const cells = [emotion, first ? percent(first.probability) : "", formatLength(duration)];
  row.append(...cells.map((cell) => makeElement("td", {}, cell)));
}

function drawAnswer({ answered, ranking, familiar, ...answer }) {
  if (!answered || ranking.length === 0) return [];
  const [title, detail] = verdictOf({ ranking, ...answer });
  const words = makeElement("p", { className: "many-words" }, makeElement("strong", { textContent: title }), makeElement("br"), detail);
  const bars = makeElement("ul", { className: "answer-bars" });
  bars.append(...ranking.map(({ emotion, probability }) => makeBar(emotion, probability, percent(probability))));
  const advice = makeElement("p", { className: "answer-advice", textContent: familiar ? "" : texts.unfamiliar });
  return [words, bars, advice];
}

function open({ row, more, sound }) {
  more.hidden = !more.hidden;
  sound.pause();
  row.querySelector(".many-open").setAttribute("aria-expanded", !more.hidden);
}
