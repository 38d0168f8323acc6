"""UAR without and with adapting to a voice, over many random draws of a speaker's clips.

This is another task than answering a voice that was never heard ("speaker-adapted"), so that its figures stand in a
column of their own. The clips that a recogniser was adapted with are not tested.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from ser_model.adaptation import LEAST_PROBABILITY, clip_weight, corrected, voice_correction
from ser_model.metrics_file import METRICS_FILE, WEIGHTS_SUM, read_metrics
from train.data import CorpusError
from train.data.base import plural
from train.evaluation.reporting import PREDICTIONS_FILE, corpus_title, provenance
from train.evaluation.scoring import INTERVAL, predict, score_matrix, target_indices
from train.fit.calibration import minimise
from train.fit.checkpoint import Checkpoint
from train.metrics.calibration_error.calibration_error import expected_calibration_error
from train.metrics.uar.uar import unweighted_average_recall


ADAPTATION_FILE = "adaptation.json"
PENALTY = 0.002  # of a squared logarithm, beside the cross-entropy

logger = logging.getLogger(__name__)

Choice = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # places of some clips, from their labels


def adaptation(
    checkpoint: Checkpoint, dataset: Dataset, output: Path, *, clips: int, draws: int, split: str
) -> dict[str, Any]:
    """
    Adapt a checkpoint to each speaker by some unlabelled clips and test on the others, many times.

    Args:
        checkpoint: model, extractor, and the speakers that it has heard.
        dataset: utterances with the model's labels.
        output: folder of adaptation.json.
        clips: how many a speaker gives at each draw.
        draws: how often.
        split: name of the part of the corpora.

    Returns:
        The content of adaptation.json, as of [`write_adaptation`].

    Raises:
        ValueError: fewer than one clip or draw.
        CorpusError: no speaker has enough clips to leave one to test on.
    """
    check_draws(clips, draws)
    few = too_few_clips(dataset["speaker"][:], clips)
    dataset = dataset.select([row for row, speaker in enumerate(dataset["speaker"][:]) if speaker not in few])
    predictions = predict(checkpoint.model, checkpoint.extractor, dataset)
    head = {
        "protocol": f"{checkpoint.protocol(predictions['speaker'])}, speaker-adapted",
        "split": split,
        **provenance(checkpoint.recipe.to_dict()),
        WEIGHTS_SUM: checkpoint.weights_sha256,
        "left_out": few,
    }
    return write_adaptation(predictions, head, output, clips=clips, draws=draws)


def is_cross_validation(folder: Path) -> bool:
    """True if a folder is that of a finished cross-validation, with its predictions."""
    metrics = folder / METRICS_FILE
    there = metrics.is_file() and (folder / PREDICTIONS_FILE).is_file()
    return there and "cross_validation" in read_metrics(folder)


def adaptation_of_cross_validation(folder: Path, output: Path, *, clips: int, draws: int) -> dict[str, Any]:
    """
    The same for the networks of a cross-validation, each adapted to the speakers that it was tested on.

    Args:
        folder: of the cross-validation, whose predictions are read.
        output: folder of adaptation.json.
        clips: how many a speaker gives at each draw.
        draws: how often.

    Raises:
        ValueError: fewer than one clip or draw, or predictions without a score.
        CorpusError: no speaker has enough clips to leave one to test on.
    """
    check_draws(clips, draws)
    metrics = read_metrics(folder)
    predictions = pd.read_parquet(folder / PREDICTIONS_FILE)
    one_seed = predictions["seed"] == predictions["seed"].iloc[0]
    few = too_few_clips(predictions.loc[one_seed, "speaker"], clips)
    head = {
        "protocol": f"{metrics['protocol']}, speaker-adapted",
        "split": "test",
        "cross_validation": metrics["cross_validation"],
        "seeds": predictions["seed"].unique().tolist(),
        **provenance(metrics["recipe"]),
        "labels": metrics["labels"],
        "left_out": few,
    }
    return write_adaptation(predictions[~predictions["speaker"].isin(few)], head, output, clips=clips, draws=draws)


def write_adaptation(
    predictions: pd.DataFrame, head: Mapping[str, Any], output: Path, *, clips: int, draws: int
) -> dict[str, Any]:
    """
    Write adaptation.json and print it.

    Args:
        predictions: of all tested clips, uncorrected, by one network or by several: `seed` and `fold` tell which.
        head: what stands before the figures; has the `labels`.
        output: folder of the file.
        clips: how many a speaker gives at each draw.
        draws: how often.

    Returns:
        Its content: for each corpus the `labels` that could be answered and the figures of clips that were drawn at
        random, of clips that all express one emotion, and, as a control, of clips of another speaker: what is gained
        by those is no matter of the voice, but of the corpus and its labels. And `with_labels`, as of
        [`figures_with_labels`].

    Raises:
        ValueError: a score is missing.
    """
    result = {**head, "adapted_with": clips, "draws": draws, "corpora": {}}
    for corpus, rows in predictions.groupby("corpus"):
        scores = rows[[f"score_{label}" for label in head["labels"]]]
        if scores.isna().any(axis=None):
            raise ValueError(f"{corpus}: {int(scores.isna().any(axis=1).sum())} clips have no score for some label.")
        labels = [label for label in head["labels"] if scores[f"score_{label}"].any()]
        result["corpora"][corpus] = {
            "clips": len(rows) // len(head.get("seeds", "0")),
            "speakers": int(rows["speaker"].nunique()),
            "labels": labels,
            "adapted_by": {
                "random clips": figures_of_draws(rows, labels, at_random(clips), draws),
                "clips of one emotion": figures_of_draws(rows, labels, of_one_emotion(clips), draws),
                "another speaker": figures_of_draws(rows, labels, at_random(clips), draws, by_another=True),
            },
            "with_labels": figures_with_labels(rows, labels),
        }
    output.mkdir(parents=True, exist_ok=True)
    (output / ADAPTATION_FILE).write_text(json.dumps(result, indent=2) + "\n")
    print(summary(result))
    return result


def check_draws(clips: int, draws: int) -> None:
    """Raise ValueError unless something is drawn."""
    if clips < 1 or draws < 1:
        raise ValueError(f"clips and draws must be at least 1, got {clips} and {draws}.")


def too_few_clips(speakers: Sequence[str], clips: int) -> list[str]:
    """
    Speakers who have no more clips than are drawn, so that none would be left to test on; they are named.

    Args:
        speakers: of each clip.
        clips: how many are drawn.

    Raises:
        CorpusError: nobody has more.
    """
    counts = pd.Series(speakers).value_counts()
    few = sorted(counts.index[counts <= clips])
    if len(few) == len(counts):
        raise CorpusError(
            f"{counts.idxmax()} has {plural(int(counts.max()), 'clip')}; to adapt with {clips} and to test on the "
            "others there must be more: lower --clips."
        )
    if few:
        logger.warning("left out, for they have no more than %s: %s", plural(clips, "clip"), ", ".join(few))
    return few


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


def voices(predictions: pd.DataFrame) -> list[tuple[list, np.ndarray]]:
    """Each speaker by each network that was tested on one: the network, and the rows of the predictions."""
    networks = predictions.reindex(columns=["seed", "fold"], fill_value=0)
    groups = predictions.groupby([networks["seed"], networks["fold"], "speaker"]).indices
    return [(network, rows) for (*network, _), rows in groups.items()]


def others_of(networks: Sequence[Any]) -> list[list[int]] | None:
    """For each voice the places of the others that the same network heard, the next one first; None if it has none."""
    places = [[other for other, network in enumerate(networks) if network == own] for own in networks]
    if min(map(len, places)) < 2:
        return None
    return [row[row.index(own) + 1 :] + row[: row.index(own)] for own, row in enumerate(places)]


def figures_of_draws(
    predictions: pd.DataFrame, labels: Sequence[str], choose: Choice, draws: int, *, by_another: bool = False
) -> dict[str, Any] | None:
    """
    Means over draws, each with its own clips of every speaker, of figures on the clips that were not drawn.

    Args:
        predictions: of one corpus, as of [`write_adaptation`].
        labels: the model's, in the order of its outputs.
        choose: the clips to adapt with.
        draws: how often.
        by_another: adapt each speaker by the clips that were drawn of another one whom the same network heard; None
            where there is no other.

    Returns:
        `clips` to adapt with, of a speaker in the mean; `uar`, `calibration_error` (both without) and `uar_adapted`,
        `calibration_error_adapted`; the `difference` of the UARs, between which bounds 95 % of the draws lie
        (`difference_interval`), and the share of them that lost.
    """
    random = np.random.default_rng(0)
    scores, targets = score_matrix(predictions, labels), target_indices(predictions, labels)
    weights = predictions.get("familiarity", pd.Series(np.nan, predictions.index)).map(clip_weight).to_numpy()
    networks, places = zip(*((network, rows) for network, rows in voices(predictions)), strict=True)
    speakers = [(scores[rows], targets[rows]) for rows in places]
    weights = [weights[rows] for rows in places]
    others = others_of(networks) if by_another else [[own] for own in range(len(speakers))]
    if others is None:
        return None
    rows = []
    for number in tqdm(range(draws), desc="Drawing clips", leave=False):
        drawn = [choose(own_targets, random) for _, own_targets in speakers]
        corrections = [
            voice_correction(own_scores[chosen], own_weights[chosen])
            for (own_scores, _), own_weights, chosen in zip(speakers, weights, drawn, strict=True)
        ]
        corrections = [corrections[others_of_own[number % len(others_of_own)]] for others_of_own in others]
        tested = [adapt_and_test(*speaker, *rest) for speaker, *rest in zip(speakers, drawn, corrections, strict=True)]
        tested_targets, plain, adapted = (np.concatenate(parts) for parts in zip(*tested, strict=True))
        clips = np.mean([len(one) for one in drawn])
        rows.append((clips, *figures(plain, tested_targets), *figures(adapted, tested_targets)))
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
    scores: np.ndarray, targets: np.ndarray, drawn: np.ndarray, correction: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, scores and corrected scores of a speaker's clips that were not drawn.

    Args:
        scores: of all clips of the speaker, (clips, labels).
        targets: places of their labels, (clips,).
        drawn: places of the clips that are not tested.
        correction: by the clips that were drawn, (labels,).
    """
    kept = np.setdiff1d(np.arange(len(targets)), drawn)
    return targets[kept], scores[kept], corrected(scores[kept], correction)


def figures_with_labels(predictions: pd.DataFrame, labels: Sequence[str]) -> dict[str, float]:
    """
    For comparison what each voice's correction gains that fits the labels of all its clips best; they are tested.

    Returns:
        `uar` without any, `uar_adapted`, and their `difference`.
    """
    scores, targets = score_matrix(predictions, labels), target_indices(predictions, labels)
    adapted = scores.copy()
    for _, rows in voices(predictions):
        adapted[rows] = corrected(scores[rows], best_correction(scores[rows], targets[rows]))
    uar, uar_adapted = figures(scores, targets)[0], figures(adapted, targets)[0]
    return {"uar": uar, "uar_adapted": uar_adapted, "difference": uar_adapted - uar}


def best_correction(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The correction (labels,) that minimises the cross-entropy of some scores (clips, labels), their labels known."""
    logarithms = torch.from_numpy(np.log(np.maximum(scores, LEAST_PROBABILITY)))
    labels = torch.from_numpy(targets)
    correction = torch.zeros(logarithms.shape[1], dtype=logarithms.dtype, requires_grad=True)

    def loss() -> torch.Tensor:
        # A label that a voice does not express would be pushed down for ever.
        return cross_entropy(logarithms + correction, labels) + PENALTY * correction.square().sum()

    minimise([correction], loss)
    return correction.detach().numpy()


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
        fitted = figures_of_corpus["with_labels"]
        lines.append(
            f"{corpus_title(corpus):9} {'all clips and labels':21} {100 * fitted['uar']:5.1f} "
            f"{100 * fitted['uar_adapted']:8.1f} {100 * fitted['difference']:+11.1f}"
        )
    return "\n".join(lines)
