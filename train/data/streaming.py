"""Training from a stream: tables with audio of any size, on the Hub or in a folder, never whole in memory or on disk.

Shards and a buffer are shuffled > clips are decoded, changed and analysed one by one > batches; pass after pass
"""

import itertools
import logging
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import IterableDataset
from datasets.distributed import split_dataset_by_node

from ser_model.audio_io import AudioError, load_audio
from ser_model.feature_extraction_ser import SERFeatureExtractor
from train.augment.waveform_augmentation import WaveformAugmentation
from train.data.randomness import seeded


logger = logging.getLogger(__name__)

SHUFFLE_BUFFER = 1000  # clips, as they are in their files


@dataclass(frozen=True)
class Analyser:
    """From a row with the bytes of a clip to what the collator takes.

    Attributes:
        extractor: its first step is what is computed.
        labels: of the model.
        label_map: emotion in a corpus -> emotion of the model.
        augmentation: of waveforms.
        seed: of the augmentation.
        weights: (corpus, label, speaker) -> weight in the loss, or None.
        allowed: corpus -> which labels it has, boolean (labels,), or None.
    """

    extractor: SERFeatureExtractor
    labels: Sequence[str]
    label_map: Mapping[str, str]
    augmentation: WaveformAugmentation
    seed: int
    weights: Mapping[tuple[str, str, str], float] | None = None
    allowed: Mapping[str, np.ndarray] | None = None

    @property
    def loss_columns(self) -> list[str]:
        """Names of the columns that rows have for the loss."""
        return [name for name, values in (("weight", self.weights), ("allowed", self.allowed)) if values is not None]

    def __call__(self, row: Mapping[str, Any], turn: int, *, training: bool) -> dict[str, Any] | None:
        """Row of pass number `turn`, changed if it is trained on; None, with a warning, for what is no recording."""
        number = zlib.crc32(row["audio"], turn)
        try:
            waveform = load_audio(row["audio"], target_rate=self.extractor.sampling_rate)
        except AudioError as error:
            logger.warning("%s of %s is left out: %s", row["path"], row["corpus"], error)
            return None
        if training:
            waveform = self._changed(waveform, number)
        analysis, lengths = self.extractor.analyse([torch.from_numpy(waveform)])
        label = self.label_map.get(row["label"], row["label"])
        result = {"log_mel": analysis[0].numpy().ravel(), "length": int(lengths[0]), "row": number}
        result["label"] = self.labels.index(label)
        if self.weights is not None:
            result["weight"] = np.float32(self.weights[row["corpus"], label, row["speaker"]])
        if self.allowed is not None:
            result["allowed"] = self.allowed[row["corpus"]]
        return result

    def _changed(self, waveform: np.ndarray, number: int) -> np.ndarray:
        if not self.augmentation.is_active:
            return waveform
        with seeded(self.seed, number):
            if random.random() < self.augmentation.probability:
                return self.augmentation(waveform, self.extractor.sampling_rate)
        return waveform


@dataclass
class Stream(torch.utils.data.IterableDataset):
    """Rows to train on, without an end: pass after pass over the tables, each in another order.

    Processes of a distributed training and workers of a data loader each take shards of their own.

    Attributes:
        rows: of the tables, those to train on only.
        analyse: applied to each of them.
        seed: of the order.
        speakers: who is heard.
        rank: number of this process in a distributed training.
        world_size: how many there are.
    """

    rows: IterableDataset
    analyse: Analyser
    seed: int
    speakers: frozenset[str]
    rank: int = 0
    world_size: int = 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for turn in itertools.count():
            yield from streamed(
                self.rows, self.analyse, turn, seed=self.seed, rank=self.rank, world_size=self.world_size
            )

    def unchanged(self) -> Iterator[dict[str, Any]]:
        """One pass without augmentation, the same in every process: what statistics are computed from."""
        return streamed(self.rows, self.analyse, 0, seed=self.seed, training=False)


def streamed(
    rows: IterableDataset,
    analyse: Analyser,
    turn: int,
    *,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    training: bool = True,
) -> Iterator[dict[str, Any]]:
    """
    One pass over rows with audio: shuffled, decoded and analysed one by one.

    Args:
        rows: as [`OpenTable.rows`] gives them.
        analyse: applied to each.
        turn: number of the pass; each has an order of its own.
        seed: of the order.
        rank: number of this process.
        world_size: number of processes; each gets other rows.
        training: whether clips are changed by augmentation.

    Yields:
        `log_mel`, float32 (frames * analysis_size,), `length` (frames), `label`, `row` (a number that stands for clip
        and pass), and what `analyse` adds for the loss.
    """
    own_rows = split_dataset_by_node(rows.shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER), rank, world_size)
    own_rows.set_epoch(turn)
    for row in own_rows:
        result = analyse(row, turn, training=training)
        if result is not None:
            yield result
