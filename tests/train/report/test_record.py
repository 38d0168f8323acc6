"""From a run to the published figures: recorded without hands, and repeated by a command."""

import json
import os
import sys
from pathlib import Path

import pytest

from train.__main__ import main
from train.report import reproduce
from train.report.record import RESULTS, read_record, record_run
from train.report.reproduce import MINUTES_FILE, Step, chosen, run_step, steps, words_of


COMMAND = "python -m train crossvalidate ravdess_lstm --protocol ravdess --output runs/first"


@pytest.fixture
def run(tmp_path) -> Path:
    folder = tmp_path / "runs" / "folds"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"command": COMMAND, "uar": 0.5}))
    return folder


def test_a_run_is_recorded_with_commit_minutes_and_caveats(run, tmp_path):
    results = tmp_path / "results"
    folder = record_run(run, caveats=["test folds seen during development: all"], minutes=12, results=results)
    assert folder == results / "folds"
    assert json.loads((folder / "metrics.json").read_text()) == {
        "command": COMMAND.replace("runs/first", "runs/folds"),  # the name that it is published by
        "uar": 0.5,
    }
    record = read_record(folder)
    assert record["caveats"] == ["test folds seen during development: all"]
    assert record["minutes"] == 12
    assert record["commit"] is None or len(record["commit"].removesuffix("-dirty")) >= 12


def test_recording_again_keeps_what_is_not_given_and_drops_the_older_networks_adaptation(run, tmp_path):
    results = tmp_path / "results"
    adapted = run.with_name("folds_adapted")
    adapted.mkdir()
    command = "python -m train adaptation runs/first --output runs/first_adapted"
    (adapted / "adaptation.json").write_text(json.dumps({"command": command}))
    folder = record_run(run, caveats=["one"], minutes=3, results=results)
    recorded = json.loads((folder / "adaptation.json").read_text())
    assert recorded == {"command": command.replace("runs/first", "runs/folds")}
    (adapted / "adaptation.json").unlink()
    record_run(run, minutes=4, results=results)
    assert (read_record(folder)["caveats"], read_record(folder)["minutes"]) == (["one"], 4)
    assert not (folder / "adaptation.json").exists()


def test_recording_that_is_cut_off_loses_no_caveat(run, tmp_path, monkeypatch):
    results = tmp_path / "results"
    folder = record_run(run, caveats=["one"], minutes=3, results=results)

    def cut_off(path: Path, _text: str) -> None:
        path.touch()
        os.truncate(path, 0)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", cut_off)
        with pytest.raises(KeyboardInterrupt):
            record_run(run, results=results)
    record_run(run, minutes=4, results=results)
    assert (read_record(folder)["caveats"], read_record(folder)["minutes"]) == (["one"], 4)
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "record.json"]


def test_a_folder_without_figures_or_command_is_refused(run, tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match=r"has no metrics\.json"):
        record_run(tmp_path, results=tmp_path / "results")
    (run / "metrics.json").write_text("{}")
    with pytest.raises(ValueError, match="run it again"):
        record_run(run, results=tmp_path / "results")
    assert not (tmp_path / "results").exists()
    assert main(["record", str(tmp_path)]) == 1
    assert "has no metrics.json" in capsys.readouterr().err


def test_each_published_run_has_a_step_into_a_folder_of_its_name():
    by_name = {step.name: step for step in steps()}
    assert len(by_name) == len(steps())
    for run in (metrics.parent for metrics in RESULTS.glob("*/metrics.json")):
        assert by_name[run.name].command[-2:] == ("--output", f"runs/{run.name}")
        if (run / "adaptation.json").is_file():
            assert f"runs/{run.name}" in by_name[f"{run.name}/adaptation"].command
    assert "--resume" in by_name["shipped"].command
    assert all(step.minutes > 0 for step in steps())
    assert set(json.loads((RESULTS / MINUTES_FILE).read_text())) <= set(by_name)
    for step in steps():
        if step.command[2] == "train":
            with pytest.raises(SystemExit) as parsed:  # the command line knows all of its words
                main([*step.command[3:], "--help"])
            assert parsed.value.code == 0


def test_list_and_only(monkeypatch, capsys):
    assert main(["reproduce", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(steps())
    statuses = {"tess_lstm_tess": 0, "shipped": 3, "benchmarks": 0}
    started = []
    monkeypatch.setattr(reproduce, "run_step", lambda step: started.append(step.name) or statuses[step.name])
    assert main(["reproduce", "--only", *statuses]) == 3
    assert started == ["tess_lstm_tess", "shipped"]
    assert main(["reproduce", "--only", "nothing"]) == 1
    assert "There is no step 'nothing'" in capsys.readouterr().err


def test_a_step_runs_and_says_how_long_it_took(capsys):
    assert run_step(Step("recipes", words_of("python -m train recipes tess_lstm"))) == 0
    assert "recipes: took" in capsys.readouterr().out
    assert run_step(Step("wrong", words_of("python -m train recipes nothing"))) != 0


@pytest.mark.parametrize("command", ["rm -rf runs", "python -c print()", "python -m http.server", "python -m"])
def test_a_file_starts_nothing_but_the_projects_own_commands(command):
    with pytest.raises(ValueError, match="no command of this project"):
        words_of(command)


def test_unknown_step():
    with pytest.raises(ValueError, match="there are: one"):
        chosen([Step("one", (sys.executable,))], ["two"])
