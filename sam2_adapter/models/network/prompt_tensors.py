"""Prompts of one shape as the tensors that an engine decodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.models.network.obeyed_clicks import Clicks
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


@dataclass(frozen=True, eq=False)
class PromptTensors:
    """P prompts of one shape; coordinates and boxes in pixels of the model's square, `None` for what they do not have.

    Attributes:
        point_coords: float32 P x N x 2, (x, y); N > 0.
        point_labels: int64 P x N, 1 foreground, 0 background.
        box_xyxy: float32 P x 4.
        mask_input: float32 P x h x w logits; sizes other than the model's are resampled.
    """

    point_coords: torch.Tensor | None = None
    point_labels: torch.Tensor | None = None
    box_xyxy: torch.Tensor | None = None
    mask_input: torch.Tensor | None = None

    @property
    def parts(self) -> tuple[torch.Tensor | None, ...]:
        """The four tensors in the order of the attributes."""
        return self.point_coords, self.point_labels, self.box_xyxy, self.mask_input

    def __len__(self) -> int:
        """P."""
        return next((len(part) for part in self.parts if part is not None), 0)

    def __getitem__(self, rows: slice) -> PromptTensors:
        """Some of the prompts, sharing memory."""
        return self.map(lambda part: part[rows])

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> PromptTensors:
        """The same with every tensor changed."""
        return PromptTensors(*(None if part is None else change(part) for part in self.parts))

    def to(self, device: str | torch.device) -> PromptTensors:
        """The same on a device."""
        return self.map(lambda part: part.to(device))

    @classmethod
    def stack(cls, batches: Sequence[PromptTensors]) -> PromptTensors:
        """The prompts of several batches of one shape after one another."""
        columns = zip(*(batch.parts for batch in batches), strict=True)
        return cls(*(None if column[0] is None else torch.cat(column) for column in columns))


def prompt_tensors(
    prompts: Sequence[Prompt], shape: PromptShape, geometry: Geometry, low_res_hw: tuple[int, int]
) -> PromptTensors:
    """The tensors of P prompts of one shape in an image."""
    coords = labels = boxes = mask_input = None
    if shape.num_points:
        coords = torch.from_numpy(geometry.points_to_input(np.stack([prompt.point_coords for prompt in prompts])))
        labels = torch.from_numpy(np.stack([prompt.point_labels for prompt in prompts]))
    if shape.has_box:
        boxes = torch.from_numpy(_input_boxes(prompts, geometry))
    if shape.has_mask:
        mask_input = torch.stack([_mask_input(prompt, geometry, low_res_hw) for prompt in prompts])
    return PromptTensors(coords, labels, boxes, mask_input)


def clicks_of(prompts: Sequence[Prompt], shape: PromptShape, geometry: Geometry) -> Clicks | None:
    """The clicks of prompts of one shape, at the centres of the pixels that they hit; `None` where they have none."""
    if not shape.num_points:
        return None
    height, width = geometry.original_hw
    pixels = np.minimum(np.floor([prompt.point_coords for prompt in prompts]), (width - 1, height - 1))
    positions = square_positions(torch.from_numpy(geometry.points_to_input(pixels + 0.5)), geometry.image_size)
    labels = torch.from_numpy(np.stack([prompt.point_labels for prompt in prompts]))
    if geometry.resize == "stretch":
        return Clicks(positions, labels)
    samples, weights = geometry.samples_of(pixels.astype(np.int64))
    return Clicks(
        positions, labels, square_positions(torch.from_numpy(samples), geometry.image_size), torch.from_numpy(weights)
    )


def square_positions(points_px: torch.Tensor, image_size: int) -> torch.Tensor:
    """Pixels ... x 2 of the model's square as `select_answer` takes them, -1..1."""
    return points_px / image_size * 2 - 1


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
