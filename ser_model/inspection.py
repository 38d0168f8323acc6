"""A recording as the network gets it, and its attention to each moment."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .acoustics import sound_interval
from .backend import Backend
from .feature_extraction_ser import SERFeatureExtractor
from .samples import SAMPLING_RATE
from .torch_backend import TorchBackend


@dataclass(frozen=True)
class Inspection:
    """
    A recording as the network sees it.

    Attributes:
        log_mel: spectrogram in dB, float32 (frames, mel bands).
        mfcc: float32 (frames, coefficients).
        attention: weight of each moment, float32 (moments,), evenly spaced from `start` to `end`; they sum to 1. None
            where the network has no attention.
        start, end: the part that the network hears, in seconds; it leaves out silence at both ends where it was
            trained so.
    """

    log_mel: np.ndarray
    mfcc: np.ndarray
    attention: np.ndarray | None
    start: float
    end: float


@functools.lru_cache(maxsize=1)
def torch_backend(folder: Path) -> TorchBackend:
    """A checkpoint in PyTorch, which alone shows what is inside."""
    return TorchBackend(folder)


@torch.inference_mode()
def inspect(backend: Backend, waveform: np.ndarray) -> Inspection:
    """Inspection of a mono waveform at 16 kHz, float32 (samples,), by the network of `backend`.

    Raises:
        OSError: an exported file answers, and PyTorch's files are not beside it.
    """
    if not isinstance(backend, TorchBackend):
        backend = torch_backend(backend.folder)
    extractor = backend.extractor
    shown = SERFeatureExtractor(
        **{**extractor.to_dict(), "feature_names": ["log_mel", "mfcc"], "trim_db": None},
    )
    features = shown(waveform, return_tensors="np")["input_features"][0]
    inputs = extractor(waveform, return_tensors="pt")
    encoded = backend.network(inputs["input_features"], inputs["attention_mask"]).encoded
    attention = None if encoded.attentions is None else encoded.attentions[0].mean(0).numpy()
    start, end = 0, len(waveform)
    if extractor.trim_db is not None:
        samples = torch.from_numpy(waveform)
        start, end = sound_interval(samples, extractor.n_fft, extractor.hop_length, extractor.trim_db)
    return Inspection(
        log_mel=features[:, : shown.n_mels],
        mfcc=features[:, shown.n_mels :],
        attention=attention,
        start=start / SAMPLING_RATE,
        end=end / SAMPLING_RATE,
    )
