"""Results that come with the project: a run's figures, and what a reader must know of them, beside one another."""

import json
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ser_model.metrics_file import METRICS_FILE, read_metrics
from train.evaluation.adaptation import ADAPTATION_FILE
from train.fit.run_folder import whole_file


RESULTS = Path(__file__).parents[1] / "results"  # a folder with metrics.json for each run
RECORD_FILE = "record.json"
ADAPTED = "_adapted"  # ends the name of the folder that `adaptation` writes of a run's networks
WITHOUT_RECORD = {"commit": None, "minutes": None, "caveats": []}


def read_record(run: Path) -> dict[str, Any]:
    """
    `commit`, `minutes` and `caveats` of a recorded run; None, None and [] where nothing was written.

    `commit` is the project's when the run was recorded, `minutes` how long its command took.
    """
    path = run / RECORD_FILE
    return WITHOUT_RECORD | (json.loads(path.read_text()) if path.is_file() else {})


def record_run(
    run: Path,
    name: str | None = None,
    *,
    caveats: Sequence[str] | None = None,
    minutes: float | None = None,
    results: Path = RESULTS,
) -> Path:
    """
    Copy a run's figures to where README, card and docs/ take them from, and give that folder.

    Args:
        run: output folder of fit, evaluate or crossvalidate; what `adaptation` wrote there, or
            into the folder of the same name with `_adapted`, is copied, too.
        name: of the folder in train/results; by default that of the run.
        caveats: sentences for a reader of the figures; None keeps those of the same name, which was recorded before.
        minutes: how long the command took; None keeps likewise.
        results: where the folder is made.

    Raises:
        FileNotFoundError: the run has no metrics.json.
        ValueError: its metrics.json does not hold the command that wrote it.
    """
    path = run / METRICS_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{run} has no {METRICS_FILE}: give the output folder of fit, evaluate or crossvalidate."
        )
    if not read_metrics(run).get("command"):
        raise ValueError(f"{path} does not hold the command that wrote it: run it again.")
    run = run.resolve()
    folder = results / (name or run.name)
    record = read_record(folder) | {"commit": current_commit()}
    record |= {} if caveats is None else {"caveats": list(caveats)}
    record |= {} if minutes is None else {"minutes": minutes}
    folder.mkdir(parents=True, exist_ok=True)
    copy_figures(path, folder / METRICS_FILE, f"runs/{folder.name}")
    (folder / ADAPTATION_FILE).unlink(missing_ok=True)  # of the networks that were recorded before
    for beside in (run, run.with_name(f"{run.name}{ADAPTED}")):
        if (beside / ADAPTATION_FILE).is_file():
            copy_figures(beside / ADAPTATION_FILE, folder / ADAPTATION_FILE, f"runs/{folder.name}{ADAPTED}")
    with whole_file(folder / RECORD_FILE) as unfinished:  # it is read when the run is recorded again
        unfinished.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return folder


def copy_figures(source: Path, target: Path, output: str) -> None:
    """Copy a file of figures, whose command then writes into `output`: the name that they are published by."""
    content = json.loads(source.read_text())
    words = list(with_output(shlex.split(content.get("command", "")), output))
    if source.name == ADAPTATION_FILE and "adaptation" in words:
        words[words.index("adaptation") + 1] = output.removesuffix(ADAPTED)
    content["command"] = shlex.join(words)
    target.write_text(json.dumps(content, indent=2) + "\n")


def with_output(command: Sequence[str], folder: str) -> tuple[str, ...]:
    """The command with another output folder; as it is if it has none."""
    words = list(command)
    if "--output" in words:
        words[words.index("--output") + 1] = folder
    return tuple(words)


def current_commit() -> str | None:
    """The project's commit, with "-dirty" for changed files; None outside of a git checkout."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]
    try:
        process = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return process.stdout.strip() or None
