"""Training rows whose waveforms are augmented: decoded, changed and analysed anew, in the data loader's workers."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from ser_model.audio_io import load_audio
from ser_model.feature_extraction_ser import SERFeatureExtractor
from train.dataset import UtteranceRows, analysis_only
from train.randomness import Epoch, seeded
from train.waveform_augmentation import WaveformAugmentation


class WaveformRows(UtteranceRows):
    """Rows of an analysed dataset with the analyses of changed clips.

    Clips are decoded and not stored: that takes 1 to 5 ms a clip, where changing it takes 10 to 100.
    What a row gives follows from seed, epoch and row alone, so that the number of workers and processes is no matter.

    Args:
        dataset: as `analysed` gives it; with the clips' paths.
        columns: further values of each row, (rows, ...).
        extractor: analyses the changed clips.
        augmentation: how they are changed.
        seed: of the augmentation.
        epoch: the running one.
    """

    def __init__(
        self,
        dataset: Dataset,
        columns: Mapping[str, np.ndarray],
        extractor: SERFeatureExtractor,
        augmentation: WaveformAugmentation,
        seed: int,
        epoch: Epoch,
    ):
        super().__init__(dataset, columns)
        self.paths = dataset["path"][:]
        self.extractor = analysis_only(extractor)
        self.augmentation = augmentation
        self.seed = seed
        self.epoch = epoch

    def __getitems__(self, rows: list[int]) -> list[dict[str, Any]]:
        """Several rows at once, as a data loader asks for them."""
        items = super().__getitems__(rows)
        for row, item in zip(rows, items, strict=True):
            with seeded(self.seed, int(self.epoch), int(row)):
                if random.random() < self.augmentation.probability:
                    item["log_mel"] = self._changed_analysis(row)
        return items

    def _changed_analysis(self, row: int) -> np.ndarray:
        """Analysis of a changed clip, float32 (frames * analysis_size,)."""
        sampling_rate = self.extractor.sampling_rate
        waveform = load_audio(self.paths[row], target_rate=sampling_rate)
        changed = torch.from_numpy(self.augmentation(waveform, sampling_rate))
        return self.extractor.analyse([changed])[0][0].numpy().ravel()
