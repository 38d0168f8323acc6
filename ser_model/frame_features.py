"""Further features of each frame, beside the mel spectrogram: energy, shape of the spectrum, chroma and pitch.

Each equals its librosa counterpart, computed with frames of `n_fft` samples and librosa's defaults elsewhere, except
pitch, which is YIN by the original paper. Functions take the clips of a batch of one length, and return
(batch, frames, columns); frames are those of `acoustics.power_spectrogram`.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers.audio_utils import chroma_filter_bank

from .acoustics import F0_SIZE, ROLLOFF_SHARE, cumulated, framed, moving_sum, power_to_db


CROSSING_THRESHOLD = 1e-10  # samples between it and its negative have no sign
FLATNESS_FLOOR = 1e-10  # lowest power
CONTRAST_EDGES = (0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0)  # Hz; the last band ends with the spectrum
CONTRAST_SHARE = 0.02  # share of a band's bins that are its peak, and its valley
CONTRAST_FLOOR = 1e-10
CONTRAST_RANGE_DB = 80.0  # below the clip's highest peak, and its highest valley
CHROMA_BINS = 12
SMALLEST_NORMAL = torch.finfo(torch.float32).tiny

F0_RANGE = (60.0, 600.0)  # Hz
F0_WINDOW = 0.04  # seconds over which a period is compared with the next
F0_MARGIN = 0.07  # the first trough so close to the deepest is the period
F0_UNVOICED = 0.4  # without a trough below it a frame has no pitch


@dataclass
class Sound:
    """Clips of one length, and their spectrum.

    Attributes:
        waveforms: (batch, samples).
        power: power spectrogram (batch, frames, 1 + n_fft // 2).
        sampling_rate: Hz.
        n_fft: length of a frame in samples.
        hop_length: step from frame to frame in samples.
    """

    waveforms: torch.Tensor
    power: torch.Tensor
    sampling_rate: int
    n_fft: int
    hop_length: int

    @functools.cached_property
    def frames(self) -> torch.Tensor:
        """Samples of each frame without a window, (batch, frames, n_fft); zeros beyond the clip."""
        padded = torch.nn.functional.pad(self.waveforms, (self.n_fft // 2, self.n_fft // 2))
        return padded.unfold(-1, self.n_fft, self.hop_length)

    @functools.cached_property
    def magnitudes(self) -> torch.Tensor:
        """(batch, frames, 1 + n_fft // 2)."""
        return self.power.sqrt()

    @functools.cached_property
    def shares(self) -> torch.Tensor:
        """Magnitudes that sum to 1 in each frame, or are all zero; (batch, frames, 1 + n_fft // 2)."""
        return self.magnitudes / self.magnitudes.sum(-1, keepdim=True).clamp(min=SMALLEST_NORMAL)

    @functools.cached_property
    def frequencies(self) -> torch.Tensor:
        """Of each bin in Hz, (1 + n_fft // 2,)."""
        bins = torch.arange(self.power.shape[-1], dtype=torch.float32, device=self.power.device)
        return bins * (self.sampling_rate / self.n_fft)


def rms(sound: Sound) -> torch.Tensor:
    """Root of the mean square, as `librosa.feature.rms`."""
    return sound.frames.square().mean(-1, keepdim=True).sqrt()


def amplitude_envelope(sound: Sound) -> torch.Tensor:
    """Largest absolute sample."""
    return sound.frames.abs().amax(-1, keepdim=True)


def zero_crossing_rate(sound: Sound) -> torch.Tensor:
    """Share of the samples that have another sign than the one before, as `librosa.feature.zero_crossing_rate`.

    Beyond its ends the clip goes on with its first and last sample, so nothing crosses there.
    """
    negative = sound.waveforms < -CROSSING_THRESHOLD
    crossings = torch.nn.functional.pad(negative[:, 1:] != negative[:, :-1], (1, 0))
    padded = torch.nn.functional.pad(crossings, (sound.n_fft // 2, sound.n_fft // 2))
    return padded.unfold(-1, sound.n_fft, sound.hop_length)[..., 1:].sum(-1, keepdim=True) / sound.n_fft


def spectral_centroid(sound: Sound) -> torch.Tensor:
    """Mean frequency in Hz, weighted by magnitude, as `librosa.feature.spectral_centroid`."""
    return (sound.shares @ sound.frequencies)[..., None]


def spectral_bandwidth(sound: Sound) -> torch.Tensor:
    """Deviation from the centroid in Hz, weighted by magnitude, as `librosa.feature.spectral_bandwidth`."""
    deviations = sound.frequencies - spectral_centroid(sound)
    return (sound.shares * deviations.square()).sum(-1, keepdim=True).sqrt()


def spectral_rolloff(sound: Sound) -> torch.Tensor:
    """Frequency in Hz below which 85 % of the magnitude lies, as `librosa.feature.spectral_rolloff`."""
    cumulated = sound.magnitudes.cumsum(-1)
    below = cumulated < ROLLOFF_SHARE * cumulated[..., -1:]
    return below.sum(-1, keepdim=True) * (sound.sampling_rate / sound.n_fft)


def spectral_flatness(sound: Sound) -> torch.Tensor:
    """Geometric by arithmetic mean of the power, as `librosa.feature.spectral_flatness`: 1 for white noise."""
    power = sound.power.clamp(min=FLATNESS_FLOOR)
    return power.log().mean(-1, keepdim=True).exp() / power.mean(-1, keepdim=True)


def spectral_contrast(sound: Sound) -> torch.Tensor:
    """Peaks over valleys in dB of seven bands, as `librosa.feature.spectral_contrast` (Jiang et al. 2002)."""
    peaks, valleys = [], []
    for start, stop, count in contrast_bands(sound.sampling_rate, sound.n_fft):
        band = sound.magnitudes[..., start:stop]
        if count == 1:  # ten times as fast as topk
            peaks.append(band.amax(-1))
            valleys.append(band.amin(-1))
        else:
            peaks.append(band.topk(count, -1).values.mean(-1))
            valleys.append(band.topk(count, -1, largest=False).values.mean(-1))
    return contrast_db(torch.stack(peaks, -1)) - contrast_db(torch.stack(valleys, -1))


def contrast_db(magnitudes: torch.Tensor) -> torch.Tensor:
    """Decibels of magnitudes (batch, frames, bands), which librosa takes for powers here; clipped in each clip."""
    decibels = power_to_db(magnitudes.clamp(min=CONTRAST_FLOOR))
    return torch.maximum(decibels, decibels.amax((1, 2), keepdim=True) - CONTRAST_RANGE_DB)


@functools.lru_cache(maxsize=32)
def contrast_bands(sampling_rate: int, n_fft: int) -> list[tuple[int, int, int]]:
    """First bin and end of each band, and how many of its bins are its peak.

    Raises:
        ValueError: the spectrum ends below the last band, or its bins are too wide for the first one.
    """
    if CONTRAST_EDGES[-1] >= sampling_rate / 2 or sampling_rate / n_fft > CONTRAST_EDGES[1]:
        raise ValueError(
            f"spectral_contrast needs a sampling rate above {2 * CONTRAST_EDGES[-1]:.0f} Hz and an n_fft of at least "
            f"{sampling_rate / CONTRAST_EDGES[1]:.0f}; got {sampling_rate} Hz and {n_fft}."
        )
    frequencies = np.fft.rfftfreq(n_fft, 1 / sampling_rate)
    bands = []
    for low, high in itertools.pairwise((*CONTRAST_EDGES, math.inf)):
        within = np.flatnonzero((frequencies >= low) & (frequencies <= high))
        start, end = max(0, int(within[0]) - 1), int(within[-1]) + 1
        # librosa begins a band with the bin below it, and leaves the last one to the next band.
        stop = end if math.isinf(high) else end - 1
        bands.append((start, stop, max(1, round(CONTRAST_SHARE * (end - start)))))
    return bands


def chroma(sound: Sound) -> torch.Tensor:
    """Energy of the twelve pitch classes from C on, by the frame's largest, as `librosa.feature.chroma_stft`.

    Concert pitch is A4 = 440 Hz; librosa's default estimates the tuning of a piece of music, which a voice has not.
    """
    classes = sound.power @ chroma_filters(sound.sampling_rate, sound.n_fft).to(sound.power.device)
    largest = classes.amax(-1, keepdim=True)
    return classes / torch.where(largest < SMALLEST_NORMAL, 1.0, largest)


@functools.lru_cache(maxsize=32)
def chroma_filters(sampling_rate: int, n_fft: int) -> torch.Tensor:
    """Filters as in `librosa.filters.chroma`, float32 (1 + n_fft // 2, 12)."""
    return torch.from_numpy(chroma_filter_bank(n_fft, CHROMA_BINS, sampling_rate)).float().T.contiguous()


def fourier_lag_products(waveforms: torch.Tensor, window: int, longest: int, hop_length: int) -> torch.Tensor:
    """Sum of the products of `window` samples with those `lag` samples later, by Fourier transform.

    Args:
        waveforms: (batch, samples).
        window: samples, the first at each multiple of the hop.
        longest: lag in samples.
        hop_length: samples.

    Returns:
        For lags 0 to `longest`, (batch, windows, longest + 1).
    """
    frames = waveforms.unfold(-1, window + longest, hop_length)
    transform_size = 1 << (frames.shape[-1] - 1).bit_length()  # others take up to 40 times as long
    # No lagged product wraps around, because the window ends `longest` samples before the frame.
    spectra = torch.fft.rfft(frames[..., :window], transform_size).conj() * torch.fft.rfft(frames, transform_size)
    return torch.fft.irfft(spectra, transform_size)[..., : longest + 1]


LagProducts = Callable[[torch.Tensor, int, int, int], torch.Tensor]  # as fourier_lag_products


def f0(sound: Sound, lag_products: LagProducts = fourier_lag_products) -> torch.Tensor:
    """Pitch in Hz, 0 in unvoiced frames, and voicing between 0 and 1; YIN (de Cheveigne and Kawahara 2002).

    Each frame compares a window of 40 ms with itself one period later, for all periods of 60 to 600 Hz, by the
    cumulative mean normalised difference. The first trough that is no more than 0.07 above the deepest is the period:
    a margin above the deepest, and not above 0 as in the paper, serves breathy voices too, whose troughs are shallow.
    Voicing is 1 less the difference there; frames below 0.6 are unvoiced.
    """
    shortest, longest = f0_lags(sound.sampling_rate)
    differences = normalised_differences(sound, longest, lag_products)[..., shortest - 1 :]
    # Both neighbours are needed to tell a trough and to find its lowest point, so the outermost lags are none.
    left, middle, right = differences[..., :-2], differences[..., 1:-1], differences[..., 2:]
    bound = torch.minimum(torch.minimum(left, right), middle.amin(-1, keepdim=True) + F0_MARGIN)
    position = (middle <= bound).int().argmax(-1, keepdim=True)
    left, middle, right = (values.gather(-1, position) for values in (left, middle, right))
    curvature = left - 2 * middle + right
    shift = torch.where(curvature > 0, (left - right) / (2 * curvature.clamp(min=SMALLEST_NORMAL)), 0.0)
    pitch = sound.sampling_rate / (position + shortest + 1 + shift.clamp(-1, 1))
    voicing = (1 - middle).clamp(0, 1)
    return torch.cat([torch.where(voicing > 1 - F0_UNVOICED, pitch, 0.0), voicing], -1)


def f0_lags(sampling_rate: int) -> tuple[int, int]:
    """The shortest and the longest period in samples."""
    return int(sampling_rate / F0_RANGE[1]), -int(-sampling_rate // F0_RANGE[0])


def f0_size(sampling_rate: int) -> int:
    """Samples that the pitch of a frame is told by."""
    return round(F0_WINDOW * sampling_rate) + f0_lags(sampling_rate)[1]


def normalised_differences(sound: Sound, longest: int, lag_products: LagProducts) -> torch.Tensor:
    """Cumulative mean normalised difference of lags 1 to `longest`, (batch, frames, longest); 1 in silence.

    The window stands at the beginning of its frame and the longest lag behind it; frames are centred as the others.
    """
    window, hop_length, frames = round(F0_WINDOW * sound.sampling_rate), sound.hop_length, sound.power.shape[1]
    size = window + longest
    length = (frames - 1) * hop_length + size
    padded = torch.nn.functional.pad(sound.waveforms, (size // 2, length))[:, :length]
    # Windows that overlap by whole steps share their products, and shorter transforms take half the time.
    step = hop_length if window % hop_length == 0 else window
    products = lag_products(padded, step, longest, hop_length)
    products = sum(products[:, first : first + frames] for first in range(window // step))
    energies = framed(moving_energy(padded, window, math.gcd(window, hop_length)), longest + 1, hop_length)
    # In silence all are the smallest number, so that each is its mean; elsewhere it changes nothing.
    differences = (energies[..., :1] + energies - 2 * products)[..., 1:].clamp(min=SMALLEST_NORMAL)
    return differences / cumulated(differences) * torch.arange(1, longest + 1, device=padded.device)


def moving_energy(waveforms: torch.Tensor, window: int, piece: int) -> torch.Tensor:
    """Sum of the squares of `window` samples from each sample on, (batch, samples - window + 1).

    That is of whole pieces, less what the first has before the sample, and what the next has before the window's end.
    Sums from the waveform's beginning would need double precision.

    Args:
        waveforms: (batch, samples).
        window: samples.
        piece: samples that the window is a multiple of.
    """
    samples, pieces = waveforms.shape[1], waveforms.shape[1] // piece + 1
    squares = torch.nn.functional.pad(waveforms, (0, piece))[:, : pieces * piece].square()
    squares = squares.unflatten(1, (pieces, piece))
    before = torch.nn.functional.pad(cumulated(squares)[..., :-1], (1, 0))
    count = window // piece
    whole = moving_sum(squares.sum(-1), count)[:, :-1, None]
    energies = whole - before[:, :-count] + before[:, count:]
    return energies.flatten(1)[:, : samples - window + 1]


# Name -> columns, and what computes them. Analyses hold them in this order.
FRAME_FEATURES: dict[str, tuple[int, Callable[[Sound], torch.Tensor]]] = {
    "rms": (1, rms),
    "amplitude_envelope": (1, amplitude_envelope),
    "zero_crossing_rate": (1, zero_crossing_rate),
    "spectral_centroid": (1, spectral_centroid),
    "spectral_bandwidth": (1, spectral_bandwidth),
    "spectral_rolloff": (1, spectral_rolloff),
    "spectral_flatness": (1, spectral_flatness),
    "spectral_contrast": (len(CONTRAST_EDGES), spectral_contrast),
    "chroma": (CHROMA_BINS, chroma),
    "f0": (F0_SIZE, f0),
}


def frame_features(names: Sequence[str], sound: Sound) -> torch.Tensor:
    """Features by name, side by side, (batch, frames, columns)."""
    return torch.cat([FRAME_FEATURES[name][1](sound) for name in names], -1)
