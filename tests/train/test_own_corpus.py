"""A corpus is one module: once registered it is listed, drawn, trained on, tested and told of in the card."""

import json

import numpy as np
import pytest
import soundfile
import yaml

from tests.train import own_corpus
from train.__main__ import main
from train.data import CORPORA, get_folds, load_corpus, official_split
from train.report.model_card import render_model_card


CORPUS = own_corpus.CORPUS
PITCHES = {"happy": 400.0, "sad": 150.0, "neutral": 250.0}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(CORPORA, CORPUS.name, CORPUS)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two clips of each label and speaker."""
    root, times = tmp_path_factory.mktemp("corpora"), np.arange(8000) / 16000
    (root / "parrots").mkdir()
    for speaker in CORPUS.speakers:
        number = int(speaker[-1])
        for code, label in CORPUS.labels.items():
            for sentence in ("s1", "s2"):
                phase = 2 * np.pi * PITCHES[label] * (1 + 0.01 * number) * times + int(sentence[1])
                clip = 0.2 * (np.sin(phase) + np.sin(2 * phase) / 2)
                soundfile.write(root / "parrots" / f"P{number}_{code}_{sentence}.wav", clip, 16000)
    return root


@pytest.fixture
def recipe(tmp_path):
    """A small system that trains on it alone."""
    path = tmp_path / "small.yaml"
    content = {
        "description": "A small LSTM.",
        "corpora": ["parrots"],
        "labels": ["happy", "neutral", "sad"],
        "network": {"lstm_sizes": [8]},
        "training": {"num_train_epochs": 1, "per_device_train_batch_size": 8},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def run(*arguments, root, output) -> None:
    assert main([*map(str, arguments), "--corpora-root", str(root), "--output", str(output)]) == 0


def test_it_is_listed_where_downloads_are(root, capsys):
    assert main(["download"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("parrots ")]
    assert line.split() == ["parrots", "Parrots", "en", "36", "clips", "downloads", "CC", "BY", "4.0"]
    assert main(["download", "parrots", "--corpora-root", str(root)]) == 0  # which finds it complete
    assert "has all 36 clips" in capsys.readouterr().out


def test_it_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["crossvalidate", "--help"])
    assert "three pairs of parrots, two labels" in capsys.readouterr().out


def test_it_is_explored(root, tmp_path, capsys):
    run("explore", "parrots", root=root, output=tmp_path)
    assert (tmp_path / "corpus_parrots.png").is_file()


def test_its_protocols_test_its_folds(root):
    dataset = load_corpus("parrots", root)
    assert len(dataset) == CORPUS.clips
    assert [fold.test_speakers for fold in get_folds("parrots", dataset["speaker"][:])] == [
        fold.test_speakers for fold in own_corpus.FOLDS
    ]
    assert [len(fold.test_speakers) for fold in get_folds("speakers", dataset["speaker"][:])] == [2, 2, 2]
    assert set(official_split(dataset)["test"]["speaker"]) == set(CORPUS.test_speakers)


def test_it_is_trained_on_tested_and_told_of_in_the_card(root, recipe, tmp_path):
    run("fit", recipe, root=root, output=tmp_path / "fit")
    metrics = json.loads((tmp_path / "fit" / "metrics.json").read_text())
    assert metrics["corpora"]["parrots"]["clips"] == 12
    assert metrics["corpora"]["parrots"]["common_sentences"]["clips"] == 6
    card = str(render_model_card(tmp_path / "fit"))
    assert "| Parrots | en | 12 | 2 |" in card
    assert f"{CORPUS.caveat}: on the other 1, UAR" in card
    run("evaluate", tmp_path / "fit", "--corpora", "parrots", root=root, output=tmp_path / "evaluation")
    assert json.loads((tmp_path / "evaluation" / "metrics.json").read_text())["corpora"].keys() == {"parrots"}


def test_it_is_cross_validated(root, recipe, tmp_path, monkeypatch):
    """By the protocol with two labels; its trainings run in this process, which alone knows the corpus."""
    from train.evaluation import crossvalidate

    def here(works, *_, **__):
        for work in works:
            work.function(*work.arguments)
            yield work

    monkeypatch.setattr(crossvalidate, "run_in_processes", here)
    run("crossvalidate", recipe, "--protocol", "parrots-pitch", root=root, output=tmp_path / "folds")
    metrics = json.loads((tmp_path / "folds" / "metrics.json").read_text())
    assert metrics["corpora"]["parrots"]["clips"] == 24
    assert metrics["labels"] == ["happy", "sad"]
