"""Cross-validation: a recipe by a protocol of evaluation, every fold and seed trained and tested, none of it twice."""

import dataclasses
import hashlib
import itertools
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from tqdm.auto import tqdm

from train.data import CorpusError, Fold, get_folds, get_protocol, load_corpora, split_fold
from train.data.base import relative
from train.data.dataset import analysed
from train.data.loading import check_classes, label_counts
from train.data.registry import unknown_name
from train.evaluation.processes import Work, run_in_processes
from train.evaluation.reporting import PREDICTIONS_FILE, report_folds
from train.evaluation.scoring import (
    among_labels_of_corpora,
    pooled_states,
    predict,
    unweighted_average_recall,
    write_predictions,
)
from train.fit.checkpoint import Checkpoint, load_relative
from train.fit.loss import allowed_labels
from train.fit.recipe import Recipe, RecipeError, load_recipe
from train.fit.resuming import last_whole_checkpoint, load_state
from train.fit.run_folder import claimed
from train.fit.training import REFIT_FOLDER, TRAINER_FOLDER, fit, shares_of_corpora
from train.plots.pooled_states import save_pooled_states


logger = logging.getLogger(__name__)

LOG_FILE = "log.txt"
START_FOLDER = "start"  # in a round's folder: the checkpoint that its training goes on from
SHOWN_ROUNDS = 3


@dataclass(frozen=True)
class Round:
    """One fold with one seed: what a process does, and where it leaves it."""

    seed: int
    fold: Fold
    folder: Path

    @property
    def name(self) -> str:
        return f"seed {self.seed} {self.fold.name}"

    @property
    def predictions(self) -> Path:
        """Written last and in one piece: where it is, the round is finished."""
        return self.folder / PREDICTIONS_FILE


def crossvalidate(
    recipe: Recipe,
    protocol: str,
    corpora_root: Path,
    output: Path,
    *,
    seeds: Sequence[int] = (0,),
    folds: Sequence[str] | None = None,
    jobs: int | None = None,
) -> dict[str, Any]:
    """
    Train and test a recipe on every fold of a protocol with every seed.

    Each round goes to `output/<seed>/<fold>`. Rounds that are finished there are not repeated, unfinished ones go on
    from their last epoch; further seeds and folds may be added to a folder later.

    Args:
        recipe: what to train; its own split is not used.
        protocol: its name.
        corpora_root: folder of the corpora.
        output: folder for predictions.parquet, metrics.json and figures.
        seeds: of the weights, the order, the augmentation and the choice of validation speakers.
        folds: names of some folds; all by default.
        jobs: rounds trained at the same time, one thread each; by default as many as there are processors.

    Returns:
        The content of metrics.json.

    Raises:
        CorpusError: a corpus, a label or a fold that is not there.
        ValueError: a folder with other contents or other settings, or one that another process works on.
        WorkError: a round failed.
    """
    check_arguments(seeds, jobs)
    recipe, dataset = load_task(recipe, protocol, corpora_root)
    every = get_folds(protocol, dataset["speaker"][:])
    chosen = folds_named(folds, every) if folds else every
    settings = describe_settings(recipe, protocol, dataset, corpora_root)
    rounds = [Round(seed, fold, output / str(seed) / fold.name) for seed in seeds for fold in chosen]
    with claimed(output, settings):
        run_rounds(rounds, recipe, dataset, corpora_root, jobs or os.cpu_count() or 1)
        predictions = pd.concat([pd.read_parquet(entry.predictions) for entry in rounds], ignore_index=True)
        check_each_clip_once(predictions)
        return report_folds(predictions, recipe, protocol, chosen, output, complete=len(chosen) == len(every))


def check_arguments(seeds: Sequence[int], jobs: int | None) -> None:
    """Raise ValueError for seeds or jobs that cannot be meant."""
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"seeds must be whole numbers from 0, each once; got {list(seeds)}.")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}.")


def load_task(recipe: Recipe, protocol: str, corpora_root: Path) -> tuple[Recipe, Dataset]:
    """The recipe with the labels of the protocol's task, and its utterances."""
    task = get_protocol(protocol)
    if task.labels:
        recipe = with_labels(recipe, task.labels, task.label_map)
    dataset = load_utterances(recipe, corpora_root)
    check_classes(label_counts(dataset))
    if protocol == "cross-corpus" and len(recipe.corpora) < 2:
        raise RecipeError(f"{recipe.name}: cross-corpus takes at least two corpora; the recipe has {recipe.corpora}.")
    return recipe, dataset


def load_utterances(recipe: Recipe, corpora_root: Path) -> Dataset:
    """The utterances of a recipe's corpora that have its labels."""
    return load_corpora(recipe.corpora, corpora_root, labels=recipe.labels, label_map=recipe.label_map)


def with_trained_labels(test: Dataset, train: Dataset) -> Dataset:
    """The clips of a test set whose label occurs in training: no model tells apart what it never heard.

    Raises:
        CorpusError: none of them has such a label.
    """
    heard = set(train["label"][:])
    rows = [row for row, label in enumerate(test["label"][:]) if label in heard]
    if not rows:
        raise CorpusError("no label of the test speakers occurs in training.")
    return test if len(rows) == len(test) else test.select(rows)


def with_labels(recipe: Recipe, labels: Sequence[str], label_map: Mapping[str, str]) -> Recipe:
    """A recipe whose task is restricted to some of its labels, after a further label map.

    Raises:
        RecipeError: one of the labels is not in the recipe.
    """
    missing = [label for label in labels if label not in recipe.labels]
    if missing:
        raise RecipeError(f"{recipe.name}: the protocol is about {', '.join(labels)}; add {', '.join(missing)}.")
    mapped = {source: target if target in labels else None for source, target in recipe.label_map.items()}
    ordered = [label for label in recipe.labels if label in labels]
    return dataclasses.replace(recipe, labels=ordered, label_map=mapped | dict(label_map))


def folds_named(names: Sequence[str], folds: Sequence[Fold]) -> list[Fold]:
    """Some of the folds by their names, each once."""
    by_name = {fold.name: fold for fold in folds}
    for name in names:
        if name not in by_name:
            raise CorpusError(unknown_name("fold", name, by_name))
    return [by_name[name] for name in dict.fromkeys(names)]


def describe_settings(recipe: Recipe, protocol: str, dataset: Dataset, corpora_root: Path) -> dict[str, Any]:
    """Everything that a finished round depends on, as plain data."""
    columns = zip(dataset["path"][:], dataset["label"][:], dataset["speaker"][:], strict=True)
    root = Path(os.path.abspath(corpora_root.expanduser()))
    rows = sorted((relative(path, root), label, speaker) for path, label, speaker in columns)
    clips = {"number": len(dataset), "sha256": hashlib.sha256(json.dumps(rows).encode()).hexdigest()}
    start = start_recipe(recipe)
    return {
        "protocol": protocol,
        "clips": clips,
        "recipe": recipe.to_dict(),
        **({"start": start.to_dict()} if start else {}),
    }


def start_recipe(recipe: Recipe) -> Recipe | None:
    """The recipe whose checkpoint this one goes on from, with this one's labels; None if there is none."""
    if recipe.start is None:
        return None
    return dataclasses.replace(load_recipe(recipe.start), labels=recipe.labels, label_map=recipe.label_map)


def run_rounds(rounds: Sequence[Round], recipe: Recipe, dataset: Dataset, corpora_root: Path, jobs: int) -> None:
    """Train and test the rounds that are not finished, some at a time, and say how far they are."""
    unfinished = [entry for entry in rounds if not entry.predictions.is_file()]
    if len(unfinished) < len(rounds):
        logger.info("%d of %d rounds are finished already", len(rounds) - len(unfinished), len(rounds))
    if not unfinished:
        return
    # Decoded and analysed once; each round takes its rows of it.
    dataset = analysed(dataset, recipe.feature_extractor())
    by_name = {entry.name: entry for entry in unfinished}
    works = [
        Work(entry.name, run_round, (entry, recipe, dataset, corpora_root), entry.folder / LOG_FILE)
        for entry in unfinished
    ]
    with tqdm(total=len(rounds), initial=len(rounds) - len(unfinished), unit="round", disable=None) as bar:
        for work in run_in_processes(
            works,
            min(jobs, len(works)),
            preload=[__name__],
            poll=lambda running: bar.set_postfix_str(progress(by_name[work.name] for work in running)),
        ):
            bar.update()
            bar.write(outcome(by_name[work.name]))


def progress(running: Iterable[Round]) -> str:
    """Progress of the rounds that run, as many as fit on a line."""
    shown = [epochs_of(entry) for entry in itertools.islice(running, SHOWN_ROUNDS + 1)]
    return ", ".join(shown[:SHOWN_ROUNDS]) + (" ..." if len(shown) > SHOWN_ROUNDS else "")


def epochs_of(entry: Round) -> str:
    """Progress of a round's training, by the Trainer's last checkpoint: "seed 0 fold1: epoch 3/40"."""
    folder, start = (where / TRAINER_FOLDER for where in (entry.folder, entry.folder / START_FOLDER))
    trainings = {
        folder / REFIT_FOLDER: "refit, epoch",
        folder: "epoch",
        start / REFIT_FOLDER: "start, refit, epoch",
        start: "start, epoch",
    }
    for where, name in trainings.items():
        try:
            last = last_whole_checkpoint(where)
            state = last and load_state(last)
        except FileNotFoundError:  # it has just been removed
            state = None
        if state:
            return f"{entry.name}: {name} {state.epoch:.0f}/{state.num_train_epochs}"
    return entry.name


def outcome(entry: Round) -> str:
    """Result of a finished round: "seed 0 fold1: UAR 43.2 % on 300 clips"."""
    table = pd.read_parquet(entry.predictions)
    uar = unweighted_average_recall(table["label"].to_numpy(), table["prediction"].to_numpy())
    return f"{entry.name}: UAR {100 * uar:.1f} % on {len(table)} clips"


def run_round(entry: Round, recipe: Recipe, dataset: Dataset, corpora_root: Path) -> None:
    """Train one fold with one seed and write its predictions on speakers that it has not heard."""
    started = time.monotonic()
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    splits = split_fold(dataset, entry.fold, seed=entry.seed, fraction=recipe.validation_fraction)
    left_out = not set(splits["test"]["corpus"][:]) <= set(splits["train"]["corpus"][:])
    if left_out:
        splits["test"] = with_trained_labels(splits["test"], splits["train"])
    start = trained_start(entry, recipe, splits)
    splits["train"] = shares_of_corpora(splits["train"], recipe.shares)
    checkpoint = fit(recipe, splits, entry.folder, seed=entry.seed, resume=True, start=start)
    check_unheard(checkpoint, entry.fold, splits["test"])
    predictions = predict(checkpoint.model, checkpoint.extractor, splits["test"])
    if recipe.mask_labels and not left_out:  # nobody knows the labels of a corpus that was never heard
        allowed = allowed_labels(dataset, splits["test"]["corpus"][:])
        predictions = among_labels_of_corpora(predictions, allowed, recipe.labels)
    draw_states(checkpoint, splits["test"], entry)
    write_predictions(predictions.assign(fold=entry.fold.name, seed=entry.seed), entry.predictions, corpora_root)
    for folder in (entry.folder, entry.folder / START_FOLDER):
        shutil.rmtree(folder / TRAINER_FOLDER, ignore_errors=True)
    logger.info("finished in %.0f s", time.monotonic() - started)


def trained_start(entry: Round, recipe: Recipe, splits: Mapping[str, Dataset]) -> Checkpoint | None:
    """The checkpoint that the round's training goes on from, trained on its part of the same speakers; None if none.

    Raises:
        CorpusError: the fold leaves it no clips to train on, or to choose with.
        RecipeError: it is of another network.
    """
    start = start_recipe(recipe)
    if start is None:
        return None
    parts = {name: of_corpora(splits[name], start.corpora) for name in ("train", "validation")}
    if empty := [name for name, part in parts.items() if not len(part)]:
        raise CorpusError(f"{entry.name}: {recipe.start} has no clips for {' and '.join(empty)} in this fold.")
    parts["train"] = shares_of_corpora(parts["train"], start.shares)
    fit(start, parts, entry.folder / START_FOLDER, seed=entry.seed, resume=True)
    return load_relative(recipe, entry.folder / START_FOLDER)


def of_corpora(dataset: Dataset, corpora: Sequence[str]) -> Dataset:
    """The clips of some corpora."""
    return dataset.select([row for row, corpus in enumerate(dataset["corpus"][:]) if corpus in corpora])


def check_unheard(checkpoint: Checkpoint, fold: Fold, test: Dataset) -> None:
    """Make sure that no test speaker was trained on, or chosen with, unless the protocol says so."""
    heard = checkpoint.speakers & set(test["speaker"][:])
    if heard and not fold.speakers_seen:
        raise CorpusError(f"{fold.name}: test speakers were heard in training: {', '.join(sorted(heard))}.")


def draw_states(checkpoint: Checkpoint, test: Dataset, entry: Round) -> None:
    """Draw the pooled states of the test clips, whose axes are this round's own."""
    labels = [checkpoint.recipe.labels[index] for index in test["label"][:]]
    states = pooled_states(checkpoint.model, checkpoint.extractor, test)
    title = f"{checkpoint.recipe.name}, {entry.fold.name}, seed {entry.seed}: pooled states of {len(test)} test clips"
    save_pooled_states(states, labels, entry.folder / "pooled_states.png", title)


def check_each_clip_once(predictions: pd.DataFrame) -> None:
    """Make sure that with each seed no clip is counted twice."""
    repeated = predictions[predictions.duplicated(["seed", "path"])]
    if len(repeated):
        raise CorpusError(
            f"{len(repeated)} clips are tested in more than one fold, among them {repeated.iloc[0].path}."
        )
