"""A checkpoint on corpora that it never heard: its confidence is fitted on some, and tested on others."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from scipy.special import softmax
from sklearn.metrics import accuracy_score

from ser_model.answer_rule import ANSWER_THRESHOLD, AnswerRule
from ser_model.configuration_ser import SERConfig
from ser_model.files import ONNX_FILE
from ser_model.functionals import confidence_factor, familiarity
from ser_model.metrics_file import WEIGHTS_SUM, OtherWeightsError, read_metrics
from ser_model.onnx_export import export_onnx
from train.data import CorpusError
from train.data.dataset import analysed
from train.data.splits import corpus_of
from train.evaluation.answers import (
    RIGHT,
    among_own_labels,
    answer_figures,
    corpus_weights,
    fit_rule,
    known_figures,
    risk_by_coverage,
)
from train.evaluation.reporting import corpus_title, provenance
from train.evaluation.scoring import bootstrap_interval, predict, score_matrix, target_indices
from train.fit.calibration import fit_confidence
from train.fit.checkpoint import Checkpoint, load_checkpoint, load_relative
from train.plots.figures import save_risk_coverage


NEVER_HEARD_FILE = "never_heard.json"
FEWEST_CORPORA = 2  # what is fitted on one is tested on the others
SMALLEST = np.finfo(np.float32).tiny
# Pieces of each clip that the confidence is fitted on as well, in seconds: words, as users send them. A shorter clip
# counts whole.
CROPS = (0.25, 0.5, 1.0, 2.0)
WHOLE = 0.0  # in the column `crop`


@dataclass(frozen=True)
class Confidence:
    """Divisor of the logits, and the exponent of the familiarity that they are multiplied by; 0: they are not."""

    temperature: float
    familiarity_exponent: float = 0.0


def calibrate(
    folder: Path,
    fitted: Dataset,
    tested: Dataset | None,
    picture: Path,
    siblings: Mapping[Path, Dataset] = MappingProxyType({}),
) -> dict[str, Any]:
    """
    Fit confidence and answer rule of a checkpoint to corpora that it never heard, and test both.

    The figures of a corpus are by what was fitted without it. Writes config.json and never_heard.json, and model.onnx
    anew, in float32, where it is there.

    Args:
        folder: of the checkpoint.
        fitted: utterances with the model's labels.
        tested: utterances of further corpora, on which nothing is fitted.
        picture: where risk against coverage is drawn.
        siblings: checkpoint of the same network, trained without a corpus -> utterances of that corpus, which are
            answered by it and fitted on as well.

    Returns:
        The content of never_heard.json: `temperature` and `familiarity_exponent` (as in [`SERConfig`]), `rule`, the
        figures of each corpus in `corpora`, the `mean` of those that the checkpoint itself answered, the recipes of
        `by_siblings`, and how they came about.

    Raises:
        CorpusError: one of the corpora was heard in training, or fewer than two are fitted on.
        RecipeError: a sibling is of another network.
    """
    checkpoint = load_checkpoint(str(folder))
    labels, config = checkpoint.recipe.labels, checkpoint.model.config
    before = Confidence(temperature_of_speakers(folder, config))
    answered = [
        (checkpoint, fitted),
        *((load_relative(checkpoint.recipe, path), part) for path, part in siblings.items()),
    ]
    check_corpora([part for _, part in answered], tested)
    by_fitting = pd.concat([answers_of(*pair, crops=CROPS) for pair in answered], ignore_index=True)
    corpora, pictures = {}, {}
    for name, rows in whole_clips(by_fitting).groupby("corpus"):
        others = by_fitting[by_fitting["corpus"] != name]
        corpora[name], pictures[name] = left_out_corpus(rows, others, labels, before)
    if tested is not None:
        for name, rows in answers_of(checkpoint, tested).groupby("corpus"):
            corpora[name], pictures[name] = left_out_corpus(rows, by_fitting, labels, before)
    confidence, rule = fit_answers(by_fitting, labels)
    for name, value in (vars(confidence) | vars(rule)).items():
        setattr(config, name, value)
    by_siblings = {
        name: sibling.recipe.name for sibling, part in answered[1:] for name in sorted(set(part["corpus"][:]))
    }
    result = {
        **vars(confidence),
        "temperature_before": before.temperature,
        "rule": vars(rule),
        "fitted_on": sorted(by_fitting["corpus"].unique()),
        "by_siblings": by_siblings,
        "corpora": corpora,
        "mean": mean_figures(figures for name, figures in corpora.items() if name not in by_siblings),
    } | provenance(checkpoint.recipe.to_dict())
    result[WEIGHTS_SUM] = checkpoint.weights_sha256
    del result["recipe"]  # the checkpoint has it
    (folder / NEVER_HEARD_FILE).write_text(json.dumps(result, indent=2) + "\n")
    config.save_pretrained(folder)
    if (folder / ONNX_FILE).is_file():
        export_onnx(folder, folder / ONNX_FILE)
    picture.parent.mkdir(parents=True, exist_ok=True)
    save_risk_coverage(pictures, picture, "Corpora that were never heard")
    return result


def temperature_of_speakers(folder: Path, config: SERConfig) -> float:
    """The temperature that `fit` found on validation speakers, also where one of corpora has taken its place."""
    try:
        return read_metrics(folder, ("temperature_before",), name=NEVER_HEARD_FILE)["temperature_before"]
    except (FileNotFoundError, OtherWeightsError):
        return config.temperature


def answers_of(checkpoint: Checkpoint, part: Dataset, crops: Sequence[float] = ()) -> pd.DataFrame:
    """
    A checkpoint's predictions at a temperature of 1: their logarithms are its logits, up to a constant for each clip.

    Args:
        checkpoint: answers; what it has of confidence is taken off.
        part: utterances.
        crops: lengths in seconds; a piece of each utterance is answered as well. The column `crop` tells which.

    Raises:
        CorpusError: it heard some of it in training.
    """
    corpora = set(part["corpus"][:])
    # A fold's recipe names the corpus that was left out as well: the speakers tell.
    if known := corpora & (set(map(corpus_of, checkpoint.speakers)) or set(checkpoint.recipe.corpora)):
        raise CorpusError(f"heard in this model's training: {', '.join(sorted(known))}.")
    checkpoint.model.classifier.temperature, checkpoint.model.classifier.familiarity_exponent = 1.0, 0.0
    part = analysed(part, checkpoint.extractor)
    return pd.concat(
        predict(checkpoint.model, checkpoint.extractor, part, crop_seconds=crop or None).assign(crop=crop)
        for crop in (WHOLE, *crops)
    )


def whole_clips(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions without those of pieces."""
    return predictions[predictions["crop"] == WHOLE]


def check_corpora(fitted: Sequence[Dataset], tested: Dataset | None) -> None:
    """Raise CorpusError unless enough corpora can be fitted on, and none of them is tested as well."""
    names = set().union(*(set(part["corpus"][:]) for part in fitted))
    if len(names) < FEWEST_CORPORA:
        raise CorpusError(f"what is fitted on one corpus is tested on another; give at least two, not {len(names)}.")
    if both := names & set(tested["corpus"][:] if tested else ()):
        raise CorpusError(f"either fitted on or tested, not both: {', '.join(sorted(both))}.")


def with_confidence(predictions: pd.DataFrame, labels: Sequence[str], confidence: Confidence) -> pd.DataFrame:
    """Predictions at a temperature of 1 with a confidence."""
    logits = log_scores(predictions, labels) / confidence.temperature
    if confidence.familiarity_exponent:
        familiar = familiarity(voiced_seconds(predictions))
        logits *= confidence_factor(familiar, confidence.familiarity_exponent).numpy()[:, None]
    scores = softmax(logits, axis=1)
    return predictions.assign(**{f"score_{label}": scores[:, index] for index, label in enumerate(labels)})


def log_scores(predictions: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """Logits (clips, labels) up to a constant for each clip."""
    return np.log(score_matrix(predictions, labels).astype(np.float64).clip(min=SMALLEST))


def voiced_seconds(predictions: pd.DataFrame) -> torch.Tensor | None:
    """Seconds of voice in each clip, float64 (clips,); None where the network does not count them."""
    return torch.tensor(predictions["voiced_seconds"].to_numpy(float)) if "voiced_seconds" in predictions else None


def fit_answers(predictions: pd.DataFrame, labels: Sequence[str]) -> tuple[Confidence, AnswerRule]:
    """
    Confidence of predictions at a temperature of 1, and the answer rule for whole clips; every corpus counts the same.

    Where no threshold makes enough of the sure answers right, it stays at its default.
    """
    arrays = log_scores(predictions, labels), target_indices(predictions, labels), corpus_weights(predictions)
    confidence = Confidence(*fit_confidence(*map(torch.tensor, arrays), voiced_seconds(predictions)))
    rule = fit_rule(with_confidence(whole_clips(predictions), labels, confidence), labels)
    return confidence, rule if rule.answer_threshold < 1 else replace(rule, answer_threshold=ANSWER_THRESHOLD)


def mean_figures(corpora: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Mean over corpora of the figures that are numbers."""
    return pd.DataFrame(list(corpora)).drop(columns="uar_interval").astype(float).mean().to_dict()


def left_out_corpus(
    rows: pd.DataFrame, others: pd.DataFrame, labels: Sequence[str], before: Confidence
) -> tuple[dict[str, Any], np.ndarray]:
    """
    Figures of a corpus by what was fitted on others, and its risk against coverage.

    Args:
        rows: predictions at a temperature of 1.
        others: those of the corpora that are fitted on.
        labels: the model's.
        before: what was fitted on known corpora, for comparison.
    """
    confidence, rule = fit_answers(others, labels)
    answers = with_confidence(rows, labels, confidence)
    as_before = with_confidence(rows, labels, before)
    scores = score_matrix(answers, labels)
    figures = {
        "clips": len(rows),
        "speakers": rows["speaker"].nunique(),
        "labels": rows["label"].nunique(),
        **vars(confidence),
        **vars(rule),
        "accuracy": accuracy_score(rows["label"], rows["prediction"]),
        "confidence": float(scores.max(1).mean()),
        **known_figures(answers, labels),
        "uar_interval": bootstrap_interval(among_own_labels(answers, labels)),
        **answer_figures(answers, labels, rule),
        "calibration_error_before": known_figures(as_before, labels)["calibration_error"],
        "confidence_before": float(score_matrix(as_before, labels).max(1).mean()),
    }
    return figures, risk_by_coverage(scores, target_indices(answers, labels))


def sibling_sentence(result: Mapping[str, Any]) -> str:
    """Who answered the corpora that the checkpoint itself was trained on, with a blank behind; empty without such."""
    return "".join(
        f"{corpus_title(corpus)} is answered by `{recipe}`, the same network trained without it. "
        for corpus, recipe in result["by_siblings"].items()
    )


def describe(result: dict[str, Any]) -> str:
    """The figures as lines for the screen."""
    lines = [
        "corpus            UAR %  right %   says %  (before)  calibration error %  (before)  temperature  exponent"
    ]
    for name, one in (result["corpora"] | {"mean": result["mean"]}).items():
        lines.append(
            f"{name:15} {100 * one['uar_among_own_labels']:7.1f} {100 * one['accuracy']:8.1f}"
            f" {100 * one['confidence']:8.1f} {100 * one['confidence_before']:9.1f}"
            f" {100 * one['calibration_error']:20.1f} {100 * one['calibration_error_before']:9.1f}"
            f" {one['temperature']:12.2f} {one['familiarity_exponent']:9.2f}"
        )
    threshold = result["rule"]["answer_threshold"]
    lines.append(
        f"temperature {result['temperature_before']:.3f} -> {result['temperature']:.3f}, exponent of the familiarity "
        f"{result['familiarity_exponent']:.3f}; an answer is sure from {100 * threshold:.0f} %, candidates hold "
        f"{100 * result['rule']['candidate_mass']:.0f} % of the probability"
    )
    if threshold == ANSWER_THRESHOLD:
        lines.append(f"No threshold makes {100 * RIGHT:.0f} % of the sure answers right: it stays at its default.")
    return "\n".join(lines)
