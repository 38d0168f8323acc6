// From a file to a waveform: mono, at the network's rate, as ser_model/audio_io.py makes it.

const ATTENUATION = 120; // decibels beyond the lower of both Nyquist frequencies
const PASSED = { fine: 0.9136, coarse: 0.6763 }; // of it: soxr's "HQ" and "MQ"
const USUAL_RATE = 48000; // of a file that does not say its own, and of all Opus
const HEAD = 4096; // bytes of a file in which these are found

// Float32Array at `rate`; throws where the browser cannot decode the file.
export async function decode(bytes, rate) {
  const head = String.fromCharCode(...new Uint8Array(bytes, 0, Math.min(bytes.byteLength, HEAD)));
  const view = new DataView(bytes.slice(0)); // decoding takes the bytes away
  const ownRate = rateOf(head, view) ?? USUAL_RATE;
  // A browser resamples to the rate of its context, but not as well: so it is asked for the file's own.
  const mono = toMono(await new OfflineAudioContext(1, 1, ownRate).decodeAudioData(bytes));
  return resampled(mono, ownRate, rate);
}

// Samples a second as the file's header has them; null of a format that is not known here.
function rateOf(head, view) {
  const after = (mark) => head.indexOf(mark) + mark.length;
  if (head.startsWith("RIFF") && head.includes("fmt ")) return view.getUint32(after("fmt ") + 8, true);
  if (head.startsWith("fLaC")) return view.getUint32(18) >>> 12;
  if (head.includes("\x01vorbis")) return view.getUint32(after("\x01vorbis") + 5, true);
  if (head.startsWith("ID3")) return rateOfMp3(view, 10 + [6, 7, 8, 9].reduce((size, place) => 128 * size + view.getUint8(place), 0));
  return rateOfMp3(view, 0);
}

function rateOfMp3(view, start) {
  if (view.byteLength < start + 4 || view.getUint16(start) < 0xffe0) return null;
  const halvings = { 3: 0, 2: 1, 0: 2 }[(view.getUint8(start + 1) >> 3) & 3]; // MPEG 1, 2 and 2.5
  return [44100, 48000, 32000][(view.getUint8(start + 2) >> 2) & 3] / 2 ** halvings || null;
}

// The mean of the channels, or the loudest one where they cancel each other out.
function toMono(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, index) => sound.getChannelData(index));
  if (channels.length === 1) return channels[0];
  const mean = new Float32Array(sound.length);
  for (const channel of channels) channel.forEach((sample, index) => (mean[index] += sample / channels.length));
  const energies = channels.map(energy);
  const whole = energies.reduce((sum, each) => sum + each, 0);
  const cancelled = energy(mean) < (settings.cancelled_share * whole) / channels.length ** 2;
  return cancelled ? channels[energies.indexOf(Math.max(...energies))] : mean;
}

function energy(samples) {
  return samples.reduce((sum, sample) => sum + sample * sample, 0);
}

// A waveform of the rate `from` at the rate `to`, whole numbers.
export function resampled(waveform, from, to, quality = "fine") {
  if (from === to) return waveform;
  const divisor = greatestCommonDivisor(from, to);
  const [step, phases] = [from / divisor, to / divisor];
  const filters = Array.from({ length: phases }, (_, phase) => lowPass(phase / phases, Math.min(1, to / from), PASSED[quality]));
  const half = filters[0].length / 2;
  const output = new Float32Array(Math.round((waveform.length * phases) / step));
  for (let index = 0; index < output.length; index++) {
    const filter = filters[(index * step) % phases];
    const first = Math.floor((index * step) / phases) - half + 1;
    const end = Math.min(filter.length, waveform.length - first);
    let sum = 0;
    for (let tap = Math.max(0, -first); tap < end; tap++) sum += filter[tap] * waveform[first + tap];
    output[index] = sum;
  }
  return output;
}

// Weights of the samples around a place that lies `offset` after one of them; of all frequencies up to `limit`, a share
// of the Nyquist frequency, `passed` pass as they are (a sinc in Kaiser's window).
function lowPass(offset, limit, passed) {
  const half = Math.ceil((ATTENUATION - 7.95) / (2.285 * Math.PI * limit * (1 - passed)) / 2);
  const beta = 0.1102 * (ATTENUATION - 8.7);
  const cutoff = (limit * (1 + passed)) / 2;
  return Float64Array.from({ length: 2 * half }, (_, tap) => {
    const distance = tap - half + 1 - offset;
    const angle = Math.PI * cutoff * distance;
    const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
    return (cutoff * sinc * besselI0(beta * Math.sqrt(Math.max(0, 1 - (distance / half) ** 2)))) / besselI0(beta);
  });
}

function besselI0(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
