"""Predictions of a checkpoint on a table of utterances, and every figure that is computed from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from sklearn.metrics import confusion_matrix, f1_score, recall_score
from tqdm.auto import tqdm

from ser_model.feature_extraction_ser import SERFeatureExtractor
from train.dataset import BatchBuilder, analysed


BOOTSTRAP_SAMPLES = 2000
CALIBRATION_BINS = 15
INTERVAL = (2.5, 97.5)  # per cent


def predict(
    model: torch.nn.Module, extractor: SERFeatureExtractor, dataset: Dataset, *, batch_size: int = 64
) -> pd.DataFrame:
    """
    Run a model over a table of utterances.

    Args:
        model: SERForAudioClassification.
        extractor: its feature extractor.
        dataset: as `load_corpora` gives it; its labels are those of the model.
        batch_size: clips at a time; it changes no result.

    Returns:
        A row for each utterance in the dataset's order: path, corpus, speaker, sex, language, label, prediction (both
        names), and a column `score_<label>` for each label.
    """
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    if dataset.features["label"].names != labels:
        raise ValueError(f"The dataset's labels are {dataset.features['label'].names}, the model's {labels}.")
    rows = analysed(dataset, extractor).with_format("numpy", columns=["log_mel", "label"])
    builder = BatchBuilder(extractor)
    model.eval()
    scores = np.zeros((len(rows), len(labels)), dtype=np.float32)
    order = np.argsort(np.asarray([len(values) for values in rows.with_format("arrow")["log_mel"]]), kind="stable")
    with torch.inference_mode():
        for start in tqdm(range(0, len(rows), batch_size), desc="Predicting", leave=False):
            indices = order[start : start + batch_size]
            batch = builder([rows[int(index)] for index in indices])
            logits = model(batch["input_features"], batch["attention_mask"]).logits
            scores[indices] = logits.softmax(-1).numpy()
    table = dataset.select_columns(["path", "corpus", "speaker", "sex", "language", "sentence"]).to_pandas()
    table["label"] = [labels[index] for index in dataset["label"]]
    table["prediction"] = [labels[index] for index in scores.argmax(1)]
    return table.join(pd.DataFrame(scores, columns=[f"score_{label}" for label in labels]))


def metrics(predictions: pd.DataFrame, labels: Sequence[str]) -> dict[str, Any]:
    """
    Every figure of a table of predictions: overall, and for each corpus where there are several.

    Returns:
        A dict as it is written to metrics.json: see [`figures_of`]; `corpora` has one such dict for each corpus.
    """
    result = figures_of(predictions, labels)
    corpora = sorted(predictions["corpus"].unique())
    result["corpora"] = {name: figures_of(predictions[predictions["corpus"] == name], labels) for name in corpora}
    return result


def figures_of(predictions: pd.DataFrame, labels: Sequence[str]) -> dict[str, Any]:
    """
    Figures of one table of predictions; shares are between 0 and 1.

    Recall is averaged over the labels that occur. The interval is a 95 % bootstrap over speakers: they are what
    another test would draw anew, the clips of one speaker are not independent.
    """
    truth, predicted = predictions["label"].to_numpy(), predictions["prediction"].to_numpy()
    occurring = [label for label in labels if label in set(truth)]
    recalls = recall_score(truth, predicted, labels=occurring, average=None, zero_division=0)
    return {
        "clips": len(predictions),
        "speakers": int(predictions["speaker"].nunique()),
        "uar": float(recalls.mean()),
        "uar_interval": bootstrap_interval(predictions, occurring),
        "accuracy": float((truth == predicted).mean()),
        "macro_f1": float(f1_score(truth, predicted, labels=occurring, average="macro", zero_division=0)),
        "recall": dict(zip(occurring, recalls.tolist(), strict=True)),
        "confusion_matrix": confusion_matrix(truth, predicted, labels=list(labels)).tolist(),
        "calibration_error": calibration_error(predictions, labels),
        "brier_score": brier_score(predictions, labels),
        "uar_by_sex": uar_by(predictions, "sex"),
        "uar_by_speaker": uar_by(predictions, "speaker"),
    }


def uar_by(predictions: pd.DataFrame, column: str) -> dict[str, float]:
    """UAR for each value of a column."""
    return {
        str(value): float(
            recall_score(
                group["label"], group["prediction"], labels=group["label"].unique(), average="macro", zero_division=0
            )
        )
        for value, group in predictions.groupby(column)
    }


def bootstrap_interval(predictions: pd.DataFrame, occurring: Sequence[str], seed: int = 0) -> list[float] | None:
    """95 % interval of the UAR when speakers are drawn anew; None with fewer than three speakers."""
    speakers = predictions["speaker"].unique()
    if len(speakers) < 3:
        return None
    hits = predictions["label"] == predictions["prediction"]
    counts = predictions.assign(hit=hits).pivot_table(
        index="speaker", columns="label", values="hit", aggfunc=["sum", "count"], fill_value=0, observed=False
    )
    hit_counts, totals = counts["sum"][list(occurring)].to_numpy(), counts["count"][list(occurring)].to_numpy()
    drawn = np.random.default_rng(seed).integers(len(speakers), size=(BOOTSTRAP_SAMPLES, len(speakers)))
    with np.errstate(invalid="ignore"):
        uars = np.nanmean(hit_counts[drawn].sum(1) / totals[drawn].sum(1), axis=1)
    return [float(value) for value in np.percentile(uars, INTERVAL)]


def calibration_error(predictions: pd.DataFrame, labels: Sequence[str]) -> float:
    """Expected calibration error with 15 bins of equal width (Guo et al. 2017)."""
    confidence = score_matrix(predictions, labels).max(1)
    hits = (predictions["label"] == predictions["prediction"]).to_numpy()
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs(hits[bins == index].sum() - confidence[bins == index].sum()) for index in range(CALIBRATION_BINS)]
    return float(sum(gaps) / len(predictions))


def brier_score(predictions: pd.DataFrame, labels: Sequence[str]) -> float:
    """Mean squared distance of the scores from the one-hot truth, summed over labels (Brier 1950)."""
    truth = predictions["label"].to_numpy()[:, None] == np.array(labels)
    return float(np.square(score_matrix(predictions, labels) - truth).sum(1).mean())


def score_matrix(predictions: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """Scores (clips, labels)."""
    return predictions[[f"score_{label}" for label in labels]].to_numpy()


def fit_temperature(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """Temperature that minimises the cross-entropy of logits (clips, labels) (Guo et al. 2017)."""
    log_temperature = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(logits / log_temperature.exp(), targets)
        value.backward()
        return value

    optimizer.step(loss)
    return float(log_temperature.detach().exp())


def write_predictions(predictions: pd.DataFrame, path: Path, corpora_root: Path) -> None:
    """Write predictions as parquet; paths relative to the corpora, so that the file means the same elsewhere."""
    relative = [str(Path(entry).relative_to(corpora_root.resolve())) for entry in predictions["path"]]
    predictions.assign(path=relative).to_parquet(path, index=False)
