"""Predictions of a checkpoint on a table of utterances, and every figure that is computed from them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from sklearn.metrics import confusion_matrix
from tqdm.auto import tqdm

from ser_model.feature_extraction_ser import SERFeatureExtractor
from ser_model.modeling_ser import SERModelOutput
from train.data import CORPORA
from train.data.base import relative
from train.data.dataset import BatchBuilder, CroppedRows, UtteranceRows, analysed
from train.fit.run_folder import whole_file
from train.metrics.brier_score.brier_score import brier_score
from train.metrics.calibration_error.calibration_error import expected_calibration_error
from train.metrics.macro_f1.macro_f1 import macro_f1
from train.metrics.uar.uar import recall_by_label, unweighted_average_recall


BOOTSTRAP_SAMPLES = 2000
INTERVAL = (2.5, 97.5)  # per cent
FEWEST_SPEAKERS = 3  # with fewer, drawing them anew says nothing
AVERAGED = ("uar", "accuracy", "macro_f1", "calibration_error", "brier_score")  # figures averaged over seeds
UTTERANCE_COLUMNS = ("path", "corpus", "speaker", "sex", "language", "sentence")


@torch.inference_mode()
def predict(
    model: torch.nn.Module,
    extractor: SERFeatureExtractor,
    dataset: Dataset,
    *,
    batch_size: int = 64,
    crop_seconds: float | None = None,
) -> pd.DataFrame:
    """
    Run a model over a table of utterances.

    Args:
        model: SERForAudioClassification.
        extractor: its feature extractor.
        dataset: as `load_corpora` gives it; its labels are those of the model.
        batch_size: clips at a time; it changes no result.
        crop_seconds: run it over a piece of each utterance, of this length.

    Returns:
        A row for each utterance in the dataset's order: path, corpus, speaker, sex, language, sentence, label,
        prediction (both names), and a column `score_<label>` for each label; with functionals also `voiced_seconds`,
        and `familiarity` where that is measured.
    """
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    if dataset.features["label"].names != labels:
        raise ValueError(f"The dataset's labels are {dataset.features['label'].names}, the model's {labels}.")
    scores = np.zeros((len(dataset), len(labels)), dtype=np.float32)
    voiced_seconds = np.zeros(len(dataset), dtype=np.float32)
    for indices, encoded in encoded_batches(model, extractor, dataset, batch_size, crop_seconds):
        if encoded.voiced_seconds is not None:
            voiced_seconds[indices] = encoded.voiced_seconds.cpu().numpy()
        logits = model.classifier(encoded.pooler_output, encoded.functionals, encoded.voiced_seconds)
        scores[indices] = logits.softmax(-1).cpu().numpy()
    table = prediction_table(dataset, scores)
    if not model.config.functionals:
        return table
    familiarity = model.classifier.familiarity(torch.from_numpy(voiced_seconds))
    measured = {} if familiarity is None else {"familiarity": familiarity.numpy()}
    return table.assign(voiced_seconds=voiced_seconds, **measured)


def prediction_table(dataset: Dataset, scores: np.ndarray) -> pd.DataFrame:
    """Table of [`predict`], of scores (clips, labels) in the order of the dataset's rows and labels."""
    labels = dataset.features["label"].names
    table = dataset.select_columns(list(UTTERANCE_COLUMNS)).to_pandas()
    table["label"] = [labels[index] for index in dataset["label"][:]]
    table["prediction"] = [labels[index] for index in scores.argmax(1)]
    return table.join(pd.DataFrame(scores, columns=[f"score_{label}" for label in labels]))


def among_labels_of_corpora(predictions: pd.DataFrame, allowed: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    """
    Predictions as [`predict`] gives them, among the labels that each clip's corpus has.

    A model of several corpora tells apart more labels than the task of one of them is about. The scores of the other
    labels become 0, and what is left is scaled to a sum of 1.

    Args:
        predictions: of clips of any corpora.
        allowed: boolean (clips, labels).
        labels: the model's, in the order of its outputs.
    """
    scores = np.where(allowed, score_matrix(predictions, labels), 0.0).astype(np.float32)
    scores /= scores.sum(1, keepdims=True)
    columns = {f"score_{label}": scores[:, index] for index, label in enumerate(labels)}
    return predictions.assign(prediction=[labels[index] for index in scores.argmax(1)], **columns)


@torch.inference_mode()
def pooled_states(
    model: torch.nn.Module, extractor: SERFeatureExtractor, dataset: Dataset, *, batch_size: int = 64
) -> np.ndarray:
    """The LSTM's pooled states of each utterance, float32 (utterances, pooled units); arguments as in `predict`."""
    states = np.zeros((len(dataset), model.ser.encoder.pooling.output_size), dtype=np.float32)
    for indices, encoded in encoded_batches(model, extractor, dataset, batch_size):
        states[indices] = encoded.pooler_output.cpu().numpy()
    return states


def encoded_batches(
    model: torch.nn.Module,
    extractor: SERFeatureExtractor,
    dataset: Dataset,
    batch_size: int,
    crop_seconds: float | None = None,
) -> Iterator[tuple[np.ndarray, SERModelOutput]]:
    """Rows of a batch and the encoder's output of them; clips of like length share a batch."""
    dataset = analysed(dataset, extractor)
    rows = UtteranceRows(dataset) if crop_seconds is None else CroppedRows(dataset, crop_seconds, extractor)
    builder = BatchBuilder(extractor)
    model.eval()
    order = np.argsort(dataset["length"][:], kind="stable")
    for start in tqdm(range(0, len(rows), batch_size), desc="Predicting", leave=False):
        indices = order[start : start + batch_size]
        batch = builder(rows.__getitems__(indices.tolist())).to(model.device)
        yield indices, model.ser(batch["input_features"], batch["attention_mask"])


def metrics(predictions: pd.DataFrame, labels: Sequence[str]) -> dict[str, Any]:
    """
    Every figure of a table of predictions: overall, and for each corpus.

    Args:
        predictions: as `predict` gives them; with a column `seed`, the mean and deviation over seeds are given.
        labels: the model's, in the order of its outputs.

    Returns:
        A dict as it is written to metrics.json: see [`figures_of`] and [`figures_over_seeds`]; `corpora` has one such
        dict for each corpus, and in it another one, `common_sentences`, for the sentences that are spoken in every
        emotion, where others give it away.
    """
    figures = figures_over_seeds if "seed" in predictions else figures_of
    result = figures(predictions, labels)
    result["corpora"] = {name: figures(rows, labels) for name, rows in predictions.groupby("corpus")}
    for name, rows in predictions.groupby("corpus"):
        sentences = CORPORA[name].common_sentences if name in CORPORA else ()
        if len(common := rows[rows["sentence"].isin(sentences)]):
            result["corpora"][name]["common_sentences"] = figures(common, labels)
    return result


def figures_over_seeds(predictions: pd.DataFrame, labels: Sequence[str]) -> dict[str, Any]:
    """
    Figures of out-of-fold predictions of several seeds, pooled over folds; none is that of an ensemble.

    The figures of `AVERAGED` are means over seeds, with their standard deviation in `deviation` (None for one seed).
    The interval and the figures by label, sex, language, speaker and fold count every seed's predictions alike; the
    confusion matrix is the mean over seeds.
    """
    by_seed = {str(seed): figures_of(rows, labels) for seed, rows in predictions.groupby("seed")}
    result = figures_of(predictions, labels)
    result["clips"] //= len(by_seed)
    result["confusion_matrix"] = (np.array(result["confusion_matrix"]) / len(by_seed)).tolist()
    values = {name: [figures[name] for figures in by_seed.values()] for name in AVERAGED}
    result |= {name: float(np.mean(values[name])) for name in AVERAGED}
    several = len(by_seed) > 1
    result["deviation"] = {name: float(np.std(values[name], ddof=1)) if several else None for name in AVERAGED}
    result["uar_by_fold"] = uar_by(predictions, "fold")
    kept = ("clips", "speakers", *AVERAGED, "uar_interval")
    result["seeds"] = {seed: {name: figures[name] for name in kept} for seed, figures in by_seed.items()}
    return result


def figures_of(predictions: pd.DataFrame, labels: Sequence[str]) -> dict[str, Any]:
    """
    Figures of one table of predictions; shares are between 0 and 1.

    Recall is averaged over the labels that occur. The interval is a 95 % bootstrap over speakers: they are what
    another test would draw anew, the clips of one speaker are not independent.
    """
    truth, predicted = predictions["label"].to_numpy(), predictions["prediction"].to_numpy()
    scores, targets = score_matrix(predictions, labels), target_indices(predictions, labels)
    recalls = recall_by_label(truth, predicted)
    by_speaker = uar_by(predictions, "speaker")
    return {
        "clips": len(predictions),
        "speakers": len(by_speaker),
        "uar": unweighted_average_recall(truth, predicted),
        "uar_interval": bootstrap_interval(predictions),
        "accuracy": float((truth == predicted).mean()),
        "confidence": float(scores.max(1).mean()),
        "macro_f1": macro_f1(truth, predicted),
        "recall": {label: recalls[label] for label in labels if label in recalls},
        "confusion_matrix": confusion_matrix(truth, predicted, labels=list(labels)).tolist(),
        "calibration_error": expected_calibration_error(scores, targets),
        "brier_score": brier_score(scores, targets),
        "uar_by_sex": uar_by(predictions, "sex"),
        "uar_by_language": uar_by(predictions, "language"),
        "uar_by_speaker": by_speaker,
        "worst_speaker": min(by_speaker, key=by_speaker.get),
        "best_speaker": max(by_speaker, key=by_speaker.get),
    }


def uar_by(predictions: pd.DataFrame, column: str) -> dict[str, float]:
    """UAR for each value of a column."""
    return {
        str(value): unweighted_average_recall(rows["label"].to_numpy(), rows["prediction"].to_numpy())
        for value, rows in predictions.groupby(column)
    }


def bootstrap_interval(predictions: pd.DataFrame, seed: int = 0) -> list[float] | None:
    """95 % interval of the UAR when speakers are drawn anew; None with fewer than three speakers."""
    hits = predictions["label"] == predictions["prediction"]
    counts = predictions.assign(hit=hits).pivot_table(
        index="speaker", columns="label", values="hit", aggfunc=["sum", "count"], fill_value=0, observed=False
    )
    if len(counts) < FEWEST_SPEAKERS:
        return None
    hit_counts, totals = counts["sum"].to_numpy(), counts["count"].to_numpy()
    drawn = np.random.default_rng(seed).integers(len(counts), size=(BOOTSTRAP_SAMPLES, len(counts)))
    with np.errstate(invalid="ignore"):
        uars = np.nanmean(hit_counts[drawn].sum(1) / totals[drawn].sum(1), axis=1)
    return [float(value) for value in np.percentile(uars, INTERVAL)]


def score_matrix(predictions: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """Scores (clips, labels)."""
    return predictions[[f"score_{label}" for label in labels]].to_numpy()


def target_indices(predictions: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """Place of each clip's true label among the labels, (clips,)."""
    return predictions["label"].map({label: index for index, label in enumerate(labels)}).to_numpy()


def write_predictions(predictions: pd.DataFrame, path: Path, corpora_root: Path) -> None:
    """
    Write predictions as parquet, whole or not at all.

    Paths are relative to the corpora, so that the file means the same on another machine.
    """
    root = Path(os.path.abspath(corpora_root.expanduser()))
    table = predictions.assign(path=[relative(entry, root) for entry in predictions["path"]])
    with whole_file(path) as unfinished:
        table.to_parquet(unfinished, index=False)
