"""The card that the page makes of a prediction."""

import numpy as np
import pytest

from page.answer import (
    CLIPPED_LEVEL,
    MAX_MOMENTS,
    WAVEFORM_POINTS,
    advice_on,
    average,
    describe,
    moments,
    outline,
)
from ser_model.prediction import NO_SPEECH, Prediction, Segment


RATE = 16000


def prediction(scores: dict[str, float], speech: bool = True) -> Prediction:
    label = max(scores, key=scores.get) if speech else NO_SPEECH
    segment = Segment(label=label, scores=scores, speech=speech, start=0.0, end=2.0)
    return Prediction(label=label, scores=scores, speech=speech, duration=2.0, segments=(segment,))


def test_answer_ranks_the_emotions(speech):
    answer = describe(prediction({"sad": 0.2, "happy": 0.7, "angry": 0.1}), speech, "voice")
    assert answer["state"] == "answer"
    assert [entry["emotion"] for entry in answer["ranking"]] == ["happy", "sad", "angry"]
    assert answer["unsure"] is False
    assert answer["advice"] == []
    assert answer["segments"][0]["end"] == 2.0


def test_no_speech_is_a_state_of_its_own(speech):
    answer = describe(prediction({"sad": 0.0, "happy": 0.0}, speech=False), speech, "voice")
    assert answer["state"] == "no_speech"
    assert answer["ranking"] == []


def segment(second: int, scores: dict[str, float]) -> Segment:
    speech = any(scores.values())
    return Segment(label="sad" if speech else NO_SPEECH, scores=scores, speech=speech, start=second, end=second + 1)


def test_timeline_of_a_long_recording_is_averaged():
    loud = [segment(second, {"sad": second % 2, "happy": 1 - second % 2}) for second in range(MAX_MOMENTS)]
    silent = [segment(MAX_MOMENTS + second, {"sad": 0.0, "happy": 0.0}) for second in range(MAX_MOMENTS)]
    shown = moments(loud + silent)
    assert len(shown) == MAX_MOMENTS
    assert shown[0] == {"start": 0, "end": 2, "speech": True, "scores": {"sad": 0.5, "happy": 0.5}}
    assert shown[-1] == {"start": 318, "end": 320, "speech": False, "scores": {"sad": 0.0, "happy": 0.0}}


def test_average_leaves_silence_out():
    shown = average([segment(0, {"sad": 0.8, "happy": 0.2}), segment(1, {"sad": 0.0, "happy": 0.0})])
    assert shown == {"start": 0, "end": 2, "speech": True, "scores": {"sad": 0.8, "happy": 0.2}}


@pytest.mark.parametrize(
    ("scores", "unsure", "candidates"),
    [
        ({"sad": 0.2, "happy": 0.8}, False, ["happy"]),
        ({"sad": 0.35, "happy": 0.6, "angry": 0.05}, False, ["happy", "sad"]),
        ({"sad": 0.45, "happy": 0.25, "angry": 0.3}, True, ["sad", "angry", "happy"]),
    ],
)
def test_unsure_by_the_rule_of_the_checkpoint(speech, scores, unsure, candidates):
    answer = describe(prediction(scores), speech, "voice")
    assert (answer["unsure"], answer["candidates"]) == (unsure, candidates)


def test_no_speech_is_not_unsure(speech):
    answer = describe(prediction({"sad": 0.0, "happy": 0.0}, speech=False), speech, "voice")
    assert (answer["unsure"], answer["candidates"], answer["arousal"]) == (False, [], None)


@pytest.mark.parametrize(
    ("gain", "seconds", "advice"),
    [(1.0, 3.0, []), (0.01, 3.0, ["too_quiet"]), (1.0, 0.5, ["too_short"]), (8.0, 3.0, ["clipped"])],
)
def test_advice_on_the_recording(speech, gain, seconds, advice):
    waveform = np.clip(gain * speech[: round(seconds * RATE)], -1, 1)
    assert advice_on(waveform, seconds) == advice


def test_loud_is_not_clipped(speech):
    assert advice_on(speech * (0.98 * CLIPPED_LEVEL / np.abs(speech).max()), 3.0) == []


@pytest.mark.parametrize("samples", [1, 100, WAVEFORM_POINTS, 60 * RATE])
def test_outline_has_few_numbers_between_0_and_1(samples):
    numbers = outline(np.sin(np.arange(samples)) * 0.01)
    assert 1 <= len(numbers) <= WAVEFORM_POINTS
    assert 0 <= min(numbers) <= max(numbers) <= 1


def test_outline_shows_where_the_voice_is():
    waveform = np.concatenate([np.zeros(RATE), 0.2 * np.ones(RATE)])
    numbers = outline(waveform)
    assert numbers[: len(numbers) // 2] == [0.0] * (len(numbers) // 2)
    assert set(numbers[len(numbers) // 2 :]) == {1.0}
