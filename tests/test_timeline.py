"""Stretches, shares and files of a recording over time."""

import csv
import io
import json

import pytest

from ser_model.answer_rule import AnswerRule
from ser_model.prediction import NO_SPEECH, Prediction, Segment
from ser_model.timeline import (
    as_csv,
    audacity_labels,
    emotion_shares,
    stretches,
    timeline_csv,
    timeline_dict,
    timeline_json,
)


LABELS = ("angry", "sad")


def segment(start: float, end: float, angry: float | None) -> Segment:
    probabilities = None if angry is None else (angry, 1 - angry)
    return Segment.from_probabilities(LABELS, probabilities, start=start, end=end)


@pytest.fixture
def prediction() -> Prediction:
    """Two seconds angry, one silent, 1.5 s sad: the last segment is longer than the others."""
    segments = (segment(0, 1, 0.9), segment(1, 2, 0.7), segment(2, 3, None), segment(3, 4.5, 0.2))
    return Prediction.from_probabilities(LABELS, (0.6, 0.4), duration=4.5, segments=segments)


def test_consecutive_segments_of_a_label_are_one_stretch(prediction):
    first, second, third = stretches(prediction.segments)
    assert (first.label, first.start, first.end) == ("angry", 0, 2)
    assert first.scores == pytest.approx({"angry": 0.8, "sad": 0.2})
    assert (second.label, second.speech) == (NO_SPEECH, False)
    assert (third.label, third.start, third.end) == ("sad", 3, 4.5)


def test_mean_of_a_stretch_is_weighted_by_time():
    (stretch,) = stretches([segment(0, 1, 0.9), segment(1, 4, 0.6)])
    assert stretch.scores["angry"] == pytest.approx((0.9 + 3 * 0.6) / 4)


def test_what_is_read_from_a_stretch_is_that_of_its_means():
    rule = AnswerRule(answer_threshold=0.7, candidate_mass=0.7)
    segments = [
        Segment.from_probabilities(LABELS, row, familiarity=familiarity, rule=rule, start=start, end=end)
        for row, familiarity, start, end in [((0.9, 0.1), 0.8, 0, 1), ((0.6, 0.4), 0.2, 1, 2), ((0.6, 0.4), 0.2, 2, 4)]
    ]
    (stretch,) = stretches(segments)
    assert stretch.familiarity == pytest.approx(0.35)
    assert (stretch.rule, stretch.sure, stretch.candidates) == (rule, False, LABELS)
    assert [segment.sure for segment in segments] == [True, False, False]


def test_shares_are_those_of_the_time_with_speech(prediction):
    assert emotion_shares(prediction.segments) == pytest.approx({"angry": 2 / 3.5, "sad": 1.5 / 3.5})
    assert list(emotion_shares(prediction.segments)) == ["angry", "sad"]
    assert emotion_shares([segment(0, 1, None)]) == {}


def test_csv_has_a_line_for_each_stretch(prediction):
    rows = list(csv.DictReader(io.StringIO(timeline_csv(prediction))))
    assert [row["emotion"] for row in rows] == ["angry", NO_SPEECH, "sad"]
    assert rows[0] == {
        "start": "0",
        "end": "2",
        "emotion": "angry",
        "probability": "0.8",
        "angry": "0.8",
        "sad": "0.2",
        "sure": "True",
        "candidates": "angry",
        "arousal": "0.7429",
        "familiarity": "",
    }
    assert (rows[1]["sure"], rows[1]["candidates"], rows[1]["arousal"]) == ("False", "", "")


def test_json_holds_stretches_and_moments(prediction):
    content = json.loads(timeline_json(prediction))
    assert content["label"] == "angry"
    assert content["shares"]["angry"] == pytest.approx(0.5714)
    assert [item["end"] for item in content["segments"]] == [2, 3, 4.5]
    assert content["segments"][0]["confidence"] == 0.8
    assert len(content["moments"]) == 4
    assert json.loads(json.dumps(timeline_dict(prediction)))["duration"] == 4.5


def test_labels_of_audacity_leave_out_silence(prediction):
    assert audacity_labels(prediction) == "0.000000\t2.000000\tangry\n3.000000\t4.500000\tsad\n"


@pytest.mark.parametrize("name", ["=1+1.wav", "+a", "-a", "@a"])
def test_no_cell_is_a_formula(name):
    assert as_csv(["file", "score"], [[name, -0.5]]) == f"file,score\n'{name},-0.5\n"
