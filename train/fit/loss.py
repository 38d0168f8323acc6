"""The training loss: cross-entropy over the labels that an utterance's corpus has, weighted by utterance.

What is rare can count as much as what is frequent in two ways: by weights, or by adding to each logit how frequent its
label is (Menon et al. 2021), so that the network itself learns what speaks for a label beside its frequency.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from datasets import Dataset

from train.fit.recipe import Recipe


BALANCE_POWER = 0.5  # weights of rare groups grow with the root of their rarity; in full they overfit the rarest


def batch_loss(logits: torch.Tensor, batch: Mapping[str, torch.Tensor], smoothing: float = 0.0) -> torch.Tensor:
    """
    Loss of a batch as `BatchBuilder` makes it: by its labels, and where present its label masks and weights.

    Args:
        logits: (batch, labels).
        batch: has `labels`; may have `allowed`, `weight` and `log_prior`.
        smoothing: as in [`masked_cross_entropy`], of the logits that `log_prior` was added to.
    """
    if "log_prior" in batch:
        logits = logits + batch["log_prior"]
    return masked_cross_entropy(logits, batch["labels"], batch.get("allowed"), batch.get("weight"), smoothing)


def masked_cross_entropy(
    logits: torch.Tensor,
    labels: torch.Tensor,
    allowed: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """
    Mean cross-entropy of a batch.

    Args:
        logits: (batch, labels).
        labels: index of each utterance's label, (batch,).
        allowed: boolean (batch, labels): the labels that the utterance could have had. A corpus without "surprised"
            says nothing against "surprised", so that logit stays out of its utterances' softmax. None: all labels.
        weights: weight of each utterance, (batch,). None: equal.
        smoothing: share of the target that is spread evenly over the allowed labels (Szegedy et al. 2016).
    """
    allowed = torch.ones_like(logits, dtype=torch.bool) if allowed is None else allowed
    log_probabilities = logits.masked_fill(~allowed, torch.finfo(logits.dtype).min).log_softmax(-1)
    truth = log_probabilities.gather(1, labels[:, None])[:, 0]
    spread = log_probabilities.masked_fill(~allowed, 0.0).sum(-1) / allowed.sum(-1)
    losses = -((1 - smoothing) * truth + smoothing * spread)
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()


def loss_columns(dataset: Dataset, recipe: Recipe) -> dict[str, np.ndarray]:
    """Columns for the recipe's loss, of each utterance: a weight, the labels of its corpus, how frequent these are."""
    columns = {}
    if recipe.balance:
        columns["weight"] = balanced_weights(dataset, recipe.balance)
    if recipe.mask_labels:
        columns["allowed"] = allowed_labels(dataset)
    if recipe.logit_adjustment:
        columns["log_prior"] = recipe.logit_adjustment * log_priors(dataset)
    return columns


def balanced_weights(dataset: Dataset, properties: list[str]) -> np.ndarray:
    """Weight of each utterance, (utterances,), of mean 1: larger where its group is rare."""
    groups = dataset.select_columns(properties).to_pandas()
    sizes = groups.groupby(properties)[properties[0]].transform("size").to_numpy()
    weights = sizes**-BALANCE_POWER
    return (weights / weights.mean()).astype(np.float32)


def log_priors(dataset: Dataset) -> np.ndarray:
    """Logarithm of each label's share of the clips of each row's corpus, (rows, labels); 0 for a label it lacks."""
    table = clips_by_label(dataset)
    shares = table.div(table.sum(axis=1), axis=0)
    return np.log(shares.where(shares > 0, 1.0)).loc[dataset["corpus"][:]].to_numpy(np.float32)


def allowed_labels(dataset: Dataset, corpora: Sequence[str] | None = None) -> np.ndarray:
    """The labels that occur in a corpus, boolean (rows, labels), for each of `corpora`; by default each row's own."""
    occurs = clips_by_label(dataset) > 0
    return occurs.loc[dataset["corpus"][:] if corpora is None else corpora].to_numpy()


def clips_by_label(dataset: Dataset) -> pd.DataFrame:
    """Number of clips of each label, as columns, in each corpus, as rows."""
    table = pd.crosstab(pd.Series(dataset["corpus"][:]), pd.Series(dataset["label"][:]))
    return table.reindex(columns=range(dataset.features["label"].num_classes), fill_value=0)
