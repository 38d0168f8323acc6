"""Augmentation of log-mel spectrograms in training: what another voice, room, microphone or speaking rate would do.

Everything works on the extractor's first step (dB per mel band), where a filter is an addition, a longer vocal tract
is a shift along the bands and noise is a sum of powers; it costs less than reading the clip. Random numbers come from
torch's global generator, which `BatchBuilder` seeds for each batch.

Further features of the first step follow what changes time (crop, speed, time masks), and those of the level the gain.
What else happens to the spectrogram leaves them as they were measured: where they are to feel noise, a room, another
voice or a telephone, `waveform_augmentation` changes the clip before anything is computed of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch

from ser_model.acoustics import FLOOR_DB
from train.noises import add_noise, babble, between, music, random_curve, steady


@dataclass(frozen=True)
class Augmentation:
    """How strongly to change a training clip; a strength of 0 switches a change off.

    Args:
        speed: largest change of the speaking rate, as a share (0.1: 0.9 to 1.1 times as fast).
        vocal_tract: largest stretching of the frequency axis, as a share (Jaitly and Hinton 2013).
        gain_db: largest change of the level in dB.
        tilt_db: deviation in dB of a random smooth curve over the bands: another microphone or room.
        noise_probability: share of the clips that get stationary noise of a random colour.
        babble_probability: share of the clips that get a babble of other clips of their batch.
        music_probability: share of the clips that get a few instruments' notes.
        noise_snr_db: lowest signal-to-noise ratio in dB, of any of the three; the highest is 40.
        noise_margin_frames: longest stretch of noise alone before the speech and after it, in frames. An extractor
            that trims silence hears none in training, but would not cut it off a noisy recording.
        telephone_probability: share of the clips that are cut to the telephone band, 300 to 3400 Hz.
        reverberation_probability: share of the clips that get an exponentially decaying tail.
        crop: largest share of a clip that is cut off, in random parts from start and end.
        time_masks: number of masked stretches of frames (Park et al. 2019).
        time_mask_frames: longest masked stretch, in frames.
        frequency_masks: number of masked stretches of bands.
        frequency_mask_bands: widest masked stretch, in bands.
        mixup: alpha of the Beta(alpha, alpha) distribution of the shares in which utterances are blended, see
            `mixup`; about 0.2 (Zhang et al. 2018). It is done to batches, not by this class.
    """

    speed: float = 0.0
    vocal_tract: float = 0.0
    gain_db: float = 0.0
    tilt_db: float = 0.0
    noise_probability: float = 0.0
    babble_probability: float = 0.0
    music_probability: float = 0.0
    noise_snr_db: float = 10.0
    noise_margin_frames: int = 0
    telephone_probability: float = 0.0
    reverberation_probability: float = 0.0
    crop: float = 0.0
    time_masks: int = 0
    time_mask_frames: int = 20
    frequency_masks: int = 0
    frequency_mask_bands: int = 8
    mixup: float = 0.0

    @property
    def is_active(self) -> bool:
        """Whether anything is changed."""
        strengths = [entry.name for entry in fields(self) if entry.name not in RANGES]
        return any(getattr(self, name) for name in strengths)

    def __call__(
        self,
        analysis: torch.Tensor,
        band_frequencies: torch.Tensor,
        level_columns: Sequence[int] = (),
        voices: Sequence[torch.Tensor] = (),
    ) -> torch.Tensor:
        """A changed copy of an analysis (frames, columns): the log-mel spectrogram in dB, then further features.

        Args:
            analysis: (frames, columns).
            band_frequencies: centre of each band in Hz, (bands,); the first `bands` columns are the spectrogram.
            level_columns: further columns that are proportional to the amplitude.
            voices: analyses of other clips, for babble; without any there is none.
        """
        bands = len(band_frequencies)
        analysis = random_crop(analysis, self.crop)
        log_mel, further = analysis[:, :bands], analysis[:, bands:].clone()
        log_mel = warp(log_mel, 1 + symmetric(self.speed), 1 + symmetric(self.vocal_tract), band_frequencies)
        further = nearest_frames(further, len(log_mel))
        if chance(self.reverberation_probability):
            log_mel = add_reverberation(log_mel, decay_frames=between(5, 50))
        curve, gain = random_curve(bands, self.tilt_db), symmetric(self.gain_db)
        log_mel = log_mel + curve + gain
        further[:, [column - bands for column in level_columns]] *= 10 ** (gain / 20)
        others = [voice[:, :bands] for voice in voices]
        noises = (
            (self.noise_probability, lambda frames: steady(frames, bands)),
            (self.babble_probability if others else 0.0, lambda frames: babble(frames, others)),
            (self.music_probability, lambda frames: music(frames, band_frequencies)),
        )
        for probability, make_noise in noises:
            if chance(probability):
                log_mel, further = self._in_noise(log_mel, further, make_noise)
        if chance(self.telephone_probability):
            log_mel = limit_band(log_mel, band_frequencies, *TELEPHONE_BAND, between(*TELEPHONE_ROLLOFF_DB))
        return torch.cat(self._masked(log_mel, further), -1)

    def _in_noise(
        self, log_mel: torch.Tensor, further: torch.Tensor, make_noise: Callable[[int], torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both longer by a stretch before and after, and the spectrogram with a noise of so many frames."""
        before, after = torch.randint(self.noise_margin_frames + 1, (2,)).tolist()
        log_mel, further = add_silence(log_mel, before, after), add_silence(further, before, after)
        snr_db = between(self.noise_snr_db, HIGHEST_SNR_DB)
        return add_noise(log_mel, make_noise(len(log_mel)), snr_db), further

    def _masked(self, log_mel: torch.Tensor, further: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both with stretches of frames, and the spectrogram with stretches of bands, replaced by their means."""
        fill, means = float(log_mel.mean()), further.mean(0)
        for _ in range(self.time_masks):
            masked = random_stretch(len(log_mel), min(self.time_mask_frames, len(log_mel) // 4))[:, None]
            log_mel, further = log_mel.masked_fill(masked, fill), torch.where(masked, means, further)
        for _ in range(self.frequency_masks):
            log_mel = log_mel.masked_fill(random_stretch(log_mel.shape[1], self.frequency_mask_bands), fill)
        return log_mel, further


# They act only with their probability or number.
RANGES = ("noise_snr_db", "noise_margin_frames", "time_mask_frames", "frequency_mask_bands")
HIGHEST_SNR_DB = 40.0
TELEPHONE_BAND = (300.0, 3400.0)  # Hz
TELEPHONE_ROLLOFF_DB = (12.0, 72.0)  # per octave, lines differ


def chance(probability: float) -> bool:
    """True with the given probability."""
    return probability > 0 and bool(torch.rand(()) < probability)


def symmetric(limit: float) -> float:
    """A number drawn evenly between -limit and limit."""
    return between(-limit, limit) if limit else 0.0


def random_crop(log_mel: torch.Tensor, share: float) -> torch.Tensor:
    """Cut off up to `share` of the frames, a random part of them at the start and the rest at the end."""
    removed = int(share * float(torch.rand(())) * len(log_mel)) if share else 0
    start = int(torch.randint(removed + 1, ()))
    return log_mel[start : len(log_mel) - (removed - start)]


def warp(log_mel: torch.Tensor, speed: float, stretch: float, band_frequencies: torch.Tensor) -> torch.Tensor:
    """Speak `speed` times as fast, through a vocal tract that moves frequencies by the factor `stretch`."""
    if speed != 1:
        frames = max(1, round(len(log_mel) / speed))
        log_mel = interpolate(log_mel, torch.linspace(0, len(log_mel) - 1, frames), 0)
    if stretch != 1:
        positions = torch.searchsorted(band_frequencies, band_frequencies / stretch).clamp(
            1, len(band_frequencies) - 1
        )
        lower, upper = band_frequencies[positions - 1], band_frequencies[positions]
        log_mel = interpolate(log_mel, positions - 1 + (band_frequencies / stretch - lower) / (upper - lower), 1)
    return log_mel


def interpolate(values: torch.Tensor, positions: torch.Tensor, dim: int) -> torch.Tensor:
    """Values at fractional positions along a dimension; beyond the ends the outermost value."""
    positions = positions.clamp(0, values.shape[dim] - 1)
    lower = positions.floor().long()
    upper = (lower + 1).clamp(max=values.shape[dim] - 1)
    weight = positions - lower
    weight = weight[:, None] if dim == 0 else weight
    return torch.lerp(values.index_select(dim, lower), values.index_select(dim, upper), weight)


def nearest_frames(values: torch.Tensor, frames: int) -> torch.Tensor:
    """Values (frames, columns) at another number of frames; none in between, where a pitch may begin or end."""
    if frames == len(values):
        return values
    return values[torch.linspace(0, len(values) - 1, frames).round().long()]


def add_silence(values: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """Extend (frames, columns) at both ends by the frame that has the least of everything."""
    faintest = values.amin(0)
    return torch.cat([faintest.expand(before, -1), values, faintest.expand(after, -1)])


def add_reverberation(log_mel: torch.Tensor, decay_frames: float, direct_share: float = 0.5) -> torch.Tensor:
    """Let power ring on: each frame keeps its own and gets the sum of an exponentially decaying tail."""
    power = 10 ** (log_mel / 10)
    tail_length = min(len(power), int(3 * decay_frames))
    tail = torch.exp(-torch.arange(tail_length) / decay_frames)
    tail = (1 - direct_share) * tail / tail.sum()
    padded = torch.nn.functional.pad(power.T[:, None], (tail_length - 1, 0))
    late = torch.nn.functional.conv1d(padded, tail.flip(0)[None, None])[:, 0].T
    return 10 * torch.log10(direct_share * power + late)


def limit_band(
    log_mel: torch.Tensor, band_frequencies: torch.Tensor, low: float, high: float, rolloff_db: float
) -> torch.Tensor:
    """Weaken what lies outside a range in Hz by `rolloff_db` for every octave."""
    octaves = (low / band_frequencies).log2().clamp(min=0) + (band_frequencies / high).log2().clamp(min=0)
    return (log_mel - rolloff_db * octaves).clamp(min=FLOOR_DB)


def random_stretch(size: int, longest: int) -> torch.Tensor:
    """Boolean mask (size,), True in one stretch of random place and length."""
    width = int(torch.randint(min(longest, size - 1) + 1, ()))
    start = int(torch.randint(size - width + 1, ()))
    positions = torch.arange(size)
    return (positions >= start) & (positions < start + width)
