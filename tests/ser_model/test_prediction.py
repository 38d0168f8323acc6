"""Properties of an answer: whether it is sure, which emotions it may be, how lively and how familiar it is."""

import pytest
from huggingface_hub.errors import StrictDataclassClassValidationError

from ser_model import SERConfig
from ser_model.__main__ import remarks
from ser_model.answer_rule import AROUSAL, FAMILIAR_FROM, AnswerRule
from ser_model.prediction import NO_SPEECH, Prediction, Segment


LABELS = ("angry", "neutral", "sad")


def segment(probabilities: tuple[float, ...] | None, labels: tuple[str, ...] = LABELS, **kwargs) -> Segment:
    return Segment.from_probabilities(labels, probabilities, start=0.0, end=1.0, **kwargs)


@pytest.mark.parametrize(("threshold", "sure"), [(0.0, True), (0.6, True), (0.61, False), (1.0, False)])
def test_sure_from_the_threshold_on(threshold, sure):
    assert segment((0.6, 0.1, 0.3), rule=AnswerRule(answer_threshold=threshold)).sure is sure


@pytest.mark.parametrize(
    ("mass", "candidates"),
    [
        (0.0, ("sad",)),
        (0.5, ("sad",)),
        (0.51, ("sad", "neutral")),
        (0.8, ("sad", "neutral")),
        (0.9, ("sad", "neutral", "angry")),
        (1.0, ("sad", "neutral", "angry")),
    ],
)
def test_candidates_are_the_likeliest_that_hold_the_mass(mass, candidates):
    assert segment((0.125, 0.375, 0.5), rule=AnswerRule(candidate_mass=mass)).candidates == candidates


def test_candidates_never_leave_the_label_out():
    """The label of a stream may be behind another emotion for a moment."""
    shown = Segment("sad", {"angry": 0.5, "neutral": 0.1, "sad": 0.4}, True, 0.0, 1.0, rule=AnswerRule(0.5, 0.45))
    assert shown.candidates == ("sad", "angry")
    assert not shown.sure


def test_without_speech_there_is_nothing_to_read():
    silent = segment(None, rule=AnswerRule(0.0, 0.0))
    assert (silent.label, silent.sure, silent.candidates) == (NO_SPEECH, False, ())
    assert silent.arousal is silent.familiarity is None


def test_arousal_is_expected_over_the_emotions():
    expected = 0.5 * AROUSAL["angry"] + 0.3 * AROUSAL["neutral"] + 0.2 * AROUSAL["sad"]
    assert segment((0.5, 0.3, 0.2)).arousal == pytest.approx(expected)
    assert segment((1.0,), ("calm",)).arousal == 0.0
    assert segment((1.0,), ("surprised",)).arousal == 1.0


def test_lively_emotions_are_above_all_calm_ones():
    lively = [AROUSAL[label] for label in ("angry", "fearful", "happy", "surprised")]
    calm = [AROUSAL[label] for label in ("neutral", "calm", "sad", "boredom")]
    assert max(calm) < 0.5 < AROUSAL["disgust"] < min(lively)


def test_no_arousal_where_an_emotion_has_none():
    assert segment((0.9, 0.1), ("angry", "tender")).arousal is None


@pytest.mark.parametrize(
    ("familiarity", "familiar"), [(None, True), (0.0, False), (FAMILIAR_FROM - 0.01, False), (FAMILIAR_FROM, True)]
)
def test_little_voice_only_where_that_is_measured(familiarity, familiar):
    assert segment((0.6, 0.1, 0.3), familiarity=familiarity).familiar is familiar


@pytest.mark.parametrize(
    ("probabilities", "familiarity", "mass", "expected"),
    [
        ((0.8, 0.1, 0.1), 0.9, 0.8, []),
        ((0.2, 0.4, 0.4), None, 0.7, ["unsure between neutral and sad"]),
        ((0.3, 0.3, 0.4), None, 0.8, ["unsure between sad, angry and neutral"]),
        ((0.2, 0.4, 0.4), 0.1, 0.3, ["unsure", "little voice to go by"]),
        ((0.8, 0.1, 0.1), 0.1, 0.8, ["little voice to go by"]),
    ],
)
def test_remarks_of_the_command_line(probabilities, familiarity, mass, expected):
    rule = AnswerRule(candidate_mass=mass)
    prediction = Prediction.from_probabilities(
        LABELS, probabilities, familiarity=familiarity, rule=rule, duration=1.0, segments=()
    )
    assert remarks(prediction) == expected


def test_a_configuration_without_thresholds_has_those_of_the_rule():
    assert (SERConfig().answer_threshold, SERConfig().candidate_mass) == (
        AnswerRule().answer_threshold,
        AnswerRule().candidate_mass,
    )


@pytest.mark.parametrize("settings", [{"answer_threshold": 1.1}, {"candidate_mass": -0.1}])
def test_a_threshold_is_a_probability(settings):
    with pytest.raises(StrictDataclassClassValidationError, match="from 0 to 1"):
        SERConfig(**settings)
