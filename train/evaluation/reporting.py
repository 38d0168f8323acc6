"""Output of a test: metrics.json, every prediction, figures, a summary on the screen."""

import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset

from ser_model.metrics_file import METRICS_FILE, WEIGHTS_SUM
from ser_model.modeling_ser import SERForAudioClassification
from train.data import CORPORA, Fold, get_protocol
from train.data.base import plural
from train.evaluation.answers import nested_figures, risk_by_coverage
from train.evaluation.scoring import metrics, pooled_states, predict, score_matrix, target_indices, write_predictions
from train.fit.checkpoint import SPEAKER_DISJOINT, SPEAKERS_SEEN, Checkpoint
from train.fit.recipe import Recipe
from train.plots.figures import (
    save_confusion_matrix,
    save_reliability_diagram,
    save_risk_coverage,
    save_speaker_bars,
)
from train.plots.pooled_states import save_pooled_states


CROSS_CORPUS = "cross-corpus"
PREDICTIONS_FILE = "predictions.parquet"
EXAMPLES_SHOWN = 10
LIBRARIES = ("torch", "transformers", "datasets", "scikit-learn", "librosa", "soundfile")


def report(
    checkpoint: Checkpoint, dataset: Dataset, output: Path, *, split: str, corpora_root: Path
) -> dict[str, Any]:
    """
    Test a model on utterances, write metrics.json, predictions.parquet and figures, print a summary.

    Args:
        checkpoint: model, extractor, and the speakers that it has heard.
        dataset: utterances with the model's labels.
        output: folder of the files.
        split: name of the part of the corpora.
        corpora_root: the paths in predictions.parquet are relative to it.

    Returns:
        The content of metrics.json.
    """
    model, recipe = checkpoint.model, checkpoint.recipe
    predictions = predict(model, checkpoint.extractor, dataset)
    result = {
        "protocol": checkpoint.protocol(dataset["speaker"][:]),
        "split": split,
        **provenance(recipe.to_dict()),
        "parameters": model.num_parameters(),
        "temperature": model.config.temperature,
        WEIGHTS_SUM: checkpoint.weights_sha256,
    } | metrics(predictions, recipe.labels)
    output.mkdir(parents=True, exist_ok=True)
    write_metrics(result, output)
    write_predictions(predictions, output / PREDICTIONS_FILE, corpora_root)
    draw_results(result, predictions, output, f"{split} split")
    states = pooled_states(model, checkpoint.extractor, dataset)
    title = f"{recipe.name}: pooled states of the {split} clips ({result['protocol']})"
    save_pooled_states(states, predictions["label"], output / "pooled_states.png", title)
    print(f"{split} split, {result['protocol']}", summary(result), examples(predictions), sep="\n\n")
    return result


def report_folds(
    predictions: pd.DataFrame,
    recipe: Recipe,
    protocol: str,
    folds: Sequence[Fold],
    output: Path,
    *,
    complete: bool,
) -> dict[str, Any]:
    """
    Write metrics.json, predictions.parquet and figures of a cross-validation, print a summary.

    Args:
        predictions: out-of-fold predictions of one or more seeds, with columns `fold` and `seed`.
        recipe: what was trained.
        protocol: its name.
        folds: those that were tested.
        output: folder of the files.
        complete: whether these are all folds of the protocol.

    Returns:
        The content of metrics.json.
    """
    seen = any(fold.speakers_seen for fold in folds)
    result = {
        "protocol": SPEAKERS_SEEN if seen else SPEAKER_DISJOINT,
        "cross_validation": {
            "protocol": protocol,
            "title": get_protocol(protocol).title,
            "folds": {fold.name: sorted(fold.test_speakers) for fold in folds},
            "complete": complete,
            "seeds": sorted(predictions["seed"].unique().tolist()),
        },
        **provenance(recipe.to_dict()),
        "parameters": SERForAudioClassification(recipe.config()).num_parameters(),
    } | metrics(predictions, recipe.labels)
    if protocol == CROSS_CORPUS and predictions["corpus"].nunique() > 1:
        result["left_out"] = report_left_out(predictions, recipe.labels, output)
    write_metrics(result, output)
    predictions.to_parquet(output / PREDICTIONS_FILE, index=False)
    draw_results(result, predictions, output, get_protocol(protocol).title)
    print(describe_rounds(result), summary(result), sep="\n\n")
    return result


def report_left_out(predictions: pd.DataFrame, labels: Sequence[str], output: Path) -> dict[str, Any]:
    """Figures of answers on corpora that were not heard, see [`nested_figures`]; draws risk against coverage."""
    risks = {
        name: risk_by_coverage(score_matrix(rows, labels), target_indices(rows, labels))
        for name, rows in predictions.groupby("corpus")
    }
    save_risk_coverage(risks, output / "risk_coverage.png", get_protocol(CROSS_CORPUS).title)
    figures = nested_figures(predictions, labels)
    shown = {name: f"{value:.3f}" for name, value in figures["mean"].items()}
    print("mean over left-out corpora:", ", ".join(f"{name} {value}" for name, value in shown.items()))
    return figures


def provenance(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Labels and recipe of what was trained and measured, its command and versions; `recipe` as it is stored."""
    return {
        "labels": recipe["labels"],
        "recipe": recipe,
        "command": shlex.join(["python", "-m", "train", *sys.argv[1:]]),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
    }


def write_metrics(result: Mapping[str, Any], output: Path) -> None:
    """Write metrics.json."""
    (output / METRICS_FILE).write_text(json.dumps(result, indent=2) + "\n")


def draw_results(result: Mapping[str, Any], predictions: pd.DataFrame, output: Path, tested: str) -> None:
    """Draw confusions, speakers and reliability for each corpus."""
    draw_confusions(result, output, tested)
    labels, seeds = result["labels"], len(result.get("seeds", "0"))
    unit = "clips" if seeds == 1 else f"clips × {seeds} seeds"
    for name, figures in result["corpora"].items():
        rows = predictions[predictions["corpus"] == name]
        sexes = dict(zip(rows["speaker"], rows["sex"], strict=True))
        title = figure_title(result, name, tested)
        save_speaker_bars(
            figures["uar_by_speaker"], sexes, output / f"speakers_{name}.png", title, chance=1 / len(labels)
        )
        save_reliability_diagram(
            score_matrix(rows, labels),
            target_indices(rows, labels),
            output / f"reliability_{name}.png",
            title,
            unit=unit,
        )


def draw_confusions(result: Mapping[str, Any], output: Path, tested: str) -> None:
    """Draw the confusions for each corpus; the content of metrics.json is all that this needs."""
    for name, figures in result["corpora"].items():
        save_confusion_matrix(
            figures["confusion_matrix"],
            result["labels"],
            output / f"confusion_matrix_{name}.png",
            f"{figure_title(result, name, tested)}: UAR {uar_text(figures)} %",
        )


def figure_title(result: Mapping[str, Any], corpus: str, tested: str) -> str:
    """Title of a figure: the system, the corpus, and how it was tested."""
    return f"{result['recipe']['name']} on {corpus_title(corpus)}, {tested} ({result['protocol']})"


def corpus_title(name: str) -> str:
    """Name of a corpus for people."""
    return CORPORA[name].title if name in CORPORA else name


def uar_text(figures: Mapping[str, Any]) -> str:
    """UAR in per cent, with its deviation over seeds where there are several: "48.7 ± 0.9"."""
    deviation = figures.get("deviation", {}).get("uar")
    return f"{100 * figures['uar']:.1f}" + (f" ± {100 * deviation:.1f}" if deviation is not None else "")


def interval_text(figures: Mapping[str, Any]) -> str:
    """95 % interval of the UAR over speakers in per cent: as "44.1 - 52.3"; a dash where there is none."""
    interval = figures["uar_interval"]
    return " – ".join(f"{100 * value:.1f}" for value in interval) if interval else "–"


def describe_rounds(result: Mapping[str, Any]) -> str:
    """Description of a cross-validation, in a line."""
    rounds = result["cross_validation"]
    folds = plural(len(rounds["folds"]), "fold") if rounds["complete"] else f"only {', '.join(rounds['folds'])}"
    seeds = ", ".join(map(str, rounds["seeds"]))
    title = f"{result['recipe']['name']}, protocol {rounds['protocol']} ({rounds['title']}), {result['protocol']}"
    return f"{title}: {folds}, seeds {seeds}"


def summary(result: Mapping[str, Any]) -> str:
    """The figures of each corpus as a table for the screen, and those of all where there are several."""
    rows = {}
    for name, figures in result["corpora"].items():
        rows[name] = figures
        if "common_sentences" in figures:
            rows["  common sentences"] = figures["common_sentences"]
    if len(result["corpora"]) > 1:
        rows["all"] = result
    lines = ["corpus              clips speakers          UAR      (95 %)    accuracy  macro F1  calibration error"]
    lines += [
        f"{name:18} {figures['clips']:6} {figures['speakers']:8} {uar_text(figures):>12} {interval_text(figures):>13} "
        f"{100 * figures['accuracy']:9.1f} {100 * figures['macro_f1']:9.1f} {100 * figures['calibration_error']:18.1f}"
        for name, figures in rows.items()
    ]
    by_sex = "; ".join(
        f"{name} " + ", ".join(f"{sex} {100 * uar:.1f}" for sex, uar in figures["uar_by_sex"].items())
        for name, figures in rows.items()
        if len(figures["uar_by_sex"]) > 1
    )
    worst, best = (
        f"{result[name]} {100 * result['uar_by_speaker'][result[name]]:.1f}"
        for name in ("worst_speaker", "best_speaker")
    )
    lines += [f"UAR by sex: {by_sex or 'one sex only'}"]
    return "\n".join([*lines, f"worst speaker {worst}, best {best}; Brier score {result['brier_score']:.2f}"])


def examples(predictions: pd.DataFrame) -> str:
    """True and predicted label of a few utterances, drawn with a fixed seed."""
    drawn = predictions.sample(min(EXAMPLES_SHOWN, len(predictions)), random_state=0)
    rows = zip(drawn["label"], drawn["prediction"], drawn["path"], strict=True)
    return "\n".join(
        f"True: {label:9} -> Predicted: {predicted:9}  {Path(path).name}" for label, predicted, path in rows
    )
