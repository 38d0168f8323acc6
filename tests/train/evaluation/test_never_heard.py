"""Confidence fitted to corpora that were never heard: each tested by what was fitted without it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.special import softmax

from ser_model.answer_rule import ANSWER_THRESHOLD, AnswerRule
from ser_model.configuration_ser import SERConfig
from ser_model.functionals import LEAST_FAMILIARITY, MOST_VOICED
from train.__main__ import main
from train.evaluation.answers import known_figures
from train.evaluation.never_heard import (
    WHOLE,
    Confidence,
    describe,
    fit_answers,
    left_out_corpus,
    mean_figures,
    with_confidence,
)
from train.fit.checkpoint import load_checkpoint, save_checkpoint


LABELS = ("angry", "neutral", "sad")


def predictions(temperature: float | np.ndarray, clips: int, corpus: str, seed: int) -> pd.DataFrame:
    """Scores at a temperature of 1, whose truth is drawn from those at another one."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, (clips, 3))
    truth = [LABELS[generator.choice(3, p=row)] for row in softmax(logits / temperature, axis=1)]
    scores = softmax(logits, axis=1).astype(np.float32)
    columns = {f"score_{label}": scores[:, index] for index, label in enumerate(LABELS)}
    best = [LABELS[index] for index in scores.argmax(1)]
    speakers = [f"{corpus}-{clip % 5}" for clip in range(clips)]
    told = {"label": truth, "prediction": best, "corpus": corpus, "speaker": speakers, "crop": WHOLE}
    return pd.DataFrame(told | columns)


def test_temperature_is_that_of_the_corpora():
    table = predictions(2.5, 4000, "a", 0)
    confidence, _ = fit_answers(table, LABELS)
    assert confidence.temperature == pytest.approx(2.5, rel=0.1)
    assert confidence.familiarity_exponent == 0  # without functionals nobody counts the voiced seconds


@pytest.mark.parametrize(("exponent", "found"), [(0.5, 0.5), (-0.5, 0.0)])
def test_confidence_follows_the_voiced_seconds(exponent, found):
    """The less voice, the less a network knows: that is found, but never that it knows more."""
    seconds = np.random.default_rng(1).uniform(LEAST_FAMILIARITY * MOST_VOICED, MOST_VOICED, 8000)
    divisors = 2.0 * (MOST_VOICED / seconds) ** exponent
    table = predictions(divisors[:, None], 8000, "a", 0).assign(voiced_seconds=seconds)
    confidence, _ = fit_answers(table, LABELS)
    assert confidence.familiarity_exponent == pytest.approx(found, abs=0.05)
    if found:
        assert confidence.temperature == pytest.approx(2.0, rel=0.1)
        assert calibration_error(table, confidence) < 0.02 < calibration_error(table, Confidence(2.0))


def calibration_error(table: pd.DataFrame, confidence: Confidence) -> float:
    return known_figures(with_confidence(table, LABELS, confidence), LABELS)["calibration_error"]


def test_pieces_are_for_the_confidence_alone():
    whole = predictions(2.0, 1000, "a", 0)
    pieces = predictions(2.0, 1000, "a", 1).assign(crop=0.5)
    together, alone = fit_answers(pd.concat([whole, pieces]), LABELS), fit_answers(whole, LABELS)
    assert together[0] != alone[0]
    assert together[1].candidate_mass == pytest.approx(alone[1].candidate_mass, abs=0.02)


def test_every_corpus_counts_the_same():
    few, many = predictions(1.0, 500, "a", 0), predictions(4.0, 4000, "b", 1)
    together, evenly, alone = (
        fit_answers(pd.concat(tables, ignore_index=True), LABELS)[0].temperature
        for tables in ([few, many], [few, many[:500]], [many])
    )
    assert together == pytest.approx(evenly, rel=0.1)
    assert together < alone / 1.5


def test_a_further_temperature_leaves_answers_and_changes_confidence():
    table = predictions(1.0, 50, "a", 0)
    softer = with_confidence(table, LABELS, Confidence(3.0))
    columns = [f"score_{label}" for label in LABELS]
    assert (softer[columns].to_numpy().argmax(1) == table[columns].to_numpy().argmax(1)).all()
    assert (softer[columns].max(axis=1) < table[columns].max(axis=1)).all()
    np.testing.assert_allclose(softer[columns].sum(axis=1), 1.0)


def test_threshold_that_is_out_of_reach_stays_at_its_default():
    table = predictions(1.0, 300, "a", 0)
    wrong = table.assign(label=table["prediction"].map({"angry": "sad", "neutral": "angry", "sad": "neutral"}))
    assert fit_answers(wrong, LABELS)[1].answer_threshold == ANSWER_THRESHOLD


def test_figures_are_by_what_other_corpora_gave():
    tested, others = predictions(2.0, 2000, "a", 0), predictions(2.0, 2000, "b", 1)
    figures, risk = left_out_corpus(tested, others, LABELS, before=Confidence(0.5))
    assert figures["temperature"] == fit_answers(others, LABELS)[0].temperature
    assert figures["calibration_error"] < 0.05 < figures["calibration_error_before"]
    assert figures["confidence"] == pytest.approx(figures["accuracy"], abs=0.05)
    assert (figures["clips"], figures["speakers"], figures["labels"], len(risk)) == (2000, 5, 3, 2000)
    one = vars(Confidence(1.0)) | {"temperature_before": 0.5, "rule": vars(AnswerRule()), "corpora": {"a": figures}}
    assert "stays at its default" in describe(one | {"mean": mean_figures([figures])})


@pytest.fixture
def checkpoint(tiny, tmp_path):
    folder = tmp_path / "checkpoint"
    save_checkpoint(tiny, folder)
    return folder


@pytest.fixture
def corpora(tmp_path) -> list[str]:
    """Three folders of tones, with two labels and two speakers each."""
    generator = np.random.default_rng(0)
    for corpus in ("first", "second", "third"):
        for label in ("angry", "sad"):
            for clip in range(4):
                folder = tmp_path / corpus / label / f"speaker{clip % 2}"
                folder.mkdir(parents=True, exist_ok=True)
                tone = 0.3 * np.sin(2 * np.pi * generator.uniform(100, 400) / 16000 * np.arange(8000))
                soundfile.write(folder / f"{clip}.wav", tone, 16000)
    return [f"folder:{tmp_path / corpus}" for corpus in ("first", "second", "third")]


def calibrate(checkpoint, *arguments) -> int:
    return main(["calibrate", str(checkpoint), *arguments, "--picture", str(checkpoint.with_name("risk.png"))])


def test_command_writes_what_it_fitted(checkpoint, corpora, capsys):
    weights = (checkpoint / "model.safetensors").read_bytes()
    before = SERConfig.from_pretrained(checkpoint).temperature
    assert calibrate(checkpoint, "--corpora", *corpora[:2], "--test", corpora[2]) == 0
    content, config = json.loads((checkpoint / "never_heard.json").read_text()), SERConfig.from_pretrained(checkpoint)
    assert (config.temperature, config.candidate_mass) == (content["temperature"], content["rule"]["candidate_mass"])
    assert content["temperature_before"] == before != config.temperature
    assert list(content["corpora"]) == ["first", "second", "third"]
    assert content["fitted_on"] == ["first", "second"]
    assert content["corpora"]["third"]["temperature"] == content["temperature"]
    assert content["corpora"]["first"]["temperature"] != content["temperature"]
    assert checkpoint.with_name("risk.png").is_file()
    assert "calibration error" in capsys.readouterr().out
    assert (checkpoint / "model.safetensors").read_bytes() == weights
    assert load_checkpoint(str(checkpoint)).model.classifier.temperature == config.temperature


def test_command_gives_the_same_again(checkpoint, corpora):
    contents = []
    for _ in range(2):
        assert calibrate(checkpoint, "--corpora", *corpora[:2]) == 0
        contents.append((checkpoint / "never_heard.json").read_text())
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("fitted", "tested", "problem"),
    [
        ([0], [], "give at least two"),
        ([0, 1], [1], "either fitted on or tested, not both"),
    ],
)
def test_corpora_that_cannot_be_meant(checkpoint, corpora, capsys, fitted, tested, problem):
    chosen = ["--corpora", *(corpora[index] for index in fitted)]
    chosen += ["--test", *(corpora[index] for index in tested)] if tested else []
    before = (checkpoint / "config.json").read_bytes()
    assert calibrate(checkpoint, *chosen) == 1
    assert problem in capsys.readouterr().err
    assert (checkpoint / "config.json").read_bytes() == before


def test_what_was_heard_is_refused(tiny, corpora, tmp_path, capsys):
    folder = tmp_path / "heard"
    save_checkpoint(replace(tiny, speakers=frozenset({"first-speaker0"})), folder)
    assert calibrate(folder, "--corpora", *corpora[:2]) == 1
    assert "heard in this model's training" in capsys.readouterr().err


def test_a_corpus_that_was_heard_is_answered_by_a_sibling_without_it(tiny, checkpoint, corpora, tmp_path, capsys):
    sibling, other = tmp_path / "sibling", tmp_path / "other"
    save_checkpoint(replace(tiny, recipe=replace(tiny.recipe, name="tiny_without", shares={"first": 0.5})), sibling)
    save_checkpoint(replace(tiny, speakers=frozenset({"first-speaker0"})), checkpoint)
    assert calibrate(checkpoint, "--corpora", f"{corpora[0]}={sibling}", corpora[1]) == 0
    content = json.loads((checkpoint / "never_heard.json").read_text())
    assert content["fitted_on"] == ["first", "second"]
    assert content["by_siblings"] == {"first": "tiny_without"}
    save_checkpoint(replace(tiny, recipe=replace(tiny.recipe, labels=tiny.recipe.labels[::-1])), other)
    capsys.readouterr()
    assert calibrate(checkpoint, "--corpora", f"{corpora[0]}={other}", corpora[1]) == 1
    assert "it differs in labels" in capsys.readouterr().err
