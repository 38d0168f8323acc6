"""Fixtures that several rooms share."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from train.augment.voice import RATE, speech_like


LABELS = ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the code of checkpoints and metrics in one new folder, before any library reads where it is.

    Python looks for `transformers_modules` in the first such folder on its path, so that a process may have only one.
    """
    folder = tempfile.TemporaryDirectory(prefix="modules")
    config.add_cleanup(folder.cleanup)
    os.environ["HF_MODULES_CACHE"] = folder.name


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """One thread for torch: on few cores more of them stall one another."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded_torch():
    """The same random numbers for a test, whichever ran before; pytest-randomly seeds Python's and numpy's."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """Three seconds that the voice activity detector takes for speech, float32 (samples,) at 16 kHz."""
    return speech_like(3.0)


@pytest.fixture
def speech_file(tmp_path, speech) -> Path:
    """The same as a wav file."""
    path = tmp_path / "speech.wav"
    soundfile.write(path, speech, RATE)
    return path


def save_random_checkpoint(folder: Path, features: dict, network: dict) -> Path:
    """Write a checkpoint of random weights as `save_pretrained` does, from what its extractor and config are given."""
    from ser_model import SERConfig, SERFeatureExtractor, SERForAudioClassification

    torch.manual_seed(0)
    extractor = SERFeatureExtractor(**features)
    labels = {"id2label": dict(enumerate(LABELS)), "label2id": {label: index for index, label in enumerate(LABELS)}}
    model = SERForAudioClassification(SERConfig(feature_size=extractor.feature_size, **network, **labels)).eval()
    model.ser.set_feature_statistics(torch.randn(extractor.feature_size), torch.rand(extractor.feature_size) * 20 + 1)
    if directions := model.config.voice_directions:
        functionals = model.ser.encoder.functionals
        groups = functionals.groups()
        rows = [torch.linalg.qr(torch.randn(functionals.size, directions) * group[:, None])[0].T for group in groups]
        model.ser.set_voice_directions(torch.cat(rows))
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """Folder with a tiny checkpoint."""
    network = {
        "conv_channels": [12],
        "conv_kernel_sizes": [5],
        "conv_strides": [2],
        "lstm_sizes": [8, 8],
        "lstm_bidirectional": True,
        "pooling": "attention",
        "attention_heads": 2,
        "dense_sizes": [10],
        "temperature": 1.5,
    }
    features = {"feature_names": ["mfcc", "mfcc_delta"], "n_mfcc": 20}
    return save_random_checkpoint(tmp_path_factory.mktemp("checkpoint"), features, network)


@pytest.fixture(scope="session")
def corpora_root() -> Path:
    """Folder of the real corpora; the test is skipped where the environment does not name one."""
    root = os.environ.get("SER_CORPORA")
    if not root:
        pytest.skip("SER_CORPORA is not set: it names the folder of the real corpora")
    return Path(root)
