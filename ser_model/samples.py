"""Samples as the model takes them, mono float32 within -1 to 1, and the errors for what is no recording of a voice."""

import math
import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np


SAMPLING_RATE = 16000  # Hz
MAX_DURATION = 3600.0  # seconds
MIN_INPUT_RATE, MAX_INPUT_RATE = 1000, 768000  # Hz
MAX_CHANNELS = 64
MAX_PEAK = 100.0  # 40 dB above full scale; more is a recording in integer units that was converted to float
BLOCK_FRAMES = 1 << 20  # decoded at a time, shared by the channels
CANCELLED_SHARE = 0.1  # of the energy that the mean of unrelated channels keeps; less, and they cancel each other out
INT16_PEAK = 1 << 15  # integers of 32 bits that reach no further came from 16 bits: else they are at -90 dB


class AudioError(ValueError):
    """
    A recording that cannot be used; the message says what was given and what is accepted.

    Attributes:
        reason: the kind of problem, for those who say it in other words: "undecodable", "no_audio", "no_samples",
            "too_long", or "unusable" for every other.
    """

    def __init__(self, message: str, reason: str = "unusable"):
        super().__init__(message)
        self.reason = reason


def as_array(audio: object) -> np.ndarray:
    """Samples as given, (samples,) or (samples, channels), of a type that can be scaled."""
    if hasattr(audio, "detach"):  # a torch tensor
        audio = on_cpu(audio)
    if not (isinstance(audio, list | tuple) or hasattr(audio, "__array__")):
        raise AudioError(
            f"A recording is a path, bytes, a binary file object or an array with its sampling rate; got "
            f"{type(audio).__name__}."
        )
    try:
        samples = np.asarray(audio)
    except Exception as error:  # whatever the __array__ of a stranger raises
        raise AudioError(f"{type(audio).__name__} is no array of samples: {error}") from error
    if samples.dtype.kind not in "fiu" or (samples.dtype.kind in "iu" and samples.dtype.itemsize > 4):
        raise AudioError(
            f"Samples of type {samples.dtype} have no known range: give floats within -1 to 1, or integers of 8, 16 "
            "or 32 bits, for instance samples.astype(np.int16)."
        )
    return frames_first(samples)


def on_cpu(tensor: Any) -> Any:
    """A torch tensor without its gradient, where and as numpy can read it; bfloat16, which it cannot, as float32."""
    try:
        tensor = tensor.detach().cpu()
        return tensor.float() if "bfloat16" in str(tensor.dtype) else tensor
    except (NotImplementedError, RuntimeError) as error:
        raise AudioError(f"{type(tensor).__name__} on the device {tensor.device} has no samples: {error}") from error


def from_16_bits(samples: np.ndarray) -> np.ndarray:
    """int32 samples that hold 16-bit values as int16, all others as they are."""
    if samples.dtype != np.int32 or samples.size == 0:
        return samples
    in_range = samples.min() >= -INT16_PEAK and samples.max() < INT16_PEAK
    return samples.astype(np.int16) if in_range else samples


def frames_first(samples: np.ndarray) -> np.ndarray:
    """(samples,) as it is; of two dimensions the shorter one is the channels, and is put last."""
    if samples.ndim == 2:
        samples = samples.T if samples.shape[0] < samples.shape[1] else samples
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= MAX_CHANNELS):
        raise AudioError(
            f"An array of samples has the shape (samples,), (channels, samples) or (samples, channels) with 1 to "
            f"{MAX_CHANNELS} channels; got {samples.shape}."
        )
    return samples


def array_blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """An array block by block, float32, integers scaled to -1 to 1."""
    size = block_frames(1 if samples.ndim == 1 else samples.shape[1])
    for start in range(0, len(samples), size):
        yield as_float(samples[start : start + size])


def block_frames(channels: int) -> int:
    """Frames of a block, so that its bytes are bounded for any number of channels."""
    return max(1, BLOCK_FRAMES // channels)


def as_float(samples: np.ndarray) -> np.ndarray:
    """float32 of floats or integers; the range of an integer type becomes -1 to 1, its middle 0."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    middle = full_scale if samples.dtype.kind == "u" else 0.0
    return ((samples.astype(np.float64) - middle) / full_scale).astype(np.float32)


def mono_chunk(block: np.ndarray) -> np.ndarray:
    """Mean of the channels, float32 (frames,), or the loudest one where they cancel each other out."""
    mono = to_mono(block)
    if block.ndim == 1:
        return mono
    energy = np.einsum("fc,fc->c", block, block, dtype=np.float64)
    cancelled = np.dot(mono, mono) < CANCELLED_SHARE * np.mean(energy) / len(energy)
    return block[:, np.argmax(energy)] if cancelled else mono


def to_mono(block: np.ndarray) -> np.ndarray:
    """Mean of the channels, float32 (frames,)."""
    if block.ndim == 1:
        return block
    if block.shape[1] == 1:
        return block[:, 0]
    return block @ np.full(block.shape[1], 1 / block.shape[1], np.float32)  # several times faster than mean


def checked_samples(waveform: np.ndarray, name: str) -> np.ndarray:
    """The waveform, if it has samples and all of them are numbers of a plausible size."""
    if len(waveform) == 0:
        raise AudioError(f"{sentence(name)} is shorter than one sample at {SAMPLING_RATE} Hz.", "no_samples")
    low, high = float(waveform.min()), float(waveform.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise AudioError(f"{sentence(name)} has NaN or infinite samples: clean them first, or record again.")
    if max(-low, high) > MAX_PEAK:
        raise AudioError(
            f"The samples of {name} reach {max(-low, high):.0f}, floats are expected within -1 to 1: divide them by "
            "the range of the integers they came from (32768 for 16 bits)."
        )
    return waveform


def no_samples(name: str) -> AudioError:
    """The error for a recording that is well-formed and empty."""
    return AudioError(f"{sentence(name)} has no samples: give a recording with sound.", "no_samples")


def checked_rate(rate: object, name: str) -> int:
    """A sampling rate in Hz as an integer."""
    in_range = (
        isinstance(rate, numbers.Real) and not isinstance(rate, bool) and MIN_INPUT_RATE <= rate <= MAX_INPUT_RATE
    )
    if not in_range or not float(rate).is_integer():
        raise AudioError(
            f"The sampling rate of {name} is given as {rate!r}: it is a whole number of Hz from {MIN_INPUT_RATE} to "
            f"{MAX_INPUT_RATE}."
        )
    return int(rate)


def check_channels(channels: int, name: str) -> None:
    """Raise if a file has more channels than a recording of a voice can have."""
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{sentence(name)} has {channels} channels: 1 to {MAX_CHANNELS} are accepted.")


def check_duration(duration: float, max_duration: float, name: str, is_whole: bool = True) -> None:
    """Raise if a recording of `duration` seconds is too long; `is_whole` says whether that is all of it."""
    if duration > max_duration:
        length = f"{spoken_duration(duration)} long" if is_whole else f"longer than {spoken_duration(max_duration)}"
        raise AudioError(
            f"{sentence(name)} is {length}: at most {spoken_duration(max_duration)} are accepted, so cut it first.",
            "too_long",
        )


def spoken_duration(seconds: float) -> str:
    """ "75 s", "12.5 s", "61 min 5 s"."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def sentence(name: str) -> str:
    """A name at the beginning of a sentence: its first letter as a capital, where it is a word and no path."""
    return name if name.startswith(("'", '"')) else name[0].upper() + name[1:]
