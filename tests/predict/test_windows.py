"""Answers where they come out best: bit-identical on the whole image, and those of the cut image in windows."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import PromptError
from sam2_adapter.predict.segment import segment
from sam2_adapter.predict.window_plan import WindowRule
from sam2_adapter.predict.windows import WindowedImage, WindowUse, plan_of, predict_in_places
from tests.predict.test_predictor import random_image
from tests.predict.test_window import ReadParts
from tests.small_model import small_predictor

IMAGE = random_image(0, 200, 300)
HW = IMAGE.shape[:2]
SMALL = [Prompt(box_xyxy=(x, 40, x + 20, 58)) for x in (30, 52, 260)]
OTHERS = [
    Prompt(box_xyxy=(20, 20, 220, 180)),
    Prompt(point_coords=[[150, 90]], point_labels=[1]),
    Prompt(box_xyxy=(100, 50, 280, 190)),
    Prompt(point_coords=[[70, 150]], point_labels=[1]),
]
PROMPTS = [SMALL[0], OTHERS[0], SMALL[1], *OTHERS[1:], SMALL[2]]
IN_WINDOWS = (0, 2, 6)


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


@pytest.fixture(scope="module")
def embedding(predictor):
    return predictor.embed(IMAGE)


def answers_of(predictor, embedding, prompts, windowed):
    found = {}
    for answers in predict_in_places(predictor, embedding, prompts, windowed):
        for row, position in enumerate(answers.positions):
            masks = answers.window.region.paste(answers.prediction.masks[row, 0], HW)
            found[position] = masks, answers.prediction.iou_scores[row, 0], answers.prediction.low_res_logits[row]
    return found


def test_what_is_answered_on_the_whole_image_is_the_same_to_the_last_bit(predictor, embedding):
    today = predictor.predict(embedding, PROMPTS)
    found = answers_of(predictor, embedding, PROMPTS, WindowedImage(IMAGE, WindowRule("auto")))
    assert sorted(found) == list(range(len(PROMPTS)))
    for position in range(len(PROMPTS)):
        mask, score, logits = found[position]
        is_same = bool(
            np.array_equal(logits, today.low_res_logits[position]) and score == today.iou_scores[position, 0]
        )
        assert is_same is (position not in IN_WINDOWS)
        if is_same:
            assert np.array_equal(mask, today.masks[position, 0])


def test_in_windows_the_answers_are_those_of_the_cut_image(predictor, embedding):
    windowed = WindowedImage(IMAGE, WindowRule("auto"))
    found = answers_of(predictor, embedding, PROMPTS, windowed)
    plan = plan_of(predictor, PROMPTS, windowed)
    assert [window.prompts for window in plan.windows] == [(0, 2), (6,)]
    for window in plan.windows:
        cut = predictor.embed(np.ascontiguousarray(window.region.cut(IMAGE)))
        alone = predictor.predict(cut, [window.region.prompt_in(PROMPTS[position]) for position in window.prompts])
        for row, position in enumerate(window.prompts):
            assert np.array_equal(found[position][0], window.region.paste(alone.masks[row, 0], HW))
            assert np.array_equal(found[position][2], alone.low_res_logits[row])


def test_the_use_of_windows_is_counted(predictor, embedding):
    windowed = WindowedImage(IMAGE, WindowRule("auto", max_windows=1))
    found = segment(predictor, embedding, PROMPTS, windowed=windowed)
    assert (found.windows.num_windows, found.windows.in_windows, found.windows.left) == (1, (0, 2), (6,))
    assert segment(predictor, embedding, PROMPTS).windows == WindowUse()


def test_segment_pastes_masks_at_their_place(predictor, embedding):
    windowed = WindowedImage(IMAGE, WindowRule("auto"))
    found = segment(predictor, embedding, PROMPTS, windowed=windowed, clip_to_box=False)
    expected = answers_of(predictor, embedding, PROMPTS, windowed)
    for annotation in found.annotations:
        assert np.array_equal(annotation.mask, expected[annotation.prompt_index][0])
    clipped = segment(predictor, embedding, SMALL, windowed=windowed)
    for annotation in clipped.annotations:
        x0, y0, x1, y1 = SMALL[annotation.prompt_index].box_xyxy
        assert Region(*map(int, (x0, y0, x1, y1))).contains(annotation.box_xyxy)


def test_regions_are_encoded_by_who_keeps_them(predictor, embedding):
    asked = []

    def embed(regions):
        asked.extend(regions)
        return [predictor.embed(np.ascontiguousarray(region.cut(IMAGE))) for region in regions]

    kept = answers_of(predictor, embedding, SMALL, WindowedImage(IMAGE, WindowRule("auto"), embed))
    own = answers_of(predictor, embedding, SMALL, WindowedImage(IMAGE, WindowRule("auto")))
    assert len(asked) == 2
    assert all(np.array_equal(kept[position][2], own[position][2]) for position in range(3))


def test_an_image_of_which_only_parts_are_read_needs_no_encoding_of_the_whole(predictor):
    boxes = [SMALL[0], Prompt(box_xyxy=(100, 100, 140, 130))]
    found = segment(predictor, None, boxes, windowed=WindowedImage(ReadParts(), WindowRule("auto")))
    assert found.windows.in_windows == (0, 1)
    assert {annotation.prompt_index for annotation in found.annotations} <= {0, 1}
    with pytest.raises(PromptError, match=r"Prompt 0: the image is too large to be encoded whole\. Give a box"):
        segment(predictor, None, [OTHERS[1]], windowed=WindowedImage(ReadParts(), WindowRule("auto")))
    assert (
        segment(predictor, None, [OTHERS[1]], windowed=WindowedImage(ReadParts(), WindowRule(64))).windows.num_windows
        == 1
    )
    with pytest.raises(PromptError, match="Give the encoded image, or its pixels"):
        segment(predictor, None, boxes)


def test_earlier_logits_move_into_the_window(predictor, embedding):
    logits = np.full((32, 32), -4, np.float32)
    logits[10:13, 20:23] = 4  # of the whole image: pixels 187 to 216, 62 to 82
    prompt = Prompt(mask_input=logits)
    windowed = WindowedImage(IMAGE, WindowRule("auto"))
    (window,) = plan_of(predictor, [prompt], windowed).windows
    assert window.region.contains((187.5, 62.5, 215.6, 81.25))
    answers = next(iter(predict_in_places(predictor, embedding, [prompt], windowed)))
    mask = np.zeros(HW, bool)
    mask[62:82, 187:216] = True
    drawn = next(iter(predict_in_places(predictor, embedding, [Prompt(mask=mask)], windowed)))
    assert answers.window.region.within(HW) == answers.window.region
    difference = np.abs(answers.prediction.low_res_logits - drawn.prediction.low_res_logits).mean()
    assert difference < np.abs(drawn.prediction.low_res_logits).mean()


def test_a_very_large_window_is_shrunk_before_it_is_encoded(predictor, monkeypatch):
    monkeypatch.setattr("sam2_adapter.predict.window._MOST_PIXELS", 10_000)
    sizes = []
    embed = predictor.embed
    monkeypatch.setattr(predictor, "embed", lambda images: sizes.extend(i.shape[:2] for i in images) or embed(images))
    found = segment(
        predictor, None, [Prompt(box_xyxy=(110, 60, 170, 120))], windowed=WindowedImage(IMAGE, WindowRule("auto"))
    )
    assert sizes == [(90, 90)]  # 180 x 180 pixels
    assert found.annotations[0].original_hw == HW


def test_positions_move_where_prompts_were_refused():
    use = WindowUse(3, (0, 2), (1,), (2,), (3,), 64)
    assert use.moved_to((5, 6, 7, 9)) == WindowUse(3, (5, 7), (6,), (7,), (9,), 64)


def test_masks_that_reach_the_side_of_their_window_are_told(predictor, embedding):
    windowed = WindowedImage(IMAGE, WindowRule(32))
    prompts = [Prompt(point_coords=[[x, 100]], point_labels=[1]) for x in range(20, 300, 40)]
    cut = []
    for answers in predict_in_places(predictor, embedding, prompts, windowed):
        for position, masks in zip(answers.positions, answers.prediction.masks, strict=True):
            edge = np.concatenate([masks[0][0], masks[0][-1], masks[0][:, 0], masks[0][:, -1]])
            cut += [position] if edge.any() else []
    assert windowed.use.cut_off == tuple(sorted(cut))
    assert cut, "the test needs a mask at the side of its window"


def test_small_answers_to_clicks_give_a_hint():
    """The bundled model on a picture with dots of 12 pixels, far under four of its cells."""
    from sam2_adapter.predict.load import load_predictor

    nano = load_predictor("sam2_nano", runtime="torch", precision="fp32")
    image = np.full((512, 512, 3), 30, np.uint8)
    yy, xx = np.mgrid[:512, :512]
    for y in (100, 300):
        image[np.hypot(yy - y, xx - 256) < 7] = (230, 220, 210)
    click = [Prompt(point_coords=[[256, 100]], point_labels=[1])]
    embedding = nano.embed(image)
    whole = segment(nano, embedding, click, windowed=WindowedImage(image, WindowRule("auto")))
    assert whole.windows.num_windows == 0
    assert whole.windows.small_clicks == (0,)
    assert whole.windows.hinted_pixels in range(32, 257, 16)
    rule = WindowRule(whole.windows.hinted_pixels)
    better = segment(nano, embedding, click, windowed=WindowedImage(image, rule))
    truth = np.hypot(yy - 100, xx - 256) < 7
    ious = [(a.mask & truth).sum() / (a.mask | truth).sum() for a in (whole.annotations[0], better.annotations[0])]
    assert ious[1] > max(0.8, ious[0])
    assert better.windows.small_clicks == ()
    assert Region.whole((512, 512)).contains(better.annotations[0].box_xyxy)


def test_notes_say_what_to_do():
    use = WindowUse(3, (0, 2), (1, 4), (2,), (3,), 64)
    assert use.notes() == (
        "2 small prompts were answered on the whole image, since 3 windows were allowed; raise max_windows.",
        "1 mask reached the side of its window and may be cut there; choose a larger window.",
        "1 click gave small masks, which are not sharp; with window=64, clicks are answered in windows at full resolution.",
    )
    assert WindowUse(3, (0, 2)).notes() == ()
