"""Figures of a run or beside a checkpoint: what was measured, and the SHA-256 of the weights that it is about."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .files import WEIGHTS_FILE, digest


METRICS_FILE = "metrics.json"
WEIGHTS_SUM = "weights_sha256"  # its entry
NUMBER = (int, float)
KINDS = {  # of the entries that are read by name
    "protocol": str,
    "split": str,
    "command": str,
    "labels": list,
    "recipe": dict,
    "versions": dict,
    "parameters": int,
    "temperature": NUMBER,
    "clips": int,
    "speakers": int,
    "corpora": dict,
    "recall": dict,
    "confusion_matrix": list,
    "uar_by_language": dict,
    "uar_by_speaker": dict,
    "uar": NUMBER,
    "calibration_error": NUMBER,
    "cross_validation": dict,
}


class OtherWeightsError(ValueError):
    """Figures of other weights than those beside them."""


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a checkpoint's weights, as `sha256sum model.safetensors` prints it."""
    return digest(folder / WEIGHTS_FILE)


def read_metrics(folder: Path, required: Iterable[str] = (), *, name: str = METRICS_FILE) -> dict[str, Any]:
    """
    The content of a folder's metrics.json, or of another file of figures.

    Args:
        folder: of a run, or of a checkpoint; where it has weights, they are those that were measured.
        required: entries that the caller needs.
        name: of the file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged or lacks an entry; an OtherWeightsError where it is about other weights than those
            beside it.
    """
    path = folder / name
    metrics = read_object(path)
    if missing := [entry for entry in required if entry not in metrics]:
        raise ValueError(f"{path} lacks {', '.join(missing)}: evaluate the model again with this version.")
    for entry, kind in KINDS.items():
        if entry in metrics and not isinstance(metrics[entry], kind):
            raise ValueError(f"{path}: {entry} is {str(metrics[entry])[:40]!r}: evaluate the model again.")
    if (folder / WEIGHTS_FILE).is_file() and metrics.get(WEIGHTS_SUM) != weights_sha256(folder):
        raise OtherWeightsError(
            f"{path} is about other weights than {WEIGHTS_FILE} beside it: measure these, with `python -m train "
            f"evaluate {folder} --corpora ... --output DIR` (or robustness, adaptation), and copy {name} from there."
        )
    return metrics


def read_object(path: Path) -> dict[str, Any]:
    """
    The object in a JSON file.

    Raises:
        ValueError: it holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged, it is no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}, not the entries of an object.")
    return content
