"""Clicks in the studio to a mask, refined click by click.

The studio sends its whole state with every click and hands the earlier answer back as an image. The logits behind an
answer are kept, so that the next click refines them; where they are gone, or another copy of the service made the
answer, the image itself is refined.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sam2_adapter.annotations.colors import Color
from sam2_adapter.annotations.prompts import BoolArray, FloatArray, Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import DataError, PromptError
from sam2_adapter.formats.dataloop.objects import data_url_to_mask, mask_to_data_url
from sam2_adapter.interactive import EncodedSource, answer_prompt
from sam2_adapter.predict.next_window import next_region
from sam2_adapter.predict.predictor import Predictor
from sam2_adapter.predict.window import Frame, Window, moved_logits
from sam2_adapter.predict.window_plan import WindowRule

# (left, top, right, bottom) in whole pixels, half-open.
_Frame = tuple[int, int, int, int]


@dataclass(frozen=True)
class ClickRequest:
    """What the studio asks with a click.

    Attributes:
        clicks: (x, y) in pixels of the upright image.
        labels: of the clicks, 1 inside and 0 outside the object.
        box_xyxy: (x0, y0, x1, y1) around the object; `None` where the clicks alone decide.
        earlier: data URL of the mask to refine, if there is one.
        color: (red, green, blue) of the answer.
    """

    clicks: Sequence[tuple[float, float]]
    labels: Sequence[int]
    box_xyxy: tuple[float, float, float, float] | None
    earlier: str | None
    color: Color


@dataclass(frozen=True, eq=False)
class _Before:
    """The logits of an answer, and what they are of."""

    logits: FloatArray
    frame: Frame


class StudioClicks:
    """Answers clicks; safe between threads, since all it remembers is in the cache."""

    def __init__(self, predictor: Predictor, cache: ByteBoundedCache, rule: WindowRule | None = None) -> None:
        """Predict with `predictor`, remember logits in `cache`, and answer in windows by `rule`; without one on whole images."""
        self._predictor, self._cache = predictor, cache
        self._rule = rule or WindowRule()

    def answer(self, item_id: str, encoded: EncodedSource, asked: ClickRequest) -> str:
        """The mask as a data URL.

        Args:
            item_id: of the item that the clicks are in.
            encoded: its image.
            asked: the clicks and the rest.

        Raises:
            PromptError: a click or the box lies outside the image, or the mask to refine has another size.
        """
        frame = _frame(asked.box_xyxy, encoded.embedding.original_hw)
        before = self._before(encoded, item_id, asked.earlier)
        prompt = Prompt(
            box_xyxy=asked.box_xyxy,
            point_coords=asked.clicks,  # type: ignore[arg-type]
            point_labels=asked.labels,  # type: ignore[arg-type]
            **_refined(encoded, asked.earlier, frame, before),
        )
        window = self._window(encoded, prompt, before)
        at = (window or Window.whole(encoded.embedding)).frame
        if before is not None and before.frame != at:
            prompt = replace(prompt, mask_input=moved_logits(before.logits, before.frame, at))
        answer = answer_prompt(self._predictor, window or encoded.embedding, prompt)
        left, top, right, bottom = frame
        url = mask_to_data_url(answer.mask[top:bottom, left:right], asked.color)
        logits = answer.low_res_logits
        self._cache.put(_key(item_id, encoded, url), _Before(logits, at), logits.nbytes)
        return url

    def _window(self, encoded: EncodedSource, prompt: Prompt, before: _Before | None) -> Window | None:
        """The window that the model looks at; `None` for the whole image."""
        if self._rule.is_off or encoded.windows is None:
            return None
        image_hw = encoded.embedding.original_hw
        whole = Region.whole(image_hw)
        earlier = None if before is None or before.frame.region == whole else before.frame.region
        region = next_region(self._predictor, prompt.fitted_to(image_hw), image_hw, self._rule, earlier)
        return None if region in (None, whole) else Window(region, encoded.windows.embed([region])[0], image_hw)

    def _before(self, encoded: EncodedSource, item_id: str, earlier: str | None) -> _Before | None:
        kept: _Before | None = self._cache.get(_key(item_id, encoded, earlier)) if earlier else None
        return kept


def _refined(encoded: EncodedSource, earlier: str | None, frame: _Frame, before: _Before | None) -> dict[str, Any]:
    if not earlier:
        return {}
    if before is not None:
        return {"mask_input": before.logits}
    mask = _earlier_mask(earlier, encoded.embedding.original_hw, frame)
    return {"mask": mask} if mask.any() else {}


def _key(item_id: str, encoded: EncodedSource, url: str) -> Hashable:
    return "logits", item_id, encoded.content_sha256, hashlib.sha256(url.encode("utf-8", "surrogatepass")).digest()


def _frame(box: tuple[float, float, float, float] | None, original_hw: tuple[int, int]) -> _Frame:
    """The pixels that an answer covers; as the studio counts them, corners are cut off to whole pixels."""
    height, width = original_hw
    if box is None:
        return 0, 0, width, height
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    right, bottom = min(width, int(box[2])), min(height, int(box[3]))
    if right <= left or bottom <= top:
        raise PromptError(
            f"The box {box} covers no whole pixel of the image, which is {width}x{height} pixels; draw a larger one inside it."
        )
    return left, top, right, bottom


def _earlier_mask(url: str, original_hw: tuple[int, int], frame: _Frame) -> BoolArray:
    left, top, right, bottom = frame
    sizes = dict.fromkeys([original_hw, (bottom - top, right - left)])
    try:
        mask = data_url_to_mask(url, allowed_hw=sizes, where="mask_uri")
    except DataError as error:
        raise PromptError(str(error)) from error
    if mask.shape == original_hw:
        return mask
    whole = np.zeros(original_hw, np.bool_)
    whole[top:bottom, left:right] = mask
    return whole
