// The microphone: press to record, press to stop; the recording goes to the server as a 16-bit mono WAV file.
// Runs with `element`, `trigger`, `props`, `upload` of gradio's HTML component; `chooseTexts` is in language.js.

const LIMIT_SECONDS = props.limit_seconds;
// The browser's own processing would change what the model hears: a quiet voice would arrive as a loud one.
const UNPROCESSED = { autoGainControl: false, echoCancellation: false, noiseSuppression: false };
const CAPTURE_MODULE = `
  registerProcessor("capture", class extends AudioWorkletProcessor {
    process([[channel]]) {
      if (channel) this.port.postMessage(channel.slice());
      return true;
    }
  });`;

const texts = chooseTexts(props.texts);
const root = element.querySelector(".microphone");
const button = root.querySelector("button");
const status = root.querySelector(".microphone-status");
const clock = root.querySelector(".microphone-clock");
let recording = null;

show("idle", texts.idle, texts.hint);
button.addEventListener("click", () => {
  if (recording) finish();
  else if (button.ariaBusy !== "true") start();
});

function show(state, message, detail = "") {
  root.dataset.state = state;
  button.setAttribute("aria-label", state === "listening" ? texts.stop : texts.record);
  button.setAttribute("aria-busy", String(state === "asking" || state === "sending"));
  if (status.textContent !== message) status.textContent = message;
  clock.textContent = detail;
}

async function start() {
  show("asking", texts.asking);
  if (!navigator.mediaDevices?.getUserMedia) return show("refused", texts.insecure);
  try {
    recording = await openMicrophone();
  } catch (error) {
    return show("refused", explainRefusal(error));
  }
  show("listening", texts.listening, formatClock(0));
}

function explainRefusal(error) {
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return texts.denied;
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") return texts.missing;
  return texts.busy;
}

async function openMicrophone() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: UNPROCESSED });
  try {
    return await capture(stream);
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    throw error;
  }
}

async function capture(stream) {
  const context = new AudioContext();
  await context.resume();
  const module = URL.createObjectURL(new Blob([CAPTURE_MODULE], { type: "text/javascript" }));
  await context.audioWorklet.addModule(module);
  URL.revokeObjectURL(module);
  const node = new AudioWorkletNode(context, "capture", { channelCount: 1, channelCountMode: "explicit" });
  const chunks = [];
  let samples = 0;
  node.port.onmessage = ({ data }) => {
    chunks.push(data);
    samples += data.length;
    follow(data, samples / context.sampleRate);
  };
  context.createMediaStreamSource(stream).connect(node);
  stream.getTracks()[0].onended = () => recording && finish();
  return { stream, context, node, chunks };
}

function follow(chunk, seconds) {
  if (!recording) return;
  const power = chunk.reduce((sum, sample) => sum + sample * sample, 0) / chunk.length;
  const decibels = 10 * Math.log10(power + 1e-10);
  const level = Math.min(1, Math.max(0, (decibels + 55) / 45)); // -55 dB is a quiet room, -10 dB a loud voice
  recording.level = Math.max(level, 0.97 * (recording.level ?? 0));
  root.style.setProperty("--level", recording.level.toFixed(3));
  if (clock.textContent !== formatClock(seconds)) clock.textContent = formatClock(seconds);
  if (seconds >= LIMIT_SECONDS) finish(texts.limit.replace("{seconds}", LIMIT_SECONDS));
}

async function finish(remark = texts.again) {
  const { stream, context, node, chunks } = recording;
  recording = null;
  node.port.onmessage = null;
  stream.getTracks().forEach((track) => track.stop());
  root.style.removeProperty("--level");
  show("sending", texts.sending);
  await context.close();
  const file = new File([encodeWav(chunks, context.sampleRate)], "recording.wav", { type: "audio/wav" });
  try {
    const { path, url } = await upload(file);
    props.value = { path, url, orig_name: file.name, meta: { _type: "gradio.FileData" } };
    trigger("submit");
    show("idle", remark);
  } catch (error) {
    show("refused", texts.unsent);
  }
}

function encodeWav(chunks, sampleRate) {
  const samples = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples));
  const writeText = (offset, text) => [...text].forEach((c, i) => view.setUint8(offset + i, c.charCodeAt(0)));
  writeText(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples, true);
  writeText(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of the format chunk
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 2 * sampleRate, true); // bytes a second
  view.setUint16(32, 2, true); // bytes of a sample
  view.setUint16(34, 16, true); // bits
  writeText(36, "data");
  view.setUint32(40, 2 * samples, true);
  let offset = 44;
  for (const chunk of chunks) {
    for (const sample of chunk) {
      view.setInt16(offset, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true);
      offset += 2;
    }
  }
  return view.buffer;
}
