// The microphone: press to record, press to stop; the recording goes on as a 16-bit mono WAV file.
// Runs with `element` and `props` of gradio's HTML component.

const LIMIT_SECONDS = props.limit_seconds;
const root = element.querySelector(".microphone");
const button = makeMicrophoneButton(root);

root.after(makeVoiceSwitch(props.offers_voice));
button.show("idle", texts.idle, texts.hint);
makeRecorder(button, LIMIT_SECONDS, send);

function send(chunks, sampleRate, atLimit) {
  tellRecording("spoken", new File([encodeWav(chunks, sampleRate)], "recording.wav", { type: "audio/wav" }));
  button.show("idle", atLimit ? fill(texts.limit, { length: formatLength(LIMIT_SECONDS) }) : texts.again);
}
