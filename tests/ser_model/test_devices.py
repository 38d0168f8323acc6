"""Features, functionals and network stay on the device that they are given, and answer there as on the CPU."""

import contextlib

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ser_model import SERFeatureExtractor
from ser_model.feature_extraction_ser import FEATURES
from ser_model.network_ser import SERNetwork
from ser_model.recognizer import PRETRAINED
from ser_model.torch_backend import TorchBackend, load_settings
from train.augment.voice import RATE, speech_like


class OneDevice(TorchDispatchMode):
    """Fails where an operator is given tensors of two devices, as a GPU does; single numbers may be of any."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.ndim > 0]
        assert len({tensor.device.type for tensor in tensors}) <= 1, f"{function} was given tensors of two devices"
        return function(*args, **(kwargs or {}))


def test_two_devices_are_noticed():
    with OneDevice(), pytest.raises(AssertionError, match="two devices"):
        torch.zeros(2, 3, device="meta") @ torch.zeros(3, 3)


@pytest.mark.parametrize("db_reference", ["absolute", "peak"])
def test_no_tensor_of_another_device_comes_into_features(db_reference):
    extractor = SERFeatureExtractor(FEATURES, db_reference=db_reference)
    waveforms = [torch.zeros(samples, device="meta") for samples in (RATE, RATE // 2)]
    with OneDevice():
        batch = extractor.compose_batch(*extractor.analyse(waveforms))
    assert {values.device.type for values in batch.values()} == {"meta"}
    assert batch["input_features"].shape == (2, 101, extractor.feature_size)


def test_no_tensor_of_another_device_comes_into_the_network(monkeypatch):
    monkeypatch.setattr("ser_model.functionals.without_autocast", contextlib.nullcontext)  # which meta does not know
    config, _ = load_settings(PRETRAINED)
    network = SERNetwork(config).eval().to("meta")
    features = torch.zeros(2, 101, config.feature_size, device="meta")
    with OneDevice():
        logits = network(features, torch.ones(2, 101, device="meta")).logits
    assert logits.device.type == "meta"
    assert logits.shape == (2, config.num_labels)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_answers_as_the_cpu_does():
    backend = TorchBackend(PRETRAINED)
    clips = [speech_like(seconds, seed=index) for index, seconds in enumerate(np.linspace(0.5, 4.0, 16))]
    results = {}
    for device in ("cpu", "cuda"):
        inputs = backend.extractor(clips, sampling_rate=RATE, return_tensors="pt", device=device)
        with torch.inference_mode():
            output = backend.network.to(device)(inputs["input_features"], inputs["attention_mask"])
        results[device] = [inputs["input_features"], output.encoded.functionals, output.logits]
        assert {result.device.type for result in results[device]} == {device}
    for expected, found, atol in zip(results["cpu"], results["cuda"], (1e-2, 1e-3, 1e-4), strict=True):
        torch.testing.assert_close(found.cpu(), expected, atol=atol, rtol=1e-4)
