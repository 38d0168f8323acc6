"""Correction for one voice, by what the network makes of some of its clips; nothing is trained.

Some voices sound angry, sad or tender to the network whatever they express. Over several clips of one speaker it then
gives one emotion too much and another too little; that imbalance is partly taken back, the more of it the more clips
there are. `python -m train adaptation` measures what it is worth.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np


if TYPE_CHECKING:
    from .recognizer import Backend


# Both chosen on development speakers, so that it helps in nearly every draw of ten clips, of one emotion too.
PRIOR_CLIPS = 10.0  # as many clips as speak for no correction at all
LEAST_PROBABILITY = 0.01  # what is taken for any less, so that no single clip outweighs the others


class AdaptedBackend:
    """
    A backend whose probabilities are corrected for one voice.

    Args:
        backend: without any correction.
        correction: as [`voice_correction`] gives it, (labels,).
    """

    def __init__(self, backend: "Backend", correction: np.ndarray):
        self.backend = backend
        self.labels = backend.labels
        self.correction = correction

    def probabilities(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Corrected probabilities, float32 (batch, labels), of mono waveforms (samples,) at 16 kHz."""
        return corrected(self.backend.probabilities(waveforms), self.correction)


def voice_correction(probabilities: np.ndarray) -> np.ndarray:
    """
    What to add to the logarithms of a voice's probabilities.

    Args:
        probabilities: of clips of one speaker, (clips, labels), before any correction.

    Returns:
        float32 (labels,), with a mean of 0: how far the mean logarithm of each emotion lies below that of all,
        shrunk by clips / (clips + PRIOR_CLIPS).
    """
    means = np.log(np.maximum(probabilities, LEAST_PROBABILITY)).mean(0)
    shrinkage = len(probabilities) / (len(probabilities) + PRIOR_CLIPS)
    return (shrinkage * (means.mean() - means)).astype(np.float32)


def corrected(probabilities: np.ndarray, correction: np.ndarray) -> np.ndarray:
    """Probabilities, float32 (clips, labels), after a correction (labels,)."""
    weighted = probabilities * np.exp(correction)
    return weighted / weighted.sum(-1, keepdims=True)


__all__ = ["AdaptedBackend", "corrected", "voice_correction"]
