"""Conditions of a voice on its way to the recogniser: noise, rooms, lines and microphones, one function for each.

A condition takes a waveform, float32 (samples,) at 16 kHz, and gives a changed copy. Random numbers come from the
global generators of Python and numpy.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ser_model.audio_io import SAMPLING_RATE
from train.augment import waveform_transforms
from train.augment.sounds import chords
from train.augment.waveform_transforms import (
    MP3,
    OPUS,
    from_random_place,
    reverberant,
    telephone,
    transcoded,
)


CLEAN = "clean"
SNRS_DB = (20, 10, 5, 0)
TALKERS = 6  # voices of a babble: too many to follow one of them, too few to be steady noise
PIECES, PIECE_S = 20, 8.0  # of music
ROOM_DECAY_S, ROOM_DIRECT_DB = 0.5, 0.0  # a living room, some two metres from the microphone
CLIPPED_DB = 12.0  # how far the loudest sample is beyond full scale
SILENCE_S = 1.0  # on each side

telephone_band = telephone(1.0)


def white(count: int, _voices: Sequence[np.ndarray]) -> np.ndarray:
    """Steady noise with the same power at every frequency."""
    return np.random.standard_normal(count)


def babble(count: int, voices: Sequence[np.ndarray]) -> np.ndarray:
    """Several of the other voices at once."""
    return waveform_transforms.babble([voices[index] for index in np.random.permutation(len(voices))[:TALKERS]], count)


def music(count: int, _voices: Sequence[np.ndarray]) -> np.ndarray:
    """A piece of music from a random place."""
    return from_random_place(pieces()[np.random.randint(PIECES)], count)


@functools.cache
def pieces() -> list[np.ndarray]:
    """Chords of some instruments, always the same; playing new ones for each clip takes longer than all the rest."""
    return [chords(np.random.default_rng(seed), round(PIECE_S * SAMPLING_RATE)) for seed in range(PIECES)]


# From a number of samples and clips of other speakers to a noise of any level.
NOISES: Mapping[str, Callable[[int, Sequence[np.ndarray]], np.ndarray]] = {
    "white noise": white,
    "babble": babble,
    "music": music,
}


def noise_name(noise: str, snr_db: float) -> str:
    """Name of a noise at a level: "babble, 10 dB"."""
    return f"{noise}, {snr_db:g} dB"


def gain(waveform: np.ndarray, decibels: float) -> np.ndarray:
    """Louder or softer, without clipping."""
    return waveform * np.float32(10 ** (decibels / 20))


def clipped(waveform: np.ndarray) -> np.ndarray:
    """As a microphone records it that is far too near."""
    limit = float(np.abs(waveform).max()) * 10 ** (-CLIPPED_DB / 20)
    return np.clip(waveform, -limit, limit)


def in_a_room(waveform: np.ndarray) -> np.ndarray:
    """With the reverberation of a room."""
    return reverberant(waveform, SAMPLING_RATE, ROOM_DECAY_S, ROOM_DIRECT_DB)


def in_silence(waveform: np.ndarray) -> np.ndarray:
    """With digital silence before and after."""
    return np.pad(waveform, round(SILENCE_S * SAMPLING_RATE))


CONDITIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "telephone band": lambda waveform: telephone_band(waveform, SAMPLING_RATE),
    "reverberation": in_a_room,
    "gain +20 dB": lambda waveform: gain(waveform, 20.0),
    "gain −20 dB": lambda waveform: gain(waveform, -20.0),
    "clipping": clipped,
    # The lowest rates that libsndfile writes of speech at 16 kHz: 10.6 and 8.2 kbit/s on clips of RAVDESS.
    "MP3, 11 kbit/s": lambda waveform: transcoded(waveform, SAMPLING_RATE, MP3 | {"compression_level": 0.98}),
    "Opus, 8 kbit/s": lambda waveform: transcoded(waveform, SAMPLING_RATE, OPUS | {"compression_level": 0.99}),
    "silence around": in_silence,
}
