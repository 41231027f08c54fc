"""What a run keeps while it lasts: one state to resume from, and the trained part of the model every few epochs.

The state holds everything that a run needs to go on as if it had never stopped: the trained part of the model, the
optimizer's state, the random states, the best model so far and the history. There is one, which each later one replaces.
An interval checkpoint is a quarter as large: the trained part alone, as it was measured after its epoch.

Both are written completely or not at all, and opened without running code. A state of another run is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sam2_adapter.errors import ResumeError
from sam2_adapter.models.weights.tensor_files import write_torch_file
from sam2_adapter.training.optim import put

if TYPE_CHECKING:
    from sam2_adapter.training.records import EpochRecord
    from sam2_adapter.training.setup import Parts

FORMAT_VERSION = 3

STATE_NAME = "resume.torch"
"""File of the state, beside the interval checkpoints."""

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
        images: name of each image to the identity of its pixels, to name those that differ.
    """

    settings: dict[str, Any]
    data_sha256: str
    base_sha256: str
    images: dict[str, str] = field(default_factory=dict)

    def differences(self, other: RunIdentity) -> list[str]:
        """In words, how `other` differs from this run; empty where it does not."""
        found = [
            f"{key} = {other.settings.get(key)!r} instead of {self.settings.get(key)!r}"
            for key in sorted(self.settings.keys() | other.settings.keys())
            if self.settings.get(key) != other.settings.get(key)
        ]
        found += [self._data_difference(other)] if self.data_sha256 != other.data_sha256 else []
        found += ["other base weights"] if self.base_sha256 != other.base_sha256 else []
        return found

    def _data_difference(self, other: RunIdentity) -> str:
        kinds = (
            ("changed", sorted(name for name, key in self.images.items() if other.images.get(name, key) != key)),
            ("missing", sorted(self.images.keys() - other.images.keys())),
            ("new", sorted(other.images.keys() - self.images.keys())),
        )
        told = [f"{kind}: {', '.join(names[:3])}{', ...' * (len(names) > 3)}" for kind, names in kinds if names]
        reason = "; ".join(told) if self.images and told else "other objects, labels or splits"
        return f"other training or validation data ({reason})"


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


def capture(parts: Parts, history: Sequence[EpochRecord], best: BestModel, step: int, seconds: float) -> TrainingState:
    """Copy everything that the next epochs depend on."""
    return TrainingState(
        epoch=history[-1].epoch,
        step=step,
        trained=copied_to_cpu(parts.parameters),
        optimizer=copied_to_cpu(parts.optimizer.state_dict()),
        best=best,
        history=[asdict(record) for record in history],
        random=_random_states(),
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
    _restore_random_states(state.random)
    parts.stepper.micro_batch = state.micro_batch
    parts.stepper.skipped_in_a_row = state.skipped_steps


def save_state(directory: Path, state: TrainingState, identity: RunIdentity) -> Path:
    """Replace the state of a run, then write the checkpoint of `state.epoch` and remove all but the newest checkpoints.

    Returns:
        The file of the state.

    Raises:
        OSError: one of the two cannot be written; those that are there stay.
    """
    header = {"format_version": FORMAT_VERSION, "identity": asdict(identity)}
    parts = {item.name: getattr(state, item.name) for item in fields(state)}
    write_torch_file(directory / STATE_NAME, {**header, "state": {**parts, "best": vars(state.best)}})
    # Where there is a moving average, the figures of the epoch are those of the average.
    checkpoint = {**header, "epoch": state.epoch, "trained": state.average or state.trained}
    write_torch_file(checkpoint_path(directory, state.epoch), checkpoint)
    prune(directory, KEPT_CHECKPOINTS)
    return directory / STATE_NAME


def has_state(directory: Path) -> bool:
    """Whether there is a state in a folder of checkpoints."""
    return (directory / STATE_NAME).is_file()


def load_state(directory: Path, identity: RunIdentity) -> TrainingState | None:
    """Read the state of a run; `None` where there is none.

    Raises:
        ResumeError: it is not readable, or of a run with other settings, data or weights; the text names what differs.
    """
    if not has_state(directory):
        return None
    path = directory / STATE_NAME
    content = _read(path)
    _require_same(path, RunIdentity(**content["identity"]), identity)
    state = content["state"]
    return TrainingState(**{**state, "best": BestModel(**state["best"])})


def checkpoint_path(directory: Path, epoch: int) -> Path:
    """The interval checkpoint of an epoch."""
    return directory / _NAME.format(epoch=epoch)


def checkpoint_paths(directory: Path) -> list[Path]:
    """The interval checkpoints of a run, oldest first."""
    found = (
        [path for path in directory.glob("epoch_*.torch") if _NAME_PATTERN.fullmatch(path.name)]
        if directory.is_dir()
        else []
    )
    return sorted(found, key=lambda path: int(path.stem.removeprefix("epoch_")))


def prune(directory: Path, keep: int) -> None:
    """Remove all but the `keep` newest interval checkpoints, and what interrupted writes have left."""
    for path in checkpoint_paths(directory)[: -keep or None]:
        path.unlink(missing_ok=True)
    for path in directory.glob(".*.torch.*.part"):
        path.unlink(missing_ok=True)


def copied_to_cpu(state: Any) -> Any:
    """A copy of tensors in nested containers, on the CPU, which later training steps do not change."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: copied_to_cpu(value) for key, value in state.items()}
    return [copied_to_cpu(value) for value in state] if isinstance(state, list) else state


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content["format_version"]
        identity, state = content["identity"], content["state"]
    except Exception as error:  # a damaged file raises almost anything
        raise ResumeError(
            f"{path} is damaged or no state of a run: the run cannot go on. What it has saved so far stays as it is; start a new run in "
            "another folder."
        ) from error
    if version != FORMAT_VERSION:
        raise ResumeError(
            f"{path} has format_version {version}, but this version of sam2-adapter resumes from {FORMAT_VERSION} only."
        )
    return {"identity": identity, "state": state}


def _require_same(path: Path, saved: RunIdentity, wanted: RunIdentity) -> None:
    differences = saved.differences(wanted)
    if differences:
        raise ResumeError(
            f"{path} belongs to another run: now there is {'; '.join(differences)}. Resume with what the run was started with, or start a "
            "new run in another folder."
        )


def _random_states() -> dict[str, Any]:
    """The states of torch's generators; ours are seeded again for every epoch and object and have none."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def _restore_random_states(states: Mapping[str, Any]) -> None:
    """Set torch's generators back; those of GPUs only where there are as many as before."""
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
