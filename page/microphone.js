// The microphone: press to record, press to stop; the recording goes to the server as a 16-bit mono WAV file.
// Runs with `element`, `trigger`, `props`, `upload` of gradio's HTML component.

const LIMIT_SECONDS = props.limit_seconds;
const root = element.querySelector(".microphone");
const button = makeMicrophoneButton(root);

root.after(makeVoiceSwitch(true));
button.show("idle", texts.idle, texts.hint);
makeRecorder(button, LIMIT_SECONDS, send);

async function send(chunks, sampleRate, atLimit) {
  const file = new File([encodeWav(chunks, sampleRate)], "recording.wav", { type: "audio/wav" });
  try {
    const { path, url } = await upload(file);
    props.value = { path, url, orig_name: file.name, meta: { _type: "gradio.FileData" } };
    trigger("submit");
    button.show("idle", atLimit ? fill(texts.limit, { seconds: LIMIT_SECONDS }) : texts.again);
  } catch (error) {
    button.show("refused", texts.unsent);
  }
}

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
