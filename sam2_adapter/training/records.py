"""What a run writes down: one record for every epoch, and its result."""

from __future__ import annotations

import csv
import io
import json
import logging
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from sam2_adapter.errors import ConfigError
from sam2_adapter.files import write_file
from sam2_adapter.text import told_change
from sam2_adapter.training.blend_choice import BlendChoice
from sam2_adapter.training.everything_choice import EverythingChoice
from sam2_adapter.training.general import GeneralChange
from sam2_adapter.training.quality import Figures, Quality, figures_among
from sam2_adapter.training.step import StepResult

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

logger = logging.getLogger(__name__)

REPORT_NAME = "report.html"
METRICS_NAME = "metrics.json"
METRICS_TABLE_NAME = "metrics.csv"

MEAN_OF = "boxes, one click, five and twenty clicks"
"""What the score of a model is the mean of, in words."""

StopReason = Literal["all epochs done", "no improvement", "interrupted"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch in numbers; epoch 0 is the untouched model, which has no losses.

    Attributes:
        epoch: counted from 1; 0 before training.
        loss: mean over the objects of the epoch, weighted sum of the next four.
        loss_pixels: focal loss and cross-entropy.
        loss_dice: one minus the Dice coefficient, single mask and best candidate added.
        loss_iou_score: error of the predicted IoU scores.
        loss_object_score: cross-entropy of the object score.
        miou_box: mean IoU of the validation objects from exact boxes.
        miou_click: from one click.
        miou_clicks: after five clicks.
        miou_20_clicks: after twenty clicks, of the objects on the click curve.
        boundary_f: agreement of the outlines, from boxes.
        score_error: calibration, mean absolute error of the predicted IoU score.
        score: what models are chosen by, the mean of the four mean IoUs.
        is_best: the best model so far.
        learning_rate: of the last step.
        gradient_norm: mean over the steps, before clipping.
        skipped_steps: steps whose gradients were not finite.
        micro_batch: objects in one decoder pass.
        training_seconds: time of the optimizer steps.
        evaluation_seconds: time of the measurements.
        memory_mib: largest memory of this process so far, MiB.
        device_memory_mib: largest GPU memory so far, MiB; 0 without a GPU.
        iou_by_click: the click curve: mean IoU after one click, two, ... twenty.
    """

    epoch: int
    loss: float | None
    loss_pixels: float | None
    loss_dice: float | None
    loss_iou_score: float | None
    loss_object_score: float | None
    miou_box: float
    miou_click: float
    miou_clicks: float
    miou_20_clicks: float
    boundary_f: float
    score_error: float
    score: float
    is_best: bool
    learning_rate: float | None
    gradient_norm: float | None
    skipped_steps: int
    micro_batch: int
    training_seconds: float
    evaluation_seconds: float
    memory_mib: float
    device_memory_mib: float
    iou_by_click: tuple[float, ...] = ()

    @property
    def figures(self) -> Figures:
        """The means over the validation objects."""
        return figures_among(self)


@dataclass(frozen=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        name: of the tuned model.
        base: name of the model that training started from.
        model_path: the saved model: the best one, or the original where training gained nothing.
        weights_sha256: identity of its weights.
        best_epoch: 0 where training gained nothing.
        gained: score of the saved model minus that of the untouched one.
        epochs: epochs done.
        stopped: why there are no more.
        history: one record for every epoch, epoch 0 first.
        seconds: time of the whole run, with what came before an interruption.
        blend: how much of the tuned weights the saved model has, and what was measured over shares.
        general: what was changed on the general set; `None` without one.
        everything: thresholds of everything-mode that were chosen for the saved model; `None` where none were.
        left_out: what was not used, in rows of `kind`, `reason`, `count` and `examples`.
    """

    name: str
    base: str
    model_path: Path
    weights_sha256: str
    best_epoch: int
    gained: float
    epochs: int
    stopped: StopReason
    history: tuple[EpochRecord, ...]
    seconds: float
    blend: BlendChoice = field(default_factory=partial(BlendChoice, 1.0, ""))
    general: GeneralChange | None = None
    everything: EverythingChoice | None = None
    left_out: tuple[dict[str, object], ...] = ()

    @property
    def saved(self) -> Figures:
        """The saved model's means over the validation objects."""
        point = self.blend.saved
        return self.history[self.best_epoch].figures if point is None else point.figures

    @property
    def outcome(self) -> dict[str, Any]:
        """What is known at the end only, as plain data for JSON: general set, blend, click curve and thresholds of everything-mode."""
        return {
            "general": None if self.general is None else self.general.to_dict(),
            "blend": self.blend.to_dict(),
            "click_curve": {
                "untouched": list(self.history[0].iou_by_click),
                "saved": list(self.saved.iou_by_click),
            },
            "everything": None if self.everything is None else asdict(self.everything),
        }

    @property
    def files(self) -> dict[str, Path]:
        """The files of the run that are worth keeping and are there: `model`, `report`, `metrics` and `metrics_table`.

        All but the model may be missing: figures and pictures that could not be written cost no run.
        """
        names = {"report": REPORT_NAME, "metrics": METRICS_NAME, "metrics_table": METRICS_TABLE_NAME}
        paths = {"model": self.model_path} | {key: self.model_path.with_name(name) for key, name in names.items()}
        return {key: path for key, path in paths.items() if path.is_file()}

    @property
    def summary(self) -> str:
        """One sentence for people."""
        before = self.history[0]
        if self.epochs == 0:
            return (
                f"Interrupted before the first epoch was done: the saved model is the untouched one (mean IoU {before.score:.4f} over "
                f"{MEAN_OF}): {self.model_path}"
            )
        if self.best_epoch == 0:
            return (
                f"Training gained nothing: no epoch is better than the untouched model (mean IoU {before.score:.4f} over {MEAN_OF}). "
                f"The saved model is the original: {self.model_path}"
            )
        saved = self.saved
        share = "" if self.blend.share == 1 else f", {self.blend.share:g} of it blended with the untouched model"
        told = partial(told_change, form="{:.4f}", arrow="->")
        figures = (
            f"boxes {told(before.miou_box, saved.miou_box)}, one click {told(before.miou_click, saved.miou_click)}, five clicks "
            f"{told(before.miou_clicks, saved.miou_clicks)}, twenty clicks {told(before.miou_20_clicks, saved.miou_20_clicks)}"
        )
        return f"Epoch {self.best_epoch} is the best{share}: mean IoU {told(before.score, saved.score)} ({figures}): {self.model_path}"


def make_record(
    epoch: int,
    steps: Sequence[StepResult],
    quality: Quality,
    is_best: bool,
    learning_rate: float | None,
    micro_batch: int,
    training_seconds: float,
    evaluation_seconds: float,
) -> EpochRecord:
    """Sum up an epoch; steps that were skipped count in `skipped_steps` only."""
    counted = [step for step in steps if not step.is_skipped]
    num_objects = sum(step.num_objects for step in counted)
    losses = (
        {key: sum(step.losses[key] for step in counted) / num_objects for key in counted[0].losses} if counted else {}
    )
    return EpochRecord(
        epoch=epoch,
        loss=losses.get("total"),
        loss_pixels=losses.get("pixels"),
        loss_dice=losses.get("dice"),
        loss_iou_score=losses.get("iou_score"),
        loss_object_score=losses.get("object_score"),
        miou_box=quality.miou_box,
        miou_click=quality.miou_click,
        miou_clicks=quality.miou_clicks,
        miou_20_clicks=quality.miou_20_clicks,
        boundary_f=quality.boundary_f,
        score_error=quality.score_error,
        score=quality.score,
        is_best=is_best,
        learning_rate=learning_rate,
        gradient_norm=sum(step.gradient_norm for step in counted) / len(counted) if counted else None,
        skipped_steps=len(steps) - len(counted),
        micro_batch=micro_batch,
        training_seconds=training_seconds,
        evaluation_seconds=evaluation_seconds,
        memory_mib=_memory_mib(),
        device_memory_mib=torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0,
        iou_by_click=quality.iou_by_click,
    )


def log_record(record: EpochRecord, num_epochs: int) -> None:
    """Write one line about an epoch to the log."""
    loss = "" if record.loss is None else f" loss {record.loss:.4f},"
    logger.info(
        "epoch %d/%d:%s mean IoU box %.4f, one click %.4f, five clicks %.4f, twenty clicks %.4f, boundary F %.4f, score error %.4f%s",
        record.epoch,
        num_epochs,
        loss,
        record.miou_box,
        record.miou_click,
        record.miou_clicks,
        record.miou_20_clicks,
        record.boundary_f,
        record.score_error,
        " (best)" if record.is_best else "",
    )


def write_metrics(directory: Path, history: Sequence[EpochRecord], about: dict[str, Any]) -> None:
    """Write `metrics.json` and `metrics.csv`.

    Raises:
        ExportError: they cannot be written.
    """
    rows = [asdict(record) for record in history]
    document = json.dumps({**about, "epochs": rows}, indent=1, allow_nan=False)
    write_file(directory / METRICS_NAME, lambda file: file.write(document.encode()))
    table = io.StringIO()
    # A table has one number in a cell.
    writer = csv.DictWriter(table, [key for key in rows[0] if key != "iou_by_click"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_file(directory / METRICS_TABLE_NAME, lambda file: file.write(table.getvalue().encode()))


def _memory_mib() -> float:
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


_NOT_DRAWN = ("epoch", "is_best", "iou_by_click")


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
    """Writes one point per epoch and figure, below a folder that `tensorboard --logdir` reads."""

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
