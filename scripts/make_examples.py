"""Speaks the page's examples with espeak-ng into page/examples/. Run: python scripts/make_examples.py

Synthetic voices, so that they belong to nobody; in several manners, so that their emotions differ.
"""

import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile


FOLDER = Path(__file__).parents[1] / "page" / "examples"
PAUSE_SECONDS = 0.4
# espeak-ng's voice, pitch (0 to 99) and words a minute, and the range of its melody.
EVEN = (["-v", "en-us", "-p", "30", "-s", "130"], "medium")
SHARP = (["-v", "en-us+f2", "-p", "80", "-s", "185"], "x-high")
HURRIED = (["-v", "en-us+f4", "-p", "99", "-s", "220"], "medium")
EXAMPLES = {
    "even": [(EVEN, "I waited for you all evening, and then I went home.")],
    "sharp": [(SHARP, "No! I told you not to do that again!")],
    "hurried": [(HURRIED, "Can you believe what happened today?")],
    "turning": [
        (EVEN, "I waited for you all evening, and then I went home."),
        (SHARP, "No! I told you not to do that again! I told you, and you never listen!"),
    ],
}
Manner = tuple[list[str], str]


def speak(manner: Manner, sentence: str) -> tuple[np.ndarray, int]:
    """Samples and sampling rate of one sentence."""
    options, melody = manner
    markup = f'<speak><prosody range="{melody}">{sentence}</prosody></speak>'
    command = ["espeak-ng", "-m", *options, "--stdout", markup]
    return soundfile.read(BytesIO(subprocess.run(command, check=True, capture_output=True).stdout), dtype="float32")


def speak_all(parts: list[tuple[Manner, str]]) -> tuple[np.ndarray, int]:
    """Sentences one after the other, with a pause behind each."""
    spoken = [speak(manner, sentence) for manner, sentence in parts]
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
