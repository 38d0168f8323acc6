# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Training from a stream: who is held out, order, shards of processes, loss columns, memory, and a whole run."""

import ctypes
import gc
import itertools
import json
import shutil
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow
import pytest
import torch
from datasets import Audio, Dataset

from tests.hub_server import hub_client, hub_datasets, hub_server
from tests.train.generated_tables import make_table, push_table, write_shards
from train.__main__ import main
from train.data import CorpusError, load_corpora, streaming
from train.data.base import COMMON_LABELS
from train.data.dataset import BatchBuilder, analysed, feature_statistics, sample_rows, unchanged_batches
from train.data.streaming import Stream
from train.fit import stream_splits
from train.fit.loss import balanced_weights
from train.fit.recipe import Recipe, RecipeError, load_recipe
from train.fit.stream_splits import Splitter, streaming_splits
from train.fit.training import fit, load_splits


SPEAKERS = 8
SHARDS = 4
CLIPS = SPEAKERS * len(COMMON_LABELS) * 2


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Folder with the table `shards` of eight speakers."""
    folder = tmp_path_factory.mktemp("tables")
    write_shards(make_table(folder / "corpora", speakers=SPEAKERS), folder / "shards", SHARDS)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", folder)
    monkeypatch.setattr("datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)  # seconds behind every shuffled pass
    return folder


def recipe_for(*settings: str) -> Recipe:
    defaults = ["corpora=[parquet:shards]", "streaming=true", "split=speakers", "training.max_steps=5"]
    return load_recipe("ravdess_lstm", [*defaults, *settings])


def stream_of(root: Path, *settings: str, seed: int = 0) -> Stream:
    return streaming_splits(recipe_for(*settings), root, seed)["train"]


def passes(stream: Stream, count: int, rows: int) -> list[list[dict]]:
    """The first passes of a stream that has so many rows in each."""
    endless = iter(stream)
    return [list(itertools.islice(endless, rows)) for _ in range(count)]


def content(row: dict) -> int:
    """Checksum of a clip's analysis, which tells the clip apart."""
    return zlib.crc32(row["log_mel"].tobytes())


def test_speakers_of_the_parts_are_disjoint(root):
    splits = streaming_splits(recipe_for(), root, seed=0)
    heard = {"train": splits["train"].speakers} | {
        part: set(splits[part]["speaker"]) for part in ("validation", "test")
    }
    assert [len(heard[part]) for part in ("train", "validation", "test")] == [5, 1, 2]
    assert len(set().union(*heard.values())) == SPEAKERS
    assert len(splits["validation"]) == 16
    assert len(splits["test"]) == 32
    assert all(Path(path).is_file() for path in splits["test"]["path"])
    assert splits["test"].features["label"].names == list(COMMON_LABELS)


def test_the_test_speakers_do_not_follow_from_the_seed(root):
    first, second = (streaming_splits(recipe_for(), root, seed) for seed in (0, 1))
    assert set(first["test"]["speaker"]) == set(second["test"]["speaker"])
    again = streaming_splits(recipe_for(), root, 0)
    assert set(again["validation"]["speaker"]) == set(first["validation"]["speaker"])


def test_a_stream_gives_what_the_files_give(root):
    """Row by row the analyses, labels and lengths of the same clips as a corpus in files."""
    recipe = recipe_for()
    stream = stream_of(root)
    (rows,) = passes(stream, 1, 80)
    files = analysed(load_whole(recipe, root), recipe.feature_extractor())
    files = files.filter(lambda row: row["speaker"] in stream.speakers).with_format("numpy")
    expected = {content(row): row for row in files}
    assert len(expected) == 80
    assert {content(row) for row in rows} == set(expected)
    for row in rows:
        assert row["label"] == expected[content(row)]["label"]
        assert row["length"] == expected[content(row)]["length"]


def load_whole(recipe: Recipe, root: Path) -> Dataset:
    return load_corpora(recipe.corpora, root, labels=recipe.labels, label_map=recipe.label_map)


def test_every_pass_has_every_clip_in_another_order(root):
    first, second = passes(stream_of(root), 2, 80)
    orders = [[content(row) for row in rows] for rows in (first, second)]
    assert len(set(orders[0])) == 80
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    again, _ = passes(stream_of(root), 2, 80)
    assert [content(row) for row in again] == orders[0]
    other, _ = passes(stream_of(root, seed=5), 2, 80)
    assert [content(row) for row in other] != orders[0]


def test_shards_are_mixed(root):
    """Rows of one shard do not come in a block: the buffer is filled from several."""
    stream = stream_of(root)
    files = {
        zlib.crc32(row["audio"]["bytes"]): index
        for index, path in enumerate(sorted((root / "shards").glob("*.parquet")))
        for row in Dataset.from_parquet(str(path), keep_in_memory=True)
    }
    (rows,) = passes(stream, 1, 80)
    first_half = Counter(files[row["row"]] for row in rows[:40])  # the number of a row in the first pass is its CRC
    assert len(first_half) == SHARDS


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_the_rows(root, world_size):
    stream = stream_of(root)
    parts = [
        list(streaming.streamed(stream.rows, stream.analyse, 0, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    seen = [content(row) for part in parts for row in part]
    assert len(seen) == len(set(seen)) == 80
    assert all(parts)


def test_workers_of_a_data_loader_share_the_rows(root):
    stream = stream_of(root)
    loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=2)
    rows = list(itertools.islice(loader, 60))
    assert len({content_of_tensor(row) for row in rows}) == 60


def content_of_tensor(row: dict) -> int:
    return zlib.crc32(row["log_mel"].numpy().tobytes())


def test_statistics_of_a_stream_are_those_of_its_clips(root):
    recipe, stream = recipe_for(), stream_of(root)
    extractor = recipe.feature_extractor()
    files = analysed(load_whole(recipe, root), extractor).filter(lambda row: row["speaker"] in stream.speakers)
    streamed = feature_statistics(unchanged_batches(stream.unchanged(), extractor))
    from_files = feature_statistics(unchanged_batches(sample_rows(files), extractor))
    for got, expected in zip(streamed, from_files, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-3)


def test_weights_are_those_of_a_training_from_files(root):
    stream = stream_of(root, "balance=[label]", "label_map={calm: neutral}", f"labels={labels_without_calm()}")
    recipe = recipe_for("label_map={calm: neutral}", f"labels={labels_without_calm()}")
    files = load_whole(recipe, root).filter(lambda row: row["speaker"] in stream.speakers)
    expected = dict(zip(files["label"], balanced_weights(files, ["label"]), strict=True))
    (rows,) = passes(stream, 1, 80)
    assert {row["label"]: pytest.approx(row["weight"]) for row in rows} == expected
    assert np.mean([row["weight"] for row in rows]) == pytest.approx(1)


def labels_without_calm() -> str:
    return f"[{', '.join(label for label in COMMON_LABELS if label != 'calm')}]"


def test_labels_that_a_corpus_lacks_are_masked(root, tmp_path):
    shutil.copytree(root / "shards", tmp_path / "shards")
    table = Dataset.from_parquet(str(root / "shards" / "*.parquet"), keep_in_memory=True)
    few = table.filter(lambda row: row["emotion"] < 2, keep_in_memory=True)  # angry and calm
    write_shards(few, tmp_path / "few", 1)
    stream = stream_of(tmp_path, "corpora=['parquet:shards', 'parquet:few']", "mask_labels=true", "balance=[corpus]")
    assert stream.analyse.loss_columns == ["weight", "allowed"]
    batch = BatchBuilder(recipe_for().feature_extractor(), extra_columns=stream.analyse.loss_columns)(
        list(itertools.islice(stream, 40))
    )
    masks = {tuple(row) for row in batch["allowed"].tolist()}
    assert masks == {(True,) * 8, (True, True) + (False,) * 6}
    assert len(set(batch["weight"].tolist())) == 2


def test_the_random_split_follows_the_content(root):
    splits = streaming_splits(recipe_for("split=random"), root, seed=0)
    held_out = len(splits["test"]) + len(splits["validation"])
    (rows,) = passes(splits["train"], 1, CLIPS - held_out)
    assert len({content(row) for row in rows}) == CLIPS - held_out
    assert 0.1 * CLIPS < len(splits["test"]) < 0.32 * CLIPS
    splitter = Splitter(None, 0.2, 0)
    for part in ("validation", "test"):
        for path in splits[part]["path"]:
            assert splitter({"audio": Path(path).read_bytes()}) == part
    assert set(splits["test"]["speaker"]) & splits["train"].speakers


def test_without_speakers(root, tmp_path):
    table = Dataset.from_parquet(str(root / "shards" / "*.parquet"), keep_in_memory=True)
    write_shards(table.remove_columns(["speaker_id"]), tmp_path / "shards")
    with pytest.raises(
        CorpusError, match=r"1 speaker known, too few .* --set split=random .* speakers seen in training"
    ):
        streaming_splits(recipe_for(), tmp_path, 0)
    splits = streaming_splits(recipe_for("split=random"), tmp_path, 0)
    assert splits["train"].speakers == {"shards-unknown"}


def test_what_is_no_recording_is_left_out_with_a_warning(root, tmp_path, caplog):
    table = Dataset.from_parquet(str(root / "shards" / "*.parquet"), keep_in_memory=True)
    heard = sorted(stream_of(root).speakers)[0].partition("-")[2]
    rows = table.to_list()
    damaged = next(row for row in rows if row["speaker_id"] == int(heard))
    damaged["audio"] = {"bytes": b"no sound" * 50, "path": "damaged.wav"}
    write_shards(Dataset.from_list(rows).cast(table.features), tmp_path / "shards")
    (rows,) = passes(stream_of(tmp_path), 1, 79)
    assert len({content(row) for row in rows}) == 79
    assert "damaged.wav of shards is left out" in caplog.text


def test_augmentation_changes_training_only_and_every_pass_anew(root):
    stream = stream_of(root, "waveform_augmentation.probability=1.0", "waveform_augmentation.time_stretch=0.1")
    first, second = passes(stream, 2, 80)
    plain = {content(row) for row in stream.unchanged()}
    assert len(plain) == 80
    assert not plain & {content(row) for row in first}
    assert not {content(row) for row in first} & {content(row) for row in second}
    again, _ = passes(stream, 2, 80)
    assert [content(row) for row in again] == [content(row) for row in first]


def test_held_out_clips_are_limited_and_kept(root, monkeypatch, cache):
    monkeypatch.setattr(stream_splits, "HELD_OUT_CLIPS", 10)
    splits = streaming_splits(recipe_for(), root, 0)
    assert len(splits["test"]) == len(splits["validation"]) == 10
    assert len(set(splits["test"]["label"])) > 3  # drawn, not the first ones
    times = {path: path.stat().st_mtime_ns for path in cache.rglob("*.wav")}
    assert streaming_splits(recipe_for(), root, 0)["test"][:] == splits["test"][:]
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.wav")} == times


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["training.max_steps=0"],
            r"a stream has no length, so streaming needs training.max_steps.*--set training.max_steps",
        ),
        (["shares={shards: 0.5}"], "shares of a corpus cannot be taken while streaming"),
        (["waveform_augmentation.copies=2"], "a stream is not stored; leave out waveform_augmentation.copies"),
        (["logit_adjustment=1", "mask_labels=true"], "a stream is balanced by weights; leave out logit_adjustment"),
        (["network.voice_directions=3"], "do not tell speakers apart; leave out network.voice_directions"),
    ],
)
def test_what_a_stream_cannot_do(settings, message):
    with pytest.raises(RecipeError, match=message):
        recipe_for(*settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["corpora=[ravdess]"], "'ravdess' cannot be streamed: only hub:OWNER/NAME and parquet:PATH can"),
        (["corpora=['parquet:shards', 'parquet:shards/train-00000-of-00004.parquet', 'parquet:shards']"], "same name"),
        (["labels=[boredom]"], "no clip has one of the labels boredom. Found: {'"),
        (["labels=[angry, hapy]"], "unknown label 'hapy'. Did you mean 'happy'"),
    ],
)
def test_what_does_not_fit_the_tables(root, settings, message):
    with pytest.raises(CorpusError, match=message):
        streaming_splits(recipe_for(*settings), root, 0)


def relabelled(root: Path, folder: Path, change) -> Path:
    """The table with other labels, as text: `change` takes number and speaker of the label."""
    rows = Dataset.from_parquet(str(root / "shards" / "*.parquet"), keep_in_memory=True).to_list()
    labels = [change(row.pop("emotion"), row["speaker_id"]) for row in rows]
    table = Dataset.from_list([row | {"emotion": label} for row, label in zip(rows, labels, strict=True)])
    write_shards(table.cast_column("audio", Audio(decode=False)), folder / "shards")
    return folder


def test_text_for_a_missing_label_is_refused_before_training(root, tmp_path):
    folder = relabelled(root, tmp_path, lambda label, speaker: "sad" if label else "None")
    with pytest.raises(CorpusError, match="parquet:shards: the label 'None' stands for a value that is not there"):
        streaming_splits(recipe_for(), folder, 0)


def test_a_stream_of_one_label_is_refused(root, tmp_path):
    held_out = set(streaming_splits(recipe_for(), root, 0)["test"]["speaker"])
    tested = {int(speaker.rpartition("-")[2]) for speaker in held_out}
    folder = relabelled(root, tmp_path, lambda label, speaker: "happy" if speaker in tested else "sad")
    with pytest.raises(CorpusError, match=r"all 80 clips to train on are labelled 'sad': .* at least two labels"):
        streaming_splits(recipe_for(), folder, 0)


def return_unused_memory() -> None:
    """Collect garbage, also of tests before, and give what glibc keeps for later back to the system."""
    gc.collect()
    if hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


def test_memory_does_not_grow_with_the_table(tmp_path, monkeypatch):
    """150 MB of clips pass through with a small buffer; what one pass needs at most is a fraction of that."""
    monkeypatch.setattr(streaming, "SHUFFLE_BUFFER", 20)
    generator = np.random.default_rng(0)
    for index in range(5):
        audio = [{"bytes": generator.bytes(200_000), "path": "x.wav"} for _ in range(150)]
        rows = {"audio": audio, "emotion": ["sad", "happy", "angry"] * 50, "speaker": [f"s{index}"] * 150}
        (tmp_path / "large").mkdir(exist_ok=True)
        Dataset.from_dict(rows).to_parquet(tmp_path / "large" / f"{index}.parquet", batch_size=10)
    del audio, rows
    monkeypatch.setattr(stream_splits, "HELD_OUT_CLIPS", 5)
    stream = stream_of(tmp_path, "corpora=[parquet:large]")
    count_only = replace(stream.analyse)
    monkeypatch.setattr(type(count_only), "__call__", lambda self, row, turn, training: {"row": len(row["audio"])})
    process, sizes = psutil.Process(), []
    for number, row in enumerate(itertools.islice(stream, 900)):  # two passes over three speakers
        assert row["row"] == 200_000
        if number % 20 == 0:
            pyarrow.default_memory_pool().release_unused()  # which it may keep for later otherwise
            return_unused_memory()
            sizes.append(process.memory_info().rss)
    assert max(sizes) - sizes[2] < 60e6


def settings_of_a_run(*settings: str) -> list[str]:
    tiny = [
        "streaming=true",
        "split=speakers",
        "network.lstm_sizes=[12]",
        "training.max_steps=20",
        "training.per_device_train_batch_size=8",
        "training.learning_rate=0.02",
        "training.disable_tqdm=true",
        *settings,
    ]
    return [argument for setting in tiny for argument in ("--set", setting)]


def test_train_from_a_stream_of_the_hub(root, hub_client, hub_datasets, tmp_path, monkeypatch):
    monkeypatch.delenv("SER_CORPORA", raising=False)
    table = Dataset.from_parquet(str(root / "shards" / "*.parquet"), keep_in_memory=True)
    push_table(hub_client, table, "tester/emotions", tmp_path / "push")
    arguments = ["fit", "ravdess_lstm", "--corpora", "hub:tester/emotions", "--output", str(tmp_path / "run")]
    assert main([*arguments, *settings_of_a_run("balance=[label]")]) == 0
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [entry["step"] for entry in history if "eval_uar" in entry] == list(range(2, 22, 2))
    result = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert result["protocol"] == "speaker-disjoint"
    assert result["clips"] == 32
    assert result["uar"] > 0.5  # chance is an eighth
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert len(recipe["speakers"]) == 6  # trained on or chosen with


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(root, tmp_path):
    settings = [f"training.{name}_steps=4" for name in ("save", "eval", "logging")]
    recipe = recipe_for("network.lstm_sizes=[12]", "training.max_steps=8", "training.disable_tqdm=true", *settings)
    splits = load_splits(recipe, root, 0)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit(recipe, splits, whole)
    shutil.copytree(whole / "trainer" / "checkpoint-4", parts / "trainer" / "checkpoint-4")
    fit(recipe, splits, parts, resume=True)
    losses = [
        [entry["eval_loss"] for entry in json.loads((folder / "history.json").read_text()) if "eval_loss" in entry]
        for folder in (whole, parts)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
