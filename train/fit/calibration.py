"""Calibration of a trained network: the temperature that its logits are divided by."""

import torch
from torch.nn.functional import cross_entropy


def fit_temperature(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None) -> float:
    """Temperature that minimises the cross-entropy (Guo et al. 2017) of logits (clips, labels), weighted by clip."""
    log_temperature = torch.zeros((), requires_grad=True)
    shares = torch.full(targets.shape, 1 / len(targets)) if weights is None else weights / weights.sum()
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = (cross_entropy(logits / log_temperature.exp(), targets, reduction="none") * shares).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return float(log_temperature.detach().exp())
