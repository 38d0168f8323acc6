"""Look at clips (waveform, envelope, spectrogram, MFCC) and at corpora (who says what, how long, how often)."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import soundfile
import torch
from datasets import Dataset
from matplotlib.ticker import MaxNLocator

from ser_model.acoustics import power_spectrogram, power_to_db
from ser_model.audio_io import load_audio
from ser_model.feature_extraction_ser import SERFeatureExtractor
from train.data import COMMON_LABELS, CORPORA, CorpusError, load_corpus
from train.data.base import plural
from train.data.registry import GENERAL_NAMES, is_general, unknown_name
from train.plots.style import (
    BLUE,
    OUTLINE,
    SEX_COLOURS,
    SEX_HATCHES,
    WIDTH,
    add_title,
    emotion_colour,
    save,
    sex_handles,
)


logger = logging.getLogger(__name__)

N_MFCC = 40
BAR_HEIGHT = 0.7


def explore(what: Sequence[str], corpora_root: Path | None, output: Path) -> list[Path]:
    """
    Draw clips and corpora.

    Args:
        what: audio files, and names of corpora as `load_corpus` takes them.
        corpora_root: folder of the corpora; only clips and general corpora such as `folder:PATH` do without.
        output: folder of the figures.

    Returns:
        The figures, in the order of `what`.

    Raises:
        CorpusError: something that is neither a file nor a corpus, or a corpus that is not there.
        AudioError: a file that cannot be decoded.
    """
    for name in what:
        check_name(name, corpora_root)
    output.mkdir(parents=True, exist_ok=True)
    figures = []
    for name in what:
        if Path(name).is_file():
            path = free_path(output, f"clip_{Path(name).stem}", figures)
            draw_clip(Path(name), path)
        else:
            dataset = load_corpus(name, corpora_root or Path())
            path = free_path(output, f"corpus_{dataset[0]['corpus']}", figures)
            draw_corpus(dataset, path)
        figures.append(path)
    return figures


def check_name(name: str, corpora_root: Path | None) -> None:
    """Raise CorpusError for what is neither a file nor a corpus."""
    if Path(name).is_file() or is_general(name):
        return
    if Path(name).is_dir() and name not in CORPORA:
        raise CorpusError(
            f"{name} is a folder: give folder:{name} if it has a folder for each label, or single clips."
        )
    if name not in CORPORA:
        raise CorpusError(f"There is no file {name!r}; {unknown_name('corpus', name, [*CORPORA, *GENERAL_NAMES])}")
    if corpora_root is None:
        raise CorpusError(f"Where is {CORPORA[name].title}? Give --corpora-root DIR, or set SER_CORPORA.")


def free_path(folder: Path, stem: str, taken: Sequence[Path]) -> Path:
    """A PNG file in a folder that is not among those taken."""
    path, number = folder / f"{stem}.png", 2
    while path in taken:
        path, number = folder / f"{stem}_{number}.png", number + 1
    return path


def draw_clip(clip: Path, path: Path) -> None:
    """Draw waveform, amplitude envelope, spectrogram and MFCC of an audio file, as the network gets them."""
    extractor = SERFeatureExtractor(feature_names=["amplitude_envelope", "mfcc"], n_mfcc=N_MFCC)
    waveform = load_audio(clip, target_rate=extractor.sampling_rate)
    features = extractor(waveform, return_tensors="np")["input_features"][0]
    duration = len(waveform) / extractor.sampling_rate
    figure, axes = plt.subplots(4, 1, figsize=(WIDTH, 6.4), sharex=True, height_ratios=(1, 0.8, 1.5, 1.5))
    draw_waveform(axes[0], waveform, duration)
    draw_envelope(axes[1], features[:, 0], extractor.hop_length / extractor.sampling_rate)
    draw_spectrogram(figure, axes[2], waveform, extractor, duration)
    draw_mfcc(figure, axes[3], features[:, 1:], duration)
    axes[3].set_xlabel("time (s)")
    axes[3].set_xlim(0, duration)
    figure.align_ylabels(axes)
    add_title(figure, clip_title(clip, duration))
    save(figure, path)


def clip_title(clip: Path, duration: float) -> str:
    """Name and duration of a clip, and what its name says where exactly one corpus names its files so."""
    title = f"{clip.name}: {duration:.2f} s"
    utterances = [corpus.parse(clip.absolute()) for corpus in CORPORA.values() if corpus.parse]
    known = [utterance for utterance in utterances if utterance]
    if len(known) != 1:
        return title
    (utterance,) = known
    name = CORPORA[utterance.corpus].title
    return f"{title}, {utterance.label}, {name}, speaker {utterance.speaker.partition('-')[2]} ({utterance.sex})"


def draw_waveform(axes: plt.Axes, waveform: np.ndarray, duration: float) -> None:
    """Samples over time."""
    axes.plot(np.linspace(0, duration, len(waveform), endpoint=False), waveform, color=BLUE, linewidth=0.35)
    axes.set_ylabel("waveform")
    limit = max(1.05 * float(np.abs(waveform).max()), 1e-4)
    axes.set_ylim(-limit, limit)
    axes.grid(axis="y")


def draw_envelope(axes: plt.Axes, envelope: np.ndarray, step: float) -> None:
    """Largest absolute sample of each frame over time."""
    axes.fill_between(step * np.arange(len(envelope)), envelope, color=BLUE, alpha=0.35, linewidth=0)
    axes.plot(step * np.arange(len(envelope)), envelope, color=BLUE, linewidth=0.9)
    axes.set_ylabel("envelope")
    axes.set_ylim(0, max(1.05 * float(envelope.max()), 1e-4))
    axes.grid(axis="y")


def draw_spectrogram(
    figure: plt.Figure, axes: plt.Axes, waveform: np.ndarray, extractor: SERFeatureExtractor, duration: float
) -> None:
    """Power over time and frequency, in dB below the clip's maximum."""
    settings = extractor.n_fft, extractor.win_length, extractor.hop_length
    decibels = power_to_db(power_spectrogram(torch.from_numpy(waveform)[None], *settings)[0]).numpy().T
    image = axes.imshow(
        decibels - decibels.max(),
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-extractor.top_db,
        vmax=0,
        extent=(0, duration, 0, extractor.sampling_rate / 2000),
    )
    axes.set_ylabel("frequency (kHz)")
    figure.colorbar(image, ax=axes, label="dB", pad=0.01, fraction=0.03).outline.set_visible(False)


def draw_mfcc(figure: plt.Figure, axes: plt.Axes, mfcc: np.ndarray, duration: float) -> None:
    """Cepstral coefficients (frames, coefficients) over time, each in deviations from its own mean."""
    spread = np.maximum(mfcc.std(0), 1e-6)
    image = axes.imshow(
        ((mfcc - mfcc.mean(0)) / spread).T,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        vmin=-3,
        vmax=3,
        extent=(0, duration, 0.5, mfcc.shape[1] + 0.5),
    )
    axes.set_ylabel("MFCC")
    axes.set_yticks([1, *range(10, mfcc.shape[1] + 1, 10)])
    figure.colorbar(image, ax=axes, label="deviations", pad=0.01, fraction=0.03).outline.set_visible(False)


def draw_corpus(dataset: Dataset, path: Path) -> None:
    """Draw how many clips a corpus has of each label, sex and speaker, and how long they are."""
    names = dataset.features["label"].names
    table = dataset.select_columns(["path", "label", "speaker", "sex", "corpus"]).to_pandas()
    table["label"] = [names[index] for index in table["label"]]
    durations = clip_durations(table["path"])
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 5.0), width_ratios=(1, 1.25), height_ratios=(1.2, 1))
    labels = sorted(set(table["label"]), key=lambda label: (label not in COMMON_LABELS, label))
    draw_labels(axes[0, 0], table, labels)
    draw_durations(axes[0, 1], durations, table["label"].to_numpy(), labels)
    draw_sexes(axes[1, 0], table)
    draw_speakers(axes[1, 1], table)
    name = table["corpus"][0]
    title = CORPORA[name].title if name in CORPORA else name
    speakers = plural(table["speaker"].nunique(), "speaker")
    description = f"{title}: {plural(len(table), 'clip')}, {speakers}, {np.nansum(durations) / 3600:.1f} hours"
    logger.info("%s", description)
    add_title(figure, description)
    save(figure, path)


def clip_durations(paths: Sequence[str]) -> np.ndarray:
    """Duration of each file in seconds, by its header; NaN, with a warning, where it cannot be read."""
    durations = np.full(len(paths), np.nan)
    for index, path in enumerate(paths):
        try:
            durations[index] = soundfile.info(path).duration
        except soundfile.SoundFileError as error:
            logger.warning("%s cannot be read: %s", path, error)
    return durations


def draw_labels(axes: plt.Axes, table: pd.DataFrame, labels: Sequence[str]) -> None:
    """Number of clips of each label."""
    counts = Counter(table["label"])
    values = [counts[label] for label in labels]
    bars = axes.barh(labels, values, color=[emotion_colour(label) for label in labels], height=BAR_HEIGHT)
    axes.bar_label(bars, [f"{value:,}" for value in values], padding=2, fontsize=7)
    axes.set_xlim(0, 1.15 * max(values))
    axes.invert_yaxis()
    axes.set_title("labels")
    axes.set_xlabel("clips")
    axes.tick_params(axis="y", length=0)


def draw_durations(axes: plt.Axes, durations: np.ndarray, clip_labels: np.ndarray, labels: Sequence[str]) -> None:
    """Durations of each label's clips: median, middle half, and all but the shortest and longest 5 %."""
    known = ~np.isnan(durations)
    axes.set_xlabel("seconds (box: middle half, whiskers: 5 to 95 %)")
    if not known.any():
        return
    boxes = axes.boxplot(
        [durations[known & (clip_labels == label)] for label in labels],
        orientation="horizontal",
        positions=range(len(labels)),
        tick_labels=labels,
        widths=BAR_HEIGHT,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        medianprops={"color": "black", "linewidth": 1.2},
        boxprops={"edgecolor": OUTLINE, "linewidth": 0.6},
        whiskerprops={"color": OUTLINE, "linewidth": 0.8},
        capprops={"color": OUTLINE, "linewidth": 0.8},
    )
    for box, label in zip(boxes["boxes"], labels, strict=True):
        box.set_facecolor(emotion_colour(label))
    axes.invert_yaxis()
    values = durations[known]
    axes.set_title(f"durations: {values.min():.2f} to {values.max():.2f} s, median {np.median(values):.2f} s")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def draw_sexes(axes: plt.Axes, table: pd.DataFrame) -> None:
    """Shares of the sexes among speakers and clips."""
    speakers = table.drop_duplicates("speaker")
    for place, (name, rows) in enumerate({"clips": table, "speakers": speakers}.items()):
        start = 0.0
        for sex, colour in SEX_COLOURS.items():
            count = int((rows["sex"] == sex).sum())
            share = count / len(rows)
            axes.barh(name, share, left=start, color=colour, hatch=SEX_HATCHES[sex], edgecolor="white", height=0.55)
            if share > 0.06:
                style = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
                axes.text(start + share / 2, place, f"{count:,}", ha="center", va="center", fontsize=7, bbox=style)
            start += share
    axes.set_title("sexes")
    axes.set_xlabel("share")
    axes.set_xlim(0, 1)
    axes.tick_params(axis="y", length=0)


def draw_speakers(axes: plt.Axes, table: pd.DataFrame) -> None:
    """Number of clips of each speaker, most first."""
    counts = Counter(table["speaker"])
    sexes = dict(zip(table["speaker"], table["sex"], strict=True))
    ordered = [speaker for speaker, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    axes.bar(
        range(len(ordered)),
        [counts[speaker] for speaker in ordered],
        color=[SEX_COLOURS[sexes[speaker]] for speaker in ordered],
        hatch=[SEX_HATCHES[sexes[speaker]] for speaker in ordered],
        edgecolor="white",
        linewidth=0.3,
        width=0.85,
    )
    axes.set_title("clips of each speaker")
    axes.set_xlabel("speaker, by number of clips")
    axes.set_ylabel("clips")
    axes.set_ylim(0, 1.3 * max(counts.values()))
    axes.set_xticks([])
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y")
    axes.legend(handles=sex_handles(sexes, ordered), loc="upper right", ncols=3)
