"""Many recordings at once: each is answered or its problem named, and all are put into one table."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

import numpy as np

from page import limits
from page.answer import PredictionDict, RankedEmotion, problem_key, ranking
from page.fetching import SHOWN
from page.recordings import FilesOrAddresses, fetch, load
from page.texts import ENGLISH
from ser_model.prediction import Prediction
from ser_model.recognizer import EmotionRecognizer, Progress, ignore_progress
from ser_model.samples import SAMPLING_RATE, AudioError, spoken_duration
from ser_model.timeline import TIME_DIGITS, as_csv, emotion_cells, emotion_columns


class FileDict(TypedDict):
    """The answer to a file for programs: a prediction or, if it could not be read, the problem."""

    name: str
    prediction: PredictionDict | None
    problem: str | None


class Row(TypedDict):
    """A line of the table; what is not known is empty or 0."""

    problem: str  # key of the texts, or empty
    ranking: list[RankedEmotion]  # strongest first; empty without speech
    unsure: bool
    candidates: list[str]  # the emotions that it may be, the likeliest first
    arousal: float | None  # 0 (calm) to 1 (lively)
    familiar: bool  # False where there is little voice to go by
    duration: float  # seconds


class Table(TypedDict):
    """Table that many.js draws."""

    rows: list[Row]  # of the files that are answered, in their order
    csv: str  # empty until all are
    problem: str  # with all of them: key of the texts, or empty


Result = tuple[str, Prediction | AudioError]


def name_only(error: AudioError, path: str) -> str:
    """The error's sentence without the server's folders."""
    return str(error).replace(path, Path(path).name)


class Several:
    """Answers the recordings of one request, which together have a limit.

    Args:
        progress: told of each recording on its own.
    """

    def __init__(self, recognizer: EmotionRecognizer, progress: Progress) -> None:
        self.recognizer = recognizer
        self.progress = progress
        self.samples_left = limits.REQUEST_SECONDS * SAMPLING_RATE

    def result(self, path: str) -> Result:
        """The answer to the next recording, or what is wrong with it."""
        self.progress(0.0)
        try:
            waveform = self.load(path)
            return path, self.recognizer.predict_waveform(waveform, progress=self.progress)
        except AudioError as error:
            return path, error

    def load(self, path: str) -> np.ndarray:
        """
        The waveform of a recording.

        Raises:
            AudioError: it cannot be used, or is longer than what is left.
        """
        waveform = load(path) if self.samples_left > 0 else None
        if waveform is None or len(waveform) > self.samples_left:
            together = spoken_duration(limits.REQUEST_SECONDS)
            raise AudioError(f"'{path}' is too much: all recordings together have at most {together}.", "too_much")
        self.samples_left -= len(waveform)
        return waveform


def answers_for_programs(
    recognizer: EmotionRecognizer,
    recordings: FilesOrAddresses,
    folder: str,
    progress: Progress = ignore_progress,
) -> Iterator[FileDict]:
    """The answer to each recording in turn, or what is wrong with it.

    What is at an address is fetched into a folder in `folder` that is gone with the answer: gradio deletes what was
    uploaded, but not this, and would take what once was at an address for what is there now.
    """
    several = Several(recognizer, progress)
    for recording in recordings.root:
        with TemporaryDirectory(dir=folder) as fetched:
            try:
                path = fetch(recording, fetched)
            except AudioError as error:
                yield FileDict(name=str(recording)[:SHOWN], prediction=None, problem=str(error))
            else:
                yield as_file_dict(*several.result(path))


def as_file_dict(path: str, result: Prediction | AudioError) -> FileDict:
    """An answer for programs."""
    failed = isinstance(result, AudioError)
    return FileDict(
        name=Path(path).name,
        prediction=None if failed else result.to_dict(),
        problem=name_only(result, path) if failed else None,
    )


def no_files(problem: str = "") -> Table:
    """The table before anything is answered."""
    return Table(rows=[], csv="", problem=problem)


def tables(
    recognizer: EmotionRecognizer, paths: Sequence[str], progress: Progress = ignore_progress
) -> Iterator[Table]:
    """The table as it grows; the last one has the CSV."""
    taken = paths[: limits.REQUEST_FILES]
    done: list[Result] = []
    several = Several(recognizer, progress)
    for path, result in map(several.result, taken):
        done.append((path, result))
        csv = table_csv(recognizer.labels, done) if len(done) == len(taken) else ""
        yield Table(rows=[as_row(result) for _, result in done], csv=csv, problem="")


def as_row(result: Prediction | AudioError) -> Row:
    """A line of the table."""
    if isinstance(result, AudioError):
        return Row(
            problem=problem_key(result),
            ranking=[],
            unsure=False,
            candidates=[],
            arousal=None,
            familiar=True,
            duration=0.0,
        )
    return Row(
        problem="",
        ranking=ranking(result.ranked()),
        unsure=result.speech and not result.sure,
        candidates=list(result.candidates),
        arousal=result.arousal,
        familiar=result.familiar,
        duration=result.duration,
    )


def table_csv(labels: Sequence[str], done: Sequence[Result]) -> str:
    """A line for each file: name, length, what `emotion_columns` names, and the problem if any."""
    columns = emotion_columns(labels)
    rows = []
    for path, result in done:
        if isinstance(result, AudioError):
            problem = ENGLISH[problem_key(result)].format(name=Path(path).name)
            rows.append([Path(path).name, "", *[""] * len(columns), problem])
        else:
            rows.append([Path(path).name, round(result.duration, TIME_DIGITS), *emotion_cells(result), ""])
    return as_csv(["file", "seconds", *columns, "problem"], rows)
