"""Decodes what people hand in (a file, bytes, an array) to the one form that the model takes: mono float32 at 16 kHz.

file or bytes > decoding | array > samples > mono > soxr > checked samples, piece by piece
"""

import contextlib
import io
import numbers
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
import soxr

from .decoding import MAX_STREAM_BYTES, Sound, opened
from .samples import (
    BLOCK_FRAMES,
    CANCELLED_SHARE,
    MAX_DURATION,
    SAMPLING_RATE,
    AudioError,
    array_blocks,
    as_array,
    check_duration,
    checked_rate,
    checked_samples,
    from_16_bits,
    no_samples,
    sentence,
    to_mono,
)


AudioInput = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO | np.ndarray | list | tuple | Mapping
Result = TypeVar("Result")


class Piece(NamedTuple):
    """The next samples of a recording, float32 (samples,), and the length in seconds that all of it claims, if any."""

    samples: np.ndarray
    claimed_seconds: float | None


@dataclass(frozen=True)
class Recording:
    """
    Something that can be decoded, as often as it takes.

    Args:
        name: what messages call it.
        open: gives a context with its sound.
        max_duration: longest accepted one in seconds.
    """

    name: str
    open: Callable[[], AbstractContextManager[Sound]]
    max_duration: float

    def pieces(self, target_rate: int = SAMPLING_RATE, channel: int | None = None) -> Iterator[Piece]:
        """
        The mono waveform, resampled and checked, piece by piece.

        Args:
            target_rate: in Hz.
            channel: the only one that is taken; None for the mean of all.

        Raises:
            AudioError: as `load_audio`, with the first piece or a later one.
            ChannelsCancelError: at the end; the mean was asked for, and leaves too little.
        """
        with self.open() as sound:
            resample, frames, samples = resampler(sound.rate, target_rate), 0, 0
            balance = ChannelBalance() if channel is None else None
            for block in sound.blocks:
                frames += len(block)
                check_duration(frames / sound.rate, self.max_duration, self.name, is_whole=False)
                mono = to_mono(block) if channel is None else block[:, channel]
                if balance:
                    balance.add(block, mono)
                if len(resampled := resample(mono)):
                    samples += len(resampled)
                    yield Piece(checked_samples(resampled, self.name), sound.seconds)
            if frames == 0:
                raise no_samples(self.name)
            if balance:
                balance.check()
            if len(rest := resample(np.zeros(0, np.float32), last=True)) or not samples:
                yield Piece(checked_samples(rest, self.name), sound.seconds)


class ChannelBalance:
    """Energy of a recording's channels, and of their mean."""

    def __init__(self):
        self.channels = np.zeros(1)
        self.mean = 0.0

    def add(self, block: np.ndarray, mono: np.ndarray) -> None:
        """Count a block, (frames, channels) or (frames,), and its mean, (frames,)."""
        if block.ndim == 2 and block.shape[1] > 1:
            self.channels = self.channels + np.einsum("fc,fc->c", block, block, dtype=np.float64)
            self.mean += float(np.dot(mono, mono))

    def check(self) -> None:
        """Raise ChannelsCancelError if the channels cancel each other out in the mean."""
        if self.mean < CANCELLED_SHARE * np.mean(self.channels) / np.size(self.channels):
            raise ChannelsCancelError(int(np.argmax(self.channels)))


def resampler(rate: int, target_rate: int) -> Callable[..., np.ndarray]:
    """A function that resamples the next samples of a waveform; called with `last=True` it gives what is left."""
    if rate == target_rate:
        return lambda samples, last=False: samples
    return soxr.ResampleStream(rate, target_rate, 1, "float32", "HQ").resample_chunk


def load_audio(
    audio: AudioInput,
    *,
    sampling_rate: int | None = None,
    target_rate: int = SAMPLING_RATE,
    max_duration: float = MAX_DURATION,
) -> np.ndarray:
    """
    Decode a recording, average its channels and resample it. The level is kept.

    Args:
        audio: one of
            a path to a file, or its content as bytes or as a binary file object (read from its position, left open):
            wav, flac, ogg, opus, mp3 and aiff, and whatever ffmpeg reads where that program is installed;
            an array, a tensor or a list of samples, (samples,), (channels, samples) or (samples, channels), floats
            within -1 to 1 or integers of up to 32 bits, which are scaled by the range of their type;
            a pair of sampling rate and array in either order, as gradio, librosa and torchaudio give;
            a dictionary with "array" or "raw" and "sampling_rate", or with "bytes" or "path";
            a decoder of torchcodec, as datasets 4 gives.
        sampling_rate: of an array, in Hz. A file knows its own, and this is ignored.
        target_rate: sampling rate of the result in Hz.
        max_duration: longest accepted recording in seconds.

    Returns:
        Mono waveform, float32 (samples,) at `target_rate`.

    Raises:
        AudioError: no such file, nothing in it that can be decoded, no samples, NaN or infinite samples, too long, an
            array of a wrong type or shape, or without a sampling rate.
    """
    recording = open_recording(audio, sampling_rate=sampling_rate, max_duration=max_duration)

    def decode(channel: int | None) -> np.ndarray:
        content = bytearray()  # grows in place: no second copy of a long recording
        for piece in recording.pieces(target_rate, channel):
            content += piece.samples.tobytes()
        return np.frombuffer(content, np.float32)

    return mixed_down(decode)


def open_recording(
    audio: AudioInput, *, sampling_rate: int | None = None, max_duration: float = MAX_DURATION
) -> Recording:
    """
    A recording that can be decoded piece by piece.

    Args:
        audio, sampling_rate, max_duration: as of `load_audio`.

    Raises:
        AudioError: as `load_audio`, of what is known before anything is decoded.
    """
    if isinstance(audio, Mapping):
        audio, sampling_rate = from_mapping(audio, sampling_rate)
    elif hasattr(audio, "get_all_samples"):
        audio, sampling_rate = from_decoder(audio)
    elif is_pair(audio):
        sampling_rate, audio = audio if isinstance(audio[0], numbers.Real) else audio[::-1]
    if isinstance(audio, str | os.PathLike):
        return recording_of_file(os.fspath(audio), max_duration)
    if isinstance(audio, bytes | bytearray | memoryview):
        return recording_of_stream(io.BytesIO(audio), "the given data", max_duration)
    if hasattr(audio, "read"):
        return recording_of_stream(in_memory(audio), "the given file object", max_duration)
    samples = from_16_bits(as_array(audio))
    if sampling_rate is None:
        raise AudioError(f"An array of shape {samples.shape} needs its sampling rate in Hz, as sampling_rate=44100.")
    rate = checked_rate(sampling_rate, "the array")
    check_duration(len(samples) / rate, max_duration, "The array")
    return Recording(
        "the array",
        lambda: contextlib.nullcontext(Sound(rate, array_blocks(samples), len(samples) / rate)),
        max_duration,
    )


def recording_of_file(path: str, max_duration: float) -> Recording:
    """The recording in the file at `path`."""
    name = repr(path)
    if re.match(r"https?://", path):
        raise AudioError(f"{name} is an address: download it first, and give the path of the file.")
    if not os.path.exists(path):
        raise AudioError(f"There is no file {name}: check the path.")
    if os.path.isdir(path):
        raise AudioError(f"{name} is a folder: give the path of one recording.")
    if not os.path.isfile(path):
        raise AudioError(
            f"{name} is a pipe or a device: give a file, or on the command line - for the standard input."
        )

    @contextlib.contextmanager
    def open_file() -> Iterator[Sound]:
        try:
            with (
                open(path, "rb") as stream,
                recording_of_stream(in_memory(stream), name, max_duration).open() as sound,
            ):
                yield sound
        except OSError as error:
            raise AudioError(f"{name} cannot be read: {error.strerror or error}.") from error

    return Recording(name, open_file, max_duration)


def recording_of_stream(stream: BinaryIO, name: str, max_duration: float) -> Recording:
    """The recording in a seekable binary stream, from its position on."""
    start = stream.tell()
    if not stream.read(1):
        raise AudioError(f"{sentence(name)} is empty: there is nothing to decode.", "no_samples")

    @contextlib.contextmanager
    def open_stream() -> Iterator[Sound]:
        stream.seek(start)
        with opened(stream, name, max_duration) as sound:
            yield sound

    return Recording(name, open_stream, max_duration)


class ChannelsCancelError(Exception):
    """The mean of the channels loses most of their energy; `channel` is the loudest one."""

    def __init__(self, channel: int):
        super().__init__(channel)
        self.channel = channel


def mixed_down(use: Callable[[int | None], Result]) -> Result:
    """Result of a function for the mean of the channels, or for the loudest one where they cancel each other out.

    One may be inverted.
    """
    try:
        return use(None)
    except ChannelsCancelError as error:
        return use(error.channel)


def in_memory(stream: BinaryIO) -> BinaryIO:
    """The stream itself if it is an open file or bytes in memory, else its content in memory."""
    if isinstance(stream, io.BytesIO) and stream.seekable():
        return stream
    is_file = isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO)
    if is_file and stat.S_ISREG(os.fstat(stream.fileno()).st_mode):  # a device may have no end
        return stream
    content = bytearray()
    try:
        if not isinstance(stream.read(0), bytes):
            raise AudioError('The given file object gives text: open the file in binary mode, as open(path, "rb").')
        while piece := stream.read(BLOCK_FRAMES):
            content += piece
            if len(content) > MAX_STREAM_BYTES:
                raise AudioError(
                    f"The given file object has more than {MAX_STREAM_BYTES >> 20} MiB: give a shorter recording, or "
                    "the path of a file."
                )
    except AudioError:
        raise
    except Exception as error:  # whatever the object of a stranger raises
        raise AudioError(f"The given file object cannot be read: {type(error).__name__}: {error}") from error
    return io.BytesIO(content)


def from_mapping(audio: Mapping, sampling_rate: object) -> tuple[Any, Any]:
    """Recording and sampling rate of a dictionary as `datasets` or a pipeline of transformers has it."""
    for key in ("array", "raw"):
        if key in audio and "sampling_rate" in audio:
            return audio[key], audio["sampling_rate"]
    for key in ("bytes", "path"):
        if audio.get(key) is not None and not ("array" in audio or "raw" in audio):
            return audio[key], sampling_rate
    raise AudioError(
        'A dictionary needs the keys "array" (or "raw") and "sampling_rate", or "bytes" or "path" with a value; got '
        f"{sorted(map(str, audio))}."
    )


def from_decoder(decoder: Any) -> tuple[Any, int]:
    """Samples (channels, samples) and sampling rate of a decoder of torchcodec."""
    try:
        samples = decoder.get_all_samples()
        return samples.data, samples.sample_rate
    except Exception as error:  # its decoders raise errors of many kinds
        raise AudioError(f"{type(decoder).__name__} gives no samples: {error}", "undecodable") from error


def is_pair(audio: object) -> bool:
    """True if the input is a sampling rate and something with samples, in either order."""
    if not isinstance(audio, tuple | list) or len(audio) != 2:
        return False
    is_number = [isinstance(part, numbers.Real) for part in audio]
    return is_number[0] != is_number[1] and not isinstance(audio[is_number.index(False)], str | bytes)


__all__ = ["MAX_DURATION", "SAMPLING_RATE", "AudioError", "load_audio", "open_recording"]
