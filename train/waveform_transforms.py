"""The changes of `waveform_augmentation`: audiomentations, and what it needs files or other programs for."""

import io
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import soundfile
from audiomentations import AddColorNoise, BandPassFilter, Compose, Gain, PitchShift, Resample, TimeStretch
from audiomentations.core.transforms_interface import BaseWaveformTransform
from scipy.signal import fftconvolve

from train.augmentation import HIGHEST_SNR_DB, TELEPHONE_BAND
from train.waveform_augmentation import WaveformAugmentation


NOISE_COLOURS_DB = (-6.0, 6.0)  # per octave: brown to violet
TELEPHONE_ROLLOFF_DB = 24  # per octave
SHORTEST_DECAY_S = 0.1
DIRECT_TO_REVERBERANT_DB = (-3.0, 15.0)  # how far the speaker is from the microphone

# Codecs that libsndfile brings along, each with the range of its compression level, here 25 to 7 kbit/s of speech.
MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "AVERAGE"}
OPUS = {"format": "OGG", "subtype": "OPUS"}
CODECS = (
    (MP3, (0.8, 0.98)),
    (OPUS, (0.85, 0.99)),
    ({"format": "WAV", "subtype": "ULAW"}, None),
)


def compose(augmentation: WaveformAugmentation, sampling_rate: int) -> Compose:
    """Transforms of all changes that are switched on."""
    pitch, stretch, speed = augmentation.pitch_semitones, augmentation.time_stretch, augmentation.speed
    gain, snr = augmentation.gain_db, augmentation.noise_snr_db
    chain = [
        PitchShift(-pitch, pitch, p=float(pitch > 0)),
        TimeStretch(1 - stretch, 1 + stretch, leave_length_unchanged=False, p=float(stretch > 0)),
        # Samples at another rate, taken for samples at the old one, are faster or slower.
        Resample(round(sampling_rate / (1 + speed)), round(sampling_rate / (1 - speed)), p=float(speed > 0)),
        Reverberation(augmentation.reverberation_s, p=augmentation.reverberation_probability),
        AddColorNoise(snr, HIGHEST_SNR_DB, *NOISE_COLOURS_DB, p=augmentation.noise_probability),
        Gain(-gain, gain, p=float(gain > 0)),
        telephone(augmentation.telephone_probability),
        Codec(p=augmentation.codec_probability),
    ]
    return Compose([transform for transform in chain if transform.p])


def telephone(probability: float) -> BandPassFilter:
    """The telephone band, which audiomentations wants as its centre and as its width relative to the centre."""
    low, high = TELEPHONE_BAND
    centre = (low + high) / 2
    width = (high - low) / centre
    return BandPassFilter(*(centre, centre, width, width, TELEPHONE_ROLLOFF_DB, TELEPHONE_ROLLOFF_DB), p=probability)


class Reverberation(BaseWaveformTransform):
    """A room whose impulse response is noise that decays exponentially behind the direct sound (Polack 1988)."""

    def __init__(self, longest_decay_s: float, p: float = 0.5):
        super().__init__(p)
        self.longest_decay_s = longest_decay_s

    def randomize_parameters(self, samples: np.ndarray, sample_rate: int) -> None:
        """Draw the room: the time in which it decays by 60 dB, and how much of the sound comes directly."""
        super().randomize_parameters(samples, sample_rate)
        if self.parameters["should_apply"]:
            self.parameters["decay_s"] = random.uniform(SHORTEST_DECAY_S, self.longest_decay_s)
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
