"""Figures are those of the weights beside them: the shipped ones, and whatever command reads them."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from ser_model.metrics_file import read_metrics, weights_sha256
from ser_model.recognizer import PRETRAINED
from train.__main__ import main


FILES = ("metrics.json", "robustness.json", "adaptation.json", "never_heard.json")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the shipped checkpoint, to change."""
    return shutil.copytree(PRETRAINED, tmp_path / "checkpoint")


def other_weights(folder: Path) -> None:
    """The weights with one bit changed."""
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def test_the_sum_is_that_of_the_file():
    expected = hashlib.sha256((PRETRAINED / "model.safetensors").read_bytes()).hexdigest()
    assert weights_sha256(PRETRAINED) == expected


@pytest.mark.parametrize("name", FILES)
def test_shipped_figures_are_of_the_shipped_weights(name):
    assert read_metrics(PRETRAINED, name=name)["weights_sha256"] == weights_sha256(PRETRAINED)


@pytest.mark.parametrize("name", FILES)
def test_figures_of_other_weights_are_refused(folder, name):
    other_weights(folder)
    with pytest.raises(ValueError, match=f"{name} is about other weights than model.safetensors beside it"):
        read_metrics(folder, name=name)


def test_figures_without_weights_beside_them_are_read(folder):
    (folder / "model.safetensors").unlink()
    assert read_metrics(folder)["labels"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged, it is no JSON"),
        ("[" * 100_000, "is damaged, it is no JSON"),
        ("[1]", "holds list, not the entries of an object"),
        ('{"labels": "sad"}', "labels is 'sad': evaluate the model again"),
        ('{"parameters": {}}', "parameters is '{}': evaluate the model again"),
        ('{"protocol": "speaker-disjoint"}', "lacks labels, uar: evaluate the model again"),
    ],
)
def test_damaged_figures_are_refused(tmp_path, content, message):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_metrics(tmp_path, () if '"protocol"' not in content else ("labels", "uar"))


@pytest.mark.parametrize("damage", [other_weights, lambda folder: (folder / "metrics.json").write_text("{")])
@pytest.mark.parametrize(
    "command",
    [
        "card FOLDER --output OUT",
        "publish FOLDER --repo-id me/model --dry-run",
        "compare FOLDER --output OUT",
        "record FOLDER --name never",
        "adaptation FOLDER --output OUT",
    ],
)
def test_every_command_that_reads_them_refuses(folder, tmp_path, capsys, command, damage):
    (folder / "predictions.parquet").touch()  # as a run has, which `adaptation` asks for
    damage(folder)
    words = [word.replace("FOLDER", str(folder)).replace("OUT", str(tmp_path / "out")) for word in command.split()]
    assert main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {folder / 'metrics.json'} is ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "is damaged, it is no JSON"),
        ({"seed": None}, "lacks the seed or the speakers"),
        ({"speakers": "all"}, "lacks the seed or the speakers"),
        ({"mood": 1}, "there is no 'mood'; did you mean"),
        ({"labels": 7}, "labels must be a list of texts, got 7"),
        ({"network": {"lstm_sizes": [-5]}}, "lstm_sizes takes up to 64 numbers"),
    ],
)
def test_a_damaged_recipe_beside_a_checkpoint_is_refused(folder, tmp_path, capsys, change, message):
    path = folder / "recipe.json"
    path.write_text(change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change))
    command = ["evaluate", str(folder), "--corpora", "ravdess", "--corpora-root", str(tmp_path)]
    assert main([*command, "--output", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
