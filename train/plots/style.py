"""Style that the figures share: colours that colour-blind readers tell apart, sizes for a paper, titles, files."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import Patch

from ser_model.colours import EMOTION_COLOURS


BLUE, ORANGE, GREY, LIGHT_GREY = "#0072B2", "#D55E00", "#767676", "#dddddd"  # of Okabe and Ito's palette
LIGHT_BLUE = "#8cbbdb"
OUTLINE = "#333333"  # keeps light colours apart from the paper
SEX_COLOURS = {"female": ORANGE, "male": BLUE, "unknown": GREY}
SEX_HATCHES = {"female": "", "male": "///", "unknown": ""}
DOTS_PER_INCH = 200
WIDTH = 7.0  # inches: two columns of a paper
CHARACTER_WIDTH = 0.077  # inches, of a title's letters on average

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LIGHT_GREY,
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "figure.titlesize": 9,
    "figure.constrained_layout.use": True,
    "savefig.dpi": DOTS_PER_INCH,
}
plt.rcParams.update(STYLE)


def emotion_colour(label: str) -> str:
    """The one colour of an emotion, the same on the page; grey for labels that only some corpora have."""
    return EMOTION_COLOURS.get(label, GREY)


def sex_handles(sexes: Mapping[str, str], speakers: Sequence[str]) -> list[Patch]:
    """Entries of a legend: the sexes that occur, with the number of speakers."""
    counts = {sex: sum(sexes[speaker] == sex for speaker in speakers) for sex in SEX_COLOURS}
    return [
        Patch(
            facecolor=SEX_COLOURS[sex],
            hatch=SEX_HATCHES[sex],
            edgecolor="white",
            label=f"{sex} ({count})",
        )
        for sex, count in counts.items()
        if count
    ]


def add_title(figure: plt.Figure, title: str) -> None:
    """A title at the left, in as many lines as it needs."""
    lines = textwrap.wrap(title, int(figure.get_figwidth() / CHARACTER_WIDTH))
    figure.suptitle("\n".join(lines), x=0.01, ha="left")


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure as PNG and free it."""
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
