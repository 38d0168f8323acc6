"""Noise for spectrograms in training, as the power of each frame in each mel band: steady, of voices, of music.

Voices and music fill pauses with what sounds like speech itself, which steady noise does not prepare for.
"""

import math
from collections.abc import Sequence

import torch


COLOUR_DB = 6.0  # deviation of the steady noise's bands
# Power in a band fluctuates from frame to frame; a log-normal factor of 2 dB comes near a mel band's.
FLUCTUATION_DB = 2.0

TALKERS = (3, 8)  # voices of a babble: too many to follow one of them

INSTRUMENTS = (1, 4)
NOTE_FRAMES = (10, 100)
LOWEST_NOTE, OCTAVES = 80.0, 3.5  # Hz, and above it
HARMONICS = 16
SLOPE_DB = (3.0, 12.0)  # by which harmonics fall in an octave
DECAY_DB = (0.0, 1.0)  # by which a note falls in a frame
LEAKAGE = 0.1  # share of a harmonic's power in each of the neighbouring bands


def between(low: float, high: float) -> float:
    """A number drawn evenly from a range."""
    return low + (high - low) * float(torch.rand(()))


def add_noise(log_mel: torch.Tensor, noise_power: torch.Tensor, snr_db: float) -> torch.Tensor:
    """A spectrogram in dB (frames, bands) with noise of any level, set `snr_db` below the clip's mean power."""
    power = 10 ** (log_mel / 10)
    scale = power.mean() / noise_power.mean().clamp(min=torch.finfo(torch.float32).tiny)
    return 10 * torch.log10(power + noise_power * scale * 10 ** (-snr_db / 10))


def steady(frames: int, bands: int) -> torch.Tensor:
    """Stationary noise of a random smooth colour, (frames, bands)."""
    decibels = random_curves(1, bands, COLOUR_DB) + FLUCTUATION_DB * torch.randn(frames, bands)
    return 10 ** (decibels / 10)


def random_curves(count: int, bands: int, deviation: float, terms: int = 4) -> torch.Tensor:
    """Smooth random curves over the bands in dB, (count, bands), of a standard deviation: sums of a few cosines."""
    phases = math.pi * (torch.arange(bands) + 0.5) / bands * torch.arange(1, terms + 1)[:, None]
    return torch.randn(count, terms) @ phases.cos() * (deviation * math.sqrt(2 / terms))


def babble(frames: int, voices: Sequence[torch.Tensor]) -> torch.Tensor:
    """Several voices at once, equally loud, each from a random place in its clip; (frames, bands).

    Args:
        frames: length of the noise.
        voices: spectrograms of other clips in dB, (frames, bands) each, any number of frames; at least one.
    """
    chosen = torch.randperm(len(voices))[: int(torch.randint(TALKERS[0], TALKERS[1] + 1, ()))]
    powers = [10 ** (voices[index] / 10) for index in chosen.tolist()]
    return torch.stack([from_random_place(power / power.mean(), frames) for power in powers]).sum(0)


def from_random_place(power: torch.Tensor, frames: int) -> torch.Tensor:
    """`frames` frames from a random one on; the clip begins again where it ends."""
    start = int(torch.randint(len(power), ()))
    return power[(torch.arange(frames) + start) % len(power)]


def music(frames: int, band_frequencies: torch.Tensor) -> torch.Tensor:
    """A few instruments that play a note after the other, each with its harmonics; (frames, bands)."""
    power = torch.zeros(frames, len(band_frequencies))
    for _ in range(int(torch.randint(INSTRUMENTS[0], INSTRUMENTS[1] + 1, ()))):
        slope, decay = between(*SLOPE_DB), between(*DECAY_DB)
        start = 0
        while start < frames:
            length = int(torch.randint(*NOTE_FRAMES, ()))
            played = power[start : start + length]
            played += note(len(played), band_frequencies, slope, decay)
            start += length
    neighbours = torch.nn.functional.pad(power, (1, 1))
    return power + LEAKAGE * (neighbours[:, 2:] + neighbours[:, :-2])


def note(frames: int, band_frequencies: torch.Tensor, slope_db: float, decay_db: float) -> torch.Tensor:
    """One note of random pitch, (frames, bands): its harmonics fall with the octaves, and all of it with time."""
    fundamental = LOWEST_NOTE * 2 ** (OCTAVES * float(torch.rand(())))
    numbers = torch.arange(1, HARMONICS + 1)
    bands = torch.bucketize(numbers * fundamental, band_frequencies).clamp(max=len(band_frequencies) - 1)
    strengths = torch.zeros(len(band_frequencies)).index_add(0, bands, 10 ** (-slope_db * numbers.log2() / 10))
    return torch.outer(10 ** (-decay_db * torch.arange(frames) / 10), strengths)
