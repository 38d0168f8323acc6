"""Names of the files of a checkpoint, and how they are told apart; none of what reads them is imported."""

import functools
import hashlib
from pathlib import Path


CONFIG_FILE = "config.json"
EXTRACTOR_FILE = "preprocessor_config.json"
WEIGHTS_FILE = "model.safetensors"
ONNX_FILE = "model.onnx"
TORCH_FILES = (CONFIG_FILE, EXTRACTOR_FILE, WEIGHTS_FILE)  # what PyTorch needs
CHECKPOINT_FILES = (*TORCH_FILES, ONNX_FILE)


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; computed once for as long as it stays as it is."""
    stat = path.stat()
    return _digest(path.absolute(), stat.st_ino, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _digest(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
