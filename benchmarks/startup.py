"""Start of the command line to its first answer, against `python -c "import torch, transformers"`; and its memory."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile

from benchmarks.measuring import Outcome, compared, limited, seconds_in_turns
from ser_model.audio_io import SAMPLING_RATE
from train.augment.voice import speech_like


ROUNDS = 5
TIME_BAR = 0.3
MEMORY_BAR = 130.0  # MB
PROJECT = Path(__file__).parents[1]


def run() -> list[Outcome]:
    """Time and memory."""
    peer = [sys.executable, "-c", "import torch, transformers"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.wav")
        soundfile.write(path, speech_like(3.0), SAMPLING_RATE)
        ours = [sys.executable, "-m", "ser_model", str(path)]
        commands = {"ours": lambda: start(ours), "peer": lambda: start(peer)}
        seconds = seconds_in_turns(commands, ROUNDS, warm_up=1)
        megabytes = peak_memory(ours)
    return [
        compared("start to first answer", "the bare imports", *seconds.values(), "s", TIME_BAR, "ratio"),
        limited("peak memory of an answer", megabytes, "MB", MEMORY_BAR),
    ]


def start(command: list[str]) -> None:
    """Run a command to its end."""
    subprocess.run(command, cwd=PROJECT, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True)


def peak_memory(command: list[str]) -> float:
    """Peak resident memory of a command in MB, measured by a fresh parent that has no other children."""
    measure = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    process = subprocess.run(
        [sys.executable, "-c", measure, *command],
        cwd=PROJECT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(process.stdout) * resource_unit()


def resource_unit() -> float:
    """MB in a unit of `ru_maxrss`: bytes on macOS, kilobytes elsewhere."""
    return 1e-6 if sys.platform == "darwin" else 1.024e-3
