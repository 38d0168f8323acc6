"""A recording over time as people read it: stretches of one emotion, the share of each, files for others."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from .prediction import Prediction, Segment


SCORE_DIGITS = 4
TIME_DIGITS = 2


def stretches(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Consecutive segments of the same label as one, whose scores are their mean, weighted by their durations."""
    return tuple(joined(list(group)) for _, group in itertools.groupby(segments, key=lambda segment: segment.label))


def joined(segments: Sequence[Segment]) -> Segment:
    """Consecutive segments of one label as one."""
    first, last = segments[0], segments[-1]
    weights = [(segment.end - segment.start) / (last.end - first.start) for segment in segments]
    scores = {
        emotion: sum(weight * segment.scores[emotion] for weight, segment in zip(weights, segments, strict=True))
        for emotion in first.scores
    }
    return Segment(first.label, scores, first.speech, first.start, last.end)


def emotion_shares(segments: Iterable[Segment]) -> dict[str, float]:
    """Share of the time with speech in which each emotion is the likeliest; the largest first, and none without it."""
    seconds: dict[str, float] = {}
    for segment in segments:
        if segment.speech:
            seconds[segment.label] = seconds.get(segment.label, 0.0) + segment.end - segment.start
    total = sum(seconds.values())
    return {emotion: time / total for emotion, time in sorted(seconds.items(), key=lambda item: -item[1])}


def timeline_dict(prediction: Prediction) -> dict[str, Any]:
    """What a program wants to know of a long recording, as dictionaries, lists, strings and numbers.

    Returns:
        `label`, `confidence`, `duration` and `speech` of the whole, `shares` as of `emotion_shares`, and `segments`:
        the stretches, each with `start` and `end` in seconds, `label`, `confidence`, `scores` and `speech`.
    """
    return {
        "label": prediction.label,
        "confidence": prediction.confidence,
        "duration": prediction.duration,
        "speech": prediction.speech,
        "shares": emotion_shares(prediction.segments),
        "segments": [
            {**asdict(stretch), "confidence": stretch.confidence} for stretch in stretches(prediction.segments)
        ],
    }


def timeline_json(prediction: Prediction) -> str:
    """`timeline_dict`, and as `moments` the segments before they were joined."""
    moments = [asdict(segment) for segment in prediction.segments]
    return json.dumps(rounded({**timeline_dict(prediction), "moments": moments}), indent=1)


def timeline_csv(prediction: Prediction) -> str:
    """A line for each stretch: start, end, emotion, its probability, and those of all emotions."""
    rows = [
        [
            *(round(stretch.start, TIME_DIGITS), round(stretch.end, TIME_DIGITS), stretch.label),
            *(round(score, SCORE_DIGITS) for score in (stretch.confidence, *stretch.scores.values())),
        ]
        for stretch in stretches(prediction.segments)
    ]
    return as_csv(["start", "end", "emotion", "probability", *prediction.scores], rows)


def audacity_labels(prediction: Prediction) -> str:
    """The stretches with speech as a label track: in Audacity, File > Import > Labels."""
    return "".join(
        f"{stretch.start:.6f}\t{stretch.end:.6f}\t{stretch.label}\n"
        for stretch in stretches(prediction.segments)
        if stretch.speech
    )


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated values with a header, each line ended by a line feed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def rounded(value: Any) -> Any:
    """The same with every float rounded to `SCORE_DIGITS`."""
    if isinstance(value, float):
        return round(value, SCORE_DIGITS)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


__all__ = ["audacity_labels", "emotion_shares", "stretches", "timeline_csv", "timeline_dict", "timeline_json"]
