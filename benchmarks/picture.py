"""The comparisons of results.json as a picture: how many times as fast as a peer, and the bar of each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import ScalarFormatter


ROW_HEIGHT, WIDTH = 0.28, 9.0  # inches
HELD, MISSED, BAR = "#1b7f5c", "#b3261e", "#333333"


def draw(outcomes: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw outcomes as [`Outcome.as_data`] gives them, those with a peer; lines are the middle half of the rounds."""
    rows = [outcome for outcome in outcomes if outcome["kind"] != "limit"]
    figure, axes = plt.subplots(figsize=(WIDTH, ROW_HEIGHT * len(rows) + 1.2), layout="constrained")
    for place, outcome in enumerate(rows):
        colour, spread = HELD if outcome["holds"] else MISSED, outcome.get("spread") or ()
        axes.plot(as_speed(outcome, *spread), [place] * len(spread), color=colour)
        axes.plot(as_speed(outcome, outcome["figure"]), [place], "o", color=colour)
        axes.plot(as_speed(outcome, outcome["bar"]), [place], "|", color=BAR, markersize=12)
    axes.set_yticks(range(len(rows)), [f"{outcome['name']}, beside {outcome['peer_name']}" for outcome in rows])
    axes.tick_params(axis="y", labelsize=8)
    axes.margins(y=0.5 / len(rows))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("times as fast (| is the bar; red misses it)")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def as_speed(outcome: Mapping[str, Any], *figures: float) -> list[float]:
    """Figures of an outcome as speed relative to the peer's."""
    return [figure if outcome["kind"] == "faster" else 1 / figure for figure in figures]
