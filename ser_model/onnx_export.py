"""Writes a checkpoint as one ONNX file, from the waveform to the logits, features included.

waveforms, lengths > Layout > folded Fourier transform, pitch > SERFeatureExtractor.compose > SERNetwork

Needs onnx and onnxscript; a prediction from the file needs neither (see onnx_backend.py).
"""

import contextlib
import dataclasses
import json
import logging
import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper
from onnxscript.optimizer import optimize_ir
from torch import nn

from .acoustics import mel_filters, power_to_db
from .feature_extraction_ser import SERFeatureExtractor
from .files import WEIGHTS_FILE, digest
from .frame_features import Sound, f0, f0_size
from .network_ser import SERNetwork
from .onnx_backend import EXPONENT, LABELS_KEY, OUTPUTS, RATE_KEY, WEIGHTS_KEY
from .onnx_layers import ExportedLSTM, Layout, folded_lag_products, folded_power_spectrogram, whole
from .torch_backend import TorchBackend


OPSET = 23
LAID_OUT = ["sound", "positions", "remaining"]  # what stands between the two graphs
SMALLEST_QUANTISED = 1024  # weights; below it int8 saves nothing that anybody would notice
GROUP = 16  # weights
INT8_LIMIT = 127


def not_exported(extractor: SERFeatureExtractor) -> list[str]:
    """Those of a checkpoint's features that cannot be exported."""
    return [name for name in extractor.frame_feature_names if name != "f0"]


class SoundNetwork(nn.Module):
    """Features and network: output of [`Layout`] > logits (batch, labels) at a temperature of 1.

    Where the network measures the familiarity (batch,), it is a second output; the logits are multiplied by its power.
    """

    def __init__(self, extractor: SERFeatureExtractor, network: SERNetwork):
        super().__init__()
        self.extractor = extractor
        self.network = network
        self.network.classifier.temperature = 1.0
        encoder = self.network.encoder
        encoder.lstm_layers = nn.ModuleList(ExportedLSTM(layer) for layer in encoder.lstm_layers)

    def forward(self, sound: torch.Tensor, positions: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, ...]:
        extractor = self.extractor
        filters = mel_filters(
            extractor.sampling_rate, extractor.n_fft, extractor.n_mels, extractor.fmin, extractor.fmax
        )
        power = folded_power_spectrogram(sound, extractor.n_fft, extractor.win_length, extractor.hop_length)
        analysis = power_to_db(power @ filters)
        if extractor.frame_feature_names:
            sounds = Sound(sound, power, extractor.sampling_rate, extractor.n_fft, extractor.hop_length)
            analysis = torch.cat([analysis, f0(sounds, folded_lag_products)], -1)
        analysis = analysis[0].index_select(0, positions.flatten()).unflatten(0, positions.shape)
        inputs = extractor.compose_batch(analysis, 1 + whole(lengths, extractor.hop_length))
        output = self.network(inputs["input_features"], inputs["attention_mask"])
        return (output.logits,) if output.familiarity is None else (output.logits, output.familiarity)


def export_onnx(folder: Path, output: str | os.PathLike, *, int8: bool = False) -> None:
    """
    Write a checkpoint as an ONNX file.

    The graph takes `waveforms`, float32 (batch, samples) at 16 kHz, padded at the end, and `lengths`, int32 (batch,),
    in samples, none above that of the batch. It gives `logits`, float32 (batch, labels), whose softmax is calibrated
    after a division by the temperature, and where the checkpoint measures it `familiarity`, float32 (batch,), 0 to 1.
    NaN and infinite samples are the caller's to refuse. Labels, sampling rate, temperature and the thresholds of an
    answer are in the file's metadata, and so is the SHA-256 of the weights.

    Args:
        folder: of a checkpoint.
        output: the file to write.
        int8: store the network's weights as int8 with a scale for each group. They are multiplied out when the file
            is loaded, so the arithmetic remains float32, and an answer does not depend on its batch.

    Raises:
        OSError: no checkpoint, or the file cannot be written.
        ValueError: the checkpoint has features that cannot be exported.
    """
    backend = TorchBackend(folder)
    model = to_onnx(backend.extractor, backend.network)
    remove_traces(model)
    if int8:
        quantise_weights(model)
    helper.set_model_props(model, metadata(backend))
    onnx.checker.check_model(model, full_check=True)
    Path(output).write_bytes(model.SerializeToString())


def metadata(backend: TorchBackend) -> dict[str, str]:
    """Metadata of an exported file, beside its graph, each as JSON."""
    exponent = backend.network.classifier.familiarity_exponent
    answer = {"temperature": backend.temperature, EXPONENT: exponent, **dataclasses.asdict(backend.rule)}
    weights = digest(backend.folder / WEIGHTS_FILE)
    told = {LABELS_KEY: backend.labels, RATE_KEY: backend.extractor.sampling_rate, WEIGHTS_KEY: weights, **answer}
    return {name: json.dumps(value) for name, value in told.items()}


@contextlib.contextmanager
def errors_only(*names: str) -> Iterator[None]:
    """Context in which these loggers tell of errors alone: the exporter's tell of libraries that are not used."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def to_onnx(extractor: SERFeatureExtractor, network: SERNetwork) -> onnx.ModelProto:
    """The graph with free batch size and number of samples.

    Raises:
        ValueError: the extractor has features that cannot be exported.
    """
    if others := not_exported(extractor):
        raise ValueError(
            f"The checkpoint's features {', '.join(others)} cannot be exported: only f0 and those made of the mel "
            "spectrogram can (mfcc, mfcc_delta, mfcc_delta2, log_mel, spectral_shape). Train without the others."
        )
    # Two items, because a batch of one would be built in; lengths that nothing else has, so that none is special.
    lengths = torch.tensor([32000, 16000])
    layout = graph_of(
        Layout(extractor, reach_of(extractor)),
        (torch.zeros(2, 32000), lengths.int()),
        {"waveforms": {0: "batch", 1: "samples"}, "lengths": {0: "batch"}},
        LAID_OUT,
    )
    frames = 1 + int(lengths.max()) // extractor.hop_length
    positions = torch.zeros(2, frames, dtype=torch.long)
    sound_network = SoundNetwork(extractor, network)
    example = torch.zeros(1, 52000), positions, lengths
    outputs = OUTPUTS[: len(sound_network(*example))]  # this fills caches, which must not meet placeholders first
    of_sound = graph_of(
        sound_network,
        example,
        {"sound": {1: "laid_out"}, "positions": {0: "batch", 1: "frames"}, "lengths": {0: "batch"}},
        outputs,
    )
    layout = compose.add_prefix(layout, "layout.", rename_inputs=False, rename_outputs=False)
    return compose.merge_models(layout, of_sound, list(zip(LAID_OUT, ("sound", "positions", "lengths"), strict=True)))


def reach_of(extractor: SERFeatureExtractor) -> int:
    """Samples that the features of a frame look to either side."""
    pitch = f0_size(extractor.sampling_rate) if "f0" in extractor.feature_names else 0
    return max(extractor.n_fft, pitch) // 2 + 1


@torch.no_grad()
def graph_of(
    module: nn.Module, example: tuple, free: dict[str, dict[int, str]], outputs: list[str]
) -> onnx.ModelProto:
    """A module as a graph whose inputs have the names, and the sizes, of `free`."""
    with warnings.catch_warnings(), errors_only("torch.onnx", "onnx_ir", "onnxscript"):
        warnings.simplefilter("ignore")  # of the exporter, on its own inner workings
        program = torch.onnx.export(
            module,
            example,
            input_names=list(free),
            output_names=outputs,
            dynamic_shapes=free,
            opset_version=OPSET,
            optimize=False,  # see below
            verbose=False,
        )
        # Folding of constants into larger ones is left to the loading: the file is smaller, and weights keep their
        # names.
        optimize_ir(program.model, output_size_limit=SMALLEST_QUANTISED)
    model = program.model_proto
    del model.graph.value_info[:]  # sizes before the sounds are laid out
    return model


def remove_traces(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes on each node: stack traces with paths of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.ClearField("doc_string")


def quantise_weights(model: onnx.ModelProto) -> None:
    """Replace the network's large weights by int8 and a scale for each group of `GROUP` neighbours.

    On real clips the probabilities then move half as far as with one scale for each output channel.
    """
    graph = model.graph
    restoring = []
    for weight in [weight for weight in graph.initializer if is_quantised(weight)]:
        values = numpy_helper.to_array(weight)
        groups = values.reshape(-1, math.gcd(values.size, GROUP))
        scales = np.abs(groups).max(axis=1, keepdims=True) / INT8_LIMIT
        scales = np.where(scales > 0, scales, 1).astype(np.float32)
        integers, cast, scale, restored, shape = (
            f"{weight.name}.{part}" for part in ("int8", "cast", "scale", "restored", "shape")
        )
        graph.initializer.remove(weight)
        graph.initializer.append(numpy_helper.from_array(np.rint(groups / scales).astype(np.int8), integers))
        graph.initializer.append(numpy_helper.from_array(scales, scale))
        graph.initializer.append(numpy_helper.from_array(np.array(values.shape, np.int64), shape))
        restoring.append(helper.make_node("Cast", [integers], [cast], to=TensorProto.FLOAT))
        restoring.append(helper.make_node("Mul", [cast, scale], [restored]))
        restoring.append(helper.make_node("Reshape", [restored, shape], [weight.name]))
    nodes = [*restoring, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def is_quantised(weight: TensorProto) -> bool:
    """True if an initial value is a large matrix of the network; features and functionals need their precision."""
    of_layer = weight.name.startswith("network.") and ".encoder.functionals." not in weight.name
    return of_layer and len(weight.dims) > 1 and math.prod(weight.dims) >= SMALLEST_QUANTISED
