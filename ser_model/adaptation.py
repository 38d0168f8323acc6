"""Correction for one voice, by what the network makes of some of its clips; nothing is trained.

Some voices sound angry, sad or tender to the network whatever they express. Over several clips of one speaker it then
gives one emotion too much and another too little; that imbalance is partly taken back, the more of it the more clips
there are. `python -m train adaptation` measures what it is worth.
"""

import math
from collections.abc import Sequence

import numpy as np

from .backend import Backend, BackendOutput
from .prediction import Prediction


# Chosen by cross-validation, for what ten clips bring and for what clips of one emotion must not cost.
PRIOR_CLIPS = 4.0  # as many clips as speak for no correction at all
LARGEST_CORRECTION = 1.5  # of a logarithm: clips that all express one emotion are not taken for the voice
# Familiarity up to which a clip says nothing of the voice, and from which it counts in full: 0.7 and 1.4 voiced
# seconds. Single words lean to a few emotions, whoever speaks.
NOT_COUNTED_BELOW, COUNTED_IN_FULL_FROM = 0.28, 0.55
LEAST_PROBABILITY = 1e-4  # what is taken for any less, so that no single clip outweighs the others


class AdaptedBackend(Backend):
    """
    A backend whose probabilities are corrected for one voice.

    Args:
        backend: without any correction.
        correction: as [`voice_correction`] gives it, (labels,).
    """

    def __init__(self, backend: Backend, correction: np.ndarray):
        self.backend = backend
        self.labels = backend.labels
        self.rule = backend.rule
        self.correction = correction

    def run(self, waveforms: Sequence[np.ndarray]) -> BackendOutput:
        """As of [`Backend`], with corrected probabilities."""
        output = self.backend.run(waveforms)
        return output._replace(probabilities=corrected(output.probabilities, self.correction))


def voice_correction(probabilities: np.ndarray, weights: Sequence[float] | None = None) -> np.ndarray:
    """
    Correction to add to the logarithms of a voice's probabilities.

    Args:
        probabilities: of clips of one speaker, (clips, labels), before any correction.
        weights: how much each clip counts, (clips,), as [`clip_weight`] gives it; by default all in full.

    Returns:
        float32 (labels,): how far each emotion lies below the mean of all, shrunk by clips / (clips + PRIOR_CLIPS), at
        most LARGEST_CORRECTION up or down; `clips` is the sum of the weights. That is half by its mean logarithm, so
        by every clip, and half by the logarithm of its mean, so by the clips that are taken for it. Zeros where no
        clip counts.
    """
    probabilities = np.maximum(probabilities, LEAST_PROBABILITY)
    weights = np.ones(len(probabilities)) if weights is None else np.asarray(weights)
    clips = weights.sum()
    if clips == 0:
        return np.zeros(probabilities.shape[1], np.float32)
    mean_logarithms = np.average(np.log(probabilities), axis=0, weights=weights)
    heights = (mean_logarithms + np.log(np.average(probabilities, axis=0, weights=weights))) / 2
    correction = clips / (clips + PRIOR_CLIPS) * (heights.mean() - heights)
    return np.clip(correction, -LARGEST_CORRECTION, LARGEST_CORRECTION).astype(np.float32)


def clip_weight(familiarity: float | None) -> float:
    """How much a clip counts, 0 to 1; in full where its familiarity is not measured."""
    if familiarity is None or math.isnan(familiarity):
        return 1.0
    return min(1.0, max(0.0, (familiarity - NOT_COUNTED_BELOW) / (COUNTED_IN_FULL_FROM - NOT_COUNTED_BELOW)))


def weight_of(prediction: Prediction) -> float:
    """How much a clip counts that was predicted so: by its segment with most voice."""
    return max(clip_weight(segment.familiarity) for segment in prediction.segments if segment.speech)


def corrected(probabilities: np.ndarray, correction: np.ndarray) -> np.ndarray:
    """Probabilities, float32 (clips, labels), after a correction (labels,)."""
    weighted = probabilities * np.exp(correction)
    return weighted / weighted.sum(-1, keepdims=True)


__all__ = ["AdaptedBackend", "clip_weight", "corrected", "voice_correction", "weight_of"]
