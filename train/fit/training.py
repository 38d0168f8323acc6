"""Train a recipe: corpora to checkpoint, with the transformers Trainer."""

import itertools
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from datasets import Dataset, concatenate_datasets
from torch.utils.data import Subset
from transformers import TrainingArguments, set_seed

from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.modeling_ser import SERForAudioClassification
from train.data import load_corpora
from train.data.base import CorpusError
from train.data.dataset import (
    STATISTICS_CLIPS,
    VOICE_COLUMNS,
    analysed,
    feature_statistics,
    functional_statistics,
    sample_rows,
    unchanged_batches,
    voice_directions,
)
from train.data.loading import check_classes, label_counts
from train.data.splits import corpus_of, official_split, random_split
from train.data.streaming import Stream
from train.fit.calibration import fit_temperature
from train.fit.checkpoint import Checkpoint, load_relative, save_checkpoint
from train.fit.recipe import Recipe, RecipeError
from train.fit.resuming import (
    check_same_run,
    had_stopped,
    last_whole_checkpoint,
    remember_run,
    remove_checkpoints,
    restore_best,
)
from train.fit.stream_splits import streaming_splits
from train.fit.trainer import SERTrainer, build_trainer
from train.fit.training_arguments import first_process_ahead, training_arguments
from train.plots.figures import save_learning_curves


logger = logging.getLogger(__name__)

TRAINER_FOLDER = "trainer"  # the Trainer's own checkpoints, for resuming
REFIT_FOLDER = "refit"  # in it, those of the training on all clips


def load_splits(recipe: Recipe, corpora_root: Path, seed: int) -> Mapping[str, Dataset | Stream]:
    """The recipe's utterances, analysed, as train, validation and test, split as the recipe says; or a stream of them.

    Raises:
        CorpusError: as `load_corpora`, or speakers are to be kept apart and nobody knows who speaks.
    """
    if recipe.streaming:
        with first_process_ahead(recipe):
            return streaming_splits(recipe, corpora_root, seed)
    dataset = load_corpora(recipe.corpora, corpora_root, labels=recipe.labels, label_map=recipe.label_map)
    check_classes(label_counts(dataset))
    with first_process_ahead(recipe):
        dataset = analysed(dataset, recipe.feature_extractor())
    if recipe.split == "speakers":
        check_speakers_known(dataset)
    split = random_split if recipe.split == "random" else official_split
    splits = split(dataset, seed=seed, fraction=recipe.validation_fraction)
    splits["train"] = shares_of_corpora(splits["train"], recipe.shares)
    return splits


def check_speakers_known(dataset: Dataset) -> None:
    """Raise CorpusError if no clip says who speaks: whatever is tested on might then be heard in training."""
    speakers = set(dataset["speaker"][:])
    if all(speaker == f"{corpus_of(speaker)}-unknown" for speaker in speakers):
        raise CorpusError(
            f"{', '.join(sorted(map(corpus_of, speakers)))}: no clip says who speaks, so that no split can keep test "
            f"speakers out of training. With --set split=random the clips are split by chance; the results then count "
            f"as speakers seen in training."
        )


def shares_of_corpora(dataset: Dataset, shares: Mapping[str, float]) -> Dataset:
    """Only a share of some corpora's utterances: every fourth row for 0.25, so that all speakers and labels stay."""
    kept, seen = [], Counter()
    for row, corpus in enumerate(dataset["corpus"][:]):
        share = shares.get(corpus, 1.0)
        if int((seen[corpus] + 1) * share) > int(seen[corpus] * share):
            kept.append(row)
        seen[corpus] += 1
    return dataset.select(kept)


def fit(
    recipe: Recipe,
    splits: Mapping[str, Dataset | Stream],
    output: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    num_proc: int | None = None,
    start: Checkpoint | None = None,
) -> Checkpoint:
    """
    Train a recipe and write the checkpoint.

    Args:
        recipe: what to train.
        splits: utterances to train on and to choose with (`train`, `validation`); the test ones are not looked at.
        output: folder for the checkpoint; the Trainer's own checkpoints go to a folder in it.
        seed: of the weights, the order and the augmentation.
        resume: go on from the last checkpoint in `output`, if there is one.
        num_proc: processes that decode clips.
        start: what a recipe with `start` goes on from; by default the checkpoint of that name beside `output`.

    Returns:
        The checkpoint, its model's temperature fitted on validation utterances. With `recipe.refit` another training
        follows, which hears these, too, and keeps that temperature. With `recipe.start` that is the only training: the
        checkpoint that it starts from has heard all of them, and gives the temperature.

    Raises:
        CorpusError: all clips to train on have the same label.
        RecipeError: the checkpoint to start from is not there, or of another network.
    """
    start = start or start_of(recipe, output)
    if isinstance(splits["train"], Dataset):  # the labels of a stream were counted when it was made
        check_classes(label_counts(splits["train"]))
    extractor = recipe.feature_extractor()
    with first_process_ahead(recipe):
        train = analysed_or_stream(splits["train"], extractor, num_proc)
        validation = analysed(splits["validation"], extractor, num_proc=num_proc)
    folder, heard = output / TRAINER_FOLDER, speakers_of(train)
    if start is None:
        trainer = trained(recipe, extractor, train, validation, training_arguments(recipe, folder, seed), resume)
        write_history(trainer, recipe, output)
        calibrate(trainer, unheard_rows(validation, heard))
    if recipe.refit:
        temperature = (start or trainer).model.config.temperature
        every = every_training_clip({"train": train, "validation": validation}, recipe.shares)
        arguments = training_arguments(recipe, folder / REFIT_FOLDER, seed, eval_strategy="no")
        trainer = trained(recipe, extractor, every, validation, arguments, resume, start)
        set_temperature(trainer.model, temperature)
    if start is not None:
        write_history(trainer, recipe, output)
    heard |= speakers_of(validation) | (start.speakers if start else frozenset())
    checkpoint = Checkpoint(trainer.model.eval(), extractor, recipe, seed, heard)
    if trainer.is_world_process_zero():
        checkpoint = save_checkpoint(checkpoint, output)
    return checkpoint


def trained(
    recipe: Recipe,
    extractor: SERFeatureExtractor,
    train: Dataset | Stream,
    validation: Dataset,
    arguments: TrainingArguments,
    resume: bool,
    start: Checkpoint | None = None,
) -> SERTrainer:
    """The Trainer once it has trained the recipe's model, or that of `start`; with `resume` from where it stopped."""
    with arguments.main_process_first(local=False):
        last_checkpoint = prepare_folder(Path(arguments.output_dir), recipe, arguments.seed, resume)
    set_seed(arguments.seed)
    model = SERForAudioClassification(recipe.config())
    if start:
        model.load_state_dict(start.model.state_dict())
    else:
        set_statistics(model, train, extractor)
    trainer = build_trainer(recipe, model, extractor, train, validation, arguments)
    if last_checkpoint and had_stopped(last_checkpoint, recipe.early_stopping_patience):
        restore_best(trainer, last_checkpoint)
    else:
        trainer.train(resume_from_checkpoint=last_checkpoint and str(last_checkpoint))
    return trainer


def start_of(recipe: Recipe, output: Path) -> Checkpoint | None:
    """The checkpoint of the recipe that this one starts from, which lies beside `output`; None if there is none."""
    if recipe.start is None:
        return None
    folder = output.resolve().parent / recipe.start
    if not folder.is_dir():
        raise RecipeError(
            f"{recipe.name} goes on from {recipe.start}: train that first, "
            f"python -m train fit {recipe.start} --output {folder}"
        )
    return load_relative(recipe, folder)


def every_training_clip(splits: Mapping[str, Dataset], shares: Mapping[str, float]) -> Dataset:
    """All clips that are not tested: `train`, of which shares were taken already, and those shares of `validation`."""
    return concatenate_datasets([splits["train"], shares_of_corpora(splits["validation"], shares)])


def analysed_or_stream(
    train: Dataset | Stream, extractor: SERFeatureExtractor, num_proc: int | None
) -> Dataset | Stream:
    """Clips to train on, analysed; a stream as it is, it analyses on the way."""
    return train if isinstance(train, Stream) else analysed(train, extractor, num_proc=num_proc)


def set_statistics(model: SERForAudioClassification, train: Dataset | Stream, extractor: SERFeatureExtractor) -> None:
    """Normalise the model's features, and functionals if any, by the training clips; of a stream the first ones."""
    rows = itertools.islice(train.unchanged(), STATISTICS_CLIPS) if isinstance(train, Stream) else sample_rows(train)
    count = model.config.voice_directions
    batches = list(unchanged_batches(rows, extractor, VOICE_COLUMNS if count else ()))
    model.ser.set_feature_statistics(*feature_statistics(batches))
    if model.config.functionals:
        settings = model.config.functional_mfcc, model.config.pitch_gate_db
        model.ser.set_functional_statistics(*functional_statistics(batches, *settings))
    if count:
        set_voice_directions(model, batches)


def set_voice_directions(model: SERForAudioClassification, batches: Sequence[Mapping[str, torch.Tensor]]) -> None:
    """Let the model remove from its functionals what the voices of some batches differ in."""
    normalisation, functionals = model.ser.encoder.utterance_normalisation, model.ser.encoder.functionals
    functionals.voice_directions.zero_()
    inputs = ((batch["input_features"], batch["attention_mask"].bool()) for batch in batches)
    values = [functionals(normalisation(*pair))[0] for pair in inputs]
    columns = [torch.cat([batch[name] for batch in batches]) for name in ("labels", *VOICE_COLUMNS)]
    count = model.config.voice_directions
    directions = [voice_directions(torch.cat(values) * group, *columns, count) for group in functionals.groups()]
    model.ser.set_voice_directions(torch.cat(directions))


def speakers_of(part: Dataset | Stream) -> frozenset[str]:
    """Who speaks."""
    return part.speakers if isinstance(part, Stream) else frozenset(part["speaker"][:])


def prepare_folder(folder: Path, recipe: Recipe, seed: int, resume: bool) -> Path | None:
    """The checkpoint to go on from, if there is one; those that are not are removed, and parts of them.

    Raises:
        RecipeError: the checkpoints are those of another run.
    """
    if resume:
        check_same_run(folder, recipe, seed)
    remove_checkpoints(folder, whole=not resume)
    remember_run(folder, recipe, seed)
    return last_whole_checkpoint(folder)


def unheard_rows(validation: Dataset, heard: frozenset[str]) -> list[int]:
    """Validation utterances of speakers that training does not hear; all of them if there is no such speaker.

    On a voice that it knows, as those of TESS, a model is surer than on a new one, and rightly so.
    """
    rows = [row for row, speaker in enumerate(validation["speaker"][:]) if speaker not in heard]
    return rows or list(range(len(validation)))


def calibrate(trainer: SERTrainer, rows: list[int]) -> None:
    """Fit the temperature on some of the validation utterances, and keep it in the configuration."""
    if not rows:
        logger.warning("No validation utterances: the temperature stays 1, confidence is not calibrated.")
        return
    output = trainer.predict(Subset(trainer.eval_dataset, rows))
    temperature = fit_temperature(torch.from_numpy(output.predictions), torch.from_numpy(output.label_ids))
    set_temperature(trainer.model, temperature)


def set_temperature(model: SERForAudioClassification, temperature: float) -> None:
    """Let a model divide its logits by a temperature, and its configuration say so."""
    model.config.temperature = model.classifier.temperature = temperature


def write_history(trainer: SERTrainer, recipe: Recipe, output: Path) -> None:
    """Write what was logged after each epoch, and draw it."""
    if trainer.is_world_process_zero():
        (output / "history.json").write_text(json.dumps(trainer.state.log_history, indent=1) + "\n")
        save_learning_curves(trainer.state.log_history, output / "learning_curves.png", recipe.name)
