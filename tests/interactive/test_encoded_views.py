"""The open image and its views: each is encoded once, the newest are kept."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import PromptError
from sam2_adapter.interactive.encoded_views import EncodedViews
from tests.conftest import disk_photo
from tests.small_model import small_predictor

VIEWS = [(0, 0, 40, 40), (10, 0, 50, 40), (20, 0, 60, 40), (30, 0, 70, 40)]


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


def test_all_of_the_image_is_no_view(predictor):
    views = EncodedViews(predictor, predictor.embed(np.asarray(disk_photo())), None)
    assert views.window(None) is views.whole
    assert views.window((0, 0, 160, 120)) is views.window((-5, -5, 900, 900)) is views.whole
    with pytest.raises(PromptError, match="A view needs the pixels"):
        views.window(VIEWS[0])


def test_the_newest_four_views_stay_encoded(predictor):
    image, reads = np.asarray(disk_photo()), []

    def read():
        reads.append(1)
        return image

    views = EncodedViews(predictor, predictor.embed(image), read)
    windows = [views.window(view) for view in VIEWS]
    assert [window.region for window in windows] == [Region(*view) for view in VIEWS]
    assert views.window(VIEWS[0]) is windows[0]
    views.window((40, 0, 80, 40))  # takes the place of the one that was used longest ago
    assert views.window(VIEWS[0]) is windows[0]
    assert len(reads) == 5
    assert views.window(VIEWS[1]) is not windows[1]
    assert len(reads) == 6
