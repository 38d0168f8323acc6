"""Speaks the page's examples with espeak-ng into page/examples/. Run: python scripts/make_examples.py

Synthetic voices, so that they belong to nobody; slow and low or fast and high, so that their emotions differ.
"""

import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile


FOLDER = Path(__file__).parents[1] / "page" / "examples"
PAUSE_SECONDS = 0.4
SLOW_AND_LOW = ["-v", "en-us", "-p", "18", "-s", "105"]
FAST_AND_HIGH = ["-v", "en-us+f4", "-p", "88", "-s", "185", "-a", "160"]
EXAMPLES = {
    "slow": [(SLOW_AND_LOW, "I waited for you all evening, and then I went home.")],
    "fast": [(FAST_AND_HIGH, "Look at that! I would never have thought of it!")],
    "turning": [
        (SLOW_AND_LOW, "It was a long day, and nobody had called."),
        (FAST_AND_HIGH, "But then the door opened, and there they were, all of them! I could not believe it!"),
    ],
}


def speak(options: list[str], sentence: str) -> tuple[np.ndarray, int]:
    """Samples and sampling rate of one sentence."""
    command = ["espeak-ng", *options, "--stdout", sentence]
    return soundfile.read(BytesIO(subprocess.run(command, check=True, capture_output=True).stdout), dtype="float32")


def speak_all(parts: list[tuple[list[str], str]]) -> tuple[np.ndarray, int]:
    """Sentences one after the other, with a pause behind each."""
    spoken = [speak(options, sentence) for options, sentence in parts]
    rate = spoken[0][1]
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.float32)
    return np.concatenate([piece for samples, _ in spoken for piece in (samples, pause)]), rate


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, parts in EXAMPLES.items():
        samples, rate = speak_all(parts)
        soundfile.write(FOLDER / f"{name}.mp3", samples, rate)


if __name__ == "__main__":
    main()
