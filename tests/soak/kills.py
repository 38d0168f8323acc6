"""SIGKILL at drawn moments: a command that is given again ends with the results of one that nobody killed."""

import json
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from huggingface_hub import HfApi

from benchmarks.measuring import Outcome, limited
from ser_model.archive import score_archive
from tests.hub_server import HubServer, connect_huggingface_hub
from tests.train.data.test_download import ADDRESS, CLIPS, emodb_files, publish, zipped
from tests.train.evaluation import test_crossvalidate
from tests.train.fit import test_resume
from tests.train.generated_corpora import make_corpus
from train.augment.voice import RATE, speech_like
from train.data import CORPORA, registry
from train.data.download import download
from train.evaluation.adaptation import ADAPTATION_FILE
from train.evaluation.crossvalidate import crossvalidate
from train.fit.recipe import load_recipe
from train.report.record import record_run


KILLS, SEED = 4, 0  # of each task
TRIES = 5  # for each, as one may end before its moment comes
PATIENCE = 1200  # seconds for a task


@dataclass(frozen=True)
class Task:
    """Task that is killed, and given again.

    Args:
        begin: does the work in a folder that is empty, or as `prepare` left it.
        go_on: does the rest; `begin` again where that is the same command.
        result: what must be equal at the end.
        counted: the moment is drawn by calls of functions, else by time: where other processes do the work.
    """

    begin: Callable[[Path], Any]
    go_on: Callable[[Path], Any]
    result: Callable[[Path], Any]
    counted: bool = True
    prepare: Callable[[Path], Any] = Path.mkdir


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fit(shared: Path) -> Task:
    """A training of four epochs, its features read and cached by itself."""

    def train(folder: Path, resume: bool) -> None:
        datasets.config.HF_DATASETS_CACHE = folder / "cache"
        test_resume.train(shared / "fit", folder / "run", [], resume=resume)

    def result(folder: Path) -> Any:
        weights, figures, history = test_resume.outcome(folder / "run")
        return {name: values.tolist() for name, values in weights.items()}, figures, history

    speakers = [f"ravdess-{number}" for number in ("01", "02", "03", "22", "24")]
    make_corpus("ravdess", shared / "fit", speakers=speakers, clips_per_label=2, duration_s=0.3)
    return Task(lambda folder: train(folder, False), lambda folder: train(folder, True), result)


def cross_validation(shared: Path) -> Task:
    """Two folds, in a process each."""
    recipe = shared / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(test_crossvalidate.RECIPE))
    make_corpus("savee", shared / "crossvalidate", clips_per_label=2)
    folds = test_crossvalidate.SPEAKERS[:2]

    def begin(folder: Path) -> None:
        datasets.config.HF_DATASETS_CACHE = folder / "cache"
        os.environ["HF_DATASETS_CACHE"] = str(folder / "cache")
        loaded = load_recipe(str(recipe), ["training.num_train_epochs=3"])
        crossvalidate(loaded, "savee", shared / "crossvalidate", folder / "run", folds=folds, jobs=1)

    def result(folder: Path) -> Any:
        metrics, predictions = test_crossvalidate.read(folder / "run")
        return {**metrics, "command": ""}, predictions.to_dict()

    return Task(begin, begin, result, counted=False)


def fetching(server: HubServer) -> Task:
    """An archive from a Hub on this machine, unpacked."""
    publish(HfApi(endpoint=server.endpoint, token=server.token), {"emodb.zip": zipped(emodb_files())})

    def begin(folder: Path) -> None:
        download("emodb", folder, address=ADDRESS)

    return Task(begin, begin, tree)


def recording(shared: Path) -> Task:
    """A run's figures over those of an earlier one, with caveats to keep and an adaptation to drop."""
    run = shared / "record" / "folds"
    run.mkdir(parents=True)
    figures = {"command": "python -m train fit x", "uar": 0.5}
    (run / "metrics.json").write_text(json.dumps(figures))

    def prepare(folder: Path) -> None:
        (folder / run.name).mkdir(parents=True)
        (folder / run.name / ADAPTATION_FILE).write_text("{}")
        record = {"commit": None, "minutes": 1, "caveats": ["one"]}
        (folder / run.name / "record.json").write_text(json.dumps(record))
        (folder / run.name / "metrics.json").write_text("{}")

    def begin(folder: Path) -> None:
        record_run(run, minutes=2, results=folder)

    return Task(begin, begin, tree, prepare=prepare)


def archive(shared: Path) -> Task:
    """A folder of short clips, by two workers."""
    clips = shared / "archive"
    clips.mkdir()
    for index in range(300):
        soundfile.write(clips / f"{index}.flac", speech_like(1 + index % 7 / 4, seed=index), RATE)
    paths = sorted(map(str, clips.iterdir()))

    def begin(folder: Path) -> None:
        if not (folder / "scores.parquet").exists():  # killed after the last step
            score_archive(paths, folder / "scores.parquet", workers=2)

    def result(folder: Path) -> Any:
        table = pd.read_parquet(folder / "scores.parquet")
        return sorted(path.name for path in folder.iterdir()), table.round(4).to_json()

    return Task(begin, begin, result, counted=False)


def counted(work: Callable[[], Any], moment: float) -> int:
    """Calls of functions in some work, Python's and those in C; at the given one the process is killed."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")
        if calls >= moment:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


class Child:
    """Work in a process forked from this one, which has imported everything.

    Args:
        work: what it does.
        log: gets what it says.
        moment: the call at which it is killed, None for work that is not counted.
    """

    def __init__(self, work: Callable[[], Any], log: Path, moment: float | None = None) -> None:
        self.log = log
        context = multiprocessing.get_context("fork")
        self.calls = context.Value("q", 0)
        self.process = context.Process(target=self._do, args=(work, moment))
        self.process.start()

    def _do(self, work: Callable[[], Any], moment: float | None) -> None:
        os.setpgid(0, 0)
        logging.disable()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log, stream.fileno())
        if moment is None:
            work()
        else:
            self.calls.value = counted(work, moment)

    def kill_after(self, seconds: float) -> None:
        """Kill the process, not those that it has started."""
        self.process.join(seconds)
        self.process.kill()

    def is_killed(self) -> bool:
        """Wait for the end; an error in the work is one here."""
        self.process.join(PATIENCE)
        if self.process.exitcode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"The work ended with {self.process.exitcode}:\n{self.log.read_text()}")
        return self.process.exitcode != 0


def kills(name: str, task: Task, count: int, folder: Path, generator: np.random.Generator) -> Iterator[bool]:
    """Kill a task that many times at moments drawn from all of its work: whether its result is the same each time."""
    whole = folder / "whole"
    task.prepare(whole)
    start = time.monotonic()
    undisturbed = Child(lambda: task.begin(whole), folder / "log", np.inf if task.counted else None)
    if undisturbed.is_killed():
        raise RuntimeError(f"{name} took longer than {PATIENCE} s.")
    length = undisturbed.calls.value if task.counted else time.monotonic() - start
    expected = task.result(whole)
    for number in range(count):
        cut = folder / str(number)
        for _ in range(TRIES):
            shutil.rmtree(cut, ignore_errors=True)
            task.prepare(cut)
            moment = generator.uniform(0, length)
            child = Child(lambda: task.begin(cut), folder / "log", moment if task.counted else None)  # noqa: B023 (called at once)
            if not task.counted:
                child.kill_after(moment)
            if child.is_killed():
                break
        Child(lambda: task.go_on(cut), folder / "log").is_killed()  # noqa: B023 (called at once)
        same = task.result(cut) == expected
        print(f"{name}, killed at {moment / length:.0%}: {'the same' if same else 'another result'}", flush=True)
        yield same


def run(count: int = KILLS, seed: int = SEED, only: tuple[str, ...] = ()) -> Iterator[Outcome]:
    """Kill each task that many times, or only some by name; an outcome for each."""
    generator = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place, HubServer() as server, pytest.MonkeyPatch.context() as patch:
        shared = Path(place)
        connect_huggingface_hub(patch, server, shared / "hub")
        patch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
        patch.setitem(registry.CORPORA, "emodb", replace(CORPORA["emodb"], clips=CLIPS))
        makers = {
            "fit": lambda: fit(shared),
            "crossvalidate": lambda: cross_validation(shared),
            "download": lambda: fetching(server),
            "record": lambda: recording(shared),
            "archive": lambda: archive(shared),
        }
        for name in only or makers:
            (shared / f"of {name}").mkdir()
            same = list(kills(name, makers[name](), count, shared / f"of {name}", generator))
            others = f"{count} SIGKILLs of {name}: other results than undisturbed"
            yield limited(others, same.count(False), "", 0)
