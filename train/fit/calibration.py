"""Calibration of a trained network: the temperature that its logits are divided by."""

import torch


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
