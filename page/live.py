"""The live part of the page: a stream for each visitor who is speaking, freed when the visitor stops or leaves."""

import base64
import binascii
from typing import Literal, TypedDict

import numpy as np

from ser_model.adaptation import AdaptedBackend
from ser_model.audio_io import AudioError
from ser_model.prediction import Segment
from ser_model.recognizer import EmotionRecognizer
from ser_model.stream import EmotionStream


MAX_SECONDS = 300  # of a stream
MAX_STREAMS = 16  # at once
MAX_CHUNK_BYTES = 1 << 21  # of base64: eight seconds at 96 kHz, should the connection have been interrupted

State = Literal["speech", "silent", "limit", "busy", "stopped", "problem", "model_missing"]


class Chunk(TypedDict):
    """What live.js sends. The first chunk has the number 0; without samples the visitor has stopped."""

    number: int
    rate: int  # Hz
    samples: str  # 16-bit integers, little-endian, in base64


class Now(TypedDict):
    """What live.js draws after the chunk of this number; times in seconds since the first chunk."""

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
    familiarity: float | None  # 0 to 1: how much it resembles the training speech
    familiar: bool  # False where that is little
    adapted: bool  # corrected for the visitor's own voice


class LiveStreams:
    """The streams of the visitors who are speaking, by the name of their session."""

    def __init__(self) -> None:
        self.streams: dict[str, EmotionStream] = {}

    def hear(self, visitor: str, chunk: Chunk, recognizer: EmotionRecognizer) -> Now:
        """Give the next chunk of a visitor to the stream, which begins with chunk 0 and ends after `MAX_SECONDS`.

        From chunk to chunk the recogniser may be corrected for the visitor's voice or not.
        """
        number = chunk["number"]
        if not chunk["samples"]:
            return self.stop(visitor, number, "stopped")
        try:
            samples = decoded(chunk["samples"])
            if number == 0:
                self.leave(visitor)
                if len(self.streams) >= MAX_STREAMS:
                    return without_emotions("busy", number)
                self.streams[visitor] = recognizer.stream(chunk["rate"])
            if visitor not in self.streams:
                return without_emotions("stopped", number)
            self.streams[visitor].backend = recognizer.backend  # corrected for the visitor's voice, or no longer
            segment = self.streams[visitor].push(samples)
        except AudioError:
            return self.stop(visitor, number, "problem")
        if segment.end > MAX_SECONDS:
            return self.stop(visitor, number, "limit")
        return moment(segment, number, isinstance(recognizer.backend, AdaptedBackend))

    def stop(self, visitor: str, number: int, state: State) -> Now:
        """End the stream of a visitor, and tell why."""
        self.leave(visitor)
        return without_emotions(state, number)

    def leave(self, visitor: str) -> None:
        """Free what is kept for a visitor."""
        self.streams.pop(visitor, None)


def decoded(text: str, max_bytes: int = MAX_CHUNK_BYTES) -> np.ndarray:
    """Samples of a chunk, int16 (samples,)."""
    if len(text) > max_bytes:
        raise AudioError(f"A chunk has at most {max_bytes} characters, got {len(text)}.")
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<i2")
    except (binascii.Error, ValueError) as error:
        raise AudioError("A chunk is 16-bit samples in base64.") from error


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
    """What is drawn where there is nothing to hear."""
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
