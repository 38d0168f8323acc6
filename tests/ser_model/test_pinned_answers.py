"""The shipped checkpoint answers as it did, in any number of threads, in batches of any size, by both backends."""

import json

import numpy as np
import pytest
import torch

from scripts.pin_answers import PINNED, pinned_clips
from ser_model.files import WEIGHTS_FILE, digest
from ser_model.onnx_backend import OnnxBackend
from ser_model.recognizer import PRETRAINED
from ser_model.torch_backend import TorchBackend


CLOSE, CLOSE_ONNX = 1e-5, 1e-4


@pytest.fixture(scope="module")
def pinned() -> dict:
    return json.loads(PINNED.read_text())


@pytest.fixture(params=[1, 2])
def threads(request):
    """Threads of PyTorch for a test."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_the_pinned_answers_are_those_of_the_shipped_weights(pinned):
    shipped = digest(PRETRAINED / WEIGHTS_FILE)
    assert pinned["weights_sha256"] == shipped, "another checkpoint: python -m scripts.pin_answers"


@pytest.mark.parametrize("batch_size", [1, 5, 100])
@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_answers_are_the_pinned_ones(pinned, threads, kind, batch_size):
    backend = TorchBackend(PRETRAINED) if kind == "torch" else OnnxBackend(PRETRAINED, threads)
    clips = list(pinned_clips().values())
    batches = [clips[start : start + batch_size] for start in range(0, len(clips), batch_size)]
    answers = np.concatenate([backend.probabilities(batch) for batch in batches])
    expected = [[answer[label] for label in backend.labels] for answer in pinned["answers"].values()]
    np.testing.assert_allclose(answers, expected, atol=CLOSE if kind == "torch" else CLOSE_ONNX, rtol=0)
