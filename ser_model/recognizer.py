"""From a recording to the emotions that its voice expresses, when, and how sure the model is.

recording > audio_io > speech_activity > whole, or moments of a long one > backend (the network) > Prediction
"""

import importlib.util
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from .adaptation import AdaptedBackend, voice_correction, weight_of
from .audio_io import AudioInput, Piece, mixed_down, open_recording
from .backend import Backend, BackendOutput, joined_outputs
from .files import CHECKPOINT_FILES, ONNX_FILE, TORCH_FILES
from .moments import HOP_SECONDS, WINDOW_SECONDS, Moment, moments
from .prediction import NO_SPEECH, Prediction, Segment
from .samples import SAMPLING_RATE, AudioError, array_blocks
from .speech_activity import has_speech
from .stream import EmotionStream


PRETRAINED = Path(__file__).parent / "pretrained"
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")  # "name" or "owner/name"
BACKENDS = ("onnx", "torch")

WHOLE_SECONDS = 6.0  # recordings up to this length are answered as a whole, like the clips that the model learnt from
BATCH_SIZE = 16
QUEUED_BATCHES = 8  # decoded recordings that wait to be sorted by length

Progress = Callable[[float], None]


def ignore_progress(_share: float) -> None:
    """Ignore the progress, where nobody asks for it."""


class EmotionRecognizer:
    """
    Answers which emotion a voice expresses.

    Example:
        >>> recognizer = EmotionRecognizer.from_pretrained()
        >>> prediction = recognizer.predict("clip.wav")
        >>> prediction.label, prediction.confidence
    """

    def __init__(self, backend: Backend):
        self.backend = backend

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | os.PathLike | None = None,
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike | None = None,
        backend: str | None = None,
        num_threads: int | None = None,
    ) -> Self:
        """
        Load a checkpoint.

        Args:
            path_or_id: folder of a checkpoint, or the id of a model on the Hub ("owner/name"); by default the
                checkpoint that comes with this package. Or a file that `python -m ser_model export` wrote.
            revision: branch, tag or commit on the Hub.
            cache_dir: where files of the Hub are kept, if not at huggingface_hub's usual place.
            backend: what runs the network: "onnx", which answers sooner and needs no PyTorch, or "torch"; the answers
                are the same. By default "onnx" where the model has its file, model.onnx.
            num_threads: threads of the backend in this process; by default its own choice. One is fastest for single
                clips.

        Raises:
            OSError: no such folder or model, or files of it are missing, damaged or of another kind of model.
            ValueError: an unknown backend.
            ImportError: the backend is not installed.
        """
        if backend not in (None, *BACKENDS):
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}; got {backend!r}.")
        names = (ONNX_FILE,) if backend == "onnx" else TORCH_FILES if backend == "torch" else CHECKPOINT_FILES
        path = checkpoint_path(path_or_id, revision, cache_dir, names)
        if backend == "onnx" or (backend is None and has_onnx(path)):
            from .onnx_backend import OnnxBackend

            return cls(OnnxBackend(path, num_threads))
        import torch

        from .torch_backend import TorchBackend

        if num_threads is not None:
            torch.set_num_threads(num_threads)
        return cls(TorchBackend(path))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the emotions, in the order of all scores."""
        return self.backend.labels

    def predict(
        self, audio: AudioInput, *, sampling_rate: int | None = None, progress: Progress | None = None
    ) -> Prediction:
        """
        The emotions of one recording.

        Args:
            audio: path, bytes, binary file object, or an array with its `sampling_rate`; see `load_audio`.
            sampling_rate: of an array, in Hz.
            progress: called with the share that is done, from 0 to 1, while a long recording is answered.

        Raises:
            AudioError: a recording that cannot be used; the message says what was given and what is accepted.
        """
        return self._answered(self._short_or_answer(audio, sampling_rate, progress or ignore_progress))

    def predict_waveform(self, waveform: np.ndarray, *, progress: Progress | None = None) -> Prediction:
        """
        The emotions of one recording that is decoded already; it is not checked again.

        Args:
            waveform: mono, float32 (samples,) at 16 kHz, as `load_audio` gives it.
            progress: as in [`predict`].
        """
        pieces = (Piece(block, len(waveform) / SAMPLING_RATE) for block in array_blocks(waveform))
        return self._answered(self._begin(pieces, progress or ignore_progress))

    def predict_batch(
        self,
        recordings: Iterable[AudioInput],
        *,
        sampling_rate: int | None = None,
        batch_size: int = BATCH_SIZE,
        return_errors: bool = False,
    ) -> list[Prediction | AudioError]:
        """
        The emotions of several recordings, in their order.

        Args:
            recordings: each as in [`predict`].
            sampling_rate: of those that are arrays, in Hz.
            batch_size: recordings that the network takes at a time.
            return_errors: whether a recording that cannot be used has its error in the list, in place of raising it.

        Raises:
            AudioError: a recording that cannot be used; the message says which.
        """
        if isinstance(recordings, str | bytes | os.PathLike):
            raise ValueError("predict_batch takes a list of recordings; predict takes a single one.")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        recordings = list(recordings)
        predictions: list[Prediction | AudioError] = []
        queue: dict[int, np.ndarray] = {}
        for index, audio in enumerate(recordings):
            try:
                answer = self._short_or_answer(audio, sampling_rate, ignore_progress)
            except AudioError as error:
                if not return_errors:
                    raise AudioError(f"Recording {index + 1} of {len(recordings)}: {error}", error.reason) from error
                answer = error
            if isinstance(answer, np.ndarray):
                queue[index] = answer
            predictions.append(answer)
            if len(queue) == batch_size * QUEUED_BATCHES:
                self._answer_queue(queue, batch_size, predictions)
        self._answer_queue(queue, batch_size, predictions)
        return predictions

    def stream(self, sampling_rate: int) -> EmotionStream:
        """Stream that answers a voice while it speaks, chunk by chunk; `sampling_rate` of all its chunks, in Hz."""
        return EmotionStream(self.backend, sampling_rate)

    def adapt(self, clips: Sequence[AudioInput], *, sampling_rate: int | None = None) -> Self:
        """
        A recogniser corrected for one voice; this one stays as it is. Nothing is trained.

        Args:
            clips: of this speaker, unlabelled, each as in [`predict`]. About ten sentences, not all in the same mood,
                are good. Each counts once, however long it is; one with little voice counts less, a word not at all.
            sampling_rate: of those that are arrays, in Hz.

        Raises:
            ValueError: no clips.
            AudioError: a clip that cannot be used, or none with speech enough.

        Example:
            >>> recognizer = EmotionRecognizer.from_pretrained().adapt(["monday.wav", "tuesday.wav"])
        """
        if isinstance(clips, str | bytes | os.PathLike) or len(clips) == 0:
            raise ValueError("adapt takes a list of clips of one speaker, about ten; got " + repr(clips)[:80] + ".")
        backend = self.backend.backend if isinstance(self.backend, AdaptedBackend) else self.backend
        predictions = type(self)(backend).predict_batch(clips, sampling_rate=sampling_rate)
        heard = [prediction for prediction in predictions if prediction.speech]
        weights = list(map(weight_of, heard))
        if not any(weights):
            raise AudioError(
                f"None of the {len(clips)} clips has speech enough to adapt to: record some whole sentences."
            )
        probabilities = np.array([list(prediction.scores.values()) for prediction in heard])
        return type(self)(AdaptedBackend(backend, voice_correction(probabilities, weights)))

    def _short_or_answer(
        self, audio: AudioInput, sampling_rate: int | None, progress: Progress
    ) -> np.ndarray | Prediction:
        """The waveform of a short recording with speech, which is to be answered; the prediction of any other."""
        recording = open_recording(audio, sampling_rate=sampling_rate)
        return mixed_down(lambda channel: self._begin(recording.pieces(channel=channel), progress))

    def _answered(self, answer: np.ndarray | Prediction) -> Prediction:
        """The prediction of a recording, of which [`_short_or_answer`] gave the waveform or the prediction itself."""
        return answer if isinstance(answer, Prediction) else self._one_segment(answer, self.backend.run([answer]), 0)

    def _begin(self, pieces: Iterator[Piece], progress: Progress) -> np.ndarray | Prediction:
        """The same of a recording that comes in pieces: only of a short one all samples are held at once."""
        waveform = np.zeros(0, np.float32)
        for piece in pieces:
            waveform = np.concatenate([waveform, piece.samples]) if len(waveform) else piece.samples
            if len(waveform) > WHOLE_SECONDS * SAMPLING_RATE:
                rest = (piece.samples for piece in pieces)
                return self._answer_long(itertools.chain([waveform], rest), piece.claimed_seconds, progress)
        return waveform if has_speech(waveform) else self._one_segment(waveform, None, None)

    def _answer_queue(self, queue: dict[int, np.ndarray], batch_size: int, predictions: list) -> None:
        """Fill in the predictions of short recordings with speech, in batches of similar length; empty the queue."""
        order = sorted(queue, key=lambda index: len(queue[index]))
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            output = self.backend.run([queue[index] for index in indices])
            for row, index in enumerate(indices):
                predictions[index] = self._one_segment(queue[index], output, row)
        queue.clear()

    def _one_segment(self, waveform: np.ndarray, output: BackendOutput | None, row: int | None) -> Prediction:
        """Prediction of a short recording, which is a row of `output`; None without speech."""
        duration = len(waveform) / SAMPLING_RATE
        answer = self._answer(output, row)
        segment = Segment.from_probabilities(**answer, start=0.0, end=duration)
        return Prediction.from_probabilities(**answer, duration=duration, segments=(segment,))

    def _answer(self, output: BackendOutput | None, row: int | None) -> dict[str, Any]:
        """Arguments of `from_probabilities` for a row of the backend's output; the row is None without speech."""
        if row is None:
            return {"labels": self.labels, "probabilities": None, "rule": self.backend.rule}
        return {
            "labels": self.labels,
            "probabilities": output.probabilities[row],
            "familiarity": output.familiarity_of(row),
            "rule": self.backend.rule,
        }

    def _answer_long(
        self, pieces: Iterable[np.ndarray], claimed_seconds: float | None, progress: Progress
    ) -> Prediction:
        """One answer a second, each from the window around it; the whole is the mean of those with speech."""
        segments, outputs = [], []
        known = reported(moments(pieces), claimed_seconds, progress)
        while batch := list(itertools.islice(known, BATCH_SIZE)):
            windows = [moment.window for moment in batch if moment.window is not None]
            output = self.backend.run(windows) if windows else None
            outputs += [output] if windows else []
            rows = iter(range(len(windows)))
            for start, end, window in batch:
                answer = self._answer(output, None if window is None else next(rows))
                segments.append(Segment.from_probabilities(**answer, start=start, end=end))
        progress(1.0)
        whole = self._answer(joined_outputs(outputs).mean(), 0) if outputs else self._answer(None, None)
        return Prediction.from_probabilities(**whole, duration=segments[-1].end, segments=tuple(segments))


def reported(known: Iterable[Moment], claimed_seconds: float | None, progress: Progress) -> Iterator[Moment]:
    """Moments as they are, while `progress` is told which share of a recording's length has come."""
    for moment in known:
        if claimed_seconds:
            progress(min(1.0, moment.end / claimed_seconds))
        yield moment


def has_onnx(path: Path) -> bool:
    """True if a checkpoint is an ONNX file or a folder that has one, and what runs it is installed."""
    is_one = path.is_file() or (path / ONNX_FILE).is_file()
    return is_one and importlib.util.find_spec("onnxruntime") is not None


def checkpoint_path(
    path_or_id: str | os.PathLike | None,
    revision: str | None,
    cache_dir: str | os.PathLike | None,
    file_names: Sequence[str],
) -> Path:
    """Local folder of a checkpoint, or its file; one on the Hub is fetched, and only the files that are named."""
    if path_or_id is None:
        return PRETRAINED
    path = Path(path_or_id)
    if path.exists():
        return path
    if isinstance(path_or_id, os.PathLike) or not HUB_ID.fullmatch(path_or_id):
        raise FileNotFoundError(f"There is no folder '{path_or_id}': give the folder of a checkpoint or a Hub id.")
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(path_or_id, revision=revision, cache_dir=cache_dir, allow_patterns=list(file_names))
        )
    except (OSError, ValueError) as error:  # ValueError: no valid id
        raise OSError(f"'{path_or_id}' is no folder here, and could not be fetched from the Hub: {error}") from error


__all__ = ["HOP_SECONDS", "NO_SPEECH", "WINDOW_SECONDS", "EmotionRecognizer", "Prediction", "Segment"]
