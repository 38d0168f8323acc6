"""Figures: that they show the numbers they were given, in colours that can be told apart."""

import itertools

import matplotlib.colors
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest

from ser_model.colours import EMOTION_COLOURS
from train.data import COMMON_LABELS
from train.plots import figures, pooled_states, style


LABELS = ["angry", "calm", "happy"]


@pytest.fixture
def drawn(monkeypatch):
    """The figure that was drawn last, still open."""
    kept = []

    def keep(figure, path):
        kept.append(figure)
        style.save(figure, path)

    for module in (figures, pooled_states):
        monkeypatch.setattr(module, "save", keep)
    return kept


def pixels(path) -> np.ndarray:
    """Colours of a picture, (height, width, 3) from 0 to 1."""
    return matplotlib.image.imread(path)[..., :3]


def has_colour(path, colour: str) -> bool:
    """True if a picture has more than a few pixels of nearly this colour."""
    return (np.abs(pixels(path) - matplotlib.colors.to_rgb(colour)).max(-1) < 0.03).sum() > 20


def legend_texts(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_every_emotion_has_its_own_colour_and_marker():
    assert set(COMMON_LABELS) == set(EMOTION_COLOURS) == set(pooled_states.EMOTION_MARKERS)
    assert len(set(EMOTION_COLOURS.values())) == len(set(pooled_states.EMOTION_MARKERS.values())) == 8
    assert [style.emotion_colour(label) for label in ("angry", "boredom")] == [
        EMOTION_COLOURS["angry"],
        style.GREY,
    ]


def test_markers_of_labels_that_are_not_common_differ_too():
    labels, markers = pooled_states.markers_of(["boredom", "excited", "frustrated", *COMMON_LABELS])
    assert labels == sorted(labels)
    assert len(set(markers)) == 11


def test_confusion_matrix_shows_shares_of_rows(tmp_path, drawn):
    matrix = [[6, 2, 0], [0, 0, 0], [1, 0, 3]]
    figures.save_confusion_matrix(matrix, LABELS, tmp_path / "confusion.png", "A title")
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.texts] == ["75", "25", "0", "25", "0", "75"]
    assert [text.get_fontweight() for text in axes.texts] == ["bold", *["normal"] * 4, "bold"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["angry (8)", "happy (4)"]
    assert [text.get_text() for text in axes.get_xticklabels()] == LABELS
    assert pixels(tmp_path / "confusion.png").std() > 0.05


def test_learning_curves_mark_the_best_epoch(tmp_path, drawn):
    history = [{"epoch": float(epoch), "loss": 2 / epoch} for epoch in range(1, 6)]
    history += [{"epoch": float(epoch), "eval_loss": 3 / epoch, "eval_uar": uar} for epoch, uar in enumerate(UARS, 1)]
    figures.save_learning_curves(history, tmp_path / "curves.png", "A title")
    loss_axes, uar_axes = drawn[0].axes
    assert [line.get_ydata().tolist() for line in loss_axes.lines] == [
        [2, 1, 2 / 3, 0.5, 0.4],
        [3, 1.5, 1, 0.75, 0.6],
    ]
    assert legend_texts(uar_axes) == ["validation", "best: 50.0 %, epoch 3"]
    assert legend_texts(loss_axes) == ["training", "validation"]


UARS = [0.2, 0.4, 0.5, 0.5, 0.45]


def test_learning_curves_of_one_epoch_without_validation(tmp_path, drawn):
    figures.save_learning_curves([{"epoch": 1.0, "loss": 1.5}], tmp_path / "curves.png", "A title")
    loss_axes, uar_axes = drawn[0].axes
    assert loss_axes.lines[0].get_marker() == "o"
    assert not uar_axes.lines
    assert all(tick == int(tick) for tick in loss_axes.get_xticks())


def test_speakers_are_sorted_and_their_sex_is_marked(tmp_path, drawn):
    uars = {"a-01": 0.7, "a-02": 0.3, "a-03": 0.5, "a-04": 0.4}
    sexes = {"a-01": "female", "a-02": "male", "a-03": "male", "a-04": "unknown"}
    figures.save_speaker_bars(uars, sexes, tmp_path / "speakers.png", "A title", chance=0.125)
    axes = drawn[0].axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.3, 0.4, 0.5, 0.7]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["02", "04", "03", "01"]
    assert [bar.get_hatch() for bar in axes.patches] == ["///", "", "///", ""]
    assert [matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in axes.patches] == [
        figures.SEX_COLOURS[sex].upper() for sex in ("male", "unknown", "male", "female")
    ]
    expected = ["female (1)", "male (2)", "unknown (1)", "mean over speakers 47.5 %", "chance 12.5 %"]
    assert legend_texts(axes) == expected


def test_many_speakers_are_not_named(tmp_path, drawn):
    uars = {f"a-{number}": number / 100 for number in range(91)}
    figures.save_speaker_bars(uars, dict.fromkeys(uars, "female"), tmp_path / "speakers.png", "A title")
    assert len(drawn[0].axes[0].patches) == 91
    assert not drawn[0].axes[0].get_xticklabels()


def test_reliability_diagram_shows_hits_confidence_and_counts(tmp_path, drawn):
    scores = np.array([[0.9, 0.1]] * 4 + [[0.55, 0.45]] * 2)
    references = np.array([0, 0, 0, 1, 0, 1])
    figures.save_reliability_diagram(
        scores, references, tmp_path / "reliability.png", "A title", unit="clips × 3 seeds"
    )
    upper, lower = drawn[0].axes
    assert [bar.get_height() for bar in upper.patches] == [0.5, 0.75]
    assert upper.lines[1].get_xdata() == pytest.approx([0.55, 0.9])
    assert [bar.get_height() for bar in lower.patches if bar.get_height()] == [2, 4]
    assert lower.get_ylabel() == "clips × 3 seeds"
    assert upper.get_title(loc="left") == "expected calibration error 11.7 %"  # (4 * 0.15 + 2 * 0.05) / 6


def test_pooled_states_are_drawn_in_the_colours_of_their_emotions(tmp_path, drawn):
    generator = np.random.default_rng(0)
    labels = np.repeat(LABELS, 30)
    states = generator.normal(size=(90, 12)) + 4 * np.repeat(np.eye(12)[:3], 30, axis=0)
    path = tmp_path / "states.png"
    pooled_states.save_pooled_states(states, labels, path, "A title")
    assert all(has_colour(path, EMOTION_COLOURS[label]) for label in LABELS)
    assert not has_colour(path, EMOTION_COLOURS["sad"])
    for axes in drawn[0].axes:
        points = {
            label: np.concatenate(
                [collection.get_offsets() for collection in axes.collections if drawn_as(collection, label)]
            )
            for label in LABELS
        }
        assert [len(group) for group in points.values()] == [30, 30, 30]
        # Groups that are far apart stay apart.
        spread = np.mean([group.std(0).mean() for group in points.values()])
        for one, other in itertools.combinations(points.values(), 2):
            assert np.linalg.norm(one.mean(0) - other.mean(0)) > 2 * spread


def drawn_as(collection, label: str) -> bool:
    return matplotlib.colors.to_hex(collection.get_facecolor()[0]) == EMOTION_COLOURS[label]


@pytest.mark.parametrize("shape", [(3, 1), (2, 5), (4, 60)])
def test_pooled_states_of_few_clips_or_units(tmp_path, shape):
    states = np.random.default_rng(0).normal(size=shape)
    pooled_states.save_pooled_states(states, ["sad"] * shape[0], tmp_path / "states.png", "A title")
    assert has_colour(tmp_path / "states.png", EMOTION_COLOURS["sad"])


def test_long_titles_take_several_lines(tmp_path, drawn):
    title = "a system on a corpus, by a protocol with a name, " * 4
    figures.save_confusion_matrix(np.eye(3), LABELS, tmp_path / "confusion.png", title)
    lines = drawn[0].get_suptitle().split("\n")
    assert len(lines) > 2
    assert " ".join(lines) == title.strip()


def test_figures_are_closed_and_their_files_name_no_program(tmp_path):
    figures.save_confusion_matrix(np.eye(3), LABELS, tmp_path / "confusion.png", "A title")
    assert not plt.get_fignums()
    assert b"matplotlib" not in (tmp_path / "confusion.png").read_bytes()
