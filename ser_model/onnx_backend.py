"""Runs an exported checkpoint in onnxruntime, without PyTorch and transformers. See onnx_export.py for the file."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .answer_rule import ANSWER_THRESHOLD, CANDIDATE_MASS, AnswerRule
from .audio_io import SAMPLING_RATE
from .backend import Backend, BackendOutput


try:
    import onnxruntime
except ImportError as error:
    raise ImportError(
        "The backend 'onnx' needs onnxruntime, which is not installed: pip install onnxruntime, or use 'torch'."
    ) from error


MODEL_FILE = "model.onnx"  # in a folder, or on the Hub
FILES = (MODEL_FILE,)
INPUTS = ["waveforms", "lengths"]
OUTPUTS = ["probabilities", "familiarity"]  # the second only where the checkpoint measures it
LABELS_KEY, RATE_KEY = "labels", "sampling_rate"  # of the file's metadata
THRESHOLD_KEY, MASS_KEY = "answer_threshold", "candidate_mass"
ERRORS_ONLY = 3  # onnxruntime's log level


class OnnxBackend(Backend):
    """
    From waveforms to the probabilities of the labels, and the familiarity.

    Args:
        path: the file, or a folder that holds it as model.onnx.
        num_threads: threads of onnxruntime; by default its own choice.

    Raises:
        OSError: no such file, or one that is damaged or no exported checkpoint.
    """

    def __init__(self, path: Path, num_threads: int | None = None):
        path = model_file(path)
        self.session = load_session(path, num_threads)
        metadata = self.session.get_modelmeta().custom_metadata_map
        if [entry.name for entry in self.session.get_inputs()] != INPUTS or LABELS_KEY not in metadata:
            raise OSError(f"'{path}' is no exported checkpoint: one is written by `python -m ser_model export`.")
        if metadata[RATE_KEY] != str(SAMPLING_RATE):
            raise OSError(f"'{path}' works at {metadata[RATE_KEY]} Hz; {SAMPLING_RATE} Hz are needed.")
        self.labels = tuple(json.loads(metadata[LABELS_KEY]))
        self.rule = AnswerRule(
            float(metadata.get(THRESHOLD_KEY, ANSWER_THRESHOLD)), float(metadata.get(MASS_KEY, CANDIDATE_MASS))
        )

    def run(self, waveforms: Sequence[np.ndarray]) -> BackendOutput:
        """What the network makes of mono waveforms (samples,) at 16 kHz."""
        lengths = np.array([len(checked(waveform)) for waveform in waveforms], np.int32)
        padded = np.zeros((len(waveforms), lengths.max()), np.float32)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = waveform
        return BackendOutput(*self.session.run(None, dict(zip(INPUTS, (padded, lengths), strict=True))))


def model_file(path: Path) -> Path:
    """The file itself, or the one in a folder."""
    if path.is_dir():
        path /= MODEL_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file '{path}': write one by `python -m ser_model export CHECKPOINT --output {path.name}`."
        )
    return path


def load_session(path: Path, num_threads: int | None) -> onnxruntime.InferenceSession:
    """The file in onnxruntime, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
    try:
        return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common class but this
        raise OSError(f"'{path}' is no ONNX file that onnxruntime can load: {error}") from error


def checked(waveform: np.ndarray) -> np.ndarray:
    """The waveform itself, unless it is none: onnxruntime would answer it all the same."""
    if waveform.ndim != 1 or len(waveform) == 0 or not np.isfinite(waveform).all():
        raise ValueError(
            f"A mono waveform of shape (samples,) with finite samples is needed, got shape {waveform.shape}"
            f"{'' if np.isfinite(waveform).all() else ' with NaN or infinite samples'}."
        )
    return waveform
