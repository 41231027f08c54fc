"""Which prompts of an image are answered in which windows: geometry only, nothing is read or encoded.

A model's mask has few cells: 256 per side for every SAM2, 64 for the bundled model. What is under four of them cannot come out sharp. A prompt
that says how large its object is, a box or a mask, is small by that rule, and gets a window of a few times its size. A click says nothing of
the kind: its window is the user's choice. Neighbours share windows, since encoding one is the costly step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.masks import mask_to_box_xyxy
from sam2_adapter.annotations.prompts import FOREGROUND, Prompt
from sam2_adapter.annotations.regions import Box, Region
from sam2_adapter.arguments import whole_number
from sam2_adapter.config_views import LARGEST_WINDOW, SMALLEST_WINDOW
from sam2_adapter.errors import ConfigError
from sam2_adapter.models.network.preprocess import MOST_SIZES, Geometry, ModelWindow

WindowChoice = Literal["off", "auto"] | int
"""`off`, `auto`, or the side in pixels of the windows of clicks; see the setting `window`."""

# Cells of the low-res mask that the shorter side of a prompt needs.
_FEWEST_CELLS = 4

# Sides of windows in object sizes (the longer side of the prompt): of a window for one object, of the largest shared one, and of the largest
# one where there are more windows than allowed. On validation images of nuclei the IoU is 0.856 at 3 and 0.851 at 6.
OBJECT_SIZES = 3.0
_SHARED_SIZES = 6.0
# Around an object, as much of its size stays free on each side, and around a click as much of its window.
_MARGIN = 0.5
_CLICK_MARGIN = 0.35


class WindowSettings(Protocol):
    """Settings with the keys of windows."""

    @property
    def window(self) -> str:
        """`off`, `auto` or a number of pixels, as text."""

    @property
    def max_windows(self) -> int:
        """Most windows of an image."""


@dataclass(frozen=True)
class WindowRule:
    """How windows are chosen; checked when built.

    Attributes:
        choice: `off`: none. `auto`: for small prompts with a size. A number: as `auto`, and a window of so many pixels around each click.
        max_windows: most windows of an image.
        model: what the model was tuned on; then every prompt is answered at that scale, whatever `choice` says.
    """

    choice: WindowChoice = "off"
    max_windows: int = 64
    model: ModelWindow | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        is_number = isinstance(self.choice, int) and not isinstance(self.choice, bool)
        if not (self.choice in ("off", "auto") or (is_number and SMALLEST_WINDOW <= self.choice <= LARGEST_WINDOW)):  # type: ignore[operator]
            raise ConfigError(
                f"window is 'off', 'auto' or a number of pixels from {SMALLEST_WINDOW} to {LARGEST_WINDOW}, but got {self.choice!r}."
            )
        whole_number(self.max_windows, "max_windows", 1)

    @classmethod
    def of(cls, settings: WindowSettings, model: ModelWindow | None = None) -> WindowRule:
        """The rule of settings, for a model that was tuned on windows or not."""
        choice = str(settings.window)
        return cls(int(choice) if choice.isdigit() else choice, settings.max_windows, model)  # type: ignore[arg-type]

    @property
    def is_off(self) -> bool:
        """Whether everything is answered on the whole image."""
        return self.choice == "off" and self.model is None

    @property
    def click_pixels(self) -> int | None:
        """Side of the window of a click; `None` where clicks are answered on the whole image."""
        if self.model is not None:
            return self.model.pixels
        return self.choice if isinstance(self.choice, int) else None


@dataclass(frozen=True)
class PlannedWindow:
    """A window and the prompts that are answered in it.

    Attributes:
        region: where it lies.
        prompts: their positions, ascending.
    """

    region: Region
    prompts: tuple[int, ...]


@dataclass(frozen=True)
class WindowPlan:
    """What is answered where.

    Attributes:
        windows: at most as many as allowed.
        whole: positions of the prompts that are answered on the whole image.
        left: those of `whole` that a window would have been for, had there been more.
    """

    windows: tuple[PlannedWindow, ...]
    whole: tuple[int, ...]
    left: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Wish:
    """A window that one prompt needs.

    Attributes:
        prompt: its position.
        keep: what has to lie inside the window, as far as the image has it.
        side: of a window for this prompt alone, in pixels.
        most: of the largest window that it may share.
    """

    prompt: int
    keep: Box
    side: float
    most: float

    def sharing(self, factor: float, most: float) -> _Wish:
        """The same in larger windows, up to `most` pixels; that of a click has one size."""
        return self if self.most <= self.side else replace(self, most=max(self.most, min(self.most * factor, most)))


def prompt_box(prompt: Prompt, geometry: Geometry) -> Box | None:
    """The upright box (x0, y0, x1, y1) around what a prompt says about its object's size; `None` where it has only points."""
    if prompt.box_hull is not None:
        return prompt.box_hull
    if prompt.mask is not None:
        return mask_to_box_xyxy(prompt.mask)
    cells = None if prompt.mask_input is None else mask_to_box_xyxy(prompt.mask_input > 0)
    if cells is None or prompt.mask_input is None:
        return None
    rows, columns = prompt.mask_input.shape
    (height, width), (input_height, input_width) = geometry.original_hw, geometry.input_hw
    across = geometry.image_size / columns * width / input_width
    down = geometry.image_size / rows * height / input_height
    x0, y0, x1, y1 = cells
    return x0 * across, y0 * down, min(x1 * across, width), min(y1 * down, height)


def is_small(box_xyxy: Box, geometry: Geometry, low_res_hw: tuple[int, int]) -> bool:
    """Whether a box is too small in the model's square for a sharp mask: its shorter side under four cells of the low-res mask."""
    corners = geometry.points_to_input(np.reshape(box_xyxy, (2, 2)).astype(np.float64))
    cells = (corners[1] - corners[0]) * (low_res_hw[1], low_res_hw[0]) / geometry.image_size
    return bool(cells.min() < _FEWEST_CELLS)


def plan_windows(
    prompts: Sequence[Prompt],
    geometry: Geometry,
    low_res_hw: tuple[int, int],
    rule: WindowRule,
    *,
    always: bool = False,
) -> WindowPlan:
    """Choose the windows of an image.

    Args:
        prompts: of the image, fitted to it.
        geometry: how the whole image would lie in the model's square.
        low_res_hw: (h, w) of the model's mask.
        rule: how they are chosen.
        always: prompts with a size get a window whether or not they are small, as in an image that is too large to be encoded whole.
    """
    asked = () if rule.is_off else enumerate(prompts)
    found = (_wish(position, prompt, geometry, low_res_hw, rule, always=always) for position, prompt in asked)
    wishes = [wish for wish in found if wish is not None]
    largest = np.inf if rule.model is not None else max(geometry.original_hw) - 1.0
    groups = _grouped(wishes, rule.max_windows, largest)
    most = sorted(groups, key=lambda group: (-len(group), group[0].prompt))[: rule.max_windows]
    planned = [
        PlannedWindow(_region(group, geometry, rule), tuple(sorted(wish.prompt for wish in group))) for group in most
    ]
    windows = tuple(sorted(planned, key=lambda window: window.prompts))
    in_windows = {position for window in windows for position in window.prompts}
    whole = tuple(position for position in range(len(prompts)) if position not in in_windows)
    wished = {wish.prompt for wish in wishes}
    return WindowPlan(windows, whole, tuple(position for position in whole if position in wished))


def _wish(
    position: int, prompt: Prompt, geometry: Geometry, low_res_hw: tuple[int, int], rule: WindowRule, *, always: bool
) -> _Wish | None:
    box = prompt_box(prompt, geometry)
    if box is None:
        return _click_wish(position, prompt, rule)
    box = _with_clicks(box, prompt)
    sides = [box, *([prompt.box_xyxy] if prompt.box_xyxy is not None and prompt.box_angle else [])]
    is_any_small = any(is_small(entry, geometry, low_res_hw) for entry in sides)  # a thin turned box has a wide hull
    if not (always or rule.model is not None or is_any_small):
        return None
    size = max(box[2] - box[0], box[3] - box[1])
    sizes = OBJECT_SIZES if rule.model is None else rule.model.object_sizes
    side, most = sizes * size, sizes * size * _SHARED_SIZES / OBJECT_SIZES
    if rule.model is None:
        # A window that shows the whole image is not one; a tuned model gets one all the same, for its scale.
        most = min(most, max(geometry.original_hw) - 1.0)
        if side > most:
            return None
    return _Wish(position, _grown(box, _MARGIN * size), side, most)


def _with_clicks(box: Box, prompt: Prompt) -> Box:
    """A box around another one and the clicks that say where the object goes on, of which none may be lost beside a window."""
    points = prompt.point_coords[prompt.point_labels == FOREGROUND].astype(np.float64)
    corners = np.concatenate([np.reshape(box, (2, 2)), points])
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return x0, y0, x1, y1


def _click_wish(position: int, prompt: Prompt, rule: WindowRule) -> _Wish | None:
    points = prompt.point_coords[prompt.point_labels == FOREGROUND].astype(np.float64)
    if rule.click_pixels is None or not len(points):
        return None
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    # Clicks that are far apart mean a large object: all of them lie in the window.
    side = max(float(rule.click_pixels), max(x1 - x0, y1 - y0) / (1 - 2 * _CLICK_MARGIN))
    return _Wish(position, _grown((x0, y0, x1, y1), _CLICK_MARGIN * side), side, side)


def _grown(box: Box, margin: float) -> Box:
    return box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin


def _grouped(wishes: Sequence[_Wish], max_windows: int, largest: float) -> list[list[_Wish]]:
    """Wishes that share a window, in larger windows where there would be too many."""
    groups: list[list[_Wish]] = []
    for factor in (1.0, 1.5, MOST_SIZES / _SHARED_SIZES):
        groups = _packed([wish.sharing(factor, largest) for wish in wishes])
        if len(groups) <= max_windows:
            break
    return groups


def _packed(wishes: Sequence[_Wish]) -> list[list[_Wish]]:
    """Each group starts at the uppermost wish that is left, and takes its nearest neighbours as long as one window holds them all."""
    if not wishes:
        return []
    keep = np.array([wish.keep for wish in wishes])
    centres = (keep[:, :2] + keep[:, 2:]) / 2
    order = np.lexsort((centres[:, 0], centres[:, 1]))
    is_free = np.ones(len(wishes), np.bool_)
    groups = []
    for seed in order.tolist():
        if is_free[seed]:
            members = _neighbours(seed, wishes, keep, centres, is_free)
            is_free[members] = False
            groups.append([wishes[index] for index in members])
    return groups


def _neighbours(
    seed: int,
    wishes: Sequence[_Wish],
    keep: npt.NDArray[np.float64],
    centres: npt.NDArray[np.float64],
    is_free: npt.NDArray[np.bool_],
) -> list[int]:
    distances = np.abs(centres - centres[seed]).max(axis=1)
    near = np.flatnonzero(is_free & (distances <= wishes[seed].most))
    members, hull = [seed], keep[seed].copy()
    side, most = wishes[seed].side, wishes[seed].most
    for index in near[np.argsort(distances[near], kind="stable")].tolist():
        wish = wishes[index]
        wider = np.concatenate([np.minimum(hull[:2], keep[index, :2]), np.maximum(hull[2:], keep[index, 2:])])
        needed = max(side, wish.side, float((wider[2:] - wider[:2]).max()))
        if index != seed and needed <= min(most, wish.most):
            members.append(index)
            hull, side, most = wider, max(side, wish.side), min(most, wish.most)
    return members


def _region(group: Sequence[_Wish], geometry: Geometry, rule: WindowRule) -> Region:
    keep = np.array([wish.keep for wish in group])
    low, high = keep[:, :2].min(axis=0), keep[:, 2:].max(axis=0)
    side = max(SMALLEST_WINDOW, round(max(*(wish.side for wish in group), *(high - low).tolist())))
    centre = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)
    # A model that was tuned on windows knows one scale: where the image is smaller, it is shown smaller.
    place = Region.around if rule.model is None else Region.padded_around
    return place(centre, (side, side), geometry.original_hw)
