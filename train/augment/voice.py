"""A generated voice that speaks vowels, for tests and benchmarks."""

import numpy as np


RATE = 16000  # Hz

# First three formants in Hz (Peterson and Barney 1952, men).
VOWELS = {"a": (730, 1090, 2440), "e": (530, 1840, 2480), "i": (270, 2290, 3010), "o": (570, 840, 2410)}
BANDWIDTHS = (80, 100, 140)  # Hz
SYLLABLE = 0.2  # seconds


def speech_like(duration: float = 3.0, pitch: float = 120.0, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A voice that speaks random vowels, each behind a short hiss; float32 (samples,), peak 0.5, at `rate` Hz.

    Harmonics of a falling pitch are weighted by the vowels' formants. The voice activity detector takes it for speech.
    """
    generator = np.random.default_rng(seed)
    count = round(duration * rate)
    times = np.arange(count) / rate
    syllables = (times / SYLLABLE).astype(int)
    spoken = generator.choice(list(VOWELS), syllables[-1] + 1)
    formants = np.array([VOWELS[vowel] for vowel in spoken], float)
    centres = (np.arange(len(spoken)) + 0.5) * SYLLABLE
    tracks = [np.interp(times, centres, formants[:, index]) for index in range(3)]
    position = times / SYLLABLE % 1
    pitches = pitch * (1.15 - 0.3 * times / duration) * (1 + 0.05 * np.sin(np.pi * position))
    phase = 2 * np.pi * np.cumsum(pitches) / rate
    voice = np.zeros(count)
    for harmonic in range(1, int(3800 / pitch)):
        frequencies = harmonic * pitches
        gain = sum(
            1 / (1 + ((frequencies - track) / bandwidth) ** 2) / (index + 1)
            for index, (track, bandwidth) in enumerate(zip(tracks, BANDWIDTHS, strict=True))
        )
        voice += gain * np.sin(harmonic * phase)
    voiced = np.clip(np.sin(np.pi * np.clip((position - 0.15) / 0.85, 0, 1)) * 2, 0, 1)
    hiss = np.where(position < 0.15, 0.05, 0.002) * generator.standard_normal(count)
    sound = voice * voiced + hiss
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)
