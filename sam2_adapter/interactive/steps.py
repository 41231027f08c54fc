"""`Step`: one thing that was pointed at. A list of steps is all that there is to know about an object under way.

Steps are plain values that can be compared, kept and sent; `Session.go_to` turns a list of them into an answer.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from sam2_adapter.annotations.prompt_values import checked_numbers, shown_numbers
from sam2_adapter.annotations.regions import Region, checked_region
from sam2_adapter.annotations.rle import Rle
from sam2_adapter.arguments import instance_of, truth_value, whole_number
from sam2_adapter.errors import PromptError

_T = TypeVar("_T")

# Answers that are remembered for each object: undo and redo of so many steps ask the model nothing.
_MOST_KNOWN = 64


@dataclass(frozen=True)
class Step:
    """A click, a box or a mask that somebody drew: exactly one of the three.

    Attributes:
        point_xy: (x, y) in pixels of the image.
        foreground: whether the object is at that point.
        box_xyxy: (x0, y0, x1, y1) in pixels, around the object; see `limit_of`.
        is_loose: the box says about where the object is, which may go on beyond it.
        mask: in the size of the image; what is pointed at afterwards refines it.
        view_xyxy: (x0, y0, x1, y1) in whole pixels, the part of the image that was looked at in full resolution; `None` for all of it.
        choice: position of the candidate that was taken as the answer, best-scored first; `None` for the answer that
            the model gave by itself.
    """

    point_xy: tuple[float, float] | None = None
    foreground: bool = True
    box_xyxy: tuple[float, ...] | None = None
    mask: Rle | None = None
    view_xyxy: tuple[int, int, int, int] | None = None
    choice: int | None = None
    is_loose: bool = False

    def __post_init__(self) -> None:
        """Check every field, and that it is exactly one of the three."""
        set_field = object.__setattr__
        if self.point_xy is not None:
            set_field(self, "point_xy", checked_numbers("point", self.point_xy, 2))
        if self.box_xyxy is not None:
            set_field(self, "box_xyxy", checked_numbers("box", self.box_xyxy, 4))
        if self.mask is not None:
            instance_of(self.mask, Rle, "mask", "the run lengths of a mask (Rle)", PromptError)
        if self.view_xyxy is not None:
            view = checked_region(self.view_xyxy)
            set_field(self, "view_xyxy", (view.x0, view.y0, view.x1, view.y1))
            self._check_in_view(view)
        if self.choice is not None:
            whole_number(self.choice, "choice", 0, error=PromptError)
        truth_value(self.foreground, "foreground", PromptError)
        truth_value(self.is_loose, "is_loose", PromptError)
        given = [value for value in (self.point_xy, self.box_xyxy, self.mask) if value is not None]
        if len(given) != 1:
            raise PromptError(f"A step is one point, one box or one mask, but got {len(given)} of them.")

    def _check_in_view(self, view: Region) -> None:
        """What is pointed at lies in the view that it is looked at in: beside it, it would say nothing there."""
        given = self.box_xyxy or self.point_xy
        if given is None:
            return
        (x0, y0), (x1, y1) = given[:2], given[-2:]  # a point is both corners
        if x0 > view.x1 or y0 > view.y1 or x1 < view.x0 or y1 < view.y0:
            what = "Box" if self.box_xyxy is not None else "Point"
            raise PromptError(
                f"{what} {shown_numbers(given)} lies outside the view {view}; give a view that shows it, or none."
            )


Steps = tuple[Step, ...]


def limit_of(steps: Steps) -> tuple[int, int, int, int] | None:
    """The box that a mask ends at, (x0, y0, x1, y1) of whole pixels; `None` where it may go on everywhere.

    Whoever draws a box means what is in it, and a click in it corrects what is there. A click outside that says the object is there too
    lets the mask go on beyond the box.
    """
    since = steps[max((number for number, step in enumerate(steps, start=1) if step.mask is not None), default=0) :]
    drawn = [(step.box_xyxy, step.is_loose) for step in since if step.box_xyxy is not None]
    if not drawn:
        return None
    (x0, y0, x1, y1), is_loose = drawn[-1]
    if is_loose:
        return None
    points = [step.point_xy for step in since if step.point_xy is not None and step.foreground]
    if not all(x0 <= x <= x1 and y0 <= y <= y1 for x, y in points):
        return None
    return math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)


class KnownSteps(Generic[_T]):
    """What belongs to lists of steps; those used longest ago make room."""

    def __init__(self) -> None:
        self._values: OrderedDict[Steps, _T] = OrderedDict()

    def get(self, steps: Steps) -> _T | None:
        """What was put there for exactly these steps."""
        value = self._values.get(steps)
        if value is not None:
            self._values.move_to_end(steps)
        return value

    def put(self, steps: Steps, value: _T) -> None:
        """Remember something for these steps."""
        self._values[steps] = value
        while len(self._values) > _MOST_KNOWN:
            self._values.popitem(last=False)
