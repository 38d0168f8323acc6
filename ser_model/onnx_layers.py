"""Parts exported in another form than PyTorch runs them: fewer and larger steps, which onnxruntime has quick code for.

Each gives what its counterpart gives; the tests compare them.
"""

import itertools
import math

import torch
from torch import nn

from .acoustics import framed, hann_window, length_mask, levels
from .feature_extraction_ser import SERFeatureExtractor
from .network_ser import MaskedLSTM


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


class Layout(nn.Module):
    """The sounds of a batch one behind the other: what is said of frames need not be said of padding.

    waveforms (batch, samples) and lengths (batch,) > `sound`, (1, samples), in which each item, as
    `acoustics.sound_interval` leaves it, begins at a multiple of the hop, and zeros as long as a frame reaches stand
    behind it; `positions`, (batch, frames), where its frames are among those of the sound, any behind its end; and the
    lengths that remain, (batch,).

    Args:
        extractor: whose settings are meant.
        reach: samples that a frame may look to either side.
    """

    def __init__(self, extractor: SERFeatureExtractor, reach: int):
        super().__init__()
        self.extractor = extractor
        self.gap = -(-reach // extractor.hop_length)  # hops

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, ...]:
        hop, (batch, samples) = self.extractor.hop_length, waveforms.shape
        # Integers of 32 bits and a product, for the sake of time; `where` takes thrice as long.
        waveforms = waveforms * (torch.arange(samples, dtype=torch.int32) < lengths[:, None])
        first, lengths = self.trimmed(waveforms, lengths.long())
        rows = framed(nn.functional.pad(waveforms, (0, hop - 1)), hop, hop)
        sounding, length = whole(lengths + hop - 1, hop), rows.shape[1]  # of each item, and of the batch, in hops
        kept = sounding + self.gap
        steps = torch.arange(length + self.gap)
        silence = batch * length  # index of a row of zeros
        sources = torch.arange(batch)[:, None] * length + first[:, None] + steps
        sources = torch.where(steps < sounding[:, None], sources, silence)
        rows = nn.functional.pad(rows.flatten(0, 1), (0, 0, 0, 1))
        chosen = at_true(sources, steps < kept[:, None])
        positions = (kept.cumsum(0) - kept)[:, None] + steps
        frames = (1 + whole(lengths, hop)).amax(0, keepdim=True)
        return (
            as_one(rows.index_select(0, chosen)),
            up_to(positions.minimum(kept.sum()), frames),
            lengths,
        )

    def trimmed(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """First hop of each item, and samples from there on that are left, (batch,) each."""
        if self.extractor.trim_db is None:
            return torch.zeros_like(lengths), lengths
        hop = self.extractor.hop_length
        decibels = levels(waveforms, self.extractor.n_fft, hop)
        decibels = decibels.masked_fill(~length_mask(1 + whole(lengths, hop), decibels.shape[1]), -math.inf)
        sounding = (decibels - decibels.amax(-1, keepdim=True) > -self.extractor.trim_db).int()
        first = sounding.argmax(-1).minimum(
            whole((lengths - 1).clamp(min=0), hop)
        )  # the last frame may begin at the end
        end = sounding.shape[1] - sounding.flip(-1).argmax(-1)
        return first, lengths.minimum(end * hop) - first * hop


def whole(dividends: torch.Tensor, divisor: int) -> torch.Tensor:
    """Quotients of numbers that are not negative, rounded down: one operator, where `//` is exported as eight."""
    return torch.div(dividends, divisor, rounding_mode="trunc")


# The next three are operators of ONNX, because the size of what they give depends on values. The sizes that they have
# for PyTorch are only the largest ones, so that they may stand at the end of a graph alone.


def at_true(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The values, (n,), at which a boolean mask of the same shape is true."""
    inputs = values.flatten(), mask.flatten()
    return torch.onnx.ops.symbolic("Compress", inputs, {"axis": 0}, dtype=values.dtype, shape=(values.numel(),))


def as_one(rows: torch.Tensor) -> torch.Tensor:
    """(n, size) > (1, n * size)."""
    shape = torch.tensor([1, -1])
    return torch.onnx.ops.symbolic("Reshape", (rows, shape), dtype=rows.dtype, shape=(1, rows.numel()))


def up_to(values: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """The columns before `end`, (1,), of (batch, columns)."""
    inputs = values, torch.zeros_like(end), end, torch.ones_like(end)
    return torch.onnx.ops.symbolic("Slice", inputs, dtype=values.dtype, shape=values.shape)


def folded_power_spectrogram(waveforms: torch.Tensor, n_fft: int, win_length: int, hop_length: int) -> torch.Tensor:
    """`acoustics.power_spectrogram` by products with cosines and sines.

    They take half the time of the operators DFT and STFT. The matrices are made when the graph is loaded, so that they
    take no space in the file.
    """
    size = win_length - 1  # the window's first sample weighs nothing, and those behind it are symmetric
    before = n_fft // 2 - (n_fft - win_length) // 2 - 1
    behind = size - before - n_fft % 2  # as many frames as are centred within the waveform
    even, odd = even_and_odd(framed(nn.functional.pad(waveforms, (before, behind)), size, hop_length))
    window = hann_window(win_length, win_length)[1 + size // 2 :, None]
    cosines, sines = folded_matrices(size, n_fft)
    return (even @ (cosines * window)).square() + (odd @ (sines * window)).square()


def even_and_odd(frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each sample from the middle of a frame on, the sum with and the difference to its mirror image.

    A product with cosines and one with sines then do what took a product of twice the size with both.
    """
    size = frames.shape[-1]
    later, earlier = frames[..., size // 2 :], frames[..., : size - size // 2].flip(-1)
    return later + earlier, later - earlier


def folded_matrices(size: int, n_fft: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines for [`even_and_odd`] of `size` samples, (size - size // 2, 1 + n_fft // 2) each.

    Their angles are those about the middle of the frame: a shift that all frames have in common.
    """
    twice_offsets = torch.arange(1 - size % 2, size, 2)  # integers, also where the middle is none
    cosines, sines = cosines_and_sines(twice_offsets, torch.arange(1 + n_fft // 2), 2 * n_fft)
    own_image = torch.where(twice_offsets == 0, 0.5, 1.0)[:, None]  # the middle sample of an odd number
    return cosines * own_image, sines


def cosines_and_sines(rows: torch.Tensor, columns: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of all products of two integers, as steps on a circle of `size`; float32 (rows, columns) each."""
    turns = (rows[:, None] * columns) % size  # exact: float angles grow too large
    angles = turns * (2 * math.pi / size)
    return angles.cos(), angles.sin()


def folded_lag_products(waveforms: torch.Tensor, window: int, longest: int, hop_length: int) -> torch.Tensor:
    """`frame_features.fourier_lag_products` by products with cosines and sines.

    The waveforms are cut into pieces as long as the window. Lags up to this length come of a piece and itself with
    the next, longer ones of the pieces behind (overlap-save: Oppenheim and Schafer, Discrete-Time Signal Processing).
    """
    count = longest // window + 1  # pieces that hold the beginnings of lags
    last = waveforms.shape[1] - window - longest  # where a window may begin
    frames = last // hop_length + 1
    waveforms = nn.functional.pad(waveforms, (0, (count + 1) * window))
    if window == hop_length:  # the pieces of a frame are the first of the following ones
        real, imaginary = spectra(framed(waveforms, window, hop_length))
        pieces = [(real[:, i : i + frames], imaginary[:, i : i + frames]) for i in range(count + 1)]
    else:
        starts = [waveforms[:, i * window :] for i in range(count + 1)]
        pieces = [spectra(framed(start, window, hop_length)[:, :frames]) for start in starts]
    first_real, first_imaginary = pieces[0]
    cosines, sines = inverse_matrices(window)
    signs = 1.0 - 2.0 * (torch.arange(window + 1) % 2)  # a piece's delay by half a transform
    products = []
    for i, ((real, imaginary), (next_real, next_imaginary)) in enumerate(itertools.pairwise(pieces)):
        real, imaginary = real + signs * next_real, imaginary + signs * next_imaginary
        in_phase = first_real * real + first_imaginary * imaginary
        across = first_real * imaginary - first_imaginary * real
        lags = min(window, longest + 1 - i * window)
        products.append(in_phase @ cosines[:, :lags] - across @ sines[:, :lags])
    return torch.cat(products, -1)


def spectra(pieces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Real and imaginary part of Fourier transforms of twice the length, (..., size + 1) each, of (..., size)."""
    size = pieces.shape[-1]
    even, odd = even_and_odd(pieces)
    cosines, sines = folded_matrices(size, 2 * size)
    return even @ cosines, odd @ -sines


def inverse_matrices(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the inverse of a real transform of twice the size, (size + 1, size) each."""
    cosines, sines = cosines_and_sines(torch.arange(size + 1), torch.arange(size), 2 * size)
    bins = torch.arange(size + 1)[:, None]
    weights = torch.where(bins % size == 0, 0.5 / size, 1 / size)  # every bin but the first and the last is two
    return cosines * weights, sines * weights
