"""How good the model is between epochs, measured as `evaluate` does.

The prompts do not change from epoch to epoch nor from run to run, so that a difference is the model's: the exact box of
an object, a click in its middle, and four more clicks in the middle of the largest error with the last answer fed back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sam2_adapter.evaluation.measure import measure_image
from sam2_adapter.evaluation.metrics import expected_calibration_error, mean
from sam2_adapter.evaluation.scores import CLICKS_REPORTED, EvaluationSettings, ObjectScore
from sam2_adapter.formats.sample import Sample
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

# Clicks of the interactive prompt.
NUM_CLICKS = max(CLICKS_REPORTED)


@dataclass(frozen=True)
class ObjectQuality:
    """How well the model does on one object.

    Attributes:
        position: of its image in the data.
        box: measured from its exact box.
        clicks: measured after every click.
    """

    position: int
    box: ObjectScore
    clicks: ObjectScore

    @property
    def score(self) -> float:
        """Mean of the IoU from the box, after one click and after five clicks."""
        return (self.box.mask_iou + self.clicks.iou_after(1) + self.clicks.iou_after(NUM_CLICKS)) / 3


@dataclass(frozen=True)
class Quality:
    """Means over the validation objects; every object counts the same, however many its image has.

    Attributes:
        miou_box: mean IoU from exact boxes.
        miou_click: from one click.
        miou_clicks: after five clicks.
        boundary_f: agreement of the outlines, from boxes.
        score_error: expected calibration error of the IoU score, over boxes and last clicks.
        objects: what the means are of, in the order of the data.
    """

    miou_box: float
    miou_click: float
    miou_clicks: float
    boundary_f: float
    score_error: float
    objects: tuple[ObjectQuality, ...]

    @property
    def score(self) -> float:
        """What models are chosen by: the mean of the three mean IoUs, since all three kinds of prompt are used."""
        return (self.miou_box + self.miou_click + self.miou_clicks) / 3


def mean_quality(objects: Sequence[ObjectQuality]) -> Quality:
    """Average over at least one object."""
    ordered = sorted(objects, key=lambda item: (item.position, item.box.object_index))
    answers = [answer for item in ordered for answer in (item.box, item.clicks)]
    return Quality(
        miou_box=_mean([item.box.mask_iou for item in ordered]),
        miou_click=_mean([item.clicks.iou_after(1) for item in ordered]),
        miou_clicks=_mean([item.clicks.iou_after(NUM_CLICKS) for item in ordered]),
        boundary_f=_mean([item.box.boundary_f for item in ordered]),
        score_error=expected_calibration_error([a.iou_score for a in answers], [a.mask_iou for a in answers]) or 0.0,
        objects=tuple(ordered),
    )


def measure(
    predictor: Predictor, sample: Sample, position: int, embedding: ImageEmbedding, clip_to_box: bool
) -> list[ObjectQuality]:
    """Measure all objects of the image at `position` of the data."""
    settings = EvaluationSettings(clip_to_box=clip_to_box, max_clicks=NUM_CLICKS)
    indices = range(len(sample.objects))
    boxes = measure_image(predictor, sample, indices, embedding, "box", settings)
    clicks = measure_image(predictor, sample, indices, embedding, "clicks", settings)
    return [ObjectQuality(position, *pair) for pair in zip(boxes, clicks, strict=True)]


def _mean(values: Sequence[float]) -> float:
    found = mean(values)
    assert found is not None  # there is at least one object
    return found
