"""The prediction modes: the prompts of one image to its annotations.

No prompt is the zero-shot mode, a point makes one object, a box makes one mask inside it; all of them mix on one image. `Predictor.predict` is
the bare model; what is added here is what a labelling user expects: masks cut at their boxes, labels that travel, empty masks left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sam2_adapter.annotations.masks import clipped_to_box
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import FOREGROUND, Prompt, RefusedPrompt, as_prompts
from sam2_adapter.annotations.rle import Rle, placed_mask_to_rle
from sam2_adapter.arguments import able_to, instance_of, named_text, truth_value
from sam2_adapter.errors import PromptError
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.windows import PlacedAnswers, WindowedImage, WindowUse, predict_in_places
from sam2_adapter.text import plural

# Objects that a short description shows.
_SHOWN_OBJECTS = 5


@dataclass(frozen=True)
class Segmentation:
    """The annotations of one image, in the order of the prompts, and the prompts that gave an empty mask.

    Attributes:
        annotations: one for every prompt with a mask.
        prompts: the prompt of each annotation.
        empty_prompts: positions of the prompts whose mask was empty.
        windows: what became of the windows, see `WindowUse`.
        notes: what of the image is not in it, one sentence each.
    """

    annotations: tuple[Annotation, ...]
    prompts: tuple[Prompt, ...]
    empty_prompts: tuple[int, ...]
    windows: WindowUse = field(default_factory=WindowUse)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """How many objects, and their labels."""
        labels = ", ".join(f"{entry.label!r} {entry.iou_score:.2f}" for entry in self.annotations[:_SHOWN_OBJECTS])
        more = ", ..." if len(self.annotations) > _SHOWN_OBJECTS else ""
        empty = f", {plural(len(self.empty_prompts), 'prompt')} without a mask" if self.empty_prompts else ""
        return f"Segmentation({plural(len(self.annotations), 'object')}: {labels}{more}{empty})"

    @classmethod
    def restored(
        cls,
        annotations: Sequence[Annotation],
        asked: Sequence[Prompt | RefusedPrompt],
        original_hw: tuple[int, int],
        empty_prompts: Sequence[int],
    ) -> Segmentation:
        """What `segment` returned, from annotations that were kept; `asked` are the prompts of the image, or none."""
        prompts = asked or [Prompt.whole_image(original_hw)]
        found = tuple(
            as_prompts([prompts[entry.prompt_index or 0]])[0] if entry.point_xy is None else click_of(entry.point_xy)
            for entry in annotations
        )
        return cls(tuple(annotations), found, tuple(empty_prompts))

    def at_positions(self, positions: Sequence[int]) -> Segmentation:
        """The same with the position of each prompt among all prompts of the image: `positions` has the new one of each."""
        annotations = tuple(
            replace(entry, prompt_index=positions[entry.prompt_index or 0]) for entry in self.annotations
        )
        empty = tuple(positions[index] for index in self.empty_prompts)
        return replace(self, annotations=annotations, empty_prompts=empty, windows=self.windows.moved_to(positions))


def click_of(point_xy: tuple[float, float]) -> Prompt:
    """The click that an object without a prompt was found with."""
    return Prompt(point_coords=np.array([point_xy], np.float32), point_labels=np.array([FOREGROUND]))


def segment(
    predictor: Predictor,
    embedding: ImageEmbedding | None,
    prompts: Sequence[Prompt | RefusedPrompt | Mapping[str, Any]] | None = None,
    *,
    clip_to_box: bool = True,
    default_label: str = "object",
    windowed: WindowedImage | None = None,
) -> Segmentation:
    """Predict one annotation for every prompt of an image, or one for the whole image when there is none.

    Args:
        predictor: the model.
        embedding: the encoded image; with `windowed`, `None` for an image that is too large to be encoded whole.
        prompts: one entry per object.
        clip_to_box: cut masks at the (turned) boxes of their prompts.
        default_label: label of the objects whose prompt has none.
        windowed: the image's pixels and which prompts are answered in windows; `None` for none.

    Raises:
        PromptError: a prompt is malformed, refused, or lies outside the image, or the embedding is none.
        ConfigError: another argument is of another kind.
    """
    able_to(predictor, ("embed", "predict"), "predictor", "a predictor, which load_predictor makes")
    truth_value(clip_to_box, "clip_to_box")
    named_text(default_label, "default_label")
    if windowed is not None:
        instance_of(windowed, WindowedImage, "windowed", "a WindowedImage or None")
    image = embedding if embedding is not None else windowed
    if image is None:
        raise PromptError("Give the encoded image, or its pixels and a rule for windows.")
    if embedding is not None:
        instance_of(embedding, ImageEmbedding, "embedding", "what `embed` returned for one image, or None", PromptError)
    asked = as_prompts(prompts) or [Prompt.whole_image(image.original_hw)]
    found: dict[int, Annotation] = {}
    for answers in predict_in_places(predictor, embedding, asked, windowed):
        for row, index in enumerate(answers.positions):
            rle = _rle(answers, row, asked[index] if clip_to_box else None)
            if rle.area:
                found[index] = _annotation(
                    rle, float(answers.prediction.iou_scores[row, 0]), asked[index], index, default_label
                )
    order = sorted(found)
    return Segmentation(
        annotations=tuple(found[index] for index in order),
        prompts=tuple(asked[index] for index in order),
        empty_prompts=tuple(index for index in range(len(asked)) if index not in found),
        windows=WindowUse() if windowed is None else windowed.use,
    )


def _rle(answers: PlacedAnswers, row: int, clipping: Prompt | None) -> Rle:
    """A mask at its place in the image, at the cost of its window; cut at the box of `clipping`."""
    region, mask = answers.window.region, answers.prediction.masks[row, 0]
    if clipping is not None and clipping.box_xyxy is not None:
        x0, y0, x1, y1 = clipping.box_xyxy
        box = x0 - region.x0, y0 - region.y0, x1 - region.x0, y1 - region.y0
        mask = clipped_to_box(mask, box, clipping.box_angle)
    part, inside = region.part_inside(mask, answers.window.image_hw)
    return placed_mask_to_rle(part, (inside.x0, inside.y0), answers.window.image_hw)


def _annotation(rle: Rle, iou_score: float, prompt: Prompt, index: int, default_label: str) -> Annotation:
    return Annotation.from_rle(
        rle,
        label=prompt.label or default_label,
        iou_score=iou_score,
        attributes=prompt.attributes,
        object_id=prompt.object_id,
        parent_id=prompt.parent_id,
        prompt_index=index,
    )
