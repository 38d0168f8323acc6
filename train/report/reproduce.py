"""The commands behind the published figures, from the files that hold the figures."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ser_model.metrics_file import METRICS_FILE, read_metrics, read_object
from ser_model.recognizer import PRETRAINED
from train.evaluation.adaptation import ADAPTATION_FILE
from train.evaluation.never_heard import NEVER_HEARD_FILE
from train.evaluation.robustness import ROBUSTNESS_FILE
from train.fit.checkpoint import RECIPE_FILE
from train.report.record import RESULTS, read_record, with_output


PROJECT = Path(__file__).parents[2]
BENCHMARKS = PROJECT / "benchmarks"
# In train/results: expected minutes of steps that were not timed when recorded, most extrapolated from three epochs.
MINUTES_FILE = "minutes.json"
MODULES = ("train", "benchmarks", "benchmarks.egemaps")  # all that a recorded command may start


@dataclass(frozen=True)
class Step:
    """A command behind published figures.

    Attributes:
        name: by which `--only` asks for it.
        command: `python -m MODULE ...`, whose output folder is that of the step.
        minutes: how long it takes on two cores: as recorded with the run, or else by MINUTES_FILE; None if unknown.
    """

    name: str
    command: tuple[str, ...]
    minutes: float | None = None

    def line(self) -> str:
        """The step in a line."""
        duration = "? min" if self.minutes is None else f"{self.minutes:.0f} min"
        return f"{self.name:45} {duration:>8}  {shlex.join(self.command)}"


def steps(results: Path = RESULTS, checkpoint: Path = PRETRAINED, benchmarks: Path = BENCHMARKS) -> list[Step]:
    """
    The steps behind README, card and docs/, those first that others need.

    Raises:
        ValueError: a file holds a command that is none of the project's.
    """
    found = [*shipped_steps(checkpoint), *recorded_steps(results), *benchmark_steps(benchmarks)]
    expected = json.loads((results / MINUTES_FILE).read_text())
    return [step if step.minutes else replace(step, minutes=expected.get(step.name)) for step in found]


def shipped_steps(checkpoint: Path) -> Iterator[Step]:
    """The training of the shipped checkpoint, and its tests."""
    recipe = read_object(checkpoint / RECIPE_FILE)
    siblings = read_metrics(checkpoint, name=NEVER_HEARD_FILE)["by_siblings"].values()
    others = dict.fromkeys([*([recipe["start"]] if recipe.get("start") else []), *siblings])
    for step, name in (*((f"shipped/{name}", name) for name in others), ("shipped", recipe["name"])):
        yield Step(step, words_of(f"python -m train fit {name} --seed {recipe['seed']} --resume --output runs/{name}"))
    for file in (NEVER_HEARD_FILE, METRICS_FILE, ROBUSTNESS_FILE, ADAPTATION_FILE):
        if (checkpoint / file).is_file():
            name = f"shipped/{Path(file).stem}"
            command = words_of(read_metrics(checkpoint, name=file)["command"])
            yield Step(name, with_output(command, f"runs/{name}"))


def recorded_steps(results: Path) -> Iterator[Step]:
    """The runs of train/results, each into a folder of its own name, and what adapting their networks brings."""
    for metrics in sorted(results.glob(f"*/{METRICS_FILE}")):
        name = metrics.parent.name
        command = words_of(read_metrics(metrics.parent)["command"])
        if "fit" in command and "--resume" not in command:
            place = command.index("--output")
            command = (*command[:place], "--resume", *command[place:])
        yield Step(name, command, read_record(metrics.parent)["minutes"])
        adaptation = metrics.with_name(ADAPTATION_FILE)
        if adaptation.is_file():
            adapted = read_metrics(metrics.parent, name=ADAPTATION_FILE)["command"]
            yield Step(f"{name}/adaptation", words_of(adapted))


def benchmark_steps(benchmarks: Path) -> Iterator[Step]:
    """The classical baselines, and the benchmarks."""
    for name, entry in json.loads((benchmarks / "egemaps.json").read_text()).items():
        yield Step(f"egemaps/{name.replace(', ', '/').replace(' ', '-')}", words_of(entry["command"]))
    yield Step("benchmarks", words_of(json.loads((benchmarks / "results.json").read_text())["command"]))


def words_of(command: str) -> tuple[str, ...]:
    """A recorded command's words; only the project's own modules may be started by one."""
    words = tuple(shlex.split(command))
    if words[:2] != ("python", "-m") or len(words) < 3 or words[2] not in MODULES:
        raise ValueError(
            f"{command!r} is no command of this project: it must begin with `python -m` and one of {MODULES}."
        )
    return words


def chosen(all_steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """
    The steps of these names.

    Raises:
        ValueError: there is no such step.
    """
    known = {step.name: step for step in all_steps}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"There is no step {unknown[0]!r}; there are: {', '.join(known)}.")
    return [known[name] for name in names]


def run_step(step: Step) -> int:
    """Run a step from the project's folder, without a shell, and give its exit status."""
    print(f"{step.name}: {shlex.join(step.command)}", flush=True)
    start = time.monotonic()
    status = subprocess.run([sys.executable, *step.command[1:]], cwd=PROJECT, check=False).returncode
    print(f"{step.name}: took {(time.monotonic() - start) / 60:.1f} min", flush=True)
    return status
