"""Fixtures of the training side's tests."""

import os
from pathlib import Path

import pytest
import torch

from ser_model import SERForAudioClassification
from train.data import COMMON_LABELS
from train.fit.checkpoint import Checkpoint
from train.fit.recipe import Recipe


@pytest.fixture(scope="session")
def corpora_root() -> Path:
    """Folder of the real corpora, named by the environment variable SER_CORPORA."""
    if not os.environ.get("SER_CORPORA"):
        pytest.skip("SER_CORPORA does not name a folder of real corpora")
    return Path(os.environ["SER_CORPORA"])


@pytest.fixture(scope="session")
def tiny() -> Checkpoint:
    """A checkpoint of random weights that has heard two speakers of SAVEE."""
    labels = [label for label in COMMON_LABELS if label != "calm"]
    network = {"lstm_sizes": [8], "lstm_bidirectional": True, "pooling": "attention", "dense_sizes": [6]}
    merged = {"calm": "neutral", "boredom": None}
    recipe = Recipe("tiny", "A tiny one.", ["savee"], labels, merged, features={"n_mfcc": 13}, network=network)
    torch.manual_seed(1)
    model = SERForAudioClassification(recipe.config()).eval()
    model.ser.set_feature_statistics(torch.zeros(13), torch.full((13,), 20.0))
    return Checkpoint(model, recipe.feature_extractor(), recipe, 0, frozenset({"savee-DC", "savee-JE"}))
