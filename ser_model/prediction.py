"""What the recogniser answers: the emotions of a recording, and of its segments."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self


NO_SPEECH = "no speech"


@dataclass(frozen=True)
class Emotions:
    """What a stretch of sound expresses.

    Attributes:
        label: the most probable emotion, or `NO_SPEECH`.
        scores: calibrated probability of each emotion, in the order of the model's labels; all 0.0 without speech.
        speech: whether there was speech enough to answer.
    """

    label: str
    scores: dict[str, float]
    speech: bool

    @property
    def confidence(self) -> float:
        """Probability of the label; 0.0 without speech."""
        return self.scores.get(self.label, 0.0)

    def ranked(self, n: int | None = None) -> list[tuple[str, float]]:
        """The `n` most probable emotions with their probabilities, all of them if None; empty without speech."""
        if not self.speech:
            return []
        return sorted(self.scores.items(), key=lambda item: -item[1])[:n]

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
        """All of it as dictionaries, lists, strings and numbers, for JSON."""
        return {**asdict(self), "confidence": self.confidence, "segments": [asdict(item) for item in self.segments]}
