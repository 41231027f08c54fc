"""Interval checkpoints: everything that a run needs to go on as if it had never stopped.

A checkpoint holds the trained part of the model only, the optimizer's state, the random states, the best model so far
and the history. It is written completely or not at all, and opened without running code. One that belongs to another
run is refused; one that is damaged is passed over for the one before it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from sam2_adapter.errors import CheckpointError, TrainingError
from sam2_adapter.model.tensor_files import write_torch_file

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1

# A damaged newest checkpoint costs one interval and not the run.
KEPT_CHECKPOINTS = 2

_NAME = "epoch_{epoch:06d}.torch"
_NAME_PATTERN = re.compile(r"epoch_(\d{6,})\.torch")

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class RunIdentity:
    """What a run is: resuming with anything else would give another result.

    Attributes:
        settings: every setting that the result depends on, as plain values.
        data_sha256: identity of the training and validation data.
        base_sha256: identity of the weights that training started from.
    """

    settings: dict[str, Any]
    data_sha256: str
    base_sha256: str

    def differences(self, other: RunIdentity) -> list[str]:
        """In words, how `other` differs from this run; empty where it does not."""
        found = [
            f"{key} = {other.settings.get(key)!r} instead of {self.settings.get(key)!r}"
            for key in sorted(self.settings.keys() | other.settings.keys())
            if self.settings.get(key) != other.settings.get(key)
        ]
        found += ["other training or validation data"] if self.data_sha256 != other.data_sha256 else []
        found += ["other base weights"] if self.base_sha256 != other.base_sha256 else []
        return found


@dataclass
class BestModel:
    """The best model so far.

    Attributes:
        epoch: 0 is the untouched model.
        score: what it is best by.
        trained: its trained part.
    """

    epoch: int
    score: float
    trained: Tensors


@dataclass
class TrainingState:
    """A run between two epochs.

    Attributes:
        epoch: epochs done.
        step: optimizer steps done.
        trained: the trained part of the model.
        optimizer: state of the optimizer.
        best: the best model so far.
        history: one record for every epoch, the untouched model's first.
        random: states of the random generators.
        scaler: state of the gradient scaler; empty without one.
        average: moving average of the trained part; empty without one.
        average_steps: steps that the moving average has seen.
        micro_batch: objects in one decoder pass.
        skipped_steps: steps without finite gradients, in a row.
        seconds: time that the run has taken.
    """

    epoch: int
    step: int
    trained: Tensors
    optimizer: dict[str, Any]
    best: BestModel
    history: list[dict[str, Any]]
    random: dict[str, Any]
    scaler: dict[str, Any] = field(default_factory=dict)
    average: Tensors = field(default_factory=dict)
    average_steps: int = 0
    micro_batch: int = 1
    skipped_steps: int = 0
    seconds: float = 0.0


def save_state(directory: Path, state: TrainingState, identity: RunIdentity) -> Path:
    """Write the checkpoint of `state.epoch`, then remove all but the newest checkpoints.

    Raises:
        OSError: it cannot be written; those that are there stay.
    """
    path = directory / _NAME.format(epoch=state.epoch)
    parts = {item.name: getattr(state, item.name) for item in fields(state)}
    content = {
        "format_version": FORMAT_VERSION,
        "identity": asdict(identity),
        "state": {**parts, "best": vars(state.best)},
    }
    write_torch_file(path, content)
    prune(directory, KEPT_CHECKPOINTS)
    return path


def load_state(directory: Path, identity: RunIdentity) -> TrainingState | None:
    """Read the newest readable checkpoint of a run; `None` where there is none.

    Raises:
        TrainingError: the checkpoints are of a run with other settings, data or weights; the text names what differs.
        CheckpointError: there are checkpoints, and none of them is readable.
    """
    paths = checkpoint_paths(directory)
    for path in reversed(paths):
        content = _read(path)
        if content is None:
            continue
        _require_same(path, RunIdentity(**content["identity"]), identity)
        state = content["state"]
        return TrainingState(**{**state, "best": BestModel(**state["best"])})
    if paths:
        raise CheckpointError(
            f"None of the {len(paths)} checkpoints in {directory} is readable. Remove the folder and start the run anew."
        )
    return None


def checkpoint_paths(directory: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = (
        [path for path in directory.glob("epoch_*.torch") if _NAME_PATTERN.fullmatch(path.name)]
        if directory.is_dir()
        else []
    )
    return sorted(found, key=lambda path: int(path.stem.removeprefix("epoch_")))


def prune(directory: Path, keep: int) -> None:
    """Remove all but the `keep` newest checkpoints, and what interrupted writes have left."""
    for path in checkpoint_paths(directory)[: -keep or None]:
        path.unlink(missing_ok=True)
    for path in directory.glob(".epoch_*.part"):
        path.unlink(missing_ok=True)


def copied_to_cpu(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Copies of tensors on the CPU that later training steps do not change."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def random_states() -> dict[str, Any]:
    """The states of torch's generators; ours are seeded anew for every epoch and object and have none."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Set torch's generators back; those of GPUs only where there are as many as before."""
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content["format_version"]
        identity, state = content["identity"], content["state"]
    except Exception as error:  # a damaged file raises almost anything
        logger.warning(
            "%s is damaged (%s): going on from the checkpoint before it.", path, str(error).partition("\n")[0]
        )
        return None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format_version {version}, but this version of sam2-adapter resumes from {FORMAT_VERSION} only."
        )
    return {"identity": identity, "state": state}


def _require_same(path: Path, saved: RunIdentity, wanted: RunIdentity) -> None:
    differences = saved.differences(wanted)
    if differences:
        raise TrainingError(
            f"{path} belongs to another run: now there is {'; '.join(differences)}. Resume with what the run was started with, or start a "
            "new run in another folder."
        )
