"""Time of an answer against its recording's length, from a second to an hour, by each backend on one thread."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.measuring import Outcome, compared, seconds_in_turns
from ser_model.audio_io import SAMPLING_RATE
from ser_model.recognizer import EmotionRecognizer
from train.augment.voice import speech_like


LENGTHS = {"1 s": 1, "3 s": 3, "10 s": 10, "1 min": 60, "10 min": 600, "1 h": 3600}
VOICE_SECONDS = 60  # of voice, again and again
ROUNDS = 3
BAR = 100.0  # times faster than real time


def run() -> list[Outcome]:
    """A row for each length and backend."""
    doors = {"ours": "onnx", "ours in PyTorch": "torch"}
    recognizers = {
        door: EmotionRecognizer.from_pretrained(backend=name, num_threads=1) for door, name in doors.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = {length: write_voice(Path(folder, f"{seconds}.wav"), seconds) for length, seconds in LENGTHS.items()}
        answers = {
            (length, door): functools.partial(recognizer.predict, path)
            for length, path in paths.items()
            for door, recognizer in recognizers.items()
        }
        seconds = seconds_in_turns(answers, ROUNDS, warm_up=1)
    return [
        compared(
            f"recording of {length} to answer, {door}",
            "real time",
            took,
            np.full(ROUNDS, float(LENGTHS[length])),
            "s",
            BAR,
            "faster",
        )
        for (length, door), took in seconds.items()
    ]


def write_voice(path: Path, seconds: int) -> Path:
    """Write so many seconds of a generated voice."""
    voice = speech_like(float(min(seconds, VOICE_SECONDS)))
    soundfile.write(path, np.tile(voice, -(-seconds // VOICE_SECONDS)), SAMPLING_RATE)
    return path
