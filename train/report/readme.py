"""README's tables: every figure in them comes out of a file that a command wrote, none is typed."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.evaluation.reporting import METRICS_FILE
from train.report.model_card import (
    COPY,
    SELECTION,
    SHIPPED,
    corpus_remarks,
    percent,
    protocol_sentence,
    results_table,
    table,
)
from train.report.systems import adapted_table, choice_notes, cross_corpus_table, recorded_runs, systems_table


BASELINES_FILE = "egemaps.json"  # beside the benchmarks' results
UNKNOWN_CORPORA = (
    "On a corpus that was never heard: other speakers, sentences, microphones and, for ASED and EmoDB, another "
    "language. Trained on the other three, with the labels that all four have. What the `functional` recipes do for "
    "unknown corpora was chosen by what they, or their functionals alone, reach here. The machine hears all voices of "
    "the three corpora, as `functional_travel_lstm` does; the others leave out those that fit the temperature:"
)
ADAPTED = (
    "And what `recognizer.adapt` brings: some clips of each speaker, any emotions, no labels, are heard first, and "
    "the others are tested; a speaker who has no more than these is left out. As above, a clip is answered with the "
    "labels of its corpus, where the shipped checkpoint has seven for all and gains less ([the card](model_card.md)). "
    "Another speaker, whom the same network heard, is the control; the last column is the correction that fits the "
    "labels of all clips best, these tested. How `adapt` corrects was chosen among some thirty ways by these networks:"
)
UNITS = {
    "faster": "times faster (at least {bar:g})",
    "ratio": "times as long (at most {bar:g})",
    "above": "{unit} above it (at most {bar:g})",
    "limit": "{unit} (at most {bar:g})",
}


def render_readme(readme: str, checkpoint: Path, benchmarks: Path) -> str:
    """README with the figures of a checkpoint's metrics.json, of the recorded runs and of the benchmarks' results."""
    blocks = {
        "results": readme_results(json.loads((checkpoint / METRICS_FILE).read_text())),
        "systems": readme_systems(json.loads(benchmarks.with_name(BASELINES_FILE).read_text())),
        "benchmarks": readme_benchmarks(json.loads(benchmarks.read_text())),
    }
    for name, content in blocks.items():
        readme = replace_block(readme, name, content)
    return readme


def readme_systems(baselines: Mapping[str, Mapping[str, Any]]) -> str:
    """The systems as README shows them, and what their recipes were chosen on; unknown corpora; voices adapted to."""
    runs = recorded_runs()
    of_one_corpus = [entry for entry in baselines.values() if len(entry["trained_on"]) == 1]
    parts = [systems_table(runs, of_one_corpus), COPY]
    if notes := choice_notes(runs):
        parts.append(folded("Which figures are not free of a choice, and UAR by fold", notes))
    if unknown := cross_corpus_table(runs, baselines):
        parts += [UNKNOWN_CORPORA, unknown]
    if adapted := adapted_table(runs):
        parts += [ADAPTED, adapted]
    return "\n\n".join(parts)


def folded(title: str, text: str) -> str:
    """Markdown below a title that one opens."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def readme_results(metrics: Mapping[str, Any]) -> str:
    """The results as README shows them."""
    errors = [figures["calibration_error"] for figures in metrics["corpora"].values()]
    calibration = (
        f"Expected calibration error {percent(metrics['calibration_error'])} %, and {percent(min(errors))} to "
        f"{percent(max(errors))} % within a corpus. Written to "
        f"[`{METRICS_FILE}`]({SHIPPED}/{METRICS_FILE}) by `{metrics['command']}`."
    )
    measured = f"{protocol_sentence(metrics, SELECTION)} UAR is the mean recall over emotions."
    return "\n\n".join([measured, results_table(metrics), corpus_remarks(metrics, COPY), calibration])


def readme_benchmarks(benchmarks: Mapping[str, Any]) -> str:
    """The benchmarks as README shows them."""
    rows = [
        [outcome["name"], outcome["peer_name"], f"{outcome['figure']:.1f}", UNITS[outcome["kind"]].format(**outcome)]
        for outcome in benchmarks["outcomes"]
    ]
    written = f"Written to [`benchmarks/results.json`](benchmarks/results.json) by `{benchmarks['command']}`."
    return table(["what", "against", "figure", "which is"], rows) + f"\n\n{written}"


def replace_block(text: str, name: str, content: str) -> str:
    """Replace what stands between `<!-- name: ... -->` and `<!-- /name -->`."""
    pattern = rf"(<!-- {name}:[^>]*-->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(pattern, lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"The text needs one block <!-- {name}: ... --> to <!-- /{name} -->, it has {count}.")
    return replaced
