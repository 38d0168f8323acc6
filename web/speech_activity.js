// Where there is speech, as ser_model/speech_activity.py hears it: Silero, which each block is played to as a whole, and
// once more at a slower speed where it hears too little. See there for the reasons; `settings.speech` has its numbers.

import { resampled } from "./decoding.js";

const { chunk: CHUNK, block_chunks: BLOCK_CHUNKS, slowdown: SLOWDOWN } = settings.speech;
const CONTEXT = 64; // samples before a chunk, which it hears again
const STATE = 128; // numbers that Silero remembers in each of two layers
const AT_ONCE = 16; // blocks that it hears side by side
const TURNS = Array.from({ length: CHUNK / 2 }, (_, step) => ({ cosine: Math.cos((2 * Math.PI * step) / CHUNK), sine: -Math.sin((2 * Math.PI * step) / CHUNK) }));
const REVERSED = Array.from({ length: CHUNK }, (_, index) => parseInt([...index.toString(2).padStart(Math.log2(CHUNK), "0")].reverse().join(""), 2));

// Whether a waveform has speech enough; `silero(blocks)` as of `listener`.
export async function hasSpeech(waveform, silero) {
  const voices = blocks(waveform).filter(inVoiceBand);
  return (await reachesMinimum(voices, 1, silero)) || (await reachesMinimum(voices.map(slowed), SLOWDOWN, silero));
}

async function reachesMinimum(voices, slowdown, silero) {
  const enough = Math.round((settings.speech.min_speech * slowdown * settings.sampling_rate) / CHUNK);
  return (await silero(voices)).some((probabilities) => count(probabilities) >= enough);
}

// Probability of speech in each chunk of a waveform; `progress` is told the share that is done.
export async function speechProbabilities(waveform, silero, progress) {
  const all = blocks(waveform);
  const heard = [];
  while (heard.length < all.length) {
    heard.push(...(await blockProbabilities(all.slice(heard.length, heard.length + AT_ONCE), silero)));
    await progress(heard.length / all.length);
  }
  return heard.flatMap((probabilities) => [...probabilities]);
}

export function speaks(probabilities) {
  return (count(probabilities) * CHUNK) / settings.sampling_rate >= settings.speech.min_speech;
}

async function blockProbabilities(several, silero) {
  const heard = several.map((block) => new Float32Array(Math.ceil(block.length / CHUNK)));
  const voices = several.flatMap((block, index) => (inVoiceBand(block) ? [index] : []));
  (await silero(voices.map((index) => several[index]))).forEach((probabilities, row) => (heard[voices[row]] = probabilities));
  const poor = voices.filter((index) => !speaks(heard[index]));
  (await silero(poor.map((index) => slowed(several[index])))).forEach((slow, row) => {
    heard[poor[row]] = heard[poor[row]].map((probability, chunk) => Math.max(probability, slow[Math.floor((chunk + 0.5) * SLOWDOWN)] ?? 0));
  });
  return heard;
}

// What gives the probabilities of speech in the chunks of blocks, of a promise of Silero's session.
export function listener(ort, loading) {
  return async (several) => {
    if (several.length === 0) return [];
    const session = await loading;
    const parts = several.map(loudChunks);
    const steps = Math.max(...parts.map(({ first, last }) => last - first + 1));
    const size = CONTEXT + CHUNK;
    const sr = new ort.Tensor("int64", BigInt64Array.of(BigInt(settings.sampling_rate)), []);
    let state = new ort.Tensor("float32", new Float32Array(2 * parts.length * STATE), [2, parts.length, STATE]);
    const input = new Float32Array(parts.length * size);
    for (let step = 0; step < steps; step++) {
      parts.forEach(({ chunks, first }, row) => {
        const start = (first + step) * CHUNK;
        input.copyWithin(row * size, (row + 1) * size - CONTEXT, (row + 1) * size);
        input.set(chunks.subarray(start, start + CHUNK), row * size + CONTEXT);
      });
      const { output, stateN } = await session.run({ input: new ort.Tensor("float32", input, [parts.length, size]), state, sr });
      state = stateN;
      parts.forEach(({ first, last, probabilities }, row) => {
        if (first + step <= last) probabilities[first + step] = output.data[row];
      });
    }
    return parts.map(({ probabilities }) => probabilities);
  };
}

// A block at one level, in whole chunks, and which of them are played: from before its first loud one to its last one.
function loudChunks(block) {
  const count = Math.ceil(block.length / CHUNK);
  const part = { chunks: new Float32Array(count * CHUNK), probabilities: new Float32Array(count), first: 0, last: -1 };
  const loudest = peak(block);
  if (loudest < settings.speech.faintest_peak) return part;
  part.chunks.set(block.map((sample) => (sample * settings.speech.peak) / loudest));
  const levels = Array.from({ length: count }, (_, index) => power(part.chunks.subarray(index * CHUNK, (index + 1) * CHUNK)));
  const floor = Math.max(...levels) * 10 ** (-settings.speech.quiet_db / 10);
  const isLoud = (level) => level > floor;
  return { ...part, first: Math.max(0, levels.findIndex(isLoud) - settings.speech.lead_chunks), last: levels.findLastIndex(isLoud) };
}

function blocks(waveform) {
  const size = BLOCK_CHUNKS * CHUNK;
  return Array.from({ length: Math.ceil(waveform.length / size) }, (_, index) => waveform.subarray(index * size, (index + 1) * size));
}

function slowed(block) {
  return resampled(block, 2, 2 * SLOWDOWN, "coarse"); // rates are whole numbers
}

// Whether enough of the power lies in the lower half of the frequencies.
function inVoiceBand(block) {
  let [low, all] = [0, 0];
  for (let start = 0; start + CHUNK <= block.length; start += CHUNK) {
    spectrum(block.subarray(start, start + CHUNK)).forEach((level, bin) => {
      all += level;
      if (bin < CHUNK / 4) low += level;
    });
  }
  return low > settings.speech.voice_band_share * all;
}

// Power at each frequency of a chunk, by the fast Fourier transform; its length is a power of two.
function spectrum(chunk) {
  const real = Float64Array.from(REVERSED, (index) => chunk[index]);
  const imaginary = new Float64Array(CHUNK);
  for (let size = 2; size <= CHUNK; size *= 2) {
    for (let low = 0; low < CHUNK; low += low % size === size / 2 - 1 ? size / 2 + 1 : 1) {
      const high = low + size / 2;
      const { cosine, sine } = TURNS[((low % size) * CHUNK) / size];
      const [a, b] = [cosine * real[high] - sine * imaginary[high], sine * real[high] + cosine * imaginary[high]];
      [real[high], imaginary[high]] = [real[low] - a, imaginary[low] - b];
      [real[low], imaginary[low]] = [real[low] + a, imaginary[low] + b];
    }
  }
  return real.subarray(0, CHUNK / 2 + 1).map((part, bin) => part ** 2 + imaginary[bin] ** 2);
}

export function peak(waveform) {
  return waveform.reduce((highest, sample) => Math.max(highest, Math.abs(sample)), 0);
}

function power(chunk) {
  return chunk.reduce((sum, sample) => sum + sample * sample, 0);
}

function count(probabilities) {
  return probabilities.filter((probability) => probability > settings.speech.speech_probability).length;
}
