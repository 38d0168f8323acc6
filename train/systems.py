"""README's table of systems: what each recipe reaches on new speakers, beside speakers that it heard in training."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ser_model.recognizer import PRETRAINED
from train.checkpoint import SPEAKER_DISJOINT, SPEAKERS_SEEN
from train.compare import TOGETHER, results_of
from train.model_card import percent, table
from train.report import METRICS_FILE, interval_text, uar_text


RESULTS = Path(__file__).parent / "results"  # a folder with metrics.json for each run


def recorded_runs() -> list[Path]:
    """The runs whose results come with the project."""
    return [*sorted(path.parent for path in RESULTS.glob(f"*/{METRICS_FILE}")), PRETRAINED]


def systems_table(runs: Sequence[Path]) -> str:
    """
    The table as Markdown; a line for each recipe and each corpus that it was tested on.

    Args:
        runs: folders with the metrics.json of a fit, evaluate or crossvalidate.

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


def figures_of(cells: pd.DataFrame) -> tuple[str, str]:
    """UAR with its interval, and accuracy, of the one result in some rows; dashes where there is none."""
    if len(cells) > 1:
        raise ValueError(f"{', '.join(cells['run'])} measure the same: {cells['heading'].iloc[0]}. Keep one of them.")
    if cells.empty:
        return "–", "–"
    figures = cells["figures"].iloc[0]
    interval = f" ({interval_text(figures)})" if figures["uar_interval"] else ""
    return uar_text(figures) + interval, percent(figures["accuracy"])
