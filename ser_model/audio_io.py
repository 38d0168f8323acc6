"""Decodes what people hand in (a file, bytes, an array) to the one form that the model takes: mono float32 at 16 kHz.

file or bytes > soundfile, or the ffmpeg program for what soundfile cannot open > mono > soxr > checked samples
"""

import io
import itertools
import math
import numbers
import os
import re
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr


SAMPLING_RATE = 16000  # Hz
MAX_DURATION = 3600.0  # seconds
MIN_INPUT_RATE, MAX_INPUT_RATE = 1000, 768000  # Hz
MAX_CHANNELS = 64
MAX_PEAK = 100.0  # 40 dB above full scale; more is a recording in integer units that was converted to float
BLOCK_FRAMES = 1 << 20  # decoded at a time, shared by the channels
MAX_STREAM_BYTES = 1 << 30  # of what cannot be sought in; an hour of 16-bit stereo at 48 kHz has 0.7e9
CANCELLED_SHARE = 0.1  # of the energy that the mean of unrelated channels keeps; less, and they cancel each other out
INT16_PEAK = 1 << 15  # integers of 32 bits that reach no further came from 16 bits: else they are at -90 dB

# Names of files that hold sound, lossless formats first: the first group soundfile reads, all of them ffmpeg.
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".aif", ".aiff", ".aifc", ".au", ".snd", ".w64", ".caf", ".ogg", ".oga", ".opus", ".mp3"),
    *(".m4a", ".m4b", ".aac", ".webm", ".wma", ".amr", ".3gp", ".ape", ".wv", ".tta", ".ac3", ".mka"),
    *(".mp4", ".mov", ".mkv", ".avi", ".flv", ".mpg", ".mpeg"),
)
SMALLEST_BLOCK_FRAMES = 1 << 12  # how closely the damaged end of a file is approached

# Containers that ffmpeg may open, by the names of its demuxers. Playlists and anything else that points to further
# files or addresses stay out, because recordings come from strangers.
FFMPEG_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,webm,wv"
)
SOUNDFILE_FORMATS = "wav, flac, ogg, opus, mp3 or aiff"
FFMPEG_ADVICE = (
    f"give a file in {SOUNDFILE_FORMATS}; for m4a, aac, webm, wma, amr or video install the program ffmpeg (apt "
    "install ffmpeg, brew install ffmpeg, or winget install ffmpeg)"
)

AudioInput = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO | np.ndarray | list | tuple | Mapping
Blocks = Iterable[np.ndarray]  # decoded pieces, float32 (frames, channels) or (frames,)


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
    if isinstance(audio, Mapping):
        audio, sampling_rate = from_mapping(audio, sampling_rate)
    elif hasattr(audio, "get_all_samples"):
        audio, sampling_rate = from_decoder(audio)
    elif is_pair(audio):
        sampling_rate, audio = audio if isinstance(audio[0], numbers.Real) else audio[::-1]
    if isinstance(audio, str | os.PathLike):
        return decode_file(os.fspath(audio), target_rate, max_duration)
    if isinstance(audio, bytes | bytearray | memoryview):
        return decode_stream(io.BytesIO(audio), "the given data", target_rate, max_duration)
    if hasattr(audio, "read"):
        return decode_stream(in_memory(audio), "the given file object", target_rate, max_duration)
    samples = from_16_bits(as_array(audio))
    if sampling_rate is None:
        raise AudioError(f"An array of shape {samples.shape} needs its sampling rate in Hz, as sampling_rate=44100.")
    rate = checked_rate(sampling_rate, "the array")
    check_duration(len(samples) / rate, max_duration, "The array")
    return mixed_down(
        lambda channel: collect(array_blocks(samples), rate, target_rate, max_duration, "the array", channel)
    )


def decode_file(path: str, target_rate: int, max_duration: float) -> np.ndarray:
    """Decode the file at `path`; arguments and result as in `load_audio`."""
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
    try:
        with open(path, "rb") as stream:
            return decode_stream(in_memory(stream), name, target_rate, max_duration)
    except OSError as error:
        raise AudioError(f"{name} cannot be read: {error.strerror or error}.") from error


def decode_stream(stream: BinaryIO, name: str, target_rate: int, max_duration: float) -> np.ndarray:
    """Decode an open, seekable binary stream; `name` is what messages call it."""
    start = stream.tell()
    if not stream.read(1):
        raise AudioError(f"{sentence(name)} is empty: there is nothing to decode.", "no_samples")

    def decode(channel: int | None) -> np.ndarray:
        stream.seek(start)
        return decode_from(stream, name, target_rate, max_duration, channel)

    return mixed_down(decode)


def decode_from(stream: BinaryIO, name: str, target_rate: int, max_duration: float, channel: int | None) -> np.ndarray:
    """Decode a stream from its position by soundfile, or by ffmpeg where soundfile gives no sample."""
    start = stream.tell()
    try:
        file = soundfile.SoundFile(stream)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a name that ends in .raw
        cause = error
    else:
        with file:
            rate = checked_rate(file.samplerate, name)
            check_channels(file.channels, name)
            check_duration(file.frames / rate, max_duration, name)
            blocks = file_blocks(file)
            if (first := next(blocks, None)) is not None:
                blocks = itertools.chain([first], blocks)
                return collect(blocks, rate, target_rate, max_duration, name, channel)
        cause = no_samples(name) if file.frames == 0 else None
    stream.seek(start)
    if cause is not None and (repaired := with_sizes(stream)) is not None:
        return decode_from(repaired, name, target_rate, max_duration, channel)
    stream.seek(start)
    return decode_by_ffmpeg(stream, name, target_rate, max_duration, channel, cause)


def with_sizes(stream: BinaryIO) -> BinaryIO | None:
    """A WAV whose recorder died before it wrote the sizes of file and samples, with them; None for anything else."""
    if stream.read(12) != b"RIFF\0\0\0\0WAVE":
        return None
    chunks = bytearray(stream.read(MAX_STREAM_BYTES))
    position = 0
    while position + 8 < len(chunks):
        name, size = struct.unpack_from("<4sI", chunks, position)
        if name == b"data":
            struct.pack_into("<I", chunks, position + 4, len(chunks) - position - 8)
            return io.BytesIO(b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks)
        position += 8 + size + size % 2
    return None


def file_blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """
    Samples of an open file block by block, float32 (frames, channels), up to where it is damaged or cut off.

    It is sought in only after damage, because some codecs (GSM 6.10, G.72x) cannot seek.
    """
    size = block_frames(file.channels)
    position = 0
    while True:
        try:
            block = file.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            # The block reaches into the damage: approach it in smaller steps.
            if size <= SMALLEST_BLOCK_FRAMES or not resumes_at(file, position):
                return
            size //= 2
            continue
        if len(block) == 0:
            return
        position += len(block)
        yield block


def resumes_at(file: soundfile.SoundFile, position: int) -> bool:
    """Seek to a frame; False if that cannot be done."""
    try:
        file.seek(position)
    except soundfile.LibsndfileError:
        return False
    return True


def block_frames(channels: int) -> int:
    """Frames of a block, so that its bytes are bounded for any number of channels."""
    return max(1, BLOCK_FRAMES // channels)


def decode_by_ffmpeg(
    stream: BinaryIO,
    name: str,
    target_rate: int,
    max_duration: float,
    channel: int | None,
    cause: Exception | None,
) -> np.ndarray:
    """Decode with the ffmpeg program what soundfile could not; `cause` is why, an AudioError for an empty file."""
    program = shutil.which("ffmpeg")
    if program is None:
        if isinstance(cause, AudioError):
            raise cause
        raise AudioError(f"{sentence(name)} cannot be decoded: {FFMPEG_ADVICE}.", "undecodable") from cause
    with tempfile.TemporaryDirectory(prefix="ser-") as folder:
        # A copy, because m4a and mp4 cannot be read from a pipe, and a name that is no option and no address.
        path = Path(folder, "recording")
        with path.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
        with Path(folder, "messages").open("w+b") as messages:
            command = ffmpeg_command(program, path, max_duration)
            with subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
            ) as process:
                try:
                    return collect_au(process.stdout, name, target_rate, max_duration, channel, messages)
                except AudioError as error:
                    # Both found a recording, and no sample in it: that is the plainer word.
                    if isinstance(cause, AudioError) and error.reason in ("undecodable", "no_samples"):
                        raise cause from error
                    raise
                finally:
                    process.kill()


def ffmpeg_command(program: str, path: Path, max_duration: float) -> list[str]:
    """Arguments that write the first audio stream of a file to the standard output, as an AU stream of floats."""
    return [
        *(program, "-nostdin", "-v", "error"),
        *("-protocol_whitelist", "file", "-format_whitelist", FFMPEG_FORMATS),
        *("-i", f"file:{path}", "-map", "0:a:0", "-t", str(max_duration + 1)),
        *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),
    ]


def collect_au(
    stream: BinaryIO, name: str, target_rate: int, max_duration: float, channel: int | None, messages: BinaryIO
) -> np.ndarray:
    """Samples of an AU stream: a big-endian header that tells rate and channels, then the samples."""
    header = stream.read(24)
    if len(header) < 24:
        raise undecodable(name, messages)
    magic, offset, _size, _encoding, rate, channels = struct.unpack(">4s5I", header)
    if magic != b".snd":
        raise undecodable(name, messages)
    stream.read(offset - len(header))
    checked_rate(rate, name)
    check_channels(channels, name)
    blocks = au_blocks(stream, channels)
    first = next(blocks, None)
    if first is None:
        raise undecodable(name, messages)
    return collect(itertools.chain([first], blocks), rate, target_rate, max_duration, name, channel)


def au_blocks(stream: BinaryIO, channels: int) -> Iterator[np.ndarray]:
    """Big-endian floats of a stream block by block, float32 (frames, channels)."""
    frame_bytes = 4 * channels
    while content := stream.read(block_frames(channels) * frame_bytes):
        whole = len(content) // frame_bytes * frame_bytes
        yield np.frombuffer(content[:whole], ">f4").astype(np.float32).reshape(-1, channels)


def undecodable(name: str, messages: BinaryIO) -> AudioError:
    """The error for a recording that neither soundfile nor ffmpeg could decode."""
    messages.seek(0)
    lines = messages.read().decode(errors="replace").strip().splitlines()
    if any("matches no streams" in line for line in lines):
        return AudioError(f"{sentence(name)} has no audio stream: give a recording with sound.", "no_audio")
    said = f" (ffmpeg says: {lines[-1].rpartition(': ')[2]})" if lines else ""
    return AudioError(
        f"{sentence(name)} is no recording, or a damaged one{said}: give a file in {SOUNDFILE_FORMATS}, or another "
        "format that ffmpeg reads.",
        "undecodable",
    )


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
    """Whether the input is a sampling rate and something with samples, in either order."""
    if not isinstance(audio, tuple | list) or len(audio) != 2:
        return False
    is_number = [isinstance(part, numbers.Real) for part in audio]
    return is_number[0] != is_number[1] and not isinstance(audio[is_number.index(False)], str | bytes)


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


def as_float(samples: np.ndarray) -> np.ndarray:
    """float32 of floats or integers; the range of an integer type becomes -1 to 1, its middle 0."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    middle = full_scale if samples.dtype.kind == "u" else 0.0
    return ((samples.astype(np.float64) - middle) / full_scale).astype(np.float32)


class ChannelsCancelError(Exception):
    """The mean of the channels loses most of their energy; `channel` is the loudest one."""

    def __init__(self, channel: int):
        super().__init__(channel)
        self.channel = channel


def mixed_down(decode: Callable[[int | None], np.ndarray]) -> np.ndarray:
    """The mean of the channels, or the loudest one where they cancel each other out: one may be inverted."""
    try:
        return decode(None)
    except ChannelsCancelError as error:
        return decode(error.channel)


def collect(
    blocks: Blocks, rate: int, target_rate: int, max_duration: float, name: str, channel: int | None = None
) -> np.ndarray:
    """
    Mono, resampled and checked waveform of decoded blocks; float32 (samples,).

    Args:
        blocks: all with the same number of channels.
        channel: the only one that is taken; None for the mean of all.

    Raises:
        ChannelsCancelError: the mean was asked for, and leaves too little.
    """
    resampler = None if rate == target_rate else soxr.ResampleStream(rate, target_rate, 1, "float32", "HQ")
    content = bytearray()  # grows in place: no second copy of a long recording
    frames = 0
    energy, mean_energy = 0.0, 0.0  # of each channel, and of their mean
    for block in blocks:
        frames += len(block)
        check_duration(frames / rate, max_duration, name, is_whole=False)
        mono = to_mono(block) if channel is None else block[:, channel]
        if channel is None and block.ndim == 2 and block.shape[1] > 1:
            energy = energy + np.einsum("fc,fc->c", block, block, dtype=np.float64)
            mean_energy += float(np.dot(mono, mono))
        content += (mono if resampler is None else resampler.resample_chunk(mono)).tobytes()
    if frames == 0:
        raise no_samples(name)
    if mean_energy < CANCELLED_SHARE * np.mean(energy) / np.size(energy):
        raise ChannelsCancelError(int(np.argmax(energy)))
    if resampler is not None:
        content += resampler.resample_chunk(np.zeros(0, np.float32), last=True).tobytes()
    return checked_samples(np.frombuffer(content, np.float32), name)


def no_samples(name: str) -> AudioError:
    """The error for a recording that is well-formed and empty."""
    return AudioError(f"{sentence(name)} has no samples: give a recording with sound.", "no_samples")


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


__all__ = ["AudioError", "load_audio"]
