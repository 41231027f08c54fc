"""Pictures of objects in the report: what part of the image they show, and what is drawn."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from sam2_adapter.training.examples import _picture, _span, _window


def test_a_window_is_a_square_around_the_box():
    rows, columns = _window((40, 50, 60, 60), (200, 200))
    assert rows.stop - rows.start == columns.stop - columns.start >= 20 + 8
    assert ((rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2) == (55, 50)


def test_a_window_stays_inside_the_image():
    assert _span(0, 10, 30, 100) == slice(0, 30)
    assert _span(95, 100, 30, 100) == slice(70, 100)
    assert _span(40, 50, 30, 100) == slice(30, 60)
    assert _span(0, 10, 300, 100) == slice(0, 100)


def test_the_mask_is_tinted_and_the_truth_outlined():
    image = np.full((60, 60, 3), 100, np.uint8)
    truth, mask = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    truth[20:40, 20:40] = mask[24:36, 24:36] = True
    pictures = []
    for shown in (mask, np.zeros_like(mask)):
        head, _, data = _picture(image, shown, truth, (20, 20, 40, 40)).partition(",")
        assert head == "data:image/jpeg;base64"
        pictures.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int))
    tinted, plain = pictures
    middle = tinted.shape[0] // 2
    assert np.abs(tinted[middle, middle] - plain[middle, middle]).max() > 30
    assert np.abs(tinted[3, 3] - 100).max() < 12, "nothing is drawn outside"
    assert np.abs(plain - 100).max() > 60, "the outline of the truth is there without a mask too"
