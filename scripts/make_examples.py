"""Makes the page's examples in page/examples/: voices of espeak-ng, and noise. Run: python -m scripts.make_examples

Synthetic voices, so that they belong to nobody. Voice, pitch, speed and melody were searched for, so that the shipped
checkpoint hears what was asked for; the happy one is the hard case.
"""

import subprocess
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile


FOLDER = Path(__file__).parents[1] / "page" / "examples"
PAUSE_SECONDS = 0.4
NOISE_SECONDS = 4.0
NOISE_PEAK = 0.3


@dataclass(frozen=True)
class Manner:
    """Manner of espeak-ng: its voice, pitch (0 to 99), words a minute, and the range of its melody in per cent."""

    voice: str
    pitch: int
    speed: int
    melody: int


NEUTRAL = Manner("en-us+f4", 19, 266, 43)
SAD = Manner("en-us+m8", 2, 91, 96)
ANGRY = Manner("en-us+zac", 0, 222, 340)
HAPPY = Manner("en-us+Mario", 88, 187, 109)
TRAIN = "The train leaves from platform two."
LOST = "I have lost everything I had."
AGAIN = "No! I told you not to do that again!"
EXAMPLES = {
    "neutral": [(NEUTRAL, TRAIN)],
    "sad": [(SAD, LOST)],
    "angry": [(ANGRY, AGAIN)],
    "happy": [(HAPPY, "We won! I can hardly believe it, we really won!")],
    "turning": [(SAD, LOST), (ANGRY, AGAIN), (ANGRY, AGAIN)],
}


def speak(manner: Manner, sentence: str) -> tuple[np.ndarray, int]:
    """Samples and sampling rate of one sentence."""
    markup = f'<speak><prosody range="{manner.melody}%">{sentence}</prosody></speak>'
    options = ["-v", manner.voice, "-p", str(manner.pitch), "-s", str(manner.speed)]
    command = ["espeak-ng", "-m", *options, "--stdout", markup]
    return soundfile.read(BytesIO(subprocess.run(command, check=True, capture_output=True).stdout), dtype="float32")


def speak_all(parts: list[tuple[Manner, str]]) -> tuple[np.ndarray, int]:
    """Sentences one after the other, with a pause behind each."""
    spoken = [speak(manner, sentence) for manner, sentence in parts]
    rate = spoken[0][1]
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.float32)
    return np.concatenate([piece for samples, _ in spoken for piece in (samples, pause)]), rate


def noise(rate: int) -> np.ndarray:
    """Pink noise, as of rain: no voice."""
    generator = np.random.default_rng(0)
    spectrum = np.fft.rfft(generator.normal(size=round(NOISE_SECONDS * rate)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    samples = np.fft.irfft(spectrum)
    return (NOISE_PEAK * samples / np.abs(samples).max()).astype(np.float32)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, parts in EXAMPLES.items():
        samples, rate = speak_all(parts)
        soundfile.write(FOLDER / f"{name}.mp3", samples, rate)
    soundfile.write(FOLDER / "noise.mp3", noise(rate), rate)


if __name__ == "__main__":
    main()
