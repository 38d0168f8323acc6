"""README's table of systems: what each recipe reaches on new speakers, beside speakers that it heard in training."""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ser_model.metrics_file import METRICS_FILE, read_metrics, read_object
from ser_model.recognizer import PRETRAINED
from train.data.base import plural
from train.evaluation.adaptation import ADAPTATION_FILE
from train.evaluation.reporting import CROSS_CORPUS, corpus_title, interval_text, uar_text
from train.fit.checkpoint import RECIPE_FILE, SPEAKER_DISJOINT, SPEAKERS_SEEN
from train.fit.recipe import load_recipe
from train.report.compare import TOGETHER, results_of
from train.report.model_card import percent, table
from train.report.record import RESULTS, read_record


ADAPTED_BY = ("random clips", "clips of one emotion", "another speaker")  # whose figures adaptation.json has
OMITTED_SETTINGS = ("pitch_gate_db", "voice_directions", "feature_dropout", "heads")  # the table says which heads


def recorded_runs() -> list[Path]:
    """The runs whose results come with the project."""
    return sorted(path.parent for path in RESULTS.glob(f"*/{METRICS_FILE}"))


def systems_table(runs: Sequence[Path], baselines: Sequence[Mapping[str, Any]] = ()) -> str:
    """
    The table as Markdown; a line for each recipe and each corpus that it was tested on.

    Args:
        runs: folders with the metrics.json of a fit, evaluate or crossvalidate; those of unknown corpora are left to
            `cross_corpus_table`.
        baselines: entries of benchmarks/egemaps.json, whose lines stand at the end.

    Raises:
        ValueError: two results for the same cell.
    """
    rows = pd.DataFrame([result for run in runs if not on_unknown_corpora(run) for result in results_of(run)])
    rows = rows[~rows["tested"].str.endswith(TOGETHER)]
    lines = []
    for (recipe, tested, labels), cells in rows.groupby(["recipe", "tested", "labels"]):
        parameters = f"{cells['parameters'].iloc[0]:,}"
        new, seen = (
            figures_of(cells[cells["protocol"] == protocol]) for protocol in (SPEAKER_DISJOINT, SPEAKERS_SEEN)
        )
        lines.append([f"`{recipe}`", parameters, tested, labels, *new, *seen])
    lines += map(baseline_line, baselines)
    header = (
        "recipe",
        "parameters",
        "tested on",
        "labels",
        "new speakers: UAR % (95 % interval)",
        "accuracy %",
        "speakers seen: UAR % (95 % interval)",
        "accuracy %",
    )
    return table(header, lines)


def on_unknown_corpora(run: Path) -> bool:
    """True if each corpus of a run was tested by a network that was trained on the others alone."""
    return read_metrics(run).get("cross_validation", {}).get("protocol") == CROSS_CORPUS


def cross_corpus_table(runs: Sequence[Path], baselines: Mapping[str, Mapping[str, Any]]) -> str:
    """
    UAR of recipes on a corpus that they never heard, as Markdown, and by which commands; empty without such a run.

    Args:
        runs: as for `systems_table`; those of known corpora are left out.
        baselines: the content of benchmarks/egemaps.json; a recipe stands beside the baseline of the same clips.

    Raises:
        ValueError: that baseline was not measured.
    """
    lines, commands = [], []
    for metrics in map(read_metrics, filter(on_unknown_corpora, runs)):
        recipe = metrics["recipe"]["name"]
        baseline = baseline_of_clips(metrics["recipe"], baselines)
        if baseline is None:
            missing = f"python -m benchmarks.egemaps --protocol {CROSS_CORPUS} --recipe {recipe}"
            raise ValueError(f"The baseline of the same clips is missing: {missing}.")
        commands += [f"`{metrics['command']}`", f"`{baseline['command']}`"]
        pairs = {corpus: (figures, baseline["folds"][corpus]) for corpus, figures in metrics["corpora"].items()}
        for name, pair in [*pairs.items(), (mean_title(pairs), mean_of_pairs(pairs.values()))]:
            own, other = (one["uar"] for one in pair)
            cells = [*(uar_and_accuracy(one)[0] for one in pair), f"{100 * (own - other):+.1f}"]
            lines.append([f"`{recipe}`", corpus_title(name), len(metrics["labels"]), pair[0]["clips"], *cells])
    header = ("recipe", "tested on", "labels", "clips", "UAR % (95 % interval)", "eGeMAPS and an SVM", "difference")
    return f"{table(header, lines)}\n\nBy {' and '.join(dict.fromkeys(commands))}." if lines else ""


def mean_title(corpora: Collection) -> str:
    """Title of the mean over corpora in a table."""
    return f"mean of {len(corpora)} corpora"


def mean_of_pairs(pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Mean UAR and accuracy of what a recipe reaches, and of its baseline; every corpus counts the same."""
    return [
        {
            **{name: statistics.fmean(one[name] for one in figures) for name in ("uar", "accuracy")},
            "clips": sum(one["clips"] for one in figures),
            "uar_interval": None,
        }
        for figures in zip(*pairs, strict=True)
    ]


def adapted_table(runs: Sequence[Path]) -> str:
    """
    UAR gain by some clips of each speaker in cross-validation, as Markdown, and by which commands; empty without any.

    Args:
        runs: folders of cross-validations, of which those are shown that hold what `train adaptation` wrote.
    """
    lines, commands = [], []
    for content in (read_metrics(run, name=ADAPTATION_FILE) for run in runs if (run / ADAPTATION_FILE).is_file()):
        unknown = ", never heard" if content["cross_validation"]["protocol"] == CROSS_CORPUS else ""
        seeds = f", {plural(len(content['seeds']), 'seed')}" if len(content["seeds"]) > 1 else ""
        commands.append(f"`{content['command']}`")
        for corpus, figures in content["corpora"].items():
            own, alike, other = (figures["adapted_by"][name] for name in ADAPTED_BY)
            lines.append(
                [
                    f"`{content['recipe']['name']}`",
                    f"{corpus_title(corpus)}{unknown}{seeds}",
                    len(figures["labels"]),
                    content["adapted_with"],
                    percent(own["uar"]),
                    percent(own["uar_adapted"]),
                    *(difference_text(one) if one else "–" for one in (own, alike, other)),
                    f"{100 * figures['with_labels']['difference']:+.1f}",
                ]
            )
    header = (
        "recipe",
        "tested on",
        "labels",
        "clips",
        "UAR %",
        "adapted",
        "difference (95 % of the draws)",
        "by clips of one emotion",
        "by another speaker's",
        "fitted to all labels",
    )
    return f"{table(header, lines)}\n\nBy {' and '.join(commands)}." if lines else ""


def difference_text(figures: Mapping[str, Any]) -> str:
    """Difference in percentage points, and between which bounds 95 % of the draws lie."""
    low, high = (f"{100 * value:+.1f}" for value in figures["difference_interval"])
    return f"{100 * figures['difference']:+.1f} ({low} – {high})"


def baseline_of_clips(
    recipe: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The baseline that was trained on the same clips as a recipe, each corpus left out in turn; None without one."""
    own = baselines.get(f"{CROSS_CORPUS}, {recipe['name']}")
    others = (entry for name, entry in baselines.items() if name.startswith(f"{CROSS_CORPUS}, "))
    return own or next((entry for entry in others if on_clips_of(recipe, entry)), None)


def on_clips_of(recipe: Mapping[str, Any], baseline: Mapping[str, Any]) -> bool:
    """True if a baseline, whose own recipe is another one, is about the same clips and labels as a recipe."""
    other = load_recipe(baseline["recipe"])
    return (recipe["corpora"], recipe["labels"], recipe["label_map"], recipe["shares"]) == (
        baseline["trained_on"],
        baseline["labels"],
        other.label_map,
        other.shares,
    )


def baseline_line(entry: Mapping[str, Any]) -> list[Any]:
    """Line of a corpus that the baseline was trained on and tested on, always on new speakers."""
    tested = f"{', '.join(map(corpus_title, entry['trained_on']))}, {entry['protocol']}"
    figures = uar_and_accuracy(entry)
    return ["eGeMAPS and an SVM", "–", tested, len(entry["labels"]), *figures, "–", "–"]


def layers_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's network but for what is no layer, and for its heads."""
    return {name: value for name, value in recipe.get("network", {}).items() if name not in OMITTED_SETTINGS}


def cross_validation_table(checkpoint: Path) -> str:
    """Results of the shipped checkpoint's network in the recorded cross-validations, as Markdown; else empty."""
    if checkpoint.resolve() != PRETRAINED:
        return ""
    network = layers_of(read_object(checkpoint / RECIPE_FILE))
    runs = [run for run in recorded_runs() if layers_of(read_metrics(run)["recipe"]) == network]
    lines = [
        [
            f"`{row['recipe']}`",
            len(read_metrics(run)["recipe"]["network"].get("heads", ["sequence"])),
            row["tested"],
            row["labels"],
            row["rounds"],
            row["clips"],
            row["speakers"],
            row["seeds"],
            uar_text(row["figures"]),
            interval_text(row["figures"]),
            percent(row["accuracy"]),
            *(percent(row["figures"]["uar_by_sex"].get(sex)) for sex in ("female", "male")),
        ]
        for run in runs
        for row in results_of(run)
        if not row["tested"].endswith(TOGETHER)
    ]
    header = (
        "recipe",
        "heads",
        "tested on",
        "labels",
        "protocol",
        "clips",
        "speakers",
        "seeds",
        "UAR %",
        "95 % interval",
        "accuracy %",
        "female",
        "male",
    )
    return f"{table(header, lines)}\n\n{caveat_notes(runs)}".strip() if lines else ""


def caveat_notes(runs: Sequence[Path]) -> str:
    """Caveats of each run for a reader of the figures, as a Markdown list; empty if there are none."""
    notes = []
    for run in runs:
        metrics = read_metrics(run)
        if caveats := read_record(run)["caveats"]:
            folds = "; ".join(
                uars_by_fold(*one) for one in metrics["corpora"].items() if len(one[1].get("uar_by_fold", ())) > 1
            )
            by_fold = f" UAR by fold: {folds}." if folds else ""
            notes.append(f"- `{metrics['recipe']['name']}`: {'; '.join(caveats)}.{by_fold}")
    if not notes:
        return ""
    return "\n".join(["To read with the figures:", "", *notes])


def uars_by_fold(corpus: str, figures: Mapping[str, Any]) -> str:
    """A corpus' UAR in each fold."""
    return f"{corpus_title(corpus)} " + ", ".join(f"{fold} {percent(u)}" for fold, u in figures["uar_by_fold"].items())


def figures_of(cells: pd.DataFrame) -> tuple[str, str]:
    """UAR with its interval, and accuracy, of the one result in some rows; dashes where there is none."""
    if len(cells) > 1:
        raise ValueError(f"{', '.join(cells['run'])} measure the same: {cells['heading'].iloc[0]}. Keep one of them.")
    if cells.empty:
        return "–", "–"
    return uar_and_accuracy(cells["figures"].iloc[0])


def uar_and_accuracy(figures: Mapping[str, Any]) -> tuple[str, str]:
    """UAR with its interval, and accuracy."""
    interval = f" ({interval_text(figures)})" if figures["uar_interval"] else ""
    return uar_text(figures) + interval, percent(figures["accuracy"])
