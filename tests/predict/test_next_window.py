"""Where the next prompt of an object is answered."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.predict.next_window import next_region
from sam2_adapter.predict.window_plan import WindowRule
from tests.small_model import small_predictor

HW = (1000, 1200)
FIRST = Region(436, 336, 564, 464)


def _clicks(*points: tuple[float, float], box: tuple[float, ...] | None = None) -> Prompt:
    return Prompt(
        point_coords=np.array(points, np.float32), point_labels=np.array([1] + [0] * (len(points) - 1)), box_xyxy=box
    )


@pytest.mark.parametrize(
    ("prompt", "earlier", "expected"),
    [
        (_clicks((500, 400)), None, FIRST),
        (_clicks((505, 395), (520, 420)), FIRST, FIRST),
        (_clicks((500, 400), (560, 400)), FIRST, FIRST),
        (_clicks((540, 400)), FIRST, FIRST),
        (_clicks((560, 400)), FIRST, FIRST.moved(60, 0)),
        (_clicks((5, 5)), Region(0, 0, 128, 128), Region(0, 0, 128, 128)),
        (Prompt(box_xyxy=(100, 100, 1100, 900)), FIRST, None),
    ],
)
def test_a_window_stays_as_long_as_it_shows_what_is_pointed_at(
    prompt: Prompt, earlier: Region | None, expected: Region | None
) -> None:
    assert next_region(small_predictor(), prompt, HW, WindowRule(128), earlier) == expected


def test_without_windows_it_is_the_whole_image() -> None:
    assert next_region(small_predictor(), _clicks((500, 400)), HW, WindowRule(), FIRST) is None
    assert next_region(small_predictor(), _clicks((500, 400)), HW, WindowRule("auto"), FIRST) is None


def test_earlier_logits_do_not_say_where_the_object_is() -> None:
    logits = np.full(small_predictor().low_res_hw, -5, np.float32)
    logits[:2, :2] = 5
    prompt = Prompt(point_coords=np.array([[500, 400]], np.float32), point_labels=np.array([1]), mask_input=logits)
    assert next_region(small_predictor(), prompt, HW, WindowRule(128)) == FIRST
