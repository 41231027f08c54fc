"""Curves of a model entity: one point of every figure after every epoch, and figures by label after an evaluation."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import dtlpy as dl

from sam2_adapter.dataloop.platform_requests import retried
from sam2_adapter.training.records import EpochRecord, TrainingResult

logger = logging.getLogger(__name__)

# Figure, line, field of the record.
_CURVES = (
    ("loss", "train", "loss"),
    ("loss: pixels", "train", "loss_pixels"),
    ("loss: dice", "train", "loss_dice"),
    ("loss: IoU score", "train", "loss_iou_score"),
    ("loss: object score", "train", "loss_object_score"),
    ("mIoU from boxes", "validation", "miou_box"),
    ("mIoU from one click", "validation", "miou_click"),
    ("mIoU from five clicks", "validation", "miou_clicks"),
    ("mIoU from twenty clicks", "validation", "miou_20_clicks"),
    ("learning rate", "train", "learning_rate"),
)

GENERAL_FIGURE = "general set: mIoU"
CLICKS_FIGURE = "mIoU by clicks"
BLEND_FIGURE = "mIoU by percent of the tuned weights"
EVALUATION_FIGURE = "mIoU of the evaluation, from boxes"
ALL_LABELS = "all labels"


class CurvePublisher:
    """Publishes epochs; points that could not be sent go with the next ones, and do not end a training."""

    def __init__(self, model: Any) -> None:
        """Publish for `model` (`dl.Model`)."""
        self._model = model
        self._pending: list[Any] = []

    def publish(self, record: EpochRecord) -> None:
        """Send the points of an epoch, and those that are still waiting."""
        error = self._send(samples_of(record))
        if error is not None:
            logger.warning(
                "Epoch %d: %d points of curves wait to be sent (%s)", record.epoch, len(self._pending), error
            )

    def publish_outcome(self, result: TrainingResult) -> None:
        """Send what is known at the end: the general set, the click curve and the curve over blends."""
        error = self._send(outcome_samples(result))
        if error is not None:
            logger.warning("%d points of curves could not be sent (%s)", len(self._pending), error)

    def _send(self, samples: list[Any]) -> Exception | None:
        """Send these points and those that are still waiting; the error where that failed, and all of them wait."""
        self._pending += samples
        try:
            publish_samples(self._model, self._model.dataset_id, self._pending)
        except Exception as error:  # curves are not worth losing a training
            return error
        self._pending = []
        return None


def outcome_samples(result: TrainingResult) -> list[Any]:
    """`dl.PlotSample` points of a run's outcome.

    The general set stands at the epochs of the untouched and of the saved model, clicks at their number, and blends at
    the share of the tuned weights in percent.
    """
    points: list[tuple[str, str, int, float]] = []
    general = result.general
    if general is not None:
        found = [(0, general.before)]
        if general.after and result.best_epoch:
            found.append((result.best_epoch, general.after))
        points += [(GENERAL_FIGURE, "box", epoch, quality.miou_box) for epoch, quality in found]
        points += [(GENERAL_FIGURE, "one click", epoch, quality.miou_click) for epoch, quality in found]
    for legend, figures in (("untouched", result.history[0]), ("saved", result.saved)):
        curve = enumerate(figures.iou_by_click, start=1)
        points += [(CLICKS_FIGURE, legend, clicks, iou) for clicks, iou in curve]
    for point in result.blend.curve:
        share = round(100 * point.share)
        points.append((BLEND_FIGURE, "validation", share, point.score))
        if point.general is not None:
            points.append((BLEND_FIGURE, "general", share, point.general.score))
    return [dl.PlotSample(figure=figure, legend=legend, x=x, y=float(y)) for figure, legend, x, y in points]


def samples_of(record: EpochRecord) -> list[Any]:
    """`dl.PlotSample` points of an epoch; what the epoch does not have, or what is not finite, makes none."""
    points = []
    for figure, legend, name in _CURVES:
        value = getattr(record, name)
        if value is not None and math.isfinite(value):
            points.append(dl.PlotSample(figure=figure, legend=legend, x=record.epoch, y=float(value)))
    return points


def publish_label_scores(model: Any, dataset_id: str, ious_by_label: Mapping[str, Sequence[float]]) -> None:
    """Publish the mean IoU of every label and of all objects together."""
    means = {label: sum(ious) / len(ious) for label, ious in sorted(ious_by_label.items()) if ious}
    everything = [iou for ious in ious_by_label.values() for iou in ious]
    if everything:
        means[ALL_LABELS] = sum(everything) / len(everything)
    samples = [dl.PlotSample(figure=EVALUATION_FIGURE, legend=name, x=0, y=float(mean)) for name, mean in means.items()]
    publish_samples(model, dataset_id, samples)


def publish_samples(model: Any, dataset_id: str, samples: list[Any]) -> None:
    """Send points; sending one twice draws it once."""
    if samples:
        retried(lambda: model.metrics.create(samples=samples, dataset_id=dataset_id))
