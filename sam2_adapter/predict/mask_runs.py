"""What the decoder found, in the size of the image: all pixels, or, for large images, run lengths alone."""

from __future__ import annotations

from typing import NamedTuple

import torch

from sam2_adapter.annotations.masks import MaskPrediction
from sam2_adapter.annotations.prompts import FloatArray
from sam2_adapter.annotations.rle import Rle, bounds_to_rle, mask_to_rle
from sam2_adapter.models.network.preprocess import Geometry


class MaskRle(NamedTuple):
    """One mask without its pixels.

    Attributes:
        rle: the mask in the size of the image.
        iou_score: the model's estimate of the mask's IoU; not clamped.
        low_res_logits: float32 h x w in the model's frame.
    """

    rle: Rle
    iou_score: float
    low_res_logits: FloatArray


def to_prediction(logits: torch.Tensor, scores: torch.Tensor, geometry: Geometry) -> MaskPrediction:
    """Masks of logits O x M x h x w, upsampled on the device that they are on; scores are O x M."""
    low_res_logits = logits.cpu().numpy()
    if logits.is_cuda:
        masks = geometry.device_logits_to_masks(logits.flatten(0, 1))
    else:
        masks = geometry.logits_to_masks(low_res_logits.reshape(-1, *low_res_logits.shape[2:]))
    return MaskPrediction(
        masks.reshape(*low_res_logits.shape[:2], *geometry.original_hw), scores.cpu().numpy(), low_res_logits
    )


def to_rle(logits: torch.Tensor, score: float, geometry: Geometry) -> MaskRle:
    """The mask of logits h x w, equal to that of `to_prediction`."""
    low_res_logits = logits.cpu().numpy()
    if logits.is_cuda:  # upsampled where `to_prediction` does it, which decides how it is rounded
        rle = mask_to_rle(geometry.device_logits_to_masks(logits[None])[0])
    else:
        rle = bounds_to_rle(geometry.logits_to_bounds(low_res_logits), geometry.original_hw)
    return MaskRle(rle, score, low_res_logits.copy())
