"""Public data sets in layouts of their own: what they are, and what to do with them."""

from __future__ import annotations

import gzip

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.other_layouts import advice_on
from tests.formats.folders import write_image, write_json


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        (("JPEGImages/480p/bear", "Annotations/480p/bear"), "It looks like DAVIS"),
        (("images/training", "annotations/training"), "It looks like ADE20K: call annotations/ masks/"),
        (("leftImg8bit/train/aachen", "gtFine/train/aachen"), "It looks like Cityscapes: put leftImg8bit into images/"),
        (("set/img", "set/ann"), "It looks like a project of Supervisely: export its annotations in COCO format"),
    ],
)
def test_what_looks_like_a_public_data_set_is_called_so(tmp_path, folders, text):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(DataError, match=rf"not a known data set\. {text}.* Expected a Dataloop export"):
        load_dataset(tmp_path)


def test_other_files_and_a_data_set_further_down(tmp_path):
    assert advice_on(tmp_path, lambda _: False) == ""
    write_json(tmp_path / "project.json", {"_via_settings": {}, "_via_img_metadata": {}})
    with pytest.raises(DataError, match="VGG Image Annotator: export its annotations in COCO format"):
        load_dataset(tmp_path)
    (tmp_path / "project.json").unlink()
    (tmp_path / "VOC2012" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "VOC2012" / "SegmentationObject").mkdir()
    (tmp_path / "VOC2012" / "Annotations").mkdir()
    with pytest.raises(DataError, match=r"The folder .*VOC2012 is a data set: give its path\."):
        load_dataset(tmp_path)
    (tmp_path / "cells").mkdir()
    advice = advice_on(tmp_path, lambda folder: folder.name == "cells")
    assert advice == f"The folder {tmp_path / 'cells'} is a data set: give its path."


def test_what_was_labelled_on_the_page_is_named(tmp_path):
    """Whoever gives the folder of the pictures, or that of the work, hears of the file that is meant."""
    labels = tmp_path / "labels"
    write_image(tmp_path / "a.png")
    for folder in ("images", "labels"):  # an export without its pictures, which is no help
        (labels / "yolo" / folder).mkdir(parents=True)
    write_json(
        labels / ".sam2-adapter.jsonl",
        {"sam2-adapter": "0.1", "command": "label", "entries": ["annotations.json", "yolo"]},
    )
    for folder in (tmp_path, labels):
        with pytest.raises(
            DataError, match=r"labels is work of sam2-adapter label: export it with --export coco, and give"
        ):
            load_dataset(folder)
    write_json(labels / "annotations.json", {})
    for folder in (tmp_path, labels):
        with pytest.raises(
            DataError, match=rf"{labels / 'annotations.json'} has what was labelled with sam2-adapter: give its path"
        ):
            load_dataset(folder)
    write_json(
        labels / ".sam2-adapter.jsonl", {"sam2-adapter": "0.1", "command": "predict", "entries": ["annotations.json"]}
    )
    assert "labelled" not in advice_on(tmp_path, lambda _: False)


def test_boxes_of_pascal_voc_are_no_masks(tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation/>")
    assert advice_on(tmp_path, lambda _: False).startswith("It looks like Pascal VOC with boxes and without masks")


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"a.png1": {"regions": [{"shape_attributes": {}}]}}, "p.json looks like a project of the VGG Image Annotator"),
        (
            [{"id": 1, "annotations": [{"completed_by": 1}]}],
            "p.json looks like tasks of Label Studio: export polygons as",
        ),
        ({"info": {"description": "ISAT"}, "objects": []}, "p.json looks like annotations of ISAT"),
        ({"objects": [{"geometryType": "polygon"}]}, "p.json looks like annotations of Supervisely"),
        ({"dm_format_version": "1.0", "items": []}, "p.json looks like a project of Datumaro"),
        ({"image": {}, "annotations": [{"predicted_iou": 1}]}, "p.json looks like files of SA-1B, one per image"),
    ],
)
def test_files_of_other_tools_are_called_so(tmp_path, document, text):
    write_json(tmp_path / "p.json", document)
    assert advice_on(tmp_path, lambda _: False).startswith(text)


def test_pictures_that_look_like_images_and_masks(tmp_path):
    for name in ("photos/a.jpg", "photos/b.jpg", "gt/a.png", "other/x.jpg"):
        write_image(tmp_path / "apart" / name)
    assert advice_on(tmp_path / "apart", lambda _: False) == (
        "The pictures in gt/ and photos/ have the same names: where those of one folder are the masks of the others, call the folders "
        "images/ and masks/."
    )
    for name in ("a.jpg", "a_mask.png", "b.jpg"):
        write_image(tmp_path / "beside" / name)
    assert advice_on(tmp_path / "beside", lambda _: False) == (
        "There are masks beside images, such as a_mask.png: put the images into images/, and the masks into masks/."
    )


def test_a_data_set_that_is_packed(tmp_path):
    path = tmp_path / "annotations.json.gz"
    path.write_bytes(gzip.compress(b"{}"))
    for given in (path, tmp_path):
        with pytest.raises(
            DataError, match=r"not a known data set\. annotations.json.gz is packed with gzip: unpack it first\."
        ):
            load_dataset(given)
