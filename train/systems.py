"""README's table of systems: what each recipe reaches on new speakers, beside speakers that it heard in training."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ser_model.recognizer import PRETRAINED
from train.checkpoint import RECIPE_FILE, SPEAKER_DISJOINT, SPEAKERS_SEEN
from train.compare import TOGETHER, results_of
from train.model_card import percent, table
from train.report import METRICS_FILE, corpus_title, interval_text, uar_text


RESULTS = Path(__file__).parent / "results"  # a folder with metrics.json for each run


# What of a protocol's test speakers was seen before a recipe was chosen, so that its figures are not free of a choice.
SEEN_BEFORE = {
    ("ser_ravdess_lstm", "ravdess"): "fold1 and fold2 for this choice, and fold4 when earlier recipes were tested"
}


def recorded_runs() -> list[Path]:
    """The runs whose results come with the project."""
    return sorted(path.parent for path in RESULTS.glob(f"*/{METRICS_FILE}"))


def systems_table(runs: Sequence[Path], baselines: Sequence[Mapping[str, Any]] = ()) -> str:
    """
    The table as Markdown; a line for each recipe and each corpus that it was tested on.

    Args:
        runs: folders with the metrics.json of a fit, evaluate or crossvalidate.
        baselines: entries of benchmarks/egemaps.json, whose lines stand at the end.

    Raises:
        ValueError: two results for the same cell.
    """
    rows = pd.DataFrame([result for run in runs for result in results_of(run)])
    rows = rows[~rows["tested"].str.endswith(TOGETHER)]
    lines = []
    for (recipe, tested, labels), cells in rows.groupby(["recipe", "tested", "labels"]):
        parameters = f"{cells['parameters'].iloc[0]:,}"
        new, seen = (
            figures_of(cells[cells["protocol"] == protocol]) for protocol in (SPEAKER_DISJOINT, SPEAKERS_SEEN)
        )
        lines.append([f"`{recipe}`", parameters, tested, labels, *new, *seen])
    lines += map(baseline_line, baselines)
    header = (
        "recipe",
        "parameters",
        "tested on",
        "labels",
        "new speakers: UAR % (95 % interval)",
        "accuracy %",
        "speakers seen: UAR % (95 % interval)",
        "accuracy %",
    )
    return table(header, lines)


def baseline_line(entry: Mapping[str, Any]) -> list[Any]:
    """Line of a corpus that the baseline was trained on and tested on, always on new speakers."""
    tested = f"{', '.join(map(corpus_title, entry['trained_on']))}, {entry['protocol']}"
    figures = uar_and_accuracy(entry)
    return ["eGeMAPS and an SVM", "–", tested, len(entry["labels"]), *figures, "–", "–"]


def cross_validation_table(checkpoint: Path) -> str:
    """What the shipped checkpoint's network reached in the recorded cross-validations, as Markdown; else empty."""
    if checkpoint.resolve() != PRETRAINED:
        return ""
    network = json.loads((checkpoint / RECIPE_FILE).read_text())["network"]
    lines = [
        [
            f"`{row['recipe']}`",
            row["tested"],
            row["labels"],
            row["rounds"],
            row["clips"],
            row["speakers"],
            row["seeds"],
            uar_text(row["figures"]),
            interval_text(row["figures"]),
            percent(row["accuracy"]),
            *(percent(row["figures"]["uar_by_sex"].get(sex)) for sex in ("female", "male")),
        ]
        for run in recorded_runs()
        if json.loads((run / METRICS_FILE).read_text())["recipe"].get("network") == network
        for row in results_of(run)
        if not row["tested"].endswith(TOGETHER)
    ]
    header = (
        "recipe",
        "tested on",
        "labels",
        "protocol",
        "clips",
        "speakers",
        "seeds",
        "UAR %",
        "95 % interval",
        "accuracy %",
        "female",
        "male",
    )
    return f"{table(header, lines)}\n\n{choice_notes(recorded_runs())}".strip() if lines else ""


def choice_notes(runs: Sequence[Path]) -> str:
    """A sentence for each run whose recipe was chosen with some of the test speakers in sight."""
    notes = []
    for run in runs:
        metrics = json.loads((run / METRICS_FILE).read_text())
        recipe, protocol = metrics["recipe"]["name"], metrics.get("cross_validation", {}).get("protocol")
        if seen := SEEN_BEFORE.get((recipe, protocol)):
            folds = metrics["corpora"][protocol]["uar_by_fold"]
            uars = ", ".join(f"{fold} {percent(uar)}" for fold, uar in folds.items())
            notes.append(
                f"The test speakers of some folds were seen before `{recipe}` was chosen: {seen}. UAR by fold: {uars}."
            )
    return " ".join(notes)


def figures_of(cells: pd.DataFrame) -> tuple[str, str]:
    """UAR with its interval, and accuracy, of the one result in some rows; dashes where there is none."""
    if len(cells) > 1:
        raise ValueError(f"{', '.join(cells['run'])} measure the same: {cells['heading'].iloc[0]}. Keep one of them.")
    if cells.empty:
        return "–", "–"
    return uar_and_accuracy(cells["figures"].iloc[0])


def uar_and_accuracy(figures: Mapping[str, Any]) -> tuple[str, str]:
    """UAR with its interval, and accuracy."""
    interval = f" ({interval_text(figures)})" if figures["uar_interval"] else ""
    return uar_text(figures) + interval, percent(figures["accuracy"])
