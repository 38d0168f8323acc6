"""README's table of systems: what each recipe reaches on new speakers, beside speakers that it heard in training."""

from pathlib import Path

import pandas as pd

from train.checkpoint import SPEAKER_DISJOINT, SPEAKERS_SEEN
from train.compare import results_of
from train.model_card import percent, table
from train.report import METRICS_FILE, interval_text, uar_text


RESULTS = Path(__file__).parent / "results"  # a folder with metrics.json for each run


def systems_table(results: Path = RESULTS) -> str:
    """
    The table as Markdown; a line for each recipe and what it was tested on.

    Args:
        results: folder of folders with the metrics.json of a fit, evaluate or crossvalidate.

    Raises:
        ValueError: two results for the same cell.
    """
    runs = sorted(path.parent for path in results.glob(f"*/{METRICS_FILE}"))
    rows = pd.DataFrame([result for run in runs for result in results_of(run)])
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
