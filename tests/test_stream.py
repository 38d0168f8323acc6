"""Streams of chunks: what the network hears, smoothing, and what is refused."""

import itertools
import math

import numpy as np
import pytest
import soxr

from ser_model.answer_rule import AnswerRule
from ser_model.audio_io import SAMPLING_RATE, AudioError
from ser_model.backend import Backend, BackendOutput
from ser_model.recognizer import EmotionRecognizer
from ser_model.stream import SMOOTHING_SECONDS, SWITCH_MARGIN, WINDOW_SECONDS, EmotionStream
from train.augment.voice import speech_like


LABELS = ("angry", "sad", "happy")
RATE = 44100
CHUNK_SECONDS = 0.5
CERTAIN = 0.9


class RecordingBackend(Backend):
    """Answers what it is told, and keeps the waveforms that it was given."""

    labels = LABELS

    def __init__(self, answers=None, familiarities=None, certainty=CERTAIN):
        self.answers = answers
        self.certainty = certainty
        self.familiarities = familiarities
        self.heard = []

    def run(self, waveforms):
        self.heard.extend(waveforms)
        certain = LABELS[0] if self.answers is None else self.answers[len(self.heard) - 1]
        others = (1 - self.certainty) / (len(LABELS) - 1)
        probabilities = np.array([[self.certainty if label == certain else others for label in LABELS]], np.float32)
        if self.familiarities is None:
            return BackendOutput(probabilities)
        return BackendOutput(probabilities, np.array([self.familiarities[len(self.heard) - 1]], np.float32))


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return speech_like(8.0, rate=RATE)


def chunks(samples: np.ndarray, seconds: float = CHUNK_SECONDS) -> list[np.ndarray]:
    size = round(seconds * RATE)
    return [samples[start : start + size] for start in range(0, len(samples), size)]


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.3])
def test_borders_of_chunks_are_not_heard(voice, seconds):
    backend = RecordingBackend()
    stream = EmotionStream(backend, RATE)
    for chunk in chunks(voice, seconds):
        stream.push(chunk)
    whole = soxr.resample(voice, RATE, SAMPLING_RATE, "HQ")
    heard = backend.heard[-1]
    assert len(heard) == WINDOW_SECONDS * SAMPLING_RATE
    candidates = [whole[start : start + len(heard)] for start in range(len(whole) - len(heard) + 1)[-800:]]
    assert min(np.abs(candidate - heard).max() for candidate in candidates) < 1e-4


def test_integers_and_stereo_are_heard_like_floats(voice):
    backend = RecordingBackend()
    floats, integers = EmotionStream(backend, RATE), EmotionStream(backend, RATE)
    floats.push(voice[:RATE])
    integers.push(np.stack([(voice[:RATE] * 32768).astype(np.int16)] * 2, axis=1))
    assert np.abs(backend.heard[0] - backend.heard[1]).max() < 1e-3


def test_times_follow_one_another(voice):
    stream = EmotionStream(RecordingBackend(), RATE)
    segments = [stream.push(chunk) for chunk in chunks(voice)]
    assert [segment.start for segment in segments[1:]] == [segment.end for segment in segments[:-1]]
    assert segments[-1].end == stream.seconds == pytest.approx(8.0)


def test_memory_stays_that_of_the_window(voice):
    stream = EmotionStream(RecordingBackend(), RATE)
    for _ in range(5):
        stream.push(voice)
    assert len(stream.window) == WINDOW_SECONDS * SAMPLING_RATE


def test_silence_is_no_speech_and_forgets_the_former_voice(voice):
    backend = RecordingBackend()
    stream = EmotionStream(backend, RATE)
    assert stream.push(np.zeros(RATE)).speech is False
    assert backend.heard == []
    assert stream.push(voice[: 2 * RATE]).speech is True
    assert stream.push(np.zeros(2 * RATE)).label == "no speech"
    assert stream.smoothed is None


def test_label_does_not_flicker(voice):
    pieces = chunks(voice)
    stream = EmotionStream(RecordingBackend([("angry", "sad")[index % 2] for index in range(len(pieces))]), RATE)
    labels = [stream.push(chunk).label for chunk in pieces]
    assert sum(label != following for label, following in itertools.pairwise(labels)) <= 1


def test_label_follows_a_voice_that_turned(voice):
    pieces = chunks(voice)
    stream = EmotionStream(RecordingBackend(["angry"] * 8 + ["sad"] * 8), RATE)
    segments = [stream.push(chunk) for chunk in pieces]
    assert segments[7].label == "angry"
    turned = next(index for index, segment in enumerate(segments) if segment.label == "sad")
    assert 8 <= turned <= 10
    assert segments[turned].scores["sad"] > segments[turned].scores["angry"] + SWITCH_MARGIN
    assert sum(segments[-1].scores.values()) == pytest.approx(1.0)


def test_label_follows_a_voice_that_turned_a_little(voice):
    pieces = chunks(voice)
    stream = EmotionStream(RecordingBackend(["angry"] * 8 + ["sad"] * 8, certainty=0.4), RATE)
    segments = [stream.push(chunk) for chunk in pieces]
    assert segments[7].label == "angry"
    turned = next(index for index, segment in enumerate(segments) if segment.label == "sad")
    ahead = segments[turned].scores["sad"] - segments[turned].scores["angry"]
    assert 0 < ahead < SWITCH_MARGIN
    assert turned <= 12


def test_an_inverted_channel_does_not_silence_the_other(voice):
    backend = RecordingBackend()
    mono, inverted = EmotionStream(backend, RATE), EmotionStream(backend, RATE)
    mono.push(voice[:RATE])
    assert inverted.push(np.stack([voice[:RATE], -0.9 * voice[:RATE]])).speech
    assert np.abs(backend.heard[0] - backend.heard[1]).max() < 1e-3


def test_familiarity_is_smoothed_and_the_rule_is_the_checkpoints(voice):
    backend = RecordingBackend(familiarities=[1.0] + [0.0] * 15)
    backend.rule = AnswerRule(answer_threshold=0.95)
    stream = EmotionStream(backend, RATE)
    silent = stream.push(np.zeros(RATE))
    first, *later = (stream.push(chunk) for chunk in chunks(voice))
    assert silent.familiarity is None
    assert first.familiarity == 1.0
    assert later[0].familiarity == pytest.approx(math.exp(-CHUNK_SECONDS / SMOOTHING_SECONDS), abs=1e-6)
    assert [segment.familiarity for segment in later] == sorted((s.familiarity for s in later), reverse=True)
    assert {segment.rule for segment in (silent, first, *later)} == {backend.rule}
    assert not first.sure


def test_answers_are_those_of_the_network(checkpoint, speech):
    recognizer = EmotionRecognizer.from_pretrained(checkpoint)
    first = recognizer.stream(SAMPLING_RATE).push(speech)
    assert list(first.scores.values()) == pytest.approx(recognizer.backend.probabilities([speech])[0], abs=1e-5)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0), "shorter than one sample"),
        (np.full(100, np.nan), "NaN"),
        (np.zeros((2, 3, 4)), "shape"),
        (np.array(["a"]), "known range"),
    ],
)
def test_bad_chunk_is_refused_and_the_stream_goes_on(voice, samples, reason):
    stream = EmotionStream(RecordingBackend(), RATE)
    with pytest.raises(AudioError, match=reason):
        stream.push(samples)
    assert stream.seconds == 0.0
    assert stream.push(voice[:RATE]).speech is True


def test_rate_that_is_none_is_refused():
    with pytest.raises(AudioError, match="sampling rate of the stream"):
        EmotionStream(RecordingBackend(), 0)
