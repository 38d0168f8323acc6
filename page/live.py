"""The live part of the page: a stream for each visitor who is speaking, freed when the visitor stops or leaves."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from page import limits
from page.sound import decoded, number_of
from ser_model.adaptation import AdaptedBackend
from ser_model.audio_io import AudioError
from ser_model.prediction import Segment
from ser_model.recognizer import EmotionRecognizer
from ser_model.stream import EmotionStream


State = Literal["speech", "silent", "limit", "busy", "stopped", "problem", "model_missing"]


class Chunk(TypedDict):
    """Chunk of sound that live.js sends. The first chunk has the number 0; without samples the visitor has stopped."""

    number: int
    rate: int  # Hz
    samples: str  # 16-bit integers, little-endian, in base64


class Now(TypedDict):
    """Data that live.js draws after the chunk of this number; times in seconds since the first chunk."""

    number: int
    state: State
    label: str
    start: float
    end: float
    speech: bool
    scores: dict[str, float]
    sure: bool
    candidates: list[str]  # the emotions that it may be, the one that is shown first
    arousal: float | None  # 0 (calm) to 1 (lively)
    familiarity: float | None  # 0 to 1: how much voice there is to go by
    familiar: bool  # False where that is little
    adapted: bool  # corrected for the visitor's own voice


@dataclass
class Visit:
    """A visitor who is speaking."""

    stream: EmotionStream
    address: str
    heard: float  # when the last chunk came, in seconds of the clock
    turn: threading.Lock = field(default_factory=threading.Lock)  # held while the stream is busy with a chunk


class LiveStreams:
    """The streams of the visitors who are speaking, by the name of their session.

    A stream without chunks for a while ends. When all places are taken, the address that holds most of them makes
    room, so that nobody can keep the others out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.visits: dict[str, Visit] = {}
        self.clock = clock
        self.lock = threading.Lock()

    def hear(self, visitor: str, chunk: Chunk, recognizer: EmotionRecognizer, address: str = "") -> Now:
        """Give the next chunk of a visitor to the stream, which begins with chunk 0 and ends after `LIVE_SECONDS`.

        From chunk to chunk the recogniser may be corrected for the visitor's voice or not.
        """
        number = number_of(chunk)
        if number < 0:
            return self.stop(visitor, number, "problem")
        if chunk.get("samples") == "":
            return self.stop(visitor, number, "stopped")
        try:
            samples = decoded(chunk, limits.LIVE_CHUNK_SECONDS)
            if number == 0 and not self.enter(visitor, address, recognizer.stream(chunk["rate"])):
                return without_emotions("busy", number)
            visit = self.visit_of(visitor)
            if visit is None:
                return without_emotions("stopped", number)
            if not visit.turn.acquire(blocking=False):  # the page sends no chunk before it has the last answer
                return without_emotions("busy", number)
            try:
                visit.stream.backend = recognizer.backend  # corrected for the visitor's voice, or no longer
                segment = visit.stream.push(samples)
            finally:
                visit.turn.release()
        except AudioError:
            return self.stop(visitor, number, "problem")
        if segment.end > limits.LIVE_SECONDS:
            return self.stop(visitor, number, "limit")
        return moment(segment, number, isinstance(recognizer.backend, AdaptedBackend))

    def enter(self, visitor: str, address: str, stream: EmotionStream) -> bool:
        """Begin a stream in place of the visitor's former one; False if there is no room."""
        with self.lock:
            self.visits.pop(visitor, None)
            self._end_idle()
            if not self._make_room(address):
                return False
            self.visits[visitor] = Visit(stream, address, self.clock())
            return True

    def visit_of(self, visitor: str) -> Visit | None:
        """The visit to which a chunk has just come; None if it has ended."""
        with self.lock:
            self._end_idle()
            visit = self.visits.get(visitor)
            if visit:
                visit.heard = self.clock()
            return visit

    def stop(self, visitor: str, number: int, state: State) -> Now:
        """End the stream of a visitor, and tell why."""
        self.leave(visitor)
        return without_emotions(state, number)

    def leave(self, visitor: str) -> None:
        """Free what is kept for a visitor."""
        with self.lock:
            self.visits.pop(visitor, None)

    def _end_idle(self) -> None:
        """Free the streams without a chunk for `LIVE_IDLE_SECONDS`."""
        latest = self.clock() - limits.LIVE_IDLE_SECONDS
        self.visits = {visitor: visit for visitor, visit in self.visits.items() if visit.heard >= latest}

    def _make_room(self, address: str) -> bool:
        """True if a visitor from this address may enter, after the address that holds most gave a place if needed.

        It gives that of its idlest stream, and only if it still holds as many as the newcomer's address then.
        """
        places = Counter(visit.address for visit in self.visits.values())
        if places[address] >= limits.LIVE_STREAMS_OF_ADDRESS:
            return False
        if len(self.visits) < limits.LIVE_STREAMS:
            return True
        most = max(places.values(), default=0)
        if most <= places[address] + 1:
            return False
        holders = {holder for holder, count in places.items() if count == most}
        crowd = [visitor for visitor, visit in self.visits.items() if visit.address in holders]
        del self.visits[min(crowd, key=lambda visitor: self.visits[visitor].heard)]
        return True


def moment(segment: Segment, number: int, adapted: bool) -> Now:
    """A segment of the stream as live.js draws it."""
    return Now(
        number=number,
        state="speech" if segment.speech else "silent",
        label=segment.label,
        start=segment.start,
        end=segment.end,
        speech=segment.speech,
        scores=segment.scores,
        sure=segment.sure,
        candidates=list(segment.candidates),
        arousal=segment.arousal,
        familiarity=segment.familiarity,
        familiar=segment.familiar,
        adapted=adapted,
    )


def without_emotions(state: State, number: int) -> Now:
    """Data that live.js draws where there is nothing to hear."""
    return Now(
        number=number,
        state=state,
        label="",
        start=0.0,
        end=0.0,
        speech=False,
        scores={},
        sure=False,
        candidates=[],
        arousal=None,
        familiarity=None,
        familiar=True,
        adapted=False,
    )
