"""Several processes train as one: the same rows, one model, nearly the same weights; and what that is built of."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler, DataLoader

from tests.train.generated_corpora import make_corpus
from train.__main__ import main
from train.augment.augmentation import Augmentation
from train.data.dataset import BatchBuilder, UtteranceRows, analysed, analysis_only
from train.data.feature_cache import clip_analyses
from train.data.randomness import Epoch, EpochSampler, seeded
from train.fit.checkpoint import load_checkpoint
from train.fit.recipe import load_recipe
from train.fit.resuming import last_whole_checkpoint
from train.fit.training import TRAINER_FOLDER, load_splits


BATCH = 16  # of all processes together
EPOCHS = 3
SETTINGS = [
    "network.lstm_sizes=[12, 8]",
    "network.lstm_dropout=0.0",  # each process draws its own
    f"training.num_train_epochs={EPOCHS}",
    "training.learning_rate=0.01",
    "early_stopping_patience=2",
    "training.disable_tqdm=true",
]
LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
    "accelerate": [
        *("accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes", "2"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
    ],
}
PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> Path:
    """A RAVDESS with 48 clips to train on, 16 to choose with and 16 to test with."""
    root = tmp_path_factory.mktemp("corpora")
    speakers = [f"ravdess-{number}" for number in ("01", "02", "03", "22", "24")]
    make_corpus("ravdess", root, speakers=speakers, clips_per_label=2, duration_s=0.3)
    return root


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory) -> Path:
    """A feature cache of this module's own, also for the processes that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
        patch.setenv("HF_DATASETS_CACHE", str(folder))
        yield folder


def arguments(corpora: Path, output: Path, batch_per_process: int) -> list[str]:
    settings = [*SETTINGS, f"training.per_device_train_batch_size={batch_per_process}"]
    options = [argument for setting in settings for argument in ("--set", setting)]
    return ["fit", "ravdess_lstm", "--corpora-root", str(corpora), "--output", str(output), *options]


@pytest.fixture(scope="module")
def alone(corpora, tmp_path_factory) -> Path:
    """Output folder of a training in one process."""
    output = tmp_path_factory.mktemp("alone")
    assert main(arguments(corpora, output, BATCH)) == 0
    return output


@pytest.fixture(scope="module", params=LAUNCHERS)
def together(request, corpora, tmp_path_factory) -> tuple[Path, str]:
    """Output folder of a training in two processes, and their standard output."""
    output = tmp_path_factory.mktemp(request.param)
    command = [sys.executable, "-m", *LAUNCHERS[request.param], "-m", "train", *arguments(corpora, output, BATCH // 2)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return output, process.stdout


def test_two_processes_train_as_one(alone, together):
    output, _ = together
    one, two = load_checkpoint(str(alone)), load_checkpoint(str(output))
    weights = two.model.state_dict()
    for name, values in one.model.state_dict().items():
        torch.testing.assert_close(weights[name], values, rtol=0, atol=1e-5)
    assert abs(one.model.config.temperature - two.model.config.temperature) < 1e-3
    first, second = validations(alone), validations(output)
    assert [entry["step"] for entry in first] == [entry["step"] for entry in second] == [3, 6, 9]
    np.testing.assert_allclose(
        [entry["eval_loss"] for entry in first], [entry["eval_loss"] for entry in second], atol=1e-5
    )


def test_two_processes_predict_the_same_rows(alone, together):
    output, _ = together
    one, two = (pd.read_parquet(folder / "predictions.parquet") for folder in (alone, output))
    assert one["path"].tolist() == two["path"].tolist()
    assert len(two) == json.loads((output / "metrics.json").read_text())["clips"] == 16
    assert (one["prediction"] == two["prediction"]).mean() > 0.9


def test_one_process_writes_and_prints(together):
    output, printed = together
    assert printed.count("The checkpoint is in") == 1
    assert len(re.findall("eval_loss", printed)) == EPOCHS
    last = last_whole_checkpoint(output / TRAINER_FOLDER)
    assert {path.name for path in last.glob("rng_state_*.pth")} == {"rng_state_0.pth", "rng_state_1.pth"}


def validations(output: Path) -> list[dict]:
    return [entry for entry in json.loads((output / "history.json").read_text()) if "eval_loss" in entry]


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_steps_have_the_same_rows_in_any_number_of_processes(processes):
    lengths = np.random.default_rng(0).integers(10, 500, 64).tolist()
    expected = steps_of(lengths, 1)
    assert steps_of(lengths, processes) == expected
    assert sorted(row for step in expected for row in step) == list(range(64))


def steps_of(lengths: list[int], processes: int) -> list[set[int]]:
    """Rows of each step of all processes."""
    shards = []
    for process in range(processes):
        sampler = EpochSampler(BATCH, lengths, seed=1, epoch=Epoch())
        batches = BatchSampler(sampler, BATCH // processes, drop_last=False)
        shards.append(list(BatchSamplerShard(batches, processes, process) if processes > 1 else batches))
    return [set().union(*batches) for batches in zip(*shards, strict=True)]


def test_order_follows_from_seed_and_epoch():
    epoch = Epoch()
    first, second = (EpochSampler(4, list(range(100)), seed=seed, epoch=epoch) for seed in (0, 1))
    order = list(first)
    torch.rand(1)
    assert list(first) == order != list(second)
    epoch.set(1)
    assert list(first) != order
    epoch.set(0)
    assert list(first) == order


def test_seeded_leaves_the_generators_as_they_were():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    drawn = torch.rand(1)
    with seeded(1, 2):
        inside = torch.rand(1), np.random.rand()
    assert torch.equal(torch.cat([drawn, torch.rand(1)]), expected)
    with seeded(1, 2):
        assert inside == (torch.rand(1), np.random.rand())
    with seeded(2, 1):
        assert inside != (torch.rand(1), np.random.rand())


@pytest.fixture(scope="module")
def rows(corpora) -> UtteranceRows:
    """Rows to train on."""
    return UtteranceRows(load_splits(load_recipe("ravdess_lstm"), corpora, seed=0)["train"])


def test_workers_augment_as_the_process_itself(rows):
    extractor, augmentation = load_recipe("ravdess_lstm").feature_extractor(), Augmentation(speed=0.1, tilt_db=3.0)
    collected = []
    for settings in ({}, {"num_workers": 2, "persistent_workers": True}):
        epoch = Epoch()
        builder = BatchBuilder(extractor, augmentation, seed=3, epoch=epoch)
        loader = DataLoader(rows, batch_size=24, collate_fn=builder, **settings)
        features = []
        for number in range(2):
            epoch.set(number)
            features += [batch["input_features"] for batch in loader]
        collected.append(features)
    alone, in_workers = collected
    assert all(torch.equal(one, other) for one, other in zip(alone, in_workers, strict=True))
    assert not torch.equal(alone[0], alone[2])  # another epoch


def test_rows_are_those_of_the_dataset(corpora):
    train = load_splits(load_recipe("ravdess_lstm"), corpora, seed=0)["train"]
    rows = UtteranceRows(train, {"length": np.array(train["length"][:])})
    assert len(rows) == len(train) == 48
    for number in (0, 47, 11):
        row, expected = rows[number], train[number]
        assert row["row"] == number
        assert row["label"] == expected["label"]
        assert row["length"] == expected["length"]
        np.testing.assert_array_equal(row["log_mel"], np.array(expected["log_mel"], np.float32))
    assert [row["row"] for row in rows.__getitems__([5, 2])] == [5, 2]


def test_analyses_stay_on_disk(corpora, cache):
    """An analysed dataset is read where it lies: nothing of it is copied into memory, nor by a split."""
    splits = load_splits(load_recipe("ravdess_lstm"), corpora, seed=0)
    files = {entry["filename"] for part in splits.values() for entry in part.cache_files}
    assert files
    assert all(Path(file).is_relative_to(cache) for file in files)


def test_several_processes_decode_alike(corpora, tmp_path, monkeypatch):
    paths = sorted(map(str, corpora.rglob("*.wav")))
    extractor = analysis_only(load_recipe("ravdess_lstm").feature_extractor())
    found = []
    for processes in (1, 2):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / str(processes))
        found.append(clip_analyses(paths, extractor, processes)[:])
    assert found[0] == found[1]


def test_changed_clip_is_analysed_anew(tmp_path, corpora):
    make_corpus("ravdess", tmp_path, speakers=["ravdess-01"], clips_per_label=1, duration_s=0.3)
    recipe = load_recipe("ravdess_lstm")
    paths = sorted(map(str, tmp_path.rglob("*.wav")))
    before = clip_analyses(paths, recipe.feature_extractor())["length"][:]
    make_corpus("ravdess", tmp_path, speakers=["ravdess-01"], clips_per_label=1, duration_s=0.5)
    after = clip_analyses(paths, recipe.feature_extractor())["length"][:]
    hop = recipe.feature_extractor().hop_length
    assert set(before) == {1 + int(0.3 * 16000) // hop}
    assert set(after) == {1 + int(0.5 * 16000) // hop}


def test_analysed_twice_is_analysed_once(corpora):
    train = load_splits(load_recipe("ravdess_lstm"), corpora, seed=0)["train"]
    assert analysed(train, load_recipe("ravdess_lstm").feature_extractor()) is train


def test_tensorboard(corpora, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracked = ["--set", "training.report_to=tensorboard"]
    assert main([*arguments(corpora, tmp_path, BATCH), *tracked]) == 0
    (events,) = (tmp_path / TRAINER_FOLDER).rglob("events.out.tfevents.*")
    accumulator = EventAccumulator(str(events)).Reload()
    values = [event.value for event in accumulator.Scalars("eval/uar")]
    np.testing.assert_allclose(values, [entry["eval_uar"] for entry in validations(tmp_path)], rtol=1e-6)


@pytest.mark.parametrize(
    ("tracker", "message"),
    [
        ("tensorbord", "there is no tracker 'tensorbord'; there are none, all, azure_ml"),
        ("[tensorboard, clearml]", "clearml is not installed; try `pip install clearml`"),
    ],
)
def test_tracker_that_is_not_there(corpora, tmp_path, capsys, tracker, message):
    assert main([*arguments(corpora, tmp_path, BATCH), "--set", f"training.report_to={tracker}"]) == 1
    assert message in capsys.readouterr().err
