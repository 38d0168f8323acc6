"""The heart of the model card, read from the files beside the weights of the model that is running."""

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from ser_model.files import WEIGHTS_FILE
from ser_model.metrics_file import METRICS_FILE, read_metrics, read_object, weights_sha256


logger = logging.getLogger(__name__)

RECIPE_FILE, NEVER_HEARD_FILE = "recipe.json", "never_heard.json"
FILES = (METRICS_FILE, NEVER_HEARD_FILE, RECIPE_FILE, WEIGHTS_FILE)
SHOWN = ("protocol", "clips", "speakers", "labels", "uar", "recall", "confusion_matrix", "uar_by_language", "corpora")
UNSEEN = "speaker-disjoint"  # the protocol under which no speaker of the test was heard in training
VERSION_DIGITS = 8  # of the weights' SHA-256
# The other corpora are written in capitals.
MIXED_CASE = {"emodb": "EmoDB", "emospeechcmd": "EmoSpeechCmd", "nemo": "nEMO"}


class Quality(TypedDict):
    """How well the model does; shares from 0 to 1."""

    unseen: bool  # whether the speakers were never heard in training
    clips: int
    speakers: int
    labels: list[str]
    uar: float
    recall: dict[str, float]
    confusion: list[list[float]]  # of each true label (row), the share that was taken for each label
    by_language: dict[str, float]  # UAR by ISO 639 code
    calibration_error: float
    worst_calibration_error: float  # of the corpora, one by one
    says: float | None  # mean probability of the answers


class NeverHeard(TypedDict):
    """How well the model does on corpora that it never heard; shares from 0 to 1, means over corpora."""

    corpora: list[str]
    clips: int
    speakers: int
    labels: int  # among which it answers
    right: float
    calibration_error: float


class About(TypedDict):
    """Data that about.js draws; what a model does not bring along is None or empty."""

    name: str
    version: str
    parameters: int | None
    corpora: list[str]
    speakers: int
    quality: Quality | None
    never_heard: NeverHeard | None


def about(folder: Path, name: str) -> About:
    """
    Description of a model: name, version, size, corpora, speakers and figures.

    Args:
        folder: of the checkpoint.
        name: what to call it where it does not say so itself.
    """
    metrics = readable(functools.partial(read_metrics, folder, SHOWN))
    elsewhere = readable(functools.partial(read_metrics, folder, name=NEVER_HEARD_FILE))
    recipe = readable(functools.partial(read_object, folder / RECIPE_FILE))
    return About(
        name=recipe.get("name", name),
        version=weights_version(folder),
        parameters=metrics.get("parameters"),
        corpora=[corpus_title(corpus) for corpus in recipe.get("corpora", [])],
        speakers=len(recipe.get("speakers", [])),
        quality=quality(metrics) if metrics else None,
        never_heard=never_heard(elsewhere) if elsewhere else None,
    )


@functools.cache
def weights_version(folder: Path) -> str:
    """The first digits of the weights' SHA-256, computed once for all visitors."""
    return weights_sha256(folder)[:VERSION_DIGITS]


def corpus_title(corpus: str) -> str:
    """A corpus as people write it; train/, which knows more of it, does not come with the page."""
    return MIXED_CASE.get(corpus, corpus.upper().replace("_", "-"))


def readable(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Content of a file; empty where there is none, or, with a warning, where it is damaged or of other weights."""
    try:
        return read()
    except FileNotFoundError:
        return {}
    except ValueError as error:
        logger.warning("%s", error)
        return {}


def quality(metrics: dict[str, Any]) -> Quality:
    """The figures that are shown, of those that an evaluation wrote."""
    return Quality(
        unseen=metrics["protocol"] == UNSEEN,
        clips=metrics["clips"],
        speakers=metrics["speakers"],
        labels=metrics["labels"],
        uar=metrics["uar"],
        recall=metrics["recall"],
        confusion=[[count / max(1, sum(row)) for count in row] for row in metrics["confusion_matrix"]],
        by_language=metrics["uar_by_language"],
        calibration_error=metrics["calibration_error"],
        worst_calibration_error=max(one["calibration_error"] for one in metrics["corpora"].values()),
        says=metrics.get("confidence"),
    )


def never_heard(content: dict[str, Any]) -> NeverHeard:
    """The figures that are shown, of those that `python -m train calibrate` wrote."""
    corpora = {name: figures for name, figures in content["corpora"].items() if name not in content["by_siblings"]}
    return NeverHeard(
        corpora=[corpus_title(corpus) for corpus in corpora],
        clips=sum(figures["clips"] for figures in corpora.values()),
        speakers=sum(figures["speakers"] for figures in corpora.values()),
        labels=len(content["labels"]),
        right=content["mean"]["accuracy"],
        calibration_error=content["mean"]["calibration_error"],
    )
