"""Expected calibration error, as a metric module: `evaluate.load("train/metrics/calibration_error")`."""

from typing import NamedTuple

import datasets
import evaluate
import numpy as np


_DESCRIPTION = """
Expected calibration error: how far confidence, the highest score of an item, is from the share of items that were
recognised, averaged over the items in bins of equal width (Guo et al. 2017, On Calibration of Modern Neural Networks).
"""

_KWARGS_DESCRIPTION = """
Args:
    prediction_scores (`list` of `list` of `float`): probability of each class for every item.
    references (`list` of `int`): index of the true class.
    bins (`int`, defaults to 15): number of bins between 0 and 1.

Returns:
    calibration_error (`float`): between 0 and 1.

Examples:
    >>> calibration_error = evaluate.load("train/metrics/calibration_error")
    >>> calibration_error.compute(prediction_scores=[[0.75, 0.25], [0.25, 0.75]], references=[0, 0])
    {'calibration_error': 0.25}
"""

BINS = 15


class Reliability(NamedTuple):
    """Items by confidence, an entry for each bin of equal width: their number, the sums of their hits and confidence.

    edges: borders of the bins, (bins + 1,).
    """

    edges: np.ndarray
    counts: np.ndarray
    hits: np.ndarray
    confidence: np.ndarray


def reliability(scores: np.ndarray, references: np.ndarray, bins: int = BINS) -> Reliability:
    """
    Sort items into bins by their highest score.

    Args:
        scores: probabilities (items, classes).
        references: index of each item's true class, (items,).
        bins: number of bins.
    """
    scores = np.asarray(scores, dtype=np.float64)
    confidence, hits = scores.max(1), scores.argmax(1) == np.asarray(references)
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    counts, hit_sums, confidence_sums = (
        np.bincount(places, weights=weights, minlength=bins) for weights in (None, hits, confidence)
    )
    return Reliability(np.linspace(0, 1, bins + 1), counts, hit_sums, confidence_sums)


def expected_calibration_error(scores: np.ndarray, references: np.ndarray, bins: int = BINS) -> float:
    """Mean distance between confidence and hits over items, between 0 and 1; arguments as in `reliability`."""
    binned = reliability(scores, references, bins)
    return float(np.abs(binned.hits - binned.confidence).sum() / binned.counts.sum())


class ExpectedCalibrationError(evaluate.Metric):
    """Distance between confidence and the share that was recognised."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "prediction_scores": datasets.List(datasets.Value("float32")),
                    "references": datasets.Value("int64"),
                }
            ),
        )

    def _compute(
        self, prediction_scores: list[list[float]], references: list[int], bins: int = BINS
    ) -> dict[str, float]:
        return {"calibration_error": expected_calibration_error(prediction_scores, references, bins)}
