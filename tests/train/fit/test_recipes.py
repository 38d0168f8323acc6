"""Recipes are read with every typing error named, are the systems they claim to be, and are listed without data."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from transformers import TrainingArguments

from ser_model import SERForAudioClassification
from ser_model.recognizer import PRETRAINED
from train.__main__ import main
from train.fit.recipe import SECTIONS, Recipe, RecipeError, load_recipe, recipe_names, recipe_path
from train.fit.recipe_listing import listing, network_size


PROJECT = Path(__file__).parents[3]

# The rows of the systems that are known by these names: what must not drift.
CLASSIC = {
    "ravdess_lstm": {
        "corpora": {"ravdess"},
        "features": ["mfcc"],
        "labels": 8,
        "network": {"lstm_sizes": [128, 64], "lstm_dropout": 0.3, "dense_sizes": [64], "dense_dropout": 0.0},
        "training": {"num_train_epochs": 40, "per_device_train_batch_size": 32},
    },
    "tess_lstm": {
        "corpora": {"tess"},
        "features": ["mfcc"],
        "labels": 7,
        "network": {"lstm_sizes": [256], "lstm_dropout": 0.2, "dense_sizes": [128, 64], "dense_dropout": 0.2},
        "training": {},
    },
    "combined4_lstm": {
        "corpora": {"crema_d", "ravdess", "savee", "tess"},
        "features": ["mfcc", "amplitude_envelope", "log_mel"],
        "labels": 6,
        "network": {"lstm_sizes": [256], "lstm_dropout": 0.2, "dense_sizes": [128, 64], "dense_dropout": 0.2},
        "training": {
            "num_train_epochs": 500,
            "per_device_train_batch_size": 64,
            "lr_scheduler_type": "reduce_lr_on_plateau",
        },
    },
    "combined_iemocap_lstm": {
        "corpora": {"tess", "crema_d", "ravdess", "iemocap"},
        "features": ["mfcc", "mfcc_delta", "mfcc_delta2", "spectral_centroid", "spectral_bandwidth"],
        "labels": 7,
        "network": {"conv_channels": []},
        "training": {},
    },
    "cnn_lstm": {
        "corpora": {"ravdess", "tess", "crema_d"},
        "features": ["log_mel"],
        "labels": 7,
        "network": {"conv_channels": [64, 128], "lstm_sizes": [128], "dense_sizes": [64]},
        "training": {},
    },
}


def test_the_shipped_checkpoint_is_of_its_recipe():
    """Weights, order and augmentation; how often it was saved and logged changes nothing, and what it leaves unsaid
    is as by default."""
    stored = json.loads((PRETRAINED / "recipe.json").read_text())
    recipe = load_recipe(stored["name"]).to_dict()
    saving = {key for key in stored["training"] if key.startswith(("save_", "logging_"))}
    stored["training"] = {key: value for key, value in stored["training"].items() if key not in saving}
    assert Recipe(**{key: stored[key] for key in recipe if key in stored}).to_dict() == recipe


def test_the_recipes_are_all_there():
    assert {*CLASSIC, "ser_lstm"} <= set(recipe_names())


@pytest.mark.parametrize("name", CLASSIC)
def test_classic_recipes_are_what_they_are_known_for(name):
    recipe, row = load_recipe(name), CLASSIC[name]
    config = recipe.config()
    assert set(recipe.corpora) == row["corpora"]
    assert recipe.features["feature_names"][: len(row["features"])] == row["features"]
    assert recipe.feature_extractor().n_mfcc == 40
    assert config.num_labels == len(recipe.labels) == row["labels"]
    assert {field: getattr(config, field) for field in row["network"]} == row["network"]
    assert not config.lstm_bidirectional
    assert config.pooling == "last"
    assert {argument: recipe.training[argument] for argument in row["training"]} == row["training"]
    assert recipe.early_stopping_patience > 0


@pytest.mark.parametrize("name", CLASSIC)
def test_classic_recipes_train_with_plain_adam(name):
    arguments = load_recipe(name).training
    assert arguments["weight_decay"] == 0.0
    assert arguments["max_grad_norm"] == 0.0
    assert TrainingArguments(output_dir="unused").optim.value.startswith("adamw")
    if arguments["lr_scheduler_type"] == "reduce_lr_on_plateau":
        assert arguments["lr_scheduler_kwargs"]["mode"] == "max"  # it watches the UAR, where more is better


@pytest.mark.parametrize("name", recipe_names())
def test_labels_are_those_of_the_corpora(name):
    """Every label and every mapped name is one that the corpora have, and no label of theirs is forgotten."""
    from train.data import CORPORA

    recipe = load_recipe(name)
    occurring = {label for corpus in recipe.corpora for label in CORPORA[corpus].labels.values()}
    assert set(recipe.label_map) <= occurring
    assert {recipe.label_map.get(label, label) for label in occurring} - {None} == set(recipe.labels)


def test_six_labels_are_those_that_all_four_corpora_have():
    from train.data import CORPORA

    recipe = load_recipe("combined4_lstm")
    common = set.intersection(*(set(CORPORA[name].labels.values()) for name in recipe.corpora))
    assert sorted(common) == recipe.labels


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("corporas=[tess]", r"there is no 'corporas'; did you mean 'corpora'\?"),
        ("featurs.n_mfcc=20", r"there is no 'featurs'; did you mean 'features'\?"),
        ("features.n_mfc=20", r"features: there is no 'n_mfc'; did you mean 'n_mfcc'\?"),
        ("network.lstm_size=[8]", r"network: there is no 'lstm_size'; did you mean 'lstm_sizes'\?"),
        ("augmentation.time_mask=1", r"augmentation: there is no 'time_mask'; did you mean 'time_masks'\?"),
        (
            "waveform_augmentation.noise_snr=5",
            r"waveform_augmentation: there is no 'noise_snr'; did you mean 'noise_snr_db'\?",
        ),
        ("training.learning_rat=1", r"training: there is no 'learning_rat'; did you mean 'learning_rate'\?"),
        ("balance=[corpora]", r"balance: there is no 'corpora'; did you mean 'corpus'\?"),
        ("split=rndom", r"split: there is no 'rndom'; did you mean 'random'\?"),
        ("features=mfcc", "features needs keys and values, got 'mfcc'"),
        ("network=", "network needs keys and values, got None"),
        ("labels.angry=1", "labels is a value, it has no keys"),
        ("training.learning_rate", "--set takes key=value"),
    ],
)
def test_what_is_not_known_is_rejected_with_the_nearest_name(override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("ravdess_lstm", [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("augmentation.speed=fast", "augmentation.speed must be a number, got 'fast'"),
        ("augmentation.time_masks=1.5", "augmentation.time_masks must be a whole number, got 1.5"),
        ("waveform_augmentation.time_stretch=fast", "waveform_augmentation.time_stretch must be a number, got 'fast'"),
        ("waveform_augmentation.copies=true", "waveform_augmentation.copies must be a whole number, got True"),
        ("features.n_mfcc=many", "features.n_mfcc must be a whole number, got 'many'"),
        ("features.feature_names=mfcc", "features.feature_names must be a list of texts, got 'mfcc'"),
        ("features.trim_db=much", "features.trim_db must be a number or null, got 'much'"),
        ("network.lstm_sizes=8", "network.lstm_sizes must be a list of whole numbers, got 8"),
        ("network.temperature=.nan", "network.temperature must be a number, got nan"),
        ("network.heads=[sequence]", r"network.heads must be keys with a number each, got \['sequence'\]"),
        ("training.learning_rate=fast", "training.learning_rate must be a number, got 'fast'"),
        ("training.optim=3", "training.optim must be text, got 3"),
        ("labels=[on, off]", r"labels must be a list of texts, got \[True, False\]"),
        ("label_map={calm: 1}", r"label_map must be keys with text or null each, got \{'calm': 1\}"),
        ("shares={tess: all}", r"shares must be keys with a number each, got \{'tess': 'all'\}"),
        ("balance=corpus", "balance must be a list of texts, got 'corpus'"),
        ("refit=maybe", "refit must be true or false, got 'maybe'"),
        ("split=1", "split must be text, got 1"),
        ("labels=[sad", "the value is no YAML"),
    ],
)
def test_what_is_of_another_type_is_rejected_on_one_line(override, message, capsys):
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe("ravdess_lstm", [override])
    assert "\n" not in str(caught.value)
    assert main(["fit", "ravdess_lstm", "--corpora-root", "nowhere", "--output", "nowhere", "--set", override]) == 1
    assert capsys.readouterr().err == f"error: {caught.value}\n"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.lstm_sizes=[1000000000]", "lstm_sizes takes up to 64 numbers from 1 to 8192, got"),
        ("network.lstm_sizes=[-5]", "lstm_sizes takes up to 64 numbers from 1 to 8192, got"),
        (f"network.dense_sizes={[8] * 100_000}", "dense_sizes takes up to 64 numbers from 1 to 8192, got"),
        ("network.pooling=max", "pooling must be one of last, attention"),
        ("network.lstm_dropout=1", "lstm_dropout is a share, from 0 to less than 1; got 1"),
        ("features.n_fft=1073741824", "n_fft must be a whole number from 2 to 65536, got 1073741824"),
        ("augmentation.speed=3", "augmentation.speed must be between 0.0 and 0.9, got 3"),
    ],
)
def test_what_is_impossible_is_rejected_when_a_recipe_is_read(override, message):
    with pytest.raises(RecipeError, match=f"ravdess_lstm: {message}"):
        load_recipe("ravdess_lstm", [override])


@pytest.mark.parametrize(("text", "number"), [("1e-3", 0.001), ("2E+4", 2e4), ("1.5e3", 1500.0), ("-1e1", -10.0)])
def test_numbers_with_an_exponent_are_numbers(text, number):
    assert load_recipe("ravdess_lstm", [f"training.learning_rate={text}"]).training["learning_rate"] == number
    assert load_recipe("ravdess_lstm", [f"description={text}e"]).description == f"{text}e"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["logit_adjustment=-0.5"], "logit_adjustment must be between 0 and 5.0, got -0.5"),
        (["logit_adjustment=much"], "logit_adjustment must be a number, got 'much'"),
        (["mask_labels=false"], "logit_adjustment needs mask_labels: true"),
        (["balance=[corpus, label]"], "balances labels already; leave label out of balance"),
    ],
)
def test_an_adjustment_that_cannot_be_is_rejected(settings, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("functional_emodb_lstm", settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["early_stopping_patience=3"], "leave out refit, or early_stopping_patience"),
        (["streaming=true", "training.max_steps=10"], "leave out refit"),
    ],
)
def test_a_refit_that_cannot_be_is_rejected(settings, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("tess_lstm", ["refit=true", "early_stopping_patience=0", *settings])


def test_every_section_rejects_what_it_does_not_know():
    content = yaml.safe_load(recipe_path("ravdess_lstm").read_text()) | {"name": "test"}
    for section in set(SECTIONS) - {"label_map"}:
        wrong = copy.deepcopy(content)
        wrong.setdefault(section, {})["no_such_key"] = 1
        with pytest.raises(RecipeError, match=f"test: {section}: there is no 'no_such_key'; did you mean "):
            Recipe(**wrong)


def test_impossible_strengths_are_named_before_anything_is_decoded():
    with pytest.raises(ValueError, match=r"noise_probability must be between 0.0 and 1.0, got 2"):
        load_recipe("ravdess_lstm", ["waveform_augmentation.noise_probability=2"])


def test_what_functionals_cannot_be_made_of():
    message = r"needs .*\[mfcc, spectral_shape, f0\], in this order; got \[mfcc, f0\]"
    with pytest.raises(RecipeError, match=message):
        load_recipe("ser_lstm", ["features.feature_names=[mfcc, f0]"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- ravdess\n", "holds list, not the keys"),
        ("description: nothing else\n", "corpora, labels missing"),
        ("", "holds NoneType"),
    ],
)
def test_a_file_that_is_no_recipe(content, message, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=message):
        load_recipe(str(path))


def test_a_recipe_over_another_says_only_what_is_different(tmp_path):
    own, base = tmp_path / "own.yaml", load_recipe("functional_lstm")
    own.write_text(
        "base: functional_lstm\nshares: {ased: 0.5}\nnetwork: {lstm_dropout: 0.1, voice_directions: null}\n"
    )
    recipe = load_recipe(str(own))
    assert recipe.shares == {"ased": 0.5}
    assert recipe.network == {
        name: value for name, value in (base.network | {"lstm_dropout": 0.1}).items() if name != "voice_directions"
    }
    for same in ("corpora", "labels", "features", "augmentation", "training"):
        assert getattr(recipe, same) == getattr(base, same)


def test_a_base_that_cannot_be(tmp_path):
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(f"base: {other}\n")
    other.write_text(f"base: {one}\n")
    with pytest.raises(RecipeError, match="is based on it"):
        load_recipe(str(one))
    one.write_text("base: nothing_lstm\n")
    with pytest.raises(RecipeError, match="There is no recipe 'nothing_lstm'"):
        load_recipe(str(one))


def test_an_unknown_recipe_names_those_that_there_are():
    with pytest.raises(RecipeError, match=r"no recipe 'ravdes_lstm'; there are cnn_lstm, .*tess_lstm"):
        load_recipe("ravdes_lstm")


def test_overrides_change_one_value_each():
    recipe = load_recipe("tess_lstm", ["split=random", "training.num_train_epochs=3", "network.lstm_sizes=[8, 4]"])
    assert recipe.split == "random"
    assert recipe.training["num_train_epochs"] == 3
    assert recipe.training["per_device_train_batch_size"] == 64
    assert recipe.network["lstm_sizes"] == [8, 4]


@pytest.mark.parametrize("name", recipe_names())
def test_listed_size_is_that_of_the_model(name, tmp_path):
    config = load_recipe(name).config()
    model = SERForAudioClassification(config)
    parameters, size = network_size(config)
    assert parameters == model.num_parameters()
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size == pytest.approx(size, rel=0.02)


def test_listing_shows_everything_of_every_recipe(capsys):
    assert main(["recipes"]) == 0
    shown = capsys.readouterr().out
    for name in recipe_names():
        recipe = load_recipe(name)
        entry = re.search(rf"^{name}: .*?(?=^\w|\Z)", shown, re.MULTILINE | re.DOTALL)[0]
        plain = " ".join(entry.split())
        for value in (recipe.description, ", ".join(recipe.corpora), ", ".join(recipe.labels)):
            assert value in plain
        assert ", ".join(recipe.features["feature_names"]) in plain
        assert f"parameters {SERForAudioClassification(recipe.config()).num_parameters():,} (" in plain
        assert re.search(r"\(\d+\.\d\d MB\)$", plain)
        assert f"{len(recipe.labels)} labels" in plain
    assert max(map(len, shown.splitlines())) <= 119


def test_listing_describes_the_layers():
    assert "network     LSTM 128, dropout 0.3 > LSTM 64, dropout 0.3 > last pooling > dense 64 > 8 labels" in listing(
        ["ravdess_lstm"]
    )
    shown = " ".join(listing(["ser_lstm"]).split())
    assert "convolution 128 (kernel 5, stride 2)" in shown
    assert "bidirectional LSTM 64" in shown
    assert (
        "beside heads of functionals linear, functionals, descriptors linear, descriptors (dense 128, dropout" in shown
    )
    assert "attention pooling (4 heads)" in shown


def test_listing_needs_neither_corpora_nor_audio(tmp_path):
    """In a fresh process without SER_CORPORA, which loads neither datasets nor audio libraries."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from train.__main__ import main;"
        "code = main(['recipes', 'tess_lstm']);"
        "found = {'librosa', 'audiomentations', 'train.data', 'matplotlib'} & set(sys.modules);"
        "assert not found, found; sys.exit(code)"
    )
    process = subprocess.run(
        [sys.executable, "-c", script, str(PROJECT)],
        cwd=tmp_path,
        env={"PATH": "", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("tess_lstm: ")


def test_an_unknown_recipe_cannot_be_listed(capsys):
    assert main(["recipes", "nothing"]) == 1
    assert "there is no recipe 'nothing'" in capsys.readouterr().err.lower()
