"""`EverythingSettings`: how all objects of an image are found without prompts.

A part of `Config`, which inherits its keys, and the nested view that `Config.everything` gives. Keys with the names of Meta's automatic mask
generator mean what they mean there (https://github.com/facebookresearch/sam2, `sam2/automatic_mask_generator.py`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EverythingSettings(BaseModel):
    """Settings of everything-mode; thresholds that are `None` are the model's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    without_prompts: Literal["prominent", "everything"] = Field(
        "prominent", description="What is found in an image without prompts: its most prominent object, or everything."
    )
    everything_mode: Literal["fast", "exact"] = Field(
        "fast",
        description="How everything is found: 'fast' looks closer only where neighbouring points do not agree, and compares masks; 'exact' does what Meta's "
        "automatic mask generator does.",
    )
    points_per_side: int = Field(
        32, ge=1, le=256, description="Points along a side of the grid that everything is looked for with."
    )
    pred_iou_thresh: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Everything: least predicted IoU of a mask; if not given, the model's own threshold, else 0.8.",
    )
    stability_score_thresh: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Everything: least stability of a mask, the IoU of it at two thresholds; if not given, the model's own, else 0.95.",
    )
    stability_score_offset: float = Field(
        1.0, gt=0, le=100, description="Everything: how far those two thresholds of the logits lie from 0."
    )
    box_nms_thresh: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Everything: of masks whose boxes have a larger IoU the best one is kept; 1 keeps all. If not given, 0.7 in exact mode "
        "and 1 in fast mode.",
    )
    mask_nms_thresh: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Everything: of masks with a larger IoU the best one is kept; 1 keeps all. If not given, 0.7 in fast mode and 1 in exact "
        "mode.",
    )
    crop_n_layers: int = Field(
        0,
        ge=0,
        le=4,
        description="Everything: also look at crops of the image: 1 for 2 x 2, 2 for 4 x 4 besides those, and so on.",
    )
    crop_n_points_downscale_factor: int = Field(
        1,
        ge=1,
        le=16,
        description="Everything: the grid of each layer of crops has so many times fewer points per side.",
    )
    tile_size: int = Field(
        0,
        ge=0,
        le=65_536,
        description="Everything: also look at overlapping tiles of so many pixels per side, for small things in large images; 0 for none.",
    )
    min_mask_region_area: int = Field(
        0, ge=0, description="Everything: parts and holes of a mask with fewer pixels are removed."
    )
    drop_contained: bool = Field(
        False, description="Everything: of two masks one of which lies in the other, keep the better one only."
    )
    max_objects: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Everything: most objects of an image, the best ones; a note says when there are more.",
    )
    overlaps: Literal["keep", "highest_score"] = Field(
        "keep",
        description="Everything: masks may overlap, or every pixel belongs to the mask with the highest score that holds it.",
    )
