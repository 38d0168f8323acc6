"""Functionals of an utterance: what the frames' features do over time, as one vector for a linear layer to read.

Moments, trends, autocorrelations and, above all, which features move together and which follow one another: the
correlations of all pairs, at once and 60 ms later (channel-delay correlations, Williamson et al. 2013). Classical
features of emotion (Eyben et al. 2016) are functionals, too; those of pairs are worth as much again, see
train/EXPERIMENTS.md. All of it is differentiable torch, in batches: padding changes nothing, and it is exported.
"""

import contextlib
from typing import NamedTuple

import torch
from torch import nn

from .acoustics import F0_SIZE, SPECTRAL_SHAPE_SIZE, VOICING_FLOOR


PITCH_REFERENCE = 180.0  # Hz, between men's voices and women's; pitch is in octaves from here
LARGEST_PITCH_STEP = 0.2  # octaves from frame to frame; what is larger is an error of the pitch
AUTOCORRELATION_LAGS = (3, 12, 25)  # frames
PAIR_LAG = 6  # frames
ROOM = max(AUTOCORRELATION_LAGS) + 1  # frames
VARIANCE_FLOOR = 1e-4  # dB, kHz and octaves squared: what moves less does not move
MOMENTS = 6  # of each track, and of pitch and harmonicity in voiced frames
STEPS, VOICED_STEPS = 6, 8  # numbers of each track's steps, and of pitch and rhythm
VOICED = 2 * MOMENTS + VOICED_STEPS  # numbers of voiced frames
FRAMES_PER_SECOND = 100  # of the features' default hop
MOST_VOICED = 2.5  # seconds: more voice does not make a recording more familiar
LEAST_FAMILIARITY = 0.02  # that lowers the confidence: less voice lowers it no further
FARTHEST = 5.0  # standard deviations


def functional_size(tracks: int) -> int:
    """How many functionals so many tracks have."""
    pairs = tracks * (tracks - 1) // 2 + tracks * tracks
    return (MOMENTS + STEPS + len(AUTOCORRELATION_LAGS)) * tracks + pairs + VOICED


def without_correlations(tracks: int) -> torch.Tensor:
    """Which functionals are no correlations, of two tracks or of one with itself; boolean (functionals,)."""
    left = torch.zeros(functional_size(tracks), dtype=torch.bool)
    left[: (MOMENTS + STEPS) * tracks] = left[-VOICED:] = True
    return left


def by_track_size(tracks: int) -> int:
    """How many functionals are [`without_correlations`]; arithmetic, which needs no tensors on the meta device."""
    return (MOMENTS + STEPS) * tracks + VOICED


def by_track(functionals: torch.Tensor, tracks: int) -> torch.Tensor:
    """The functionals that are [`without_correlations`], (batch, columns), of all, (batch, functionals).

    Slices, which are exported as they are; a boolean index is not.
    """
    return torch.cat([functionals[:, : (MOMENTS + STEPS) * tracks], functionals[:, -VOICED:]], -1)


def track_count(functional_mfcc: int) -> int:
    """How many tracks are followed: so many MFCC, the spectral shape, voicing and pitch."""
    return functional_mfcc + SPECTRAL_SHAPE_SIZE + F0_SIZE


class Followed(NamedTuple):
    """Tracks of utterances over time, and their statistics; frames have room behind the end for the largest lag.

    tracks: each in standard deviations from its mean in the utterance, 0 behind the end: a voice's own pitch and a
        microphone's own sound are not in them. (batch, frames, tracks).
    moments: of the tracks as they were, of their steps, and of pitch and harmonicity in voiced frames: three tuples of
        `MOMENTS` times (batch, columns).
    mean_steps: mean absolute steps, (batch, tracks).
    octaves: pitch, (batch, frames, 1).
    voiced: boolean (batch, frames, 1).
    level: in dB, (batch, frames).
    mask: boolean (batch, frames).
    """

    tracks: torch.Tensor
    moments: tuple[tuple[torch.Tensor, ...], ...]
    mean_steps: torch.Tensor
    octaves: torch.Tensor
    voiced: torch.Tensor
    level: torch.Tensor
    mask: torch.Tensor


def follow(
    input_features: torch.Tensor, mask: torch.Tensor, functional_mfcc: int, pitch_gate_db: float | None = None
) -> Followed:
    """
    Tracks of each utterance over time, normalised within the utterance, and their statistics.

    Args:
        input_features: (batch, frames, features), not normalised: MFCC, then `spectral_shape` and `f0`.
        mask: boolean (batch, frames), True at valid frames.
        functional_mfcc: how many of the MFCC are followed.
        pitch_gate_db: frames whose level is this much below the loudest frame's, in dB, have no pitch and no voicing:
            in a noisy recording these are the noise's. None: all frames have theirs.
    """
    # Room behind the end for the largest lag, so that a clip of a single frame has all functionals as well.
    input_features = nn.functional.pad(input_features, (0, 0, 0, ROOM))
    mask = nn.functional.pad(mask, (0, ROOM))
    shape_and_f0 = input_features[..., -(SPECTRAL_SHAPE_SIZE + F0_SIZE) :]
    shape, pitch, voicing = shape_and_f0.split([SPECTRAL_SHAPE_SIZE, 1, 1], -1)
    if pitch_gate_db is not None:
        heard = shape[..., :1] > loudest(shape[..., :1], mask) - pitch_gate_db
        pitch, voicing = pitch * heard, voicing * heard
    voiced = (pitch > 0) & mask[..., None]
    octaves = (pitch.clamp(min=1.0) / PITCH_REFERENCE).log2() * voiced
    tracks = smoothed(torch.cat([input_features[..., :functional_mfcc], shape, voicing, octaves], -1), mask)
    valid, voiced_valid = mask[..., None].to(tracks.dtype), voiced.to(tracks.dtype)
    step_valid = valid[:, 1:] * valid[:, :-1]
    steps = (tracks[:, 1:] - tracks[:, :-1]) * step_valid
    harmonicity = (voicing.clamp(min=VOICING_FLOOR) / (1 - voicing + VOICING_FLOOR)).log()
    # All moments at once, because on a processor it is the number of operations that takes the time.
    count = tracks.shape[-1]
    each = [
        valid.expand(-1, -1, count),
        with_one_more(step_valid).expand(-1, -1, count),
        voiced_valid.expand(-1, -1, 2),
    ]
    everything = torch.cat([tracks, with_one_more(steps), octaves, harmonicity], -1)
    all_moments, deviations = moments_over_time(everything, torch.cat(each, -1))
    moments = tuple(zip(*(moment.split([count, count, 2], -1) for moment in all_moments), strict=True))
    mean_steps = mean_over_time(steps.abs(), step_valid)
    return Followed(deviations[..., :count], moments, mean_steps, octaves, voiced, shape[..., 0], mask)


def functionals_of(followed: Followed) -> torch.Tensor:
    """Functionals of each utterance as a whole, (batch, functional_size(tracks))."""
    tracks, (moments, step_moments, voiced_moments) = followed.tracks, followed.moments
    valid = followed.mask[..., None].to(tracks.dtype)
    columns = [
        *moments,
        *step_moments[1:],
        followed.mean_steps,
        *(autocorrelation(tracks, valid, lag) for lag in AUTOCORRELATION_LAGS),
        pair_correlations(tracks, valid),
        delayed_correlations(tracks, valid),
        *voiced_moments,
        pitch_and_rhythm(followed.octaves, followed.voiced, followed.level, followed.mask),
    ]
    return torch.cat(columns, -1)


def with_one_more(steps: torch.Tensor) -> torch.Tensor:
    """Steps from frame to frame, (batch, frames - 1, columns), with a frame more."""
    return nn.functional.pad(steps, (0, 0, 0, 1))


def loudest(level: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Level of each item's loudest valid frame, (batch, 1, 1), of (batch, frames, 1)."""
    return level.masked_fill(~mask[..., None], -torch.inf).amax(1, keepdim=True)


def smoothed(tracks: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of each valid frame and its valid neighbours, (batch, frames, tracks); zero behind the end."""
    valid = mask[..., None].to(tracks.dtype)
    padded, counted = nn.functional.pad(tracks * valid, (0, 0, 1, 1)), nn.functional.pad(valid, (0, 0, 1, 1))
    sums = padded[:, 2:] + padded[:, 1:-1] + padded[:, :-2]
    return sums / (counted[:, 2:] + counted[:, 1:-1] + counted[:, :-2]).clamp(min=1) * valid


def mean_over_time(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean over valid frames, (batch, columns), of (batch, frames, columns); 0 without any."""
    return (values * valid).sum(1) / valid.sum(1).clamp(min=1)


def moments_over_time(values: torch.Tensor, valid: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """
    How values are distributed and where they go.

    Args:
        values: (batch, frames, columns).
        valid: 1 at the frames that count, (batch, frames, columns), or (batch, frames, 1) for all columns.

    Returns:
        Mean, standard deviation, skewness, kurtosis, slope and curvature, (batch, columns) each; and the values as
        deviations from their mean in standard deviations, 0 where a frame does not count.
    """
    mean = mean_over_time(values, valid)
    centred = (values - mean[:, None]) * valid
    deviation = (mean_over_time(centred.square(), valid) + VARIANCE_FLOOR).sqrt()
    deviations = centred / deviation[:, None]
    times = torch.arange(values.shape[1], device=values.device, dtype=values.dtype)[None, :, None]
    times = times - mean_over_time(times, valid)[:, None]
    times = times / mean_over_time(times.square(), valid).clamp(min=1.0).sqrt()[:, None]
    squares = deviations.square()
    products = (squares * deviations, squares.square(), deviations * times, deviations * (times.square() - 1))
    higher = mean_over_time(torch.stack(products, 2), valid[:, :, None])
    return [mean, deviation, *higher.unbind(1)], deviations


def autocorrelation(deviations: torch.Tensor, valid: torch.Tensor, lag: int) -> torch.Tensor:
    """Correlation of each track with itself `lag` frames later, (batch, tracks)."""
    return mean_over_time(deviations[:, lag:] * deviations[:, :-lag], valid[:, lag:] * valid[:, :-lag])


def pair_correlations(deviations: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Correlation of each track with each later one, (batch, pairs)."""
    matrices = deviations.transpose(1, 2) @ deviations / valid.sum(1)[..., None].clamp(min=1)
    tracks = deviations.shape[-1]
    first, second = torch.triu_indices(tracks, tracks, 1, device=deviations.device)
    return matrices.flatten(1).index_select(1, first * tracks + second)


def delayed_correlations(deviations: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Correlation of each track with each one PAIR_LAG frames later, (batch, tracks * tracks)."""
    earlier, later = deviations[:, :-PAIR_LAG], deviations[:, PAIR_LAG:]
    both = (valid[:, :-PAIR_LAG] * valid[:, PAIR_LAG:]).sum(1)[..., None]
    return (earlier.transpose(1, 2) @ later / both.clamp(min=1)).flatten(1)


def pitch_and_rhythm(
    octaves: torch.Tensor, voiced: torch.Tensor, level: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """
    How unsteady the voice is, and how it alternates with pauses.

    Args:
        octaves: pitch, (batch, frames, 1).
        voiced: boolean (batch, frames, 1).
        level: in dB, (batch, frames).
        mask: boolean (batch, frames).

    Returns:
        (batch, VOICED_STEPS): mean and deviation of the steps of pitch within voiced stretches (as jitter), mean step
        of the level there (as shimmer), share of voiced frames, voiced stretches in a second, frames in a stretch,
        length in seconds and its logarithm.
    """
    within = (voiced[:, 1:] & voiced[:, :-1]).to(octaves.dtype)
    steps = (octaves[:, 1:] - octaves[:, :-1]).abs().clamp(max=LARGEST_PITCH_STEP)
    jitter = mean_over_time(steps, within)
    jitter_deviation = (mean_over_time((steps - jitter[:, None]).square(), within) + 1e-8).sqrt()
    shimmer = mean_over_time((level[:, 1:] - level[:, :-1]).abs()[..., None], within)
    frames = mask.sum(1, keepdim=True).to(octaves.dtype)
    voiced_frames = voiced.sum(1).to(octaves.dtype)
    stretches = (voiced[:, 1:] & ~voiced[:, :-1]).sum(1).to(octaves.dtype)
    in_a_second = FRAMES_PER_SECOND * stretches / frames
    rhythm = [voiced_frames / frames, in_a_second, voiced_frames / stretches.clamp(min=1)]
    return torch.cat([jitter, jitter_deviation, shimmer, *rhythm, frames / FRAMES_PER_SECOND, frames.log()], -1)


def familiarity(voiced_seconds: torch.Tensor) -> torch.Tensor:
    """How much voice there is to go by, 0 to 1, (batch,): the voiced seconds, of `MOST_VOICED` and at most these."""
    return voiced_seconds.clamp(max=MOST_VOICED) / MOST_VOICED


def confidence_factor(familiarity: torch.Tensor, exponent: float) -> torch.Tensor:
    """Factor that the logits are multiplied by, (batch,).

    On speech from elsewhere the best temperature falls with the voiced seconds as a power of them, see
    train/EXPERIMENTS.md.
    """
    return familiarity.clamp(min=LEAST_FAMILIARITY) ** exponent


def without_autocast(device_type: str) -> contextlib.AbstractContextManager:
    """Context in which products of matrices keep their precision; nothing where they do anyway, as in an export."""
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()


class UtteranceNormalisation(nn.Module):
    """Features (batch, frames, features) > [`Followed`], by [`follow`].

    In float32 whatever the weights are in: half precision cannot hold the squares of decibels.
    """

    def __init__(self, functional_mfcc: int, pitch_gate_db: float | None = None):
        super().__init__()
        self.functional_mfcc = functional_mfcc
        self.pitch_gate_db = pitch_gate_db

    def forward(self, input_features: torch.Tensor, mask: torch.Tensor) -> Followed:
        with without_autocast(input_features.device.type):
            return follow(input_features.float(), mask, self.functional_mfcc, self.pitch_gate_db)


class Functionals(nn.Module):
    """[`functionals_of`] utterances, in standard deviations from their means in training.

    Of these the directions are taken out in which voices differ (nuisance attribute projection, Solomonoff et al.
    2005). These statistics are part of the weights.

    Args:
        functional_mfcc: how many MFCC are followed.
        voice_directions: how many are taken out.
        by_track: whether as many are taken out of the functionals that are no correlations, and as many of these, so
            that neither bears traces of the other.
    """

    def __init__(self, functional_mfcc: int, voice_directions: int = 0, by_track: bool = False):
        super().__init__()
        self.tracks = track_count(functional_mfcc)
        self.size = functional_size(self.tracks)
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("std", torch.ones(self.size))
        self.by_track = by_track
        rows = voice_directions * len(self.groups())
        self.register_buffer("voice_directions", torch.zeros(rows, self.size) if voice_directions else None)

    def groups(self) -> list[torch.Tensor]:
        """The functionals that directions are taken out of together, boolean (functionals,) each."""
        own = without_correlations(self.tracks)
        return [own, ~own] if self.by_track else [torch.ones_like(own)]

    def forward(self, followed: Followed) -> tuple[torch.Tensor, torch.Tensor]:
        """Functionals (batch, size), and how many seconds are voiced, float32 (batch,)."""
        with without_autocast(followed.tracks.device.type):
            values = functionals_of(followed)
            standardised = ((values - self.mean.float()) / self.std.float()).clamp(-FARTHEST, FARTHEST)
            if self.voice_directions is not None:
                directions = self.voice_directions.float()
                standardised = standardised - standardised @ directions.T @ directions
            return standardised.to(self.mean.dtype), followed.voiced.sum(1)[:, 0] / FRAMES_PER_SECOND
