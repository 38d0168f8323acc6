"""Augmentation of log-mel spectrograms in training: what another voice, room, microphone or speaking rate would do.

Everything works on the extractor's first step (dB per mel band), where a filter is an addition and a longer vocal
tract is a shift along the bands; it costs less than reading the clip. Random numbers come from torch's global
generator, which `BatchBuilder` seeds for each batch.

Further features of the first step follow what changes time (crop, speed, time masks). What else happens to the
spectrogram leaves them as they were measured. Noise, rooms and telephones reach all features: `waveform_augmentation`
changes the clip before anything is computed of it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch

from train.augment.limits import check_limits


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the changes to a training clip; a strength of 0 switches a change off.

    Args:
        speed: largest change of the speaking rate, as a share (0.1: 0.9 to 1.1 times as fast).
        vocal_tract: largest stretching of the frequency axis, as a share (Jaitly and Hinton 2013).
        tilt_db: deviation in dB of a random smooth curve over the bands: another microphone or room.
        crop: largest share of a clip that is cut off, in random parts from start and end.
        time_masks: number of masked stretches of frames (Park et al. 2019).
        time_mask_frames: longest masked stretch, in frames.
        frequency_masks: number of masked stretches of bands.
        frequency_mask_bands: widest masked stretch, in bands.
    """

    speed: float = 0.0
    vocal_tract: float = 0.0
    tilt_db: float = 0.0
    crop: float = 0.0
    time_masks: int = 0
    time_mask_frames: int = 20
    frequency_masks: int = 0
    frequency_mask_bands: int = 8

    def __post_init__(self):
        check_limits("augmentation", self, LIMITS)

    @property
    def is_active(self) -> bool:
        """True if anything is changed."""
        strengths = [entry.name for entry in fields(self) if entry.name not in RANGES]
        return any(getattr(self, name) for name in strengths)

    def __call__(self, analyses: Sequence[torch.Tensor], band_frequencies: torch.Tensor) -> list[torch.Tensor]:
        """Changed copies of a batch's analyses: log-mel spectrograms in dB, then further features.

        What is done to every clip is done to all at once: for tensors as small as a clip's, calls cost more than
        arithmetic.

        Args:
            analyses: (frames, columns) each.
            band_frequencies: centre of each band in Hz, (bands,); the first `bands` columns are the spectrogram.
        """
        spoken = self._spoken(analyses, band_frequencies)
        return [torch.cat(self._masked(*parts), -1) for parts in spoken]

    def _spoken(
        self, analyses: Sequence[torch.Tensor], band_frequencies: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Spectrograms and further features of other voices, at other rates, by other microphones."""
        count, bands = len(analyses), len(band_frequencies)
        frames, rows, weights = random_rows([len(analysis) for analysis in analyses], self.speed, self.crop)
        stacked = torch.cat(list(analyses))
        lower, upper = (stacked[:, :bands].index_select(0, beside) for beside in rows)
        log_mels = torch.lerp(lower, upper, weights[:, None])
        nearest = stacked[:, bands:][torch.where(weights < 0.5, *rows)]  # a pitch may begin or end: none in between
        torch.rand(count)  # used by nothing; without it no recorded result could be repeated
        curves = random_curves(count, bands, self.tilt_db)
        stretches = band_stretching(1 + uniform(self.vocal_tract, count), band_frequencies)
        for index, (log_mel, further) in enumerate(zip(log_mels.split(frames), nearest.split(frames), strict=True)):
            log_mel = log_mel @ stretches[index] if self.vocal_tract else log_mel
            yield log_mel + curves[index], further

    def _masked(self, log_mel: torch.Tensor, further: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both with stretches of frames, and the spectrogram with stretches of bands, replaced by their means."""
        fill, means = float(log_mel.mean()), further.mean(0)
        for _ in range(self.time_masks):
            hidden = random_stretch(len(log_mel), min(self.time_mask_frames, len(log_mel) // 4))
            log_mel[hidden], further[hidden] = fill, means
        for _ in range(self.frequency_masks):
            log_mel[:, random_stretch(log_mel.shape[1], self.frequency_mask_bands)] = fill
        return log_mel, further


LIMITS = {
    "speed": (0.0, 0.9),
    "vocal_tract": (0.0, 0.9),
    "tilt_db": (0.0, 100.0),
    "crop": (0.0, 0.9),
    "time_masks": (0, 100),
    "time_mask_frames": (0, 10_000),
    "frequency_masks": (0, 100),
    "frequency_mask_bands": (0, 1000),
}
# They act only with their number.
RANGES = ("time_mask_frames", "frequency_mask_bands")


def uniform(limit: float, count: int) -> torch.Tensor:
    """Numbers drawn evenly between -limit and limit, (count,)."""
    return limit * (2 * torch.rand(count) - 1)


def random_curves(count: int, bands: int, deviation: float, terms: int = 4) -> torch.Tensor:
    """Smooth random curves over the bands in dB, (count, bands), of a standard deviation: sums of a few cosines."""
    phases = math.pi * (torch.arange(bands) + 0.5) / bands * torch.arange(1, terms + 1)[:, None]
    return torch.randn(count, terms) @ phases.cos() * (deviation * math.sqrt(2 / terms))


def random_rows(
    lengths: Sequence[int], speed: float, crop: float
) -> tuple[list[int], tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
    """
    Which rows of a stack of clips are spoken at random other rates, after random parts at both ends were cut off.

    Args:
        lengths: frames of each clip in the stack.
        speed: largest change of the rate, as a share.
        crop: largest share that is cut off.

    Returns:
        New number of frames of each clip; for every new frame, one clip after the other, the rows below and above;
        and the weight of the upper one, (new frames,).
    """
    length = torch.tensor(lengths)
    removed = (crop * torch.rand(len(length)) * length).long()
    start = (torch.rand(len(length)) * (removed + 1)).long()
    kept = length - removed
    frames = (kept / (1 + uniform(speed, len(length)))).round().long().clamp(min=1)
    clip = torch.arange(len(length)).repeat_interleave(frames)
    frame = torch.arange(len(clip)) - (frames.cumsum(0) - frames)[clip]
    positions = start[clip] + frame * ((kept - 1) / (frames - 1).clamp(min=1))[clip]
    first = (length.cumsum(0) - length)[clip]
    lower = positions.floor().long().clamp(max=(length - 1)[clip])
    upper = (lower + 1).clamp(max=(length - 1)[clip])
    return frames.tolist(), (first + lower, first + upper), positions - lower


def band_stretching(factors: torch.Tensor, band_frequencies: torch.Tensor) -> torch.Tensor:
    """Matrices (clips, bands, bands) that move spectrograms (frames, bands) to frequencies higher by the factors.

    A longer vocal tract has a factor below 1. Values between bands are interpolated; beyond the ends the outermost.
    """
    bands = len(band_frequencies)
    sources = band_frequencies / factors[:, None]
    lower = torch.searchsorted(band_frequencies, sources).clamp(1, bands - 1) - 1
    below, above = band_frequencies[lower], band_frequencies[lower + 1]
    weights = ((sources - below) / (above - below)).clamp(0, 1)[:, None]
    matrices = torch.zeros(len(factors), bands, bands).scatter_(1, lower[:, None], 1 - weights)
    return matrices.scatter_(1, lower[:, None] + 1, weights)


def random_stretch(size: int, longest: int) -> slice:
    """One stretch of random place and length."""
    width = int(torch.randint(min(longest, size - 1) + 1, ()))
    start = int(torch.randint(size - width + 1, ()))
    return slice(start, start + width)
