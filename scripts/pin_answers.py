"""Write down what the shipped checkpoint answers to generated clips: `python -m scripts.pin_answers`, after a new one.

tests/ser_model/test_pinned_answers.py compares every way to an answer with it.
"""

import json
import sys
from pathlib import Path

import numpy as np

from ser_model.files import WEIGHTS_FILE, digest
from ser_model.recognizer import PRETRAINED
from ser_model.torch_backend import TorchBackend
from train.augment.odd_clips import clips
from train.augment.voice import speech_like


PINNED = Path(__file__).parents[1] / "tests" / "ser_model" / "pinned_answers.json"
DIGITS = 7  # behind the point
VOICES = ((90, 1.0), (120, 3.0), (180, 4.5), (240, 2.0), (300, 6.0))  # pitch in Hz, seconds


def pinned_clips() -> dict[str, np.ndarray]:
    """Voices of several pitches and lengths, and the odd clips; float32 (samples,) at 16 kHz."""
    voices = {
        f"voice of {pitch} Hz, {seconds} s": speech_like(seconds, pitch, seed=pitch) for pitch, seconds in VOICES
    }
    return voices | clips()


def answers() -> dict[str, dict[str, float]]:
    """The probabilities of each clip by PyTorch, each alone."""
    backend = TorchBackend(PRETRAINED)
    rows = {name: backend.run([clip]).probabilities[0].astype(float) for name, clip in pinned_clips().items()}
    rounded = {name: np.round(row, DIGITS).tolist() for name, row in rows.items()}
    return {name: dict(zip(backend.labels, row, strict=True)) for name, row in rounded.items()}


def main() -> int:
    """Write the file, which names the weights that it is about."""
    content = {"weights_sha256": digest(PRETRAINED / WEIGHTS_FILE), "answers": answers()}
    PINNED.write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
