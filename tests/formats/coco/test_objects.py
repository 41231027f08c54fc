"""COCO JSON: the layout that other tools read, nothing lost on the way, broken files refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.rle import coco_rings_to_rle, rle_to_mask
from sam2_adapter.errors import DataError, ExportError
from sam2_adapter.formats.coco.objects import coco_to_images, images_to_coco, read_coco, write_coco
from sam2_adapter.formats.coco.writer import CocoStream
from tests.formats.examples import annotated_image
from tests.shapes import FEW, iou, object_masks, pixel_masks, real_masks


def _polygon_round_trip(mask):
    """The mask after COCO polygons, as COCO's own tools fill them, or `None` where it stayed RLE because of holes."""
    image = AnnotatedImage("a.jpg", mask.shape, (Annotation.from_mask(mask, "cat"),))
    export = images_to_coco([image], "m", segmentation="polygon")
    (entry,) = export.document["annotations"]
    if isinstance(entry["segmentation"], dict):
        assert "holes" in export.notes[0]
        assert coco_to_images(export.document).images == (image,)
        return None
    ours = coco_to_images(export.document).images[0].annotations[0].mask
    assert iou(ours, mask) >= 0.98
    return rle_to_mask(coco_rings_to_rle(entry["segmentation"], mask.shape))


def test_the_document_has_cocos_layout():
    image = annotated_image()
    document = images_to_coco([image], "sam2_hiera_s").document
    assert document["info"] == {"description": "Masks made with sam2-adapter", "model": "sam2_hiera_s"}
    assert document["images"] == [{"id": 1, "file_name": "street/a.jpg", "width": 120, "height": 90}]
    assert [(c["id"], c["name"]) for c in document["categories"]] == [(1, "cat"), (2, "dog"), (3, "猫")]
    first = document["annotations"][0]
    x0, y0, x1, y1 = image.annotations[0].box_xyxy
    assert first["bbox"] == [x0, y0, x1 - x0, y1 - y0]
    assert first["area"] == image.annotations[0].area
    assert first["segmentation"]["size"] == [90, 120]
    assert isinstance(first["segmentation"]["counts"], str)
    assert (first["score"], first["iscrowd"], first["image_id"], first["category_id"]) == (0.9, 0, 1, 1)
    assert first["attributes"] == {"colour": "schwarz-weiß"}
    assert (first["object_id"], first["parent_id"]) == ("7", "3")
    assert [entry["id"] for entry in document["annotations"]] == [1, 2, 3, 4, 5]
    assert [entry["score"] for entry in document["annotations"]] == [0.9, 0.5, 0.25, 0.0, 1.0]


def test_pycocotools_opens_the_file(tmp_path, capsys):
    from pycocotools.coco import COCO

    image = annotated_image()
    for segmentation in ("rle", "polygon"):
        write_coco(tmp_path / "annotations.json", [image], "m", segmentation=segmentation)
        coco = COCO(tmp_path / "annotations.json")
        assert coco.getImgIds() == [1]
        masks = [coco.annToRLE(entry) for entry in coco.loadAnns(coco.getAnnIds())]
        areas = [float(coco.anns[number + 1]["area"]) for number in range(len(masks))]
        assert areas == [annotation.area for annotation in image.annotations]
    capsys.readouterr()


def test_the_file_round_trip_is_exact(tmp_path):
    image = annotated_image()
    assert write_coco(tmp_path / "new" / "annotations.json", [image], "m") == ()
    result = read_coco(tmp_path / "new" / "annotations.json")
    assert result.images == (image,)
    assert result.notes == ()


@FEW
@given(pixel_masks().filter(lambda mask: bool(mask.any())))
def test_any_mask_survives_as_rle(mask):
    image = AnnotatedImage("a.jpg", mask.shape, (Annotation.from_mask(mask, "cat", 0.3),))
    document = json.loads(json.dumps(images_to_coco([image], "m").document))
    assert coco_to_images(document).images == (image,)


@FEW
@given(object_masks())
def test_polygons_keep_the_shape(mask):
    assume(mask.sum() > 400)
    back = _polygon_round_trip(mask)
    assert back is None or iou(back, mask) >= 0.98


@pytest.mark.parametrize("data_set", ["coco-cc", "nuclei-dsb2018"])
def test_polygons_keep_real_shapes(data_set):
    masks = real_masks(data_set, count=40, least_area=400)
    backs = [_polygon_round_trip(mask) for mask in masks]
    assert min(iou(back, mask) for back, mask in zip(backs, masks, strict=True) if back is not None) >= 0.98


def test_objects_with_holes_stay_rle_and_are_reported():
    export = images_to_coco([annotated_image()], "m", segmentation="polygon")
    kinds = [type(entry["segmentation"]) for entry in export.document["annotations"]]
    assert kinds == [list, dict, list, list, list]
    assert [len(export.document["annotations"][i]["segmentation"]) for i in (0, 2)] == [1, 2]
    assert export.notes == (
        "street/a.jpg: object 2 ('dog') has holes, which COCO polygons cannot express: written as RLE.",
    )


def test_appending_keeps_the_rest_and_replaces_the_same_image(tmp_path):
    path = tmp_path / "annotations.json"
    image = annotated_image()
    other = AnnotatedImage("b.jpg", image.original_hw, image.annotations[3:])
    write_coco(path, [image], "m")
    write_coco(path, [other], "m", append=True)
    write_coco(path, [AnnotatedImage(image.file_name, image.original_hw, image.annotations[:1])], "m", append=True)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert [entry["file_name"] for entry in document["images"]] == ["b.jpg", "street/a.jpg"]
    assert len({entry["id"] for entry in document["images"]}) == 2
    assert len({entry["id"] for entry in document["annotations"]}) == len(document["annotations"]) == 3
    assert [c["name"] for c in document["categories"]] == ["cat", "dog", "猫"]
    back = {found.file_name: found.annotations for found in read_coco(path).images}
    assert back == {"b.jpg": other.annotations, image.file_name: image.annotations[:1]}


def test_an_image_without_objects_is_listed():
    image = AnnotatedImage("empty.jpg", (5, 6))
    document = images_to_coco([image], "m").document
    assert document["annotations"] == []
    assert coco_to_images(document).images == (image,)


def test_foreign_segmentations_are_read():
    document = {
        "images": [{"id": 4, "file_name": "a.jpg", "width": 4, "height": 3}],
        "categories": [{"id": 9, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 9, "segmentation": {"size": [3, 4], "counts": [3, 3, 6]}},
            {
                "id": 2,
                "image_id": 4,
                "category_id": 9,
                "segmentation": [[0, 0, 2, 0, 2, 1, 0, 1], [3, 2, 4, 2, 4, 3, 3, 3]],
            },
            {
                "id": 3,
                "image_id": 4,
                "category_id": 9,
                "segmentation": {"size": [3, 4], "counts": [0, 12]},
                "iscrowd": 1,
            },
            {"id": 4, "image_id": 4, "category_id": 9, "segmentation": {"size": [3, 4], "counts": [12]}},
        ],
    }
    result = coco_to_images(document, source="x.json")
    first, second = result.images[0].annotations
    assert np.argwhere(first.mask).tolist() == [[0, 1], [1, 1], [2, 1]]
    assert np.argwhere(second.mask).tolist() == [[0, 0], [0, 1], [2, 3]]
    assert first.iou_score == 1.0
    assert result.notes == (
        "x.json: annotation 3 was left out: it is a crowd region.",
        "x.json: annotation 4 was left out: its mask is empty.",
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.pop("images"), "'images' is missing"),
        (lambda d: d.update(annotations={}), "'annotations' is a list, but got {}"),
        (lambda d: d.update(annotations=[7]), "one of them is 7"),
        (lambda d: d["annotations"][0].update(image_id=99), "annotation 1: there is no image with the id 99"),
        (lambda d: d["annotations"][0].update(category_id=99), "annotation 1: there is no category with the id 99"),
        (lambda d: d["annotations"][0].update(category_id=True), "'category_id' is a whole number, but got True"),
        (lambda d: d["annotations"][0].update(score="high"), "'score' is a number, but got 'high'"),
        (
            lambda d: d["annotations"][0].update(score=7),
            "annotation 1: The IoU score of an annotation is a number from 0 to 1",
        ),
        (
            lambda d: d["annotations"][0].pop("segmentation"),
            "annotation 1: 'segmentation' is a list of polygons .* but got None",
        ),
        (lambda d: d["annotations"][0]["segmentation"].update(size=[1, 2]), r"the 'size' \[1, 2\]"),
        (lambda d: d["annotations"][0]["segmentation"].update(counts="~"), "not in COCO's compressed form"),
        (
            lambda d: d["annotations"][0]["segmentation"].update(counts=[-1]),
            "'counts' in 'segmentation' are whole numbers",
        ),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 3]]), "a polygon of at least three points"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 2, 3, 4]]), "at least three"),
        (lambda d: d["images"][0].update(width=0), "'street/a.jpg': height and width must be positive"),
    ],
)
def test_broken_documents_are_refused(change, text):
    document = images_to_coco([annotated_image()], "m").document
    change(document)
    with pytest.raises(DataError, match=text):
        coco_to_images(document, source="x.json")


def test_files_that_are_no_coco_files_are_refused_by_name(tmp_path):
    path = tmp_path / "annotations.json"
    path.write_text("[]")
    with pytest.raises(DataError, match=r"annotations\.json: expected a COCO object, but got \[\]"):
        write_coco(path, [annotated_image()], "m", append=True)
    path.write_text("{")
    with pytest.raises(DataError, match=r"annotations\.json: not a valid JSON file"):
        read_coco(path)
    with pytest.raises(DataError, match="cannot read the file: No such file"):
        read_coco(tmp_path / "missing.json")


def test_what_json_cannot_hold_is_refused_and_leaves_no_file(tmp_path):
    annotation = Annotation.from_mask(np.ones((2, 2), np.bool_), "cat", attributes={"a": {1, 2}})
    with pytest.raises(ExportError, match="cannot be written as JSON"):
        write_coco(tmp_path / "annotations.json", [AnnotatedImage("a.jpg", (2, 2), (annotation,))], "m")
    assert list(tmp_path.iterdir()) == []


def test_categories_begin_with_the_labels_that_are_given(tmp_path):
    write_coco(tmp_path / "a.json", [annotated_image()], "m", labels=["horse", "dog"])
    rows = json.loads((tmp_path / "a.json").read_text())["categories"]
    assert [(row["id"], row["name"]) for row in rows] == [(1, "horse"), (2, "dog"), (3, "cat"), (4, "猫")]
    write_coco(tmp_path / "a.json", [], "m", labels=["cow", "cat"], append=True)
    rows = json.loads((tmp_path / "a.json").read_text())["categories"]
    assert [(row["id"], row["name"]) for row in rows][3:] == [(4, "猫"), (5, "cow")]


@pytest.mark.parametrize(
    ("labels", "text"), [("cat", "got 'cat'"), ([None], "one of them is None"), (["a", 5], "one of them is 5")]
)
def test_labels_are_a_list_of_texts(tmp_path, labels, text):
    with pytest.raises(DataError, match=rf"a\.json: labels is a list of texts, but {text}"):
        write_coco(tmp_path / "a.json", [annotated_image()], "m", labels=labels)
    with pytest.raises(DataError, match=rf"b\.json: labels is a list of texts, but {text}"):
        CocoStream(tmp_path / "b.json", "m", {}, labels=labels)
    assert list(tmp_path.iterdir()) == []
