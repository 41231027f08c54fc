"""Dataloop item JSON, tested against the platform's own client: what it draws is what we meant."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from PIL import Image

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.errors import DataError
from sam2_adapter.files import write_json
from sam2_adapter.formats.dataloop.objects import (
    data_url_to_mask,
    dataloop_item_to_image,
    image_to_dataloop_item,
    mask_to_data_url,
    read_dataloop_item,
)
from tests.formats.examples import HW, annotated_image
from tests.shapes import FEW, QUICK, ellipse, iou, object_masks, pixel_masks, real_masks


@pytest.fixture(scope="module")
def dl(tmp_path_factory):
    """The platform's client, kept away from the user's own settings; its dependencies warn on import."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("DATALOOP_PATH", str(tmp_path_factory.mktemp("dataloop")))
        warnings.simplefilter("ignore")
        yield pytest.importorskip("dtlpy", reason="the platform's client comes with the extra 'dataloop'")


def _drawn(dl, entry, hw):
    """An entry of our document, read and filled by the client."""
    definition = dl.Annotation.from_json(json.loads(json.dumps(entry))).annotation_definition
    canvas = np.zeros(hw, np.uint8)
    return definition.show(canvas, -1, False, *hw, annotation_format=None, color=1).astype(np.bool_)


def _polygon_round_trip(mask):
    """The mask after Dataloop polygons, with its holes filled, and the notes."""
    image = AnnotatedImage("a.jpg", mask.shape, (Annotation.from_mask(mask, "cat"),))
    export = image_to_dataloop_item(image, "m", output_type="polygon")
    return dataloop_item_to_image(export.document).images[0].annotations[0].mask, export


def test_the_document_has_the_platforms_layout():
    document = image_to_dataloop_item(annotated_image(), "sam2_hiera_s", model_id="64ab").document
    assert {key: document[key] for key in ("filename", "name", "dir")} == {
        "filename": "/street/a.jpg",
        "name": "a.jpg",
        "dir": "/street",
    }
    assert document["metadata"] == {"system": {"width": 120, "height": 90}}
    first, second = document["annotations"][:2]
    model = {"name": "sam2_hiera_s", "model_id": "64ab", "confidence": 0.9}
    assert (first["type"], first["label"], first["attributes"]) == ("binary", "cat", None)
    assert first["metadata"] == {
        "user": {"model": model},
        "system": {
            "automated": True,
            "attributes": {"colour": "schwarz-weiß"},
            "model": model,
            "objectId": "7",
            "parentId": "3",
        },
    }
    assert second["metadata"]["system"].keys() == {"automated", "attributes", "model"}
    assert second["metadata"]["user"]["model"]["confidence"] == 0.5


def test_masks_are_rgba_pictures_of_the_upright_size_in_the_labels_colour():
    image = annotated_image()
    document = image_to_dataloop_item(image, "m", label_colors={"cat": (1, 2, 3)}).document
    text = document["annotations"][0]["coordinates"]
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(text.removeprefix("data:image/png;base64,")))))
    mask = image.annotations[0].mask
    assert pixels.shape == (*HW, 4)
    assert np.array_equal(pixels[..., 3], 255 * mask)
    assert (pixels[mask][:, :3] == (1, 2, 3)).all()


@pytest.mark.parametrize("color", [(0, 0, 0), (1, 0, 0), (0, 0, 4), (255, 255, 255)])
def test_the_mask_is_in_the_alpha_whatever_the_colour(color):
    mask = ellipse((20, 30), (8, 12), (6, 9))
    assert np.array_equal(data_url_to_mask(mask_to_data_url(mask, color)), mask)
    assert np.array_equal(data_url_to_mask({"data": mask_to_data_url(mask, color)}), mask)


def test_faint_alpha_is_outside_and_colour_alone_is_nothing():
    pixels = np.full((1, 3, 4), 255, np.uint8)
    pixels[0, :, 3] = [127, 128, 0]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    text = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    assert data_url_to_mask(text).tolist() == [[False, True, False]]


@QUICK
@given(pixel_masks())
def test_any_mask_survives_as_picture(mask):
    assert np.array_equal(data_url_to_mask(mask_to_data_url(mask, (0, 0, 0))), mask)


def test_the_mask_file_round_trip_is_exact_and_keeps_all_objects(tmp_path):
    image = annotated_image()
    export = image_to_dataloop_item(image, "m")
    assert export.notes == ()
    write_json(tmp_path / "a.json", export.document)
    result = read_dataloop_item(tmp_path / "a.json")
    assert result.images[0].annotations == image.annotations
    assert len(result.images[0].annotations) == 5
    assert result.notes == ()


def test_polygons_are_single_rings_of_pixel_centres():
    mask = np.zeros((6, 9), np.bool_)
    mask[1:4, 2:7] = True
    back, export = _polygon_round_trip(mask)
    (entry,) = export.document["annotations"]
    assert (entry["type"], len(entry["coordinates"])) == ("segment", 1)
    assert sorted((p["x"], p["y"]) for p in entry["coordinates"][0]) == [(2, 1), (2, 3), (6, 1), (6, 3)]
    assert np.array_equal(back, mask)


def test_parts_share_an_object_id_and_holes_are_reported():
    export = image_to_dataloop_item(annotated_image(), "m", output_type="polygon")
    ids = [entry["metadata"]["system"].get("objectId") for entry in export.document["annotations"]]
    assert ids == ["7", None, "1", "1", None, None]
    num_holes = int((ellipse(HW, (30, 80), (7, 8))).sum())
    assert export.notes == (
        f"street/a.jpg: object 2 ('dog') has holes of {num_holes} pixels, which Dataloop polygons cannot express: "
        "they were filled. Choose masks to keep them.",
    )
    image, back = annotated_image(), dataloop_item_to_image(export.document).images[0]
    assert [a.label for a in back.annotations] == [a.label for a in image.annotations]
    assert [a.iou_score for a in back.annotations] == [a.iou_score for a in image.annotations]
    for index in (0, 2, 3, 4):
        assert iou(back.annotations[index].mask, image.annotations[index].mask) >= 0.98


def test_new_object_ids_are_not_taken_ones():
    parted = np.zeros((9, 9), np.bool_)
    parted[1, 1] = parted[5, 5] = True
    annotations = (Annotation.from_mask(parted, "cat"), Annotation.from_mask(parted, "cat", object_id="1"))
    document = image_to_dataloop_item(AnnotatedImage("a.jpg", (9, 9), annotations), "m", output_type="polygon").document
    assert [entry["metadata"]["system"]["objectId"] for entry in document["annotations"]] == ["2", "2", "1", "1"]


@FEW
@given(object_masks(may_have_holes=False))
def test_polygons_keep_shape_and_parts(mask):
    assume(mask.sum() > 400)
    back, export = _polygon_round_trip(mask)
    if not export.notes:
        assert iou(back, mask) >= 0.98


@QUICK
@given(pixel_masks().filter(lambda mask: bool(mask.any())))
def test_no_pixel_is_lost_even_of_specks(mask):
    # Small parts are not simplified at all, so that only holes differ.
    back, export = _polygon_round_trip(mask)
    assert (back & mask).sum() >= 0.98 * mask.sum()
    assert np.array_equal(back, mask) or export.notes or iou(back, mask) >= 0.98
    assert all(len(ring) >= 3 for entry in export.document["annotations"] for ring in entry["coordinates"])


@pytest.mark.parametrize("data_set", ["coco-cc", "nuclei-dsb2018"])
def test_polygons_keep_real_shapes(data_set):
    results = [(mask, *_polygon_round_trip(mask)) for mask in real_masks(data_set, count=40, least_area=400)]
    ious = [iou(back, mask) for mask, back, export in results if not export.notes]
    assert len(ious) >= 20
    assert min(ious) >= 0.98


def test_the_client_draws_what_we_meant(dl):
    image = annotated_image()
    for entry, annotation in zip(
        image_to_dataloop_item(image, "m").document["annotations"], image.annotations, strict=True
    ):
        assert np.array_equal(_drawn(dl, entry, HW), annotation.mask)
        read = dl.Annotation.from_json(entry)
        assert (read.label, read.object_id, read.attributes or None) == (
            annotation.label,
            annotation.object_id,
            annotation.attributes,
        )
    export = image_to_dataloop_item(image, "m", output_type="polygon")
    entries = export.document["annotations"]
    drawn = [_drawn(dl, entry, HW) for entry in entries]
    ours = [a.mask for a in dataloop_item_to_image(export.document).images[0].annotations]
    assert np.array_equal(drawn[2] | drawn[3], ours[2])
    for theirs, mine in zip(drawn[:2] + drawn[4:], ours[:2] + ours[3:], strict=True):
        assert np.array_equal(theirs, mine)


def test_the_client_draws_real_shapes(dl):
    for mask in real_masks("coco-cc", count=25, least_area=400):
        _, export = _polygon_round_trip(mask)
        drawn = np.logical_or.reduce([_drawn(dl, entry, mask.shape) for entry in export.document["annotations"]])
        assert export.notes or iou(drawn, mask) >= 0.98


def test_the_client_reads_the_file(dl, tmp_path):
    write_json(tmp_path / "a.json", image_to_dataloop_item(annotated_image(), "m").document)
    collection = dl.AnnotationCollection.from_json_file(tmp_path / "a.json")
    assert sorted(annotation.label for annotation in collection) == ["cat", "cat", "dog", "dog", "猫"]


def test_foreign_annotations_are_read():
    ring = [{"x": 1, "y": 1}, {"x": 5, "y": 1}, {"x": 5, "y": 5}, {"x": 1, "y": 5}]
    hole = [{"x": 2, "y": 2}, {"x": 4, "y": 2}, {"x": 4, "y": 4}, {"x": 2, "y": 4}]
    document = {
        "filename": "/folder/a.jpg",
        "annotations": [
            {"type": "segment", "label": "cat", "coordinates": [ring, hole], "metadata": {}},
            {"type": "segment", "label": "cat", "coordinates": [[{"x": 0.6, "y": 0.4}]]},
            {"type": "box", "label": "cat", "coordinates": []},
            {"type": "segment", "label": "cat", "coordinates": [[{"x": 100, "y": 1e9}]]},
        ],
    }
    result = dataloop_item_to_image(document, (7, 8), source="a.json")
    holed, point = result.images[0].annotations
    assert holed.area == 5 * 5 - 1
    assert not holed.mask[3, 3]
    assert np.argwhere(point.mask).tolist() == [[0, 1]]
    assert holed.iou_score == 1.0
    assert result.images[0].file_name == "a.jpg"
    assert result.notes == (
        "a.json: annotation 3 was left out: its type is 'box', neither a mask ('binary') nor a polygon ('segment').",
        "a.json: annotation 4 was left out: its mask is empty.",
    )


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (7, "annotation 1: expected an object, but got 7"),
        ({}, "annotation 1: the key 'type' is missing"),
        ({"type": "binary", "coordinates": None}, "annotation 1: the coordinates of a mask are a text"),
        ({"type": "binary", "coordinates": "data:image/png;base64,@@"}, "annotation 1: "),
        ({"type": "binary", "coordinates": "data:image/png;base64,AAAA"}, "annotation 1: the mask: not an image"),
        (
            {"type": "binary", "coordinates": mask_to_data_url(np.ones((2, 3), np.bool_), (0, 0, 0))},
            "3x2 pixels, but that of its upright image is expected: 8x7",
        ),
        ({"type": "segment", "coordinates": [[{"x": 1}]]}, "the coordinates of a polygon are"),
        ({"type": "segment", "coordinates": []}, "at least one vertex"),
        ({"type": "segment", "coordinates": [[{"x": float("nan"), "y": 1}]]}, "must be finite"),
        ({"type": "segment", "coordinates": [[{"x": 1, "y": 1}]]}, "the key 'label' is missing"),
        ({"type": "segment", "label": "", "coordinates": [[{"x": 1, "y": 1}]]}, "needs a label"),
        (
            {"type": "segment", "label": "a", "coordinates": [[{"x": 1, "y": 1}]], "metadata": 3},
            "'metadata' is an object, but got 3",
        ),
    ],
)
def test_broken_annotations_are_refused(entry, text):
    with pytest.raises(DataError, match=text):
        dataloop_item_to_image({"name": "a.jpg", "annotations": [entry]}, (7, 8))


@pytest.mark.parametrize("object_id", [None, "7"], ids=["objects", "parts of one object"])
def test_many_objects_of_a_large_image_are_never_decoded_together(object_id):
    hw, count = (1500, 2000), 100
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [40, 0], [40, 30]])
    rings = rng.integers((0, 0), (1950, 1450), (count, 1, 2)) + corners
    system = {} if object_id is None else {"objectId": object_id}
    entries = [
        {
            "type": "segment",
            "label": "cell",
            "coordinates": [[{"x": x, "y": y} for x, y in ring.tolist()]],
            "metadata": {"system": system},
        }
        for ring in rings
    ]

    tracemalloc.start()
    annotations = dataloop_item_to_image({"name": "a", "annotations": entries}, hw).images[0].annotations
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(annotations) == (count if object_id is None else 1)
    assert peak < hw[0] * hw[1]  # bytes of one mask
    expected = np.zeros(hw, np.uint8)
    for ring in rings:
        cv2.drawContours(expected, [ring.astype(np.int32)], -1, 1, thickness=cv2.FILLED)
    assert np.array_equal(np.logical_or.reduce([annotation.mask for annotation in annotations]), expected.astype(bool))


def test_a_document_without_size_needs_one():
    with pytest.raises(DataError, match="'metadata' is missing"):
        dataloop_item_to_image({"name": "a.jpg", "annotations": []})


def test_rings_without_a_vertex_are_passed_over_beside_others():
    ring = [{"x": 1, "y": 1}, {"x": 5, "y": 1}, {"x": 5, "y": 4}]
    document = {"name": "a", "annotations": [{"type": "segment", "label": "cat", "coordinates": [[], ring]}]}
    (annotation,) = dataloop_item_to_image(document, (6, 8)).images[0].annotations
    assert annotation.box_xyxy == (1, 1, 6, 5)
    document["annotations"][0]["coordinates"] = [[]]
    with pytest.raises(DataError, match="a polygon needs at least one vertex"):
        dataloop_item_to_image(document, (6, 8))
