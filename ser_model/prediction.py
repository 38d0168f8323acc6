"""Answers of the recogniser: the emotions of a recording, and of its segments."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Self

from .answer_rule import FAMILIAR_FROM, AnswerRule, arousal


NO_SPEECH = "no speech"


@dataclass(frozen=True)
class Emotions:
    """Emotions that a stretch of sound expresses.

    Attributes:
        label: the most probable emotion, or `NO_SPEECH`.
        scores: calibrated probability of each emotion, in the order of the model's labels; all 0.0 without speech.
        speech: whether there was speech enough to answer.
        familiarity: how much voice there is to go by, 0 to 1: the voiced seconds, divided by two and a half. Of a long
            recording the mean of its windows. None without speech, and where the checkpoint does not measure it.
        rule: the checkpoint's thresholds.
    """

    label: str
    scores: dict[str, float]
    speech: bool
    _: KW_ONLY
    familiarity: float | None = None
    rule: AnswerRule = field(default=AnswerRule(), repr=False)

    @property
    def confidence(self) -> float:
        """Probability of the label; 0.0 without speech."""
        return self.scores.get(self.label, 0.0)

    @property
    def sure(self) -> bool:
        """True if the label is given as the answer, and not the candidates; False without speech."""
        return self.speech and self.confidence >= self.rule.answer_threshold

    @property
    def candidates(self) -> tuple[str, ...]:
        """The smallest set of emotions meant to hold the right one in 80 % of recordings.

        The label is the first, the others follow by their probability. Empty without speech.
        """
        return self.rule.candidates(self.scores, self.label) if self.speech else ()

    @property
    def arousal(self) -> float | None:
        """How lively the voice is, 0 (calm) to 1; None without speech, and where an emotion has no known arousal."""
        return arousal(self.scores) if self.speech else None

    @property
    def familiar(self) -> bool:
        """True if there is voice enough to go by: False only where the measured familiarity is low."""
        return self.familiarity is None or self.familiarity >= FAMILIAR_FROM

    def ranked(self, n: int | None = None) -> list[tuple[str, float]]:
        """The `n` most probable emotions with their probabilities, all of them if None; empty without speech."""
        if not self.speech:
            return []
        return sorted(self.scores.items(), key=lambda item: -item[1])[:n]

    def to_dict(self) -> dict[str, Any]:
        """All of it as dictionaries, lists, strings and numbers, for JSON; None where there is no number."""
        return {
            "label": self.label,
            "scores": dict(self.scores),
            "confidence": self.confidence,
            "speech": self.speech,
            "sure": self.sure,
            "candidates": list(self.candidates),
            "arousal": self.arousal,
            "familiarity": self.familiarity,
        }

    @classmethod
    def from_probabilities(cls, labels: Sequence[str], probabilities: Sequence[float] | None, **kwargs: Any) -> Self:
        """From probabilities in the order of the labels, or None without speech; `kwargs` are the other fields."""
        if probabilities is None:
            return cls(label=NO_SPEECH, scores=dict.fromkeys(labels, 0.0), speech=False, **kwargs)
        scores = {label: float(probability) for label, probability in zip(labels, probabilities, strict=True)}
        return cls(label=max(scores, key=scores.__getitem__), scores=scores, speech=True, **kwargs)


@dataclass(frozen=True)
class Segment(Emotions):
    """A stretch of a recording from `start` to `end`, in seconds."""

    start: float
    end: float

    def to_dict(self) -> dict[str, Any]:
        """As of [`Emotions`], and `start` and `end`."""
        return {**super().to_dict(), "start": self.start, "end": self.end}


@dataclass(frozen=True)
class Prediction(Emotions):
    """A whole recording.

    Attributes:
        duration: in seconds.
        segments: emotions over time, without gaps: one segment for a short recording, one a second for a long one.
    """

    duration: float
    segments: tuple[Segment, ...]

    def to_dict(self) -> dict[str, Any]:
        """As of [`Emotions`], `duration` and `segments`."""
        segments = [segment.to_dict() for segment in self.segments]
        return {**super().to_dict(), "duration": self.duration, "segments": segments}
