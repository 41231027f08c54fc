"""Steps as values: exactly one of three things, and what is remembered for lists of them."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.errors import PromptError
from sam2_adapter.interactive.steps import KnownSteps, Step, limit_of

RLE = mask_to_rle(np.ones((2, 3), bool))


@pytest.mark.parametrize(
    "given", [{}, {"point_xy": (1.0, 2.0), "box_xyxy": (0.0, 0.0, 1.0, 1.0)}, {"mask": RLE, "point_xy": (1.0, 1.0)}]
)
def test_a_step_is_one_thing(given):
    with pytest.raises(PromptError, match=f"but got {len(given)} of them"):
        Step(**given)


def test_equal_steps_are_equal_values():
    assert {
        Step(point_xy=(1, 2)),
        Step(point_xy=(1.0, 2.0)),
        Step(mask=RLE),
        Step(mask=mask_to_rle(np.ones((2, 3), bool))),
    } == {
        Step(point_xy=(1, 2)),
        Step(mask=RLE),
    }
    assert Step(point_xy=(1, 2)) != Step(point_xy=(1, 2), foreground=False)


def test_what_was_used_longest_ago_makes_room():
    known = KnownSteps()
    lists = [(Step(point_xy=(x, 0)),) for x in range(65)]
    for number, steps in enumerate(lists[:64]):
        known.put(steps, number)
    assert known.get(lists[0]) == 0
    known.put(lists[64], 64)
    assert [known.get(steps) for steps in (lists[0], lists[1], lists[64])] == [0, None, 64]


BOX = Step(box_xyxy=(10.4, 20.6, 30.2, 40.0))
INSIDE, OUTSIDE = Step(point_xy=(30.2, 25)), Step(point_xy=(30.3, 25))
LIMIT = (10, 20, 31, 40)


@pytest.mark.parametrize(
    ("steps", "limit"),
    [
        ((), None),
        ((INSIDE,), None),
        ((BOX,), LIMIT),
        ((BOX, INSIDE), LIMIT),
        ((INSIDE, BOX), LIMIT),
        ((BOX, OUTSIDE), None),
        ((OUTSIDE, BOX), None),
        ((BOX, OUTSIDE, INSIDE), None),
        ((BOX, Step(point_xy=(50, 50), foreground=False)), LIMIT),
        ((Step(box_xyxy=(0, 0, 100, 100)), INSIDE, BOX), LIMIT),
        ((BOX, OUTSIDE, Step(box_xyxy=(0, 0, 100, 100))), (0, 0, 100, 100)),
        ((BOX, Step(mask=RLE)), None),
        ((BOX, Step(mask=RLE), INSIDE), None),
        ((OUTSIDE, Step(mask=RLE), BOX), LIMIT),
        ((Step(box_xyxy=BOX.box_xyxy, is_loose=True),), None),
        ((BOX, Step(box_xyxy=BOX.box_xyxy, is_loose=True)), None),
    ],
)
def test_a_mask_ends_at_its_box_unless_a_click_says_that_it_goes_on(steps, limit):
    assert limit_of(steps) == limit


def test_a_loose_box_is_another_step():
    assert Step(box_xyxy=(1, 2, 3, 4), is_loose=True) != Step(box_xyxy=(1, 2, 3, 4))
    with pytest.raises(PromptError, match="is_loose"):
        Step(box_xyxy=(1, 2, 3, 4), is_loose="yes")


@pytest.mark.parametrize(
    "pointed",
    [{"point_xy": (70, 20)}, {"point_xy": (20, 51)}, {"box_xyxy": (60, 0, 80, 9)}, {"box_xyxy": (0, 51, 9, 60)}],
)
def test_what_is_pointed_at_beside_the_view_is_refused(pointed):
    with pytest.raises(PromptError, match=r"(Point|Box) \(.*\) lies outside the view \(10, 0, 50, 50\); give a view"):
        Step(**pointed, view_xyxy=(10, 0, 50, 50))


def test_the_view_may_end_at_a_click_and_show_a_part_of_a_box():
    for pointed in ({"point_xy": (50, 50)}, {"point_xy": (10, 0)}, {"box_xyxy": (-5, 5, 90, 9)}):
        assert Step(**pointed, view_xyxy=(10, 0, 50, 50)).view_xyxy == (10, 0, 50, 50)
