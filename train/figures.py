"""Figures of results: readable in a paper, in colours that colour-blind readers tell apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib


matplotlib.use("Agg")  # no display is needed, whatever the machine's settings

import matplotlib.pyplot as plt
import numpy as np


BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"  # of Okabe and Ito's palette
DOTS_PER_INCH = 160


def save_confusion_matrix(matrix: Sequence[Sequence[int]], labels: Sequence[str], path: Path, title: str) -> None:
    """Draw a confusion matrix: the share of each true label's clips (rows) by predicted label (columns).

    Args:
        matrix: counts (labels, labels), rows are true labels.
        labels: names in the matrix' order; those without clips get no row.
        path: PNG file.
        title: what was measured, on what, by which protocol.
    """
    counts = np.asarray(matrix)
    rows = [index for index in range(len(labels)) if counts[index].sum()]
    shares = counts[rows] / counts[rows].sum(1, keepdims=True)
    size = 1.6 + 0.62 * len(labels)
    figure, axes = plt.subplots(figsize=(size, 1.6 + 0.5 * len(rows)), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(shares.shape):
        colour = "white" if shares[row, column] > 0.55 else "black"
        axes.text(column, row, f"{shares[row, column]:.0%}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), [f"{labels[index]} ({counts[index].sum()})" for index in rows])
    axes.set_xlabel("predicted")
    axes.set_ylabel("expressed (clips)")
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[:].set_visible(False)
    save(figure, path)


def save_learning_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw loss and validation UAR over epochs, from the Trainer's log history."""
    figure, (loss_axes, uar_axes) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    draw_curve(loss_axes, history, "loss", "training", BLUE)
    draw_curve(loss_axes, history, "eval_loss", "validation", ORANGE)
    draw_curve(uar_axes, history, "eval_uar", "validation", ORANGE)
    loss_axes.set_ylabel("loss")
    uar_axes.set_ylabel("UAR")
    uar_axes.set_ylim(0, 1)
    for axes in (loss_axes, uar_axes):
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    save(figure, path)


def draw_curve(axes: plt.Axes, history: Sequence[Mapping[str, Any]], key: str, label: str, colour: str) -> None:
    """One logged value over epochs; nothing where it was not logged."""
    points = [(entry["epoch"], entry[key]) for entry in history if key in entry]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, color=colour, linewidth=1.6)


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure as PNG and free it."""
    figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": None})
    plt.close(figure)
