"""Prompts that are typed on the command line."""

from __future__ import annotations

import pytest

from sam2_adapter.cli.prompt_options import prompts_from_options
from sam2_adapter.cli.terminal import UsageError


@pytest.mark.parametrize("point", ["120,80", "120, 80", " 120 80 ", "(120; 80)"])
@pytest.mark.parametrize("box", ["40,60,300,220", "40, 60, 300, 220", "[40 60 300 220]"])
def test_harmless_forms_mean_the_same(point: str, box: str) -> None:
    clicked, boxed = prompts_from_options([point], [box])
    assert clicked.point_coords.tolist() == [[120, 80]]
    assert clicked.point_labels.tolist() == [1]
    assert boxed.box_xyxy == (40, 60, 300, 220)


@pytest.mark.parametrize(
    ("points", "boxes", "text"),
    [
        (["12"], [], "--point 12: expected X,Y, 2 numbers in pixels, such as --point 240,160"),
        (["1,2,3"], [], "--point 1,2,3: expected X,Y, 2 numbers"),
        (["left,top"], [], "--point left,top: expected X,Y"),
        (["nan,3"], [], "must be finite numbers"),
        ([""], [], "expected X,Y"),
        ([], ["1,2,3"], "--box 1,2,3: expected X0,Y0,X1,Y1, 4 numbers in pixels, such as --box 40,60,300,220"),
        ([], ["5,5,5,9"], "is empty"),
    ],
)
def test_anything_else_is_refused(points: list[str], boxes: list[str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        prompts_from_options(points, boxes)
