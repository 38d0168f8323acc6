// The recording that is answered: taken from a file by choice or drop, or from the microphone or an example.
// Runs with `element`, `trigger`, `props`, `upload` of gradio's HTML component; its value is the file on the server.

const root = element.querySelector(".voice");
const find = (name) => root.querySelector(`.${name}`);
let taken = 0; // recordings so far: only the last one counts

translateStatics(root);
find("voice-formats").textContent = fill(texts.drop_formats, limitsInWords(props));
takeFiles(document.getElementById("stage"), root.querySelector("input"), ([file]) => send(file));
recording.addEventListener("spoken", ({ detail }) => send(detail));
recording.addEventListener("example", ({ detail }) => hold(detail, detail.url));
find("voice-clear").addEventListener("click", clear);
draw();

async function send(file) {
  const number = ++taken;
  if (file.size > props.max_megabytes * 2 ** 20) return refuse("problem_too_big", file);
  tellRecording("sending");
  try {
    const { path, url } = await upload(file);
    if (number === taken) hold({ path, url, orig_name: file.name, meta: { _type: "gradio.FileData" } }, file);
  } catch {
    if (number === taken) refuse("unsent", file);
  }
}

function refuse(message, { name }) {
  tellRecording("refused", { message, name, ...limitsInWords(props) });
}

function hold(file, sound) {
  taken += 1;
  recording.name = file.orig_name;
  loadSound(sound);
  props.value = file;
  draw();
  trigger("submit");
}

function clear() {
  taken += 1;
  loadSound(null);
  props.value = null;
  draw();
  trigger("submit");
  root.querySelector("input").focus();
}

function draw() {
  const file = props.value;
  find("voice-current").hidden = !file;
  find("voice-invitation").textContent = file ? texts.drop_another : texts.drop;
  if (!file) return;
  find("voice-name").textContent = file.orig_name;
  find("voice-save").href = file.url;
  find("voice-save").download = file.orig_name;
}
