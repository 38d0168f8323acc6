"""From a table of utterances to what the Trainer takes: cached log-mel spectrograms, augmentation, padded batches."""

import functools
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, List, Value
from transformers import BatchFeature

from ser_model.acoustics import mel_filters
from ser_model.audio_io import load_audio
from ser_model.feature_extraction_ser import SERFeatureExtractor
from train.augmentation import Augmentation


logger = logging.getLogger(__name__)

STATISTICS_CLIPS = 2000  # enough for means and deviations of frames to within a per cent


def analysed(dataset: Dataset, extractor: SERFeatureExtractor, *, num_proc: int | None = None) -> Dataset:
    """
    Add each clip's log-mel spectrogram to a table of utterances.

    `datasets` stores the result in its cache (HF_DATASETS_CACHE) under a fingerprint of the clips and of the
    extractor's settings for this step, so that a second run, or another network on the same
    spectrogram, starts at once.

    Args:
        dataset: has a column `path`.
        extractor: its first step, [`SERFeatureExtractor.analyse`], is what is stored.
        num_proc: processes that decode; None for one.

    Returns:
        The dataset with `log_mel` (frames * n_mels values in dB, frame by frame) and `length` (frames).
    """
    if "log_mel" in dataset.column_names:
        return dataset  # part of a dataset that was analysed as a whole
    features = Features(dataset.features | {"log_mel": List(Value("float32")), "length": Value("int32")})
    return dataset.map(
        functools.partial(analyse_clip, extractor=analysis_only(extractor)),
        features=features,
        num_proc=num_proc if num_proc and num_proc > 1 else None,
        desc="Decoding clips and computing spectrograms",
    )


def analysis_only(extractor: SERFeatureExtractor) -> SERFeatureExtractor:
    """The extractor with only those settings that `analyse` depends on, so that others do not empty the cache."""
    names = ("sampling_rate", "n_mels", "n_fft", "win_length", "hop_length", "fmin", "fmax")
    return SERFeatureExtractor(n_mfcc=1, **{name: getattr(extractor, name) for name in names})


def analyse_clip(utterance: dict[str, Any], extractor: SERFeatureExtractor) -> dict[str, Any]:
    """Decode one utterance and compute its log-mel spectrogram."""
    waveform = torch.from_numpy(load_audio(utterance["path"], target_rate=extractor.sampling_rate))
    log_mel, lengths = extractor.analyse([waveform])
    return {"log_mel": log_mel[0].numpy().ravel(), "length": int(lengths[0])}


class BatchBuilder:
    """Collates rows of an analysed dataset into model inputs; training adds augmentation.

    Args:
        extractor: makes the features of the (augmented) spectrograms.
        augmentation: what to change; None at evaluation.
        extra_columns: numeric columns that the batch keeps beside features and labels.
    """

    def __init__(
        self,
        extractor: SERFeatureExtractor,
        augmentation: Augmentation | None = None,
        extra_columns: Sequence[str] = (),
    ):
        self.extractor = extractor
        self.augmentation = augmentation if augmentation and augmentation.is_active else None
        self.extra_columns = list(extra_columns)
        self.band_frequencies = band_centres(extractor)

    def __call__(self, rows: Sequence[dict[str, Any]]) -> BatchFeature:
        """Batch of `input_features`, `attention_mask`, `labels` and the extra columns."""
        log_mels = [self._log_mel(row["log_mel"]) for row in rows]
        lengths = torch.tensor([len(log_mel) for log_mel in log_mels])
        padded = torch.nn.utils.rnn.pad_sequence(log_mels, batch_first=True)
        batch = self.extractor.compose_batch(padded, lengths)
        batch["labels"] = torch.tensor([int(row["label"]) for row in rows])
        for name in self.extra_columns:
            batch[name] = torch.tensor(np.array([row[name] for row in rows]))
        return batch

    def _log_mel(self, stored: np.ndarray) -> torch.Tensor:
        log_mel = torch.from_numpy(np.array(stored, dtype=np.float32)).view(-1, self.extractor.n_mels)
        return self.augmentation(log_mel, self.band_frequencies) if self.augmentation else log_mel


def band_centres(extractor: SERFeatureExtractor) -> torch.Tensor:
    """Centre of each mel band in Hz, (n_mels,): the mean frequency of its filter."""
    filters = mel_filters(extractor.sampling_rate, extractor.n_fft, extractor.n_mels, extractor.fmin, extractor.fmax)
    frequencies = torch.linspace(0, extractor.sampling_rate / 2, len(filters))
    return (frequencies @ filters) / filters.sum(0).clamp(min=1e-12)


def feature_statistics(dataset: Dataset, extractor: SERFeatureExtractor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each feature over the frames of (a fixed sample of) the training clips."""
    step = max(1, len(dataset) // STATISTICS_CLIPS)
    builder = BatchBuilder(extractor)
    rows = dataset.select(range(0, len(dataset), step)).with_format("numpy")
    total, squares, frames = 0.0, 0.0, 0
    for start in range(0, len(rows), 64):
        batch = builder([rows[index] for index in range(start, min(start + 64, len(rows)))])
        valid = batch["input_features"][batch["attention_mask"].bool()].double()
        total, squares, frames = total + valid.sum(0), squares + valid.square().sum(0), frames + len(valid)
    mean = total / frames
    deviation = (squares / frames - mean.square()).clamp(min=1e-8).sqrt()
    return mean.float(), deviation.float()
