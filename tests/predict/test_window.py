"""Windows: a region that is encoded, answers in pixels of the image, and logits that move from one window to another."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import PromptError
from sam2_adapter.predict.window import (
    Window,
    embed_window,
    moved_logits,
    pixels_of,
    predict_in_window,
    predict_window_parts,
)
from tests.predict.test_predictor import MIXED, random_image
from tests.small_model import small_predictor

IMAGE = random_image(0, 200, 300)
REGION = Region(100, 60, 240, 150)


class ReadParts:
    """The image as something that reads parts."""

    original_hw = IMAGE.shape[:2]

    def read(self, region):
        assert region.within(self.original_hw) == region
        return np.ascontiguousarray(region.cut(IMAGE))


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


@pytest.fixture(scope="module")
def window(predictor):
    return embed_window(predictor, IMAGE, REGION)


def moved(prompt, x, y):
    box = {"box": [a + b for a, b in zip(prompt["box"], (x, y, x, y), strict=True)]} if "box" in prompt else {}
    points = {"points": [[px + x, py + y] for px, py in prompt["points"]]} if "points" in prompt else {}
    return {**prompt, **box, **points}


def test_an_answer_in_a_window_is_that_of_the_cut_image_at_its_place(predictor, window):
    prompts = [moved(prompt, REGION.x0, REGION.y0) for prompt in MIXED]
    found = predict_in_window(predictor, window, prompts)
    cut = predictor.predict(predictor.embed(np.ascontiguousarray(REGION.cut(IMAGE))), MIXED)
    assert found.masks.any()
    assert np.array_equal(found.masks[:, :, 60:150, 100:240], cut.masks)
    assert found.masks.sum() == cut.masks.sum()  # nothing is set elsewhere
    assert np.array_equal(found.iou_scores, cut.iou_scores)
    assert np.array_equal(found.low_res_logits, cut.low_res_logits)


def test_parts_have_the_size_of_the_window(predictor, window):
    prompts = [moved(prompt, REGION.x0, REGION.y0) for prompt in MIXED]
    whole = predict_in_window(predictor, window, prompts)
    for indices, part in predict_window_parts(predictor, window, prompts):
        assert part.masks.shape[2:] == REGION.size_hw
        assert np.array_equal(REGION.paste(part.masks, IMAGE.shape[:2]), whole.masks[indices])


def test_what_reads_parts_gives_the_same_window(predictor, window):
    read = embed_window(predictor, ReadParts(), REGION)
    prompt = [{"box": [120, 80, 200, 140]}]
    assert np.array_equal(
        predict_in_window(predictor, read, prompt).low_res_logits,
        predict_in_window(predictor, window, prompt).low_res_logits,
    )


def test_beyond_the_image_there_is_the_mean_colour():
    for image in (IMAGE, ReadParts()):
        pixels = pixels_of(image, Region(-10, 190, 20, 220))
        assert pixels.shape == (30, 30, 3)
        assert np.array_equal(pixels[:10, 10:], IMAGE[190:, :20])
        assert (pixels[:, :10] == (124, 116, 104)).all()
        assert (pixels[10:] == (124, 116, 104)).all()


def test_masks_beyond_the_image_are_dropped(predictor):
    window = embed_window(predictor, IMAGE, Region(-50, -50, 100, 100))
    assert predict_in_window(predictor, window, [{"box": [5, 5, 60, 60]}]).masks.shape == (1, 1, 200, 300)


def test_a_prompt_beside_the_window_is_refused_by_its_position(predictor, window):
    with pytest.raises(PromptError, match="Prompt 1: Nothing of the prompt lies in the region"):
        predict_in_window(predictor, window, [{"points": [[120, 80]]}, {"points": [[10, 10]]}])


def test_logits_stay_where_they_are_in_the_same_window(window):
    logits = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    assert np.allclose(moved_logits(logits, window, window), logits, atol=1e-5)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_logits_keep_their_place_in_the_image(resize):
    """A blob around a point of the image is around it in the other window's frame, whatever the scales."""
    predictor = small_predictor(resize=resize)
    whole = Window.whole(predictor.embed(IMAGE))
    later = embed_window(predictor, IMAGE, REGION)
    centre = np.array([170.0, 110.0])
    yx = np.indices((32, 32)) + 0.5
    size = whole.embedding.geometry.image_size
    at = whole.embedding.geometry.points_to_input(centre) * 32 / size
    logits = (4 - np.hypot(yx[0] - at[1], yx[1] - at[0])).astype(np.float32)
    found = moved_logits(logits, whole, later)
    rows, columns = np.nonzero(found > found.max() - 0.5)
    peak = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) * size / 32
    expected = later.embedding.geometry.points_to_input(centre - [REGION.x0, REGION.y0])
    assert np.abs(peak - expected).max() < size / 32


def test_what_the_earlier_window_did_not_show_is_background(predictor, window):
    whole = Window.whole(predictor.embed(IMAGE))
    found = moved_logits(np.full((32, 32), 5, np.float32), window, whole)
    x, y = (np.arange(32) + 0.5) * 300 / 32, (np.arange(32) + 0.5) * 200 / 32
    inside = ((y > 60) & (y < 150))[:, None] & ((x > 100) & (x < 240))[None]
    assert np.array_equal(found > 0, inside)
    assert (found[~inside] == -10).all()
