"""Run all long parts, or some by name, and write their figures into RELIABILITY.md: `python -m tests.soak`.

Figures of parts that are not run now stay.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

from train.report.readme import replace_block, table


# Each a module with a function `run`, and the argument of it that says how much is done.
PARTS = {"malformed": "count", "crowd": "requests", "kills": "count", "mutants": "sample"}
RESULTS = Path(__file__).with_name("results.json")
DOCUMENT = Path(__file__).parents[2] / "RELIABILITY.md"


def main() -> int:
    """Run, print, write; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--number", type=int, help="of inputs, requests, kills of a task, or mutants of an area")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    holds = True
    for part in options.parts or PARTS:
        much = {} if options.number is None else {PARTS[part]: options.number}
        outcomes = []
        for outcome in importlib.import_module(f"tests.soak.{part}").run(**much):
            print(outcome.line(), flush=True)
            outcomes.append(outcome)
        holds &= all(outcome.holds for outcome in outcomes)
        results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        results[part] = [outcome.as_data() for outcome in outcomes]
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        DOCUMENT.write_text(replace_block(DOCUMENT.read_text(), "soak", rendered(results)))
    return 0 if holds else 1


def rendered(results: dict[str, list[dict]]) -> str:
    """The figures as RELIABILITY.md shows them."""
    rows = [
        [row["name"], f"{row['figure']:.3g} {row['unit']}".strip(), f"{row['bar']:g} {row['unit']}".strip()]
        + [f"`python -m tests.soak {part}`"]
        for part in PARTS
        for row in results.get(part, ())
    ]
    return table(["what", "figure", "at most", "command"], rows)


if __name__ == "__main__":
    sys.exit(main())
