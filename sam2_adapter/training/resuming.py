"""The state of a run, taken from its parts and given back to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch

from sam2_adapter.training.optim import NamedParameters
from sam2_adapter.training.records import EpochRecord
from sam2_adapter.training.run_state import (
    BestModel,
    TrainingState,
    copied_to_cpu,
    random_states,
    restore_random_states,
)
from sam2_adapter.training.setup import Parts


def capture(parts: Parts, history: Sequence[EpochRecord], best: BestModel, step: int, seconds: float) -> TrainingState:
    """Copy everything that the next epochs depend on."""
    return TrainingState(
        epoch=history[-1].epoch,
        step=step,
        trained=copied_to_cpu(parts.parameters),
        optimizer=_copied(parts.optimizer.state_dict()),
        best=best,
        history=[asdict(record) for record in history],
        random=random_states(),
        scaler=dict(parts.scaler.state_dict()),
        average=copied_to_cpu(parts.average.values) if parts.average is not None else {},
        average_steps=parts.average.steps if parts.average is not None else 0,
        micro_batch=parts.stepper.micro_batch,
        skipped_steps=parts.stepper.skipped_in_a_row,
        seconds=seconds,
    )


def restore(parts: Parts, state: TrainingState) -> None:
    """Put a run back to where it was when its state was captured."""
    put(parts.parameters, state.trained)
    parts.optimizer.load_state_dict(state.optimizer)
    if state.scaler:
        parts.scaler.load_state_dict(state.scaler)
    if parts.average is not None:
        parts.average.restore(state.average, state.average_steps)
    restore_random_states(state.random)
    parts.stepper.micro_batch = state.micro_batch
    parts.stepper.skipped_in_a_row = state.skipped_steps


@torch.no_grad()
def put(parameters: NamedParameters, values: Mapping[str, torch.Tensor]) -> None:
    """Set parameters to values of the same names."""
    for name, value in values.items():
        parameters[name].copy_(value)


@contextmanager
def averaged(parts: Parts) -> Iterator[None]:
    """Give the model the moving average of its weights for a while, if there is one."""
    if parts.average is None:
        yield
        return
    before = copied_to_cpu(parts.parameters)
    put(parts.parameters, parts.average.values)
    try:
        yield
    finally:
        put(parts.parameters, before)


def _copied(state: Any) -> Any:
    """A copy of nested containers with their tensors on the CPU, which later steps do not change."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state
