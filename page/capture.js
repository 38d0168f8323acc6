// The microphone as sound in pieces, and the round button that opens and closes it.

// The browser's own processing would change what the model hears: a quiet voice would arrive as a loud one.
const UNPROCESSED = { autoGainControl: false, echoCancellation: false, noiseSuppression: false };
const CAPTURE_MODULE = `
  registerProcessor("capture", class extends AudioWorkletProcessor {
    process([[channel]]) {
      if (channel) this.port.postMessage(channel.slice());
      return true;
    }
  });`;

// Calls `hear(samples, sampleRate)` with each piece of mono sound, and `lost()` when the microphone goes away.
// Returns { sampleRate, close }.
async function openMicrophone(hear, lost) {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "InsecureError");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: UNPROCESSED });
  try {
    return await capture(stream, hear, lost);
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    throw error;
  }
}

async function capture(stream, hear, lost) {
  const context = new AudioContext();
  await context.resume();
  const module = URL.createObjectURL(new Blob([CAPTURE_MODULE], { type: "text/javascript" }));
  await context.audioWorklet.addModule(module);
  URL.revokeObjectURL(module);
  const node = new AudioWorkletNode(context, "capture", { channelCount: 1, channelCountMode: "explicit" });
  node.port.onmessage = ({ data }) => hear(data, context.sampleRate);
  context.createMediaStreamSource(stream).connect(node);
  stream.getTracks()[0].onended = lost;
  const close = () => {
    node.port.onmessage = null;
    stream.getTracks().forEach((track) => track.stop());
    return context.close();
  };
  return { sampleRate: context.sampleRate, close };
}

function explainRefusal(error) {
  if (error.name === "InsecureError") return texts.insecure;
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return texts.denied;
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") return texts.missing;
  return texts.busy;
}

const MICROPHONE_PARTS = `
  <button type="button">
    <svg class="icon-microphone" viewBox="0 0 24 24" aria-hidden="true"><rect x="9" y="2.5" width="6" height="11.5" rx="3"/><path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3.5"/></svg>
    <svg class="icon-stop" viewBox="0 0 24 24" aria-hidden="true"><rect x="6" y="6" width="12" height="12" rx="2.5"/></svg>
  </button>
  <p class="microphone-status" role="status"></p>
  <p class="microphone-clock" aria-hidden="true"></p>
  <div class="microphone-level" aria-hidden="true"><span></span></div>
`;

// Fills `root` with the round button: `show` a state in words, let its ring `follow` the voice, and its clock `tick`.
function makeMicrophoneButton(root) {
  root.innerHTML = MICROPHONE_PARTS;
  const find = (name) => root.querySelector(name);
  const button = find("button");
  let level = 0;
  function show(state, message, detail = "") {
    root.dataset.state = state;
    button.setAttribute("aria-label", state === "listening" ? texts.stop : texts.record);
    button.setAttribute("aria-busy", String(state === "asking" || state === "sending"));
    if (find(".microphone-status").textContent !== message) find(".microphone-status").textContent = message;
    find(".microphone-clock").textContent = detail;
    if (state !== "listening") follow(null);
  }
  function follow(chunk) {
    if (!chunk) {
      level = 0;
      return root.style.removeProperty("--level");
    }
    const power = chunk.reduce((sum, sample) => sum + sample * sample, 0) / chunk.length;
    const decibels = 10 * Math.log10(power + 1e-10);
    level = Math.max(0.97 * level, Math.min(1, (decibels + 55) / 45)); // -55 dB: a quiet room, -10 dB: a loud voice
    root.style.setProperty("--level", level.toFixed(3));
  }
  function tick(seconds) {
    if (find(".microphone-clock").textContent !== formatClock(seconds)) {
      find(".microphone-clock").textContent = formatClock(seconds);
    }
  }
  const isBusy = () => button.ariaBusy === "true";
  return { show, follow, tick, isBusy, onPress: (act) => button.addEventListener("click", act) };
}

// Press to record, press again to stop: then `finished(chunks, sampleRate, atLimit)` has what was said, and shows the
// button's next state.
function makeRecorder(button, limitSeconds, finished) {
  let microphone = null;
  let chunks = [];
  let samples = 0;
  button.onPress(() => {
    if (microphone) finish();
    else if (!button.isBusy()) start();
  });
  async function start() {
    button.show("asking", texts.asking);
    [chunks, samples] = [[], 0];
    try {
      microphone = await openMicrophone(hear, () => microphone && finish());
    } catch (error) {
      return button.show("refused", explainRefusal(error));
    }
    button.show("listening", texts.listening, formatClock(0));
  }
  function hear(chunk, sampleRate) {
    chunks.push(chunk);
    samples += chunk.length;
    if (!microphone) return;
    const seconds = samples / sampleRate;
    button.follow(chunk);
    button.tick(seconds);
    if (seconds >= limitSeconds) finish(true);
  }
  async function finish(atLimit = false) {
    const { sampleRate, close } = microphone;
    microphone = null;
    button.show("sending", texts.sending);
    await close();
    await finished(chunks, sampleRate, atLimit);
  }
}

// 16-bit integers, little-endian, from offset on.
function writeSamples(view, offset, chunks) {
  for (const chunk of chunks) {
    for (const sample of chunk) {
      view.setInt16(offset, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true);
      offset += 2;
    }
  }
}

function countSamples(chunks) {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

// The same integers as text, which a request can carry.
function toBase64(chunks) {
  const view = new DataView(new ArrayBuffer(2 * countSamples(chunks)));
  writeSamples(view, 0, chunks);
  const bytes = new Uint8Array(view.buffer);
  let text = "";
  for (let start = 0; start < bytes.length; start += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(text);
}

// A 16-bit mono WAV file.
function encodeWav(chunks, sampleRate) {
  const bytes = 2 * countSamples(chunks);
  const view = new DataView(new ArrayBuffer(44 + bytes));
  const writeText = (offset, text) => [...text].forEach((c, i) => view.setUint8(offset + i, c.charCodeAt(0)));
  writeText(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  writeText(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of the format chunk
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 2 * sampleRate, true); // bytes a second
  view.setUint16(32, 2, true); // bytes of a sample
  view.setUint16(34, 16, true); // bits
  writeText(36, "data");
  view.setUint32(40, bytes, true);
  writeSamples(view, 44, chunks);
  return view.buffer;
}
