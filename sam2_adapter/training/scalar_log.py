"""The figures of every epoch for TensorBoard, where it is asked for and installed."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_adapter.errors import ConfigError
from sam2_adapter.training.records import EpochRecord

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

_NOT_DRAWN = ("epoch", "is_best")


def require_tensorboard() -> None:
    """Refuse before training what could not be written after its first epoch.

    Raises:
        ConfigError: the package `tensorboard` is not installed.
    """
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "tensorboard = true needs the package tensorboard, which is not installed: pip install 'sam2-adapter[tensorboard]'."
        )


class ScalarLog:
    """Writes one point an epoch and figure, below a folder that `tensorboard --logdir` reads."""

    def __init__(self, directory: Path) -> None:
        """Write to `directory`, which is made at the first record."""
        self._directory = directory
        self._writer: SummaryWriter | None = None

    def write(self, record: EpochRecord) -> None:
        """Add an epoch; the first one replaces what an interrupted run wrote from this epoch on."""
        from torch.utils.tensorboard.writer import SummaryWriter

        if self._writer is None:
            self._writer = SummaryWriter(str(self._directory), purge_step=record.epoch)
        for name, value in asdict(record).items():
            if value is not None and name not in _NOT_DRAWN:
                self._writer.add_scalar(name, value, record.epoch)
        self._writer.flush()
