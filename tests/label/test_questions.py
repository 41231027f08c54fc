"""What a page asks about, from JSON."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.rle import Rle, mask_to_rle
from sam2_adapter.errors import PromptError
from sam2_adapter.interactive import Step
from sam2_adapter.label.questions import point_of, step_of, view_of


@pytest.mark.parametrize(
    ("sent", "step"),
    [
        ({"point": [4, 2]}, Step(point_xy=(4.0, 2.0))),
        ({"point": [4, 2], "inside": False, "view": [0, 0, 5, 5]}, Step(point_xy=(4.0, 2.0), foreground=False, view_xyxy=(0, 0, 5, 5))),
        ({"point": [4, 2], "inside": True, "choice": 2}, Step(point_xy=(4.0, 2.0), choice=2)),
        ({"box": [1, 2, 3, 4]}, Step(box_xyxy=(1.0, 2.0, 3.0, 4.0))),
        ({"box": [1, 2, 3, 4], "loose": True}, Step(box_xyxy=(1.0, 2.0, 3.0, 4.0), is_loose=True)),
        ({"mask": mask_to_rle(np.eye(8) > 0).counts}, Step(mask=Rle(mask_to_rle(np.eye(8) > 0).counts, (8, 8)))),
    ],
)  # fmt: skip
def test_steps(sent, step):
    assert step_of(sent, (8, 8)) == step


@pytest.mark.parametrize("sent", [{}, 5, {"point": [1]}, {"point": "ab"}, {"box": 3}])
def test_what_is_no_step_is_refused(sent):
    with pytest.raises(PromptError, match="A step is a point, a box or a mask"):
        step_of(sent, (8, 8))


def test_places_and_views():
    assert point_of({"point": [1, 2]}) == (1.0, 2.0)
    assert view_of({"view": [1, 2, 3.0, 4]}) == (1, 2, 3, 4)
    assert view_of({}) is None
    for view in ([1, 2, 3], "abcd", [1, 2, 3, float("inf")]):
        with pytest.raises(PromptError, match="A view is four whole numbers"):
            view_of({"view": view})
