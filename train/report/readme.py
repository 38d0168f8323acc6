"""The generated blocks of README and docs/: their figures come out of files that commands wrote."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ser_model.metrics_file import METRICS_FILE, read_metrics
from ser_model.recognizer import PRETRAINED
from train.data import CORPORA
from train.evaluation.never_heard import NEVER_HEARD_FILE, sibling_sentence
from train.evaluation.reporting import corpus_title
from train.report.model_card import (
    EMODB_AT_HAND,
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
    caveat_notes,
    cross_corpus_table,
    mean_of_pairs,
    mean_title,
    on_unknown_corpora,
    recorded_runs,
    systems_table,
    uar_and_accuracy,
)


BASELINES_FILE = "egemaps.json"  # beside the benchmarks' results
UNKNOWN_CORPORA = (
    "Each corpus left out in turn: trained on the recipe's other corpora, and answered among as many labels as the "
    "column says. The `functional` recipes were chosen by these corpora: read them as optimistic. The SVM trains on "
    "all voices, as a recipe with `refit` does. The others set some aside for the temperature."
)
ADAPTED = (
    "What `recognizer.adapt` brings: some clips of each speaker, of any emotions and without labels, are heard first; "
    "the others are tested. A clip is answered with the labels of its corpus; among all seven the shipped checkpoint "
    "gains less ([the card](../model_card.md)). The control is adapted to another speaker. The last column is the "
    "correction that fits the labels of all clips best. `adapt` was chosen among some thirty ways on these networks."
)
NEVER_HEARD_SHARES = {
    "uar_among_own_labels": "UAR among its labels %",
    "accuracy": "right %",
    "confidence": "says %",
    "calibration_error": "calibration error %",
    "calibration_error_before": "before fitting %",
    "sure": "sure of %",
    "sure_and_right": "of these right %",
    "candidate_coverage": "right one among candidates %",
}
FEWEST_ANSWERS = 20  # of which it is told how many are right
MEAN = "mean of those that the checkpoint itself answered"
ANSWER = "file of 3 s to answer"  # the benchmark that README names
UNITS = {
    "faster": "times faster (at least {bar:g})",
    "ratio": "times as long (at most {bar:g})",
    "limit": "{unit} (at most {bar:g})",
}


def render_documents(project: Path, checkpoint: Path, benchmarks: Path) -> dict[Path, str]:
    """
    README and the pages of docs/ that hold figures, with those of a checkpoint, of the recorded runs and benchmarks.

    Args:
        project: folder of README.md and docs/.
        checkpoint: folder with an evaluation's metrics.json, and never_heard.json.
        benchmarks: what `make bench` wrote; the baselines lie beside it.

    Raises:
        ValueError: a page lacks a block, or has it twice.
    """
    metrics = read_metrics(checkpoint)
    never_heard = read_metrics(checkpoint, name=NEVER_HEARD_FILE)
    baselines = json.loads(benchmarks.with_name(BASELINES_FILE).read_text())
    measured = json.loads(benchmarks.read_text())
    pages = {
        "README.md": {"speed": speed_sentence(measured), "results": headline(metrics, never_heard, baselines)},
        "docs/results.md": {
            "never heard": readme_never_heard(never_heard),
            "results": readme_results(metrics),
            "systems": readme_systems(baselines),
        },
        "docs/benchmarks.md": {"benchmarks": readme_benchmarks(measured)},
    }
    rendered = {}
    for name, blocks in pages.items():
        text = (project / name).read_text()
        for block, content in blocks.items():
            text = replace_block(text, block, content)
        rendered[project / name] = text
    return rendered


def headline(
    metrics: Mapping[str, Any], never_heard: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]
) -> str:
    """
    The one table of README: corpora that were never heard first, the mean of a recipe that leaves out each corpus in
    turn (docs/results.md has its corpora), then new speakers of known ones.

    Args:
        metrics: of the shipped checkpoint.
        never_heard: the content of its never_heard.json.
        baselines: the content of benchmarks/egemaps.json.
    """
    rows = [headline_row(*row) for row in never_heard_rows(never_heard)]
    unknown = unknown_corpora_run(metrics["recipe"]["name"])
    baseline = baseline_of_clips(unknown["recipe"], baselines)
    beside = ""
    if baseline:
        pairs = [(figures, baseline["folds"][corpus]) for corpus, figures in unknown["corpora"].items()]
        mean, name = mean_of_pairs(pairs), unknown["recipe"]["name"]
        unheard = f"the corpus, each left out (`{name}`)"
        rows.append(headline_row(mean_title(pairs), mean[0], unheard, len(unknown["labels"]), mean[1]))
        behind = sum(own["uar"] < other["uar"] for own, other in pairs)
        beside = f"\n\nOn {behind} of the {len(pairs)} corpora left out, `{name}` is behind eGeMAPS and the SVM."
    for corpus, figures in metrics["corpora"].items():
        rows.append(headline_row(corpus, figures, "the speakers", len(metrics["labels"])))
        rows += common_sentences_rows(corpus, metrics["recipe"]["name"])
    header = ("tested on", "language", "new to it", "labels", "UAR % (95 % interval)", "right %", "says %")
    return f"{lead(metrics, never_heard)}\n\n{table([*header, 'eGeMAPS + SVM: UAR %'], rows)}{beside}"


def lead(metrics: Mapping[str, Any], never_heard: Mapping[str, Any]) -> str:
    """Accuracy and confidence of the shipped checkpoint, in a few sentences."""
    mean, labels = never_heard["mean"], len(metrics["labels"])
    count = len(never_heard["corpora"]) - len(never_heard["by_siblings"])
    return (
        f"On recordings from other studios, languages and microphones it is right in {percent(mean['accuracy'])} % of "
        f"the recordings, among {labels} emotions, and says {percent(mean['confidence'])} %: the mean over "
        f"{count} corpora that it never heard. By chance it would be {percent(1 / labels)} %. "
        f"On new speakers of the corpora it learnt from it is right in {percent(metrics['accuracy'])} %, and says "
        f"{percent(metrics['confidence'])} %: its confidence is fitted to voices from elsewhere. UAR is the mean "
        "recall over the emotions of a corpus, when the model answers among as many labels as the column says."
    )


def never_heard_rows(never_heard: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str, int]]:
    """Arguments of [`headline_row`] for each corpus that the network which answered never heard."""
    for corpus, figures in never_heard["corpora"].items():
        unheard = "the corpus, left out of training" if corpus in never_heard["by_siblings"] else "the corpus"
        yield corpus, {**figures, "uar": figures["uar_among_own_labels"]}, unheard, figures["labels"]


def readme_never_heard(never_heard: Mapping[str, Any]) -> str:
    """Corpora that the shipped checkpoint never heard, as docs/results.md shows them."""
    shown = [(corpus_title(name), figures) for name, figures in never_heard["corpora"].items()]
    rows = [
        [name, *(percent(told(figures, key)) for key in NEVER_HEARD_SHARES), f"{figures['brier_score']:.2f}"]
        + [f"{figures['risk_coverage_area']:.2f}", f"{figures['candidates']:.1f}", f"{figures['arousal_auc']:.2f}"]
        for name, figures in [*shown, (MEAN, never_heard["mean"])]
    ]
    header = [*NEVER_HEARD_SHARES.values(), "Brier score", "risk-coverage area", "candidates", "arousal AUC"]
    fitted = " and ".join(map(corpus_title, never_heard["fitted_on"]))
    written = (
        f"A temperature of {never_heard['temperature']:.2f} ({never_heard['temperature_before']:.2f} "
        f"before), the exponent of the familiarity, {never_heard['familiarity_exponent']:.2f}, and the mass of the "
        f"candidates, {never_heard['rule']['candidate_mass']:.2f}, are fitted to {fitted}, each counting the same, "
        "the first two to pieces of their clips as well. The figures of a corpus are by what was fitted without it. "
        f"{sibling_sentence(never_heard)}"
        f"Written to [`{NEVER_HEARD_FILE}`](../{SHIPPED}/{NEVER_HEARD_FILE}) by `{never_heard['command']}`."
    )
    return f"{table(['corpus', *header], rows)}\n\n{written}"


def told(figures: Mapping[str, Any], key: str) -> float | None:
    """A share of a corpus' figures; None for one of hardly any answers, and in the mean of all corpora."""
    few = figures["sure"] * figures.get("clips", 0) < FEWEST_ANSWERS
    return None if key == "sure_and_right" and few else figures[key]


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
    corpus: str,
    figures: Mapping[str, Any],
    unheard: str,
    labels: int,
    baseline: Mapping[str, Any] | None = None,
) -> list[Any]:
    """A corpus' row of README's table."""
    language = CORPORA[corpus].language if corpus in CORPORA else "–"
    uars = [uar_and_accuracy(one)[0] if one else "–" for one in (figures, baseline)]
    shares = [percent(figures["accuracy"]), percent(figures.get("confidence"))]
    return [corpus_title(corpus), language, unheard, labels, uars[0], *shares, uars[1]]


def speed_sentence(benchmarks: Mapping[str, Any]) -> str:
    """Sentence on the time of one answer, as `make bench` measured it."""
    outcome = next(one for one in benchmarks["outcomes"] if one["name"] == ANSWER)
    return (
        f"A recording of 3 s is answered in {outcome['ours']:.0f} {outcome['unit']} on one CPU thread (`make bench`)."
    )


def readme_systems(baselines: Mapping[str, Mapping[str, Any]]) -> str:
    """The systems as README shows them, and what their recipes were chosen on; unknown corpora; voices adapted to."""
    runs = recorded_runs()
    of_one_corpus = [entry for entry in baselines.values() if len(entry["trained_on"]) == 1]
    parts = [systems_table([*runs, PRETRAINED], of_one_corpus), EMODB_AT_HAND]
    if notes := caveat_notes(runs):
        parts.append(folded("Caveats, and UAR by fold", notes))
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
        f"{percent(max(errors))} % within a corpus: the confidence is fitted to corpora that were never heard, and "
        "too low here. Written to "
        f"[`{METRICS_FILE}`](../{SHIPPED}/{METRICS_FILE}) by `{metrics['command']}`."
    )
    measured = f"{protocol_sentence(metrics, SELECTION)} UAR is the mean recall over emotions."
    return "\n\n".join([measured, results_table(metrics), corpus_remarks(metrics, EMODB_AT_HAND), calibration])


def readme_benchmarks(benchmarks: Mapping[str, Any]) -> str:
    """The benchmarks as README shows them."""
    rows = [
        [outcome["name"], outcome["peer_name"], f"{outcome['figure']:.1f}", spread_text(outcome)]
        + [UNITS[outcome["kind"]].format(**outcome), "yes" if outcome["holds"] else "**missed**", outcome["measured"]]
        for outcome in benchmarks["outcomes"]
    ]
    written = f"Written to [`benchmarks/results.json`](../benchmarks/results.json) by `{benchmarks['command']}`."
    header = ["what", "against", "figure", "middle half", "which is", "bar holds", "measured"]
    return f"{table(header, rows)}\n\n{written}"


def spread_text(outcome: Mapping[str, Any]) -> str:
    """Lower and upper end of the middle half of the rounds; a dash where there was one round."""
    spread = outcome.get("spread")
    return " – ".join(f"{value:.1f}" for value in spread) if spread else "–"


def replace_block(text: str, name: str, content: str) -> str:
    """Replace what stands between `<!-- name: ... -->` and `<!-- /name -->`."""
    pattern = rf"(<!-- {name}:[^>]*-->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(pattern, lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"The text needs one block <!-- {name}: ... --> to <!-- /{name} -->, it has {count}.")
    return replaced
