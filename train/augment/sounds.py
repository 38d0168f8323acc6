"""Generated sounds that are no speech: noise, tones, machines, music. Every one is determined by its generator."""

from collections.abc import Callable, Iterable

import numpy as np

from ser_model.audio_io import SAMPLING_RATE


TIMBRES = ("organ", "piano", "string", "brass", "reed")
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 3, 7, 10), (0, 5, 7), (0, 7, 12))  # semitones above the root
SCALE = (0, 2, 4, 5, 7, 9, 11, 12)

Random = np.random.Generator


def seconds(count: int) -> np.ndarray:
    """Time of each of `count` samples."""
    return np.arange(count) / SAMPLING_RATE


def frequency(random: Random, low: float, high: float) -> float:
    """A frequency in Hz, equally likely in every octave."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def coloured(random: Random, count: int, slope: float) -> np.ndarray:
    """Noise whose spectrum falls or rises by `slope` dB an octave, level below 20 Hz; standard deviation 1."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLING_RATE), 20)
    noise = np.fft.irfft(spectrum * frequencies ** (slope / 6.02), count)
    return noise / noise.std()


def band_noise(random: Random, count: int) -> np.ndarray:
    """Noise between two frequencies."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLING_RATE)
    low = frequency(random, 100, 3000)
    high = min(low * random.uniform(1.3, 6), 7900)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    return np.fft.irfft(spectrum, count)


def wind(random: Random, count: int) -> np.ndarray:
    """Low noise that swells slowly."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    spectrum[np.fft.rfftfreq(count, 1 / SAMPLING_RATE) > random.uniform(1, 3)] = 0
    swell = np.fft.irfft(spectrum, count)
    return coloured(random, count, random.uniform(-9, -3)) * np.exp(2 * swell / np.abs(swell).max())


def harmonics(random: Random, count: int, pitch: float, number: int, slope: float) -> np.ndarray:
    """A steady buzz: harmonics of random strength that fall with their order."""
    times = seconds(count)
    orders = [order for order in range(1, number + 1) if order * pitch < 7500]
    return sum(
        random.uniform() / order**slope * np.sin(2 * np.pi * (order * pitch * times + random.random()))
        for order in orders
    )


def hum(random: Random, count: int) -> np.ndarray:
    """Mains hum of 50 or 60 Hz."""
    pitch = random.choice([50, 60]) * random.uniform(0.995, 1.005)
    return harmonics(random, count, pitch, int(random.integers(1, 20)), random.uniform(0.3, 1.5))


def motor(random: Random, count: int) -> np.ndarray:
    """A buzz with noise."""
    buzz = harmonics(random, count, random.uniform(20, 200), 30, 0.7)
    return buzz / buzz.std() + random.uniform(0.05, 1) * coloured(random, count, -4)


def tone(random: Random, count: int) -> np.ndarray:
    """A sine."""
    return np.sin(2 * np.pi * frequency(random, 60, 7500) * seconds(count) + random.uniform(0, 2 * np.pi))


def beeps(random: Random, count: int) -> np.ndarray:
    """A sine that is switched on and off."""
    period = int(SAMPLING_RATE * random.uniform(0.1, 1))
    gate = (np.arange(count) % period < period * random.uniform(0.2, 0.8)).astype(float)
    ramp = np.hanning(161)
    return tone(random, count) * np.convolve(gate, ramp / ramp.sum(), "same")


def dialling(random: Random, count: int) -> np.ndarray:
    """Pairs of tones as of a telephone's keys."""
    times, sound = seconds(count), np.zeros(count)
    period = int(SAMPLING_RATE * random.uniform(0.12, 0.4))
    for start in range(0, count, period):
        key = slice(start, start + int(0.6 * period))
        for pitch in (random.choice([697, 770, 852, 941]), random.choice([1209, 1336, 1477])):
            sound[key] += np.sin(2 * np.pi * pitch * times[key])
    return sound


def chirp(random: Random, count: int) -> np.ndarray:
    """Sweeps up or down, linear or by octaves."""
    low, high = frequency(random, 60, 7500), frequency(random, 60, 7500)
    position = seconds(count) / (count / SAMPLING_RATE / random.integers(1, 6)) % 1
    pitches = low * (high / low) ** position if random.random() < 0.5 else low + (high - low) * position
    return np.sin(2 * np.pi * np.cumsum(pitches) / SAMPLING_RATE)


def siren(random: Random, count: int) -> np.ndarray:
    """A tone with harmonics whose pitch swings."""
    swing = random.uniform(0.1, 0.6) * np.sin(2 * np.pi * random.uniform(0.2, 5) * seconds(count))
    phase = np.cumsum(random.uniform(400, 1500) * 2**swing) / SAMPLING_RATE
    return sum(np.sin(2 * np.pi * order * phase) / order for order in range(1, random.integers(2, 6)))


def clicks(random: Random, count: int) -> np.ndarray:
    """Single samples, regular or not, with or without a faint noise."""
    sound = 1e-4 * random.standard_normal(count) * random.choice([0, 1])
    if random.random() < 0.5:
        sound[:: int(SAMPLING_RATE * random.uniform(0.02, 1))] = 1
    else:
        number = max(1, int(count / SAMPLING_RATE * random.uniform(1, 30)))
        sound[random.integers(0, count, number)] = random.uniform(0.1, 1)
    return sound


def knocks(random: Random, count: int) -> np.ndarray:
    """Short blows that ring."""
    sound = np.zeros(count)
    for start in random.integers(0, count, max(1, int(count / SAMPLING_RATE * random.uniform(1, 8)))):
        times = seconds(count - start)
        ringing = np.sin(2 * np.pi * random.uniform(100, 3000) * times) + 0.3 * random.standard_normal(count - start)
        sound[start:] += random.uniform(0.2, 1) * np.exp(-times * random.uniform(20, 150)) * ringing
    return sound


def note(random: Random, pitch: float, count: int, timbre: str) -> np.ndarray:
    """A note of an instrument."""
    times = seconds(count)
    orders = np.arange(1, max(2, min(20, int(7500 / pitch))))
    strengths, attack, decay = {
        "organ": (1 / orders**1.2, 0.03, 0),
        "piano": (1 / orders**1.4, 0.005, 3),
        "string": (1 / orders, 0.15, 0),
        "brass": (np.exp(-(((orders - 4) / 4) ** 2)), 0.06, 0),
        "reed": (orders % 2 / orders, 0.02, 0),
    }[timbre]
    envelope = np.minimum(1, times / attack) * np.exp(-decay * times) * np.minimum(1, (times[-1] - times) / 0.02)
    if timbre in ("string", "brass"):  # vibrato
        times = times + random.uniform(0, 2e-4) * np.sin(2 * np.pi * random.uniform(4, 6) * times)
    return envelope * sum(
        strength * np.sin(2 * np.pi * order * pitch * times + random.uniform(0, 2 * np.pi))
        for order, strength in zip(orders, strengths, strict=True)
    )


def piece(random: Random, count: int, step: float, choose: Callable[[int], Iterable[int]]) -> np.ndarray:
    """Notes of one instrument; every `step` seconds those that `choose` tells, as keys of a piano (69 is 440 Hz)."""
    sound, timbre = np.zeros(count), random.choice(TIMBRES)
    length = int(SAMPLING_RATE * step)
    for start in range(0, count - 100, length):
        size = min(length, count - start)
        for key in choose(start // length):
            sound[start : start + size] += note(random, 440 * 2 ** ((key - 69) / 12), size, timbre)
    return sound


def chords(random: Random, count: int) -> np.ndarray:
    """A chord progression."""
    root = random.integers(45, 65)

    def chord(_index: int) -> Iterable[int]:
        base = root + random.choice([0, 5, 7, -3, 2])
        return [base + interval for interval in CHORDS[random.integers(len(CHORDS))]]

    return piece(random, count, random.uniform(0.4, 2), chord)


def melody(random: Random, count: int) -> np.ndarray:
    """A tune."""
    root = random.integers(50, 78)
    return piece(random, count, random.uniform(0.12, 0.6), lambda _index: [root + random.choice(SCALE)])


def drums(random: Random, count: int) -> np.ndarray:
    """A drum beat."""
    sound = np.zeros(count)
    for index, start in enumerate(range(0, count, int(SAMPLING_RATE * random.uniform(0.1, 0.3)))):
        times, noise = seconds(count - start), random.standard_normal(count - start)
        if index % 4 == 0:
            sound[start:] += np.exp(-15 * times) * np.sin(2 * np.pi * 50 * times - 20 * np.exp(-30 * times))
        else:
            sound[start:] += random.choice([0, 0.6, 0.2]) * np.exp(-random.uniform(20, 60) * times) * noise
    return sound


def band(random: Random, count: int) -> np.ndarray:
    """Chords, tune and drums together."""
    parts = (chords(random, count), melody(random, count), drums(random, count))
    return sum(random.uniform(0.3, 1) * part / part.std() for part in parts)


def in_noise(random: Random, count: int) -> np.ndarray:
    """Hum, a tone, beeps or chords in noise."""
    source = (hum, tone, beeps, chords)[random.integers(4)](random, count)
    noise = coloured(random, count, random.uniform(-6, 0))
    return source / source.std() + noise * 10 ** (random.uniform(-30, 0) / 20)


SOUNDS: dict[str, Callable[[Random, int], np.ndarray]] = {
    "silence": lambda _random, count: np.zeros(count),
    "dither": lambda random, count: random.integers(-1, 2, count) / 32768,
    "white noise": lambda random, count: coloured(random, count, 0),
    "pink noise": lambda random, count: coloured(random, count, -3),
    "brown noise": lambda random, count: coloured(random, count, -6),
    "blue noise": lambda random, count: coloured(random, count, 3),
    "band noise": band_noise,
    "wind": wind,
    "hum": hum,
    "motor": motor,
    "tone": tone,
    "beeps": beeps,
    "dialling": dialling,
    "chirp": chirp,
    "siren": siren,
    "clicks": clicks,
    "knocks": knocks,
    "chords": chords,
    "melody": melody,
    "drums": drums,
    "band": band,
    "in noise": in_noise,
}
UNSCALED = ("silence", "dither")


def generated(kind: str, index: int) -> np.ndarray:
    """Variant `index` of a kind of sound, always the same; float32 (samples,) at 16 kHz."""
    random = np.random.default_rng([list(SOUNDS).index(kind), index])
    sound = SOUNDS[kind](random, int(SAMPLING_RATE * random.uniform(1, 6)))
    if kind not in UNSCALED:
        sound = sound * 10 ** (random.uniform(-50, -1) / 20) / np.abs(sound).max()
    return sound.astype(np.float32)
