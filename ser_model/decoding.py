"""Decodes files block by block: by soundfile, or by the ffmpeg program for what soundfile cannot open."""

import contextlib
import io
import itertools
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from .samples import AudioError, block_frames, check_channels, check_duration, checked_rate, no_samples, sentence


MAX_STREAM_BYTES = 1 << 30  # of what cannot be sought in; an hour of 16-bit stereo at 48 kHz has 0.7e9
SMALLEST_BLOCK_FRAMES = 1 << 12  # how closely the damaged end of a file is approached

# The first page of Ogg Opus: where its checksum is, where the rate of the recording is, and where it ends.
OPUS_RATE = 48000
OPUS_HEAD, OGG_CHECKSUM, OPUS_RECORDED = slice(28, 36), slice(22, 26), slice(40, 44)
OPUS_PAGE = 47  # bytes, of mono and stereo
OGG_POLYNOMIAL = 0x104C11DB7

# Names of files that hold sound, lossless formats first: the first group soundfile reads, all of them ffmpeg.
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".aif", ".aiff", ".aifc", ".au", ".snd", ".w64", ".caf", ".ogg", ".oga", ".opus", ".mp3"),
    *(".m4a", ".m4b", ".aac", ".webm", ".wma", ".amr", ".3gp", ".ape", ".wv", ".tta", ".ac3", ".mka"),
    *(".mp4", ".mov", ".mkv", ".avi", ".flv", ".mpg", ".mpeg"),
)

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
FFMPEG_ERROR = re.compile(r"\[(error|fatal)\]")
FFMPEG_DURATION = re.compile(rb"Duration: (\d+):(\d\d):(\d\d\.\d+)")


@dataclass(frozen=True)
class Sound:
    """A recording while it is decoded: its blocks, float32 (frames, channels) or (frames,), all of as many channels.

    Args:
        rate: in Hz.
        blocks: can be gone through once.
        seconds: length that the recording claims; None if it does not.
    """

    rate: int
    blocks: Iterator[np.ndarray]
    seconds: float | None


@contextlib.contextmanager
def opened(stream: BinaryIO, name: str, max_duration: float) -> Iterator[Sound]:
    """Context with the sound of a seekable stream from its position on; `name` is what messages call it."""
    start = stream.tell()
    try:
        file = soundfile.SoundFile(at_full_rate(stream))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a name that ends in .raw
        cause = error
    else:
        with file:
            rate = checked_rate(file.samplerate, name)
            check_channels(file.channels, name)
            check_duration(file.frames / rate, max_duration, name)
            blocks = file_blocks(file)
            if (first := next(blocks, None)) is not None:
                yield Sound(rate, itertools.chain([first], blocks), file.frames / rate)
                return
        cause = no_samples(name) if file.frames == 0 else None
    stream.seek(start)
    repaired = None if cause is None else with_sizes(stream)
    stream.seek(start)
    with (
        opened(repaired, name, max_duration)
        if repaired
        else opened_by_ffmpeg(stream, name, max_duration, cause) as sound
    ):
        yield sound


def at_full_rate(stream: BinaryIO) -> BinaryIO:
    """Ogg Opus that libsndfile decodes at 48 kHz as browsers and ffmpeg do (RFC 7845, 5.1); anything else as it is.

    By itself libsndfile decodes at the rate that was recorded at, and the samples are others.
    """
    start = stream.tell()
    page = bytearray(stream.read(OPUS_PAGE))
    if page[:4] != b"OggS" or page[OPUS_HEAD] != b"OpusHead" or page[26:28] != b"\x01\x13":
        stream.seek(start)
        return stream
    page[OPUS_RECORDED] = OPUS_RATE.to_bytes(4, "little")
    page[OGG_CHECKSUM] = bytes(4)
    page[OGG_CHECKSUM] = ogg_checksum(page).to_bytes(4, "little")
    return io.BytesIO(page + stream.read(MAX_STREAM_BYTES))


def ogg_checksum(page: bytes) -> int:
    """CRC-32 of a page whose own is zero (RFC 3533, 6)."""
    remainder = 0
    for byte in page:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = (remainder << 1) ^ (OGG_POLYNOMIAL if remainder >> 31 else 0)
    return remainder


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


@contextlib.contextmanager
def opened_by_ffmpeg(stream: BinaryIO, name: str, max_duration: float, cause: Exception | None) -> Iterator[Sound]:
    """Context with the sound of what soundfile could not decode; `cause` is why, an AudioError for an empty file."""
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
                    yield au_sound(process.stdout, name, messages)
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
        *(program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"),
        *("-protocol_whitelist", "file", "-format_whitelist", FFMPEG_FORMATS),
        *("-i", f"file:{path}", "-map", "0:a:0", "-t", str(max_duration + 1)),
        *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),
    ]


def au_sound(stream: BinaryIO, name: str, messages: BinaryIO) -> Sound:
    """Sound of an AU stream: a big-endian header that tells rate and channels, then the samples."""
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
    return Sound(rate, itertools.chain([first], blocks), claimed_seconds(messages))


def au_blocks(stream: BinaryIO, channels: int) -> Iterator[np.ndarray]:
    """Big-endian floats of a stream block by block, float32 (frames, channels)."""
    frame_bytes = 4 * channels
    while content := stream.read(block_frames(channels) * frame_bytes):
        whole = len(content) // frame_bytes * frame_bytes
        yield np.frombuffer(content[:whole], ">f4").astype(np.float32).reshape(-1, channels)


def claimed_seconds(messages: BinaryIO) -> float | None:
    """Length of a recording by what ffmpeg says of it; None if it does not know, as of what a browser recorded."""
    messages.seek(0)
    found = FFMPEG_DURATION.search(messages.read())
    return found and 3600 * int(found[1]) + 60 * int(found[2]) + float(found[3])


def undecodable(name: str, messages: BinaryIO) -> AudioError:
    """The error for a recording that neither soundfile nor ffmpeg could decode."""
    messages.seek(0)
    lines = [line for line in messages.read().decode(errors="replace").splitlines() if FFMPEG_ERROR.search(line)]
    if any("matches no streams" in line for line in lines):
        return AudioError(f"{sentence(name)} has no audio stream: give a recording with sound.", "no_audio")
    said = f" (ffmpeg says: {lines[-1].rpartition('] ')[2].rpartition(': ')[2]})" if lines else ""
    return AudioError(
        f"{sentence(name)} is no recording, or a damaged one{said}: give a file in {SOUNDFILE_FORMATS}, or another "
        "format that ffmpeg reads.",
        "undecodable",
    )
