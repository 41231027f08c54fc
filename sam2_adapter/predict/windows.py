"""Answers of one image, each where it comes out best: on the whole image, or in a window around small things.

`predict_in_places` sits between encoding and `segment`: every kind of job, the studio and evaluation answer prompts through it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sam2_adapter.annotations.masks import MaskPrediction, mask_to_box_xyxy
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import PromptError
from sam2_adapter.images.sources import Pixels
from sam2_adapter.models.engines.base import is_out_of_memory
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window import (
    Frame,
    RegionSource,
    Window,
    embed_regions,
    hw_of,
    moved_logits,
    predict_window_parts,
)
from sam2_adapter.predict.window_plan import WindowPlan, WindowRule, is_small, plan_windows
from sam2_adapter.text import plural

logger = logging.getLogger(__name__)

# Encodes regions of an image, in order.
EmbedRegions = Callable[[Sequence[Region]], Sequence[ImageEmbedding]]

# A click in a window of as many sizes of its object (the shorter side of the answer) comes out well; pixels are told in steps of so many.
_HINTED_SIZES = 5
_HINTED_STEP = 16


@dataclass(frozen=True)
class WindowUse:
    """What became of the windows of an image. Positions count from 0 among its prompts.

    Attributes:
        num_windows: windows that were encoded or found encoded.
        in_windows: prompts that were answered in them.
        left: small prompts that were answered on the whole image, since there were more windows than allowed.
        cut_off: prompts without a box whose mask reaches a side of its window, beyond which the object may go on.
        small_clicks: clicks whose answer on the whole image is so small that a window would sharpen it.
        hinted_pixels: a window for those; 0 where there are none.
    """

    num_windows: int = 0
    in_windows: tuple[int, ...] = ()
    left: tuple[int, ...] = ()
    cut_off: tuple[int, ...] = ()
    small_clicks: tuple[int, ...] = ()
    hinted_pixels: int = 0

    def notes(self) -> tuple[str, ...]:
        """What a user should know, a sentence each."""
        told = []
        if self.left:
            told.append(
                f"{plural(len(self.left), 'small prompt')} {'was' if len(self.left) == 1 else 'were'} answered on the whole image, since "
                f"{plural(self.num_windows, 'window')} {'was' if self.num_windows == 1 else 'were'} allowed; raise max_windows."
            )
        if self.cut_off:
            told.append(
                f"{plural(len(self.cut_off), 'mask')} reached the side of {'its' if len(self.cut_off) == 1 else 'their'} window and may be cut "
                "there; choose a larger window."
            )
        if self.small_clicks:
            told.append(
                f"{plural(len(self.small_clicks), 'click')} gave small masks, which are not sharp; with window={self.hinted_pixels}, clicks are "
                "answered in windows at full resolution."
            )
        return tuple(told)

    def moved_to(self, positions: Sequence[int]) -> WindowUse:
        """The same with other positions, the new one of each."""

        def moved(old: Sequence[int]) -> tuple[int, ...]:
            return tuple(positions[index] for index in old)

        return replace(
            self,
            in_windows=moved(self.in_windows),
            left=moved(self.left),
            cut_off=moved(self.cut_off),
            small_clicks=moved(self.small_clicks),
        )


@dataclass(eq=False)
class WindowedImage:
    """An image whose prompts are answered in windows by a rule.

    Attributes:
        image: its pixels, uint8 RGB H x W x 3 in 0..255, or something that reads parts of them.
        rule: how windows are chosen.
        embed: encodes regions, or finds them encoded; `None` for the predictor.
        use: what became of the windows, once everything is answered.
    """

    image: Pixels | RegionSource
    rule: WindowRule
    embed: EmbedRegions | None = None
    use: WindowUse = field(default_factory=WindowUse)

    @property
    def original_hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return hw_of(self.image)


@dataclass(frozen=True, eq=False)
class PlacedAnswers:
    """The answers to a few prompts.

    Attributes:
        positions: of the prompts.
        window: where they were answered.
        prediction: masks bool O x M x height x width of `window.region`, scores, and logits of the window.
    """

    positions: Sequence[int]
    window: Window
    prediction: MaskPrediction


def predict_in_places(
    predictor: Predictor,
    embedding: ImageEmbedding | None,
    prompts: Sequence[Prompt],
    windowed: WindowedImage | None = None,
) -> Iterator[PlacedAnswers]:
    """Answer the prompts of an image, a few at a time: each in its window, and those without one on the whole image.

    What is answered on the whole image is the same to the last bit as without windows.

    Args:
        predictor: the model.
        embedding: the whole image, encoded; `None` where it is too large for that, so that every prompt needs a window.
        prompts: one per object, fitted to the image.
        windowed: its pixels and the rule; its `use` is set at the end. `None` for no windows.

    Raises:
        PromptError: a prompt is malformed, or needs the whole image where that is not encoded.
    """
    if windowed is None or windowed.rule.is_off:
        yield from _on_whole_image(predictor, embedding, prompts, None)
        return
    plan = plan_of(predictor, prompts, windowed, always=embedding is None)
    tally = _Tally(predictor, prompts, windowed.original_hw)
    if plan.whole:
        for answers in _on_whole_image(predictor, embedding, prompts, frozenset(plan.whole)):
            tally.add_whole(answers)
            yield answers
    for answers in _in_windows(predictor, prompts, windowed, plan):
        tally.add_windowed(answers)
        yield answers
    windowed.use = tally.use(plan)


def plan_of(
    predictor: Predictor, prompts: Sequence[Prompt], windowed: WindowedImage, *, always: bool = False
) -> WindowPlan:
    """Which of the prompts are answered in which windows; `always` as in `plan_windows`."""
    geometry = predictor.geometry_of(windowed.original_hw)
    return plan_windows(prompts, geometry, predictor.low_res_hw, windowed.rule, always=always)


def prompts_without_window(
    predictor: Predictor, prompts: Sequence[Prompt], windowed: WindowedImage, max_pixels: int
) -> dict[int, str]:
    """The prompts of an image that is too large to be encoded whole for which there is no window, with the reason for each.

    Args:
        predictor: the model.
        prompts: one per object, fitted to the image.
        windowed: the image and the rule.
        max_pixels: of the largest window.
    """
    plan = plan_of(predictor, prompts, windowed, always=True)
    reasons = {position: _reason_without(prompts[position], is_left=position in plan.left) for position in plan.whole}
    for window in plan.windows:
        if window.region.area > max_pixels:
            reasons |= dict.fromkeys(window.prompts, _TOO_LARGE)
    return {position: reason.format(most=windowed.rule.max_windows) for position, reason in sorted(reasons.items())}


_TOO_LARGE = (
    "The image is too large to be looked at as a whole, and the object too large for a window; give a smaller one."
)
_TOO_MANY = "The image is too large to be looked at as a whole, and max_windows = {most} are too few windows for all prompts; raise it."
_NO_SIZE = "The image is too large to be looked at as a whole; give a box, a window in pixels for clicks (such as window = 128), or a region."


def _reason_without(prompt: Prompt, *, is_left: bool) -> str:
    if is_left:
        return _TOO_MANY
    has_size = prompt.box_xyxy is not None or prompt.mask is not None or prompt.mask_input is not None
    return _TOO_LARGE if has_size else _NO_SIZE


def _on_whole_image(
    predictor: Predictor, embedding: ImageEmbedding | None, prompts: Sequence[Prompt], only: frozenset[int] | None
) -> Iterator[PlacedAnswers]:
    if embedding is None:
        named = sorted(only or range(len(prompts)))[0]
        raise PromptError(
            f"Prompt {named}: the image is too large to be encoded whole. Give a box, or a window in pixels for clicks (window = 128), or the "
            "region to look at."
        )
    window = Window.whole(embedding)
    for positions, part in predictor.predict_parts(embedding, prompts, only=only):
        yield PlacedAnswers(positions, window, part)


def _in_windows(
    predictor: Predictor, prompts: Sequence[Prompt], windowed: WindowedImage, plan: WindowPlan
) -> Iterator[PlacedAnswers]:
    at_once = predictor.images_per_call
    for start in range(0, len(plan.windows), at_once):
        planned = plan.windows[start : start + at_once]
        embeddings = _embedded(predictor, windowed, [entry.region for entry in planned])
        for entry, embedding in zip(planned, embeddings, strict=True):
            window = Window(entry.region, embedding, windowed.original_hw)
            asked = [_with_logits_of(window, prompts[position], predictor) for position in entry.prompts]
            for indices, part in predict_window_parts(predictor, window, asked):
                yield PlacedAnswers([entry.prompts[index] for index in indices], window, part)


def _embedded(predictor: Predictor, windowed: WindowedImage, regions: Sequence[Region]) -> Sequence[ImageEmbedding]:
    embed = windowed.embed or (lambda wanted: embed_regions(predictor, windowed.image, wanted))
    try:
        return embed(regions)
    except (RuntimeError, MemoryError) as error:
        if len(regions) == 1 or not is_out_of_memory(error):
            raise
        logger.warning("Out of memory: going on with one window at a time.")
        return [embed([region])[0] for region in regions]


def _with_logits_of(window: Window, prompt: Prompt, predictor: Predictor) -> Prompt:
    """The prompt with earlier logits, which are those of the whole image, moved into the window."""
    if prompt.mask_input is None:
        return prompt
    whole = Frame(Region.whole(window.image_hw), predictor.geometry_of(window.image_hw))
    return replace(prompt, mask_input=moved_logits(prompt.mask_input, whole, window))


class _Tally:
    """Counts what becomes of the prompts of an image."""

    def __init__(self, predictor: Predictor, prompts: Sequence[Prompt], original_hw: tuple[int, int]) -> None:
        self._prompts = prompts
        self._geometry, self._low_res_hw = predictor.geometry_of(original_hw), predictor.low_res_hw
        self._cut_off: list[int] = []
        self._small: dict[int, float] = {}

    def add_windowed(self, answers: PlacedAnswers) -> None:
        window = answers.window
        for position, masks in zip(answers.positions, answers.prediction.masks, strict=True):
            # A box says where the object ends, and is where its mask is cut.
            is_free = self._prompts[position].box_xyxy is None
            if is_free and window.region.cuts_off(masks[0], window.image_hw):
                self._cut_off.append(position)

    def add_whole(self, answers: PlacedAnswers) -> None:
        for position, masks in zip(answers.positions, answers.prediction.masks, strict=True):
            if not self._prompts[position].is_single_click:
                continue
            box = mask_to_box_xyxy(masks[0])
            if box is not None and is_small(box, self._geometry, self._low_res_hw):
                self._small[position] = min(box[2] - box[0], box[3] - box[1])

    def use(self, plan: WindowPlan) -> WindowUse:
        in_windows = sorted(position for window in plan.windows for position in window.prompts)
        return WindowUse(
            len(plan.windows),
            tuple(in_windows),
            plan.left,
            tuple(sorted(self._cut_off)),
            tuple(sorted(self._small)),
            self._hint(),
        )

    def _hint(self) -> int:
        if not self._small:
            return 0
        wanted = _HINTED_SIZES * float(np.median(list(self._small.values())))
        return max(2, round(wanted / _HINTED_STEP)) * _HINTED_STEP
