"""An archive of recordings, scored by several processes into one table: `python -m ser_model FOLDER --output FILE`.

A journal beside the table holds a line for each recording, written as soon as it is scored. Started again after an
interruption, only what is missing there is scored.
"""

import contextlib
import importlib.util
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from .files import CHECKPOINT_FILES, digest
from .prediction import Prediction
from .recognizer import EmotionRecognizer, checkpoint_path
from .samples import AudioError
from .timeline import as_csv


if TYPE_CHECKING:
    import pyarrow

FORMATS = (".parquet", ".csv", ".jsonl")
JOURNAL_SUFFIX = ".part"
LOCK_SUFFIX = ".lock"
CHUNK_FILES = 32  # recordings that a process takes at a time
CHUNK_BYTES = 1 << 24  # of their files: long ones come one by one
QUEUED_CHUNKS = 2  # for each process, so that none waits
COLUMNS = (
    "path",
    "duration",
    "emotion",
    "confidence",
    "speech",
    "sure",
    "candidates",
    "arousal",
    "familiarity",
    "error",
)

recognizer: EmotionRecognizer | None = None  # of a worker process


@dataclass(frozen=True)
class Scorer:
    """Model that a process loads: a checkpoint on disk, and a backend as of [`EmotionRecognizer.from_pretrained`]."""

    checkpoint: str
    backend: str | None

    def load(self) -> EmotionRecognizer:
        """The recogniser, of one thread."""
        return EmotionRecognizer.from_pretrained(self.checkpoint, backend=self.backend, num_threads=1)

    def identity(self) -> dict[str, Any]:
        """By what a journal knows that it was begun with the same model."""
        place = Path(self.checkpoint)
        files = [place] if place.is_file() else [place / name for name in CHECKPOINT_FILES]
        return {"backend": self.backend, "sha256": {path.name: digest(path) for path in files if path.is_file()}}


class ArchiveError(ValueError):
    """An archive that cannot be scored as it was asked for, and why."""


@dataclass(frozen=True)
class Outcome:
    """How many recordings were scored now, were scored before, and cannot be used."""

    scored: int
    before: int
    failed: int


def score_archive(
    recordings: Sequence[str],
    output: Path,
    *,
    model: str | None = None,
    backend: str | None = None,
    workers: int = 1,
) -> Outcome:
    """
    Score recordings into a table with a row for each, in their order.

    Columns: path, duration (seconds), emotion, confidence, speech, sure, candidates, arousal, familiarity, error, and
    `score_<label>` for each label. A recording that cannot be used has its path and an error.

    Args:
        recordings: paths.
        output: a .parquet, .csv or .jsonl file that is not there yet.
        model: as `path_or_id` of [`EmotionRecognizer.from_pretrained`].
        backend: likewise.
        workers: processes, of one thread each.

    Raises:
        ArchiveError: another format, a table that is there, a journal of another model, or another process at work.
        OSError: the model cannot be loaded, or the table cannot be written.
    """
    check_output(output)
    journal = output.with_name(output.name + JOURNAL_SUFFIX)
    lock = output.with_name(output.name + LOCK_SUFFIX)
    try:
        with FileLock(lock, timeout=0):
            scorer = Scorer(str(checkpoint_path(model, None, None, CHECKPOINT_FILES)), backend)
            outcome = resume(list(dict.fromkeys(recordings)), output, journal, scorer, workers)
            with contextlib.suppress(OSError):  # Windows keeps what is open
                lock.unlink()
            return outcome
    except Timeout:
        raise ArchiveError(f"{output} is being written by another process.") from None


def check_output(output: Path) -> None:
    """Raise ArchiveError for a table that cannot be written, before anything is scored."""
    if output.suffix not in FORMATS:
        raise ArchiveError(f"{output}: the table's name ends with {', '.join(FORMATS)}.")
    if output.exists():
        raise ArchiveError(f"{output} is there already: remove it, or give another --output.")
    if output.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ArchiveError("A .parquet file needs pyarrow: pip install pyarrow, or take .csv or .jsonl.")


def resume(recordings: list[str], output: Path, journal: Path, scorer: Scorer, workers: int) -> Outcome:
    """Score what the journal lacks, then write the table and remove the journal."""
    labels, head = scorer.load().labels, scorer.identity()
    done = read_journal(journal, head)
    pending = [path for path in recordings if path not in done or done[path]["file"] != identity(path)]
    with open(journal, "a", encoding="utf-8") as file:
        if not done and file.tell() == 0:
            write_lines(file, [head])
        with tqdm(total=len(recordings), initial=len(recordings) - len(pending), unit="clip", disable=None) as bar:
            for rows in scored(chunks(pending), scorer, workers):
                write_lines(file, rows)
                done |= {row["path"]: row for row in rows}
                bar.update(len(rows))
    rows = [{key: value for key, value in done[path].items() if key != "file"} for path in recordings]
    write_table(rows, labels, output)
    journal.unlink()
    failed = sum(row["error"] is not None for row in rows)
    return Outcome(len(pending), len(recordings) - len(pending), failed)


def read_journal(journal: Path, head: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """
    Rows of a journal by path; a line that was cut is removed from it.

    Raises:
        ArchiveError: it was begun with another model.
    """
    if not journal.is_file():
        return {}
    content = journal.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(journal, len(whole))
    lines = [json.loads(line) for line in whole.splitlines()]
    if lines and lines[0] != head:
        raise ArchiveError(f"{journal} was begun with another model: remove it, or give another --output.")
    return {row["path"]: row for row in lines[1:]}


def write_lines(file: Any, rows: Iterable[dict[str, Any]]) -> None:
    """Append rows to an open journal, so that a killed process loses none of them."""
    file.write("".join(json.dumps(row) + "\n" for row in rows))
    file.flush()


def identity(path: str) -> list[int] | None:
    """Size and time of a file, by which a changed one is known; None if it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def chunks(paths: Iterable[str]) -> Iterator[list[str]]:
    """Paths as a process takes them at a time, the largest files first: lengths within a chunk are alike."""
    sizes = {path: (identity(path) or [0])[0] for path in paths}
    chunk, size = [], 0
    for path in sorted(sizes, key=lambda path: -sizes[path]):
        if chunk and (len(chunk) == CHUNK_FILES or size + sizes[path] > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(path)
        size += sizes[path]
    if chunk:
        yield chunk


def scored(work: Iterator[list[str]], scorer: Scorer, workers: int) -> Iterator[list[dict[str, Any]]]:
    """Rows of each chunk, as soon as a process has scored it."""
    context = multiprocessing.get_context("spawn")  # a fork of threads that are running may hang
    with ProcessPoolExecutor(workers, context, load_recognizer, (scorer,)) as pool:
        running: set[Future] = set()
        try:
            for chunk in work:
                running.add(pool.submit(score, chunk))
                if len(running) >= workers * QUEUED_CHUNKS:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in finished)
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        except BrokenProcessPool:
            raise ArchiveError("A worker process was ended from outside. Start again: nothing is lost.") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def load_recognizer(scorer: Scorer) -> None:
    """Load the recogniser of a worker process, which ends with the process that started it."""
    global recognizer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that process stops the others
    threading.Thread(target=end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    recognizer = scorer.load()


def end_with(process: BaseProcess) -> None:
    """End this process when another one has ended."""
    process.join()
    os._exit(1)


def score(paths: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of recordings, in a worker process."""
    files = [identity(path) for path in paths]  # before they are read: what changes meanwhile is scored again
    answers = recognizer.predict_batch(paths, return_errors=True)
    return [row_of(path, answer) | {"file": file} for path, file, answer in zip(paths, files, answers, strict=True)]


def row_of(path: str, prediction: Prediction | AudioError) -> dict[str, Any]:
    """A recording's row: its path and the answer, or its path and the error."""
    if isinstance(prediction, AudioError):
        return dict.fromkeys(COLUMNS) | {"path": path, "error": str(prediction)}
    answer = prediction.to_dict()
    scores = {f"score_{label}": score for label, score in answer["scores"].items()}
    values = answer | {"path": path, "emotion": answer["label"], "error": None}
    return {name: values[name] for name in COLUMNS} | scores


def write_table(rows: Sequence[dict[str, Any]], labels: Sequence[str], output: Path) -> None:
    """Write the table, whole or not at all."""
    names = [*COLUMNS, *(f"score_{label}" for label in labels)]
    unfinished = output.with_name(f".{output.name}.new")
    complete = [{name: row.get(name) for name in names} for row in rows]
    try:
        if output.suffix == ".parquet":
            from pyarrow import parquet

            parquet.write_table(as_table(complete, labels), unfinished)
        elif output.suffix == ".csv":
            unfinished.write_text(as_csv(names, map(cells, complete)), encoding="utf-8-sig")  # as Excel expects it
        else:
            unfinished.write_text("".join(json.dumps(row) + "\n" for row in complete), encoding="utf-8")
        os.replace(unfinished, output)
    finally:
        unfinished.unlink(missing_ok=True)


def cells(row: dict[str, Any]) -> list[Any]:
    """A row's cells of a CSV: candidates are one, apart by blanks, and what is missing is empty."""
    row = row | {"candidates": " ".join(row["candidates"] or ())}
    return ["" if value is None else value for value in row.values()]


def as_table(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> "pyarrow.Table":
    """Rows with the same types of columns whatever they hold."""
    import pyarrow

    kinds = {
        "path": pyarrow.string(),
        "duration": pyarrow.float64(),
        "emotion": pyarrow.string(),
        "confidence": pyarrow.float32(),
        "speech": pyarrow.bool_(),
        "sure": pyarrow.bool_(),
        "candidates": pyarrow.list_(pyarrow.string()),
        "arousal": pyarrow.float32(),
        "familiarity": pyarrow.float32(),
        "error": pyarrow.string(),
    } | {f"score_{label}": pyarrow.float32() for label in labels}
    return pyarrow.Table.from_pylist(list(rows), schema=pyarrow.schema(kinds))


__all__ = ["ArchiveError", "Outcome", "score_archive"]
