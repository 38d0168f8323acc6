"""The transformers Trainer with the project's loss and order of clips, and the rows that it trains on."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler
from transformers import EarlyStoppingCallback, EvalPrediction, Trainer, TrainingArguments
from transformers.trainer import TRAINING_ARGS_NAME

from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.modeling_ser import SERForAudioClassification
from train.augment.augmentation import Augmentation
from train.augment.waveform_augmentation import WaveformAugmentation
from train.data.dataset import BatchBuilder, UtteranceRows
from train.data.randomness import Epoch, EpochCallback, EpochSampler
from train.data.streaming import Stream
from train.data.waveform_rows import WaveformRows
from train.fit.loss import batch_loss, loss_columns
from train.fit.recipe import Recipe
from train.fit.resuming import ManifestCallback


UAR_METRIC = Path(__file__).parents[1] / "metrics" / "uar"


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
    """Function for the Trainer's metrics after each epoch: UAR, by the project's metric module, and accuracy."""
    uar = evaluate.load(str(UAR_METRIC))

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        predicted = prediction.predictions.argmax(-1)
        accuracy = float((predicted == prediction.label_ids).mean())
        return uar.compute(predictions=predicted, references=prediction.label_ids) | {"accuracy": accuracy}

    return compute
