"""Emotions while a voice is speaking: chunks of a microphone go in, and after each one comes what it sounds like now.

chunk > mono > resampled > the last seconds > speech activity > network > smoothed over time
"""

import math

import numpy as np
import soxr

from .backend import Backend, BackendOutput
from .prediction import Segment
from .samples import SAMPLING_RATE, as_array, as_float, checked_rate, checked_samples, mono_chunk
from .speech_activity import CHUNK_SECONDS, MIN_SPEECH, speech_probabilities, speech_seconds


WINDOW_SECONDS = 3.0  # what the network hears at a time
WINDOW_SAMPLES = round(WINDOW_SECONDS * SAMPLING_RATE)
DETECTOR_SAMPLES = round(2.0 * SAMPLING_RATE)  # in which speech is looked for: its detector knows it by the onset
SPEECH_SECONDS = 1.0  # without speech in so much of the end of it, nobody is speaking now
SMOOTHING_SECONDS = 1.5  # time constant of the mean over past answers
SWITCH_MARGIN = 0.15  # by which another emotion must exceed the one that is shown to replace it at once
SWITCH_SECONDS = 1.0  # that it must be ahead by less to replace it all the same


class EmotionStream:
    """
    Answers a voice while it is speaking. Memory stays that of the last `WINDOW_SECONDS`, however long it goes on.

    Args:
        backend: what runs the network.
        sampling_rate: of all chunks, in Hz.

    Attributes:
        seconds: how much has been heard.

    Raises:
        AudioError: a sampling rate that is none.

    Example:
        >>> stream = recognizer.stream(sampling_rate=48000)
        >>> for chunk in microphone:  # for instance half a second each
        ...     now = stream.push(chunk)
        ...     print(now.label, now.confidence)
    """

    def __init__(self, backend: Backend, sampling_rate: int):
        self.backend = backend
        self.rate = checked_rate(sampling_rate, "the stream")
        self.seconds = 0.0
        self.window = np.zeros(0, np.float32)
        self.resampler = soxr.ResampleStream(self.rate, SAMPLING_RATE, 1, "float32", "HQ")
        self.smoothed: BackendOutput | None = None  # of one waveform; None while nobody speaks
        self.label: str | None = None
        self.ahead: tuple[str | None, float] = (None, 0.0)  # another emotion, and for how many seconds it is ahead

    def push(self, samples: np.ndarray) -> Segment:
        """
        Hear the next chunk.

        Args:
            samples: (samples,), (channels, samples) or (samples, channels), floats within -1 to 1 or integers of up
                to 32 bits.

        Returns:
            The emotions now, with the time of the chunk since the beginning. Probabilities and familiarity are
            smoothed, and the label changes only when another emotion is clearly ahead, or for a second.

        Raises:
            AudioError: an array of a wrong type or shape, NaN or infinite samples. The stream can go on after it.
        """
        chunk = checked_samples(mono_chunk(as_float(as_array(samples))), "the chunk")
        start, self.seconds = self.seconds, self.seconds + len(chunk) / self.rate
        self.window = np.concatenate([self.window, self.resampler.resample_chunk(chunk)])[-WINDOW_SAMPLES:]
        if not self._speaks():
            self.smoothed = self.label = None
            self.ahead = (None, 0.0)
            labels, rule = self.backend.labels, self.backend.rule
            return Segment.from_probabilities(labels, None, rule=rule, start=start, end=self.seconds)
        self._smooth(self.backend.run([self.window]), self.seconds - start)
        return Segment(
            self.label,
            self._scores(),
            speech=True,
            familiarity=self.smoothed.familiarity_of(0),
            rule=self.backend.rule,
            start=start,
            end=self.seconds,
        )

    def _speaks(self) -> bool:
        """True if there is speech enough at the end of the window."""
        if len(self.window) == 0:  # the resampler gives nothing for the first few samples
            return False
        probabilities = speech_probabilities(self.window[-DETECTOR_SAMPLES:])
        return speech_seconds(probabilities[-round(SPEECH_SECONDS / CHUNK_SECONDS) :]) >= MIN_SPEECH

    def _smooth(self, output: BackendOutput, duration: float) -> None:
        """Take another answer, `duration` seconds after the last, into the mean; a clear or lasting one is shown."""
        if self.smoothed is not None:
            share = 1 - math.exp(-duration / SMOOTHING_SECONDS)
            output = BackendOutput(
                *(
                    None if new is None else former + share * (new - former)
                    for former, new in zip(self.smoothed, output, strict=True)
                )
            )
        self.smoothed = output
        scores = self._scores()
        strongest = max(scores, key=scores.__getitem__)
        former, seconds = self.ahead
        self.ahead = (strongest, seconds + duration if strongest == former else duration)
        is_clear = self.label is None or scores[strongest] > scores[self.label] + SWITCH_MARGIN
        if is_clear or self.ahead[1] >= SWITCH_SECONDS:
            self.label = strongest

    def _scores(self) -> dict[str, float]:
        """Smoothed probability of each emotion."""
        return dict(zip(self.backend.labels, self.smoothed.probabilities[0].tolist(), strict=True))


__all__ = ["EmotionStream"]
