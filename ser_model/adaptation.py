"""Correction for one voice, by what the network makes of some of its clips; nothing is trained.

Some voices sound angry, sad or tender to the network whatever they express. Over several clips of one speaker it then
gives one emotion too much and another too little; that imbalance is partly taken back, the more of it the more clips
there are. `python -m train adaptation` measures what it is worth.
"""

from collections.abc import Sequence

import numpy as np

from .backend import Backend, BackendOutput


# Chosen by cross-validation, for what ten clips bring and for what clips of one emotion must not cost.
PRIOR_CLIPS = 4.0  # as many clips as speak for no correction at all
LARGEST_CORRECTION = 1.5  # of a logarithm: clips that all express one emotion are not taken for the voice
# Familiarity below which a clip says nothing of the voice, and from which it counts in full: words say what they are.
WORDS, SENTENCES = 0.8, 0.9
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


def voice_correction(probabilities: np.ndarray, familiarities: Sequence[float | None] | None = None) -> np.ndarray:
    """
    What to add to the logarithms of a voice's probabilities.

    Args:
        probabilities: of clips of one speaker, (clips, labels), before any correction.
        familiarities: of the clips, (clips,): those with little voice count less. None, or a None among them: in full.

    Returns:
        float32 (labels,): how far each emotion lies below the mean of all, shrunk by clips / (clips + PRIOR_CLIPS), at
        most LARGEST_CORRECTION up or down. That is half by its mean logarithm, so by every clip, and half by the
        logarithm of its mean, so by the clips that are taken for it.
    """
    probabilities = np.maximum(probabilities, LEAST_PROBABILITY)
    weights = np.ones(len(probabilities)) if familiarities is None else clip_weights(familiarities)
    clips = weights.sum()
    shares = weights[:, None] / max(clips, LEAST_PROBABILITY)
    means = np.maximum((shares * probabilities).sum(0), LEAST_PROBABILITY)
    heights = ((shares * np.log(probabilities)).sum(0) + np.log(means)) / 2
    correction = clips / (clips + PRIOR_CLIPS) * (heights.mean() - heights)
    return np.clip(correction, -LARGEST_CORRECTION, LARGEST_CORRECTION).astype(np.float32)


def clip_weights(familiarities: Sequence[float | None]) -> np.ndarray:
    """How much each clip counts, 0 to 1, (clips,)."""
    measured = np.array(familiarities, dtype=float)
    weights = np.clip((measured - WORDS) / (SENTENCES - WORDS), 0, 1)
    return np.where(np.isnan(measured), 1.0, weights)


def corrected(probabilities: np.ndarray, correction: np.ndarray) -> np.ndarray:
    """Probabilities, float32 (clips, labels), after a correction (labels,)."""
    weighted = probabilities * np.exp(correction)
    return weighted / weighted.sum(-1, keepdims=True)


__all__ = ["AdaptedBackend", "corrected", "voice_correction"]
