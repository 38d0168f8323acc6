"""The interface of what runs the network: torch_backend, onnx_backend, or one of them corrected for a voice."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from .answer_rule import AnswerRule


class BackendOutput(NamedTuple):
    """Network output of a batch of waveforms.

    probabilities: calibrated, of the labels, float32 (batch, labels).
    familiarity: how much voice there is to go by, 0 to 1, float32 (batch,); None where the
        checkpoint does not measure it.
    """

    probabilities: np.ndarray
    familiarity: np.ndarray | None = None

    def familiarity_of(self, index: int) -> float | None:
        """Familiarity of one waveform of the batch."""
        return None if self.familiarity is None else float(self.familiarity[index])

    def mean(self) -> "BackendOutput":
        """The mean over the batch, as a batch of one."""
        return BackendOutput(*(None if part is None else part.mean(0, keepdims=True) for part in self))


def joined_outputs(outputs: Sequence[BackendOutput]) -> BackendOutput:
    """Several batches as one."""
    columns = zip(*outputs, strict=True)
    return BackendOutput(*(None if parts[0] is None else np.concatenate(parts) for parts in columns))


class Backend(Protocol):
    """
    Interface of a backend, which runs the network.

    Attributes:
        labels: names of the emotions, in the order of the probabilities.
        rule: how the checkpoint's answers are read.
    """

    labels: tuple[str, ...]
    rule: AnswerRule = AnswerRule()

    def run(self, waveforms: Sequence[np.ndarray]) -> BackendOutput:
        """Network output of mono waveforms (samples,) at 16 kHz."""

    def probabilities(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """The probabilities alone, float32 (batch, labels)."""
        return self.run(waveforms).probabilities


__all__ = ["Backend", "BackendOutput", "joined_outputs"]
