"""Optimizer, schedule, clipping, moving average."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from sam2_adapter.training.forward import trained_parameters
from sam2_adapter.training.optim import MovingAverage, Schedule, build_optimizer, clip_gradients
from tests.small_model import small_model


def test_weight_decay_spares_biases_and_norms_and_nothing_else():
    parameters = trained_parameters(small_model())
    optimizer = build_optimizer(parameters, 1e-3, 0.1)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    spared = {name for name, parameter in parameters.items() if decays[id(parameter)] == 0}
    assert spared == {name for name in parameters if name.endswith(".bias") or "norm" in name}
    assert len(decays) == len(parameters)


def test_schedule_warms_up_then_falls_like_a_cosine():
    schedule = Schedule(peak=1.0, total_steps=100, warmup_steps=10, final_fraction=0.1)
    rates = [schedule.learning_rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[9:]))


def test_constant_schedule():
    schedule = Schedule(peak=0.5, total_steps=10, warmup_steps=0, final_fraction=1.0)
    assert {schedule.learning_rate(step) for step in range(20)} == {0.5}


def test_clipping_scales_all_gradients_together():
    parameters = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(4))]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter) * 2
    norm = clip_gradients(parameters, 0.5)
    assert norm == pytest.approx(28**0.5)
    assert sum(p.grad.square().sum().item() for p in parameters) ** 0.5 == pytest.approx(0.5, rel=1e-4)
    assert clip_gradients(parameters, 0) == pytest.approx(0.5, rel=1e-4)


def test_moving_average_follows_and_restores():
    parameters = {"a": nn.Parameter(torch.zeros(2))}
    average = MovingAverage(parameters, 0.9)
    with torch.no_grad():
        parameters["a"].fill_(1)
    for _ in range(200):
        average.update(parameters)
    assert average.values["a"].min() > 0.99
    again = MovingAverage(parameters, 0.9)
    again.restore(average.values, average.steps)
    assert again.steps == 200
    assert torch.equal(again.values["a"], average.values["a"])
