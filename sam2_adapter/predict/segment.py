"""The prediction modes: the prompts of one image to its annotations.

No prompt is the zero-shot mode, a point makes one object, a box makes one mask inside it; all of them mix on one image. `Predictor.predict` is
the bare model; what is added here is what a labelling user expects: masks cut at their boxes, labels that travel, empty masks left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sam2_adapter.annotations.masks import box_region
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import BoolArray, Prompt, RefusedPrompt, as_prompts
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
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
    """

    annotations: tuple[Annotation, ...]
    prompts: tuple[Prompt, ...]
    empty_prompts: tuple[int, ...]

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
        found = tuple(as_prompts([prompts[entry.prompt_index or 0]])[0] for entry in annotations)
        return cls(tuple(annotations), found, tuple(empty_prompts))


def segment(
    predictor: Predictor,
    embedding: ImageEmbedding,
    prompts: Sequence[Prompt | RefusedPrompt | Mapping[str, Any]] | None = None,
    *,
    clip_to_box: bool = True,
    default_label: str = "object",
) -> Segmentation:
    """Predict one annotation for every prompt of an image, or one for the whole image when there is none.

    Args:
        predictor: the model.
        embedding: the encoded image.
        prompts: one entry an object.
        clip_to_box: cut masks at the (turned) boxes of their prompts.
        default_label: label of the objects whose prompt has none.

    Raises:
        PromptError: a prompt is malformed, refused, or lies outside the image.
    """
    asked = as_prompts(prompts) or [Prompt.whole_image(embedding.original_hw)]
    found: dict[int, Annotation] = {}
    for indices, part in predictor.predict_parts(embedding, asked):
        for row, index in enumerate(indices):
            mask = _clipped(part.masks[row, 0], asked[index]) if clip_to_box else part.masks[row, 0]
            if mask.any():
                found[index] = _annotation(mask, float(part.iou_scores[row, 0]), asked[index], index, default_label)
    order = sorted(found)
    return Segmentation(
        annotations=tuple(found[index] for index in order),
        prompts=tuple(asked[index] for index in order),
        empty_prompts=tuple(index for index in range(len(asked)) if index not in found),
    )


def _clipped(mask: BoolArray, prompt: Prompt) -> BoolArray:
    if prompt.box_xyxy is None:
        return mask
    height, width = mask.shape
    return mask & box_region((height, width), prompt.box_xyxy, prompt.box_angle)


def _annotation(mask: BoolArray, iou_score: float, prompt: Prompt, index: int, default_label: str) -> Annotation:
    return Annotation.from_mask(
        mask,
        label=prompt.label or default_label,
        iou_score=iou_score,
        attributes=prompt.attributes,
        object_id=prompt.object_id,
        parent_id=prompt.parent_id,
        prompt_index=index,
    )
