"""A long recording as it comes, a second at a time, each with the window around it that the network hears.

samples > blocks, which threads judge for speech > moments, with a window where somebody speaks
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from .samples import SAMPLING_RATE
from .speech_activity import CHUNK_SECONDS, MIN_SPEECH, blocks, speech_by_block, speech_seconds


WINDOW_SECONDS = 3.0  # what the network hears at a time
HOP_SECONDS = 1.0  # length of a moment, which is the middle of its window
AHEAD_SECONDS = max(HOP_SECONDS, (WINDOW_SECONDS - HOP_SECONDS) / 2)  # for the window, and to know it is not the last


class Moment(NamedTuple):
    """A part of a recording, from `start` to `end` in seconds; and where somebody speaks, the window around it."""

    start: float
    end: float
    window: np.ndarray | None


def moments(pieces: Iterable[np.ndarray]) -> Iterator[Moment]:
    """
    The moments of a recording of more than `WINDOW_SECONDS`, each as soon as it is known; the last one takes the rest.

    Args:
        pieces: of the waveform, float32 (samples,) at 16 kHz. What no further window needs is not kept.
    """
    samples, first = np.zeros(0, np.float32), 0  # those that are kept, and the place of their first
    probabilities = np.zeros(0, np.float32)
    start = duration = 0.0

    def moment(end: float) -> Moment:
        begin = window_start(start, end, duration) - first
        window = samples[begin : begin + round(WINDOW_SECONDS * SAMPLING_RATE)]
        return Moment(start, end, window if speaks(probabilities, start, end) else None)

    for block, chances in speech_by_block(blocks(pieces)):
        samples, probabilities = np.concatenate([samples, block]), np.concatenate([probabilities, chances])
        duration = (first + len(samples)) / SAMPLING_RATE
        while start + HOP_SECONDS + AHEAD_SECONDS <= duration:
            yield moment(start + HOP_SECONDS)
            start += HOP_SECONDS
        needed = max(0, round((start + HOP_SECONDS - WINDOW_SECONDS) * SAMPLING_RATE))
        samples, first = samples[needed - first :], needed
    yield moment(duration)


def window_start(start: float, end: float, duration: float) -> int:
    """First sample of the window with a moment in its middle; at both ends of a recording as near as can be."""
    return round(min(max(0.0, (start + end - WINDOW_SECONDS) / 2), duration - WINDOW_SECONDS) * SAMPLING_RATE)


def speaks(probabilities: np.ndarray, start: float, end: float) -> bool:
    """True if there is speech enough in the chunks between two times in seconds."""
    return speech_seconds(probabilities[chunk_at(start) : chunk_at(end)]) >= MIN_SPEECH


def chunk_at(time: float) -> int:
    """Index of the chunk that begins nearest to a time in seconds."""
    return round(time / CHUNK_SECONDS)


__all__ = ["HOP_SECONDS", "WINDOW_SECONDS", "Moment", "moments"]
