# ruff: noqa: F401, F811 (fixtures are imported by name)
"""The card says what was measured, of any checkpoint, and the Hub takes it."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from ser_model.configuration_ser import SERConfig
from ser_model.modeling_ser import SERForAudioClassification
from ser_model.recognizer import PRETRAINED
from tests.hub_server import hub_client, hub_server
from train.fit.checkpoint import SPEAKERS_SEEN
from train.fit.recipe import load_recipe
from train.report.architecture import architecture_rows
from train.report.model_card import REFITTED, SELECTION, render_model_card


METRICS = json.loads((PRETRAINED / "metrics.json").read_text())


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """A copy of the shipped checkpoint, to change."""
    return shutil.copytree(PRETRAINED, tmp_path / "checkpoint")


def change(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_every_corpus_is_in_the_index_with_protocol_and_split():
    results = render_model_card(PRETRAINED, "me/emotion").data.eval_results
    assert {result.dataset_type for result in results} == set(METRICS["corpora"])
    for result in results:
        figures = METRICS["corpora"][result.dataset_type]
        key = {"UAR (%)": "uar", "Accuracy (%)": "accuracy", "Macro F1 (%)": "macro_f1"}[result.metric_name]
        assert result.metric_value == pytest.approx(100 * figures[key], abs=0.05)
        assert (result.dataset_config, result.dataset_split) == (METRICS["protocol"], METRICS["split"])
        assert f"{figures['speakers']} speakers" in result.dataset_name


def test_card_has_the_fields_of_the_hub():
    data = render_model_card(PRETRAINED, "me/emotion").data
    assert (data.library_name, data.pipeline_tag, data.model_name) == (
        "transformers",
        "audio-classification",
        "emotion",
    )
    assert set(METRICS["recipe"]["corpora"]) == set(data.datasets)
    assert set(METRICS["uar_by_language"]) <= set(data.language)


def test_hub_takes_the_card(hub_client, hub_server, checkpoint):
    ModelCard.load(Path(__file__).parents[3] / "model_card.md").validate()
    render_model_card(checkpoint, "me/emotion", files_at="").validate()
    assert [request.status for request in hub_server.requests_to("/api/validate-yaml")] == [200, 200]


@pytest.mark.parametrize(
    "heading",
    [
        "Architecture",
        "What it is for",
        "What it must not be used for",
        "Results",
        "Training",
        "How to reproduce it",
        "Limitations",
        "Licence",
        "Citation",
    ],
)
def test_card_has_its_parts(heading):
    assert f"## {heading}\n" in str(render_model_card(PRETRAINED))


def test_only_the_shipped_model_tells_how_it_was_picked(checkpoint):
    assert SELECTION in str(render_model_card(PRETRAINED))
    assert SELECTION not in str(render_model_card(checkpoint))


def test_speakers_that_were_heard_are_told(checkpoint):
    change(checkpoint / "metrics.json", protocol=SPEAKERS_SEEN)
    card = str(render_model_card(checkpoint))
    assert "They are also in training" in card
    assert "without the speakers tested above" not in card


def test_a_second_training_is_told(checkpoint):
    change(checkpoint / "recipe.json", refit=False, start=None)
    assert REFITTED not in str(render_model_card(checkpoint))
    change(checkpoint / "recipe.json", refit=True)
    assert REFITTED in str(render_model_card(checkpoint))


def test_what_the_training_started_from_is_told_and_can_be_repeated(checkpoint):
    change(checkpoint / "recipe.json", refit=True, start="ravdess_lstm")
    card = str(render_model_card(checkpoint))
    assert REFITTED not in card
    assert "It goes on from the weights of `ravdess_lstm` for 20 epochs" in card
    assert card.index("python -m train fit ravdess_lstm") < card.index("python -m train fit ser_lstm")


def test_the_factor_of_the_confidence_is_told_where_the_confidence_follows_it(checkpoint):
    assert "multiplied by the familiarity" in str(render_model_card(checkpoint))
    change(checkpoint / "config.json", familiarity_exponent=0.0)
    assert "multiplied by the familiarity" not in str(render_model_card(checkpoint))


def test_noise_is_shown_where_it_was_measured(checkpoint):
    conditions = {
        name: {"uar": uar, "corpora": {"ravdess": {"uar": uar}}}
        for name, uar in [("clean", 0.5), ("babble, 0 dB", 0.25)]
    }
    (checkpoint / "robustness.json").unlink()
    assert "robustness.json" not in str(render_model_card(checkpoint))
    (checkpoint / "robustness.json").write_text(json.dumps(METRICS | {"conditions": conditions}))
    card = str(render_model_card(checkpoint))
    assert "| condition | RAVDESS |" in card
    assert "| babble, 0 dB | 25.0 |" in card


def test_gap_between_the_sexes_is_explained_by_their_voices(checkpoint):
    metrics = json.loads((checkpoint / "metrics.json").read_text())
    metrics["corpora"]["ravdess"] |= {
        "uar_by_sex": {"female": 0.66, "male": 0.5},
        "uar_by_speaker": {"ravdess-01": 0.4, "ravdess-03": 0.6, "ravdess-02": 0.66},
    }
    metrics["corpora"]["ased"]["uar_by_sex"] = {"female": 0.66, "male": 0.62}
    change(checkpoint / "metrics.json", **metrics)
    card = str(render_model_card(checkpoint))
    assert (
        "- RAVDESS: the sexes lie 16.0 points apart; 1 female speaker, 66.0 to 66.0 %, 2 male speakers, 40.0" in card
    )
    assert "ASED: the sexes" not in card


def test_calibration_is_shown_for_each_corpus():
    card = str(render_model_card(PRETRAINED))
    parts = {title: METRICS["corpora"][name] for title, name in (("RAVDESS", "ravdess"), ("EmoDB", "emodb"))}
    for title, figures in (parts | {"together": METRICS}).items():
        assert f"| {title} | {100 * figures['calibration_error']:.1f} | {figures['brier_score']:.2f} |" in card


def test_adaptation_and_cross_validation_are_shown_where_they_were_measured(checkpoint):
    (checkpoint / "adaptation.json").unlink(missing_ok=True)
    card = str(render_model_card(checkpoint))
    assert "Adapted to a voice" not in card
    assert "Cross-validation" not in card
    measured = {"uar": 0.5, "uar_adapted": 0.53, "difference": 0.03, "share_of_draws_that_lost": 0.1}
    adapted_by = {"random clips": measured, "another speaker": None}
    bound = {"uar": 0.5, "uar_adapted": 0.6, "difference": 0.1}
    corpora = {"ravdess": {"adapted_by": adapted_by, "with_labels": bound}, "tess": {"adapted_by": adapted_by}}
    content = {"adapted_with": 10, "corpora": corpora}  # of TESS as earlier versions wrote it
    (checkpoint / "adaptation.json").write_text(json.dumps(METRICS | content))
    card = str(render_model_card(checkpoint, cross_validation="| a table |"))
    assert "| RAVDESS | 10 random clips | 50.0 | 53.0 | +3.0 | 10.0 |" in card
    assert "| RAVDESS | fitted to all labels | 50.0 | 60.0 | +10.0 | – |" in card
    assert "| TESS | 10 random clips | 50.0 | 53.0 | +3.0 | 10.0 |" in card
    assert "| TESS | fitted" not in card
    assert "another speaker" not in card
    assert "| a table |" in card


def test_corpora_of_ones_own_are_named_without_their_folders(checkpoint, hub_client):
    """Nothing is known of their licence, so none is claimed for the weights."""
    change(checkpoint / "recipe.json", corpora=["folder:/home/somebody/mine", "hub:owner/voices@main"])
    figures = METRICS["corpora"]["ravdess"]
    change(checkpoint / "metrics.json", corpora={"mine": figures}, uar_by_language={"unknown": 0.5})
    card = render_model_card(checkpoint)
    assert "/home" not in str(card)
    assert "Trained on mine, owner/voices" in str(card)
    assert (card.data.license, card.data.datasets, card.data.language) == ("other", ["owner/voices"], None)
    card.validate()


def test_checkpoint_that_nobody_measured_has_no_card(checkpoint):
    (checkpoint / "metrics.json").unlink()
    with pytest.raises(FileNotFoundError, match="measure it first"):
        render_model_card(checkpoint)


@pytest.mark.parametrize("recipe", ["ravdess_lstm", "cnn_lstm", "ser_clean_lstm", "functional_lstm", "ser_lstm"])
def test_architecture_adds_up(recipe):
    """Branches have all of the network's parameters, and heads all of the weight."""
    config = load_recipe(recipe).config()
    encoder, *heads = architecture_rows(config)
    parameters = sum(one.numel() for one in SERForAudioClassification(config).parameters())
    assert sum(int(row[3].replace(",", "")) for row in (encoder, *heads)) == parameters
    assert heads[0][0] == "sequence"
    assert sum(float(row[4]) for row in heads) == pytest.approx(100, abs=2)


def test_architecture_of_the_shipped_network_is_in_the_card():
    rows = architecture_rows(SERConfig.from_pretrained(PRETRAINED))
    card = str(render_model_card(PRETRAINED))
    assert [" | ".join(row) in card for row in rows] == [True] * len(rows)
    assert sum(int(row[3].replace(",", "")) for row in rows) == METRICS["parameters"]
