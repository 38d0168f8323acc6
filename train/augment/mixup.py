"""Mixup (Zhang et al. 2018): every training utterance is blended with another one of its batch, and its label too."""

import torch
from transformers import BatchFeature


def mix_up(batch: BatchFeature, alpha: float, padding_value: float) -> None:
    """
    Blend the features of a batch, in place, and add what the loss needs to know of the others.

    An utterance keeps its length and the larger share; the other one begins anew where it is shorter. Features are
    blended before normalisation, which comes to the same.

    Args:
        batch: `input_features` (batch, frames, features), `attention_mask` (batch, frames), and tensors by utterance.
        alpha: of the Beta(alpha, alpha) distribution from which shares are drawn.
        padding_value: fills the frames behind an utterance's end.

    Adds `mixup_share`, (batch,), the share of each utterance itself, and `mixup_<name>` for every tensor by utterance:
    that of the other one.
    """
    features, mask = batch["input_features"], batch["attention_mask"].bool()
    others = torch.randperm(len(features))
    share = torch.distributions.Beta(alpha, alpha).sample((len(features),))
    share = torch.maximum(share, 1 - share)
    positions = torch.arange(features.shape[1]) % mask.sum(1)[others][:, None]
    repeated = features[others].gather(1, positions[..., None].expand_as(features))
    mixed = torch.lerp(repeated, features, share[:, None, None])
    by_utterance = {name: values for name, values in batch.items() if name not in ("input_features", "attention_mask")}
    batch["input_features"] = mixed.masked_fill(~mask[..., None], padding_value)
    batch["mixup_share"] = share
    for name, values in by_utterance.items():
        batch[f"mixup_{name}"] = values[others]
