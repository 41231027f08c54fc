"""The optimizer, its learning rate over time, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

NamedParameters = Mapping[str, nn.Parameter]


def build_optimizer(parameters: NamedParameters, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (https://arxiv.org/abs/1711.05101) whose weight decay spares biases and the weights of norms.

    Args:
        parameters: what is trained, by name; the order decides the order of the optimizer's state.
        learning_rate: peak learning rate.
        weight_decay: decoupled decay of matrices, filters and learned tokens.
    """
    decayed = [parameter for parameter in parameters.values() if is_decayed(parameter)]
    spared = [parameter for parameter in parameters.values() if not is_decayed(parameter)]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters.values())
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate, fused=fused)


def is_decayed(parameter: torch.Tensor) -> bool:
    """Whether weight decay acts on a parameter: on everything but the vectors, which are biases and weights of norms."""
    return parameter.ndim > 1


@dataclass(frozen=True)
class Schedule:
    """The learning rate over a run: a linear warm-up, then half a cosine down to a part of the peak.

    Attributes:
        peak: largest learning rate.
        total_steps: optimizer steps of the whole run.
        warmup_steps: steps that the warm-up takes.
        final_fraction: part of the peak that is left at the end; 1 keeps the rate constant.
    """

    peak: float
    total_steps: int
    warmup_steps: int
    final_fraction: float

    def learning_rate(self, step: int) -> float:
        """The learning rate of optimizer step `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        cosine = (1 + math.cos(math.pi * min(1.0, progress))) / 2
        return self.peak * (self.final_fraction + (1 - self.final_fraction) * cosine)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every parameter group the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Scale all gradients together so that their norm is at most `max_norm`; 0 leaves them.

    Returns:
        The norm before scaling; NaN or infinite where a gradient is.
    """
    limit = max_norm if max_norm > 0 else math.inf
    return float(nn.utils.clip_grad_norm_(list(parameters), limit, error_if_nonfinite=False))


class MovingAverage:
    """Exponential moving average of parameters, warmed up so that the first steps count.

    After step n the average moves by 1 - min(decay, (1 + n) / (10 + n)), the rule of TensorFlow's
    `ExponentialMovingAverage`.
    """

    def __init__(self, parameters: NamedParameters, decay: float) -> None:
        """Start at the current values."""
        self.decay = decay
        self.steps = 0
        self.values = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def update(self, parameters: NamedParameters) -> None:
        """Take in the values after an optimizer step."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for name, parameter in parameters.items():
            self.values[name].lerp_(parameter.detach(), 1 - decay)

    def restore(self, values: Mapping[str, torch.Tensor], steps: int) -> None:
        """Go on from saved values."""
        self.steps = steps
        for name, value in values.items():
            self.values[name].copy_(value)


@torch.no_grad()
def put(parameters: NamedParameters, values: Mapping[str, torch.Tensor]) -> None:
    """Set parameters to values of the same names."""
    for name, value in values.items():
        parameters[name].copy_(value)


@contextmanager
def averaged(parameters: NamedParameters, average: MovingAverage | None) -> Iterator[None]:
    """Give parameters their moving average for a while, if there is one."""
    if average is None:
        yield
        return
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    put(parameters, average.values)
    try:
        yield
    finally:
        put(parameters, before)
