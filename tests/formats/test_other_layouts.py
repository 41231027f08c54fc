"""Public data sets in layouts of their own: what they are, and what to do with them."""

from __future__ import annotations

import gzip

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.load import load_dataset
from sam2_adapter.formats.other_layouts import advice_on
from tests.formats.folders import write_json


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        (("JPEGImages/480p/bear", "Annotations/480p/bear"), "It looks like DAVIS"),
        (("images/training", "annotations/training"), "It looks like ADE20K: call annotations/ masks/"),
        (("leftImg8bit/train/aachen", "gtFine/train/aachen"), "It looks like Cityscapes: put leftImg8bit into images/"),
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


def test_a_data_set_that_is_packed(tmp_path):
    path = tmp_path / "annotations.json.gz"
    path.write_bytes(gzip.compress(b"{}"))
    for given in (path, tmp_path):
        with pytest.raises(
            DataError, match=r"not a known data set\. annotations.json.gz is packed with gzip: unpack it first\."
        ):
            load_dataset(given)
