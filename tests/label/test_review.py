"""Figures by label, and the order of the objects."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.label.picture_work import PictureWork
from sam2_adapter.label.review import accepted, figures, in_order, is_by_hand

HW = (10, 12)


def _object(label, area, score, **more):
    mask = np.zeros(HW, bool)
    mask.ravel()[:area] = True
    return {"label": label, "counts": mask_to_rle(mask).counts, "score": score, **more}


CLICK = {"point": [1, 1], "inside": True}
WORK = {
    "b.png": PictureWork(HW, {"1": _object("car", 30, 0.5, steps=[CLICK, CLICK]), "2": _object("dog", 7, 0.9)}),
    "a.png": PictureWork(HW, {"3": _object("car", 10, 0.75, steps=[CLICK]), "4": _object("car", 40, 1.0)}),
    "c.png": PictureWork(HW, {}),
}


def test_figures_of_each_label_also_of_those_without_objects():
    car, dog, none = figures(accepted(WORK), ["car", "dog", "none"])
    assert (car.label, car.num_objects, car.num_pictures, car.median_area_px, car.mean_score) == ("car", 3, 2, 30, 0.75)
    assert (car.num_from_file, car.num_by_hand, car.mean_steps) == (1, 0, 1.5)
    assert (dog.num_objects, dog.median_area_px, dog.num_from_file, dog.mean_steps) == (1, 7, 1, 0.0)
    assert (none.num_objects, none.median_area_px, none.mean_score) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("label", "order", "keys"),
    [
        (None, "picture", ["3", "4", "1", "2"]),
        (None, "score", ["1", "3", "2", "4"]),
        (None, "-score", ["4", "2", "3", "1"]),
        (None, "area", ["2", "3", "1", "4"]),
        ("car", "-area", ["4", "1", "3"]),
        ("none", "score", []),
    ],
)
def test_objects_come_in_the_order_that_is_asked_for(label, order, keys):
    assert [one.key for one in in_order(accepted(WORK), label, order)] == keys


def test_painted_masks_have_no_score_and_come_before_low_ones():
    stroke = {"mask": "x", "painted": True}
    work = {
        **WORK,
        "d.png": PictureWork(
            HW,
            {
                "5": _object("car", 3, 1.0, steps=[CLICK, stroke]),
                "6": _object("car", 4, 0.25, steps=[stroke, CLICK]),
                "7": _object("cloud", 5, 1.0, steps=[stroke]),
            },
        ),
    }
    objects = accepted(work)
    assert [one.key for one in in_order(objects, None, "score")] == ["5", "7", "6", "1", "3", "2", "4"]
    assert [one.key for one in in_order(objects, "car", "-score")] == ["4", "3", "1", "6", "5"]
    car, cloud = figures(objects, ["car", "cloud"])[:2]
    assert (car.num_objects, car.num_by_hand, car.num_scored, car.mean_score) == (
        5,
        1,
        4,
        (0.5 + 0.75 + 1.0 + 0.25) / 4,
    )
    assert (cloud.num_objects, cloud.num_by_hand, cloud.mean_score) == (1, 1, 0.0)


def test_what_is_read_from_files_without_scores_counts_in_no_mean_and_comes_last():
    files = {"8": _object("car", 50, None), "9": _object("cloud", 2, None, steps=[{"mask": "x"}])}
    objects = accepted({**WORK, "d.png": PictureWork(HW, files)})
    assert [one.key for one in in_order(objects, None, "score")] == ["1", "3", "2", "4", "8", "9"]
    assert [one.key for one in in_order(objects, None, "-score")] == ["4", "2", "3", "1", "8", "9"]
    assert [one.key for one in in_order(objects, "car", "area")] == ["3", "1", "4", "8"]
    car, cloud = figures(objects, ["car", "cloud"])[:2]
    assert (car.num_objects, car.num_scored, car.mean_score, car.num_by_hand) == (4, 3, 0.75, 0)
    assert (cloud.num_objects, cloud.num_scored, cloud.mean_score) == (1, 0, 0.0)


def test_painted_pixels_are_by_hand_and_a_version_changes_with_what_is_seen():
    assert not is_by_hand({"steps": [{"mask": "x"}, CLICK]})
    assert not is_by_hand({"steps": [{"mask": "x", "painted": True}, CLICK]})  # the model's answer
    assert is_by_hand({"steps": [CLICK, {"mask": "x", "painted": True}]})
    one, other, *_ = accepted(WORK)
    seen = f"{one.entry['label']} {one.entry['counts']}"
    assert int(one.version, 16) == zlib.crc32(seen.encode())
    assert one.version != other.version
    renamed = {"a.png": PictureWork(HW, {"3": {**one.entry, "label": "bus"}})}
    assert accepted(renamed)[0].version != one.version
    moved = {"z.png": PictureWork(HW, {"9": one.entry})}
    assert accepted(moved)[0].version == one.version
