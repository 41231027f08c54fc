"""Our polygon JSON: all parts and holes, exactly when asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.errors import DataError
from sam2_adapter.files import write_json
from sam2_adapter.formats.polygon_json import image_to_polygons, polygons_to_image, read_polygons
from tests.formats.examples import annotated_image
from tests.shapes import FEW, iou, object_masks, pixel_masks


def _round_trip(mask, tolerance):
    image = AnnotatedImage("a.jpg", mask.shape, (Annotation.from_mask(mask, "cat"),))
    document = json.loads(json.dumps(image_to_polygons(image, "m", tolerance=tolerance)))
    return polygons_to_image(document).annotations[0].mask


def test_the_document_is_the_documented_one():
    mask = np.zeros((4, 5), np.bool_)
    mask[1:3, 1:4] = True
    image = AnnotatedImage("a.jpg", (4, 5), (Annotation.from_mask(mask, "cat", 0.5, object_id="7"),))
    assert image_to_polygons(image, "sam2_hiera_s") == {
        "format": "sam2-adapter polygons",
        "format_version": 1,
        "model": "sam2_hiera_s",
        "file_name": "a.jpg",
        "width": 5,
        "height": 4,
        "objects": [
            {
                "label": "cat",
                "iou_score": 0.5,
                "object_id": "7",
                "parts": [{"exterior": [[1, 1], [4, 1], [4, 3], [1, 3]], "holes": []}],
            }
        ],
    }


def test_the_exact_file_round_trip_keeps_everything(tmp_path):
    image = annotated_image()
    write_json(tmp_path / "a.json", image_to_polygons(image, "m", tolerance=0))
    assert read_polygons(tmp_path / "a.json") == image


@FEW
@given(pixel_masks().filter(lambda mask: bool(mask.any())))
def test_any_mask_survives_without_simplification(mask):
    assert np.array_equal(_round_trip(mask, 0), mask)


@FEW
@given(object_masks())
def test_objects_keep_their_shape(mask):
    assume(mask.sum() > 400)
    assert iou(_round_trip(mask, 1.0), mask) >= 0.98


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(format="geojson"), "expected the format 'sam2-adapter polygons', but got 'geojson'"),
        (lambda d: d.update(format_version=2), "the format version is 2, but this program reads 1"),
        (lambda d: d.update(width=0), "must be positive, but got 90 and 0"),
        (lambda d: d.pop("objects"), "'objects' is missing"),
        (lambda d: d["objects"][0].pop("label"), "object 1: the key 'label' is missing"),
        (lambda d: d["objects"][0].update(label=""), "object 1: An annotation needs a label"),
        (lambda d: d["objects"][0].update(iou_score=None), "object 1: 'iou_score' is a number, but got None"),
        (lambda d: d["objects"][0].update(parts=[]), "object 1: The mask of an annotation with label 'cat' is empty"),
        (lambda d: d["objects"][0].update(parts=[3]), "object 1: expected an object, but got 3"),
        (
            lambda d: d["objects"][0]["parts"][0].update(exterior=[[1, 2]]),
            "object 1: A polygon ring needs at least three",
        ),
    ],
)
def test_broken_documents_are_refused(change, text):
    document = image_to_polygons(annotated_image(), "m")
    change(document)
    with pytest.raises(DataError, match=text):
        polygons_to_image(document, source="x.json")
