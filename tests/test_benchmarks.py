"""Benchmarks take turns, and a run of some keeps the figures of the others."""

import json
from datetime import date

import numpy as np

from benchmarks import training_memory
from benchmarks.__main__ import BENCHMARKS, as_data
from benchmarks.measuring import Outcome, compared, limited, seconds_in_turns
from benchmarks.picture import as_speed, draw
from train.data import CORPORA
from train.fit.recipe import recipe_names


def test_all_take_turns():
    order = []
    functions = {name: lambda name=name: order.append(name) for name in ("ours", "one", "another")}
    seconds = seconds_in_turns(functions, rounds=2, warm_up=1)
    assert order == ["ours", "one", "another"] * 3
    assert seconds.keys() == functions.keys()
    assert all(values.shape == (2,) and (values >= 0).all() for values in seconds.values())


def test_a_comparison_has_medians_and_the_spread_of_its_rounds():
    ours, peer = np.array([1.0, 2.0, 4.0, 2.0, 2.0]), np.array([4.0, 8.0, 8.0, 8.0, 8.0])
    faster = compared("answer", "a peer", ours, peer, "ms", 3.0, "faster")
    assert (faster.ours, faster.peer, faster.figure, faster.spread) == (2.0, 8.0, 4.0, (4.0, 4.0))
    longer = compared("answer", "a peer", np.array([1.0, 2.0, 3.0]), np.ones(3), "ms", 3.0, "ratio")
    assert longer.spread == (1.5, 2.5)
    assert limited("memory", 1.0, "MB", 2.0).spread is None


def test_a_run_of_one_keeps_the_others(tmp_path):
    path = tmp_path / "results.json"
    former = {name: [limited(f"old {name}", 1.0, "s", 2.0)] for name in BENCHMARKS}
    path.write_text(json.dumps(as_data(former, path)))
    data = as_data({"startup": [limited("new startup", 3.0, "s", 2.0)]}, path)
    assert [row["name"] for row in data["outcomes"]] == [
        "new startup" if name == "startup" else f"old {name}" for name in BENCHMARKS
    ]
    assert [row["holds"] for row in data["outcomes"]] == [name != "startup" for name in BENCHMARKS]
    assert {row["measured"] for row in data["outcomes"]} == {date.today().isoformat()}
    assert data["command"] == f"python -m benchmarks --output {path}"


def test_the_memory_of_a_training_can_be_measured(capfd):
    assert all(corpus.longest_clip for corpus in CORPORA.values())
    assert all(training_memory.measured_recipe(name).training["max_steps"] == 2 for name in recipe_names())
    training_memory.main("functional_six_lstm")
    assert "train_loss" in capfd.readouterr().out


def test_a_missed_bar_is_marked():
    missed = Outcome("answer", "a peer", 2.0, 2.0, "ms", 1.5, "faster")
    assert not missed.holds
    assert missed.line().startswith("MISSED answer: 1.0 times faster (at least 1.5)")


def test_the_picture_has_comparisons_with_and_without_a_spread(tmp_path):
    outcomes = [
        Outcome("answer", "a peer", 2.0, 8.0, "ms", 3.0, "faster", (3.5, 4.5)),
        Outcome("start", "a peer", 1.0, 4.0, "s", 0.3, "ratio"),
        limited("memory", 1.0, "MB", 2.0),
    ]
    assert [as_speed(one.as_data(), one.figure) for one in outcomes[:2]] == [[4.0], [4.0]]
    pictures = []
    for count in (2, 3):  # a limit has no peer to be drawn beside
        draw([one.as_data() for one in outcomes[:count]], tmp_path / "picture.png")
        pictures.append((tmp_path / "picture.png").read_bytes())
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith(b"\x89PNG")
