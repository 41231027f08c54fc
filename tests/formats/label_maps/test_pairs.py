"""Which mask belongs to which image."""

from __future__ import annotations

import pytest

from sam2_adapter.formats.label_maps.pairs import pair_masks


@pytest.mark.parametrize(
    "mask",
    [
        "p.png", "p.tif", "P.PNG", "p.jpg.png", "p_mask.png", "p_masks.tif", "p-mask.png", "p mask.png", "p.mask.png", "p_MASK.png",
        "p_segmentation.png", "p_seg.png", "p_label.png", "p_gt.png", "p_cp_masks.png", "p_instances.png", "p.jpg_mask.png",
    ],
)  # fmt: skip
def test_habits_of_tools(mask):
    pairs = pair_masks(["p.jpg", "q.jpg"], [mask])
    assert pairs.masks_of == {"p.jpg": [mask], "q.jpg": []}
    assert not pairs.unpaired


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("p.jpg", "mask_p.png"),
        ("p.jpg", "GT-p.png"),
        ("sub/p.jpg", "sub/labels_p.png"),
        ("img_1.jpg", "mask_1.png"),
        ("image1.jpg", "seg1.png"),
        ("p_img.png", "p_masks.png"),
        ("p_leftImg8bit.png", "p_gt.png"),
        ("1_rgb.png", "gt_1.png"),
    ],
)
def test_words_before_names_and_behind_those_of_images(image, mask):
    others = ["q.jpg", "2.png", "images.png"]
    pairs = pair_masks([image, *others], [mask])
    assert pairs.masks_of == {image: [mask]} | {other: [] for other in others}


def test_names_with_words_taken_off_come_last():
    pairs = pair_masks(["1.jpg", "img_1.jpg"], ["mask_1.png", "img_1.png"])
    assert pairs.masks_of == {"1.jpg": ["mask_1.png"], "img_1.jpg": ["img_1.png"]}
    assert pair_masks(["1.jpg", "img_1.jpg"], ["mask_1.png"]).rivals_of["1.jpg"] == ["1.jpg", "img_1.jpg"]


@pytest.mark.parametrize("mask", ["r.png", "sub/p.png", "pmask.png", "p_2.png", "maskp.png", "mask.png"])
def test_other_names_fit_nothing(mask):
    pairs = pair_masks(["p.jpg"], [mask])
    assert pairs.masks_of == {"p.jpg": []}
    assert pairs.unpaired == [mask]


def test_the_same_name_comes_before_every_habit():
    pairs = pair_masks(["p.jpg", "p_mask.jpg"], ["p_mask.png", "p.png"])
    assert pairs.masks_of == {"p.jpg": ["p.png"], "p_mask.jpg": ["p_mask.png"]}
    pairs = pair_masks(["p.jpg"], ["p_mask.png", "p.png"])
    assert pairs.masks_of == {"p.jpg": ["p.png"]}
    assert pairs.unpaired == ["p_mask.png"]
    pairs = pair_masks(["p.jpg", "p.png"], ["p.jpg.png", "p.png.png"])
    assert pairs.masks_of == {"p.jpg": ["p.jpg.png"], "p.png": ["p.png.png"]}


def test_accents_and_case_decide_only_between_names_that_differ_in_nothing_else():
    assert pair_masks(["Caf\u00e9.jpg"], ["cafe\u0301.png"]).masks_of == {"Caf\u00e9.jpg": ["cafe\u0301.png"]}
    pairs = pair_masks(["a.png", "A.png"], ["A.png", "a.png"])
    assert pairs.masks_of == {"a.png": ["a.png"], "A.png": ["A.png"]}


def test_images_that_one_mask_fits_are_rivals():
    pairs = pair_masks(["a.jpg", "a.png"], ["a.tif"])
    assert pairs.rivals_of == {"a.jpg": ["a.jpg", "a.png"], "a.png": ["a.jpg", "a.png"]}
