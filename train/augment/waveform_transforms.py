"""The changes of `waveform_augmentation`: audiomentations, and what it needs files or other programs for."""

import functools
import io
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soundfile
from audiomentations import BandPassFilter
from audiomentations.core.transforms_interface import BaseWaveformTransform
from scipy.signal import fftconvolve

from ser_model.audio_io import load_audio


TELEPHONE_BAND = (300.0, 3400.0)  # Hz
TELEPHONE_ROLLOFF_DB = 24  # per octave
DECAY_S = (0.1, 0.8)
DIRECT_TO_REVERBERANT_DB = (-3.0, 15.0)  # how far the speaker is from the microphone
TALKERS = (3, 8)  # voices of a babble: too many to follow one of them
INSTRUMENTS = (1, 4)
LOWEST_NOTE, OCTAVES = 80.0, 3.5  # Hz, and above it
HARMONICS = 16
SLOPE_DB = (3.0, 12.0)  # by which harmonics fall in an octave
NOTE_S = (0.1, 1.0)
NOTE_DECAY_S = (0.1, 2.0)  # in which a note falls by 8.7 dB

# Codecs that libsndfile brings along, each with the range of its compression level, here 25 to 7 kbit/s of speech.
MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "AVERAGE"}
OPUS = {"format": "OGG", "subtype": "OPUS"}
CODECS = (
    (MP3, (0.8, 0.98)),
    (OPUS, (0.85, 0.99)),
    ({"format": "WAV", "subtype": "ULAW"}, None),
)


def telephone(probability: float) -> BandPassFilter:
    """The telephone band, which audiomentations wants as its centre and as its width relative to the centre."""
    low, high = TELEPHONE_BAND
    centre = (low + high) / 2
    width = (high - low) / centre
    return BandPassFilter(*(centre, centre, width, width, TELEPHONE_ROLLOFF_DB, TELEPHONE_ROLLOFF_DB), p=probability)


class BackgroundNoise(BaseWaveformTransform):
    """A sound of any level behind the voice, of a signal-to-noise ratio in a range of dB; subclasses make it."""

    def __init__(self, snrs_db: tuple[float, float], p: float = 0.5):
        super().__init__(p)
        self.snrs_db = snrs_db

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        """Draw the level."""
        super().randomize_parameters(samples, sample_rate)
        if self.parameters["should_apply"]:
            self.parameters["snr_db"] = random.uniform(*self.snrs_db)

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Copy of the samples in the noise."""
        return noisy(samples, self.sound(len(samples), sample_rate), self.parameters["snr_db"])

    def sound(self, count: int, sample_rate: int) -> np.ndarray:
        """`count` samples of the noise."""
        raise NotImplementedError


class Babble(BackgroundNoise):
    """Several other voices at once."""

    def __init__(self, voices: Sequence[str], snrs_db: tuple[float, float], p: float = 0.5):
        super().__init__(snrs_db, p)
        self.voices = list(voices)

    def sound(self, count: int, sample_rate: int) -> np.ndarray:
        """`count` samples of voices."""
        talkers = random.sample(self.voices, min(random.randint(*TALKERS), len(self.voices)))
        return babble([voice(path, sample_rate) for path in talkers], count)


def babble(clips: Sequence[np.ndarray], count: int) -> np.ndarray:
    """`count` samples of voices at once, equally loud, each from a random place in its clip."""
    return sum(from_random_place(clip / max(root_mean_square(clip), 1e-6), count) for clip in clips)


@functools.lru_cache(maxsize=256)
def voice(path: str, sampling_rate: int) -> np.ndarray:
    """A clip that talks in babbles, decoded once."""
    return load_audio(path, target_rate=sampling_rate)


class Music(BackgroundNoise):
    """A few instruments that play a note after the other, each with its harmonics."""

    def sound(self, count: int, sample_rate: int) -> np.ndarray:
        """`count` samples of music."""
        music = np.zeros(count)
        for _ in range(random.randint(*INSTRUMENTS)):
            slope_db, decay_s, start = random.uniform(*SLOPE_DB), random.uniform(*NOTE_DECAY_S), 0
            while start < count:
                played = music[start : start + round(random.uniform(*NOTE_S) * sample_rate)]
                played += note(np.arange(len(played)) / sample_rate, slope_db, decay_s)
                start += len(played)
        return music


def note(times: np.ndarray, slope_db: float, decay_s: float) -> np.ndarray:
    """A note of random pitch at some times in seconds; its harmonics fall by `slope_db` in an octave."""
    fundamental = LOWEST_NOTE * 2 ** (OCTAVES * random.random())
    strengths = (10 ** (-slope_db * np.log2(number) / 20) for number in range(1, HARMONICS + 1))
    harmonics = (
        strength * np.sin(2 * np.pi * (number * fundamental * times + random.random()))
        for number, strength in enumerate(strengths, start=1)
    )
    return sum(harmonics) * np.exp(-times / decay_s)


def from_random_place(sound: np.ndarray, count: int) -> np.ndarray:
    """`count` samples of a sound from a random place on; it begins again where it is too short."""
    return np.resize(np.roll(sound, np.random.randint(len(sound))), count)


def noisy(waveform: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """The waveform with a noise; the ratio is that of their mean powers over the whole clip, pauses included."""
    scale = 10 ** (-snr_db / 20) * root_mean_square(waveform) / max(root_mean_square(noise), 1e-12)
    return (waveform + scale * noise).astype(np.float32)


def root_mean_square(waveform: np.ndarray) -> float:
    """Level of a waveform."""
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


class Reverberation(BaseWaveformTransform):
    """A room whose impulse response is noise that decays exponentially behind the direct sound (Polack 1988)."""

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        """Draw the room: the time in which it decays by 60 dB, and how much of the sound comes directly."""
        super().randomize_parameters(samples, sample_rate)
        if self.parameters["should_apply"]:
            self.parameters["decay_s"] = random.uniform(*DECAY_S)
            self.parameters["direct_to_reverberant_db"] = random.uniform(*DIRECT_TO_REVERBERANT_DB)

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Reverberant copy of the samples."""
        room = self.parameters["decay_s"], self.parameters["direct_to_reverberant_db"]
        return reverberant(samples, sample_rate, *room)


def reverberant(
    samples: np.ndarray, sampling_rate: int, decay_s: float, direct_to_reverberant_db: float
) -> np.ndarray:
    """Copy of the samples in such a room, of the same length; the direct sound keeps its level.

    Args:
        samples: (samples,).
        sampling_rate: in Hz.
        decay_s: time in which the room's sound decays by 60 dB, in seconds.
        direct_to_reverberant_db: energy of the direct sound relative to that of the room, in dB.
    """
    times = np.arange(1, round(decay_s * sampling_rate)) / sampling_rate
    tail = np.random.standard_normal(len(times)) * 10 ** (-3 * times / decay_s)
    tail *= 10 ** (-direct_to_reverberant_db / 20) / np.linalg.norm(tail)
    return (samples + fftconvolve(samples, np.concatenate([[0.0], tail]))[: len(samples)]).astype(np.float32)


class Codec(BaseWaveformTransform):
    """Encode and decode by one of the codecs, at a drawn bit rate."""

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        """Draw codec and compression level."""
        super().randomize_parameters(samples, sample_rate)
        if self.parameters["should_apply"]:
            settings, levels = random.choice(CODECS)
            self.parameters["settings"] = settings | ({"compression_level": random.uniform(*levels)} if levels else {})

    def apply(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Decoded copy of the samples."""
        return transcoded(samples, sample_rate, self.parameters["settings"])


def transcoded(samples: np.ndarray, sampling_rate: int, settings: Mapping[str, Any]) -> np.ndarray:
    """Encoded and decoded copy, of the same length. Samples beyond full scale are scaled down for the codec.

    Args:
        samples: float32 (samples,).
        sampling_rate: in Hz.
        settings: of `soundfile.SoundFile`: format, subtype, compression_level.
    """
    scale = max(1.0, float(np.abs(samples).max()))
    content = io.BytesIO()
    with soundfile.SoundFile(content, "w", sampling_rate, 1, **settings) as file:
        file.write(samples / scale)
    content.seek(0)
    decoded = soundfile.read(content, dtype="float32")[0][: len(samples)]
    return np.pad(decoded, (0, len(samples) - len(decoded))) * np.float32(scale)
