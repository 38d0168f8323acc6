"""The training loss: cross-entropy over the labels that an utterance's corpus has, weighted by utterance."""

import torch


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
