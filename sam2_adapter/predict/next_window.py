"""Where the next prompt of one object is answered, click after click: in the window of the answer before, as long as it shows what is pointed at.

So clicks that correct an answer do not encode anything.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.window_plan import WindowRule, plan_windows

# What is pointed at keeps this part of a window's side free, except where the image ends.
_MARGIN = 0.1


def next_region(
    predictor: Predictor,
    prompt: Prompt,
    original_hw: tuple[int, int],
    rule: WindowRule,
    earlier: Region | None = None,
) -> Region | None:
    """The region that a prompt is answered in; `None` for the whole image.

    Args:
        predictor: the model.
        prompt: all that was pointed at so far, fitted to the image; earlier logits say nothing about the place.
        original_hw: (height, width) of the image in pixels.
        rule: how windows are chosen.
        earlier: where the answer before was looked for, if that was in a window.
    """
    is_placed = len(prompt.point_coords) or prompt.box_xyxy is not None or prompt.mask is not None
    asked = replace(prompt, mask_input=None) if is_placed else prompt
    planned = plan_windows([asked], predictor.geometry_of(original_hw), predictor.low_res_hw, rule).windows
    if not planned:
        return None
    return earlier if earlier is not None and _shows(earlier, asked, original_hw) else planned[0].region


def _shows(region: Region, prompt: Prompt, original_hw: tuple[int, int]) -> bool:
    """Whether everything that is pointed at lies well inside a region."""
    if prompt.mask is not None:
        return False
    hull = prompt.box_hull
    corners = np.reshape(() if hull is None else hull, (-1, 2))
    points = np.concatenate([prompt.point_coords, corners])
    margin = _MARGIN * max(region.size_hw)
    low = [region.x0 + margin if region.x0 > 0 else 0.0, region.y0 + margin if region.y0 > 0 else 0.0]
    high = [
        region.x1 - margin if region.x1 < original_hw[1] else float(original_hw[1]),
        region.y1 - margin if region.y1 < original_hw[0] else float(original_hw[0]),
    ]
    return bool((points >= low).all() and (points <= high).all())
