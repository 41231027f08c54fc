"""Correction clicks during training: a click where the last answer was wrong, chosen on the grid of the targets."""

from __future__ import annotations

import numpy as np
import torch

from sam2_adapter.annotations.clicks import Click, clicks_to_arrays, sample_correction_click
from sam2_adapter.annotations.prompts import BoolArray, FloatArray
from sam2_adapter.training.losses import MaskTargets

# A cell belongs to the object when the object covers at least this share of it.
_COVERED = 0.5


def correction_clicks(
    logits: torch.Tensor, targets: MaskTargets, image_size: int, generators: list[np.random.Generator]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one click an object; see `sample_correction_click`.

    Args:
        logits: P x h x w, the last answer on the grid of the targets.
        targets: the same objects.
        image_size: side of the model's square in pixels.
        generators: one for each object.

    Returns:
        float32 P x 1 x 2, (x, y) pixels of the model's square, and int64 P x 1 labels.
    """
    predicted = (logits > 0).cpu().numpy()
    covered, inside = targets.masks.cpu().numpy(), targets.inside.cpu().numpy()
    ignored = [None] * len(predicted) if targets.ignored is None else targets.ignored.cpu().numpy()
    clicks = [_click(*parts) for parts in zip(predicted, covered, inside, ignored, generators, strict=True)]
    coords, labels = clicks_to_arrays(clicks)
    cell = image_size / predicted.shape[-1]
    return torch.from_numpy(coords * cell)[:, None].to(logits.device), torch.from_numpy(labels)[:, None].to(
        logits.device
    )


def _click(
    predicted: BoolArray,
    covered: FloatArray,
    inside: FloatArray,
    ignored: BoolArray | None,
    generator: np.random.Generator,
) -> Click:
    # Padding lies to the right and below, and nobody clicks there.
    counts = inside > 0
    height, width = (int(np.flatnonzero(counts.any(axis=axis))[-1]) + 1 for axis in (1, 0))
    covered = covered[:height, :width]
    shown_ignored = None if ignored is None else ignored[:height, :width]
    # An object that covers no cell by half is where it covers most.
    object_cells = covered >= min(_COVERED, float(covered.max()))
    return sample_correction_click(object_cells, predicted[:height, :width], generator, ignored=shown_ignored)
