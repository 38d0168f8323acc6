"""Macro-averaged F1, as a metric module for `evaluate`: `evaluate.load("train/metrics/macro_f1")`."""

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np
from sklearn.metrics import f1_score


_DESCRIPTION = """
Macro F1: the mean over classes of the harmonic mean of precision and recall. Classes that do not occur among the
references are left out, as in the unweighted average recall; what was taken for them lowers the recall of the others.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `int`): predicted labels.
    references (`list` of `int`): true labels.

Returns:
    macro_f1 (`float`): between 0 and 1.

Examples:
    >>> macro_f1 = evaluate.load("train/metrics/macro_f1")
    >>> macro_f1.compute(predictions=[0, 0, 1], references=[0, 0, 0])
    {'macro_f1': 0.8}
"""


def macro_f1(references: Sequence, predictions: Sequence) -> float:
    """Mean F1 of the labels among the references, between 0 and 1."""
    occurring = np.unique(references)
    return float(f1_score(references, predictions, labels=occurring, average="macro", zero_division=0))


class MacroF1(evaluate.Metric):
    """Macro-averaged F1 over the classes that occur."""

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
        return {"macro_f1": macro_f1(references, predictions)}
