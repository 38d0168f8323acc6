"""Calibration of a trained network: what its logits are divided by, and how that follows the voiced seconds."""

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

from ser_model.functionals import confidence_factor, familiarity


def fit_temperature(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """Temperature that minimises the cross-entropy (Guo et al. 2017) of logits (clips, labels)."""
    return fit_confidence(logits, targets, torch.ones(len(targets)), None)[0]


def fit_confidence(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, voiced_seconds: torch.Tensor | None
) -> tuple[float, float]:
    """
    Temperature and exponent of the familiarity that minimise the cross-entropy together.

    Args:
        logits: (clips, labels), at a temperature of 1 and without a familiarity.
        targets: (clips,).
        weights: of the clips, (clips,).
        voiced_seconds: (clips,); None where the network does not count them.

    Returns:
        Both; an exponent of 0, no familiarity, where little voice makes no answer worse.
    """
    log_temperature = torch.zeros((), dtype=logits.dtype, requires_grad=True)
    exponent = torch.zeros((), dtype=logits.dtype, requires_grad=True)
    shares = weights / weights.sum()

    def loss() -> torch.Tensor:
        scaled = logits / log_temperature.exp()
        if voiced_seconds is not None:
            scaled = scaled * confidence_factor(familiarity(voiced_seconds), exponent)[:, None]
        return (cross_entropy(scaled, targets, reduction="none") * shares).sum()

    minimise([log_temperature] if voiced_seconds is None else [log_temperature, exponent], loss)
    if exponent < 0:
        return fit_confidence(logits, targets, weights, None)
    return float(log_temperature.detach().exp()), float(exponent.detach())


def minimise(parameters: list[torch.Tensor], loss: Callable[[], torch.Tensor]) -> None:
    """Set parameters to where a smooth loss of them is least."""
    optimizer = torch.optim.LBFGS(parameters, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
