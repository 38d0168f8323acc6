"""Writes a checkpoint as one ONNX file, from the waveform to the probabilities, features included.

waveforms, lengths > trimming > folded Fourier transform, pitch > SERFeatureExtractor.compose > SERNetwork > softmax

Needs onnx and onnxscript; a prediction from the file needs neither (see onnx_backend.py).
"""

import contextlib
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
from onnx import TensorProto, helper, numpy_helper
from onnxscript.optimizer import optimize_ir
from torch import nn

from .acoustics import FLOOR_DB, hann_window, length_mask, mel_filters, power_to_db
from .feature_extraction_ser import SERFeatureExtractor
from .frame_features import Sound, f0
from .network_ser import MaskedLSTM, SERNetwork
from .onnx_backend import INPUTS, LABELS_KEY, MASS_KEY, OUTPUTS, RATE_KEY, THRESHOLD_KEY
from .torch_backend import TorchBackend


OPSET = 23
SMALLEST_QUANTISED = 1024  # weights; below it int8 saves nothing that anybody would notice
GROUP = 16  # weights
INT8_LIMIT = 127


def not_exported(extractor: SERFeatureExtractor) -> list[str]:
    """Those of a checkpoint's features that cannot be exported."""
    return [name for name in extractor.frame_feature_names if name != "f0"]


class WaveformNetwork(nn.Module):
    """A checkpoint as one graph: waveforms (batch, samples) and lengths (batch,) > probabilities (batch, labels).

    Where the network measures the familiarity (batch,), it is a second output.

    Raises:
        ValueError: the checkpoint has features that cannot be exported.
    """

    def __init__(self, extractor: SERFeatureExtractor, network: SERNetwork):
        super().__init__()
        if others := not_exported(extractor):
            raise ValueError(
                f"The checkpoint's features {', '.join(others)} cannot be exported: only f0 and those made of the mel "
                "spectrogram can (mfcc, mfcc_delta, mfcc_delta2, log_mel, spectral_shape). Train without the others."
            )
        self.extractor = extractor
        self.network = network

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, ...]:
        extractor = self.extractor
        lengths = lengths.long()
        waveforms = waveforms.masked_fill(~length_mask(lengths, waveforms.shape[1]), 0.0)
        if extractor.trim_db is not None:
            waveforms, lengths = trimmed(waveforms, lengths, extractor)
        filters = mel_filters(
            extractor.sampling_rate, extractor.n_fft, extractor.n_mels, extractor.fmin, extractor.fmax
        )
        power = folded_power_spectrogram(waveforms, extractor)
        analysis = power_to_db(power @ filters)
        if extractor.frame_feature_names:
            sound = Sound(waveforms, power, extractor.sampling_rate, extractor.n_fft, extractor.hop_length)
            analysis = torch.cat([analysis, f0(sound, matrix_lag_products)], -1)
        inputs = extractor.compose_batch(analysis, 1 + lengths // extractor.hop_length)
        output = self.network(inputs["input_features"], inputs["attention_mask"])
        probabilities = output.logits.softmax(-1)
        return (probabilities,) if output.familiarity is None else (probabilities, output.familiarity)


class ExportedLSTM(nn.Module):
    """A [`MaskedLSTM`] as one LSTM operator of ONNX, whose `sequence_lens` do what the reversed positions do here."""

    def __init__(self, layer: MaskedLSTM):
        super().__init__()
        directions = [layer.forward_lstm, *([layer.backward_lstm] if layer.backward_lstm is not None else [])]
        self.units = layer.forward_lstm.hidden_size
        self.direction = "forward" if layer.backward_lstm is None else "bidirectional"
        self.residual = layer.residual
        biases = [torch.cat([in_onnx_order(lstm.bias_ih_l0), in_onnx_order(lstm.bias_hh_l0)]) for lstm in directions]
        self.register_buffer("weight", torch.stack([in_onnx_order(lstm.weight_ih_l0) for lstm in directions]))
        self.register_buffer("recurrent", torch.stack([in_onnx_order(lstm.weight_hh_l0) for lstm in directions]))
        self.register_buffer("bias", torch.stack(biases))

    def forward(self, hidden_states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, frames, _ = hidden_states.shape
        output = torch.onnx.ops.symbolic(
            "LSTM",
            (hidden_states.transpose(0, 1), self.weight, self.recurrent, self.bias, mask.sum(1).int()),
            {"hidden_size": self.units, "direction": self.direction},
            dtype=hidden_states.dtype,
            shape=(frames, len(self.weight), batch, self.units),
        )
        output = output.permute(2, 0, 1, 3).flatten(2)
        if self.residual:
            output = output + hidden_states
        return output * mask[..., None]


def in_onnx_order(parameter: torch.Tensor) -> torch.Tensor:
    """Rows of a parameter, by gates (input, forget, cell, output) in PyTorch, as (input, output, forget, cell)."""
    into, forget, cell, out = parameter.detach().chunk(4)
    return torch.cat([into, out, forget, cell])


def trimmed(
    waveforms: torch.Tensor, lengths: torch.Tensor, extractor: SERFeatureExtractor
) -> tuple[torch.Tensor, torch.Tensor]:
    """`acoustics.sound_interval` of each item of a batch, moved to its beginning, and the lengths that remain."""
    size, hop = extractor.n_fft, extractor.hop_length
    power = nn.functional.avg_pool1d(waveforms.square()[:, None], size, hop, padding=size // 2)[:, 0]
    decibels = power_to_db(power).clamp(min=FLOOR_DB)
    decibels = decibels.masked_fill(~length_mask(1 + lengths // hop, decibels.shape[1]), -math.inf)
    sounding = (decibels - decibels.amax(-1, keepdim=True) > -extractor.trim_db).int()
    first = sounding.argmax(-1).minimum((lengths - 1).clamp(min=0) // hop)  # the last frame may begin at the end
    end = sounding.shape[1] - sounding.flip(-1).argmax(-1)
    starts, ends = first * hop, lengths.minimum(end * hop)
    positions = starts[:, None] + torch.arange(waveforms.shape[1])
    moved = waveforms.gather(1, positions.clamp(max=waveforms.shape[1] - 1))
    return moved.masked_fill(~length_mask(ends - starts, waveforms.shape[1]), 0.0), ends - starts


def folded_power_spectrogram(waveforms: torch.Tensor, extractor: SERFeatureExtractor) -> torch.Tensor:
    """`acoustics.power_spectrogram` by two products: of each frame's even part with cosines, of its odd with sines.

    Even and odd are meant about the middle of the window, which is symmetric: a shift does not change the power. In
    onnxruntime this takes half the time of its operators DFT and STFT.
    """
    size, window = extractor.n_fft, extractor.win_length
    padded = nn.functional.pad(waveforms, (size // 2, size // 2))
    frames = padded.unfold(-1, size, extractor.hop_length)
    left, half = (size - window) // 2, window // 2
    later = frames[..., left + window - half : left + window]
    earlier = frames[..., left + 1 : left + half + 1].flip(-1)
    cosines, sines = fourier_matrices(size, window)
    return ((later + earlier) @ cosines).square() + ((later - earlier) @ sines).square()


def fourier_matrices(n_fft: int, win_length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Windowed cosines and sines, float32 (win_length // 2, 1 + n_fft // 2) each, of the samples behind the middle.

    The graph makes them when it is loaded, so that they take no space in the file.
    """
    half = win_length // 2
    twice_offsets = torch.arange(win_length - 2 * half, win_length, 2)  # integers, also where the middle is none
    turns = (twice_offsets[:, None] * torch.arange(1 + n_fft // 2)) % (2 * n_fft)  # exact: float angles grow too large
    angles = turns * (math.pi / n_fft)
    window = hann_window(win_length, win_length)[win_length - half :]
    window = torch.where(twice_offsets == 0, window / 2, window)  # the middle sample is its own counterpart
    return angles.cos() * window[:, None], angles.sin() * window[:, None]


def matrix_lag_products(frames: torch.Tensor, window: int, longest: int) -> torch.Tensor:
    """`frame_features.fourier_lag_products` by products with cosines and sines, made when the graph is loaded."""
    size = frames.shape[-1]
    cosines, sines = plain_fourier_matrices(size)
    first = frames[..., :window]
    first_real, first_imaginary = first @ cosines[:window], first @ sines[:window]
    real, imaginary = frames @ cosines, frames @ sines
    weights = torch.full((1 + size // 2,), 2 / size)  # every bin but the first and, of an even size, the last is two
    weights = torch.where(torch.arange(len(weights)) * 2 % size == 0, weights / 2, weights)
    in_phase = (first_real * real + first_imaginary * imaginary) * weights
    across = (first_real * imaginary - first_imaginary * real) * weights
    return in_phase @ cosines[: longest + 1].T + across @ sines[: longest + 1].T


def plain_fourier_matrices(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of all samples and bins, float32 (size, 1 + size // 2) each."""
    turns = (torch.arange(size)[:, None] * torch.arange(1 + size // 2)) % size  # exact, as in fourier_matrices
    angles = turns * (2 * math.pi / size)
    return angles.cos(), angles.sin()


def export_onnx(folder: Path, output: str | os.PathLike, *, int8: bool = False) -> None:
    """
    Write a checkpoint as an ONNX file.

    The graph takes `waveforms`, float32 (batch, samples) at 16 kHz, padded at the end, and `lengths`, int32 (batch,),
    in samples, none above that of the batch. It gives `probabilities`, float32 (batch, labels), calibrated, and
    where the checkpoint measures it `familiarity`, float32 (batch,), 0 to 1. NaN and infinite samples are the caller's
    to refuse. Labels, sampling rate and the thresholds of an answer are in the file's metadata.

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
    model = to_onnx(WaveformNetwork(backend.extractor, backend.network).eval())
    remove_traces(model)
    if int8:
        quantise_weights(model)
    helper.set_model_props(model, metadata(backend))
    onnx.checker.check_model(model, full_check=True)
    Path(output).write_bytes(model.SerializeToString())


def metadata(backend: TorchBackend) -> dict[str, str]:
    """What a file tells beside its graph."""
    return {
        LABELS_KEY: json.dumps(backend.labels),
        RATE_KEY: str(backend.extractor.sampling_rate),
        THRESHOLD_KEY: str(backend.rule.answer_threshold),
        MASS_KEY: str(backend.rule.candidate_mass),
    }


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


@torch.no_grad()
def to_onnx(network: WaveformNetwork) -> onnx.ModelProto:
    """The graph with free batch size and number of samples."""
    # An example with two items, because a batch of one would be built in; two seconds, so that no length is special.
    example = (torch.zeros(2, 32000), torch.tensor([32000, 16000], dtype=torch.int32))
    outputs = network(*example)  # fills caches, which must not meet the exporter's placeholders first
    encoder = network.network.encoder
    encoder.lstm_layers = nn.ModuleList(ExportedLSTM(layer) for layer in encoder.lstm_layers)
    with warnings.catch_warnings(), errors_only("torch.onnx", "onnx_ir"):
        warnings.simplefilter("ignore")  # of the exporter, on its own inner workings
        program = torch.onnx.export(
            network,
            example,
            input_names=INPUTS,
            output_names=OUTPUTS[: len(outputs)],
            dynamic_shapes={"waveforms": {0: "batch", 1: "samples"}, "lengths": {0: "batch"}},
            opset_version=OPSET,
            optimize=False,  # see below
            verbose=False,
        )
    # What the exporter would fold into larger constants is left to the loading: smaller, and weights keep their names.
    optimize_ir(program.model, output_size_limit=SMALLEST_QUANTISED)
    return program.model_proto


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
    """Whether an initial value is a large matrix of the network; features and functionals need their precision."""
    of_layer = weight.name.startswith("network.") and ".encoder.functionals." not in weight.name
    return of_layer and len(weight.dims) > 1 and math.prod(weight.dims) >= SMALLEST_QUANTISED
