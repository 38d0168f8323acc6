"""Cost of training: decoding a corpus, starting from a warm cache, steps against Keras, peak memory."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import datasets
import numpy as np
import soundfile
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from transformers import PrinterCallback

from benchmarks.clips import write_corpora
from benchmarks.keras_peer import KerasMissingError, keras_process
from benchmarks.measuring import Outcome, compared, limited, seconds_in_turns
from benchmarks.startup import peak_memory
from ser_model.modeling_ser import SERForAudioClassification
from train.data import load_corpora
from train.data.dataset import VOICE_COLUMNS, analysed, feature_statistics, sample_rows, unchanged_batches
from train.fit.recipe import Recipe, load_recipe, recipe_names
from train.fit.trainer import SERTrainer, build_trainer
from train.fit.training import load_splits
from train.fit.training_arguments import training_arguments


DECODING_BAR = 200.0  # times faster than real time, on two cores
DECODED_CLIPS = 2000  # of real corpora
START_BAR = 10.0  # s
KERAS_BAR = 1.5
KERAS_ROUNDS = 5
MEMORY_BAR = 4096 * 1.048576  # MB: 4 GiB
TRAINED_CLIPS = 320
FRAMES = 370, 35  # mean and deviation of RAVDESS

QUIET = [f"training.{name}='no'" for name in ("eval_strategy", "save_strategy", "logging_strategy")] + [
    "training.disable_tqdm=true",
    "early_stopping_patience=0",
]


def run() -> list[Outcome]:
    """All of them."""
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        return [*corpora_outcomes(Path(folder)), *keras_outcomes(Path(folder))]


def corpora_outcomes(folder: Path) -> Iterator[Outcome]:
    """Decoding with a cold cache, and the start of a training with a warm one.

    Without the changed copies, which are made once before a training: they take as long as they are many.
    """
    corpora = write_corpora(folder / "corpora")
    recipe = load_recipe("ser_lstm", [f"corpora={corpora}", "shares={}", "waveform_augmentation={}"])
    with feature_cache(folder / "cache"):
        yield decoding(recipe, folder / "corpora", None)
        yield start(recipe, folder)
    if root := os.environ.get("SER_CORPORA"):
        with feature_cache(folder / "cache_of_real_corpora"):
            yield decoding(load_recipe("ser_lstm"), Path(root), DECODED_CLIPS)


@contextmanager
def feature_cache(folder: Path) -> Iterator[None]:
    """Context in which analyses are cached in a folder."""
    before, datasets.config.HF_DATASETS_CACHE = datasets.config.HF_DATASETS_CACHE, folder
    try:
        yield
    finally:
        datasets.config.HF_DATASETS_CACHE = before


def decoding(recipe: Recipe, root: Path, clips: int | None) -> Outcome:
    """Decoding and analysing clips that are in no cache, all or evenly spread ones, against their duration."""
    dataset = load_corpora(recipe.corpora, root, labels=recipe.labels, label_map=recipe.label_map)
    if clips:
        dataset = dataset.select(range(0, len(dataset), -(-len(dataset) // clips)))
    started = time.perf_counter()
    dataset = analysed(dataset, recipe.feature_extractor())
    seconds = time.perf_counter() - started
    duration = sum(soundfile.info(path).duration for path in dataset["path"][:])
    name = f"{len(dataset):,} clips of {', '.join(recipe.corpora)} decoded and analysed"
    return Outcome(name, "real time", seconds, duration, "s", DECODING_BAR, "faster")


def start(recipe: Recipe, folder: Path) -> Outcome:
    """From the recipe to the first batch, with all analyses in the cache."""
    started = time.perf_counter()
    splits = load_splits(recipe, folder / "corpora", seed=0)
    trainer = prepared_trainer(recipe, splits["train"], splits["validation"], folder / "start")
    next(iter(trainer.get_train_dataloader()))
    seconds = time.perf_counter() - started
    clips = sum(map(len, splits.values()))
    return limited(
        f"start of a training on {clips:,} clips without changed copies, until the first batch",
        seconds,
        "s",
        START_BAR,
    )


def prepared_trainer(recipe: Recipe, train: Dataset, validation: Dataset, output: Path) -> SERTrainer:
    """A Trainer whose model has its statistics, as `fit` makes it."""
    extractor = recipe.feature_extractor()
    model = SERForAudioClassification(recipe.config())
    model.ser.set_feature_statistics(*feature_statistics(unchanged_batches(sample_rows(train), extractor)))
    return build_trainer(recipe, model, extractor, train, validation, training_arguments(recipe, output))


def keras_outcomes(folder: Path) -> Iterator[Outcome]:
    """Passes of our Trainer over generated analyses, and of Keras over the features that come of the same batches."""
    recipe = load_recipe("ravdess_lstm", [*QUIET, "training.num_train_epochs=1"])
    dataset = generated_analyses(recipe, np.random.default_rng(0).normal(*FRAMES, TRAINED_CLIPS).astype(int).tolist())
    trainer = prepared_trainer(recipe, dataset, dataset, folder / "training")
    trainer.remove_callback(PrinterCallback)
    batches = [(batch["input_features"].numpy(), batch["labels"].numpy()) for batch in trainer.get_train_dataloader()]
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with keras_process(batches, folder, threads) as keras:
                seconds = seconds_in_turns({"ours": trainer.train, "Keras": keras.train}, KERAS_ROUNDS, warm_up=1)
            ours, theirs = (1e3 * values / len(dataset) for values in seconds.values())
            name = f"training of ravdess_lstm, a clip, {threads} thread{'s' if threads > 1 else ''}"
            yield compared(name, "Keras", ours, theirs, "ms", KERAS_BAR, "faster")
    except KerasMissingError as error:
        print(f"skipped: training against Keras; {error}", flush=True)
    finally:
        torch.set_num_threads(1)


def run_memory() -> list[Outcome]:
    """Peak memory of every recipe's training."""
    return list(memory_outcomes())


def memory_outcomes() -> Iterator[Outcome]:
    """Peak memory of every recipe."""
    for name in recipe_names():
        megabytes = peak_memory([sys.executable, "-m", "benchmarks.training_memory", name])
        yield limited(f"peak memory of training {name}", megabytes, "MB", MEMORY_BAR)


def generated_analyses(recipe: Recipe, lengths: Sequence[int]) -> Dataset:
    """An analysed dataset of noise, of clips with the given numbers of frames."""
    generator = np.random.default_rng(0)
    size = recipe.feature_extractor().analysis_size
    columns = {
        "label": generator.integers(len(recipe.labels), size=len(lengths)),
        "length": lengths,
        "log_mel": [generator.normal(-40, 15, length * size).astype(np.float32) for length in lengths],
        **{name: ["generated"] * len(lengths) for name in VOICE_COLUMNS},
    }
    features = {"label": ClassLabel(names=recipe.labels), "length": Value("int32"), "log_mel": List(Value("float32"))}
    features |= dict.fromkeys(VOICE_COLUMNS, Value("string"))
    return Dataset.from_dict(columns, features=Features(features))
