"""What a test leaves behind: metrics.json, every prediction, a picture of the confusions, a summary on the screen."""

import json
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import Dataset

from train.checkpoint import Checkpoint
from train.evaluation import metrics, predict, write_predictions
from train.figures import save_confusion_matrix


METRICS_FILE = "metrics.json"
EXAMPLES_SHOWN = 10


def report(
    checkpoint: Checkpoint, dataset: Dataset, output: Path, *, split: str, corpora_root: Path
) -> dict[str, Any]:
    """
    Test a model on utterances, write metrics.json, predictions.parquet and confusion_matrix.png, print a summary.

    Args:
        checkpoint: model, extractor, and the speakers that it has heard.
        dataset: utterances with the model's labels.
        output: folder of the files.
        split: name of the part of the corpora.
        corpora_root: the paths in predictions.parquet are relative to it.

    Returns:
        The content of metrics.json.
    """
    model, labels = checkpoint.model, checkpoint.recipe.labels
    protocol = checkpoint.protocol(dataset["speaker"][:])
    predictions = predict(model, checkpoint.extractor, dataset)
    result = {
        "protocol": protocol,
        "split": split,
        "labels": labels,
        "parameters": model.num_parameters(),
        "temperature": model.config.temperature,
        "command": shlex.join(["python", "-m", "train", *sys.argv[1:]]),
        "versions": {name: version(name) for name in ("torch", "transformers", "librosa", "soundfile")},
    } | metrics(predictions, labels)
    output.mkdir(parents=True, exist_ok=True)
    (output / METRICS_FILE).write_text(json.dumps(result, indent=2) + "\n")
    write_predictions(predictions, output / "predictions.parquet", corpora_root)
    for name, figures in result["corpora"].items():
        title = f"{name}, {split} ({protocol}): UAR {figures['uar']:.1%}"
        save_confusion_matrix(figures["confusion_matrix"], labels, output / f"confusion_matrix_{name}.png", title)
    print(summary(result), examples(predictions), sep="\n\n")
    return result


def summary(result: dict[str, Any]) -> str:
    """The figures as a table for the screen."""
    lines = [
        f"{result['split']} split, {result['protocol']}",
        "corpus     clips speakers    UAR   (95 %)        accuracy",
    ]
    for name, figures in result["corpora"].items():
        interval = figures["uar_interval"]
        shown = "{:5.1f} - {:4.1f}".format(*(100 * value for value in interval)) if interval else "            "
        lines.append(
            f"{name:10} {figures['clips']:5} {figures['speakers']:8}  {100 * figures['uar']:5.1f}  {shown} "
            f"{100 * figures['accuracy']:9.1f}"
        )
    return "\n".join(lines)


def examples(predictions: pd.DataFrame) -> str:
    """True and predicted label of a few utterances, drawn with a fixed seed."""
    drawn = predictions.sample(min(EXAMPLES_SHOWN, len(predictions)), random_state=0)
    rows = zip(drawn["label"], drawn["prediction"], drawn["path"], strict=True)
    return "\n".join(
        f"True: {label:9} -> Predicted: {predicted:9}  {Path(path).name}" for label, predicted, path in rows
    )
