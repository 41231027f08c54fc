"""Asking as prediction does: masks of the whole image, and further clicks where the first one was answered."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.annotations.regions import Region
from sam2_adapter.evaluation.asking import ask, ask_again
from sam2_adapter.predict.window import embed_window, predict_in_window
from sam2_adapter.predict.window_plan import WindowRule
from sam2_adapter.predict.windows import WindowedImage
from tests.predict.test_predictor import random_image
from tests.small_model import small_predictor

IMAGE = random_image(3, 120, 160)
CLICKS = [Prompt(point_coords=[[x, 60]], point_labels=[1]) for x in (20, 90, 150)]


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


def test_without_windows_the_answers_are_the_predictors(predictor):
    embedding = predictor.embed(IMAGE)
    expected = predictor.predict(embedding, CLICKS)
    first = sorted(ask(predictor, embedding, CLICKS, None), key=lambda reply: reply.position)
    again = [
        Prompt(point_coords=[*click.point_coords, [80, 20]], point_labels=[1, 0], mask_input=reply.low_res_logits)
        for click, reply in zip(CLICKS, first, strict=True)
    ]
    for index, reply in enumerate(first):
        assert np.array_equal(reply.mask, expected.masks[index, 0])
        assert reply.iou_score == expected.iou_scores[index, 0]
    refined = predictor.predict(embedding, again)
    for reply in ask_again(predictor, again, [reply.window for reply in first]):
        assert np.array_equal(reply.low_res_logits, refined.low_res_logits[reply.position, 0])


def test_clicks_in_a_window_stay_in_it(predictor):
    embedding = predictor.embed(IMAGE)
    windowed = WindowedImage(IMAGE, WindowRule(48))
    first = {reply.position: reply for reply in ask(predictor, embedding, CLICKS, windowed)}
    assert first[0].window.region == Region(0, 36, 48, 84)
    assert all(reply.mask.shape == (120, 160) for reply in first.values())
    again = [
        Prompt(
            point_coords=[*click.point_coords, [88, 50]], point_labels=[1, 0], mask_input=first[index].low_res_logits
        )
        for index, click in enumerate(CLICKS)
    ]
    replies = {r.position: r for r in ask_again(predictor, again, [first[index].window for index in range(3)])}
    window = embed_window(predictor, IMAGE, first[1].window.region)
    expected = predict_in_window(predictor, window, [again[1]])
    assert np.array_equal(replies[1].mask, expected.masks[0, 0])
    assert replies[1].window is first[1].window
