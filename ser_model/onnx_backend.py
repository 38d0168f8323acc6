"""Runs an exported checkpoint in onnxruntime, without PyTorch and transformers. See onnx_export.py for the file."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .answer_rule import AnswerRule
from .backend import Backend, BackendOutput
from .files import CONFIG_FILE, ONNX_FILE, WEIGHTS_FILE, digest
from .samples import SAMPLING_RATE


try:
    import onnxruntime
except ImportError as error:
    raise ImportError(
        "The backend 'onnx' needs onnxruntime, which is not installed: pip install onnxruntime, or use 'torch'."
    ) from error


MODEL_FILE = ONNX_FILE  # in a folder, or on the Hub
INPUTS = ["waveforms", "lengths"]
OUTPUTS = ["logits", "familiarity"]  # the second only where the checkpoint measures it
EXPONENT = "familiarity_exponent"  # in a configuration; the graph has it built in
LABELS_KEY, RATE_KEY, WEIGHTS_KEY = "labels", "sampling_rate", "weights_sha256"  # of the file's metadata
RULE_NAMES = tuple(field.name for field in dataclasses.fields(AnswerRule))  # as in a configuration
ERRORS_ONLY = 3  # onnxruntime's log level


class OnnxBackend(Backend):
    """
    From waveforms to the probabilities of the labels, and the familiarity.

    Beside the weights that the file was made from, their configuration says which temperature and thresholds an
    answer has, so that these can change without another file; alone the file says it.

    Args:
        path: the file, or a folder that holds it as model.onnx.
        num_threads: threads of onnxruntime; by default its own choice.

    Raises:
        OSError: no such file, one that is damaged or no exported checkpoint, or the weights beside it are others.
    """

    def __init__(self, path: Path, num_threads: int | None = None):
        path = model_file(path)
        self.folder = path.parent
        self.session = load_session(path, num_threads)
        metadata = self.session.get_modelmeta().custom_metadata_map
        if [entry.name for entry in self.session.get_inputs()] != INPUTS or WEIGHTS_KEY not in metadata:
            raise OSError(
                f"'{path}' is no exported checkpoint, or one of an older version: write it by `python -m ser_model "
                "export`."
            )
        settings = {name: json.loads(value) for name, value in metadata.items()}
        if settings[RATE_KEY] != SAMPLING_RATE:
            raise OSError(f"'{path}' works at {settings[RATE_KEY]} Hz; {SAMPLING_RATE} Hz are needed.")
        self.labels = tuple(settings[LABELS_KEY])
        settings |= settings_beside(path, settings[WEIGHTS_KEY], settings.get(EXPONENT, 0))
        check_numbers(settings, path)
        self.temperature = settings["temperature"]
        self.rule = answer_rule(settings)

    def run(self, waveforms: Sequence[np.ndarray]) -> BackendOutput:
        """Network output of mono waveforms (samples,) at 16 kHz."""
        lengths = np.array([len(checked(waveform)) for waveform in waveforms], np.int32)
        padded = np.zeros((len(waveforms), lengths.max()), np.float32)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = waveform
        logits, *familiarity = self.session.run(None, dict(zip(INPUTS, (padded, lengths), strict=True)))
        return BackendOutput(softmax(logits / np.float32(self.temperature)), *familiarity)


def settings_beside(path: Path, weights_digest: str, exponent: float) -> dict[str, Any]:
    """Temperature and answer rule in the configuration beside a file; empty where that or the weights are missing.

    Args:
        path: of the file.
        weights_digest, exponent: of the weights and the familiarity that are built into it.

    Raises:
        OSError: the weights beside it are others, or the familiarity is.
    """
    weights, config = path.with_name(WEIGHTS_FILE), path.with_name(CONFIG_FILE)
    if not (weights.is_file() and config.is_file()):
        return {}
    if digest(weights) != weights_digest:
        raise OSError(stale(path, f"other weights than those in '{weights}'"))
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
        told = {name: settings[name] for name in ("temperature", *RULE_NAMES) if name in settings}
        told_exponent = settings.get(EXPONENT, 0)
    except (ValueError, TypeError, AttributeError) as error:
        raise OSError(f"'{config}' is no JSON object: {error}.") from error
    if told_exponent != exponent:
        raise OSError(stale(path, f"another {EXPONENT} than that in '{config}'"))
    return told


def stale(path: Path, cause: str) -> str:
    """Error message for an exported file that its checkpoint has outlived."""
    return (
        f"'{path}' was made of {cause}: write it anew by `python -m ser_model export {path.parent} --output {path}`, "
        "or use the backend 'torch'."
    )


def check_numbers(settings: Mapping[str, Any], path: Path) -> None:
    """Raise OSError for a temperature or a threshold that cannot be, as [`SERConfig`] does."""
    highest = dict.fromkeys(RULE_NAMES, 1.0) | {"temperature": float(np.finfo(np.float32).max)}
    for name in settings.keys() & highest.keys():
        value = settings[name]
        is_number = isinstance(value, int | float) and 0 <= value <= highest[name]
        if not is_number or (name == "temperature" and value == 0):
            raise OSError(f"The settings of '{path}' are not valid: {name} is {value!r}.")


def answer_rule(settings: Mapping[str, Any]) -> AnswerRule:
    """The rule that settings have, by the names of its fields."""
    return AnswerRule(**{name: settings[name] for name in RULE_NAMES if name in settings})


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, (batch, labels)."""
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


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
