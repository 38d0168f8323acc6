"""Answers by thresholds: figures by hand, and fitted thresholds that keep what they promise."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from ser_model.answer_rule import AnswerRule
from ser_model.prediction import Segment
from train.evaluation import answers
from train.evaluation.answers import (
    COVERAGE,
    RIGHT,
    answer_figures,
    fit_rule,
    known_figures,
    nested_figures,
    risk_by_coverage,
)
from train.evaluation.reporting import report_left_out


LABELS = ("angry", "neutral", "sad")


def table(scores: np.ndarray, truth: list[str], corpus: str | list[str] = "a") -> pd.DataFrame:
    columns = {f"score_{label}": scores[:, index] for index, label in enumerate(LABELS)}
    return pd.DataFrame({"label": truth, "corpus": corpus, **columns})


@pytest.fixture
def overconfident() -> pd.DataFrame:
    """Three corpora of different sizes, whose labels are drawn from flatter probabilities than are told."""
    generator = np.random.default_rng(0)
    parts = []
    for name, size in {"a": 300, "b": 900, "c": 150}.items():
        scores = generator.dirichlet([0.4] * 3, size)
        flat = scores**0.4 / (scores**0.4).sum(1, keepdims=True)
        truth = [LABELS[generator.choice(3, p=row)] for row in flat]
        parts.append(table(scores, truth, name))
    return pd.concat(parts, ignore_index=True)


def test_figures_by_hand():
    scores = np.array([[0.9, 0.05, 0.05], [0.1, 0.7, 0.2], [0.5, 0.1, 0.4], [0.1, 0.5, 0.4]])
    figures = answer_figures(table(scores, ["angry", "sad", "angry", "sad"]), LABELS, AnswerRule(0.6, 0.6))
    assert figures["risk_coverage_area"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert (figures["sure"], figures["sure_and_right"]) == (0.5, 0.5)
    assert figures["candidate_coverage"] == 0.75
    assert figures["candidates"] == pytest.approx((1 + 1 + 2 + 2) / 4)
    assert figures["arousal_auc"] == 1.0


def test_candidates_are_those_that_a_user_gets(overconfident):
    rule = AnswerRule(0.5, 0.77)
    scores = overconfident[[f"score_{label}" for label in LABELS]].to_numpy()
    given = [Segment.from_probabilities(LABELS, row, rule=rule, start=0.0, end=1.0) for row in scores]
    figures = answer_figures(overconfident, LABELS, rule)
    held = [label in answer.candidates for label, answer in zip(overconfident["label"], given, strict=True)]
    assert figures["candidate_coverage"] == pytest.approx(np.mean(held))
    assert figures["candidates"] == pytest.approx(np.mean([len(answer.candidates) for answer in given]))
    assert figures["sure"] == pytest.approx(np.mean([answer.sure for answer in given]))


def test_risk_of_all_is_the_share_of_wrong_answers():
    scores = np.array([[0.4, 0.3, 0.3], [0.2, 0.7, 0.1]])
    assert risk_by_coverage(scores, np.array([1, 1])).tolist() == [0.0, 0.5]


def test_nothing_sure_and_one_side_only():
    figures = answer_figures(table(np.array([[0.4, 0.3, 0.3]]), ["angry"]), LABELS, AnswerRule(0.9, 0.0))
    assert figures["sure_and_right"] is figures["arousal_auc"] is None
    assert (figures["candidates"], figures["candidate_coverage"]) == (1.0, 1.0)


def test_fitted_thresholds_keep_their_promise_with_corpora_weighed_alike(overconfident):
    rule = fit_rule(overconfident, LABELS)
    figures = [answer_figures(rows, LABELS, rule) for _, rows in overconfident.groupby("corpus")]
    right = sum(entry["sure"] * entry["sure_and_right"] for entry in figures) / sum(entry["sure"] for entry in figures)
    assert RIGHT <= right < RIGHT + 0.02
    assert COVERAGE <= np.mean([entry["candidate_coverage"] for entry in figures]) < COVERAGE + 0.02
    assert rule.answer_threshold > 0.4


def test_a_promise_that_cannot_be_kept_gives_no_answer():
    wrong = table(np.array([[0.8, 0.1, 0.1]] * 5), ["sad"] * 5)
    assert fit_rule(wrong, LABELS).answer_threshold == 1.0


def test_thresholds_of_a_corpus_come_from_the_others(overconfident):
    before = nested_figures(overconfident, LABELS)
    changed = overconfident.copy()
    changed.loc[changed["corpus"] == "a", "label"] = "sad"
    after = nested_figures(changed, LABELS)
    for name in ("answer_threshold", "candidate_mass"):
        assert after["corpora"]["a"][name] == before["corpora"]["a"][name]
        assert after["corpora"]["b"][name] != before["corpora"]["b"][name]
    assert before["mean"]["sure"] == pytest.approx(np.mean([entry["sure"] for entry in before["corpora"].values()]))
    with pytest.raises(ValueError, match="other corpora"):
        nested_figures(overconfident[overconfident["corpus"] == "a"], LABELS)


def test_command(overconfident, tmp_path, monkeypatch, capsys):
    overconfident.to_parquet(tmp_path / "predictions.parquet")
    monkeypatch.setattr(sys, "argv", ["answers", str(tmp_path)])
    answers.main()
    assert json.loads(capsys.readouterr().out) == nested_figures(overconfident, LABELS)


def test_report_of_left_out_corpora(overconfident, tmp_path, capsys):
    figures = report_left_out(overconfident, LABELS, tmp_path)
    assert (tmp_path / "risk_coverage.png").stat().st_size > 0
    assert figures["corpora"]["b"]["uar"] == figures["corpora"]["b"]["uar_among_own_labels"]  # it has all labels
    assert f"uar {figures['mean']['uar']:.3f}" in capsys.readouterr().out


def test_uar_among_the_labels_that_a_corpus_has():
    figures = known_figures(table(np.array([[0.5, 0.4, 0.1], [0.1, 0.3, 0.6]]), ["neutral", "sad"]), LABELS)
    assert (figures["uar"], figures["uar_among_own_labels"]) == (0.5, 1.0)
