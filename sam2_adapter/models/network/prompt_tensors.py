"""Prompts of one shape as the tensors that a runtime decodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.models.network.preprocess import Geometry


@dataclass(frozen=True)
class PromptShape:
    """What prompts that are decoded together have in common: padding to a common length would change the result.

    Attributes:
        num_points: points of each prompt.
        has_box: there is a box.
        has_mask: there is a mask or earlier logits.
        mask_input_hw: (h, w) of the earlier logits; empty without.
        is_ambiguous: a single click or the whole image, which may mean several objects.
    """

    num_points: int
    has_box: bool
    has_mask: bool
    mask_input_hw: tuple[int, ...]
    is_ambiguous: bool

    @classmethod
    def of(cls, prompt: Prompt, original_hw: tuple[int, int]) -> PromptShape:
        """The shape of a prompt in an image of (height, width) pixels."""
        return cls(
            num_points=len(prompt.point_coords),
            has_box=prompt.box_xyxy is not None,
            has_mask=prompt.has_mask,
            mask_input_hw=() if prompt.mask_input is None else prompt.mask_input.shape,
            is_ambiguous=prompt.is_single_click or prompt.is_whole_image(original_hw),
        )


def prompt_tensors(
    prompts: Sequence[Prompt], shape: PromptShape, geometry: Geometry, low_res_hw: tuple[int, int]
) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
    """The tensors of P prompts of one shape, `None` for what they do not have.

    Returns:
        Point coordinates float32 P x N x 2, point labels int64 P x N, boxes float32 P x 4 and mask inputs float32 P x h x w;
        coordinates and boxes in pixels of the model's square.
    """
    coords = labels = boxes = mask_input = None
    if shape.num_points:
        coords = torch.from_numpy(geometry.points_to_input(np.stack([prompt.point_coords for prompt in prompts])))
        labels = torch.from_numpy(np.stack([prompt.point_labels for prompt in prompts]))
    if shape.has_box:
        boxes = torch.from_numpy(_input_boxes(prompts, geometry))
    if shape.has_mask:
        mask_input = torch.stack([_mask_input(prompt, geometry, low_res_hw) for prompt in prompts])
    return coords, labels, boxes, mask_input


def click_positions(prompts: Sequence[Prompt], geometry: Geometry) -> torch.Tensor | None:
    """Centres of the pixels that single clicks hit, P x 2 (x, y) in -1..1 of the model's square; `None` for whole images."""
    if not prompts[0].is_single_click:
        return None
    height, width = geometry.original_hw
    pixels = np.minimum(np.floor([prompt.point_coords[0] for prompt in prompts]), (width - 1, height - 1))
    return torch.from_numpy(geometry.points_to_input(pixels + 0.5)) / geometry.image_size * 2 - 1


def _mask_input(prompt: Prompt, geometry: Geometry, low_res_hw: tuple[int, int]) -> torch.Tensor:
    if prompt.mask_input is not None:
        return torch.from_numpy(prompt.mask_input)
    assert prompt.mask is not None  # only prompts with a mask come here
    return geometry.mask_to_logits(prompt.mask, low_res_hw)


def _input_boxes(prompts: Sequence[Prompt], geometry: Geometry) -> npt.NDArray[np.float32]:
    # A turned box prompts with its upright hull; the modes cut the mask at the turned box.
    hulls = [_hull(prompt, geometry.original_hw) for prompt in prompts]
    return geometry.points_to_input(np.reshape(hulls, (-1, 2, 2))).reshape(-1, 4)


def _hull(prompt: Prompt, original_hw: tuple[int, int]) -> tuple[float, float, float, float]:
    assert prompt.box_hull is not None  # only prompts with a box come here
    x0, y0, x1, y1 = prompt.box_hull
    height, width = original_hw
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
