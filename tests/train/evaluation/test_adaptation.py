"""Adapting to voices as it is measured: what is drawn, what is tested, and that a biased voice gains by it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_model.adaptation import corrected, voice_correction
from tests.train.generated_corpora import make_corpus
from train.__main__ import main
from train.evaluation.adaptation import (
    adapt_and_test,
    at_random,
    best_correction,
    figures_of_draws,
    figures_with_labels,
    of_one_emotion,
    others_of,
    too_few_clips,
)
from train.fit.checkpoint import save_checkpoint
from train.fit.recipe import load_recipe


LABELS = ["angry", "happy", "sad"]


def voices(bias: float, clips: int = 60, speakers: int = 4) -> pd.DataFrame:
    """Predictions of speakers of whom each sounds too much like one of the labels, by `bias`."""
    random = np.random.default_rng(0)
    tables = []
    for speaker in range(speakers):
        truth = random.integers(len(LABELS), size=clips)
        logits = random.standard_normal((clips, len(LABELS))) + 1.5 * np.eye(len(LABELS))[truth]
        logits[:, speaker % len(LABELS)] += bias
        scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        table = pd.DataFrame(scores, columns=[f"score_{label}" for label in LABELS])
        tables.append(table.assign(speaker=f"a-{speaker}", label=[LABELS[index] for index in truth]))
    return pd.concat(tables, ignore_index=True)


def test_what_is_drawn():
    targets = np.repeat([0, 1, 2], (20, 20, 4))
    random = np.random.default_rng(0)
    drawn = [at_random(10)(targets, random) for _ in range(20)]
    assert all(len(set(places)) == 10 for places in drawn)
    assert len({tuple(sorted(places)) for places in drawn}) == 20
    alike = [of_one_emotion(10)(targets, random) for _ in range(40)]
    assert all(len(set(targets[places])) == 1 for places in alike)
    assert {(targets[places[0]], len(set(places))) for places in alike} == {(0, 10), (1, 10), (2, 2)}


def test_drawn_clips_are_not_tested():
    random = np.random.default_rng(0)
    scores, targets = random.dirichlet([1, 1, 1], 8), np.arange(8) % 3
    correction = voice_correction(scores[[1, 4]])
    kept, plain, adapted = adapt_and_test(scores, targets, np.array([1, 4]), correction)
    assert kept.tolist() == [0, 2, 0, 2, 0, 1]
    np.testing.assert_array_equal(plain, scores[[0, 2, 3, 5, 6, 7]])
    np.testing.assert_allclose(adapted, corrected(plain, correction))


@pytest.mark.parametrize("choose", [at_random(10), of_one_emotion(10)])
def test_voices_that_sound_like_one_emotion_gain(choose):
    figures = figures_of_draws(voices(bias=1.5), LABELS, choose, draws=20)
    low, high = figures["difference_interval"]
    assert 0.02 < low < figures["difference"] < high
    assert figures["difference"] == pytest.approx(figures["uar_adapted"] - figures["uar"])
    assert figures["share_of_draws_that_lost"] == 0
    assert figures["clips"] == pytest.approx(10, abs=1.5)
    assert figures["calibration_error_adapted"] == pytest.approx(figures["calibration_error"], abs=0.01)
    plainer = figures_of_draws(voices(bias=2.5), LABELS, choose, draws=20)
    assert plainer["calibration_error_adapted"] < plainer["calibration_error"]


def test_clips_of_another_speaker_are_the_control():
    table = voices(bias=1.5, speakers=3)
    control = figures_of_draws(table, LABELS, at_random(10), draws=20, by_another=True)
    own = figures_of_draws(table, LABELS, at_random(10), draws=20)
    assert control["uar"] == own["uar"]  # the same clips are tested
    assert control["difference"] < 0 < own["difference"]  # each of them sounds like another emotion
    alone = table[table["speaker"] == "a-0"]
    assert figures_of_draws(alone, LABELS, at_random(10), draws=2, by_another=True) is None


def test_voices_without_a_bias_lose_next_to_nothing():
    figures = figures_of_draws(voices(bias=0.0), LABELS, at_random(10), draws=20)
    assert abs(figures["difference"]) < 0.02
    assert figures_of_draws(voices(bias=0.0), LABELS, at_random(10), draws=20) == figures


def test_the_best_correction_takes_a_bias_back():
    """Scores that are true but for a bias, which it finds; then no draw of clips gains as much."""
    random = np.random.default_rng(0)
    truth = random.dirichlet([1, 1, 1], 3000)
    targets = np.array([random.choice(3, p=row) for row in truth])
    bias = np.array([0.8, -0.5, -0.3])
    correction = best_correction(corrected(truth, bias), targets)
    np.testing.assert_allclose(correction - correction.mean(), -bias, atol=0.1)
    table = voices(bias=1.5)
    bound = figures_with_labels(table, LABELS)
    drawn = figures_of_draws(table, LABELS, at_random(10), draws=20)
    assert bound["uar"] == pytest.approx(drawn["uar"], abs=0.02)
    assert bound["difference"] == pytest.approx(bound["uar_adapted"] - bound["uar"])
    assert bound["difference"] > drawn["difference"] > 0.02


def test_who_has_too_few_clips_is_named(caplog):
    assert too_few_clips(["a"] * 3 + ["b"] * 2 + ["c"] * 5, 2) == ["b"]
    assert caplog.messages == ["left out, for they have no more than 2 clips: b"]


def test_another_speaker_is_one_of_the_same_network():
    assert others_of([("0", "x"), ("0", "y"), ("0", "x"), ("0", "x"), ("0", "y")]) == [
        [2, 3],
        [4],
        [3, 0],
        [0, 2],
        [1],
    ]
    assert others_of([("0", "x"), ("0", "y"), ("0", "x")]) is None  # who was tested by y was so alone


def run(tiny, tmp_path: Path, *more: str) -> int:
    make_corpus("savee", tmp_path, clips_per_label=2)
    save_checkpoint(tiny, tmp_path / "model")
    options = ["--corpora", "savee", "--corpora-root", str(tmp_path), "--output", str(tmp_path / "output")]
    return main(["adaptation", str(tmp_path / "model"), *options, *more])


def test_the_command(tiny, tmp_path, capsys):
    assert run(tiny, tmp_path, "--clips", "5", "--draws", "3") == 0
    result = json.loads((tmp_path / "output" / "adaptation.json").read_text())
    assert result["protocol"] == "speaker-disjoint, speaker-adapted"
    assert (result["adapted_with"], result["draws"]) == (5, 3)
    savee = result["corpora"]["savee"]
    assert (savee["clips"], savee["speakers"]) == (14, 1)
    for name in ("random clips", "clips of one emotion"):
        assert 0 <= savee["adapted_by"][name]["uar_adapted"] <= 1
    assert savee["adapted_by"]["another speaker"] is None
    assert "test split, speaker-disjoint, speaker-adapted: 5 clips of each speaker, 3 draws" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--clips", "14"], "savee-KL has 14 clips; to adapt with 14"),
        (["--clips", "0"], "clips and draws must be at least 1, got 0 and 200"),
    ],
)
def test_what_is_refused(tiny, tmp_path, capsys, options, message):
    assert run(tiny, tmp_path, *options) == 1
    assert message in capsys.readouterr().err


def cross_validation(folder: Path, seeds: int = 1) -> Path:
    """A folder of a cross-validation with predictions of two corpora; of the second only two labels were possible."""
    folder.mkdir()
    tables = []
    for corpus in ("one", "two"):
        table = voices(bias=1.5).assign(corpus=corpus)
        table["fold"] = table["speaker"].map({"a-0": "x", "a-1": "x", "a-2": "y", "a-3": "y"})
        table["speaker"] = corpus + table["speaker"]
        tables += [(table if corpus == "one" else of_two_labels(table)).assign(seed=seed) for seed in range(seeds)]
    pd.concat(tables).to_parquet(folder / "predictions.parquet")
    recipe = load_recipe("ravdess_lstm").to_dict() | {"field_of_another_version": 1}
    content = {"protocol": "speaker-disjoint", "cross_validation": {"protocol": "speakers"}, "labels": LABELS}
    (folder / "metrics.json").write_text(json.dumps({**content, "recipe": recipe}))
    return folder


def of_two_labels(table: pd.DataFrame) -> pd.DataFrame:
    """As the predictions of a corpus without "sad" are."""
    table = table[table["label"] != "sad"].assign(score_sad=0.0)
    both = table[["score_angry", "score_happy"]]
    return table.assign(**both.div(both.sum(axis=1), axis=0))


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_networks_of_a_cross_validation(seeds, tmp_path):
    """By what they had answered: the same figures as of its predictions, without corpora or checkpoints."""
    folder = cross_validation(tmp_path / "rounds", seeds)
    assert main(["adaptation", str(folder), "--draws", "3", "--output", str(tmp_path / "output")]) == 0
    result = json.loads((tmp_path / "output" / "adaptation.json").read_text())
    assert result["protocol"] == "speaker-disjoint, speaker-adapted"
    assert result["cross_validation"] == {"protocol": "speakers"}
    assert result["recipe"]["name"] == "ravdess_lstm"
    assert (result["seeds"], result["left_out"]) == (list(range(seeds)), [])
    one, two = result["corpora"]["one"], result["corpora"]["two"]
    assert (one["clips"], one["speakers"], one["labels"]) == (240, 4, LABELS)
    assert (two["speakers"], two["labels"]) == (4, ["angry", "happy"])
    if seeds == 1:
        expected = figures_of_draws(of_two_labels(voices(1.5)), ["angry", "happy"], at_random(10), 3)
        found = two["adapted_by"]["random clips"]
        assert {name: found[name] for name in expected if name != "difference_interval"} == pytest.approx(
            {name: value for name, value in expected.items() if name != "difference_interval"}
        )
    for corpus in (one, two):
        assert corpus["adapted_by"]["random clips"]["difference"] > 0.02
        assert corpus["adapted_by"]["another speaker"]["difference"] < 0.02
        assert corpus["with_labels"]["difference"] > 0.02


def test_a_missing_score_is_told(tmp_path, capsys):
    folder = cross_validation(tmp_path / "rounds")
    table = pd.read_parquet(folder / "predictions.parquet")
    table.loc[table["corpus"] == "one", "score_happy"] = np.nan
    table.to_parquet(folder / "predictions.parquet")
    assert main(["adaptation", str(folder), "--output", str(tmp_path / "output")]) == 1
    assert "one: 240 clips have no score for some label" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--corpora", "ravdess"], ["--split", "train"]])
def test_a_cross_validation_knows_what_it_tested(option, tmp_path, capsys):
    folder = cross_validation(tmp_path / "rounds")
    assert main(["adaptation", str(folder), *option, "--output", str(tmp_path / "output")]) == 1
    assert "is a cross-validation, all that it tested is: leave out --corpora and --split" in capsys.readouterr().err


def test_a_checkpoint_does_not(tiny, tmp_path, capsys):
    save_checkpoint(tiny, tmp_path / "model")
    assert main(["adaptation", str(tmp_path / "model"), "--output", str(tmp_path / "output")]) == 1
    assert "model is no finished cross-validation; for a checkpoint give --corpora" in capsys.readouterr().err
