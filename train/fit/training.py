"""Train a recipe: corpora to checkpoint, with the transformers Trainer."""

import dataclasses
import itertools
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pandas as pd
import torch
from datasets import Dataset, concatenate_datasets
from torch.utils.data import DataLoader, Sampler, Subset
from transformers import EarlyStoppingCallback, EvalPrediction, Trainer, TrainingArguments, set_seed
from transformers.integrations import get_available_reporting_integrations
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer import TRAINING_ARGS_NAME

from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.modeling_ser import SERForAudioClassification
from train.augment.augmentation import Augmentation
from train.augment.waveform_augmentation import WaveformAugmentation
from train.data import load_corpora
from train.data.base import CorpusError
from train.data.dataset import (
    STATISTICS_CLIPS,
    VOICE_COLUMNS,
    BatchBuilder,
    UtteranceRows,
    analysed,
    feature_statistics,
    functional_statistics,
    sample_rows,
    unchanged_batches,
    voice_directions,
)
from train.data.loading import check_classes, label_counts
from train.data.randomness import Epoch, EpochCallback, EpochSampler
from train.data.splits import corpus_of, official_split, random_split
from train.data.streaming import Stream
from train.data.waveform_rows import WaveformRows
from train.fit.calibration import fit_temperature
from train.fit.checkpoint import Checkpoint, load_relative, save_checkpoint
from train.fit.loss import BALANCE_POWER, batch_loss
from train.fit.recipe import Recipe, RecipeError
from train.fit.resuming import (
    ManifestCallback,
    check_same_run,
    had_stopped,
    last_whole_checkpoint,
    remember_run,
    remove_checkpoints,
    restore_best,
)
from train.fit.stream_splits import streaming_splits
from train.plots.figures import save_learning_curves


logger = logging.getLogger(__name__)

UAR_METRIC = Path(__file__).parents[1] / "metrics" / "uar"
TRAINER_FOLDER = "trainer"  # the Trainer's own checkpoints, for resuming
REFIT_FOLDER = "refit"  # in it, those of the training on all clips
STREAM_EVALUATIONS = 10  # in a training from a stream, which has no epochs

TRAINING_DEFAULTS = {
    "eval_strategy": "epoch",
    "per_device_eval_batch_size": 64,
    "save_strategy": "epoch",
    "logging_strategy": "epoch",
    "save_total_limit": 2,
    "train_sampling_strategy": "group_by_length",
    "remove_unused_columns": False,  # the collator needs them
    "label_names": ["labels"],
    "report_to": "none",
    "restore_callback_states_from_checkpoint": True,  # so that early stopping counts on
    "hub_strategy": "end",
    "ddp_timeout": 12 * 3600,  # seconds that other processes wait for the one that decodes
    "use_cpu": not torch.accelerator.is_available(),  # or the processes of torchrun would not know one another
    "dataloader_pin_memory": torch.accelerator.is_available(),
}


class SERTrainer(Trainer):
    """The Trainer with our loss, an order of clips that a resumed run repeats, and evaluation without augmentation.

    Args:
        eval_collator: makes batches without augmentation.
        epoch: which the order of clips and the training collator depend on.
    """

    def __init__(self, *args, eval_collator: BatchBuilder, epoch: Epoch, **kwargs):
        super().__init__(*args, **kwargs)
        self.eval_collator = eval_collator
        self.epoch = epoch
        self.add_callback(EpochCallback(epoch))
        self.add_callback(ManifestCallback)
        self.model_accepts_loss_kwargs = False  # compute_loss gives the mean of its batch

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool = False, **kwargs
    ) -> Any:
        """Cross-entropy over the labels that each utterance's corpus has; in training that of each part by itself."""
        outputs = model(inputs["input_features"], inputs["attention_mask"])
        judged = outputs.head_logits if model.training else outputs.logits[None]
        smoothing = self.args.label_smoothing_factor if model.training else 0.0
        loss = torch.stack([batch_loss(logits, inputs, smoothing) for logits in judged]).mean()
        return (loss, outputs) if return_outputs else loss

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Without the pickle of the arguments, which a push would send to the Hub: recipe.json tells the same."""
        super()._save(output_dir, state_dict)
        Path(output_dir or self.args.output_dir, TRAINING_ARGS_NAME).unlink(missing_ok=True)

    def _get_train_sampler(self, train_dataset: torch.utils.data.Dataset | None = None) -> Sampler | None:
        rows = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy != "group_by_length" or not isinstance(rows, UtteranceRows):
            return super()._get_train_sampler(train_dataset)
        batch_size = self.get_total_train_batch_size(self.args)
        return EpochSampler(batch_size, rows.columns["length"].tolist(), self.args.seed, self.epoch)

    def get_eval_dataloader(self, *args, **kwargs):  # noqa: ANN201 (as the Trainer's)
        with self._evaluation_settings():
            return super().get_eval_dataloader(*args, **kwargs)

    def get_train_dataloader(self) -> DataLoader:
        """The Trainer's; for a stream a plain one, because a stream gives each process rows of its own already."""
        if not isinstance(self.train_dataset, Stream):
            return super().get_train_dataloader()
        return DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def get_test_dataloader(self, *args, **kwargs):  # noqa: ANN201 (as the Trainer's)
        with self._evaluation_settings():
            return super().get_test_dataloader(*args, **kwargs)

    @contextmanager
    def _evaluation_settings(self) -> Iterator[None]:
        """No augmentation, and the rows in their order: sampling by length would shuffle the predictions as well."""
        training = self.data_collator, self.args.train_sampling_strategy
        self.data_collator, self.args.train_sampling_strategy = self.eval_collator, "random"
        try:
            yield
        finally:
            self.data_collator, self.args.train_sampling_strategy = training


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


def first_process_ahead(recipe: Recipe) -> AbstractContextManager:
    """Context that the first process of each machine goes through alone; the others find its work in the cache."""
    return training_arguments(recipe).main_process_first()


def training_arguments(recipe: Recipe, folder: Path = Path(), seed: int = 0, **overrides: Any) -> TrainingArguments:
    """The recipe's arguments of the Trainer, over our defaults and under some overrides; `folder` is the Trainer's."""
    check_tracking(recipe)
    check_push(recipe)
    best = {"load_best_model_at_end": recipe.early_stopping_patience > 0, "metric_for_best_model": "uar"}
    # Absolute, because checkpoints name one another, and a run may be resumed from another folder.
    output_dir = os.path.abspath(folder)
    defaults = TRAINING_DEFAULTS | (streaming_defaults(recipe) if recipe.streaming else {}) | best
    arguments = TrainingArguments(output_dir=output_dir, seed=seed, **(defaults | recipe.training | overrides))
    if arguments.bf16 and not has_bfloat16_lstm(arguments.device):
        raise RecipeError("training.bf16: this processor has no LSTM in bfloat16; leave it out, or train on a GPU.")
    if arguments.n_gpu > 1:  # DataParallel gathers along the first dimension, which is the heads' in head_logits
        logger.warning("One process trains on one GPU; for all: torchrun --nproc_per_node %d -m ...", arguments.n_gpu)
        arguments._n_gpu = 1
    return arguments


def has_bfloat16_lstm(device: torch.device) -> bool:
    """Whether an LSTM runs in bfloat16 there; on a CPU, oneDNN has one for some processors only (AVX-512)."""
    try:
        with torch.autocast(device.type, torch.bfloat16):
            torch.nn.LSTM(1, 1, device=device)(torch.zeros(1, 1, 1, device=device))
    except RuntimeError:
        return False
    return True


def streaming_defaults(recipe: Recipe) -> dict[str, Any]:
    """Arguments of the Trainer for a training that has steps and no epochs."""
    steps = max(1, recipe.training["max_steps"] // STREAM_EVALUATIONS)
    return {f"{name}_strategy": "steps" for name in ("eval", "save", "logging")} | {
        f"{name}_steps": steps for name in ("eval", "save", "logging")
    }


def check_tracking(recipe: Recipe) -> None:
    """Raise RecipeError where the recipe asks for a tracker that is not known or not installed."""
    asked = recipe.training.get("report_to") or "none"
    for name in [asked] if isinstance(asked, str) else asked:
        if name in ("none", "all"):
            continue
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise RecipeError(f"training.report_to: there is no tracker {name!r}; there are none, all, {known}.")
        if name not in get_available_reporting_integrations():
            raise RecipeError(f"training.report_to: {name} is not installed; try `pip install {name}`.")


def check_push(recipe: Recipe) -> None:
    """Raise RecipeError where a push to the Hub would fail after the training, or send what nobody should have."""
    asked = recipe.training
    if asked.get("hub_token"):
        raise RecipeError("training.hub_token would be stored with the checkpoint, for all to read; set HF_TOKEN.")
    if asked.get("push_to_hub") and not asked.get("hub_model_id"):
        raise RecipeError("training.push_to_hub needs to know where to: give training.hub_model_id=OWNER/NAME.")
    if asked.get("hub_strategy", "end") != "end":
        raise RecipeError("training.hub_strategy can only be end: the others send the Trainer's pickles to the Hub.")


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


def build_trainer(
    recipe: Recipe,
    model: SERForAudioClassification,
    extractor: SERFeatureExtractor,
    train: Dataset | Stream,
    validation: Dataset,
    arguments: TrainingArguments,
) -> SERTrainer:
    """The Trainer for a recipe's model and analysed utterances."""
    patience, epoch = recipe.early_stopping_patience, Epoch()
    rows, for_loss = training_rows(recipe, extractor, train, arguments, epoch)
    augmentation = Augmentation(**recipe.augmentation)
    return SERTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=UtteranceRows(validation),
        data_collator=BatchBuilder(extractor, augmentation, for_loss, arguments.seed, epoch),
        eval_collator=BatchBuilder(extractor),
        epoch=epoch,
        compute_metrics=uar_and_accuracy(),
        callbacks=[EarlyStoppingCallback(patience)] if patience > 0 else [],
    )


def training_rows(
    recipe: Recipe,
    extractor: SERFeatureExtractor,
    train: Dataset | Stream,
    arguments: TrainingArguments,
    epoch: Epoch,
) -> tuple[torch.utils.data.Dataset, list[str]]:
    """Rows to train on, from the cache, from a stream, or of changed waveforms; and what they have for the loss."""
    if isinstance(train, Stream):
        own = dataclasses.replace(train, rank=arguments.process_index, world_size=arguments.world_size)
        return own, train.analyse.loss_columns
    for_loss = loss_columns(train, recipe)
    columns = {"length": np.array(train["length"][:]), **for_loss}
    augmentation = WaveformAugmentation(**recipe.waveform_augmentation)
    if not augmentation.is_active:
        return UtteranceRows(train, columns), list(for_loss)
    return WaveformRows(train, columns, extractor, augmentation, arguments.seed, epoch), list(for_loss)


def uar_and_accuracy() -> Callable[[EvalPrediction], dict[str, float]]:
    """What the Trainer computes after each epoch, by the project's metric module."""
    uar = evaluate.load(str(UAR_METRIC))

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        predicted = prediction.predictions.argmax(-1)
        accuracy = float((predicted == prediction.label_ids).mean())
        return uar.compute(predictions=predicted, references=prediction.label_ids) | {"accuracy": accuracy}

    return compute


def loss_columns(dataset: Dataset, recipe: Recipe) -> dict[str, np.ndarray]:
    """What the recipe's loss wants of each utterance: a weight, the labels of its corpus, how frequent these are."""
    columns = {}
    if recipe.balance:
        columns["weight"] = balanced_weights(dataset, recipe.balance)
    if recipe.mask_labels:
        columns["allowed"] = allowed_labels(dataset)
    if recipe.logit_adjustment:
        columns["log_prior"] = recipe.logit_adjustment * log_priors(dataset)
    return columns


def balanced_weights(dataset: Dataset, properties: list[str]) -> np.ndarray:
    """Weight of each utterance, (utterances,), of mean 1: larger where its group is rare."""
    groups = dataset.select_columns(properties).to_pandas()
    sizes = groups.groupby(properties)[properties[0]].transform("size").to_numpy()
    weights = sizes**-BALANCE_POWER
    return (weights / weights.mean()).astype(np.float32)


def log_priors(dataset: Dataset) -> np.ndarray:
    """Logarithm of each label's share of the clips of each row's corpus, (rows, labels); 0 for a label it lacks."""
    table = clips_by_label(dataset)
    shares = table.div(table.sum(axis=1), axis=0)
    return np.log(shares.where(shares > 0, 1.0)).loc[dataset["corpus"][:]].to_numpy(np.float32)


def allowed_labels(dataset: Dataset, corpora: Sequence[str] | None = None) -> np.ndarray:
    """The labels that occur in a corpus, boolean (rows, labels), for each of `corpora`; by default each row's own."""
    occurs = clips_by_label(dataset) > 0
    return occurs.loc[dataset["corpus"][:] if corpora is None else corpora].to_numpy()


def clips_by_label(dataset: Dataset) -> pd.DataFrame:
    """How many clips of each label, as columns, there are of each corpus, as rows."""
    table = pd.crosstab(pd.Series(dataset["corpus"][:]), pd.Series(dataset["label"][:]))
    return table.reindex(columns=range(dataset.features["label"].num_classes), fill_value=0)


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
