"""Results of several runs side by side; what was not measured in the same way never stands under one heading."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ser_model.metrics_file import METRICS_FILE, read_metrics
from train.evaluation.reporting import CROSS_CORPUS, corpus_title, interval_text, uar_text
from train.report.model_card import percent, table


MARKDOWN_FILE, CSV_FILE = "comparison.md", "comparison.csv"
TOGETHER = " together"  # ends the name of several corpora
NOTE = (
    "UAR is the unweighted average recall, with its standard deviation over seeds where there are several; the "
    "interval is a 95 % bootstrap over speakers. Figures under different headings cannot be compared."
)


def compare(runs: Sequence[Path], output: Path) -> str:
    """
    Compare runs, and write comparison.md and comparison.csv.

    Args:
        runs: output folders of fit, evaluate or crossvalidate.
        output: folder for the tables.

    Returns:
        The tables as Markdown, one for each way of measuring, the best UAR first.

    Raises:
        FileNotFoundError: a folder without metrics.json.
        ValueError: a metrics.json of something else, or of an earlier version.
    """
    results = pd.DataFrame([result for run in runs for result in results_of(run)])
    results = results.sort_values(["heading", "uar"], ascending=[True, False], kind="stable")
    tables = [f"## {heading}\n\n{markdown_table(rows)}" for heading, rows in results.groupby("heading", sort=False)]
    text = "\n\n".join([*tables, NOTE])
    output.mkdir(parents=True, exist_ok=True)
    (output / MARKDOWN_FILE).write_text(text + "\n")
    results.drop(columns="figures").to_csv(output / CSV_FILE, index=False, encoding="utf-8-sig")  # as Excel expects it
    return text


def results_of(run: Path) -> Iterator[dict[str, Any]]:
    """Results of a run: on each corpus, and on all of them together where there are several."""
    path = run / METRICS_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{run} has no {METRICS_FILE}: give the output folder of a finished fit, evaluate or crossvalidate."
        )
    metrics = read_metrics(run, ("protocol", "recipe", "labels", "corpora", "parameters"))
    for tested, figures in tested_parts(metrics):
        yield result_of(run, metrics, tested, figures)


def tested_parts(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and figures of each part that was tested."""
    titles = [corpus_title(name) for name in metrics["corpora"]]
    for title, figures in zip(titles, metrics["corpora"].values(), strict=True):
        yield title, figures
        if "common_sentences" in figures:
            yield f"{title}, common sentences", figures["common_sentences"]
    if len(titles) > 1:
        yield f"{', '.join(titles)}{TOGETHER}", metrics


def result_of(run: Path, metrics: Mapping[str, Any], tested: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the tables; `figures` are kept to write the cells of people's tables."""
    rounds = metrics.get(
        "cross_validation", {"title": f"{metrics.get('split')} split", "folds": [None], "seeds": [None]}
    )
    low, high = figures["uar_interval"] or (None, None)
    return {
        "heading": heading(metrics, tested, labels_told_apart(metrics, figures)),
        "tested": tested,
        "protocol": metrics["protocol"],
        "rounds": rounds["title"],
        "labels": len(labels_told_apart(metrics, figures)),
        "run": run.as_posix(),
        "recipe": metrics["recipe"]["name"],
        "corpora": ", ".join(map(corpus_title, metrics["recipe"]["corpora"])),
        "folds": len(rounds["folds"]),
        "seeds": len(rounds["seeds"]),
        "clips": figures["clips"],
        "speakers": figures["speakers"],
        "uar": figures["uar"],
        "uar_deviation": figures.get("deviation", {}).get("uar"),
        "uar_low": low,
        "uar_high": high,
        "accuracy": figures["accuracy"],
        "macro_f1": figures["macro_f1"],
        "parameters": metrics["parameters"],
        "figures": figures,
    }


def labels_told_apart(metrics: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    """The labels that a figure is about: the model's, or those of the tested corpus where it answers with no other."""
    rounds = metrics.get("cross_validation", {})
    # A corpus that was left out is answered among all of the model's labels: nobody knows its own.
    restricted = metrics["recipe"].get("mask_labels") and rounds and rounds["protocol"] != CROSS_CORPUS
    return sorted(figures["recall"] if restricted else metrics["labels"])


def heading(metrics: Mapping[str, Any], tested: str, labels: Sequence[str]) -> str:
    """Heading of a figure, with all of how it was obtained: only figures with equal headings are compared."""
    labels = f"{len(labels)} labels ({', '.join(labels)})"
    if "cross_validation" not in metrics:
        return f"{tested}: {metrics['split']} split, {metrics['protocol']}, {labels}"
    rounds = metrics["cross_validation"]
    folds = "" if rounds["complete"] else f" (only {', '.join(sorted(rounds['folds']))})"
    return f"{tested}: {rounds['title']}{folds}, {metrics['protocol']}, {labels}"


def markdown_table(rows: pd.DataFrame) -> str:
    """The lines under one heading, for people."""
    header = (
        "run",
        "recipe",
        "training corpora",
        "folds × seeds",
        "clips",
        "speakers",
        "UAR %",
        "95 % interval",
        "accuracy %",
        "parameters",
    )
    cells = [
        (
            row.run,
            row.recipe,
            row.corpora,
            f"{row.folds} × {row.seeds}",
            row.clips,
            row.speakers,
            uar_text(row.figures),
            interval_text(row.figures),
            percent(row.accuracy),
            f"{row.parameters:,}",
        )
        for row in rows.itertuples()
    ]
    return table(header, cells)
