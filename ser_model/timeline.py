"""A recording over time as people read it: stretches of one emotion, the share of each, files for others."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from .prediction import Emotions, Prediction, Segment


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
SCORE_DIGITS = 4
TIME_DIGITS = 2
CANDIDATE_SEPARATOR = "|"
LEFT_OUT = ("confidence", "sure", "candidates")  # of moments: they follow from the scores, and there are thousands


def stretches(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Consecutive segments of the same label as one: means of scores and familiarity, weighted by durations."""
    return tuple(joined(list(group)) for _, group in itertools.groupby(segments, key=lambda segment: segment.label))


def joined(segments: Sequence[Segment]) -> Segment:
    """Consecutive segments of one label as one."""
    first, last = segments[0], segments[-1]
    weights = [(segment.end - segment.start) / (last.end - first.start) for segment in segments]

    def mean(values: Iterable[float]) -> float:
        return sum(weight * value for weight, value in zip(weights, values, strict=True))

    scores = {emotion: mean(segment.scores[emotion] for segment in segments) for emotion in first.scores}
    familiarity = None if first.familiarity is None else mean(segment.familiarity for segment in segments)
    return replace(first, scores=scores, familiarity=familiarity, end=last.end)


def emotion_shares(segments: Iterable[Segment]) -> dict[str, float]:
    """Share of the time with speech in which each emotion is the likeliest; the largest first, and none without it."""
    seconds: dict[str, float] = {}
    for segment in segments:
        if segment.speech:
            seconds[segment.label] = seconds.get(segment.label, 0.0) + segment.end - segment.start
    total = sum(seconds.values())
    return {emotion: time / total for emotion, time in sorted(seconds.items(), key=lambda item: -item[1])}


def timeline_dict(prediction: Prediction) -> dict[str, Any]:
    """Timeline of a long recording for programs, as dictionaries, lists, strings and numbers.

    Returns:
        `Prediction.to_dict` without its scores, with `shares` as of `emotion_shares`, and as `segments` the stretches.
    """
    whole = prediction.to_dict()
    del whole["scores"]
    segments = [stretch.to_dict() for stretch in stretches(prediction.segments)]
    return {**whole, "shares": emotion_shares(prediction.segments), "segments": segments}


def timeline_json(prediction: Prediction) -> str:
    """`timeline_dict`, and as `moments` the segments before they were joined, without `LEFT_OUT`."""
    moments = [
        {name: value for name, value in segment.to_dict().items() if name not in LEFT_OUT}
        for segment in prediction.segments
    ]
    return json.dumps(rounded({**timeline_dict(prediction), "moments": moments}))


def timeline_csv(prediction: Prediction) -> str:
    """A line for each stretch: start, end, and what `emotion_columns` names."""
    rows = [
        [round(stretch.start, TIME_DIGITS), round(stretch.end, TIME_DIGITS), *emotion_cells(stretch)]
        for stretch in stretches(prediction.segments)
    ]
    return as_csv(["start", "end", *emotion_columns(prediction.scores)], rows)


def emotion_columns(labels: Iterable[str]) -> list[str]:
    """Header of `emotion_cells`."""
    return ["emotion", "probability", *labels, "sure", "candidates", "arousal", "familiarity"]


def emotion_cells(emotions: Emotions) -> list[Any]:
    """Label, its probability, those of all emotions, whether it is sure, the candidates, arousal and familiarity."""
    scores = [emotions.confidence, *emotions.scores.values()]
    measures = [emotions.arousal, emotions.familiarity]
    return [
        emotions.label,
        *(round(score, SCORE_DIGITS) for score in scores),
        emotions.sure,
        CANDIDATE_SEPARATOR.join(emotions.candidates),
        *("" if measure is None else round(measure, SCORE_DIGITS) for measure in measures),
    ]


def audacity_labels(prediction: Prediction) -> str:
    """The stretches with speech as a label track: in Audacity, File > Import > Labels."""
    return "".join(
        f"{stretch.start:.6f}\t{stretch.end:.6f}\t{stretch.label}\n"
        for stretch in stretches(prediction.segments)
        if stretch.speech
    )


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated values with a header, each line ended by a line feed; no cell of text is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([plain_text(cell) for cell in row] for row in rows)
    return text.getvalue()


def plain_text(cell: Any) -> Any:
    """A cell behind an apostrophe if a spreadsheet would take its text for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def rounded(value: Any) -> Any:
    """The same with every float rounded to `SCORE_DIGITS`."""
    if isinstance(value, float):
        return round(value, SCORE_DIGITS)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


__all__ = [
    "audacity_labels",
    "emotion_cells",
    "emotion_columns",
    "emotion_shares",
    "stretches",
    "timeline_csv",
    "timeline_dict",
    "timeline_json",
]
