"""From a prediction to what the page draws: the verdict, advice on the recording, its waveform and its timeline."""

import base64
import json
import math
from collections.abc import Iterable, Sequence
from typing import Literal, TypedDict

import numpy as np

from ser_model.adaptation import corrected
from ser_model.audio_io import AudioError
from ser_model.prediction import Prediction, Segment
from ser_model.timeline import (
    SCORE_DIGITS,
    TIME_DIGITS,
    audacity_labels,
    emotion_shares,
    stretches,
    timeline_csv,
    timeline_json,
)


SHORT_SECONDS = 1.0
QUIET_LEVEL = 0.01  # peak of a recording, full scale is 1: -40 dB
CLIPPED_LEVEL = 0.985
CLIPPED_SHARE = 0.002  # of the samples; a voice just below full scale touches it far more rarely
MAX_MOMENTS = 160  # in which a timeline is told; the picture of it has all
WAVEFORM_POINTS = 4800
WAVEFORM_PERCENTILE = 99.5  # drawn at full height, so that one click does not flatten the voice

State = Literal["empty", "thinking", "answer", "no_speech", "problem"]


class RankedEmotion(TypedDict):
    emotion: str
    probability: float


class Moment(TypedDict):
    """A segment of the timeline; times in seconds."""

    start: float
    end: float
    speech: bool
    scores: dict[str, float]


class AnswerDict(TypedDict):
    """Fields that a recording and each of its segments share, as `Emotions.to_dict` gives them to programs."""

    label: str
    confidence: float
    speech: bool
    sure: bool
    candidates: list[str]
    arousal: float | None
    familiarity: float | None


class SegmentDict(AnswerDict):
    """A segment, or a stretch of a timeline; times in seconds."""

    scores: dict[str, float]
    start: float
    end: float


class PredictionDict(AnswerDict):
    """A prediction as `Prediction.to_dict` gives it to programs."""

    scores: dict[str, float]
    duration: float
    segments: list[SegmentDict]


class TimelineDict(AnswerDict):
    """A long recording as `timeline_dict` gives it to programs."""

    duration: float
    shares: dict[str, float]
    segments: list[SegmentDict]


class Answer(TypedDict):
    """Data that answer.js draws. `message` and `advice` are keys of the texts.

    Thousands of numbers are packed into a text, because gradio copies them one by one, which takes seconds.
    """

    state: State
    progress: float  # 0 to 1; 0 while it is not known
    ranking: list[RankedEmotion]  # strongest first; empty while there is no answer
    unsure: bool
    candidates: list[str]  # the emotions that it may be, the likeliest first
    arousal: float | None  # 0 (calm) to 1 (lively)
    familiarity: float | None  # 0 to 1: how much voice there is to go by
    familiar: bool  # False where that is little
    adapted: bool  # corrected for the visitor's own voice
    before: dict[str, float]  # the probabilities without the correction; empty where there is none
    duration: float  # seconds
    advice: list[str]
    message: str
    waveform: str  # bytes in base64, evenly spaced; 255 is the loudest
    segments: list[Moment]
    fine: str  # JSON of the emotions, and of every segment: its end and, with speech, the per mille of each emotion
    stretches: str  # lines of the table as JSON
    shares: list[RankedEmotion]  # of the time with speech
    name: str  # of the recording; without an ending where there are files
    files: dict[str, str]  # ending > content


def blank(state: State, message: str = "", progress: float = 0.0, name: str = "") -> Answer:
    """The card without an answer; `message` is a key of the texts, `name` that of the recording."""
    return Answer(
        state=state,
        ranking=[],
        unsure=False,
        candidates=[],
        arousal=None,
        familiarity=None,
        familiar=True,
        adapted=False,
        before={},
        duration=0.0,
        advice=[],
        message=message,
        waveform="",
        segments=[],
        fine="[[],[]]",
        stretches="[]",
        shares=[],
        name=name,
        files={},
        progress=progress,
    )


def problem_key(error: AudioError) -> str:
    """Key of the text that tells what is wrong with a recording: visitors are not shown what decoders say."""
    return f"problem_{error.reason}"


def describe(prediction: Prediction, waveform: np.ndarray, name: str, correction: np.ndarray | None = None) -> Answer:
    """
    The card that shows a prediction.

    Args:
        waveform: of the recording, float32 (samples,).
        name: of the recording.
        correction: of the visitor's own voice, (labels,), if the prediction has one.
    """
    return Answer(
        state="answer" if prediction.speech else "no_speech",
        ranking=ranking(prediction.ranked()),
        unsure=prediction.speech and not prediction.sure,
        candidates=list(prediction.candidates),
        arousal=prediction.arousal,
        familiarity=prediction.familiarity,
        familiar=prediction.familiar,
        adapted=correction is not None,
        before={} if correction is None else uncorrected(prediction, correction),
        duration=prediction.duration,
        advice=advice_on(waveform, prediction.duration),
        message="",
        progress=1.0,
        waveform=as_bytes(outline(waveform)),
        segments=moments(prediction.segments),
        fine=packed(prediction.segments),
        stretches=json.dumps([line(stretch) for stretch in stretches(prediction.segments)]),
        shares=ranking(emotion_shares(prediction.segments).items()),
        name=name,
        files=files(prediction),
    )


def uncorrected(prediction: Prediction, correction: np.ndarray) -> dict[str, float]:
    """The probability of each emotion as it was before the correction; empty without speech."""
    spoken = [list(segment.scores.values()) for segment in prediction.segments if segment.speech]
    if not spoken:
        return {}
    return dict(zip(prediction.scores, corrected(np.array(spoken), -correction).mean(0).tolist(), strict=True))


def ranking(probabilities: Iterable[tuple[str, float]]) -> list[RankedEmotion]:
    """Emotions with their probabilities, as they come."""
    return [RankedEmotion(emotion=emotion, probability=probability) for emotion, probability in probabilities]


def files(prediction: Prediction) -> dict[str, str]:
    """Files that can be saved of a recording: ending > content."""
    if not prediction.speech:
        return {}
    saved = {"csv": timeline_csv(prediction), "json": timeline_json(prediction)}
    return saved | {"txt": audacity_labels(prediction)} if len(prediction.segments) > 1 else saved


def moments(segments: Sequence[Segment]) -> list[Moment]:
    """The segments, as many of them averaged to one as it takes to have at most MAX_MOMENTS."""
    size = math.ceil(len(segments) / MAX_MOMENTS)
    return [average(segments[start : start + size]) for start in range(0, len(segments), size)]


def average(segments: Sequence[Segment]) -> Moment:
    """Consecutive segments as one; its scores are the mean of those with speech."""
    spoken = [segment.scores for segment in segments if segment.speech]
    totals = {emotion: sum(scores[emotion] for scores in spoken) for emotion in segments[0].scores}
    scores = {emotion: round(total / max(1, len(spoken)), SCORE_DIGITS) for emotion, total in totals.items()}
    return Moment(start=segments[0].start, end=segments[-1].end, speech=bool(spoken), scores=scores)


def packed(segments: Sequence[Segment]) -> str:
    """All segments as `Answer` has them in `fine`."""
    rows = [
        [
            round(segment.end, TIME_DIGITS),
            *(round(1000 * score) for score in segment.scores.values() if segment.speech),
        ]
        for segment in segments
    ]
    return json.dumps([list(segments[0].scores), rows], separators=(",", ":"))


def line(stretch: Segment) -> tuple[float, float, str, float]:
    """Start and end in seconds, emotion ("" without speech) and its probability."""
    emotion = stretch.label if stretch.speech else ""
    return (stretch.start, stretch.end, emotion, round(stretch.confidence, SCORE_DIGITS))


def advice_on(waveform: np.ndarray, duration: float) -> list[str]:
    """How the next recording could be better: keys of the texts."""
    loudness = np.abs(waveform)
    advice = []
    if duration < SHORT_SECONDS:
        advice.append("too_short")
    if loudness.max() < QUIET_LEVEL:
        advice.append("too_quiet")
    if np.mean(loudness >= CLIPPED_LEVEL) > CLIPPED_SHARE:
        advice.append("clipped")
    return advice


def outline(waveform: np.ndarray) -> list[float]:
    """The waveform's peaks as up to WAVEFORM_POINTS numbers from 0 to 1, relative to its own loudest part."""
    points = min(WAVEFORM_POINTS, len(waveform))
    peaks = np.maximum.reduceat(np.abs(waveform), np.arange(points) * len(waveform) // points)
    full_height = max(float(np.percentile(peaks, WAVEFORM_PERCENTILE)), QUIET_LEVEL)
    return np.minimum(peaks / full_height, 1.0).tolist()


def as_bytes(shares: Sequence[float]) -> str:
    """Numbers from 0 to 1 as bytes in base64."""
    return base64.b64encode(np.round(255 * np.asarray(shares)).astype(np.uint8)).decode()
