"""Figures of results: readable in a paper, in colours that colour-blind readers tell apart."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from train.metrics.calibration_error.calibration_error import expected_calibration_error, reliability
from train.plots.style import (
    BLUE,
    GREY,
    LIGHT_BLUE,
    ORANGE,
    OUTLINE,
    SEX_COLOURS,
    SEX_HATCHES,
    WIDTH,
    add_title,
    save,
    sex_handles,
)


NOISE_STYLES = ((BLUE, "o-"), (ORANGE, "s--"), (OUTLINE, "^:"))
LEGIBLE_SPEAKERS = 70  # more names than this do not fit under the bars


def save_confusion_matrix(matrix: Sequence[Sequence[float]], labels: Sequence[str], path: Path, title: str) -> None:
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
    figure, axes = plt.subplots(figsize=(1.7 + 0.52 * len(labels), 1.3 + 0.36 * len(rows)))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(shares.shape):
        axes.text(column, row, f"{100 * shares[row, column]:.0f}", **cell_style(shares, row, column, rows))
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), [f"{labels[index]} ({counts[index].sum():.0f})" for index in rows])
    axes.tick_params(length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("expressed (clips)")
    axes.spines[:].set_visible(False)
    colour_bar = figure.colorbar(image, ax=axes, label="% of the clips expressed so", fraction=0.05, pad=0.02)
    colour_bar.set_ticks(np.linspace(0, 1, 5), labels=["0", "25", "50", "75", "100"])
    colour_bar.outline.set_visible(False)
    add_title(figure, title)
    save(figure, path)


def cell_style(shares: np.ndarray, row: int, column: int, rows: Sequence[int]) -> dict[str, Any]:
    """Style of a cell's number: bold where label and prediction agree, white on dark."""
    return {
        "ha": "center",
        "va": "center",
        "color": "white" if shares[row, column] > 0.55 else "black",
        "fontweight": "bold" if rows[row] == column else "normal",
    }


def save_learning_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw loss and validation UAR over epochs, from the Trainer's log history, and mark the best epoch."""
    figure, (loss_axes, uar_axes) = plt.subplots(1, 2, figsize=(WIDTH, 2.6))
    draw_curve(loss_axes, history, "loss", "training", BLUE, "-")
    draw_curve(loss_axes, history, "eval_loss", "validation", ORANGE, "--")
    draw_curve(uar_axes, history, "eval_uar", "validation", ORANGE, "--")
    mark_best_epoch(uar_axes, history)
    loss_axes.set_ylabel("loss")
    uar_axes.set_ylabel("UAR")
    uar_axes.set_ylim(0, 1)
    for axes in (loss_axes, uar_axes):
        axes.set_xlabel("epoch")
        axes.set_xlim(left=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y")
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    add_title(figure, title)
    save(figure, path)


def draw_curve(
    axes: plt.Axes, history: Sequence[Mapping[str, Any]], key: str, label: str, colour: str, line: str
) -> None:
    """One logged value over epochs; nothing where it was not logged."""
    points = [(entry["epoch"], entry[key]) for entry in history if key in entry]
    if points:
        marker = "o" if len(points) < 3 else ""  # a line of one point is invisible
        axes.plot(*zip(*points, strict=True), line, label=label, color=colour, linewidth=1.4, marker=marker)


def mark_best_epoch(axes: plt.Axes, history: Sequence[Mapping[str, Any]]) -> None:
    """A dot and a text at the highest validation UAR; nothing where none was logged."""
    points = [(entry["eval_uar"], -entry["epoch"]) for entry in history if "eval_uar" in entry]
    if points:
        uar, epoch = max(points)
        label = f"best: {100 * uar:.1f} %, epoch {-epoch:g}"
        axes.plot(-epoch, uar, "o", color=ORANGE, markeredgecolor="black", markeredgewidth=0.8, label=label)


def save_speaker_bars(
    uars: Mapping[str, float], sexes: Mapping[str, str], path: Path, title: str, *, chance: float | None = None
) -> None:
    """Draw the UAR of every speaker, worst first.

    Args:
        uars: speaker -> UAR.
        sexes: speaker -> female, male or unknown.
        path: PNG file.
        title: what was measured, on what, by which protocol.
        chance: UAR of guessing.
    """
    ordered = sorted(uars, key=lambda speaker: (uars[speaker], speaker))
    wide = len(ordered) > 8
    figure, axes = plt.subplots(figsize=(WIDTH if wide else WIDTH / 2, 2.7))
    axes.bar(
        range(len(ordered)),
        [uars[speaker] for speaker in ordered],
        width=0.8,
        color=[SEX_COLOURS[sexes[speaker]] for speaker in ordered],
        hatch=[SEX_HATCHES[sexes[speaker]] for speaker in ordered],
        edgecolor="white",
        linewidth=0.3,
    )
    mean = float(np.mean(list(uars.values())))
    levels = {"mean over speakers": (mean, "--")} | ({"chance": (chance, ":")} if chance else {})
    for name, (level, line) in levels.items():
        axes.axhline(level, color="black", linewidth=0.9, linestyle=line, label=f"{name} {100 * level:.1f} %")
    name_speakers(axes, ordered)
    axes.set_ylim(0, 1)
    axes.set_ylabel("UAR")
    axes.grid(axis="y")
    handles = [*sex_handles(sexes, ordered), *axes.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5 if wide else 1)
    add_title(figure, title)
    save(figure, path)


def name_speakers(axes: plt.Axes, speakers: Sequence[str]) -> None:
    """Label the bars with the speakers' names, upright where they do not fit side by side, or not at all."""
    names = [speaker.partition("-")[2] or speaker for speaker in speakers]
    if len(names) <= LEGIBLE_SPEAKERS:
        upright = max(map(len, names)) * len(names) > 90
        axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0, fontsize=6.5)
    else:
        axes.set_xticks([])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xlabel("speaker, from the worst to the best recognised")


def save_risk_coverage(risks: Mapping[str, np.ndarray], path: Path, title: str) -> None:
    """Draw how many answers are wrong, if only the most confident ones are given.

    Args:
        risks: corpus -> share of wrong answers among the n most confident, for n from 1 to all its clips.
        path: PNG file.
        title: what was measured, on what, by which protocol.
    """
    figure, axes = plt.subplots(figsize=(3.5, 3.2))
    colours = (BLUE, ORANGE, OUTLINE, LIGHT_BLUE, GREY, "#009E73")
    for (name, risk), (line, colour) in zip(
        risks.items(), itertools.cycle(itertools.product(("-", "--"), colours)), strict=False
    ):
        axes.plot(np.arange(1, len(risk) + 1) / len(risk), risk, line, color=colour, linewidth=1.1, label=name)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("coverage (share of recordings answered)")
    axes.set_ylabel("risk (share of answers that are wrong)")
    axes.grid()
    axes.legend(loc="upper left", ncols=2)
    add_title(figure, title)
    save(figure, path)


def save_reliability_diagram(
    scores: np.ndarray, references: np.ndarray, path: Path, title: str, *, unit: str = "clips"
) -> None:
    """Draw how often the model is right at each confidence, and how many clips have that confidence.

    Args:
        scores: probabilities (clips, labels).
        references: index of each clip's true label, (clips,).
        path: PNG file.
        title: what was measured, on what, by which protocol.
        unit: what is counted.
    """
    binned = reliability(scores, references)
    filled = binned.counts > 0
    centres, width = (binned.edges[:-1] + binned.edges[1:]) / 2, binned.edges[1]
    accuracy = binned.hits[filled] / binned.counts[filled]
    confidence = binned.confidence[filled] / binned.counts[filled]
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(3.5, 3.9), sharex=True, height_ratios=(3, 1))
    upper.bar(centres[filled], accuracy, width=0.92 * width, color=BLUE, alpha=0.35, label="recognised")
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle="--", label="perfectly calibrated")
    upper.plot(confidence, accuracy, "o", color=BLUE, markersize=3.5, label="at the mean confidence")
    upper.set_ylabel("share recognised")
    upper.set_ylim(0, 1)
    upper.grid(axis="y")
    upper.legend(loc="upper left")
    upper.set_title(f"expected calibration error {100 * expected_calibration_error(scores, references):.1f} %")
    lower.bar(centres, binned.counts, width=0.92 * width, color=GREY)
    lower.set_xlim(0, 1)
    lower.set_ylabel(unit)
    lower.set_xlabel("confidence (highest score)")
    lower.grid(axis="y")
    add_title(figure, title)
    save(figure, path)


def save_robustness(panels: Mapping[str, Mapping[str, Any]], levels: Sequence[str], path: Path, title: str) -> None:
    """Draw the UAR in noise of several levels and under other conditions, a row for each corpus.

    Args:
        panels: name of a corpus -> `clean`, its UAR; `noises`, noise -> UAR at each level; `conditions`,
            condition -> UAR.
        levels: names of the levels of noise, none first.
        path: PNG file.
        title: what was measured, by which protocol.
    """
    height = 0.7 + 2.1 * len(panels)
    figure, rows = plt.subplots(len(panels), 2, figsize=(WIDTH, height), squeeze=False, sharex="col")
    for (left, right), (corpus, panel) in zip(rows, panels.items(), strict=True):
        draw_noises(left, panel["noises"], levels)
        draw_conditions(right, panel["conditions"], panel["clean"])
        left.set_title(corpus)
    rows[0][0].legend(loc="lower left")
    rows[-1][0].set_xlabel("signal-to-noise ratio in dB")
    rows[-1][1].set_xlabel("UAR in %, and its difference to clean (dashed)")
    add_title(figure, title)
    save(figure, path)


def draw_noises(axes: plt.Axes, noises: Mapping[str, Sequence[float]], levels: Sequence[str]) -> None:
    """UAR at each level, a line for each noise."""
    for (noise, uars), (colour, line) in zip(noises.items(), NOISE_STYLES, strict=True):
        axes.plot(levels, 100 * np.array(uars), line, color=colour, markersize=4, linewidth=1.2, label=noise)
    axes.set_ylim(0, 100)
    axes.set_ylabel("UAR in %")
    axes.grid(axis="y")


def draw_conditions(axes: plt.Axes, uars: Mapping[str, float], clean: float) -> None:
    """A bar for each condition, with its difference to the clean clips."""
    bars = axes.barh(list(uars), [100 * uar for uar in uars.values()], height=0.7, color=LIGHT_BLUE)
    texts = [f"{100 * uar:.1f} ({100 * (uar - clean):+.1f})" for uar in uars.values()]
    axes.bar_label(bars, texts, label_type="center", fontsize=7)
    axes.axvline(100 * clean, color="black", linewidth=0.9, linestyle="--")
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 100)
    axes.grid(axis="x")
