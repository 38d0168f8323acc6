"""Fixtures of the training side's tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpora_root() -> Path:
    """Folder of the real corpora, named by the environment variable SER_CORPORA."""
    if not os.environ.get("SER_CORPORA"):
        pytest.skip("SER_CORPORA does not name a folder of real corpora")
    return Path(os.environ["SER_CORPORA"])
