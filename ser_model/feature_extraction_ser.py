"""From waveforms to the network's input: MFCC and other frame-wise features, padded, with their mask."""

import math
import numbers
from collections.abc import Sequence

import numpy as np
import torch
from transformers import BatchFeature
from transformers.feature_extraction_sequence_utils import SequenceFeatureExtractor

from .acoustics import (
    CONTRAST_GROUPS,
    FLOOR_DB,
    LARGEST,
    SPECTRAL_SHAPE_SIZE,
    band_centres,
    clip_dynamic_range,
    delta,
    item_peak,
    length_mask,
    mel_filters,
    mfcc_from_log_mel,
    power_spectrogram,
    power_to_db,
    sound_interval,
    spectral_shape,
)
from .frame_features import FRAME_FEATURES, Sound, contrast_bands, frame_features


FEATURES = ("mfcc", "mfcc_delta", "mfcc_delta2", "log_mel", "spectral_shape", *FRAME_FEATURES)
LEVEL_FEATURES = ("rms", "amplitude_envelope")  # they grow with the gain
DB_REFERENCES = ("absolute", "peak")
# Far beyond any use: what a stranger's settings ask for is refused before it is allocated.
RANGES = {
    "sampling_rate": (1000, 768000),
    "n_mfcc": (1, 1024),
    "n_mels": (1, 1024),
    "n_fft": (2, 1 << 16),
    "win_length": (1, 1 << 16),
    "hop_length": (1, 1 << 16),
}


class SERFeatureExtractor(SequenceFeatureExtractor):
    r"""
    Turns mono waveforms into frame-wise features. MFCC equal `librosa.feature.mfcc` of each clip.

    It works in two steps, so that training can store the first and augment between them: [`analyse`] gives the
    log-mel spectrogram of each clip and further features that cannot be made of it, [`compose`] the network's input.

    Args:
        feature_names (`list[str]`, defaults to `["mfcc"]`):
            What to compute, in this order. Of the log-mel spectrogram: `"mfcc"`, `"mfcc_delta"`, `"mfcc_delta2"`,
            `"log_mel"` and `"spectral_shape"` (14 numbers, see [`acoustics.spectral_shape`]). Of the waveform, over
            `n_fft` samples: `"rms"`, `"amplitude_envelope"` (the largest absolute sample) and
            `"zero_crossing_rate"`. Of the spectrum: `"spectral_centroid"`, `"spectral_bandwidth"`,
            `"spectral_rolloff"`, `"spectral_flatness"`, `"spectral_contrast"` (7 bands) and `"chroma"` (12 pitch
            classes). `"f0"` is the pitch in Hz, 0 in unvoiced frames, and how voiced a frame is, from 0 to 1.
        sampling_rate (`int`, defaults to 16000):
            Sampling rate of the waveforms in Hz.
        n_mfcc (`int`, defaults to 40):
            Cepstral coefficients per frame.
        n_mels (`int`, defaults to 64):
            Mel bands.
        n_fft (`int`, defaults to 512):
            Length of the Fourier transform in samples.
        win_length (`int`, defaults to 400):
            Length of the Hann window in samples.
        hop_length (`int`, defaults to 160):
            Step from frame to frame in samples.
        fmin (`float`, defaults to 0.0), fmax (`float`, defaults to half the sampling rate):
            Range of the mel bands in Hz.
        top_db (`float`, defaults to 80.0):
            Dynamic range of a clip in dB.
        db_reference (`str`, defaults to `"absolute"`):
            What 0 dB is: `"absolute"` keeps the level of the recording; `"peak"` is the clip's own maximum, which
            makes the features independent of the recording's gain. RMS and amplitude envelope are then relative to
            their largest value in the clip.
        trim_db (`float`, *optional*):
            Cut off the beginning and the end of a clip where its level is this much below its loudest frame, in dB,
            as `librosa.effects.trim` with frames of `n_fft` samples. By default nothing is cut off.
        padding_value (`float`, defaults to 0.0):
            Fills the frames behind an item's end; the mask tells them apart.
    """

    model_input_names = ["input_features", "attention_mask"]

    def __init__(
        self,
        feature_names: Sequence[str] = ("mfcc",),
        sampling_rate: int = 16000,
        n_mfcc: int = 40,
        n_mels: int = 64,
        n_fft: int = 512,
        win_length: int = 400,
        hop_length: int = 160,
        fmin: float = 0.0,
        fmax: float | None = None,
        top_db: float = 80.0,
        db_reference: str = "absolute",
        padding_value: float = 0.0,
        trim_db: float | None = None,
        **kwargs,
    ):
        check_whole_numbers(
            sampling_rate=sampling_rate,
            n_mfcc=n_mfcc,
            n_mels=n_mels,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
        )
        fmax = sampling_rate / 2 if fmax is None else fmax
        check_numbers(fmin=fmin, fmax=fmax, top_db=top_db, padding_value=padding_value)
        unknown = [name for name in feature_names if name not in FEATURES]
        if unknown or not feature_names:
            raise ValueError(f"feature_names must be chosen from {', '.join(FEATURES)}; got {list(feature_names)}.")
        if db_reference not in DB_REFERENCES:
            raise ValueError(f"db_reference must be one of {', '.join(DB_REFERENCES)}; got {db_reference!r}.")
        if n_mfcc > n_mels:
            raise ValueError(f"n_mfcc ({n_mfcc}) cannot exceed n_mels ({n_mels}).")
        if "spectral_shape" in feature_names and n_mels < CONTRAST_GROUPS:
            raise ValueError(f"spectral_shape needs at least {CONTRAST_GROUPS} mel bands, got n_mels={n_mels}.")
        if win_length > n_fft:
            raise ValueError(f"win_length ({win_length}) cannot exceed n_fft ({n_fft}).")
        if not 0 <= fmin < fmax <= sampling_rate:
            raise ValueError(f"0 <= fmin < fmax <= {sampling_rate} (sampling_rate) must hold; got {fmin} and {fmax}.")
        if trim_db is not None:
            check_numbers(trim_db=trim_db)
            if trim_db <= 0:
                raise ValueError(f"trim_db must be positive, or None to keep clips whole; got {trim_db}.")
        if "spectral_contrast" in feature_names:
            contrast_bands(sampling_rate, n_fft)  # raises where the spectrum does not have its bands
        self.feature_names = list(feature_names)
        self.n_mfcc = n_mfcc
        self.n_mels = n_mels
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.fmin = fmin
        self.fmax = fmax
        self.top_db = top_db
        self.db_reference = db_reference
        self.trim_db = trim_db
        feature_size = sum(self._size_of(name) for name in feature_names)
        kwargs.pop("feature_size", None)  # stored in the JSON, but follows from the names
        super().__init__(feature_size, sampling_rate, padding_value, **kwargs)

    def __call__(
        self,
        raw_speech: np.ndarray | torch.Tensor | Sequence,
        sampling_rate: int | None = None,
        padding: bool | str = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        device: str | torch.device = "cpu",
    ) -> BatchFeature:
        """
        Features of one waveform or of a batch of them.

        Args:
            raw_speech: a mono waveform (samples,), or a list of such, as arrays, tensors or lists of floats.
            sampling_rate: sampling rate of the waveforms in Hz; must be that of the extractor.
            padding, max_length, truncation, pad_to_multiple_of: as in `SequenceFeatureExtractor.pad`, in frames.
            return_attention_mask: return the mask; by default it is returned.
            return_tensors: `"pt"` or `"np"`.
            device: where the features are computed, and stay with `"pt"`.

        Returns:
            `input_features`, float32 (batch, frames, feature_size), and `attention_mask`, int32 (batch, frames).

        Raises:
            ValueError: another sampling rate, more than one channel, an empty waveform, NaN or infinite samples.
        """
        if sampling_rate is not None and sampling_rate != self.sampling_rate:
            raise ValueError(
                f"{type(self).__name__} works at {self.sampling_rate} Hz, the audio has {sampling_rate} Hz: resample "
                f'it first, for instance with `soxr.resample(audio, {sampling_rate}, {self.sampling_rate}, "HQ")`.'
            )
        items = [self._features_of(waveform) for waveform in as_waveforms(raw_speech, device)]
        if padding not in (True, "longest") or truncation or max_length or pad_to_multiple_of:
            return self.pad(
                BatchFeature({"input_features": [item.numpy(force=True) for item in items]}),
                padding=padding,
                max_length=max_length,
                truncation=truncation,
                pad_to_multiple_of=pad_to_multiple_of,
                return_attention_mask=return_attention_mask,
                return_tensors=return_tensors,
            )
        # The usual case, without the copies that `pad` makes.
        features = torch.nn.utils.rnn.pad_sequence(items, batch_first=True, padding_value=self.padding_value)
        batch = {"input_features": features}
        if self.return_attention_mask if return_attention_mask is None else return_attention_mask:
            lengths = torch.tensor([len(item) for item in items], device=device)
            batch["attention_mask"] = length_mask(lengths, features.shape[1]).int()
        if return_tensors == "pt":
            return BatchFeature(batch)
        return BatchFeature(
            {name: values.numpy(force=True) for name, values in batch.items()}, tensor_type=return_tensors
        )

    def _features_of(self, waveform: torch.Tensor) -> torch.Tensor:
        """Features (frames, feature_size) of one waveform: all of it while it is in the processor's cache."""
        analysis = self._analyse(waveform)
        return self.compose(analysis[None])[0]

    @property
    def frame_feature_names(self) -> list[str]:
        """Those of the features that [`analyse`] computes beside the log-mel spectrogram, in the order of columns."""
        return [name for name in FRAME_FEATURES if name in self.feature_names]

    @property
    def analysis_size(self) -> int:
        """Columns of what [`analyse`] gives."""
        return self.n_mels + sum(self._size_of(name) for name in self.frame_feature_names)

    def analysis_columns(self, name: str) -> slice:
        """Columns of one of the further features in what [`analyse`] gives."""
        before = self.frame_feature_names[: self.frame_feature_names.index(name)]
        start = self.n_mels + sum(self._size_of(other) for other in before)
        return slice(start, start + self._size_of(name))

    def _size_of(self, name: str) -> int:
        if name in FRAME_FEATURES:
            return FRAME_FEATURES[name][0]
        return {"log_mel": self.n_mels, "spectral_shape": SPECTRAL_SHAPE_SIZE}.get(name, self.n_mfcc)

    @property
    def band_centres(self) -> torch.Tensor:
        """Centre of each mel band in Hz, (n_mels,)."""
        return band_centres(self.sampling_rate, self.n_fft, self.n_mels, self.fmin, self.fmax)

    def analyse(self, waveforms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Analysis of the waveforms, (batch, frames, analysis_size), and the frames of each item, (batch,).

        The first `n_mels` columns are the log-mel spectrogram in dB, then follow the `frame_feature_names`.
        Clip by clip, because the spectra of one clip stay in the processor's cache: half the time of a padded batch.
        """
        items = [self._analyse(waveform) for waveform in waveforms]
        lengths = torch.tensor([len(item) for item in items], device=items[0].device)
        return torch.nn.utils.rnn.pad_sequence(items, batch_first=True), lengths

    def _analyse(self, waveform: torch.Tensor) -> torch.Tensor:
        if self.trim_db is not None:
            start, end = sound_interval(waveform, self.n_fft, self.hop_length, self.trim_db)
            waveform = waveform[start:end]
        filters = mel_filters(self.sampling_rate, self.n_fft, self.n_mels, self.fmin, self.fmax).to(waveform.device)
        power = power_spectrogram(waveform[None], self.n_fft, self.win_length, self.hop_length)
        log_mel = power_to_db(power[0] @ filters)
        if not self.frame_feature_names:
            return log_mel
        sound = Sound(waveform[None], power, self.sampling_rate, self.n_fft, self.hop_length)
        return torch.cat([log_mel, frame_features(self.frame_feature_names, sound)[0]], -1)

    def compose_batch(self, analysis: torch.Tensor, lengths: torch.Tensor) -> BatchFeature:
        """The network's input as tensors, `input_features` and `attention_mask`, of what [`analyse`] gives."""
        mask = length_mask(lengths, analysis.shape[1])
        features = self.compose(analysis, lengths).masked_fill(~mask[..., None], self.padding_value)
        return BatchFeature({"input_features": features, "attention_mask": mask.int()})

    def compose(self, analysis: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Features (batch, frames, feature_size) of an analysis and lengths as [`analyse`] gives them.

        Without lengths, all frames are valid.
        """
        mask = None if lengths is None else length_mask(lengths, analysis.shape[1])
        log_mel = analysis[..., : self.n_mels]
        if self.db_reference == "peak":
            log_mel = log_mel - item_peak(log_mel, mask)
        log_mel = clip_dynamic_range(log_mel.clamp(min=FLOOR_DB), mask, self.top_db)
        mfcc = mfcc_from_log_mel(log_mel, self.n_mfcc)
        columns = [self._feature(name, analysis, log_mel, mfcc, lengths) for name in self.feature_names]
        return torch.cat(columns, -1) if len(columns) > 1 else columns[0]

    def _feature(
        self,
        name: str,
        analysis: torch.Tensor,
        log_mel: torch.Tensor,
        mfcc: torch.Tensor,
        lengths: torch.Tensor | None,
    ) -> torch.Tensor:
        match name:
            case "mfcc":
                return mfcc
            case "mfcc_delta":
                return delta(mfcc, lengths, order=1)
            case "mfcc_delta2":
                return delta(mfcc, lengths, order=2)
            case "log_mel":
                return log_mel
            case "spectral_shape":
                return spectral_shape(log_mel, self.band_centres.to(log_mel.device))
        values = analysis[..., self.analysis_columns(name)]
        if name in LEVEL_FEATURES and self.db_reference == "peak":
            peak = item_peak(values, None if lengths is None else length_mask(lengths, values.shape[1]))
            values = values / torch.where(peak > 0, peak, 1.0)
        return values


def check_whole_numbers(**settings: int) -> None:
    """Raise ValueError for a setting that is no whole number in its range."""
    for name, value in settings.items():
        lowest, highest = RANGES[name]
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"{name} must be a whole number from {lowest} to {highest}, got {value!r}.")


def check_numbers(**settings: float) -> None:
    """Raise ValueError for a setting that is no finite float32."""
    for name, value in settings.items():
        if not isinstance(value, numbers.Real) or not abs(value) <= LARGEST:
            raise ValueError(f"{name} must be a number, got {value!r}.")


def as_waveforms(
    raw_speech: np.ndarray | torch.Tensor | Sequence, device: str | torch.device = "cpu"
) -> list[torch.Tensor]:
    """A list of checked float32 waveforms (samples,) from one waveform or several."""
    is_batch = isinstance(raw_speech, list | tuple) and len(raw_speech) > 0 and not np.isscalar(raw_speech[0])
    return [as_waveform(item, device) for item in (raw_speech if is_batch else [raw_speech])]


def as_waveform(
    samples: np.ndarray | torch.Tensor | Sequence[float], device: str | torch.device = "cpu"
) -> torch.Tensor:
    """One checked float32 waveform (samples,)."""
    waveform = torch.as_tensor(samples, dtype=torch.float32, device=device).detach()
    if waveform.ndim != 1:
        raise ValueError(
            f"Expected mono waveforms of shape (samples,), got shape {tuple(waveform.shape)}: average the channels "
            "first, and give several waveforms as a list."
        )
    if len(waveform) == 0:
        raise ValueError("The waveform is empty: at least one sample is needed.")
    # A sum is six times faster than isfinite on every sample, and finite only if all samples are.
    if not math.isfinite(waveform.sum()) and not waveform.isfinite().all():
        raise ValueError("The waveform has NaN or infinite samples: clean it first.")
    return waveform


__all__ = ["SERFeatureExtractor"]
