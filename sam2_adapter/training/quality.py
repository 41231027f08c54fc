"""How good the model is between epochs, measured as `evaluate` does.

The prompts do not change from epoch to epoch nor from run to run, so that a difference is the model's: the exact box of
an object, a click in its middle, and four more clicks in the middle of the largest error with the last answer fed back.
Some objects get clicks up to the twentieth, to see whether late ones still help.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from sam2_adapter.evaluation.measure import measure_image
from sam2_adapter.evaluation.metrics import expected_calibration_error, mean
from sam2_adapter.evaluation.scores import CLICKS_REPORTED, EvaluationSettings, ObjectScore
from sam2_adapter.formats.sample import Sample
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.training.general import evenly

# Clicks of the interactive prompt, and of the click curve.
NUM_CLICKS, CURVE_CLICKS = max(CLICKS_REPORTED), 20

# Objects of the click curve, evenly chosen: each costs fifteen answers more than the others.
CURVE_OBJECTS = 64


@dataclass(frozen=True)
class ObjectQuality:
    """How well the model does on one object.

    Attributes:
        position: of its image in the data.
        box: measured from its exact box.
        clicks: measured after every click.
        is_on_curve: it got clicks up to the twentieth, unless it was good enough before.
    """

    position: int
    box: ObjectScore
    clicks: ObjectScore
    is_on_curve: bool = True


@dataclass(frozen=True)
class Figures:
    """Means over the validation objects; every object counts the same, however many its image has.

    Attributes:
        miou_box: mean IoU from exact boxes.
        miou_click: from one click.
        miou_clicks: after five clicks.
        boundary_f: agreement of the outlines, from boxes.
        score_error: expected calibration error of the IoU score, over boxes and last clicks.
        iou_by_click: mean IoU of the objects on the click curve after each of the clicks.
    """

    miou_box: float
    miou_click: float
    miou_clicks: float
    boundary_f: float
    score_error: float
    iou_by_click: tuple[float, ...]

    @property
    def miou_20_clicks(self) -> float:
        """After twenty clicks, of the objects on the click curve."""
        return self.iou_by_click[-1]

    @property
    def score(self) -> float:
        """What models are chosen by: the mean of the IoUs from boxes, after one, five and twenty clicks, since all of them are used."""
        return (self.miou_box + self.miou_click + self.miou_clicks + self.miou_20_clicks) / 4


@dataclass(frozen=True)
class Quality(Figures):
    """Means, and what they are of.

    Attributes:
        objects: in the order of the data.
    """

    objects: tuple[ObjectQuality, ...]

    @property
    def figures(self) -> Figures:
        """The means alone."""
        return figures_among(self)


def figures_among(values: object) -> Figures:
    """The means among the attributes of something that has more."""
    return Figures(**{field.name: getattr(values, field.name) for field in fields(Figures)})


def curve_objects(samples: Sequence[Sample], positions: Sequence[int]) -> dict[int, frozenset[int]]:
    """The objects of the click curve: position of the image to those of its objects that get all clicks.

    Args:
        samples: the data.
        positions: of the images that are measured.
    """
    places = [(position, index) for position in positions for index in range(len(samples[position].objects))]
    chosen = evenly(places, CURVE_OBJECTS)
    return {position: frozenset(index for at, index in chosen if at == position) for position in positions}


def mean_quality(objects: Sequence[ObjectQuality]) -> Quality:
    """Average over at least one object."""
    ordered = sorted(objects, key=lambda item: (item.position, item.box.object_index))
    answers = [answer for item in ordered for answer in (item.box, item.clicks)]
    # Where the image of every object on the curve is broken, all objects stand in for them.
    on_curve = [item for item in ordered if item.is_on_curve] or ordered
    return Quality(
        miou_box=_mean([item.box.mask_iou for item in ordered]),
        miou_click=_mean([item.clicks.iou_after(1) for item in ordered]),
        miou_clicks=_mean([item.clicks.iou_after(NUM_CLICKS) for item in ordered]),
        boundary_f=_mean([item.box.boundary_f for item in ordered]),
        score_error=expected_calibration_error([a.iou_score for a in answers], [a.mask_iou for a in answers]) or 0.0,
        iou_by_click=tuple(
            _mean([item.clicks.iou_after(count) for item in on_curve]) for count in range(1, CURVE_CLICKS + 1)
        ),
        objects=tuple(ordered),
    )


def measure(
    predictor: Predictor,
    sample: Sample,
    position: int,
    embedding: ImageEmbedding,
    clip_to_box: bool,
    on_curve: Collection[int],
) -> list[ObjectQuality]:
    """Measure all objects of the image at `position` of the data; those at `on_curve` get clicks up to the twentieth."""
    settings, indices = EvaluationSettings(clip_to_box=clip_to_box, max_clicks=CURVE_CLICKS), range(len(sample.objects))
    boxes = measure_image(predictor, sample, indices, embedding, "box", settings)
    # All objects together, as in `evaluate`, which gives the same figures to the last digit.
    clicks = measure_image(predictor, sample, indices, embedding, "clicks", settings, on_curve)
    pairs = zip(boxes, clicks, strict=True)
    return [ObjectQuality(position, *pair, index in on_curve) for index, pair in enumerate(pairs)]


def _mean(values: Sequence[float]) -> float:
    found = mean(values)
    assert found is not None  # there is at least one object
    return found
