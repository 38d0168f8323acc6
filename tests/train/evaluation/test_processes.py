"""Work in processes: their order, their logs, their environment, and what happens when one fails or is killed."""

import os
import signal
import time

import pytest

from train.evaluation.processes import Work, WorkError, run_in_processes


def note(path, text: str, seconds: float = 0.0) -> None:
    time.sleep(seconds)
    path.write_text(f"{text} {os.environ['OMP_NUM_THREADS']}")
    print(f"wrote {text}")


def fail() -> None:
    print("so far so good")
    raise ValueError("nobody expected this")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def works(tmp_path, *functions) -> list[Work]:
    return [
        Work(f"work {number}", function, arguments, tmp_path / str(number) / "log.txt")
        for number, (function, *arguments) in enumerate(functions)
    ]


def test_results_and_output_are_in_files(tmp_path, capfd):
    before = dict(os.environ)
    todo = works(tmp_path, (note, tmp_path / "a", "first"), (note, tmp_path / "b", "second"))
    assert [work.name for work in run_in_processes(todo, 1)] == ["work 0", "work 1"]
    assert (tmp_path / "a").read_text() == "first 1"
    assert (tmp_path / "1" / "log.txt").read_text() == "wrote second\n"
    assert "wrote" not in capfd.readouterr().out
    assert os.environ == before


def test_some_run_at_the_same_time(tmp_path):
    seen = []
    todo = works(tmp_path, *((note, tmp_path / name, name, 1.5) for name in "abc"))
    list(run_in_processes(todo, 2, poll=lambda running: seen.append(len(running))))
    assert max(seen) == 2


def test_failure_tells_the_end_of_the_log_and_ends_the_others(tmp_path):
    todo = works(tmp_path, (fail,), (note, tmp_path / "slow", "slow", 60.0))
    started = time.monotonic()
    with pytest.raises(WorkError, match=r"(?s)work 0 failed; its log is .*log.txt.*nobody expected this"):
        list(run_in_processes(todo, 2))
    assert time.monotonic() - started < 30
    assert not (tmp_path / "slow").exists()
    assert "so far so good" in (tmp_path / "0" / "log.txt").read_text()


def test_killed_process_is_an_error(tmp_path):
    with pytest.raises(WorkError, match=r"work 0 was killed by signal 9 \(for lack of memory"):
        list(run_in_processes(works(tmp_path, (die,)), 1))


def test_processes_end_when_the_caller_stops(tmp_path):
    todo = works(tmp_path, (note, tmp_path / "a", "quick"), (note, tmp_path / "slow", "slow", 20.0))
    running = run_in_processes(todo, 2)
    assert next(running).name == "work 0"
    running.close()
    time.sleep(0.2)
    assert not (tmp_path / "slow").exists()
