"""The interface of what runs the network: torch_backend, onnx_backend, or one of them corrected for a voice."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Backend(Protocol):
    """What runs the network."""

    labels: tuple[str, ...]

    def probabilities(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Calibrated probabilities, float32 (batch, labels), of mono waveforms (samples,) at 16 kHz."""


__all__ = ["Backend"]
