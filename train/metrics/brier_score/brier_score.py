"""Brier score of several classes, as a metric module: `evaluate.load("train/metrics/brier_score")`."""

import datasets
import evaluate
import numpy as np


_DESCRIPTION = """
Brier score: the squared distance of the probabilities from the truth (1 for the true class, 0 for the others), summed
over classes and averaged over items (Brier 1950). 0 is perfect, 2 is certain of the wrong class every time.
"""

_KWARGS_DESCRIPTION = """
Args:
    prediction_scores (`list` of `list` of `float`): probability of each class for every item.
    references (`list` of `int`): index of the true class.

Returns:
    brier_score (`float`): between 0 and 2.

Examples:
    >>> brier_score = evaluate.load("train/metrics/brier_score")
    >>> brier_score.compute(prediction_scores=[[0.75, 0.25], [0.25, 0.75]], references=[0, 0])
    {'brier_score': 0.625}
"""


def brier_score(scores: np.ndarray, references: np.ndarray) -> float:
    """
    Brier score of several classes, between 0 and 2.

    Args:
        scores: probabilities (items, classes).
        references: index of each item's true class, (items,).
    """
    scores = np.asarray(scores, dtype=np.float64)
    truth = np.asarray(references)[:, None] == np.arange(scores.shape[1])
    return float(np.square(scores - truth).sum(1).mean())


class BrierScore(evaluate.Metric):
    """Squared distance of the probabilities from the truth."""

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

    def _compute(self, prediction_scores: list[list[float]], references: list[int]) -> dict[str, float]:
        return {"brier_score": brier_score(prediction_scores, references)}
