"""Augmentation of waveforms in training: what another voice, room, microphone or line would do.

It costs ten to a hundred times as much as that of log-mel spectrograms, since clips are decoded and analysed anew, but
it reaches every feature. The changes are audiomentations'; `waveform_transforms` puts them together.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from train.augment.limits import check_limits


HIGHEST_SNR_DB = 40.0
NOISE_COLOURS_DB = (-6.0, 6.0)  # per octave: brown to violet


@dataclass(frozen=True)
class WaveformAugmentation:
    """How strongly to change a training clip; a strength of 0 switches a change off.

    The order is that in which a sound meets them: voice, room, noise, microphone, transmission.

    Args:
        probability: share of the clips that are changed at all; the others come from the cache, at no cost.
        copies: changed copies of each clip that are analysed once, before the training, and stored; an epoch then
            draws one of them. With 0, clips are changed anew in every epoch.
        time_stretch: largest change of the tempo at the same pitch, as a share (0.1: 0.9 to 1.1 times as fast).
        reverberation_probability: share of the clips that sound in a room, whose impulse response is decaying noise.
        noise_probability: share of the clips that get noise of a random colour, between brown and violet.
        babble_probability: share of the clips that get a babble of other clips.
        music_probability: share of the clips that get a few instruments' notes.
        noise_snr_db: lowest signal-to-noise ratio in dB, of any of the three.
        noise_highest_snr_db: the highest; ratios are drawn evenly in between.
        telephone_probability: share of the clips that are cut to the telephone band, 300 to 3400 Hz.
        codec_probability: share of the clips that go through a codec: MP3 or Opus at 7 to 25 kbit/s, or mu-law.
    """

    probability: float = 1.0
    copies: int = 0
    time_stretch: float = 0.0
    reverberation_probability: float = 0.0
    noise_probability: float = 0.0
    babble_probability: float = 0.0
    music_probability: float = 0.0
    noise_snr_db: float = 10.0
    noise_highest_snr_db: float = HIGHEST_SNR_DB
    telephone_probability: float = 0.0
    codec_probability: float = 0.0

    def __post_init__(self):
        check_limits("waveform_augmentation", self, LIMITS)
        if self.noise_snr_db > self.noise_highest_snr_db:
            raise ValueError(
                f"waveform_augmentation.noise_snr_db must not be above noise_highest_snr_db, "
                f"got {self.noise_snr_db!r} and {self.noise_highest_snr_db!r}."
            )

    @property
    def is_active(self) -> bool:
        """Whether anything is changed."""
        strengths = [entry.name for entry in fields(self) if entry.name not in RANGES]
        return self.probability > 0 and any(getattr(self, name) for name in strengths)

    def __call__(self, waveform: np.ndarray, sampling_rate: int, voices: Sequence[str] = ()) -> np.ndarray:
        """
        A changed copy of a waveform, float32 (samples,); it may be longer or shorter.

        Random numbers come from the global generators of Python and numpy.

        Args:
            waveform: float32 (samples,).
            sampling_rate: in Hz.
            voices: paths of clips that babble is made of; without any there is none.
        """
        changed = transforms(self, sampling_rate, tuple(voices))(np.array(waveform, dtype=np.float32), sampling_rate)
        return changed.astype(np.float32, copy=False)


LIMITS = {
    "probability": (0.0, 1.0),
    "copies": (0, 100),
    "time_stretch": (0.0, 0.9),
    "reverberation_probability": (0.0, 1.0),
    "noise_probability": (0.0, 1.0),
    "babble_probability": (0.0, 1.0),
    "music_probability": (0.0, 1.0),
    "noise_snr_db": (-40.0, HIGHEST_SNR_DB),
    "noise_highest_snr_db": (-40.0, HIGHEST_SNR_DB),
    "telephone_probability": (0.0, 1.0),
    "codec_probability": (0.0, 1.0),
}
# They act only together with another strength.
RANGES = ("probability", "copies", "noise_snr_db", "noise_highest_snr_db")


@functools.lru_cache(maxsize=8)
def transforms(
    augmentation: WaveformAugmentation, sampling_rate: int, voices: tuple[str, ...]
) -> Callable[[np.ndarray, int], np.ndarray]:
    """The changes as one function of waveform and sampling rate. Imported late: audiomentations takes 1.5 s."""
    from audiomentations import AddColorNoise, Compose, TimeStretch

    from train.augment.waveform_transforms import Babble, Codec, Music, Reverberation, telephone

    stretch = augmentation.time_stretch
    snrs = (augmentation.noise_snr_db, augmentation.noise_highest_snr_db)
    chain = [
        TimeStretch(1 - stretch, 1 + stretch, leave_length_unchanged=False, p=float(stretch > 0)),
        Reverberation(p=augmentation.reverberation_probability),
        AddColorNoise(*snrs, *NOISE_COLOURS_DB, p=augmentation.noise_probability),
        Babble(voices, snrs, p=augmentation.babble_probability if voices else 0.0),
        Music(snrs, p=augmentation.music_probability),
        telephone(augmentation.telephone_probability),
        Codec(p=augmentation.codec_probability),
    ]
    return Compose([transform for transform in chain if transform.p])
