// The recording at hand, as all parts of the page see it: whoever takes one tells it, others show it and play it.

const recording = Object.assign(new EventTarget(), { name: "", audio: new Audio(), until: Infinity, local: "" });
recording.audio.preload = "auto";
recording.audio.addEventListener("timeupdate", stopWhereWanted);
for (const event of ["play", "pause", "ended", "seeked", "durationchange"]) {
  recording.audio.addEventListener(event, () => recording.dispatchEvent(new Event("sound")));
}
recording.audio.addEventListener("error", () => recording.dispatchEvent(new Event("unplayable")));

// What plays: an address or a File; nothing of it is sent anywhere.
function loadSound(source) {
  recording.audio.pause();
  URL.revokeObjectURL(recording.local);
  recording.local = source instanceof Blob ? URL.createObjectURL(source) : "";
  if (source) recording.audio.src = recording.local || source;
  else recording.audio.removeAttribute("src");
}

// Plays from a time to another, in seconds.
function playFrom(start, until = Infinity) {
  recording.audio.currentTime = start;
  recording.until = until;
  return resumeSound();
}

function resumeSound() {
  return recording.audio.play().catch(() => recording.dispatchEvent(new Event("unplayable")));
}

function toggleSound() {
  recording.until = Infinity;
  if (recording.audio.paused) resumeSound();
  else recording.audio.pause();
}

function stopWhereWanted() {
  if (recording.audio.currentTime >= recording.until) {
    recording.until = Infinity;
    recording.audio.pause();
  }
}

// Tells the parts that a recording was taken, is on its way, or was refused: `detail` has what they need of it.
function tellRecording(type, detail = null) {
  recording.dispatchEvent(new CustomEvent(type, { detail }));
}

// Files that are dropped on an element, or chosen by its input, go to `take`; the same one may be chosen again.
function takeFiles(element, input, take) {
  let entered = 0; // the element and its children are entered and left one by one
  const mark = (change) => {
    entered = Math.max(0, entered + change);
    element.classList.toggle("dropping", entered > 0);
  };
  element.addEventListener("dragenter", () => mark(1));
  element.addEventListener("dragleave", () => mark(-1));
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-entered);
    if (event.dataTransfer.files.length > 0) take([...event.dataTransfer.files]);
  });
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length > 0) take(files);
  });
}
