"""The generated blocks of README and docs/: their figures come out of files that commands wrote."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ser_model.recognizer import PRETRAINED
from train.data import CORPORA
from train.evaluation.reporting import METRICS_FILE, corpus_title
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
from train.report.systems import (
    adapted_table,
    baseline_of_clips,
    choice_notes,
    cross_corpus_table,
    on_unknown_corpora,
    read_metrics,
    recorded_runs,
    systems_table,
    uar_and_accuracy,
)


BASELINES_FILE = "egemaps.json"  # beside the benchmarks' results
UNKNOWN_CORPORA = (
    "On a corpus that was never heard: other speakers, sentences, microphones and, for ASED and EmoDB, another "
    "language. Trained on the other three, with the labels that all four have. What the `functional` recipes do for "
    "unknown corpora was chosen by what they, or their functionals alone, reach here. The machine hears all voices of "
    "the three corpora, as `functional_travel_lstm` does; the others leave out those that fit the temperature:"
)
ADAPTED = (
    "And what `recognizer.adapt` brings: some clips of each speaker, any emotions, no labels, are heard first, "
    "and the others are tested; a speaker who has no more than these is left out. As above, a clip is answered "
    "with the labels of its corpus, where the shipped checkpoint has seven for all and gains less ([the "
    "card](../model_card.md)). Another speaker, whom the same network heard, is the control; the last column is "
    "the correction that fits the labels of all clips best, these tested. `adapt` was chosen among some thirty "
    "ways on these networks:"
)
ANSWER = "file of 3 s to answer"  # the benchmark that README names
UNITS = {
    "faster": "times faster (at least {bar:g})",
    "ratio": "times as long (at most {bar:g})",
    "above": "{unit} above it (at most {bar:g})",
    "limit": "{unit} (at most {bar:g})",
}


def render_documents(project: Path, checkpoint: Path, benchmarks: Path) -> dict[Path, str]:
    """
    README and the pages of docs/ that hold figures, with those of a checkpoint, of the recorded runs and benchmarks.

    Args:
        project: folder of README.md and docs/.
        checkpoint: folder with an evaluation's metrics.json.
        benchmarks: what `make bench` wrote; the baselines lie beside it.

    Raises:
        ValueError: a page lacks a block, or has it twice.
    """
    metrics = json.loads((checkpoint / METRICS_FILE).read_text())
    baselines = json.loads(benchmarks.with_name(BASELINES_FILE).read_text())
    measured = json.loads(benchmarks.read_text())
    pages = {
        "README.md": {"speed": speed_sentence(measured), "results": headline(metrics, baselines)},
        "docs/results.md": {"results": readme_results(metrics), "systems": readme_systems(baselines)},
        "docs/benchmarks.md": {"benchmarks": readme_benchmarks(measured)},
    }
    rendered = {}
    for name, blocks in pages.items():
        text = (project / name).read_text()
        for block, content in blocks.items():
            text = replace_block(text, block, content)
        rendered[project / name] = text
    return rendered


def headline(metrics: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> str:
    """
    The one table of README: corpora that were never heard first, then new speakers of known ones.

    Args:
        metrics: of the shipped checkpoint; `never_heard`, if it is there, holds `corpora` as `metrics` does.
        baselines: the content of benchmarks/egemaps.json.
    """
    unknown = unknown_corpora_run(metrics["recipe"]["name"])
    baseline = baseline_of_clips(unknown["recipe"], baselines)
    folds = baseline["folds"] if baseline else {}
    labels = len(unknown["labels"])
    rows = [
        headline_row(name, figures, "the corpus", labels, folds.get(name))
        for name, figures in unknown["corpora"].items()
    ]
    for name, figures in metrics.get("never_heard", {}).get("corpora", {}).items():
        rows.append(headline_row(name, figures, "the corpus (the shipped weights)", len(figures["recall"]), None))
    for name, figures in metrics["corpora"].items():
        rows.append(headline_row(name, figures, "the speakers", len(metrics["labels"]), None))
        rows += common_sentences_rows(name, metrics["recipe"]["name"])
    header = ("tested on", "language", "never heard before", "labels", "UAR % (95 % interval)", "eGeMAPS and an SVM")
    mean = sum(figures["uar"] for figures in unknown["corpora"].values()) / len(unknown["corpora"])
    lead = (
        f"On recordings from other studios, languages and microphones, `{unknown['recipe']['name']}` reaches a UAR of "
        f"{percent(mean)} % in the mean over {len(unknown['corpora'])} corpora, with {labels} labels; chance is "
        f"{percent(1 / labels)} %. On new speakers of the corpora it learnt from, the shipped checkpoint is right on "
        f"{percent(metrics['accuracy'])} % of the clips, with {len(metrics['labels'])} labels. UAR is the mean recall "
        "over emotions."
    )
    return f"{lead}\n\n{table(header, rows)}"


def unknown_corpora_run(recipe: str) -> dict[str, Any]:
    """The recorded run that leaves out each corpus in turn: of this recipe, else of most corpora, else the best."""
    runs = [read_metrics(run) for run in recorded_runs() if on_unknown_corpora(run)]
    return max(runs, key=lambda run: (run["recipe"]["name"] == recipe, len(run["corpora"]), run["uar"]))


def common_sentences_rows(corpus: str, recipe: str) -> list[list[Any]]:
    """
    A row for the sentences that do not give the emotion away, of a corpus that has such; else none.

    It is of a recorded run on new speakers: of this recipe, else the best.
    """
    runs = [read_metrics(run) for run in recorded_runs() if not on_unknown_corpora(run)]
    runs = [run for run in runs if "common_sentences" in run["corpora"].get(corpus, {})]
    if not runs:
        return []
    run = max(
        runs, key=lambda one: (one["recipe"]["name"] == recipe, one["corpora"][corpus]["common_sentences"]["uar"])
    )
    figures = run["corpora"][corpus]
    row = headline_row(corpus, figures["common_sentences"], "the speakers", len(figures["recall"]), None)
    return [[f"{row[0]}, common sentences (`{run['recipe']['name']}`)", *row[1:]]]


def headline_row(
    corpus: str, figures: Mapping[str, Any], unheard: str, labels: int, baseline: Mapping[str, Any] | None
) -> list[Any]:
    """A corpus' row of README's table."""
    language = CORPORA[corpus].language if corpus in CORPORA else "–"
    uars = [uar_and_accuracy(one)[0] if one else "–" for one in (figures, baseline)]
    return [corpus_title(corpus), language, unheard, labels, *uars]


def speed_sentence(benchmarks: Mapping[str, Any]) -> str:
    """How long one answer takes, as `make bench` measured it."""
    outcome = next(one for one in benchmarks["outcomes"] if one["name"] == ANSWER)
    return (
        f"A recording of 3 s is answered in {outcome['ours']:.0f} {outcome['unit']} on one CPU thread (`make bench`)."
    )


def readme_systems(baselines: Mapping[str, Mapping[str, Any]]) -> str:
    """The systems as README shows them, and what their recipes were chosen on; unknown corpora; voices adapted to."""
    runs = recorded_runs()
    of_one_corpus = [entry for entry in baselines.values() if len(entry["trained_on"]) == 1]
    parts = [systems_table([*runs, PRETRAINED], of_one_corpus), COPY]
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
        f"[`{METRICS_FILE}`](../{SHIPPED}/{METRICS_FILE}) by `{metrics['command']}`."
    )
    measured = f"{protocol_sentence(metrics, SELECTION)} UAR is the mean recall over emotions."
    return "\n\n".join([measured, results_table(metrics), corpus_remarks(metrics, COPY), calibration])


def readme_benchmarks(benchmarks: Mapping[str, Any]) -> str:
    """The benchmarks as README shows them."""
    rows = [
        [outcome["name"], outcome["peer_name"], f"{outcome['figure']:.1f}", UNITS[outcome["kind"]].format(**outcome)]
        + ["yes" if outcome["holds"] else "**missed**"]
        for outcome in benchmarks["outcomes"]
    ]
    written = f"Written to [`benchmarks/results.json`](../benchmarks/results.json) by `{benchmarks['command']}`."
    return table(["what", "against", "figure", "which is", "bar holds"], rows) + f"\n\n{written}"


def replace_block(text: str, name: str, content: str) -> str:
    """Replace what stands between `<!-- name: ... -->` and `<!-- /name -->`."""
    pattern = rf"(<!-- {name}:[^>]*-->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(pattern, lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"The text needs one block <!-- {name}: ... --> to <!-- /{name} -->, it has {count}.")
    return replaced
