"""A synthetic voice for the benchmarks: vowels with a melody, which a speech detector takes for speech."""

import numpy as np
from scipy.signal import lfilter

from ser_model.audio_io import SAMPLING_RATE


FORMANTS = {  # Hz: the first three of a male voice (Peterson and Barney 1952)
    "a": (730, 1090, 2440),
    "i": (270, 2290, 3010),
    "u": (300, 870, 2240),
    "e": (530, 1840, 2480),
}
BANDWIDTHS = (80, 100, 140)  # Hz
SYLLABLE_SECONDS = 0.25


def spoken_clip(seconds: float, pitch: float = 120.0) -> np.ndarray:
    """A voice that speaks syllables for some seconds, float32 (samples,) at 16 kHz."""
    generator = np.random.default_rng(0)
    syllables = [syllable(vowel, pitch * generator.uniform(0.85, 1.2)) for vowel in "aieuaeiu" * 20]
    waveform = np.concatenate(syllables)[: int(seconds * SAMPLING_RATE)]
    return (0.3 * waveform / np.abs(waveform).max()).astype(np.float32)


def syllable(vowel: str, pitch: float) -> np.ndarray:
    """One vowel with a falling pitch that swells and fades."""
    time = np.arange(int(SYLLABLE_SECONDS * SAMPLING_RATE)) / SAMPLING_RATE
    phase = np.cumsum(pitch * (1.1 - 0.2 * time / SYLLABLE_SECONDS)) / SAMPLING_RATE
    sound = np.diff(np.floor(phase), prepend=0)  # one pulse a period
    for frequency, bandwidth in zip(FORMANTS[vowel], BANDWIDTHS, strict=True):
        radius = np.exp(-np.pi * bandwidth / SAMPLING_RATE)
        angle = 2 * np.pi * frequency / SAMPLING_RATE
        sound = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], sound)
    return sound * np.hanning(len(sound)) ** 0.5
