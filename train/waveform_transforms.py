"""The changes of `waveform_augmentation`: audiomentations, and what it needs files or other programs for."""

import io
import random

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
CODECS = (
    ({"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "AVERAGE"}, (0.8, 0.98)),
    ({"format": "OGG", "subtype": "OPUS"}, (0.85, 0.99)),
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
        """Reverberant copy of the samples, of the same length; the direct sound keeps its level."""
        times = np.arange(1, round(self.parameters["decay_s"] * sample_rate)) / sample_rate
        tail = np.random.standard_normal(len(times)) * 10 ** (-3 * times / self.parameters["decay_s"])
        tail *= 10 ** (-self.parameters["direct_to_reverberant_db"] / 20) / np.linalg.norm(tail)
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
        """Decoded copy, of the same length. Samples beyond full scale are scaled down for the codec."""
        scale = max(1.0, float(np.abs(samples).max()))
        content = io.BytesIO()
        with soundfile.SoundFile(content, "w", sample_rate, 1, **self.parameters["settings"]) as file:
            file.write(samples / scale)
        content.seek(0)
        decoded = soundfile.read(content, dtype="float32")[0][: len(samples)]
        return np.pad(decoded, (0, len(samples) - len(decoded))) * np.float32(scale)
