"""Mask PNGs: every object numbered, small ones on top, nothing that a palette could turn into something else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.errors import ExportError
from sam2_adapter.formats.label_maps.objects import (
    image_to_label_map,
    write_label_map,
    write_mask,
)
from sam2_adapter.formats.label_maps.reading import read_label_map
from sam2_adapter.images.mask_files import read_mask
from tests.formats.examples import HW, annotated_image
from tests.shapes import FEW, pixel_masks


def test_every_object_has_its_number(tmp_path):
    image = annotated_image()
    assert write_label_map(tmp_path / "masks" / "a.png", image) == ()
    label_map = read_label_map(tmp_path / "masks" / "a.png").numbers
    for number, annotation in enumerate(image.annotations, start=1):
        assert np.array_equal(label_map == number, annotation.mask)
    # Other readers see the same numbers, not the colours of a palette.
    with Image.open(tmp_path / "masks" / "a.png") as picture:
        assert picture.mode == "L"
    assert np.array_equal(cv2.imread(str(tmp_path / "masks" / "a.png"), cv2.IMREAD_UNCHANGED), label_map)


def test_small_objects_lie_on_top_and_hidden_ones_are_reported(tmp_path):
    large = np.ones((6, 6), np.bool_)
    left, right = large.copy(), large.copy()
    left[:, 3:] = False
    right[:, :3] = False
    image = AnnotatedImage("a.jpg", (6, 6), [Annotation.from_mask(mask, "cat") for mask in (left, large, right)])
    assert write_label_map(tmp_path / "a.png", image) == (
        "a.jpg: object 2 ('cat') lies completely under smaller objects and is not in the label map.",
    )
    assert read_label_map(tmp_path / "a.png").numbers.tolist() == [[1, 1, 1, 3, 3, 3]] * 6


def test_many_objects_take_16_bits(tmp_path):
    places = [divmod(index, 20) for index in range(300)]
    masks = [np.zeros((45, 60), np.bool_) for _ in places]
    for mask, (row, column) in zip(masks, places, strict=True):
        mask[3 * row : 3 * row + 2, 3 * column : 3 * column + 2] = True
    image = AnnotatedImage("a.jpg", (45, 60), [Annotation.from_mask(mask, "cat") for mask in masks])
    write_label_map(tmp_path / "a.png", image)
    assert image_to_label_map(image).dtype == np.uint16
    assert read_label_map(tmp_path / "a.png").numbers[::3, ::3].ravel().tolist() == list(range(1, 301))


def test_more_objects_than_numbers_are_refused():
    annotation = Annotation.from_mask(np.ones((1, 1), np.bool_), "cat")
    image = AnnotatedImage("a.jpg", (1, 1), [annotation] * 65_536)
    with pytest.raises(ExportError, match=r"a\.jpg: a label map holds up to 65535 objects, but there are 65536"):
        image_to_label_map(image)


@FEW
@given(mask=pixel_masks())
def test_any_mask_survives(tmp_path_factory, mask):
    path = tmp_path_factory.mktemp("mask") / "mask.png"
    write_mask(path, mask)
    assert np.array_equal(read_mask(path), mask)


def test_an_image_without_objects_gives_a_black_map(tmp_path):
    write_label_map(tmp_path / "a.png", AnnotatedImage("a.jpg", HW))
    assert not read_label_map(tmp_path / "a.png").numbers.any()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"a\.png: cannot write the file: .* Choose a folder"):
        write_mask(tmp_path / "file" / "a.png", np.ones((2, 2), np.bool_))
