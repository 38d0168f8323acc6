// The page without a server: microphone or file > waveform > the exported network > the parts that page/ draws.
// `allTexts`, `settings`, `parts` and the functions that all parts share come with page.js.

import * as ort from "./ort.wasm.min.mjs";
import { decode } from "./decoding.js";
import { blank, describe } from "./description.js";
import { predict, runner } from "./recognizer.js";
import { listener } from "./speech_activity.js";

ort.env.wasm.numThreads = 1; // more need headers that a static server does not send

const loading = ["model.onnx", "silero_vad.onnx"].map((name) => ort.InferenceSession.create(name));
const [network, silero] = [runner(ort, loading[0]), listener(ort, loading[1])];
let asked = 0; // recordings so far: only the last one is answered

translateStatics(document);
mount("header", { value: settings.about });
mount("microphone", { limit_seconds: settings.microphone_seconds });
mount("examples", { paths: settings.examples });
const show = mount("answer", { value: blank("empty"), emotions: settings.labels });
const { max_megabytes, max_minutes } = settings;
mount("voice", { value: null, max_megabytes, max_minutes }, ({ value }) => (value ? answerRecording(value) : clear()), keep);
Promise.all(loading).catch(() => show(blank("problem", { message: "model_missing" })));

// Runs the script of a part as gradio's HTML component does; returns what replaces its value.
function mount(name, props, trigger = () => {}, upload = null) {
  const watching = [];
  const watch = (_, draw) => watching.push(draw);
  parts[name](document.getElementById(name), props, () => trigger(props), watch, upload);
  return (value) => {
    props.value = value;
    watching.forEach((draw) => draw());
  };
}

// In the place of an upload: the file stays where it is, and has an address in this page alone.
async function keep(file) {
  const url = URL.createObjectURL(file);
  return { path: url, url };
}

function clear() {
  asked += 1;
  show(blank("empty"));
}

async function answerRecording({ url, orig_name: name }) {
  const number = ++asked;
  const tell = (answer) => number === asked && show(answer);
  tell(blank("thinking"));
  try {
    const bytes = await (await fetch(url)).arrayBuffer();
    const waveform = await decode(bytes, settings.sampling_rate).catch(() => null);
    const problem = problemOf(waveform);
    if (problem) return tell(blank("problem", { message: problem, name }));
    const prediction = await predict(waveform, silero, network, async (progress) => {
      tell(blank("thinking", { progress }));
      await new Promise((resolve) => setTimeout(resolve)); // until it is drawn
    });
    tell(describe(prediction, waveform, name.replace(/\.[^.]*$/, "")));
  } catch {
    tell(blank("problem", { message: (await Promise.allSettled(loading)).every(({ value }) => value) ? "unexpected" : "model_missing" }));
  }
}

function problemOf(waveform) {
  if (waveform === null) return "problem_undecodable";
  if (waveform.length === 0) return "problem_no_samples";
  return waveform.length > 60 * settings.max_minutes * settings.sampling_rate ? "problem_too_long" : null;
}
