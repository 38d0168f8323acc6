"""Run every benchmark against its peer in one run, as ratios of medians: `python -m benchmarks` (`make bench`).

With names, only these are run, and an output that exists keeps the figures of the others.
"""

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks import features, length, prediction, startup, training
from benchmarks.measuring import Outcome
from benchmarks.picture import draw


BENCHMARKS = {
    "features": features.run,
    "prediction": prediction.run,
    "length": length.run,
    "startup": startup.run,
    "training": training.run,
    "memory": training.run_memory,
}


def main() -> int:
    """Measure, print a table, write the figures; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--output", type=Path, help="write the figures to this JSON file, and a picture beside it")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    measured = []
    for name in options.names or BENCHMARKS:
        outcomes = BENCHMARKS[name]()
        for outcome in outcomes:
            print(outcome.line(), flush=True)
        measured += outcomes
        if options.output:  # what was measured stays if a later one fails
            write({name: outcomes}, options.output)
    return 0 if all(outcome.holds for outcome in measured) else 1


def write(outcomes: Mapping[str, Sequence[Outcome]], path: Path) -> None:
    """Write the figures, and a picture beside them; those in the file that were not measured now stay."""
    data = as_data(outcomes, path)
    path.write_text(json.dumps(data, indent=2) + "\n")
    draw(data["outcomes"], path.with_suffix(".png"))


def as_data(outcomes: Mapping[str, Sequence[Outcome]], path: Path) -> dict:
    """The figures and what they were measured with; those in the file at `path` that were not measured now stay."""
    today = date.today().isoformat()
    rows = {
        name: [{"benchmark": name, "measured": today, **outcome.as_data()} for outcome in of_one]
        for name, of_one in outcomes.items()
    }
    former = json.loads(path.read_text())["outcomes"] if path.is_file() else []
    for name in BENCHMARKS.keys() - rows.keys():
        rows[name] = [row for row in former if row["benchmark"] == name]
    return {
        "command": shlex.join(["python", "-m", "benchmarks", "--output", str(path)]),
        "machine": f"{platform.machine()}, {platform.system()}, one thread",
        "versions": {name: version(name) for name in ("torch", "onnxruntime", "transformers", "librosa", "soundfile")},
        "outcomes": [row for name in BENCHMARKS for row in rows[name]],
    }


if __name__ == "__main__":
    sys.exit(main())
