"""Cross-validation: who is trained on and tested, what is reported, what a kill costs, and what is refused."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path

import datasets
import pandas as pd
import pytest
import torch
import yaml
from filelock import FileLock
from safetensors.torch import load_file
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score
from transformers import TrainerState

from tests.train.generated_corpora import make_corpus
from train.__main__ import main
from train.data import CORPORA, CorpusError, get_folds, load_corpora, protocols, split_fold
from train.evaluation import crossvalidate
from train.evaluation.crossvalidate import load_task, with_trained_labels
from train.evaluation.processes import WorkError
from train.fit.checkpoint import SPEAKER_DISJOINT, SPEAKERS_SEEN
from train.fit.recipe import Recipe, RecipeError, load_recipe


LABELS = ["angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised"]
RECIPE = {
    "description": "As little as can be trained.",
    "corpora": ["savee"],
    "labels": LABELS,
    "features": {"n_mfcc": 13},
    "network": {"lstm_sizes": [8], "lstm_dropout": 0.2, "dense_sizes": []},
    "augmentation": {"time_masks": 1, "time_mask_frames": 4},
    "early_stopping_patience": 4,
    "training": {"num_train_epochs": 8, "per_device_train_batch_size": 16, "learning_rate": 0.02},
}
SPEAKERS = ["savee-DC", "savee-JE", "savee-JK", "savee-KL"]
SEEDS = [0, 1]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A feature cache of this module's own, also for the processes that it starts."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
        patch.setenv("HF_DATASETS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpora")
    make_corpus("savee", root, clips_per_label=2)
    return root


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


@pytest.fixture(scope="module")
def finished(recipe, corpora, tmp_path_factory) -> Path:
    """Output of a whole cross-validation, that no test changes."""
    output = tmp_path_factory.mktemp("runs") / "savee"
    assert main(command(recipe, corpora, output, "--seeds", *map(str, SEEDS), "--jobs", "2")) == 0
    return output


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """The same to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def command(recipe: Path, corpora: Path, output: Path, *more: str) -> list[str]:
    options = ["--protocol", "savee", "--corpora-root", str(corpora), "--output", str(output)]
    return ["crossvalidate", str(recipe), *options, *more]


def run(recipe: Path, corpora: Path, output: Path, **options) -> dict:
    protocol = options.pop("protocol", "savee")
    overrides = options.pop("overrides", ())
    return crossvalidate.crossvalidate(load_recipe(str(recipe), overrides), protocol, corpora, output, **options)


def read(output: Path) -> tuple[dict, pd.DataFrame]:
    return json.loads((output / "metrics.json").read_text()), pd.read_parquet(output / "predictions.parquet")


def changes(folder: Path) -> dict[str, int]:
    """When each file of the rounds was written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.glob("*/*/*")}


# --- what is left behind ---


def test_every_clip_is_predicted_once_by_every_seed(finished, corpora):
    metrics, predictions = read(finished)
    dataset = load_corpora(["savee"], corpora, labels=LABELS)
    paths = sorted(str(Path(path).relative_to(corpora)) for path in dataset["path"][:])
    for seed in SEEDS:
        assert sorted(predictions[predictions["seed"] == seed]["path"]) == paths
    assert (predictions["fold"] == predictions["speaker"]).all()
    columns = ["path", "corpus", "speaker", "sex", "language", "sentence", "label", "prediction"]
    assert predictions.columns.tolist() == [*columns, *(f"score_{label}" for label in LABELS), "fold", "seed"]
    assert (metrics["clips"], metrics["speakers"]) == (len(dataset), 4)
    scores = predictions[[f"score_{label}" for label in LABELS]]
    assert scores.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    assert (scores.idxmax(axis=1) == "score_" + predictions["prediction"]).all()


def test_no_test_speaker_is_trained_on_or_chosen_with(finished):
    for seed in SEEDS:
        for speaker in SPEAKERS:
            content = json.loads((finished / str(seed) / speaker / "recipe.json").read_text())
            assert content["speakers"] == [other for other in SPEAKERS if other != speaker]
            assert content["seed"] == seed


def test_what_a_recipe_starts_from_is_trained_on_the_same_speakers(recipe, corpora, tmp_path):
    further = tmp_path / "further.yaml"
    still = RECIPE["training"] | {"learning_rate": 0.0, "num_train_epochs": 1}
    changes = {"start": str(recipe), "refit": True, "early_stopping_patience": 0, "training": still}
    further.write_text(yaml.safe_dump(RECIPE | changes))
    run(further, corpora, tmp_path / "run", folds=["savee-JE"], jobs=1)
    folder = tmp_path / "run" / "0" / "savee-JE"
    start, end = (load_file(where / "model.safetensors") for where in (folder / "start", folder))
    assert all(torch.equal(start[name], end[name]) for name in end)  # at this rate of learning
    assert not {path.name for path in folder.rglob("*")} & {"trainer"}
    for where in (folder / "start", folder):
        speakers = json.loads((where / "recipe.json").read_text())["speakers"]
        assert set(speakers) == set(SPEAKERS) - {"savee-JE"}
    recipe_of_start = json.loads((tmp_path / "run" / "settings.json").read_text())["start"]
    assert recipe_of_start["training"] == RECIPE["training"]


def test_validation_speakers_come_out_of_the_training_speakers(corpora):
    dataset = load_corpora(["savee"], corpora, labels=LABELS)
    for fold in get_folds("savee", dataset["speaker"][:]):
        parts = {name: set(part["speaker"][:]) for name, part in split_fold(dataset, fold).items()}
        assert parts["test"] == set(fold.test_speakers)
        assert len(parts["validation"]) == 1
        assert parts["train"].isdisjoint(parts["validation"] | parts["test"])
        assert parts["validation"].isdisjoint(parts["test"])


def test_figures_are_those_of_the_pooled_predictions(finished):
    metrics, predictions = read(finished)
    seeds = [rows for _, rows in predictions.groupby("seed")]
    uars = [balanced_accuracy_score(rows["label"], rows["prediction"]) for rows in seeds]
    assert metrics["uar"] == pytest.approx(sum(uars) / 2)
    assert metrics["deviation"]["uar"] == pytest.approx(abs(uars[0] - uars[1]) / 2**0.5)
    assert [metrics["seeds"][str(seed)]["uar"] for seed in SEEDS] == pytest.approx(uars)
    f1_scores = [f1_score(rows["label"], rows["prediction"], average="macro") for rows in seeds]
    assert metrics["macro_f1"] == pytest.approx(sum(f1_scores) / 2)
    counts = [confusion_matrix(rows["label"], rows["prediction"], labels=LABELS) for rows in seeds]
    assert metrics["confusion_matrix"] == ((counts[0] + counts[1]) / 2).tolist()
    assert metrics["uar"] > 0.4  # the generated sound tells the labels apart: the network has learned
    low, high = metrics["uar_interval"]
    assert low <= metrics["uar"] <= high


def test_metrics_tell_how_they_were_obtained(finished):
    metrics, _ = read(finished)
    assert metrics["protocol"] == SPEAKER_DISJOINT
    assert metrics["cross_validation"] == {
        "protocol": "savee",
        "title": "leave one speaker out",
        "folds": {speaker: [speaker] for speaker in SPEAKERS},
        "complete": True,
        "seeds": SEEDS,
    }
    assert metrics["recipe"]["network"] == RECIPE["network"]
    assert metrics["labels"] == LABELS
    assert {"python", "torch", "transformers"} < set(metrics["versions"])
    assert metrics["command"].startswith("python -m train")
    assert list(metrics["uar_by_speaker"]) == SPEAKERS
    assert metrics["worst_speaker"] in SPEAKERS


def test_figures_and_checkpoints_are_left_behind(finished):
    drawn = ["confusion_matrix_savee.png", "reliability_savee.png", "speakers_savee.png"]
    assert sorted(path.name for path in finished.glob("*.png")) == drawn
    for entry in finished.glob("*/*/"):
        names = {path.name for path in entry.iterdir()}
        assert {"model.safetensors", "learning_curves.png", "pooled_states.png", "log.txt"} < names
        assert "trainer" not in names
        assert "eval_uar" in (entry / "log.txt").read_text()


# --- started again ---


def test_a_finished_run_is_reported_again_without_training(copy, recipe, corpora, caplog):
    before, metrics = changes(copy), read(copy)[0]
    (copy / "metrics.json").unlink()
    caplog.set_level("INFO")
    again = run(recipe, corpora, copy, seeds=SEEDS)
    assert changes(copy) == before
    assert {**again, "command": ""} == {**metrics, "command": ""}
    assert "8 of 8 rounds are finished already" in caplog.text


def test_only_what_is_missing_is_trained(copy, recipe, corpora):
    expected = read(copy)[1]
    shutil.rmtree(copy / "1" / "savee-JK")
    before = changes(copy)
    run(recipe, corpora, copy, seeds=SEEDS)
    after = changes(copy)
    assert {name: after[name] for name in before} == before
    assert "1/savee-JK/predictions.parquet" in after
    pd.testing.assert_frame_equal(read(copy)[1], expected)


def test_some_seeds_and_folds_are_reported_as_such(copy, recipe, corpora):
    metrics = run(recipe, corpora, copy, seeds=[1], folds=["savee-KL", "savee-DC"])
    assert metrics["cross_validation"]["complete"] is False
    assert list(metrics["cross_validation"]["folds"]) == ["savee-KL", "savee-DC"]
    assert (metrics["speakers"], metrics["cross_validation"]["seeds"]) == (2, [1])
    assert metrics["uar_interval"] is None


def test_killed_run_goes_on_and_ends_as_if_it_never_was(finished, recipe, corpora, tmp_path):
    output = tmp_path / "killed"
    options = ["--seeds", "0", "--folds", *SPEAKERS[:2], "--jobs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "train", *command(recipe, corpora, output, *options)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[3],
    )
    second = output / "0" / SPEAKERS[1]
    wait_for(lambda: list(second.glob("trainer/checkpoint-*/manifest.json")), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (second / "predictions.parquet").exists()
    assert (output / "0" / SPEAKERS[0] / "predictions.parquet").exists()
    assert not (output / "metrics.json").exists()
    time.sleep(1)
    before = changes(output)
    # Nobody goes on behind the back of the one that was killed.
    time.sleep(1)
    assert changes(output) == before

    run(recipe, corpora, output, seeds=[0], folds=SPEAKERS[:2], jobs=1)
    after = changes(output)
    first = [name for name in before if f"/{SPEAKERS[0]}/" in name]
    assert [after[name] for name in first] == [before[name] for name in first]
    expected = read(finished)[1].query("seed == 0 and fold in @SPEAKERS[:2]").reset_index(drop=True)
    pd.testing.assert_frame_equal(read(output)[1], expected)
    assert validation_uars(second) == validation_uars(finished / "0" / SPEAKERS[1])


def validation_uars(entry: Path) -> list[float]:
    """Of each epoch of a round."""
    return [line["eval_uar"] for line in json.loads((entry / "history.json").read_text()) if "eval_uar" in line]


def wait_for(condition, process: subprocess.Popen, seconds: float = 600) -> None:
    """Wait until something holds; the process must not end before."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < end
        time.sleep(0.002)


# --- what is refused ---


def test_other_settings_are_refused(copy, recipe, corpora):
    message = (
        r"(?s)holds a run with other settings.*recipe.network.lstm_sizes: \[8\] there, \[9\] now"
        r".*recipe.training.learning_rate: 0.02 there, 0.5 now.*another --output"
    )
    with pytest.raises(ValueError, match=message):
        run(recipe, corpora, copy, overrides=["network.lstm_sizes=[9]", "training.learning_rate=0.5"])
    with pytest.raises(ValueError, match="protocol: 'savee' there, 'speakers' now"):
        run(recipe, corpora, copy, protocol="speakers")


def test_settings_of_an_earlier_version_are_the_same(copy, recipe, corpora):
    """Recipe fields that it did not know yet are as by default; the rounds that it finished stand."""
    settings = json.loads((copy / "settings.json").read_text())
    del settings["recipe"]["refit"]
    (copy / "settings.json").write_text(json.dumps(settings))
    before = changes(copy)
    run(recipe, corpora, copy)
    rounds = [name for name in before if name.startswith("0/")]
    assert rounds
    assert {name: changes(copy)[name] for name in rounds} == {name: before[name] for name in rounds}


def test_other_clips_are_refused(copy, recipe, corpora, tmp_path):
    fewer = Path(shutil.copytree(corpora, tmp_path / "fewer"))
    next(fewer.rglob("*.wav")).unlink()
    with pytest.raises(ValueError, match=r"clips\.number: 56 there, 55 now"):
        run(recipe, fewer, copy)


def test_folder_with_something_else_is_refused(recipe, corpora, tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match=r"is not empty and holds no settings\.json"):
        run(recipe, corpora, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_folder_that_another_process_works_on_is_refused(copy, recipe, corpora):
    with FileLock(copy / ".lock"), pytest.raises(ValueError, match="Another process works on"):
        run(recipe, corpora, copy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "savvee"}, "unknown protocol 'savvee'. Did you mean 'savee'"),
        ({"protocol": "ravdess"}, "no speaker of ravdess is there to test on"),
        ({"folds": ["savee-DD"]}, "unknown fold 'savee-DD'. Did you mean 'savee-DC'"),
        ({"seeds": [0, 0]}, "each once"),
        ({"seeds": []}, "seeds must be"),
        ({"seeds": [-1]}, "from 0"),
        ({"jobs": 0}, "jobs must be at least 1"),
        ({"protocol": "cross-corpus"}, "at least two corpora"),
        ({"overrides": ["labels=[sad]"]}, "all 8 clips to train on are labelled 'sad': .* at least two labels"),
    ],
)
def test_what_cannot_be_meant(recipe, corpora, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(recipe, corpora, tmp_path / "output", **options)
    assert not (tmp_path / "output").exists()


def test_round_that_fails_tells_why(recipe, corpora, tmp_path):
    with pytest.raises(WorkError, match=r"(?s)seed 0 savee-DC failed; its log is .*log.txt.*best_of_all"):
        run(recipe, corpora, tmp_path, overrides=["training.optim=best_of_all"], jobs=1)


# --- tasks of the protocols ---


def test_random_split_stands_under_its_own_heading(recipe, corpora, tmp_path, capsys):
    metrics = run(recipe, corpora, tmp_path / "random", protocol="random", overrides=["training.num_train_epochs=1"])
    assert metrics["protocol"] == SPEAKERS_SEEN
    assert metrics["clips"] == 12  # a fifth of 56
    assert "protocol random (random split), speakers seen in training" in capsys.readouterr().out


def tiny(**changes) -> Recipe:
    return Recipe("tiny", **deepcopy(RECIPE | changes))  # tests change what they get


def test_iemocap_is_about_four_emotions(tmp_path):
    make_corpus("iemocap", tmp_path, clips_per_label=1, duration_s=0.05)
    recipe, dataset = load_task(tiny(corpora=["iemocap"]), "iemocap", tmp_path)
    assert recipe.labels == dataset.features["label"].names == ["angry", "happy", "neutral", "sad"]
    assert recipe.label_map == {"excited": "happy"}
    counts = pd.Series(dataset["label"][:]).value_counts()
    assert counts[1] == 2 * counts[0]  # happy and excited
    with pytest.raises(RecipeError, match="the protocol is about angry, happy, neutral, sad; add happy"):
        load_task(tiny(corpora=["iemocap"], labels=["angry", "neutral", "sad"]), "iemocap", tmp_path)


def test_cross_corpus_is_about_the_labels_that_the_others_have(tmp_path):
    for name in ("ravdess", "emodb", "ased"):
        make_corpus(name, tmp_path, clips_per_label=1, duration_s=0.05)
    labels = ["angry", "boredom", "disgust", "fearful", "happy", "neutral", "sad", "surprised"]
    recipe = tiny(corpora=["ravdess", "emodb", "ased"], labels=labels, label_map={"calm": "neutral"})
    recipe, dataset = load_task(recipe, "cross-corpus", tmp_path)
    assert recipe.labels == dataset.features["label"].names == labels
    lost = {"ravdess": {"surprised"}, "emodb": {"boredom"}, "ased": set()}
    for fold in get_folds("cross-corpus", dataset["speaker"][:]):
        splits = split_fold(dataset, fold)
        tested = with_trained_labels(splits["test"], splits["train"])
        dropped = set(splits["test"]["label"][:]) - set(tested["label"][:])
        assert {labels[index] for index in dropped} == lost[fold.name]
        parts = {name: set(part["corpus"][:]) for name, part in splits.items()}
        assert parts["test"] == {fold.name}
        assert parts["train"] == parts["validation"] == {"ravdess", "emodb", "ased"} - {fold.name}


def test_other_corpora_train_along(tmp_path):
    for name in ("emodb", "tess", "ravdess"):
        make_corpus(name, tmp_path, speakers=10, clips_per_label=1, duration_s=0.05)
    for protocol, folds in (("tess", 2), ("emodb", 10)):
        recipe = tiny(corpora=["ravdess", "emodb", "tess"], label_map={"calm": "neutral", "boredom": None})
        _, dataset = load_task(recipe, protocol, tmp_path)
        speakers, tested = set(dataset["speaker"][:]), []
        for fold in get_folds(protocol, speakers):
            parts = {name: set(part["speaker"][:]) for name, part in split_fold(dataset, fold).items()}
            assert len(parts["test"]) == 1
            assert parts["train"] | parts["validation"] == speakers - parts["test"]
            tested += parts["test"]
        assert sorted(tested) == sorted(speaker for speaker in speakers if speaker.startswith(protocol))
        assert len(tested) == folds


def test_clips_are_given_labels_of_their_corpus(tmp_path):
    """Where the loss sees only a corpus' labels, its clips are not given others either."""
    for name in ("ravdess", "emodb"):
        make_corpus(name, tmp_path / "corpora", speakers=10, clips_per_label=1, duration_s=0.2)
    recipe = tiny(corpora=["ravdess", "emodb"], labels=[*LABELS, "calm", "boredom"], mask_labels=True)
    recipe.training |= {"num_train_epochs": 1}
    crossvalidate.crossvalidate(recipe, "speakers", tmp_path / "corpora", tmp_path / "run", folds=["fold1"])
    _, predictions = read(tmp_path / "run")
    assert set(predictions["corpus"]) == {"ravdess", "emodb"}
    for corpus, others in {"ravdess": ["boredom"], "emodb": ["calm", "surprised"]}.items():
        rows = predictions[predictions["corpus"] == corpus]
        assert (rows[[f"score_{label}" for label in others]] == 0).all(axis=None)
        assert not rows["prediction"].isin(others).any()


def test_every_protocol_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["crossvalidate", "--help"])
    text = capsys.readouterr().out.split("protocols:")[1]
    assert all(re.search(rf"\b{name}\b", text) for name in protocols())


def test_clips_in_two_folds_are_an_error():
    table = pd.DataFrame({"seed": [0, 0, 1], "path": ["a.wav", "a.wav", "a.wav"]})
    with pytest.raises(CorpusError, match=r"1 clips are tested in more than one fold, among them a\.wav"):
        crossvalidate.check_each_clip_once(table)


def test_every_corpus_has_a_protocol():
    assert set(CORPORA) < set(protocols())


def test_progress_tells_the_second_training_from_the_first(tmp_path):
    entry = crossvalidate.Round(0, crossvalidate.get_folds("savee", SPEAKERS)[0], tmp_path)
    assert crossvalidate.epochs_of(entry) == entry.name
    for folder, epoch, shown in (("trainer", 4, "epoch 4/4"), ("trainer/refit", 1, "refit, epoch 1/4")):
        checkpoint = tmp_path / folder / "checkpoint-8"
        checkpoint.mkdir(parents=True)
        TrainerState(epoch=epoch, num_train_epochs=4).save_to_json(str(checkpoint / "trainer_state.json"))
        (checkpoint / "manifest.json").write_text("{}")
        assert crossvalidate.epochs_of(entry) == f"{entry.name}: {shown}"
