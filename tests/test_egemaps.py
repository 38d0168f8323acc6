"""The classical baseline: who trains and who is tested, what is written, what is refused."""

import json
import sys
from pathlib import Path

import datasets
import pytest

from tests.train.generated_corpora import make_corpus


egemaps = pytest.importorskip("benchmarks.egemaps", reason="opensmile is not installed", exc_type=ImportError)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A feature cache of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpora")
    make_corpus("savee", root, clips_per_label=3)
    make_corpus("tess", root, clips_per_label=3)
    return root


def run(monkeypatch, corpora: Path, output: Path, *arguments: str) -> int:
    options = ["--corpora-root", str(corpora), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["egemaps", *arguments, *options])
    return egemaps.main()


def test_figures_of_two_protocols(monkeypatch, corpora, tmp_path, capsys):
    output = tmp_path / "egemaps.json"
    assert run(monkeypatch, corpora, output, "--protocol", "savee", "tess") == 0
    results = json.loads(output.read_text())
    assert list(results) == ["savee, savee alone", "tess, tess alone"]
    savee, tess = results.values()
    assert (savee["clips"], savee["speakers"], len(savee["folds"])) == (84, 4, 4)
    assert (tess["clips"], tess["speakers"], list(tess["folds"])) == (42, 2, ["tess-OAF", "tess-YAF"])
    assert savee["uar"] > 0.6  # the generated sound tells the labels apart
    assert savee["uar_interval"][0] <= savee["uar"] <= savee["uar_interval"][1]
    assert all(" C = " in fold["settings"] for fold in savee["folds"].values())
    assert "savee, savee alone: UAR" in capsys.readouterr().out


def test_a_corpus_left_out(monkeypatch, corpora, tmp_path):
    recipe = tmp_path / "both.yaml"
    labels = "[angry, happy, neutral, sad]"
    recipe.write_text(f"description: Both.\ncorpora: [savee, tess]\nlabels: {labels}\nshares: {{tess: 0.5}}\n")
    trained = []
    fitted = egemaps.fitted
    monkeypatch.setattr(egemaps, "fitted", lambda training: trained.append(training) or fitted(training))
    output = tmp_path / "egemaps.json"
    assert run(monkeypatch, corpora, output, "--protocol", "cross-corpus", "--recipe", str(recipe)) == 0
    (result,) = json.loads(output.read_text()).values()
    assert {name: fold["clips"] for name, fold in result["folds"].items()} == {"savee": 48, "tess": 24}
    assert [set(training["corpus"][:]) for training in trained] == [{"tess"}, {"savee"}]
    assert len(trained[0]) < 24  # half of TESS' training clips
    assert len(trained[1]) == 48
    assert (result["labels"], result["clips"]) == (["angry", "happy", "neutral", "sad"], 72)


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ("savvee", "unknown protocol 'savvee'. Did you mean 'savee'"),
        ("cross-corpus", "name a --recipe"),
        ("ravdess", "RAVDESS: no clip found"),
    ],
)
def test_what_is_refused(monkeypatch, corpora, tmp_path, capsys, protocol, message):
    assert run(monkeypatch, corpora, tmp_path / "egemaps.json", "--protocol", protocol) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "egemaps.json").exists()
