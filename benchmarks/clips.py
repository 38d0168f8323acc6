"""Corpora with thousands of clips, written in seconds: official names, pieces of one generated voice."""

import itertools
from pathlib import Path

import numpy as np
import soundfile

from tests.generated_sound import RATE, speech_like
from tests.train.generated_corpora import NAMES
from train.data import CORPORA


CLIPS_PER_LABEL = {"crema_d": 7, "ased": 10}  # of each speaker: 7,072 clips in all
DURATIONS = (2.0, 3.5)  # seconds; RAVDESS' clips have 3.7 on average, those of TESS 2.1
VOICE_SECONDS = 30.0


def write_corpora(root: Path) -> list[str]:
    """Write the corpora of `CLIPS_PER_LABEL` below a folder; their names."""
    generator = np.random.default_rng(0)
    voice = speech_like(VOICE_SECONDS)
    for name, count in CLIPS_PER_LABEL.items():
        for speaker, code in itertools.product(CORPORA[name].speakers, CORPORA[name].labels):
            for path in itertools.islice(NAMES[name](speaker.partition("-")[2], code), count):
                write_piece(root / name / path, voice, generator)
    return list(CLIPS_PER_LABEL)


def write_piece(path: Path, voice: np.ndarray, generator: np.random.Generator) -> None:
    """Write a random piece of a voice as 16-bit PCM."""
    length = int(generator.uniform(*DURATIONS) * RATE)
    start = int(generator.integers(len(voice) - length))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice[start : start + length], RATE)
