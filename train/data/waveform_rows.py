"""Training rows whose waveforms are augmented: changed anew for each epoch, or changed copies that are stored."""

import inspect
import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from datasets.fingerprint import Hasher

from ser_model.audio_io import load_audio
from ser_model.feature_extraction_ser import SERFeatureExtractor
from train.augment import waveform_augmentation, waveform_transforms
from train.augment.waveform_augmentation import WaveformAugmentation
from train.data.dataset import UtteranceRows, analysis_only
from train.data.feature_cache import ANALYSIS_FEATURES, computed_once, fingerprint
from train.data.randomness import Epoch, seeded


VOICES = 120  # training clips that babble is made of


class WaveformRows(UtteranceRows):
    """Rows of an analysed dataset with the analyses of changed clips.

    Changed anew, clips are decoded and not stored: that takes 1 to 5 ms a clip, where changing it takes 10 to 100.
    With `augmentation.copies`, so many changed copies of each clip are analysed once and found again in the cache.
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
        self.voices = babble_voices(self.paths) if augmentation.babble_probability else ()
        self.seed = seed
        self.epoch = epoch
        self.copies = [
            changed_copies(self.paths, self.extractor, augmentation, self.voices, (seed, number)).with_format("numpy")
            for number in range(augmentation.copies)
        ]

    def __getitems__(self, rows: list[int]) -> list[dict[str, Any]]:
        """Several rows at once, as a data loader asks for them."""
        items = super().__getitems__(rows)
        for row, item in zip(rows, items, strict=True):
            with seeded(self.seed, int(self.epoch), int(row)):
                if random.random() < self.augmentation.probability:
                    item["log_mel"] = self._changed_analysis(int(row))
        return items

    def _changed_analysis(self, row: int) -> np.ndarray:
        """Analysis of a changed clip, float32 (frames * analysis_size,)."""
        if self.copies:
            return random.choice(self.copies)[row]["log_mel"]
        return changed_analysis(self.paths[row], self.extractor, self.augmentation, self.voices)


def babble_voices(paths: Sequence[str]) -> tuple[str, ...]:
    """A fixed sample of the clips, evenly drawn."""
    step = -(-len(paths) // VOICES)
    return tuple(paths[::step])


def changed_analysis(
    path: str, extractor: SERFeatureExtractor, augmentation: WaveformAugmentation, voices: Sequence[str]
) -> np.ndarray:
    """Analysis of a clip as the global random numbers change it, float32 (frames * analysis_size,)."""
    waveform = load_audio(path, target_rate=extractor.sampling_rate)
    changed = torch.from_numpy(augmentation(waveform, extractor.sampling_rate, voices))
    return extractor.analyse([changed])[0][0].numpy().ravel()


def changed_copies(
    paths: Sequence[str],
    extractor: SERFeatureExtractor,
    augmentation: WaveformAugmentation,
    voices: Sequence[str],
    seeds: Sequence[int],
) -> Dataset:
    """Analyses of one changed copy of each clip, as `feature_cache.clip_analyses` gives those of the clips."""
    changes = replace(augmentation, probability=1.0, copies=1)  # how often copies are drawn changes none of them
    code = [inspect.getsource(module) for module in (waveform_augmentation, waveform_transforms)]
    name = Hasher.hash((changes, voices, seeds, code))
    return computed_once(
        changed_copy,
        paths,
        ANALYSIS_FEATURES,
        f"{fingerprint(paths, extractor)}_{name}",
        desc="Changing clips and computing spectrograms",
        extractor=extractor,
        augmentation=augmentation,
        voices=voices,
        seeds=seeds,
    )


def changed_copy(
    clip: Mapping[str, str],
    rank: int | None,
    extractor: SERFeatureExtractor,
    augmentation: WaveformAugmentation,
    voices: Sequence[str],
    seeds: Sequence[int],
) -> dict[str, object]:
    """One changed clip; `rank` is the number of the process, None in the only one."""
    if rank is not None:
        torch.set_num_threads(1)
    with seeded(*seeds, zlib.crc32(Path(clip["path"]).name.encode())):
        analysis = changed_analysis(clip["path"], extractor, augmentation, voices)
    return {"log_mel": analysis, "length": len(analysis) // extractor.analysis_size}
