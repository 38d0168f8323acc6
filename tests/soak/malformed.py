"""Malformed inputs, drawn from a seed: each is answered or refused in the project's words, soon and in little memory.

Sounds of every format, damaged; arrays, mappings and file objects; checkpoints, figures; pieces of live sound.
"""

import functools
import io
import json
import math
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.measuring import Outcome, limited
from benchmarks.page import megabytes
from page.live import LiveStreams
from page.my_voice import OwnVoices
from scripts.page_client import encoded
from ser_model import EmotionRecognizer
from ser_model.audio_io import AudioError, load_audio
from ser_model.files import CHECKPOINT_FILES, CONFIG_FILE, EXTRACTOR_FILE, ONNX_FILE, WEIGHTS_FILE
from ser_model.metrics_file import METRICS_FILE, read_metrics
from ser_model.recognizer import PRETRAINED
from train.augment.voice import RATE, speech_like


COUNT, SEED = 20_000, 0
HANG_SECONDS, GIVE_UP_SECONDS = 5, 60  # of one input; after the second its process is ended
MEMORY_BAR = 200  # MB above idle
BY_SOUNDFILE = (
    *(("WAV", subtype) for subtype in ("PCM_16", "PCM_24", "FLOAT", "IMA_ADPCM", "GSM610")),
    *(("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16")),
    *(("AU", "PCM_16"), ("W64", "PCM_16"), ("CAF", "ALAC_16"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16")),
)
BY_FFMPEG = ("m4a", "webm", "aac", "wma", "mka")
SIZES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # at which programs miscount
HEADER = 200  # bytes in which a file tells what it holds
ODD = (
    *(None, True, -1, 0, 0.5, 10**9, -(10**30), 1e308, math.nan, -math.inf, "", "x" * 10_000, "\x1b[2J", "ü\0"),
    *([], {}, [[]], [-5], [10**9], [8] * 10_000, {"0": "sad"}, {"a": math.nan}, ["mfcc"] * 3),
)
TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u8", "c8", "?", "U3", "O", "M8[s]", ">f4", ">i2")


@functools.cache
def sounds() -> dict[str, bytes]:
    """A whole recording of each format that this machine can write."""
    voice = speech_like(1.0)
    made = {}
    for container, subtype in BY_SOUNDFILE:
        stream = io.BytesIO()
        soundfile.write(stream, voice, RATE, format=container, subtype=subtype)
        made[f"{container} {subtype}"] = stream.getvalue()
    if shutil.which("ffmpeg"):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "voice.wav")
            source.write_bytes(made["WAV PCM_16"])
            for suffix in BY_FFMPEG:
                target = source.with_suffix(f".{suffix}")
                subprocess.run(["ffmpeg", "-v", "error", "-i", source, target], check=True)
                made[suffix] = target.read_bytes()
    return made


def damaged(content: bytes, generator: np.random.Generator) -> bytes:
    """A file after one to three accidents."""
    for _ in range(generator.integers(1, 4)):
        content = ACCIDENTS[generator.integers(len(ACCIDENTS))](bytearray(content or b"\0"), generator)
    return content


def place(content: bytes, generator: np.random.Generator) -> int:
    """Where an accident happens: half of them where the file tells what it holds."""
    return int(generator.integers(min(len(content), HEADER) if generator.random() < 0.5 else len(content)))


def stretch(content: bytes, generator: np.random.Generator) -> slice:
    """Where, and how far: a few bytes or very many."""
    start = place(content, generator)
    return slice(start, start + int(2 ** generator.uniform(0, 14)))


def cut(content: bytearray, generator: np.random.Generator) -> bytes:
    """The beginning of a file."""
    return bytes(content[: place(content, generator)])


def flip(content: bytearray, generator: np.random.Generator) -> bytes:
    """With single bits turned."""
    for _ in range(int(2 ** generator.uniform(0, 8))):
        content[place(content, generator)] ^= 1 << int(generator.integers(8))
    return bytes(content)


def lie(content: bytearray, generator: np.random.Generator) -> bytes:
    """With a number that is another one, in either order of bytes."""
    start, size = place(content, generator), int(generator.choice([1, 2, 4, 8]))
    number = int(generator.choice(SIZES)) % (1 << 8 * size)
    content[start : start + size] = number.to_bytes(size, ("little", "big")[generator.integers(2)])
    return bytes(content)


def blank(content: bytearray, generator: np.random.Generator) -> bytes:
    """With a stretch of zeros."""
    where = stretch(content, generator)
    content[where] = bytes(len(content[where]))
    return bytes(content)


def scramble(content: bytearray, generator: np.random.Generator) -> bytes:
    """With a stretch of noise."""
    where = stretch(content, generator)
    content[where] = generator.bytes(len(content[where]))
    return bytes(content)


def lose(content: bytearray, generator: np.random.Generator) -> bytes:
    """Without a stretch."""
    del content[stretch(content, generator)]
    return bytes(content)


def repeat(content: bytearray, generator: np.random.Generator) -> bytes:
    """With a stretch of it where it does not belong."""
    start = place(content, generator)
    content[start:start] = content[stretch(content, generator)]
    return bytes(content)


def splice(content: bytearray, generator: np.random.Generator) -> bytes:
    """The beginning of a file, and the end of one of another format."""
    other = list(sounds().values())[generator.integers(len(sounds()))]
    return bytes(content[: place(content, generator)]) + other[place(other, generator) :]


ACCIDENTS = (cut, flip, lie, lie, blank, scramble, lose, repeat, splice)


class Doors:
    """Doors that inputs are given to; each method answers True, or False if the input is refused.

    Args:
        folder: for files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recognizer = EmotionRecognizer.from_pretrained(num_threads=1)
        self.stream = self.recognizer.stream(RATE)
        self.streams = LiveStreams()
        self.voices = OwnVoices()
        self.model = folder / "model"
        self.model.mkdir()
        self.whole = {name: (PRETRAINED / name).read_bytes() for name in (*CHECKPOINT_FILES, METRICS_FILE)}

    def sound(self, generator: np.random.Generator) -> bool:
        """A damaged file, as bytes, as a file object, or by a name that may belong to another format."""
        names = list(sounds())
        content = damaged(sounds()[names[generator.integers(len(names))]], generator)
        path = self.folder / f"voice.{generator.choice(['wav', 'mp3', 'm4a', 'raw', 'txt'])}"
        path.write_bytes(content)
        given = (content, io.BytesIO(content), path, {"bytes": content, "path": None})[generator.integers(4)]
        return self.predicted(given, None)

    def array(self, generator: np.random.Generator) -> bool:
        """Samples of any type, shape, size and rate."""
        dimensions = int(generator.integers(4))
        shape = [int(2 ** generator.uniform(-1, 16 / dimensions)) for _ in range(dimensions)]
        samples = generator.normal(0, 10 ** generator.uniform(-9, 6), shape)
        if samples.size and generator.random() < 0.3:
            samples.flat[generator.integers(samples.size)] = generator.choice([np.nan, np.inf, 1e300])
        with np.errstate(all="ignore"):
            samples = samples.astype(generator.choice(TYPES))
        rate = generator.choice([RATE, 8000, 44100, 999, 768001]) if generator.random() < 0.7 else draw_odd(generator)
        given = (samples, samples.tolist(), (rate, samples), {"array": samples, "sampling_rate": rate})
        return self.predicted(given[generator.integers(len(given))], rate)

    def object(self, generator: np.random.Generator) -> bool:
        """Things that are no recording."""
        odd = [draw_odd(generator) for _ in range(3)]
        keys = generator.choice(["array", "raw", "bytes", "path", "sampling_rate", "x"], 3)
        given = (odd[0], odd, tuple(odd[:2]), dict(zip(keys, odd, strict=True)), io.StringIO(str(odd[0])))
        return self.predicted(given[generator.integers(len(given))], odd[2])

    def predicted(self, given: Any, rate: Any) -> bool:
        """True if the recogniser answers it."""
        try:
            self.recognizer.predict(given, sampling_rate=rate)
        except AudioError:
            return False
        return True

    def checkpoint(self, generator: np.random.Generator) -> bool:
        """A checkpoint of which a file is damaged or has other settings."""
        name = generator.choice([CONFIG_FILE, CONFIG_FILE, EXTRACTOR_FILE, EXTRACTOR_FILE, WEIGHTS_FILE, ONNX_FILE])
        backend = "onnx" if name == ONNX_FILE else "torch"
        for file, content in self.whole.items():
            wrong = file == name or (file == CONFIG_FILE and backend == "onnx")
            (self.model / file).write_bytes(wrong_file(file, content, generator) if wrong else content)
        try:
            EmotionRecognizer.from_pretrained(self.model, backend=backend).backend.run([speech_like(0.5)])
        except OSError:
            return False
        return True

    def figures(self, generator: np.random.Generator) -> bool:
        """A damaged metrics.json, or one with other entries."""
        (self.model / WEIGHTS_FILE).write_bytes(self.whole[WEIGHTS_FILE])
        (self.model / METRICS_FILE).write_bytes(wrong_file(METRICS_FILE, self.whole[METRICS_FILE], generator))
        try:
            read_metrics(self.model, ["labels", "corpora"])
        except ValueError:
            return False
        return True

    def live(self, generator: np.random.Generator) -> bool:
        """A piece of live sound as no page would send it."""
        state = self.streams.hear("a", wrong_chunk(generator), self.recognizer)["state"]
        return state in ("speech", "silent")

    def voice(self, generator: np.random.Generator) -> bool:
        """A sentence of My voice as no page would send it."""
        wish = wrong_chunk(generator)
        if isinstance(wish, dict):
            wish["action"] = generator.choice(["read", "read", "on", "forget", "look", "x"])
        return not self.voices.heed("a", wish, self.recognizer)["problem"]

    def pushed(self, generator: np.random.Generator) -> bool:
        """A chunk of a program's own stream."""
        samples = generator.normal(0, 10 ** generator.uniform(-3, 3), int(2 ** generator.uniform(-1, 14)))
        try:
            self.stream.push(
                draw_odd(generator) if generator.random() < 0.3 else samples.astype(TYPES[:4][generator.integers(4)])
            )
        except AudioError:
            return False
        return True


SHARES = {
    Doors.sound: 0.6,
    Doors.array: 0.1,
    Doors.object: 0.06,
    Doors.checkpoint: 0.1,
    Doors.figures: 0.04,
    Doors.live: 0.04,
    Doors.voice: 0.03,
    Doors.pushed: 0.03,
}


def draw_odd(generator: np.random.Generator) -> Any:
    """A value that hardly any place expects."""
    return ODD[generator.integers(len(ODD))]


def wrong_file(name: str, content: bytes, generator: np.random.Generator) -> bytes:
    """A file of a checkpoint, damaged, or if it has settings half of the time with others."""
    if not name.endswith(".json") or generator.random() < 0.5:
        return damaged(content, generator)
    settings = json.loads(content)
    for key in generator.choice(list(settings), 2):
        settings[str(key)] = draw_odd(generator)
    return json.dumps(settings).encode()


def wrong_chunk(generator: np.random.Generator) -> Any:
    """A chunk with values of its own, and a whole one now and then, so that a stream runs."""
    chunk = {"number": int(generator.integers(-1, 3)), "rate": RATE, "samples": encoded(speech_like(0.2))}
    if generator.random() < 0.2:
        return draw_odd(generator)
    if generator.random() < 0.3:
        chunk["samples"] = damaged(chunk["samples"].encode(), generator).decode("latin-1")
    for key in chunk:
        if generator.random() < 0.2:
            chunk[key] = draw_odd(generator)
    return chunk


def give(doors: Doors, index: int, seed: int) -> str:
    """Outcome of an input: "answered", "refused", or the exception that is none of the project's."""
    generator = np.random.default_rng((seed, index))
    door: Callable = generator.choice(list(SHARES), p=list(SHARES.values()))
    try:
        return "answered" if door(doors, generator) else "refused"
    except Exception as error:
        return f"{door.__name__}: {type(error).__name__}: {error}"[:300]


def work(connection: Connection, first: int, count: int, seed: int) -> None:
    """Give inputs from the first on, in a process of its own, and tell of each."""
    with tempfile.TemporaryDirectory() as folder:
        doors = Doors(Path(folder))
        for content in sounds().values():
            load_audio(content)
        for backend in ("onnx", "torch"):
            EmotionRecognizer.from_pretrained(backend=backend).predict(speech_like(1.0), sampling_rate=RATE)
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
        idle = megabytes(os.getpid())
        for index in range(first, count):
            start = time.monotonic()
            became = give(doors, index, seed)
            connection.send((became, time.monotonic() - start, megabytes(os.getpid(), "VmHWM") - idle))


def outcomes(count: int, seed: int) -> Iterator[tuple[str, float, float]]:
    """Of each input in turn what became of it, seconds, and MB above idle at most so far.

    A process that ends or does not answer is replaced.
    """
    context = multiprocessing.get_context("spawn")
    index = 0
    while index < count:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(theirs, index, count, seed))
        process.start()
        theirs.close()
        patience = 10 * GIVE_UP_SECONDS  # for the imports
        try:
            while index < count:
                if not ours.poll(patience):
                    yield f"input {index}: no answer", patience, 0.0
                    break
                patience = GIVE_UP_SECONDS
                yield ours.recv()
                index += 1
        except EOFError:
            yield f"input {index}: its process crashed", 0.0, 0.0
        process.kill()
        process.join()
        index += 1


def run(count: int = COUNT, seed: int = SEED) -> list[Outcome]:
    """Give that many inputs; what is foreign is printed, with what repeats it."""
    became, seconds, memory = Counter(), 0.0, 0.0
    for outcome, took, above in outcomes(count, seed):
        if outcome not in ("answered", "refused"):
            print(f"seed {seed}, input {sum(became.values())}: {outcome}", flush=True)
            outcome = "foreign"
        became[outcome] += 1
        seconds, memory = max(seconds, took), max(memory, above)
    inputs = f"{count:,} malformed inputs in {len(sounds())} formats ({became['answered']:,} answered all the same)"
    return [
        limited(f"{inputs}: crashes, hangs and foreign exceptions", became["foreign"], "", 0),
        limited(f"longest of {count:,} malformed inputs", seconds, "s", HANG_SECONDS),
        limited(f"memory above idle in {count:,} malformed inputs", memory, "MB", MEMORY_BAR),
    ]
