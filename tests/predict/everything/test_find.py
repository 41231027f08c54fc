"""Everything in a picture of discs is found, step by step, in both modes, in crops and in tiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.rle import rle_to_mask
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.predict.everything.find import agreed_on, find_everything
from sam2_adapter.predict.everything.finish import Found
from sam2_adapter.predict.load import load_predictor
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from tests.predict.everything.discs import disc_picture

# The bundled model is small and may miss a disc, which says nothing about the search.
EASY = {"pred_iou_thresh": 0.5, "stability_score_thresh": 0.6}
MOST_OF_SIX = 5


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor("sam2_nano", device="cpu", runtime="torch", precision="fp32")


@pytest.fixture(scope="module")
def picture(predictor: Predictor) -> tuple[np.ndarray, list[np.ndarray], ImageEmbedding]:
    """Six discs on a picture that is not square."""
    image, masks = disc_picture(160, 240, 80, 24)
    return image, masks, predictor.embed(image)


def search(predictor: Predictor, image: np.ndarray, embedding: ImageEmbedding, **settings: Any) -> tuple[Found, ...]:
    steps = list(find_everything(predictor, image, embedding, EverythingSettings(**EASY, **settings)))
    return steps[-1].finished().objects


def num_found(objects: tuple[Found, ...], masks: list[np.ndarray], least: float = 0.8) -> int:
    found = [rle_to_mask(entry.rle) for entry in objects]
    return sum(bool(max((mask_iou(mask, other) for other in found), default=0) >= least) for mask in masks)


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_all_discs_are_found_once(predictor: Predictor, picture: Any, mode: str) -> None:
    image, masks, embedding = picture
    objects = search(predictor, image, embedding, points_per_side=8, everything_mode=mode)
    assert num_found(objects, masks) >= MOST_OF_SIX
    of_discs = [entry for entry in objects if max(mask_iou(rle_to_mask(entry.rle), mask) for mask in masks) >= 0.8]
    if mode == "fast":  # boxes of one object may differ much by a speck
        assert len(of_discs) == num_found(objects, masks)
    scores = [entry.iou_score for entry in objects]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0.5
    assert all(0.6 <= entry.stability_score <= 1 for entry in objects)


def test_objects_carry_the_point_that_found_them(predictor: Predictor, picture: Any) -> None:
    image, _, embedding = picture
    points = {tuple(point) for point in (np.stack(np.meshgrid(*[np.arange(8)] * 2), -1).reshape(-1, 2) + 0.5).tolist()}
    for entry in search(predictor, image, embedding, points_per_side=8):
        x, y = entry.point_xy
        assert (x / 30, y / 20) in points


def test_steps_tell_how_far_it_is_and_what_there_is_so_far(predictor: Predictor, picture: Any) -> None:
    image, masks, embedding = picture
    settings = EverythingSettings(**EASY, points_per_side=16)
    steps = list(find_everything(predictor, image, embedding, settings))
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert (done[-1], steps[0].total) == (256, 256)
    assert num_found(steps[0].finished().objects, masks) >= 1
    assert num_found(steps[-1].finished().objects, masks) >= MOST_OF_SIX


def test_object_by_object_the_result_is_the_same(predictor: Predictor, picture: Any) -> None:
    image, _, embedding = picture
    settings = EverythingSettings(**EASY, points_per_side=8)
    at_once = next(find_everything(predictor, image, embedding, settings, points_per_call=16))
    one_by_one = next(find_everything(predictor, image, embedding, settings, points_per_call=16))
    assert at_once.done < 64
    pieces = sum(1 for _ in one_by_one.preparing())
    assert pieces >= len(one_by_one.finished().objects) > 0  # one that repeats a better one is prepared, then dropped
    assert [entry.rle for entry in one_by_one.finished().objects] == [entry.rle for entry in at_once.finished().objects]
    assert sum(1 for _ in one_by_one.preparing()) == 0


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_a_step_has_as_few_points_as_asked_for(predictor: Predictor, picture: Any, mode: str) -> None:
    class Counting(Predictor):
        most = 0

        def decode_clicks(self, embedding: ImageEmbedding, points: Any) -> Iterator[Any]:
            Counting.most = max(Counting.most, len(points))
            return super().decode_clicks(embedding, points)

    image, _, embedding = picture
    counting = Counting(predictor._runtime, "nano", predictor.info.weights_sha256)
    settings = EverythingSettings(**EASY, points_per_side=8, everything_mode=mode)
    steps = [step.done for step in find_everything(counting, image, embedding, settings, points_per_call=12)]
    assert Counting.most == 12
    if mode == "exact":
        assert steps == [12, 24, 36, 48, 60, 64, 64]


class Counting(Predictor):
    """Counts the points that it is asked about."""

    looks = 0

    def decode_clicks(self, embedding: ImageEmbedding, points: Any) -> Iterator[Any]:
        self.looks += len(points)
        return super().decode_clicks(embedding, points)


@pytest.mark.slow
def test_points_between_two_that_agree_need_no_look(predictor: Predictor, picture: Any) -> None:
    image, masks, embedding = picture
    counting = Counting(predictor._runtime, "nano", predictor.info.weights_sha256)
    objects = search(counting, image, embedding, points_per_side=16)
    assert 64 <= counting.looks < 256 * 0.8
    assert num_found(objects, masks) == num_found(
        search(predictor, image, embedding, points_per_side=16, everything_mode="exact"), masks
    )


def test_a_point_between_two_that_see_one_thing_is_agreed_on() -> None:
    coarse = np.float32([[1.5, 1.5], [3.5, 1.5], [1.5, 3.5], [9.5, 9.5]])
    fine = np.float32([[2.5, 1.5], [2.5, 2.5], [4.5, 4.5]])
    sees_all = np.ones((4, 7), np.bool_)
    # The last one is far from all but one.
    assert agreed_on(coarse, fine, sees_all).tolist() == [True, True, False]
    # The first sees another thing than its neighbours: they do not lie in it. The middle is still between two that agree.
    alone = sees_all.copy()
    alone[0, 1:4] = False
    assert agreed_on(coarse, fine, alone).tolist() == [False, True, False]
    # Neither point lies in what is seen around it.
    around = sees_all.copy()
    around[:, 4:6] = False
    assert not agreed_on(coarse, fine, around).any()


def test_left_early_nothing_more_is_computed(predictor: Predictor, picture: Any) -> None:
    image, _, embedding = picture
    steps = find_everything(predictor, image, embedding, EverythingSettings(points_per_side=256))
    assert next(steps).done < 1000
    steps.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_crops_find_what_the_whole_image_finds(predictor: Predictor, picture: Any, mode: str) -> None:
    image, masks, embedding = picture
    settings = {"points_per_side": 8, "crop_n_layers": 1, "everything_mode": mode}
    assert num_found(search(predictor, image, embedding, **settings), masks, 0.5) >= MOST_OF_SIX


@pytest.mark.slow
def test_tiles_find_small_things_and_cut_none_at_their_sides(predictor: Predictor) -> None:
    image, masks = disc_picture(320, 320, 40, 9)
    embedding = predictor.embed(image)
    tiled = search(predictor, image, embedding, points_per_side=8, tile_size=180)
    assert num_found(tiled, masks, 0.7) >= 0.8 * len(masks)
    of_tiles = [entry for entry in tiled if entry.view_area == 180 * 180]
    assert len(of_tiles) >= 0.8 * len(masks)
    # Tiles begin at 0, 70 and 140 and end at 180, 250 and 320, where the image does not end: through the middle of some discs. Their points
    # lie half a step of 22.5 px from the sides, which tells the tile that a point is of.
    for entry in of_tiles:
        box = entry.rle.box_xyxy or (0, 0, 0, 0)
        for point, first, end in zip(entry.point_xy, box[:2], box[2:], strict=True):
            (start,) = (start for start in (0, 70, 140) if (point - start) % 22.5 == 11.25)
            assert first != start or start == 0
            assert end != start + 180 or start == 140


def test_equal_input_gives_equal_objects(predictor: Predictor, picture: Any) -> None:
    image, _, embedding = picture
    first, second = (search(predictor, image, embedding, points_per_side=8) for _ in range(2))
    assert [(a.rle, a.iou_score) for a in first] == [(b.rle, b.iou_score) for b in second]
