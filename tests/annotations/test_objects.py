"""Annotations: what they hold, what they refuse."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.polygons import polygons_to_mask
from sam2_adapter.annotations.rle import Rle, mask_to_rle
from sam2_adapter.errors import DataError
from tests.shapes import QUICK, ellipse, pixel_masks

MASK = ellipse((40, 60), (12, 30), (9, 14))


def test_an_annotation_keeps_what_it_was_given():
    annotation = Annotation.from_mask(
        MASK, "cat", 0.875, attributes={"colour": "black"}, object_id="7", parent_id="3", prompt_index=2
    )
    assert np.array_equal(annotation.mask, MASK)
    assert annotation.mask.dtype == np.bool_
    assert (annotation.label, annotation.iou_score, annotation.attributes) == ("cat", 0.875, {"colour": "black"})
    assert (annotation.object_id, annotation.parent_id, annotation.prompt_index) == ("7", "3", 2)
    assert annotation.given == {"attributes": {"colour": "black"}, "object_id": "7", "parent_id": "3"}
    assert Annotation.from_mask(MASK, "cat", attributes={}, parent_id="3").given == {"attributes": {}, "parent_id": "3"}
    assert annotation.area == MASK.sum()
    assert annotation.original_hw == (40, 60)
    rows, columns = np.nonzero(MASK)
    assert annotation.box_xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    x0, y0, x1, y1 = annotation.box_xyxy
    assert np.array_equal(annotation.mask_in_box, MASK[y0:y1, x0:x1])


def test_an_annotation_does_not_change():
    attributes = {"colour": "black"}
    annotation = Annotation.from_mask(MASK, "cat", attributes=attributes)
    attributes["colour"] = "white"
    assert annotation.attributes == {"colour": "black"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        annotation.label = "dog"
    annotation.mask[:] = True
    assert annotation.area == MASK.sum()


@QUICK
@given(pixel_masks())
def test_masks_are_kept_exactly_and_empty_ones_are_no_annotation(mask):
    if not mask.any():
        with pytest.raises(DataError, match=r"label 'cat' is empty; an object without pixels is no annotation"):
            Annotation.from_mask(mask, "cat")
        return
    annotation = Annotation.from_mask(mask, "cat")
    assert np.array_equal(annotation.mask, mask)
    assert np.array_equal(polygons_to_mask(annotation.to_polygons(tolerance=0), mask.shape), mask)


@QUICK
@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_scores_are_clamped(score):
    assert Annotation.from_mask(MASK, "cat", score).iou_score == min(max(score, 0.0), 1.0)


def test_scores_slightly_outside_are_clamped_like_the_platform_demands():
    assert Annotation.from_mask(MASK, "cat", np.float32(1.0000001)).iou_score == 1.0
    assert type(Annotation.from_mask(MASK, "cat", np.float32(0.5)).iou_score) is float


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_not_finite_are_refused(score):
    with pytest.raises(DataError, match=r"must be finite, but got (nan|inf|-inf)"):
        Annotation.from_mask(MASK, "cat", score)
    with pytest.raises(DataError, match="from 0 to 1"):
        Annotation("cat", mask_to_rle(MASK), score)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"label": ""}, "label, a text that is not empty, but got ''"),
        ({"label": None}, "but got None"),
        ({"iou_score": 1.5}, "from 0 to 1, but got 1.5"),
        ({"iou_score": "0.5"}, "from 0 to 1, but got '0.5'"),
        ({"iou_score": True}, "from 0 to 1, but got True"),
        ({"attributes": ["a"]}, r"names and values, but got \['a'\]"),
        ({"object_id": 7}, "object_id of an annotation is a text, but got 7"),
        ({"parent_id": 7}, "parent_id of an annotation is a text, but got 7"),
        ({"rle": MASK}, "rle is the run lengths of a mask"),
    ],
)
def test_malformed_fields_are_refused(fields, text):
    with pytest.raises(DataError, match=text):
        Annotation(**{"label": "cat", "rle": mask_to_rle(MASK), **fields})


@pytest.mark.parametrize(
    "mask",
    [MASK.astype(np.uint8), MASK[None], MASK.astype(float), [[True]], None],
    ids=["uint8", "3d", "float", "list", "none"],
)
def test_only_bool_masks_are_accepted(mask):
    with pytest.raises(DataError, match="is a bool array of height x width, but got"):
        Annotation.from_mask(mask, "cat")


def test_an_image_holds_annotations_of_its_own_size():
    annotation = Annotation.from_mask(MASK, "cat")
    image = AnnotatedImage("a.jpg", (40, 60), [annotation])
    assert image.annotations == (annotation,)
    with pytest.raises(
        DataError, match=r"a\.jpg: the mask of annotation 0 \('cat'\) is 60x40 pixels, but the image is 40x60"
    ):
        AnnotatedImage("a.jpg", (60, 40), (annotation,))
    with pytest.raises(DataError, match="needs a file name"):
        AnnotatedImage("", (60, 40))
    with pytest.raises(DataError, match=r"a\.jpg: height and width must be positive"):
        AnnotatedImage("a.jpg", (0, 40))


def test_objects_are_called_by_their_number_from_1():
    annotations = tuple(Annotation.from_mask(MASK, label) for label in ("cat", "dog's"))
    image = AnnotatedImage("a/b.jpg", (40, 60), annotations)
    named = list(image.named_annotations())
    assert [name for name, _ in named] == ["a/b.jpg: object 1 ('cat')", 'a/b.jpg: object 2 ("dog\'s")']
    assert tuple(annotation for _, annotation in named) == annotations
    assert list(AnnotatedImage("a/b.jpg", (2, 3)).named_annotations()) == []


@pytest.mark.parametrize("size", ["46", (40.5, 60), (40,), None, (40, "x"), (float("inf"), 60)])
def test_a_size_that_is_no_two_whole_numbers_is_refused(size):
    for make in (lambda: AnnotatedImage("a.jpg", size), lambda: Rle(mask_to_rle(MASK).counts, size)):
        with pytest.raises(DataError, match=r"(a\.jpg|RLE): the size is \(height, width\) in whole pixels, but got"):
            make()


@pytest.mark.parametrize("given", [Annotation.from_mask(MASK, "cat"), None, ["cat"]])
def test_objects_that_are_no_list_of_annotations_are_refused(given):
    with pytest.raises(DataError, match=r"a\.jpg: the annotations are a list of Annotation, but got"):
        AnnotatedImage("a.jpg", (40, 60), given)


def test_scores_of_any_real_number_are_kept_as_pythons_own():
    entry = Annotation("cat", mask_to_rle(MASK), np.float32(0.5), stability_score=np.float32(0.25))
    assert (entry.iou_score, entry.stability_score) == (0.5, 0.25)
    assert type(entry.iou_score) is type(entry.stability_score) is float
    for score in ("0.5", None, True):
        with pytest.raises(DataError, match="must be finite, but got"):
            Annotation.from_mask(MASK, "cat", score)


@pytest.mark.parametrize("tolerance", [-1, float("nan"), float("inf"), "1"])
def test_a_tolerance_that_is_none_is_refused(tolerance):
    with pytest.raises(DataError, match="tolerance of an outline is a number of pixels of at least 0"):
        Annotation.from_mask(MASK, "cat").to_polygons(tolerance)


def test_facts_that_an_annotation_does_not_have_are_refused() -> None:
    for make, mask in ((Annotation.from_mask, MASK), (Annotation.from_rle, mask_to_rle(MASK))):
        with pytest.raises(TypeError, match="colour"):
            make(mask, "cat", colour="black")  # type: ignore[arg-type,call-arg]
