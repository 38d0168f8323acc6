"""Unweighted average recall (UAR), as a metric module for `evaluate`: `evaluate.load("train/metrics/uar")`."""

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np
from sklearn.metrics import recall_score


_DESCRIPTION = """
Unweighted average recall: the mean over classes of the share of the class' items that were recognised. Chance is
1 / classes whatever their sizes, which is why speech emotion recognition reports it rather than accuracy
(Schuller et al., the INTERSPEECH 2009 Emotion Challenge). Classes that do not occur among the references are left out.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `int`): predicted labels.
    references (`list` of `int`): true labels.

Returns:
    uar (`float`): between 0 and 1.

Examples:
    >>> uar = evaluate.load("train/metrics/uar")
    >>> uar.compute(predictions=[0, 0, 1], references=[0, 0, 0])
    {'uar': 0.6666666666666666}
"""


def recall_by_label(references: Sequence, predictions: Sequence) -> dict:
    """Share of each label's items that were recognised, for the labels among the references, in sorted order."""
    occurring = np.unique(references)
    recalls = recall_score(references, predictions, labels=occurring, average=None, zero_division=0)
    return dict(zip(occurring.tolist(), recalls.tolist(), strict=True))


def unweighted_average_recall(references: Sequence, predictions: Sequence) -> float:
    """Mean recall of the labels among the references, between 0 and 1."""
    return float(np.mean(list(recall_by_label(references, predictions).values())))


class UnweightedAverageRecall(evaluate.Metric):
    """Macro-averaged recall over the classes that occur."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {"uar": unweighted_average_recall(references, predictions)}
