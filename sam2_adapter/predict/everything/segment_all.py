"""`segment_all`: everything in an encoded image as annotations, the answer of everything-mode to an image without prompts."""

from __future__ import annotations

from collections.abc import Callable

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.images.sources import Pixels
from sam2_adapter.predict.everything.find import find_everything
from sam2_adapter.predict.everything.finish import Finished
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import Segmentation, click_of
from sam2_adapter.text import plural

# Told how many points are done, and their total; may raise to end the search.
OnPoints = Callable[[int, int], None]


def segment_all(
    predictor: Predictor,
    image: Pixels | None,
    embedding: ImageEmbedding,
    settings: EverythingSettings,
    *,
    default_label: str = "object",
    on_points: OnPoints | None = None,
) -> Segmentation:
    """Find all objects of an image.

    Args:
        predictor: the model.
        image: uint8 RGB H x W x 3; may be left out where the settings ask for no crops or tiles.
        embedding: the encoded image.
        settings: see `EverythingSettings`.
        default_label: label of the objects.
        on_points: told after every call of the decoder how many points are done, and their total; may raise to end the search.

    Returns:
        The objects, best first, each with its score, stability and the point that found it; where there are more than `max_objects`, a note.
    """
    for step in find_everything(predictor, image, embedding, settings):
        if on_points is not None:
            on_points(step.done, step.total)
    return to_segmentation(step.finished(), default_label)


def to_segmentation(finished: Finished, default_label: str = "object") -> Segmentation:
    """The objects of a step of `find_everything` as annotations."""
    annotations = tuple(
        Annotation.from_rle(
            entry.rle,
            default_label,
            entry.iou_score,
            stability_score=entry.stability_score,
            point_xy=entry.point_xy,
        )
        for entry in finished.objects
    )
    prompts = tuple(click_of(entry.point_xy) for entry in finished.objects)
    notes: tuple[str, ...] = ()
    if finished.num_dropped:
        kept, more = plural(len(finished.objects), "object"), plural(finished.num_dropped, "more object")
        notes = (f"the best {kept} are kept, and {more} were found (max_objects)",)
    return Segmentation(annotations, prompts, (), notes=notes)
