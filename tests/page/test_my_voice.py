"""My voice: the page learns a visitor's voice, and forgets it."""

import numpy as np
import pytest

from page import limits, my_voice
from page.live import LiveStreams
from page.my_voice import SENTENCES, Known, OwnVoice, OwnVoices, Request
from page.texts import ENGLISH
from scripts.page_client import encoded
from ser_model.audio_io import SAMPLING_RATE
from ser_model.recognizer import EmotionRecognizer
from train.augment.voice import speech_like


CLIPS = [
    speech_like(seconds, pitch, seed) for seed, (seconds, pitch) in enumerate([(2.0, 110), (3.0, 180), (2.5, 140)])
]


@pytest.fixture(scope="module")
def recognizer(checkpoint) -> EmotionRecognizer:
    return EmotionRecognizer.from_pretrained(checkpoint)


def request(action: str, samples: np.ndarray | None = None, number: int = 1) -> Request:
    content = "" if samples is None else encoded(samples)
    return Request(number=number, action=action, rate=SAMPLING_RATE, samples=content)


def read(voices: OwnVoices, recognizer: EmotionRecognizer, clips=CLIPS, visitor: str = "a") -> Known:
    """Read sentences; what is known after the last."""
    return [voices.heed(visitor, request("read", clip), recognizer) for clip in clips][-1]


def scores(recognizer: EmotionRecognizer, clip: np.ndarray) -> dict[str, float]:
    return recognizer.predict(clip, sampling_rate=SAMPLING_RATE).scores


def test_three_sentences_adapt_as_the_recogniser_does(recognizer):
    voices = OwnVoices()
    before = read(voices, recognizer, CLIPS[:-1])
    assert (before["heard"], before["adapted"], before["factors"]) == (2, False, {})
    assert voices.adapted("a", recognizer) is recognizer
    known = read(voices, recognizer, CLIPS[-1:])
    assert (known["heard"], known["adapted"], known["problem"]) == (3, True, "")
    rounded = [(32767 * clip).astype(np.int16) for clip in CLIPS]
    expected = scores(recognizer.adapt(rounded, sampling_rate=SAMPLING_RATE), CLIPS[0])
    assert scores(voices.adapted("a", recognizer), CLIPS[0]) == pytest.approx(expected, abs=1e-5)
    change = known["changes"][0]
    assert change["after"]["probability"] == pytest.approx(expected[change["after"]["emotion"]], abs=1e-4)
    unadapted = scores(recognizer, rounded[0])
    assert change["before"] == {"emotion": max(unadapted, key=unadapted.get), "probability": max(unadapted.values())}
    weighted = {emotion: score * known["factors"][emotion] for emotion, score in scores(recognizer, CLIPS[0]).items()}
    assert {emotion: weight / sum(weighted.values()) for emotion, weight in weighted.items()} == pytest.approx(
        expected, abs=1e-4
    )


def test_few_sentences_change_little():
    certain = np.array([0.998, 0.001, 0.001])
    few, many = (np.abs(OwnVoice(sentences=[(certain, 1.0)] * count).correction()).max() for count in (SENTENCES, 30))
    assert np.exp(few) < 2
    assert few < many


def test_long_sentence_counts_once(recognizer):
    assert read(OwnVoices(), recognizer, [speech_like(9.0)])["heard"] == 1


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (request("read", np.zeros(2 * SAMPLING_RATE)), "voice_silent"),
        (request("read", np.zeros(0)), "voice_silent"),
        (request("read") | {"samples": "no base64!"}, "sound_damaged"),
        (request("read", CLIPS[0]) | {"rate": 0}, "sound_damaged"),
        (request("read") | {"samples": None}, "sound_damaged"),
        (request("sing", CLIPS[0]), "sound_damaged"),
        (request("read", CLIPS[0]) | {"number": None}, "sound_damaged"),
        ({}, "sound_damaged"),
        (None, "sound_damaged"),
        (request("read") | {"samples": "A" * (1 << 23), "rate": 1000}, "voice_too_long"),
        (request("read", np.zeros((limits.VOICE_SECONDS + 2) * SAMPLING_RATE)), "voice_too_long"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_sentence_without_a_voice_is_asked_again(recognizer, bad, problem):
    voices = OwnVoices()
    known = voices.heed("a", bad, recognizer)
    assert (known["problem"], known["heard"]) == (problem, 0)
    assert known["problem"] in ENGLISH
    assert voices.voices == {}


def test_a_sentence_with_too_little_voice_is_asked_again_and_less_of_it_counts_less(recognizer, monkeypatch):
    voices = OwnVoices()
    monkeypatch.setattr(my_voice, "weight_of", lambda prediction: 0.0)
    assert read(voices, recognizer)["problem"] == "voice_silent"
    assert voices.voices == {}
    certain = np.array([0.998, 0.001, 0.001])
    full, half = (np.abs(OwnVoice(sentences=[(certain, one)] * SENTENCES).correction()).max() for one in (1.0, 0.5))
    assert 0 < half < full


def test_switch_and_forget(recognizer):
    voices = OwnVoices()
    read(voices, recognizer)
    off = voices.heed("a", request("off", number=7), recognizer)
    assert (off["number"], off["heard"], off["adapted"]) == (7, 3, False)
    assert voices.adapted("a", recognizer) is recognizer
    assert voices.heed("a", request("on"), recognizer)["adapted"]
    assert voices.adapted("b", recognizer) is recognizer  # another visitor
    forgotten = voices.heed("a", request("forget"), recognizer)
    assert (forgotten["heard"], forgotten["adapted"], forgotten["factors"]) == (0, False, {})
    assert voices.voices == {}
    assert voices.heed("a", request("on"), recognizer)["adapted"] is False


def test_memory_has_limits(recognizer, monkeypatch):
    monkeypatch.setattr(limits, "VOICE_SENTENCES", 4)
    monkeypatch.setattr(limits, "VOICE_VISITORS", 2)
    voices = OwnVoices()
    assert read(voices, recognizer, CLIPS * 2)["heard"] == 4
    for visitor in "bc":
        read(voices, recognizer, visitor=visitor)
    assert set(voices.voices) == {"b", "c"}
    assert len(voices.voices["b"].sentences) == SENTENCES


def test_nobody_makes_the_page_forget_the_voices_of_others(monkeypatch):
    monkeypatch.setattr(limits, "VOICE_VISITORS", 4)
    voices = OwnVoices()
    voices.remember("honest", np.array([1.0, 0.0]), 1.0, "a")
    for number in range(9):
        voices.remember(f"attack{number}", np.array([1.0, 0.0]), 1.0, "b")
    assert set(voices.voices) == {"honest", "attack6", "attack7", "attack8"}


def test_live_follows_the_switch(recognizer, speech):
    voices, streams = OwnVoices(), LiveStreams()
    read(voices, recognizer)
    chunk = request("read", speech)
    adapted = streams.hear("a", chunk | {"number": 0}, voices.adapted("a", recognizer))
    assert adapted["adapted"] is True
    assert adapted["scores"] == pytest.approx(scores(voices.adapted("a", recognizer), speech), abs=1e-3)
    assert streams.hear("a", chunk, recognizer)["adapted"] is False
