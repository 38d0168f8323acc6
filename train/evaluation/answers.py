"""Answers as a user gets them: when they are sure, what the candidates hold, and the two thresholds behind both.

python -m train.evaluation.answers runs/cross_corpus

prints for each left-out corpus what the thresholds give that were fitted on the others, and the thresholds that all
corpora together give: `answer_threshold` and `candidate_mass` of a checkpoint's config.json.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from ser_model.answer_rule import AROUSAL, AnswerRule
from train.evaluation.scoring import among_labels_of_corpora, score_matrix, target_indices
from train.metrics.brier_score.brier_score import brier_score
from train.metrics.calibration_error.calibration_error import expected_calibration_error
from train.metrics.uar.uar import unweighted_average_recall


RIGHT = 0.6  # share of the sure answers that are to be right
COVERAGE = 0.8  # share of the recordings whose emotion is to be among the candidates
STEPS = 10_000  # thresholds are multiples of 1 / STEPS
LIVELY = ("angry", "fearful", "happy", "surprised")
CALM = ("neutral", "sad", "calm")
SCORE_PREFIX = "score_"
PREDICTIONS_FILE = "predictions.parquet"


def answer_figures(predictions: pd.DataFrame, labels: Sequence[str], rule: AnswerRule) -> dict[str, float | None]:
    """
    Figures of answers by a rule; shares are between 0 and 1.

    Args:
        predictions: as `scoring.predict` gives them.
        labels: the model's, in the order of its outputs.
        rule: thresholds that were not fitted on these predictions.

    Returns:
        `risk_coverage_area` (Geifman and El-Yaniv 2017), `sure` (share of the recordings with a sure answer),
        `sure_and_right` (share of these that are right; None without any), `candidate_coverage`, `candidates` (their
        mean number) and `arousal_auc`.
    """
    scores, targets = score_matrix(predictions, labels), target_indices(predictions, labels)
    right = scores.argmax(1) == targets
    sure = scores.max(1) >= rule.answer_threshold
    sizes = (mass_before(scores) < rule.candidate_mass).sum(1).clip(min=1)
    held = (mass_before_target(scores, targets) < rule.candidate_mass) | right
    return {
        "risk_coverage_area": risk_coverage_area(scores, targets),
        "sure": float(sure.mean()),
        "sure_and_right": float(right[sure].mean()) if sure.any() else None,
        "candidate_coverage": float(held.mean()),
        "candidates": float(sizes.mean()),
        "arousal_auc": arousal_auc(predictions, labels),
    }


def known_figures(predictions: pd.DataFrame, labels: Sequence[str]) -> dict[str, float]:
    """UAR among all labels and among those that occur, calibration error and Brier score of a corpus."""
    among_own = among_own_labels(predictions, labels)
    scores, targets = score_matrix(predictions, labels), target_indices(predictions, labels)
    return {
        "uar": unweighted_average_recall(targets, scores.argmax(1)),
        "uar_among_own_labels": unweighted_average_recall(targets, score_matrix(among_own, labels).argmax(1)),
        "calibration_error": expected_calibration_error(scores, targets),
        "brier_score": brier_score(scores, targets),
    }


def among_own_labels(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Predictions of a corpus among the labels that occur in it."""
    own = np.isin(labels, predictions["label"].unique())
    return among_labels_of_corpora(predictions, np.tile(own, (len(predictions), 1)), labels)


def risk_by_coverage(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Share of wrong answers among the n most confident, float64 (clips,), for n from 1 to all of them."""
    order = np.argsort(-scores.max(1), kind="stable")
    wrong = (scores.argmax(1) != targets)[order]
    return wrong.cumsum() / np.arange(1, len(wrong) + 1)


def risk_coverage_area(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean of [`risk_by_coverage`]; lower is better."""
    return float(risk_by_coverage(scores, targets).mean())


def arousal_auc(predictions: pd.DataFrame, labels: Sequence[str]) -> float | None:
    """Area under the ROC curve of the arousal, `LIVELY` emotions against `CALM` ones; None if one side is missing."""
    if not set(labels) <= AROUSAL.keys():
        return None
    told = predictions[predictions["label"].isin([*LIVELY, *CALM])]
    lively = told["label"].isin(LIVELY)
    if lively.nunique() < 2:
        return None
    return float(roc_auc_score(lively, score_matrix(told, labels) @ [AROUSAL[label] for label in labels]))


def mass_before(scores: np.ndarray) -> np.ndarray:
    """Probability of all labels above each one, in falling order of probability, float64 (clips, labels)."""
    ordered = -np.sort(-scores.astype(np.float64), axis=1)
    return ordered.cumsum(1) - ordered


def mass_before_target(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The same of the true label, (clips,): it is a candidate where this is below the mass."""
    ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    rows = np.arange(len(scores))
    return mass_before(scores)[rows, ranks[rows, targets]]


def fit_rule(predictions: pd.DataFrame, labels: Sequence[str]) -> AnswerRule:
    """
    Thresholds for corpora that the model never heard.

    Args:
        predictions: each of a corpus that was left out; every corpus counts the same, however many clips it has.
        labels: the model's.

    Returns:
        The lowest answer threshold at which `RIGHT` of the sure answers are right (1.0 if none does it), and the
        lowest mass whose candidates hold the right emotion in `COVERAGE` of the recordings.
    """
    scores, targets = score_matrix(predictions, labels), target_indices(predictions, labels)
    weights = corpus_weights(predictions)
    return AnswerRule(fit_threshold(scores, targets, weights), fit_mass(scores, targets, weights))


def corpus_weights(predictions: pd.DataFrame) -> np.ndarray:
    """Weights of the rows, (clips,), by which every corpus counts the same."""
    return 1 / predictions["corpus"].map(predictions["corpus"].value_counts()).to_numpy()


def fit_threshold(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """The answer threshold of [`fit_rule`]."""
    confidence, right = scores.max(1), scores.argmax(1) == targets
    for step in range(STEPS + 1):
        sure = confidence >= step / STEPS
        if sure.any() and np.average(right[sure], weights=weights[sure]) >= RIGHT:
            return step / STEPS
    return 1.0


def fit_mass(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """The candidate mass of [`fit_rule`]."""
    needed = mass_before_target(scores, targets)
    order = needed.argsort()
    reached = weights[order].cumsum() >= COVERAGE * weights.sum() - 1e-9
    return min(1.0, (math.floor(needed[order][reached.argmax()] * STEPS) + 1) / STEPS)


def nested_figures(predictions: pd.DataFrame, labels: Sequence[str]) -> dict[str, Any]:
    """
    Figures of fitted thresholds on corpora that they were not fitted on.

    Returns:
        `corpora`: for each corpus the thresholds fitted on all others, its [`answer_figures`] by them, and its
        [`known_figures`]; `mean` of these figures over corpora; `rule`, fitted on all of them, for a checkpoint.

    Raises:
        ValueError: fewer than two corpora.
    """
    groups = dict(list(predictions.groupby("corpus")))
    if len(groups) < 2:
        raise ValueError(f"Thresholds are fitted on other corpora than they are measured on; got {', '.join(groups)}.")
    corpora = {}
    for name, rows in groups.items():
        rule = fit_rule(predictions[predictions["corpus"] != name], labels)
        corpora[name] = vars(rule) | known_figures(rows, labels) | answer_figures(rows, labels, rule)
    return {
        "corpora": corpora,
        "mean": pd.DataFrame(corpora.values()).astype(float).mean().to_dict(),
        "rule": vars(fit_rule(predictions, labels)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="FOLDER", type=Path, help="of a finished cross-corpus run")
    predictions = pd.read_parquet(parser.parse_args().run / PREDICTIONS_FILE)
    labels = [name.removeprefix(SCORE_PREFIX) for name in predictions if name.startswith(SCORE_PREFIX)]
    print(json.dumps(nested_figures(predictions, labels), indent=1))


if __name__ == "__main__":
    main()
