"""A small part of what `make soak` does, so that it is known to work."""

from collections.abc import Iterable

import numpy as np
import pytest

from benchmarks.measuring import Outcome, limited
from tests.soak import crowd, kills, malformed, mutants
from tests.soak.__main__ import rendered


def missed(outcomes: Iterable[Outcome]) -> list[str]:
    """Outcomes but those of time, which a busy machine takes more of, and of memory, which grows at the beginning."""
    return [outcome.line() for outcome in outcomes if not outcome.unit and not outcome.holds]


def test_malformed_inputs():
    assert not missed(malformed.run(count=150, seed=1))


def test_inputs_of_a_seed_are_always_the_same():
    sounds = [malformed.damaged(malformed.sounds()["FLAC PCM_16"], np.random.default_rng(3)) for _ in "ab"]
    assert sounds[0] == sounds[1] != malformed.sounds()["FLAC PCM_16"]


def test_foreign_exceptions_crashes_and_hangs_are_told(monkeypatch, capsys):
    told = [("answered", 0.1, 2.0), ("array: KeyError: 1", 7.0, 300.0), ("input 2: no answer", 60.0, 0.0)]
    monkeypatch.setattr(malformed, "outcomes", lambda count, seed: iter(told))
    foreign, seconds, memory = malformed.run(count=3)
    assert (foreign.figure, seconds.figure, memory.figure) == (2, 60.0, 300.0)
    assert not any(outcome.holds for outcome in (foreign, seconds, memory))
    assert "seed 0, input 1: array: KeyError: 1" in capsys.readouterr().out


def test_a_crowd_at_the_page():
    assert not missed(crowd.run(clients=6, seconds=5, requests=60, attack_seconds=2))


@pytest.mark.parametrize("theirs", [{"a": [0.5]}, {"a": [0.3, 1]}, {"a": [0.5, 1], "b": 0}, {}, {"a": [0.5, 2]}])
def test_another_answer_is_told(theirs):
    assert crowd.same({"a": [0.5, 1]}, {"a": [0.5 + crowd.CLOSE / 2, 1]})
    assert not crowd.same({"a": [0.5, 1]}, theirs)


def test_kills_while_downloading_and_recording():
    assert not missed(kills.run(count=3, only=("download", "record")))


def test_another_result_after_a_kill_is_told(tmp_path):
    def begin(folder):
        with (folder / "lines").open("a") as lines:
            lines.write("a line\n")
        sorted(range(1000), key=lambda number: -number)  # a thousand calls, after any of which it is killed

    task = kills.Task(begin, begin, kills.tree)
    generator = np.random.default_rng(0)
    assert not all(kills.kills("twice", task, 2, tmp_path, generator))


def test_survivors_count(monkeypatch, tmp_path):
    names = [f"page.limits.x_limit__mutmut_{number}" for number in range(10)]
    became = dict(zip(names, ["killed"] * 6 + ["timeout", "survived", "no tests", "survived"], strict=True))
    monkeypatch.setattr(mutants, "AREAS", {"thresholds": ("page.*",)})
    monkeypatch.setattr(mutants, "LISTING", tmp_path / "build" / "mutants.txt")
    monkeypatch.setattr(mutants, "mutmut", lambda *_words: "".join(f"    {name}: {became[name]}\n" for name in became))
    (outcome,) = mutants.run(sample=10)
    assert outcome.figure == 30
    assert not outcome.holds
    assert (tmp_path / "build" / "mutants.txt").read_text().count("survived") == 2


def test_figures_are_rendered_with_their_command():
    results = {"crowd": [limited("memory", 12.345, "MB", 30).as_data()]}
    assert "| memory | 12.3 MB | 30 MB | `python -m tests.soak crowd` |" in rendered(results)
