"""Objects as CVAT's XML and back."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import assume, given

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.errors import DataError
from sam2_adapter.formats.cvat.objects import image_to_element, read_cvat
from tests.formats.cvat.xml_files import POLYGON, image, write_document
from tests.formats.examples import annotated_image
from tests.formats.folders import HW, rectangle
from tests.shapes import FEW, QUICK, iou, object_masks, pixel_masks


def round_trip(path, given_image, **options):
    element, notes = image_to_element(given_image, 0, **options)
    (back,) = read_cvat(write_document(path / "a.xml", element)).images
    return back, notes


def mask_round_trip(path, mask, **options):
    (found,) = round_trip(path, AnnotatedImage("a.jpg", mask.shape, (Annotation.from_mask(mask, "cat"),)), **options)[
        0
    ].annotations
    return found.mask


def test_the_element_of_a_mask_and_of_a_polygon():
    given_image = AnnotatedImage("a<b.jpg", HW, (Annotation.from_mask(rectangle(8, 6, 16, 18), 'c"t', 0.5),))
    root = ElementTree.fromstring(image_to_element(given_image, 3)[0])
    assert root.attrib == {"id": "3", "name": "a<b.jpg", "width": "32", "height": "24"}
    (mask,) = root
    assert (mask.tag, mask.attrib) == (
        "mask",
        {
            "label": 'c"t',
            "source": "auto",
            "occluded": "0",
            "rle": "0, 96",
            "left": "8",
            "top": "6",
            "width": "8",
            "height": "12",
            "z_order": "0",
        },
    )
    assert [(fact.attrib, fact.text) for fact in mask] == [({"name": "iou_score"}, "0.5")]
    (polygon,) = ElementTree.fromstring(image_to_element(given_image, 3, output_type="polygon")[0])
    assert polygon.attrib["points"] == "8.00,6.00;16.00,6.00;16.00,18.00;8.00,18.00"


def test_masks_keep_everything(tmp_path):
    given_image = annotated_image()
    back, notes = round_trip(tmp_path, given_image)
    assert back == given_image
    assert notes == ()


def test_polygons_keep_parts_together_and_objects_with_holes_stay_masks(tmp_path):
    given_image = annotated_image()
    back, notes = round_trip(tmp_path, given_image, output_type="polygon")
    assert [found.label for found in back.annotations] == [given.label for given in given_image.annotations]
    assert min(iou(a.mask, b.mask) for a, b in zip(back.annotations, given_image.annotations, strict=True)) >= 0.98
    assert notes == (
        "street/a.jpg: object 2 ('dog') has holes, which polygons of CVAT cannot express: written as a mask.",
    )


@QUICK
@given(mask=pixel_masks().filter(lambda mask: bool(mask.any())))
def test_any_mask_survives(tmp_path_factory, mask):
    assert np.array_equal(mask_round_trip(tmp_path_factory.mktemp("cvat"), mask), mask)


@FEW
@given(mask=object_masks())
def test_polygons_keep_the_shape(tmp_path_factory, mask):
    assume(mask.sum() > 400)
    assert iou(mask_round_trip(tmp_path_factory.mktemp("cvat"), mask, output_type="polygon"), mask) >= 0.98


def test_text_that_xml_cannot_hold_is_escaped(tmp_path):
    mask = rectangle(8, 6, 16, 18)
    attributes = {"a\nb": "tab\tand\x01", "number": 3, "half": "\ud800"}
    given_image = AnnotatedImage("a\x07.jpg", HW, (Annotation.from_mask(mask, "c\x00t", attributes=attributes),))
    back, _ = round_trip(tmp_path, given_image)
    assert back.file_name == "a\\x07.jpg"
    (found,) = back.annotations
    assert found.label == "c\\x00t"
    assert found.attributes == {"a\nb": "tab\tand\\x01", "number": "3", "half": "\\ud800"}


def test_what_is_no_object_is_said(tmp_path):
    box = '<box label="cat" xtl="1" ytl="2" xbr="3" ybr="4"></box>'
    found = read_cvat(write_document(tmp_path / "a.xml", image(POLYGON, box, box)))
    assert [annotation.label for annotation in found.images[0].annotations] == ["cat"]
    assert found.notes == ("a.png: 2 left out: neither mask nor polygon.",)


def test_a_malformed_shape_is_named(tmp_path):
    path = write_document(tmp_path / "a.xml", image(POLYGON, '<polygon label="cat" points="1,2"/>'))
    with pytest.raises(DataError, match=r"a\.xml: a\.png: polygon 2: A polygon ring needs at least three"):
        read_cvat(path)
