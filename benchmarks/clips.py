"""Corpora with thousands of clips, written in seconds: official names, pieces of one generated voice."""

import itertools
from pathlib import Path

import numpy as np
import soundfile

from train.augment.voice import RATE, speech_like
from train.data import CORPORA


# Clips of each speaker and label, 7,072 in all.
CLIPS = {
    "crema_d": [
        f"{{speaker}}_{sentence}_{{code}}_XX.wav" for sentence in ["DFA", "IOM", "ITH", "ITS", "IEO", "IWL", "IWW"]
    ],
    "ased": [
        f"{{code}}1-0{sentence}-0{repetition}-01-{{speaker}}.wav" for repetition in (1, 2) for sentence in range(1, 6)
    ],
}
DURATIONS = (2.0, 3.5)  # seconds; RAVDESS' clips have 3.7 on average, those of TESS 2.1
VOICE_SECONDS = 30.0


def write_corpora(root: Path) -> list[str]:
    """Write the corpora of `CLIPS` below a folder; their names."""
    generator = np.random.default_rng(0)
    voice = speech_like(VOICE_SECONDS)
    for name, clips in CLIPS.items():
        for speaker, code, clip in itertools.product(CORPORA[name].speakers, CORPORA[name].labels, clips):
            path = root / name / clip.format(speaker=speaker.partition("-")[2], code=code)
            write_piece(path, voice, generator)
    return list(CLIPS)


def write_piece(path: Path, voice: np.ndarray, generator: np.random.Generator) -> None:
    """Write a random piece of a voice as 16-bit PCM."""
    length = int(generator.uniform(*DURATIONS) * RATE)
    start = int(generator.integers(len(voice) - length))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice[start : start + length], RATE)
