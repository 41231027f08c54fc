"""Label files of labelme: what is written is read back, and what is none is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import fits_listed
from sam2_adapter.formats.labelme.objects import embedded_picture, image_to_labelme, parse_label_file, read_labelme
from tests.formats.examples import annotated_image
from tests.formats.folders import HW, rectangle, write_json
from tests.formats.labelme.label_files import SQUARE, label_file, shape
from tests.shapes import FEW, QUICK, iou, object_masks, pixel_masks


def round_trip(tmp_path, image, **options):
    export = image_to_labelme(image, **options)
    (back,) = read_labelme(write_json(tmp_path / "a.json", export.document)).images
    return back, export.notes


def mask_round_trip(tmp_path_factory, mask, **options):
    image = AnnotatedImage("a.jpg", mask.shape, (Annotation.from_mask(mask, "cat"),))
    back, _ = round_trip(tmp_path_factory.mktemp("labelme"), image, **options)
    (found,) = back.annotations
    return found.mask


def test_the_document_of_a_polygon():
    image = AnnotatedImage(
        "street/a.jpg", HW, (Annotation.from_mask(rectangle(8, 6, 16, 18), "cat", 0.5, object_id="7"),)
    )
    assert image_to_labelme(image, output_type="polygon").document == {
        "version": "5.5.0",
        "flags": {},
        "shapes": [
            {
                "label": "cat",
                "points": [[float(x), float(y)] for x, y in SQUARE],
                "shape_type": "polygon",
                "mask": None,
                "group_id": None,
                "description": "",
                "flags": {},
                "iou_score": 0.5,
                "object_id": "7",
            }
        ],
        "imagePath": "a.jpg",
        "imageData": None,
        "imageHeight": 24,
        "imageWidth": 32,
    }


def test_masks_keep_everything(tmp_path):
    image = annotated_image()
    back, notes = round_trip(tmp_path, image)
    assert back.annotations == image.annotations
    assert notes == ()


def test_polygons_keep_parts_together_and_objects_with_holes_stay_masks(tmp_path):
    image = annotated_image()
    back, notes = round_trip(tmp_path, image, output_type="polygon")
    assert [found.label for found in back.annotations] == [given.label for given in image.annotations]
    assert min(iou(a.mask, b.mask) for a, b in zip(back.annotations, image.annotations, strict=True)) >= 0.98
    assert notes == (
        "street/a.jpg: object 2 ('dog') has holes, which polygons of labelme cannot express: written as a mask.",
    )


@QUICK
@given(mask=pixel_masks().filter(lambda mask: bool(mask.any())))
def test_any_mask_survives(tmp_path_factory, mask):
    assert np.array_equal(mask_round_trip(tmp_path_factory, mask), mask)


@FEW
@given(mask=object_masks())
def test_polygons_keep_the_shape(tmp_path_factory, mask):
    assume(mask.sum() > 400)
    assert iou(mask_round_trip(tmp_path_factory, mask, output_type="polygon"), mask) >= 0.98


def test_shapes_of_a_group_are_one_object_and_others_are_said(tmp_path):
    document = label_file(
        shape("polygon", SQUARE, group=1),
        shape("polygon", [[20, 6], [24, 6], [24, 18], [20, 18]], group=1),
        shape("polygon", SQUARE, label="dog", group=1),
        shape("rectangle", [[1, 1], [5, 5]]),
        shape("linestrip", [[1, 1], [5, 5]]),
    )
    found = read_labelme(write_json(tmp_path / "a.json", document))
    cat, dog = found.images[0].annotations
    np.testing.assert_array_equal(cat.mask, rectangle(8, 6, 16, 18) | rectangle(20, 6, 24, 18))
    np.testing.assert_array_equal(dog.mask, rectangle(8, 6, 16, 18))
    assert found.notes == ("a.png: 2 left out: neither mask nor polygon.",)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], r"not a label file of labelme: expected a list 'shapes' in it, but got \[\]"),
        ({"imagePath": "a.png"}, "expected a list 'shapes' in it"),
        (label_file(hw=(None, None)), "'imageHeight' and 'imageWidth' are missing"),
        (label_file(shapes=3), "'shapes' is a list, but got 3"),
        (label_file(hw=(2.5, 4)), "'imageHeight' is a number of pixels, but got 2.5"),
        (label_file(hw=("tall", 4)), "'imageHeight' is a number of pixels, but got 'tall'"),
        (label_file(imagePath=5), "'imagePath' is a text, but got 5"),
        (label_file(imageData=5), "'imageData' is a text, but got 5"),
        (label_file(shape("polygon", [[1, 2]])), "shape 1: A polygon ring needs at least three"),
        (label_file(shape("polygon", SQUARE, iou_score="x")), "shape 1: 'iou_score' is a number, but got 'x'"),
    ],
)
def test_wrong_files_are_refused(tmp_path, document, text):
    with pytest.raises(DataError, match=f"a.json: .*{text}|a.json: {text}"):
        read_labelme(write_json(tmp_path / "a.json", document))


def test_files_that_are_no_json_are_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"shapes": [')
    with pytest.raises(DataError, match=r"a\.json: not a valid JSON file"):
        read_labelme(tmp_path / "a.json")


def test_embedded_pictures(tmp_path):
    assert embedded_picture(write_json(tmp_path / "a.json", label_file(imageData="aGFsbG8="))) == b"hallo"
    with pytest.raises(DataError, match="'imageData' is a picture in base64"):
        embedded_picture(write_json(tmp_path / "b.json", label_file(imageData="%")))


def test_sizes_that_are_not_given_fit_any_picture():
    document = json.loads(json.dumps(label_file(hw=(None, 32))))
    found = parse_label_file(document, "a.json")
    assert fits_listed(found.listed_hw, (7, 32))
    assert not fits_listed(found.listed_hw, (7, 31))


@pytest.mark.parametrize("sides", [("24", "32"), (24.0, 32.0), (0, None)])
def test_sizes_as_tools_write_them(sides):
    found = parse_label_file(label_file(hw=sides), "a.json")
    assert fits_listed(found.listed_hw, HW)
    assert not fits_listed(found.listed_hw, (23, 33)) or found.listed_hw == (None, None)
