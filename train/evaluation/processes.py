"""Run independent pieces of work in processes of their own, one thread each, whose output goes to log files."""

import contextlib
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any


# Two OpenMP threads in each of several processes stall one another; progress bars would fill the log files.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
POLL_S = 1.0
SHOWN_LINES = 5  # of the log of a piece of work that failed


class WorkError(ValueError):
    """A piece of work that failed; the message has the end of its log."""


@dataclass(frozen=True)
class Work:
    """A function of a module with its arguments, both to be pickled.

    Attributes:
        name: for messages.
        function: what to run; its result is dropped, so it must leave its results in files.
        arguments: of the function.
        log: file that gets all of its output.
    """

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...]
    log: Path


def run_in_processes(
    works: Iterable[Work],
    processes: int,
    *,
    preload: Sequence[str] = (),
    poll: Callable[[list[Work]], None] = lambda running: None,
) -> Iterator[Work]:
    """
    Run pieces of work, each in a process of its own, and give each back when it is done.

    When one fails, or the caller stops, the others are ended. When this process is killed, they end by themselves.

    Args:
        works: what to run, in this order.
        processes: how many at the same time.
        preload: modules that processes find imported, so that each starts in an instant.
        poll: called about every second with what is running.

    Raises:
        WorkError: a piece of work raised an error or was killed.
    """
    context = process_context(preload)
    waiting, running = deque(works), {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                work = waiting.popleft()
                running[start(context, work)] = work
            connection.wait([process.sentinel for process in running], timeout=POLL_S)
            for process in [process for process in running if process.exitcode is not None]:
                work = running.pop(process)
                check(process, work)
                yield work
            poll(list(running.values()))
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join()


def process_context(preload: Sequence[str]) -> BaseContext:
    """Processes forked from one that has imported the modules and has no threads, or new ones on other systems."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def start(context: BaseContext, work: Work) -> BaseProcess:
    """Start one process."""
    work.log.parent.mkdir(parents=True, exist_ok=True)
    process = context.Process(target=run, args=(work,), name=work.name)
    with environment(ENVIRONMENT):
        process.start()
    return process


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables that processes started meanwhile inherit."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def run(work: Work) -> None:
    """Body of a process: end with its parent, write to the log, work."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    log = os.open(work.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    work.function(*work.arguments)


def end_with_parent() -> None:
    """Wait for the end of the parent process, however it comes, and end this one."""
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def check(process: BaseProcess, work: Work) -> None:
    """Raise WorkError if a process failed."""
    if process.exitcode == 0:
        return
    lines = work.log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
    reason = (
        f"was killed by signal {-process.exitcode} (for lack of memory? then run fewer at a time)"
        if process.exitcode < 0
        else "failed"
    )
    raise WorkError("\n".join([f"{work.name} {reason}; its log is {work.log}", *lines]))
