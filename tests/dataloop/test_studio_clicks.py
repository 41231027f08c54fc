"""Clicks of the studio to masks, refined from the logits of the answer before or from its image."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.dataloop.studio_clicks import ClickRequest, StudioClicks
from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.errors import PromptError
from sam2_adapter.formats.dataloop.objects import data_url_to_mask, mask_to_data_url
from sam2_adapter.interactive import EncodedSource
from sam2_adapter.predict.load import load_predictor
from tests.dataloop.adapting import BOX, disk_image, disk_mask

COLOR = (10, 20, 30)
HW = (120, 160)
BOX_HW = (BOX[3] - BOX[1], BOX[2] - BOX[0])


@pytest.fixture(scope="module")
def predictor():
    return load_predictor("sam2_nano", "cpu", "torch", "fp32")


@pytest.fixture(scope="module")
def encoded(predictor):
    return EncodedSource(predictor.embed(disk_image()), "c" * 64)


def _asked(clicks=((80, 60),), labels=None, box=None, earlier=None):
    return ClickRequest(clicks, labels or [1] * len(clicks), box, earlier, COLOR)


def _clicks(predictor, bytes_kept=2**24):
    return StudioClicks(predictor, ByteBoundedCache(bytes_kept))


def _mask(url, hw=HW):
    return data_url_to_mask(url, allowed_hw=[hw], where="the answer")


def test_a_click_finds_the_object(predictor, encoded):
    url = _clicks(predictor).answer("item", encoded, _asked())
    assert mask_iou(_mask(url), disk_mask()) > 0.9


def test_with_a_box_the_answer_covers_the_pixels_of_the_box(predictor, encoded):
    url = _clicks(predictor).answer("item", encoded, _asked(box=tuple(map(float, BOX))))
    assert mask_iou(_mask(url, BOX_HW), disk_mask()[BOX[1] : BOX[3], BOX[0] : BOX[2]]) > 0.9


def test_corners_of_a_box_are_cut_off_to_whole_pixels_of_the_image(predictor, encoded):
    url = _clicks(predictor).answer("item", encoded, _asked(box=(40.9, 20.9, 159.7, 119.9)))
    assert _mask(url, (99, 119)).shape == (99, 119)


def test_a_box_without_a_whole_pixel_is_refused(predictor, encoded):
    with pytest.raises(PromptError, match=r"covers no whole pixel of the image, which is 160x120 pixels"):
        _clicks(predictor).answer("item", encoded, _asked(box=(40.1, 20.0, 40.9, 30.0)))


def test_the_next_click_refines_the_logits_of_the_answer_before_and_else_its_image(predictor, encoded):
    remembering, forgetful = _clicks(predictor), _clicks(predictor, bytes_kept=0)
    first = remembering.answer("item", encoded, _asked())
    assert forgetful.answer("item", encoded, _asked()) == first
    next_click = _asked(((80, 60), (80, 90)), [1, 0], earlier=first)
    from_logits, from_image = (clicks.answer("item", encoded, next_click) for clicks in (remembering, forgetful))
    assert from_logits != from_image
    assert remembering.answer("other item", encoded, next_click) == from_image, "logits of another item were taken"
    assert remembering.answer("item", encoded, next_click) == from_logits


def test_a_drawn_mask_of_the_box_is_refined_at_its_place(predictor, encoded):
    left, top, right, bottom = BOX
    drawn = mask_to_data_url(disk_mask()[top:bottom, left:right], COLOR)
    url = _clicks(predictor).answer("item", encoded, _asked(box=tuple(map(float, BOX)), earlier=drawn))
    assert mask_iou(_mask(url, BOX_HW), disk_mask()[top:bottom, left:right]) > 0.9


def test_an_empty_mask_is_nothing_to_refine(predictor, encoded):
    empty = mask_to_data_url(np.zeros(HW, bool), COLOR)
    clicks = _clicks(predictor)
    assert clicks.answer("item", encoded, _asked(earlier=empty)) == clicks.answer("item", encoded, _asked())


def test_a_mask_of_another_size_is_refused(predictor, encoded):
    other = mask_to_data_url(np.ones((7, 9), bool), COLOR)
    with pytest.raises(PromptError, match="mask_uri"):
        _clicks(predictor).answer("item", encoded, _asked(earlier=other))
