"""The page's part My voice: what the network hears in a visitor's sentences corrects its answers to this visitor."""

import math
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import numpy as np

from page import limits
from page.answer import RankedEmotion
from page.sound import decoded, number_of
from ser_model.adaptation import (
    LARGEST_CORRECTION,
    PRIOR_CLIPS,
    AdaptedBackend,
    corrected,
    voice_correction,
    weight_of,
)
from ser_model.audio_io import AudioError
from ser_model.recognizer import EmotionRecognizer


SENTENCES = 3  # to read before the answers are corrected
LARGEST_FACTOR = math.exp(LARGEST_CORRECTION * SENTENCES / (SENTENCES + PRIOR_CLIPS))  # that so few may bring


class Request(TypedDict):
    """Request of my_voice.js; `rate` and `samples` are those of a sentence, as in page/live.py."""

    number: int  # of the request
    action: Literal["read", "on", "off", "forget", "look"]
    rate: int
    samples: str


class Change(TypedDict):
    """The likeliest emotion of a sentence without and with the correction."""

    before: RankedEmotion
    after: RankedEmotion


class Known(TypedDict):
    """Data that my_voice.js draws: how far the page knows the visitor's voice."""

    number: int  # of the request
    problem: str  # key of the texts; empty if there is none
    heard: int  # sentences
    adapted: bool  # whether the answers are corrected
    factors: dict[str, float]  # by which each probability is multiplied, before they add up to 1 again
    changes: list[Change]  # of the last SENTENCES, once there is a correction


@dataclass
class OwnVoice:
    """A visitor's sentences, the probabilities (labels,) and the weight of each, and whether they are to count."""

    address: str = ""
    sentences: list[tuple[np.ndarray, float]] = field(default_factory=list)
    wanted: bool = True

    def correction(self) -> np.ndarray | None:
        """Correction by `voice_correction`, within what so few sentences deserve; None before there are enough."""
        sentences = list(self.sentences)  # another request may be adding one
        if len(sentences) < SENTENCES:
            return None
        probabilities, weights = zip(*sentences, strict=True)
        largest = LARGEST_CORRECTION * sum(weights) / (sum(weights) + PRIOR_CLIPS)
        return np.clip(voice_correction(np.array(probabilities), weights), -largest, largest)


class OwnVoices:
    """The voices of the visitors, by the names of their sessions: numbers in memory, never a recording."""

    def __init__(self) -> None:
        self.voices: dict[str, OwnVoice] = {}
        self.lock = threading.Lock()

    def heed(self, visitor: str, request: Request, recognizer: EmotionRecognizer, address: str = "") -> Known:
        """Do what a visitor asks for, and tell what is known of the voice then."""
        number = number_of(request)
        action = request.get("action") if number >= 0 else None
        problem = ""
        if action == "read":
            problem = self.hear(visitor, request, recognizer, address)
        elif action == "forget":
            self.leave(visitor)
        elif action in ("on", "off"):
            self.switch(visitor, action == "on")
        elif action != "look":
            problem = "sound_damaged"
        return self.known(visitor, number, problem, recognizer.labels)

    def hear(self, visitor: str, request: Request, recognizer: EmotionRecognizer, address: str) -> str:
        """Remember what the network hears in a sentence; the problem with it, if any.

        A sentence counts once, however long it is, and less if little voice is in it.
        """
        try:
            samples = decoded(request, limits.VOICE_SECONDS)
        except AudioError as error:
            return "voice_too_long" if error.reason == "too_long" else "sound_damaged"
        try:
            prediction = recognizer.predict(samples, sampling_rate=request["rate"])
        except AudioError:
            return "voice_silent"
        if not prediction.speech or not (weight := weight_of(prediction)):
            return "voice_silent"
        self.remember(visitor, np.array(list(prediction.scores.values())), weight, address)
        return ""

    def remember(self, visitor: str, probabilities: np.ndarray, weight: float, address: str) -> None:
        """Keep the probabilities of a sentence, (labels,), and its weight, within the limits of memory.

        Beyond, the address with most visitors forgets the one who came first.
        """
        with self.lock:
            voice = self.voices.setdefault(visitor, OwnVoice(address))
            if len(voice.sentences) < limits.VOICE_SENTENCES:
                voice.sentences.append((probabilities, weight))
            if len(self.voices) > limits.VOICE_VISITORS:
                counts = Counter(other.address for other in self.voices.values())
                del self.voices[max(self.voices, key=lambda other: counts[self.voices[other].address])]

    def switch(self, visitor: str, wanted: bool) -> None:
        """Let what is known of a visitor's voice count, or no longer."""
        voice = self.voices.get(visitor)
        if voice:
            voice.wanted = wanted

    def known(self, visitor: str, number: int, problem: str, labels: tuple[str, ...]) -> Known:
        """Data that the visitor is shown after a request."""
        voice = self.voices.get(visitor, OwnVoice())
        correction = voice.correction()
        adapted = correction is not None and voice.wanted
        known = Known(
            number=number, problem=problem, heard=len(voice.sentences), adapted=adapted, factors={}, changes=[]
        )
        if correction is None:
            return known
        before = np.array([probabilities for probabilities, _ in voice.sentences[-SENTENCES:]])
        rows = zip(before, corrected(before, correction), strict=True)
        changes = [Change(before=likeliest(labels, row), after=likeliest(labels, after)) for row, after in rows]
        factors = dict(zip(labels, np.exp(correction).tolist(), strict=True))
        return known | {"factors": factors, "changes": changes}

    def adapted(self, visitor: str, recognizer: EmotionRecognizer) -> EmotionRecognizer:
        """The recogniser, corrected for a visitor who has read the sentences and wants it."""
        voice = self.voices.get(visitor)
        correction = voice.correction() if voice and voice.wanted else None
        return recognizer if correction is None else EmotionRecognizer(AdaptedBackend(recognizer.backend, correction))

    def leave(self, visitor: str) -> None:
        """Forget a visitor's voice."""
        with self.lock:
            self.voices.pop(visitor, None)


def likeliest(labels: tuple[str, ...], probabilities: np.ndarray) -> RankedEmotion:
    """The likeliest emotion of a sentence, whose probabilities are (labels,)."""
    best = int(probabilities.argmax())
    return RankedEmotion(emotion=labels[best], probability=float(probabilities[best]))


def unknown(number: int, problem: str = "") -> Known:
    """Data that the visitor is shown of a voice that nobody has heard."""
    return Known(number=number, problem=problem, heard=0, adapted=False, factors={}, changes=[])
