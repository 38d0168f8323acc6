"""What adapting to a voice is worth: UAR without and with it, over many random draws of a speaker's clips.

It is another task than answering a voice that was never heard ("speaker-adapted"), so that its figures stand in a
column of their own. The clips that a recogniser was adapted with are not tested.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset
from tqdm.auto import tqdm

from ser_model.adaptation import corrected, voice_correction
from train.checkpoint import Checkpoint
from train.corpora import CorpusError
from train.corpora.base import plural
from train.evaluation import INTERVAL, predict, score_matrix, target_indices
from train.metrics.calibration_error.calibration_error import expected_calibration_error
from train.metrics.uar.uar import unweighted_average_recall
from train.report import corpus_title, provenance


ADAPTATION_FILE = "adaptation.json"

Choice = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # places of some clips, from their labels


def adaptation(
    checkpoint: Checkpoint, dataset: Dataset, output: Path, *, clips: int, draws: int, split: str
) -> dict[str, Any]:
    """
    Adapt to each speaker by some unlabelled clips and test on the others, many times; write adaptation.json.

    Args:
        checkpoint: model, extractor, and the speakers that it has heard.
        dataset: utterances with the model's labels.
        output: folder of the file.
        clips: how many a speaker gives at each draw.
        draws: how often.
        split: name of the part of the corpora.

    Returns:
        The content of adaptation.json: for each corpus the figures of clips that were drawn at random, of clips that
        all express one emotion, and, as a control, of clips of another speaker: what is gained by those is no matter
        of the voice, but of the corpus and its labels.

    Raises:
        ValueError: fewer than one clip or draw.
        CorpusError: a speaker without enough clips to leave one to test on.
    """
    if clips < 1 or draws < 1:
        raise ValueError(f"clips and draws must be at least 1, got {clips} and {draws}.")
    labels = checkpoint.recipe.labels
    check_clips(dataset, clips)
    predictions = predict(checkpoint.model, checkpoint.extractor, dataset)
    result = {
        "protocol": f"{checkpoint.protocol(predictions['speaker'])}, speaker-adapted",
        "split": split,
        **provenance(checkpoint.recipe),
        "adapted_with": clips,
        "draws": draws,
        "corpora": {
            corpus: {
                "clips": len(rows),
                "speakers": int(rows["speaker"].nunique()),
                "adapted_by": {
                    "random clips": figures_of_draws(rows, labels, at_random(clips), draws),
                    "clips of one emotion": figures_of_draws(rows, labels, of_one_emotion(clips), draws),
                    "another speaker": figures_of_draws(rows, labels, at_random(clips), draws, by_another=True),
                },
            }
            for corpus, rows in predictions.groupby("corpus")
        },
    }
    output.mkdir(parents=True, exist_ok=True)
    (output / ADAPTATION_FILE).write_text(json.dumps(result, indent=2) + "\n")
    print(summary(result))
    return result


def check_clips(dataset: Dataset, clips: int) -> None:
    """Raise CorpusError unless each speaker has more clips than are drawn."""
    counts = pd.Series(dataset["speaker"][:]).value_counts()
    if counts.min() <= clips:
        raise CorpusError(
            f"{counts.idxmin()} has {plural(int(counts.min()), 'clip')}; to adapt with {clips} and to test on the "
            "others there must be more: lower --clips."
        )


def at_random(clips: int) -> Choice:
    """So many clips of a speaker, whatever they express."""
    return lambda targets, random: random.permutation(len(targets))[:clips]


def of_one_emotion(clips: int) -> Choice:
    """So many clips that all express the same, but at most half of those, so that the others are tested.

    The hardest case: who sounds sad may be sad today.
    """

    def choose(targets: np.ndarray, random: np.random.Generator) -> np.ndarray:
        same = random.permutation(np.flatnonzero(targets == random.choice(targets)))
        return same[: max(1, min(clips, len(same) // 2))]

    return choose


def figures_of_draws(
    predictions: pd.DataFrame, labels: Sequence[str], choose: Choice, draws: int, *, by_another: bool = False
) -> dict[str, Any] | None:
    """
    Means over draws, each with its own clips of every speaker, of figures on the clips that were not drawn.

    Args:
        predictions: of one corpus.
        labels: the model's, in the order of its outputs.
        choose: the clips to adapt with.
        draws: how often.
        by_another: adapt each speaker by the clips that were drawn of another one; None where there is no other.

    Returns:
        `clips` to adapt with, of a speaker in the mean; `uar`, `calibration_error` (both without) and `uar_adapted`,
        `calibration_error_adapted`; the `difference` of the UARs, between which bounds 95 % of the draws lie
        (`difference_interval`), and the share of them that lost.
    """
    random = np.random.default_rng(0)
    speakers = [
        (score_matrix(rows, labels), target_indices(rows, labels)) for _, rows in predictions.groupby("speaker")
    ]
    others = len(speakers) - 1
    if by_another and not others:
        return None
    rows = []
    for number in tqdm(range(draws), desc="Drawing clips", leave=False):
        drawn = [choose(targets, random) for _, targets in speakers]
        heard = [scores[places] for (scores, _), places in zip(speakers, drawn, strict=True)]
        turn = 1 + number % others if by_another else 0
        heard = heard[turn:] + heard[:turn]
        tested = [adapt_and_test(*speaker, *rest) for speaker, *rest in zip(speakers, drawn, heard, strict=True)]
        targets, plain, adapted = (np.concatenate(parts) for parts in zip(*tested, strict=True))
        clips = np.mean([len(scores) for scores in heard])
        rows.append((clips, *figures(plain, targets), *figures(adapted, targets)))
    clips, uar, error, uar_adapted, error_adapted = np.array(rows).T
    differences = uar_adapted - uar
    return {
        "clips": float(clips.mean()),
        "uar": float(uar.mean()),
        "uar_adapted": float(uar_adapted.mean()),
        "difference": float(differences.mean()),
        "difference_interval": [float(value) for value in np.percentile(differences, INTERVAL)],
        "share_of_draws_that_lost": float((differences < 0).mean()),
        "calibration_error": float(error.mean()),
        "calibration_error_adapted": float(error_adapted.mean()),
    }


def adapt_and_test(
    scores: np.ndarray, targets: np.ndarray, drawn: np.ndarray, heard: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, scores and corrected scores of a speaker's clips that were not drawn.

    Args:
        scores: of all clips of the speaker, (clips, labels).
        targets: places of their labels, (clips,).
        drawn: places of the clips that are not tested.
        heard: scores of the clips to adapt with.
    """
    kept = np.setdiff1d(np.arange(len(targets)), drawn)
    return targets[kept], scores[kept], corrected(scores[kept], voice_correction(heard))


def figures(scores: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """UAR and calibration error of scores (clips, labels)."""
    return unweighted_average_recall(targets, scores.argmax(1)), expected_calibration_error(scores, targets)


def summary(result: Mapping[str, Any]) -> str:
    """The figures as a table for the screen."""
    lines = [
        f"{result['split']} split, {result['protocol']}: {plural(result['adapted_with'], 'clip')} of each speaker, "
        f"{plural(result['draws'], 'draw')}",
        "",
        "corpus    adapted by              UAR  adapted  difference  95 % of the draws  that lost",
    ]
    for corpus, figures_of_corpus in result["corpora"].items():
        for name, one in figures_of_corpus["adapted_by"].items():
            if one is None:  # there is no other speaker
                continue
            low, high = one["difference_interval"]
            lines.append(
                f"{corpus_title(corpus):9} {name:21} {100 * one['uar']:5.1f} {100 * one['uar_adapted']:8.1f} "
                f"{100 * one['difference']:+11.1f} {100 * low:+9.1f} to {100 * high:+5.1f} "
                f"{100 * one['share_of_draws_that_lost']:8.0f} %"
            )
    return "\n".join(lines)
