"""One optimizer step: the mean over all objects whatever fits into memory, and steps without finite gradients are skipped."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from sam2_adapter.errors import TrainingError
from sam2_adapter.training.losses import LossTerms
from sam2_adapter.training.step import Stepper

# Values that the decoder multiplies its weight with; all questions have one shape.
QUESTIONS = [SimpleNamespace(shape=("box", 0), value=value) for value in (1.0, 2.0, 3.0, 6.0)]


class Batch:
    def __init__(self, questions) -> None:
        self.values = torch.tensor([question.value for question in questions])

    def to(self, device):
        return self


class Product(nn.Module):
    """The loss of an object is weight * value."""

    def __init__(self, most_at_once: int = 99) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.most_at_once = most_at_once

    def forward(self, batch: Batch) -> LossTerms:
        if len(batch.values) > self.most_at_once:
            raise torch.OutOfMemoryError("CUDA out of memory")
        total = self.weight * batch.values
        return LossTerms(**dict.fromkeys(LossTerms._fields, total))


def stepper(decoder: Product, micro_batch: int = 4, max_gradient_norm: float = 1e9) -> Stepper:
    parameters = {"weight": decoder.weight}
    optimizer = torch.optim.SGD(parameters.values(), lr=1.0)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return Stepper(Accelerator(cpu=True), decoder, parameters, optimizer, scaler, max_gradient_norm, micro_batch)


@pytest.mark.parametrize("micro_batch", [1, 3, 4])
def test_the_gradient_is_the_mean_over_the_objects(micro_batch):
    decoder = Product()
    result = stepper(decoder, micro_batch).step(QUESTIONS, 4, Batch, 0.1)
    assert decoder.weight.item() == pytest.approx(1 - 0.1 * 3)
    assert result.losses["total"] == pytest.approx(12)
    assert (result.num_objects, result.gradient_norm, result.is_skipped) == (4, pytest.approx(3), False)


def test_gradients_are_clipped_and_told_as_they_were():
    decoder = Product()
    result = stepper(decoder, max_gradient_norm=0.5).step(QUESTIONS, 4, Batch, 0.1)
    assert decoder.weight.item() == pytest.approx(1 - 0.1 * 0.5, abs=1e-5)
    assert result.gradient_norm == pytest.approx(3)


@pytest.mark.slow
def test_memory_that_runs_out_halves_the_micro_batch_for_good():
    decoder = Product(most_at_once=1)
    steps = stepper(decoder)
    assert steps.step(QUESTIONS, 4, Batch, 0.1).losses["total"] == pytest.approx(12)
    assert steps.micro_batch == 1
    assert decoder.weight.item() == pytest.approx(0.7)
    with pytest.raises(TrainingError, match="not enough memory to train on a single object"):
        stepper(Product(most_at_once=0)).step(QUESTIONS, 4, Batch, 0.1)


def test_steps_without_finite_gradients_change_nothing_until_there_are_too_many():
    decoder = Product()
    steps = stepper(decoder)
    endless = [SimpleNamespace(shape=("box", 0), value=float("inf"))]
    for count in range(1, 6):
        assert steps.step(endless, 1, Batch, 0.1).is_skipped
        assert (steps.skipped_in_a_row, decoder.weight.item()) == (count, 1.0)
    steps.step(QUESTIONS, 4, Batch, 0.1)
    assert steps.skipped_in_a_row == 0
    for _ in range(5):
        steps.step(endless, 1, Batch, 0.1)
    with pytest.raises(TrainingError, match="training has diverged"):
        steps.step(endless, 1, Batch, 0.1)
