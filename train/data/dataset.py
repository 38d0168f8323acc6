"""From a table of utterances to what the Trainer takes: cached analyses, augmentation, padded batches."""

import contextlib
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from transformers import BatchFeature

from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.functionals import follow, functionals_of
from train.augment.augmentation import Augmentation
from train.data.feature_cache import clip_analyses
from train.data.randomness import Epoch, seeded


logger = logging.getLogger(__name__)

READ_AT_ONCE = 64  # rows, one by one takes several times as long
VOICE_COLUMNS = ("speaker", "corpus")
LOUD_DB = 20.0  # below the loudest frame: what is fainter is a pause
STATISTICS_CLIPS = 2000  # enough for means and deviations of frames to within a per cent


def analysed(dataset: Dataset, extractor: SERFeatureExtractor, *, num_proc: int | None = None) -> Dataset:
    """
    Add each clip's log-mel spectrogram to a table of utterances, from the cache where it is there.

    Analyse a dataset before it is split: its parts, analysed one by one, would not share what is stored.

    Args:
        dataset: has a column `path`; returned as it is if it was analysed already.
        extractor: its first step, [`SERFeatureExtractor.analyse`], is what is stored.
        num_proc: processes that decode; None for as many as there are processors and work for.

    Returns:
        The dataset with `log_mel` (frames * analysis_size values, frame by frame) and `length` (frames).
    """
    if "log_mel" in dataset.column_names:
        return dataset  # part of a dataset that was analysed as a whole
    analyses = clip_analyses(dataset["path"][:], analysis_only(extractor), num_proc)
    # Datasets with a mapping of indices, as after a selection, would both be copied to be joined.
    return concatenate_datasets([dataset.flatten_indices(keep_in_memory=True), analyses], axis=1)


def analysis_only(extractor: SERFeatureExtractor) -> SERFeatureExtractor:
    """The extractor with only those settings that `analyse` depends on, so that others do not empty the cache."""
    names = ("sampling_rate", "n_mels", "n_fft", "win_length", "hop_length", "fmin", "fmax", "trim_db")
    settings = {name: getattr(extractor, name) for name in names}
    return SERFeatureExtractor(["log_mel", *extractor.frame_feature_names], n_mfcc=1, **settings)


class UtteranceRows(torch.utils.data.Dataset):
    """Rows of an analysed dataset as the collator takes them: analyses are read when asked for, the rest is in memory.

    Every row has `log_mel`, float32 (frames * analysis_size,), its `label`, and its number, `row`.

    Args:
        dataset: as [`analysed`] gives it.
        columns: further values of each row, (rows, ...).
    """

    def __init__(self, dataset: Dataset, columns: Mapping[str, np.ndarray] | None = None):
        # The other columns stay: a table that has lost those of a block does not reach workers that are not forked.
        self.analyses = dataset.with_format("numpy", columns=["log_mel"])
        self.columns = {"label": np.array(dataset["label"][:]), "row": np.arange(len(dataset)), **(columns or {})}

    def __len__(self) -> int:
        return len(self.analyses)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self), READ_AT_ONCE):
            yield from self.__getitems__(list(range(start, min(start + READ_AT_ONCE, len(self)))))

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: list[int]) -> list[dict[str, Any]]:
        """Several rows at once, as a data loader asks for them."""
        analyses = self.analyses[rows]["log_mel"]
        return [
            {"log_mel": log_mel} | {name: values[row] for name, values in self.columns.items()}
            for row, log_mel in zip(rows, analyses, strict=True)
        ]


class CroppedRows(UtteranceRows):
    """Rows of a dataset with a piece of each analysis around a louder frame, as if no more had been recorded.

    Args:
        dataset: as [`analysed`] gives it.
        seconds: length of the pieces; what is shorter stays as it is.
        extractor: that analysed the clips.
        seed: of the places, one for each clip.
    """

    def __init__(self, dataset: Dataset, seconds: float, extractor: SERFeatureExtractor, seed: int = 0):
        super().__init__(dataset)
        self.frames = round(seconds * extractor.sampling_rate / extractor.hop_length)
        self.analysis_size, self.n_mels = extractor.analysis_size, extractor.n_mels
        self.seed = seed

    def __getitems__(self, rows: list[int]) -> list[dict[str, Any]]:
        """Several rows at once, as a data loader asks for them."""
        return [
            item | {"log_mel": self._piece(row, item["log_mel"])}
            for row, item in zip(rows, super().__getitems__(rows), strict=True)
        ]

    def _piece(self, row: int, analysis: np.ndarray) -> np.ndarray:
        frames = analysis.reshape(-1, self.analysis_size)
        levels = frames[:, : self.n_mels].mean(1)
        loud = np.flatnonzero(levels > levels.max() - LOUD_DB)
        middle = np.random.default_rng((self.seed, row)).choice(loud)
        start = min(max(0, middle - self.frames // 2), max(0, len(frames) - self.frames))
        return frames[start : start + self.frames].ravel()


class BatchBuilder:
    """Collates rows of an analysed dataset into model inputs; training adds augmentation.

    Args:
        extractor: makes the features of the (augmented) spectrograms.
        augmentation: what to change; None at evaluation.
        extra_columns: numeric columns that the batch keeps beside features and labels.
        seed: of the augmentation.
        epoch: the running one; augmentation follows from it, the seed and the rows of the batch, `row`.
    """

    def __init__(
        self,
        extractor: SERFeatureExtractor,
        augmentation: Augmentation | None = None,
        extra_columns: Sequence[str] = (),
        seed: int = 0,
        epoch: Epoch | None = None,
    ):
        self.extractor = extractor
        self.augmentation = augmentation if augmentation and augmentation.is_active else None
        self.extra_columns = list(extra_columns)
        self.seed = seed
        self.epoch = epoch
        self.band_frequencies = extractor.band_centres

    def __call__(self, rows: Sequence[dict[str, Any]]) -> BatchFeature:
        """Batch of `input_features`, `attention_mask`, `labels` and the extra columns."""
        with self._randomness(rows):
            return self._batch(rows)

    def _randomness(self, rows: Sequence[dict[str, Any]]) -> contextlib.AbstractContextManager:
        """Context of a batch's random changes: apart from all others, and the same in any process and after a kill."""
        if self.epoch is None:
            return contextlib.nullcontext()
        return seeded(self.seed, int(self.epoch), *(int(row["row"]) for row in rows))

    def _batch(self, rows: Sequence[dict[str, Any]]) -> BatchFeature:
        analyses = [self._stored(row["log_mel"]) for row in rows]
        if self.augmentation:
            analyses = self.augmentation(analyses, self.band_frequencies)
        lengths = torch.tensor([len(analysis) for analysis in analyses])
        padded = torch.nn.utils.rnn.pad_sequence(analyses, batch_first=True)
        batch = self.extractor.compose_batch(padded, lengths)
        batch["labels"] = torch.tensor([int(row["label"]) for row in rows])
        for name in self.extra_columns:
            batch[name] = torch.tensor(np.array([row[name] for row in rows]))
        return batch

    def _stored(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(values, dtype=np.float32)).view(-1, self.extractor.analysis_size)


def sample_rows(dataset: Dataset) -> UtteranceRows:
    """A fixed sample of the training clips, evenly drawn, which statistics are measured on; with VOICE_COLUMNS."""
    step = max(1, len(dataset) // STATISTICS_CLIPS)
    sample = dataset.select(range(0, len(dataset), step))
    return UtteranceRows(sample, {name: np.unique(sample[name][:], return_inverse=True)[1] for name in VOICE_COLUMNS})


def unchanged_batches(
    rows: Iterable[Mapping[str, Any]], extractor: SERFeatureExtractor, extra_columns: Sequence[str] = ()
) -> Iterator[BatchFeature]:
    """Batches of rows with `log_mel`, `label` and the extra columns, without augmentation."""
    builder, rows = BatchBuilder(extractor, extra_columns=extra_columns), iter(rows)
    while chunk := list(itertools.islice(rows, READ_AT_ONCE)):
        yield builder(chunk)


def feature_statistics(batches: Iterable[BatchFeature]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each feature over the frames of all batches."""
    return mean_and_deviation(batch["input_features"][batch["attention_mask"].bool()] for batch in batches)


def functional_statistics(
    batches: Iterable[BatchFeature], functional_mfcc: int, pitch_gate_db: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each functional over the clips of all batches."""
    settings = functional_mfcc, pitch_gate_db
    return mean_and_deviation(
        functionals_of(follow(batch["input_features"], batch["attention_mask"].bool(), *settings)) for batch in batches
    )


def voice_directions(
    functionals: torch.Tensor, labels: torch.Tensor, speakers: torch.Tensor, corpora: torch.Tensor, count: int
) -> torch.Tensor:
    """
    The directions in which the voices of a corpus differ most, whatever they express.

    A voice differs by the mean, over the emotions that it expresses, of what it has more than its corpus in that one.
    Every voice counts the same; one with few clips also brings what their sentences differ in.

    Args:
        functionals: of utterances, in standard deviations, (utterances, functionals).
        labels, speakers, corpora: numbers, (utterances,) each.
        count: how many directions.

    Returns:
        Orthonormal rows (count, functionals), the first the largest; zeros where there are fewer voices.
    """
    differences = []
    for speaker in speakers.unique():
        own = speakers == speaker
        corpus = corpora == corpora[own][0]
        by_label = [
            functionals[own & (labels == label)].mean(0) - functionals[corpus & (labels == label)].mean(0)
            for label in labels[own].unique()
        ]
        differences.append(torch.stack(by_label).mean(0))
    stacked = torch.stack(differences)
    _, strengths, rows = torch.linalg.svd(stacked, full_matrices=False)
    rounding = strengths[0] * max(stacked.shape) * torch.finfo(stacked.dtype).eps
    directions = torch.zeros(count, functionals.shape[1])
    found = rows[strengths > rounding][:count]
    directions[: len(found)] = found
    return directions


def mean_and_deviation(parts: Iterable[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each column, (columns,), over the rows of all parts, (rows, columns) each."""
    total, squares, count = 0.0, 0.0, 0
    for part in parts:
        values = part.double()
        total, squares, count = total + values.sum(0), squares + values.square().sum(0), count + len(values)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=1e-8).sqrt()
    return mean.float(), deviation.float()
