"""Keras as a peer: an environment of its own outside the repository, and a process that does as it is told."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np


ENVIRONMENT = Path("~/.cache/ser-benchmarks/keras").expanduser()
REQUIREMENTS = Path(__file__).with_name("requirements-keras.txt")
NETWORK = Path(__file__).with_name("keras_network.py")


class KerasMissingError(RuntimeError):
    """Keras cannot be installed here, and why."""


def is_installed() -> bool:
    """True if Keras' environment is there."""
    installed = ENVIRONMENT / REQUIREMENTS.name  # copied when everything in it is installed
    return installed.is_file() and installed.read_text() == REQUIREMENTS.read_text()


def keras_python() -> Path:
    """The interpreter of Keras' environment, which is made where it is not there yet.

    Raises:
        KerasMissingError: it cannot be made, for instance without a network.
    """
    python = ENVIRONMENT / "bin" / "python"
    if not is_installed():
        print(f"Installing Keras into {ENVIRONMENT} ...", flush=True)
        run_or_raise([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)])
        run_or_raise([str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)])
        (ENVIRONMENT / REQUIREMENTS.name).write_text(REQUIREMENTS.read_text())
    return python


def run_or_raise(command: Sequence[str]) -> None:
    """Run a command; KerasMissingError with the end of what it said if it fails."""
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        last = (process.stderr.strip() or process.stdout.strip()).splitlines()[-1:]
        raise KerasMissingError(f"{' '.join(command[1:4])} failed: {' '.join(last)}")


class KerasProcess:
    """A process that holds the network and the batches."""

    def __init__(self, process: subprocess.Popen, messages: Path):
        self._process = process
        self._messages = messages
        self._expect("ready")

    def train(self) -> None:
        """Train one pass over the batches."""
        self._ask("train")

    def predict(self) -> None:
        """Predict the first batch."""
        self._ask("predict")

    def _ask(self, word: str) -> None:
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        self._expect("done")

    def _expect(self, word: str) -> None:
        answer = self._process.stdout.readline().strip()
        if answer != word:
            raise RuntimeError(f"Keras answered {answer!r}: {self._messages.read_text()[-1000:]}")


@contextmanager
def keras_process(
    batches: Sequence[tuple[np.ndarray, np.ndarray]], folder: Path, threads: int
) -> Iterator[KerasProcess]:
    """
    A running peer.

    Args:
        batches: padded features, (batch, frames, features), and labels, (batch,).
        folder: where they are handed over.
        threads: that it computes with.
    """
    path, messages = folder / "batches.npz", folder / "keras.log"
    named = {f"features_{index}": features for index, (features, _) in enumerate(batches)}
    np.savez(path, **named, **{f"labels_{index}": labels for index, (_, labels) in enumerate(batches)})
    command = [str(keras_python()), str(NETWORK), str(path), str(threads)]
    with (
        messages.open("w") as log,
        subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            yield KerasProcess(process, messages)
        finally:
            process.kill()
