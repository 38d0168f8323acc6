"""Maps of the LSTM's pooled states: where a network puts utterances, by emotion."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D

from ser_model.colours import EMOTION_COLOURS
from train.plots.style import (
    OUTLINE,
    WIDTH,
    add_title,
    emotion_colour,
    save,
)


EMOTION_MARKERS = dict(zip(EMOTION_COLOURS, "oDsP^Xv*", strict=True))  # a second cue beside the colour
PROJECTED_CLIPS = 1000  # more points hide one another, and t-SNE takes long
DRAWING_TURNS = 10
PERPLEXITY = 30  # of t-SNE: about the number of neighbours that a point keeps


def save_pooled_states(states: np.ndarray, labels: Sequence[str], path: Path, title: str) -> None:
    """Draw what the network makes of each clip, projected to a plane by PCA and by t-SNE, coloured by emotion.

    Args:
        states: pooled states (clips, units); of many clips a fixed sample is drawn.
        labels: emotion of each clip.
        path: PNG file.
        title: what was measured, on what, by which protocol.
    """
    chosen = np.random.default_rng(0).permutation(len(states))[:PROJECTED_CLIPS]
    states, labels = np.asarray(states, dtype=np.float64)[chosen], np.asarray(labels)[chosen]
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.6))
    components, variance = principal_components(states)
    draw_emotions(left, components[:, :2], labels)
    left.set_title("principal components")
    left.set_xlabel(f"first ({100 * variance[0]:.0f} % of the variance)")
    left.set_ylabel(f"second ({100 * variance[1]:.0f} %)")
    draw_emotions(right, neighbour_map(components), labels)
    right.set_title("t-SNE (distances between groups mean nothing)")
    for axes in (left, right):
        axes.set_xticks([])
        axes.set_yticks([])
    figure.legend(handles=emotion_handles(labels), loc="outside lower center", ncols=8, columnspacing=1.0)
    add_title(figure, title)
    save(figure, path)


def principal_components(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first components (clips, at most 50, at least 2) of states, and their shares of the variance."""
    from sklearn.decomposition import PCA

    padded = np.pad(states, ((0, 0), (0, max(0, 2 - states.shape[1]))))  # a state of one unit has no second component
    pca = PCA(min(50, *padded.shape), svd_solver="full").fit(padded)
    return pca.transform(padded), np.nan_to_num(pca.explained_variance_ratio_)


def neighbour_map(components: np.ndarray) -> np.ndarray:
    """t-SNE of states (clips, units) to (clips, 2) (van der Maaten and Hinton 2008)."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(components) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(components)


def draw_emotions(axes: plt.Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Points (clips, 2) in the colour and with the marker of their emotion, in turns, so that none hides another."""
    markers = dict(zip(*markers_of(labels), strict=True))
    for turn, label in itertools.product(range(DRAWING_TURNS), markers):
        chosen = points[np.flatnonzero(labels == label)[turn::DRAWING_TURNS]]
        style = {"marker": markers[label], "color": emotion_colour(label), "edgecolors": OUTLINE}
        axes.scatter(chosen[:, 0], chosen[:, 1], s=13, linewidths=0.25, alpha=0.85, **style)


def markers_of(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """The labels that occur, in alphabetical order, and the marker of each."""
    occurring = sorted(set(labels))
    spare = iter("<>hpd")
    return occurring, [EMOTION_MARKERS.get(label) or next(spare, ".") for label in occurring]


def emotion_handles(labels: Sequence[str]) -> list[Line2D]:
    """Entries of a legend: the emotions that occur."""
    return [
        Line2D(
            [],
            [],
            linestyle="",
            marker=marker,
            markersize=5,
            markerfacecolor=emotion_colour(label),
            markeredgecolor=OUTLINE,
            markeredgewidth=0.3,
            label=label,
        )
        for label, marker in zip(*markers_of(labels), strict=True)
    ]
