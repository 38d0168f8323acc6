"""Measurements: ours and the peer in turns, medians, the ratio of both, and its spread."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


MIDDLE_HALF = (0.25, 0.75)  # quantiles


@dataclass(frozen=True)
class Outcome:
    """One comparison.

    Args:
        name: what was measured.
        peer_name: what it was compared with.
        ours: our median, in `unit`.
        peer: the peer's median, in `unit`.
        unit: ms, s or MB.
        bar: what the figure has to reach.
        kind: `faster` (peer / ours is at least the bar), `ratio` (ours / peer is at most the bar) or `limit` (ours is
            at most the bar; there is no peer).
        spread: of the figure, in the middle half of the rounds; None where there was one round.
    """

    name: str
    peer_name: str
    ours: float
    peer: float
    unit: str
    bar: float
    kind: str
    spread: tuple[float, float] | None = None

    @property
    def figure(self) -> float:
        """The figure that is compared with the bar."""
        if self.kind == "limit":
            return self.ours
        return self.peer / self.ours if self.kind == "faster" else self.ours / self.peer

    @property
    def holds(self) -> bool:
        """True if the bar is reached."""
        return self.figure >= self.bar if self.kind == "faster" else self.figure <= self.bar

    def line(self) -> str:
        """The outcome as a line for the screen."""
        shown = {
            "faster": f"{self.figure:.1f} times faster (at least {self.bar:g})",
            "ratio": f"{self.figure:.2f} times as long (at most {self.bar:g})",
            "limit": f"{self.figure:.4g} {self.unit} (at most {self.bar:g})",
        }[self.kind]
        values = f"{self.ours:.4g} {self.unit} against {self.peer:.4g} {self.unit} of {self.peer_name}"
        verdict = "ok    " if self.holds else "MISSED"
        return f"{verdict} {self.name}: {shown}" + ("" if self.kind == "limit" else f"; {values}")

    def as_data(self) -> dict[str, Any]:
        """The outcome as plain data."""
        return {**self.__dict__, "figure": self.figure, "holds": self.holds}


def limited(name: str, value: float, unit: str, bar: float) -> Outcome:
    """A figure of ours alone that has a limit."""
    return Outcome(name, "a limit", value, bar, unit, bar, "limit")


def compared(
    name: str, peer_name: str, ours: np.ndarray, peer: np.ndarray, unit: str, bar: float, kind: str
) -> Outcome:
    """The comparison of what ours and the peer took, (rounds,) each, in turns; arguments as in [`Outcome`]."""
    ratios = peer / ours if kind == "faster" else ours / peer
    low, high = np.quantile(ratios, MIDDLE_HALF)
    medians = float(np.median(ours)), float(np.median(peer))
    return Outcome(name, peer_name, *medians, unit, bar, kind, (float(low), float(high)))


def seconds_in_turns(
    functions: Mapping[Any, Callable[[], Any]], rounds: int, warm_up: int = 2
) -> dict[Any, np.ndarray]:
    """Seconds of each in every round, run in turns so that whatever else the machine does hits all alike."""
    times: dict[Any, list[float]] = {name: [] for name in functions}
    for index in range(warm_up + rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if index >= warm_up:
                times[name].append(time.perf_counter() - start)
    return {name: np.array(collected) for name, collected in times.items()}
