"""Run every benchmark against its peer in one run, as ratios of medians: `python -m benchmarks` (`make bench`)."""

import argparse
import json
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks import features, prediction, startup, training
from benchmarks.measuring import Outcome


BENCHMARKS = {"features": features.run, "prediction": prediction.run, "startup": startup.run, "training": training.run}


def main() -> int:
    """Measure, print a table, write the figures; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--output", type=Path, help="write the figures to this JSON file")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    outcomes = [outcome for name in options.names or BENCHMARKS for outcome in BENCHMARKS[name]()]
    for outcome in outcomes:
        print(outcome.line())
    if options.output:
        options.output.write_text(json.dumps(as_data(outcomes), indent=2) + "\n")
    return 0 if all(outcome.holds for outcome in outcomes) else 1


def as_data(outcomes: list[Outcome]) -> dict:
    """The figures and what they were measured with."""
    return {
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {platform.system()}, one thread",
        "versions": {name: version(name) for name in ("torch", "transformers", "librosa", "soundfile")},
        "outcomes": [outcome.as_data() for outcome in outcomes],
    }


if __name__ == "__main__":
    sys.exit(main())
