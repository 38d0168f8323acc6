"""Acoustic features as batched torch functions; every one equals its librosa counterpart clip by clip.

Shapes are (batch, samples) for waveforms and (batch, frames, bins) for what is computed from them. A clip of
`length` samples has `1 + length // hop_length` frames, centred on multiples of the hop, as in librosa. Items of a
batch may differ in length: the caller passes the lengths, and nothing behind an item's end changes its values.
"""

import functools
import math

import numpy as np
import torch
from transformers.audio_utils import mel_filter_bank


LARGEST = torch.finfo(torch.float32).max  # of a setting, which a stranger may have written
FLOOR_DB = -100.0  # librosa.power_to_db's amin of 1e-10
LOWEST_POWER = 1e-20  # keeps the logarithm finite, and faint recordings apart from silence
DELTA_WIDTH = 9  # librosa.feature.delta's default window, in frames
ROLLOFF_SHARE = 0.85  # of the magnitude, as librosa's default
CONTRAST_GROUPS = 8  # of neighbouring mel bands
SPECTRAL_SHAPE_SIZE = 6 + CONTRAST_GROUPS
F0_SIZE = 2  # columns of the feature "f0": pitch and voicing
VOICING_FLOOR = 1e-3  # keeps the logarithm of the harmonicity finite
SUMMED_AT_ONCE = 16  # columns that an exported cumulative sum adds by one product


def length_mask(lengths: torch.Tensor, size: int) -> torch.Tensor:
    """Boolean mask (batch, size), True at the positions before each item's length."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def framed(waveforms: torch.Tensor, size: int, hop_length: int) -> torch.Tensor:
    """Frames (batch, frames, size) that begin at each multiple of the hop and end within the waveforms.

    An exported view of overlapping frames would be a look-up of each sample. Whole hops laid side by side are copies.
    """
    if not torch.compiler.is_exporting():
        return waveforms.unfold(-1, size, hop_length)
    frames = (waveforms.shape[1] - size) // hop_length + 1
    hops = -(-size // hop_length)  # that a frame touches
    padded = torch.nn.functional.pad(waveforms, (0, hop_length))[:, : (frames + hops - 1) * hop_length]
    rows = padded.unflatten(1, (frames + hops - 1, hop_length))
    parts = [rows[:, hop : hop + frames, : size - hop * hop_length] for hop in range(hops)]
    return torch.cat(parts, -1)


def cumulated(values: torch.Tensor) -> torch.Tensor:
    """Cumulative sum over the last dimension; exported as products with triangles of ones, a third of the time."""
    if not torch.compiler.is_exporting():
        return values.cumsum(-1)
    size = values.shape[-1]
    missing = -size % SUMMED_AT_ONCE
    blocks = torch.nn.functional.pad(values, (0, missing)) if missing else values
    blocks = blocks.unflatten(-1, (-1, SUMMED_AT_ONCE))
    within = blocks @ torch.ones(SUMMED_AT_ONCE, SUMMED_AT_ONCE).triu()
    before = blocks.sum(-1) @ torch.ones(blocks.shape[-2], blocks.shape[-2]).triu(1)
    sums = (within + before[..., None]).flatten(-2)
    return sums[..., :size] if missing else sums


def moving_sum(values: torch.Tensor, size: int, step: int = 1) -> torch.Tensor:
    """Sums of `size` neighbours, the first from each multiple of the step on; (batch, n) -> (batch, sums)."""
    return torch.nn.functional.conv1d(values[:, None], values.new_ones(1, 1, size), stride=step)[:, 0]


@functools.lru_cache(maxsize=32)
def hann_window(win_length: int, n_fft: int) -> torch.Tensor:
    """Periodic Hann window of `win_length` samples, zero-padded on both sides to `n_fft`, float32 (n_fft,)."""
    window = torch.hann_window(win_length, periodic=True)
    left = (n_fft - win_length) // 2
    return torch.nn.functional.pad(window, (left, n_fft - win_length - left))


@functools.lru_cache(maxsize=32)
def mel_filters(sampling_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> torch.Tensor:
    """Slaney mel filters as in `librosa.filters.mel`, float32 (1 + n_fft // 2, n_mels)."""
    filters = mel_filter_bank(
        num_frequency_bins=1 + n_fft // 2,
        num_mel_filters=n_mels,
        min_frequency=fmin,
        max_frequency=fmax,
        sampling_rate=sampling_rate,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(filters).float()


@functools.lru_cache(maxsize=32)
def dct_matrix(n_mels: int, n_mfcc: int) -> torch.Tensor:
    """Orthonormal DCT-II, float32 (n_mels, n_mfcc)."""
    positions = torch.arange(n_mels, dtype=torch.float64) + 0.5
    orders = torch.arange(n_mfcc, dtype=torch.float64)
    matrix = torch.cos(math.pi / n_mels * positions[:, None] * orders) * math.sqrt(2.0 / n_mels)
    matrix[:, 0] /= math.sqrt(2.0)
    return matrix.float()


def power_spectrogram(waveforms: torch.Tensor, n_fft: int, win_length: int, hop_length: int) -> torch.Tensor:
    """Power spectrogram (batch, frames, 1 + n_fft // 2) of zero-padded, centred frames.

    The samples behind an item's end must be zero. Framing and `rfft` are faster here than `torch.stft`.
    """
    padded = torch.nn.functional.pad(waveforms, (n_fft // 2, n_fft // 2))
    frames = padded.unfold(-1, n_fft, hop_length) * hann_window(win_length, n_fft).to(padded.device)
    # In place, because the squares are as large as all that a processor's cache holds.
    squares = torch.view_as_real(torch.fft.rfft(frames)).square_()
    return squares[..., 0] + squares[..., 1]  # a fifth of the time of abs().square()


def power_to_db(power: torch.Tensor) -> torch.Tensor:
    """Decibels relative to 1."""
    return power.clamp(min=LOWEST_POWER).log10_().mul_(10.0)


def clip_dynamic_range(decibels: torch.Tensor, mask: torch.Tensor | None, top_db: float) -> torch.Tensor:
    """Raise all values of an item to at most `top_db` below its own maximum over valid frames.

    Args:
        decibels: (batch, frames, bins).
        mask: boolean (batch, frames), True at valid frames; None if all are.
        top_db: dynamic range in dB.
    """
    peak = item_peak(decibels, mask)
    return torch.maximum(decibels, peak - top_db)


def item_peak(decibels: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Maximum of each item over its valid frames (all if there is no mask) and all bins, (batch, 1, 1)."""
    peaks = decibels.amax(-1)  # of each frame; both dimensions at once take ten times as long
    if mask is not None:
        peaks = peaks.masked_fill(~mask, -math.inf)
    return peaks.amax(-1)[:, None, None]


def mfcc_from_log_mel(log_mel: torch.Tensor, n_mfcc: int) -> torch.Tensor:
    """Cepstral coefficients (batch, frames, n_mfcc) of a log-mel spectrogram (batch, frames, n_mels) in dB.

    Each frame's mean, which only the first coefficient sees, is left out of the product: near silence it would cost
    float32 more than 1e-3 dB.
    """
    mean = log_mel.mean(-1, keepdim=True)
    share = log_mel.new_zeros(n_mfcc)
    share[0] = math.sqrt(log_mel.shape[-1])
    return (log_mel - mean) @ dct_matrix(log_mel.shape[-1], n_mfcc).to(log_mel) + mean * share


@functools.lru_cache(maxsize=32)
def band_centres(sampling_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> torch.Tensor:
    """Centre of each mel band in Hz, float32 (n_mels,): the mean frequency of its filter."""
    filters = mel_filters(sampling_rate, n_fft, n_mels, fmin, fmax)
    frequencies = torch.linspace(0, sampling_rate / 2, len(filters))
    return (frequencies @ filters) / filters.sum(0).clamp(min=1e-12)


def spectral_shape(log_mel: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """
    Shape of each frame's spectrum, of the mel bands, so that it follows whatever is done to them.

    Args:
        log_mel: (batch, frames, n_mels), in dB.
        centres: of the bands in Hz, (n_mels,).

    Returns:
        (batch, frames, SPECTRAL_SHAPE_SIZE): level in dB; centroid, bandwidth and rolloff in kHz, of the magnitudes;
        flatness, the mean of the decibels less the level; flux, the root mean square change of the decibels since the
        frame before; and the range in dB of each of CONTRAST_GROUPS groups of bands.
    """
    centres = centres / 1000
    magnitudes = (log_mel * (math.log(10) / 20)).exp()  # a quarter of the time of a power of 10
    shares = magnitudes / magnitudes.sum(-1, keepdim=True)
    level = power_to_db(magnitudes.square().mean(-1))
    centroid = (shares * centres).sum(-1)  # as a product it takes ten times as long in onnxruntime
    bandwidth = (shares * (centres - centroid[..., None]).square()).sum(-1).sqrt()
    below = (cumulated(shares) < ROLLOFF_SHARE).float().sum(-1).long().clamp(max=len(centres) - 1)
    flatness = log_mel.mean(-1) - level
    changes = torch.nn.functional.pad(log_mel[:, 1:] - log_mel[:, :-1], (0, 0, 1, 0))
    flux = changes.square().mean(-1).sqrt()
    one_of_each = torch.stack([level, centroid, bandwidth, centres[below], flatness, flux], -1)
    return torch.cat([one_of_each, ranges_of_groups(log_mel)], -1)


def ranges_of_groups(log_mel: torch.Tensor) -> torch.Tensor:
    """Range of each of CONTRAST_GROUPS groups of neighbouring bands, (batch, frames, CONTRAST_GROUPS)."""
    if log_mel.shape[-1] % CONTRAST_GROUPS == 0:  # all at once, a third of the time
        groups = log_mel.unflatten(-1, (CONTRAST_GROUPS, -1))
        return groups.amax(-1) - groups.amin(-1)
    groups = log_mel.tensor_split(CONTRAST_GROUPS, -1)
    return torch.stack([group.amax(-1) - group.amin(-1) for group in groups], -1)


@functools.lru_cache(maxsize=8)
def delta_kernel(order: int) -> tuple[float, ...]:
    """Savitzky-Golay kernel that `librosa.feature.delta` applies for the derivative of `order`: DELTA_WIDTH numbers.

    The least-squares polynomial of degree `order` over the window; its highest coefficient times order! is the
    derivative.
    """
    offsets = np.arange(DELTA_WIDTH) - DELTA_WIDTH // 2
    powers = offsets[:, None] ** np.arange(order + 1.0)
    return tuple((np.linalg.pinv(powers)[order] * math.factorial(order)).tolist())


def delta(features: torch.Tensor, lengths: torch.Tensor | None, order: int = 1) -> torch.Tensor:
    """Local derivative in time, as `librosa.feature.delta(..., order=order, mode="nearest")`.

    The first and the last valid frame are repeated beyond the edges, so that clips of any length have a derivative.

    Args:
        features: (batch, frames, bins).
        lengths: valid frames of each item, (batch,); None if all are.
        order: 1 for velocity, 2 for acceleration.
    """
    half, frames = DELTA_WIDTH // 2, features.shape[1]
    positions = torch.arange(-half, frames + half, device=features.device)
    if lengths is None:
        repeated = features.index_select(1, positions.clamp(0, frames - 1))
    else:
        indices = positions.clamp(min=0).expand(features.shape[0], -1).minimum(lengths[:, None] - 1)
        repeated = features.gather(1, indices[..., None].expand(-1, -1, features.shape[-1]))
    # A sum of shifted copies takes a quarter of the time of a product with the unfolded windows.
    derivative = torch.zeros_like(features)
    for start, weight in enumerate(delta_kernel(order)):
        derivative.add_(repeated[:, start : start + frames], alpha=weight)
    return derivative


def levels(waveforms: torch.Tensor, frame_length: int, hop_length: int) -> torch.Tensor:
    """Level of each frame in dB, (batch, frames), no less than FLOOR_DB.

    Frames share what they sum: the energies of the pieces that fit into both a frame and a hop.
    """
    piece, half = math.gcd(frame_length, hop_length), frame_length // 2
    pieces = (waveforms.shape[1] + 2 * half) // piece
    squares = torch.nn.functional.pad(waveforms, (half, half))[:, : pieces * piece].square()
    energies = squares.unflatten(1, (pieces, piece)).sum(-1)
    power = moving_sum(energies, frame_length // piece, hop_length // piece) / frame_length
    return power_to_db(power).clamp(min=FLOOR_DB)


def sound_interval(waveform: torch.Tensor, frame_length: int, hop_length: int, trim_db: float) -> tuple[int, int]:
    """First sample and end of a clip without the silence around it, as `librosa.effects.trim`.

    Silent are frames whose level is `trim_db` or more below that of the loudest frame. The loudest always remains.

    Args:
        waveform: (samples,).
        frame_length: samples over which the level is measured.
        hop_length: step from frame to frame in samples.
        trim_db: in dB.
    """
    decibels = levels(waveform[None], frame_length, hop_length)[0]
    sounding = torch.nonzero(decibels - decibels.max() > -trim_db)[:, 0]
    last_start = (len(waveform) - 1) // hop_length  # the last frame may be centred on the clip's end
    start, end = min(int(sounding[0]), last_start), int(sounding[-1]) + 1
    return start * hop_length, min(len(waveform), end * hop_length)
