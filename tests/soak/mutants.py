"""Mutants, small faults put into the code on purpose: how many of a drawn sample no test notices.

mutmut makes and tries them; pyproject.toml names modules and tests. `build/mutants.txt` lists the sample.
"""

import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from benchmarks.measuring import Outcome, limited


PROJECT = Path(__file__).parents[2]
LISTING = PROJECT / "build" / "mutants.txt"
AREAS = {
    "feature extraction": (
        "ser_model.feature_extraction_ser.*",
        "ser_model.frame_features.*",
        "ser_model.acoustics.*",
    ),
    "pooling": ("ser_model.network_ser.xǁPooling*",),
    "functionals": ("ser_model.functionals.*",),
    "thresholds": ("ser_model.answer_rule.*",),
    "splits": ("train.data.splits.*", "train.data.folds.*"),
    "limits": ("page.limits.*", "page.visitors.*", "page.uploads.*"),
}
SAMPLE, SEED = 40, 0  # of each area
SURVIVORS_BAR = 20  # %
NOTICED = ("killed", "timeout", "segfault")


def run(sample: int = SAMPLE, seed: int = SEED) -> list[Outcome]:
    """Try a sample of each area; mutants of code that no test runs count as survivors."""
    mutmut("run", *AREAS["thresholds"])  # makes those of all areas, too
    generator = np.random.default_rng(seed)
    drawn = {}
    for area, patterns in AREAS.items():
        names = [name for name in states() if any(fnmatchcase(name, pattern) for pattern in patterns)]
        drawn[area] = [str(name) for name in generator.permutation(names)[:sample]]
    mutmut("run", *(name for names in drawn.values() for name in names))
    became = states()
    LISTING.parent.mkdir(exist_ok=True)
    LISTING.write_text("".join(f"{became[name]}: {name}\n" for names in drawn.values() for name in names), "utf-8")
    return [outcome(area, [became[name] for name in names]) for area, names in drawn.items()]


def outcome(area: str, became: list[str]) -> Outcome:
    """The share of mutants that nobody noticed."""
    survived = sum(state not in NOTICED for state in became)
    return limited(
        f"mutants of {area} that survive, of {len(became)}", 100 * survived / len(became), "%", SURVIVORS_BAR
    )


def states() -> dict[str, str]:
    """State of each mutant, by its name."""
    lines = [line.strip().rpartition(": ") for line in mutmut("results", "--all", "true").splitlines()]
    return {name: state for name, _, state in lines if name}


def mutmut(*words: str) -> str:
    """Output of a command of mutmut."""
    command = [sys.executable, "-m", "mutmut", *words]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mutmut failed (pip install mutmut):\n{done.stdout[-4000:]}")
    return done.stdout
