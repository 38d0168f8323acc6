"""Train a recipe: corpora to checkpoint, with the transformers Trainer."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pandas as pd
import torch
from datasets import Dataset, DatasetDict
from transformers import EarlyStoppingCallback, EvalPrediction, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.modeling_ser import SERForAudioClassification
from train.augmentation import Augmentation
from train.checkpoint import Checkpoint, save_checkpoint
from train.corpora import load_corpora
from train.corpora.splits import official_split, random_split
from train.dataset import BatchBuilder, analysed, feature_statistics
from train.evaluation import fit_temperature
from train.figures import save_learning_curves
from train.loss import masked_cross_entropy
from train.recipe import Recipe


logger = logging.getLogger(__name__)

UAR_METRIC = Path(__file__).parent / "metrics" / "uar"
TRAINER_FOLDER = "trainer"  # the Trainer's own checkpoints, for resuming
BALANCE_POWER = 0.5  # weights of rare groups grow with the root of their rarity; in full they overfit the rarest

TRAINING_DEFAULTS = {
    "eval_strategy": "epoch",
    "per_device_eval_batch_size": 64,
    "save_strategy": "epoch",
    "logging_strategy": "epoch",
    "save_total_limit": 2,
    "train_sampling_strategy": "group_by_length",
    "length_column_name": "length",
    "remove_unused_columns": False,  # the collator needs them
    "label_names": ["labels"],
    "report_to": "none",
    "dataloader_pin_memory": torch.cuda.is_available(),
}


class SERTrainer(Trainer):
    """The Trainer with our loss, and with a collator of its own for evaluation, which never augments."""

    def __init__(self, *args, eval_collator: BatchBuilder, **kwargs):
        super().__init__(*args, **kwargs)
        self.eval_collator = eval_collator
        self.model_accepts_loss_kwargs = False  # compute_loss gives the mean of its batch

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool = False, **kwargs
    ) -> Any:
        """Cross-entropy over the labels that each utterance's corpus has."""
        outputs = model(inputs["input_features"], inputs["attention_mask"])
        loss = masked_cross_entropy(
            outputs.logits,
            inputs["labels"],
            inputs.get("allowed"),
            inputs.get("weight"),
            self.args.label_smoothing_factor if model.training else 0.0,
        )
        return (loss, outputs) if return_outputs else loss

    def get_eval_dataloader(self, *args, **kwargs):  # noqa: ANN201 (as the Trainer's)
        with self._evaluation_settings():
            return super().get_eval_dataloader(*args, **kwargs)

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


def load_splits(recipe: Recipe, corpora_root: Path, seed: int) -> DatasetDict:
    """The recipe's utterances as train, validation and test, split as the recipe says."""
    dataset = load_corpora(recipe.corpora, corpora_root, labels=recipe.labels, label_map=recipe.label_map)
    return random_split(dataset, seed=seed) if recipe.split == "random" else official_split(dataset)


def fit(
    recipe: Recipe,
    splits: DatasetDict,
    output: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    num_proc: int | None = None,
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

    Returns:
        The checkpoint, its model's temperature fitted on validation utterances.
    """
    extractor = recipe.feature_extractor()
    train = analysed(with_loss_columns(splits["train"], recipe), extractor, num_proc=num_proc)
    validation = analysed(splits["validation"], extractor, num_proc=num_proc)
    set_seed(seed)
    model = SERForAudioClassification(recipe.config())
    model.ser.set_feature_statistics(*feature_statistics(train, extractor))
    trainer = build_trainer(recipe, model, extractor, train, validation, output, seed)
    last_checkpoint = get_last_checkpoint(output / TRAINER_FOLDER) if resume else None
    trainer.train(resume_from_checkpoint=last_checkpoint)
    write_history(trainer, recipe, output)
    calibrate(trainer, unheard_rows(validation, train))
    heard = frozenset(train["speaker"][:]) | frozenset(validation["speaker"][:])
    checkpoint = Checkpoint(model.eval(), extractor, recipe, seed, heard)
    if trainer.is_world_process_zero():
        save_checkpoint(checkpoint, output)
    return checkpoint


def build_trainer(
    recipe: Recipe,
    model: SERForAudioClassification,
    extractor: SERFeatureExtractor,
    train: Dataset,
    validation: Dataset,
    output: Path,
    seed: int,
) -> SERTrainer:
    """The Trainer for a recipe's model and analysed utterances."""
    stops_early = recipe.early_stopping_patience > 0
    settings = TRAINING_DEFAULTS | {"load_best_model_at_end": stops_early, "metric_for_best_model": "uar"}
    arguments = TrainingArguments(output_dir=str(output / TRAINER_FOLDER), seed=seed, **(settings | recipe.training))
    loss_columns = [name for name in ("weight", "allowed") if name in train.column_names]
    return SERTrainer(
        model=model,
        args=arguments,
        train_dataset=train.select_columns(["log_mel", "label", "length", *loss_columns]).with_format("numpy"),
        eval_dataset=validation.select_columns(["log_mel", "label"]).with_format("numpy"),
        data_collator=BatchBuilder(extractor, Augmentation(**recipe.augmentation), loss_columns),
        eval_collator=BatchBuilder(extractor),
        compute_metrics=uar_and_accuracy(),
        callbacks=[EarlyStoppingCallback(recipe.early_stopping_patience)] if stops_early else [],
    )


def uar_and_accuracy() -> Callable[[EvalPrediction], dict[str, float]]:
    """What the Trainer computes after each epoch, by the project's metric module."""
    uar = evaluate.load(str(UAR_METRIC))

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        predicted = prediction.predictions.argmax(-1)
        accuracy = float((predicted == prediction.label_ids).mean())
        return uar.compute(predictions=predicted, references=prediction.label_ids) | {"accuracy": accuracy}

    return compute


def with_loss_columns(dataset: Dataset, recipe: Recipe) -> Dataset:
    """Add each utterance's weight in the loss and the labels that its corpus has, where the recipe wants them."""
    if recipe.balance:
        dataset = dataset.add_column("weight", balanced_weights(dataset, recipe.balance).tolist())
    if recipe.mask_labels:
        dataset = dataset.add_column("allowed", allowed_labels(dataset).tolist())
    return dataset


def balanced_weights(dataset: Dataset, properties: list[str]) -> np.ndarray:
    """Weight of each utterance, (utterances,), of mean 1: larger where its group is rare."""
    groups = dataset.select_columns(properties).to_pandas()
    sizes = groups.groupby(properties)[properties[0]].transform("size").to_numpy()
    weights = sizes**-BALANCE_POWER
    return (weights / weights.mean()).astype(np.float32)


def allowed_labels(dataset: Dataset) -> np.ndarray:
    """The labels that occur in each utterance's corpus, boolean (utterances, labels)."""
    label_count = dataset.features["label"].num_classes
    table = pd.crosstab(pd.Series(dataset["corpus"]), pd.Series(dataset["label"]))
    occurs = table.reindex(columns=range(label_count), fill_value=0) > 0
    return occurs.loc[dataset["corpus"]].to_numpy()


def unheard_rows(validation: Dataset, train: Dataset) -> list[int]:
    """Validation utterances of speakers that training does not hear; all of them if there is no such speaker.

    On a voice that it knows, as those of TESS, a model is surer than on a new one, and rightly so.
    """
    heard = set(train["speaker"][:])
    rows = [row for row, speaker in enumerate(validation["speaker"][:]) if speaker not in heard]
    return rows or list(range(len(validation)))


def calibrate(trainer: SERTrainer, rows: list[int]) -> None:
    """Fit the temperature on some of the validation utterances, and keep it in the configuration."""
    if not rows:
        logger.warning("No validation utterances: the temperature stays 1, confidence is not calibrated.")
        return
    output = trainer.predict(trainer.eval_dataset.select(rows))
    temperature = fit_temperature(torch.from_numpy(output.predictions), torch.from_numpy(output.label_ids))
    trainer.model.config.temperature = trainer.model.classifier.temperature = temperature


def write_history(trainer: SERTrainer, recipe: Recipe, output: Path) -> None:
    """Write what was logged after each epoch, and draw it."""
    if trainer.is_world_process_zero():
        (output / "history.json").write_text(json.dumps(trainer.state.log_history, indent=1) + "\n")
        save_learning_curves(trainer.state.log_history, output / "learning_curves.png", recipe.name)
