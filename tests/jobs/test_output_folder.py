"""What is written for every image, and what nobody else's file may be lost to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.errors import OutputExistsError
from sam2_adapter.formats.coco.objects import read_coco
from sam2_adapter.formats.registry import output_formats
from sam2_adapter.predict.predictor import ModelInfo, Predictor
from tests.jobs.writing import output_folder
from tests.small_model import small_predictor

INFO = ModelInfo("small", "0" * 64, "torch", "fp32", "cpu", "stretch")
PROMPT = Prompt(box_xyxy=(0, 0, 4, 4))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor()


def _image(name: str, *labels: str) -> AnnotatedImage:
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:5] = True
    return AnnotatedImage(name, (6, 8), tuple(Annotation.from_mask(mask, label) for label in labels))


def test_a_coco_file_without_images_is_valid(predictor: Predictor, tmp_path: Path) -> None:
    with output_folder(tmp_path, ["coco"], predictor.info):
        pass
    document = json.loads((tmp_path / "annotations.json").read_text())
    assert (document["images"], document["annotations"], document["categories"]) == ([], [], [])


def test_every_image_has_files_of_its_own(tmp_path: Path) -> None:
    names = [
        "a.png",
        "a.jpg",
        "a.png.jpg",
        "A.bmp",
        "clip.png",
        "clip/clip_001.png",
        "n" * 251 + ".png",
        "cafe\u0301.png",
        "caf\u00e9.png",
    ]
    files_of: list[tuple[Path, ...]] = []
    with output_folder(tmp_path / "out", tuple(output_formats()), INFO, overlay=True, file_names=names) as output:
        for name in names:
            files_of.append(output.write(np.zeros((6, 8, 3), np.uint8), _image(name, "cat", "dog"), [PROMPT, PROMPT]))
    written = [path for files in files_of for path in files]
    assert len({len(files) for files in files_of}) == 1
    assert len(written) == len(set(map(str, written)))
    with_files_of_images = {entry.results for entry in output_formats().values() if not entry.is_one_file}
    assert {path.relative_to(tmp_path / "out").parts[0] for path in written} == {*with_files_of_images, "overlays"}
    assert all(path.is_file() for path in written)
    legends = [json.loads(path.read_text()) for path in (tmp_path / "out" / "masks").rglob("*.json")]
    assert sorted(legend["file_name"] for legend in legends) == sorted(names)
    for legend in legends:
        assert len(legend["objects"]) == 2
    for path in (tmp_path / "out" / "masks").rglob("*.json"):
        for entry in json.loads(path.read_text())["objects"]:
            assert (path.parent / entry["file"]).is_file()


def test_labels_that_utf_8_cannot_hold_leave_documents_valid(tmp_path: Path) -> None:
    with output_folder(tmp_path / "out", tuple(output_formats()), INFO) as output:
        output.write(np.zeros((6, 8, 3), np.uint8), _image("a.png", "half \ud800"), [PROMPT])
    for path in (tmp_path / "out").rglob("*.json"):
        path.read_bytes().decode("utf-8")
    (image,) = read_coco(tmp_path / "out" / "annotations.json").images
    assert image.annotations[0].label == "half \ud800"


@pytest.mark.parametrize(
    "in_the_way", ["masks/a.png", "masks/a/a_001.png", "overlays/a.jpg", "json/a.json", "masks/a.json"]
)
def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path, in_the_way: str) -> None:
    with output_folder(tmp_path / "out", ["masks", "dataloop"], INFO, overlay=True) as output:
        (output.directory / in_the_way).parent.mkdir(parents=True)
        (output.directory / in_the_way).write_text("the user's")
        with pytest.raises(OutputExistsError, match="in the way"):
            output.write(np.zeros((6, 8, 3), np.uint8), _image("a.png", "cat"), [PROMPT])
    assert (tmp_path / "out" / in_the_way).read_text() == "the user's"


def test_polygons_are_what_coco_and_dataloop_hold_where_asked(tmp_path: Path) -> None:
    with output_folder(tmp_path, ["coco", "dataloop"], INFO, output_type="polygon") as output:
        output.write(np.zeros((6, 8, 3), np.uint8), _image("a.png", "cat"), [PROMPT])
    (row,) = json.loads((tmp_path / "annotations.json").read_text())["annotations"]
    assert row["segmentation"] == [[2, 1, 5, 1, 5, 4, 2, 4]]
    (entry,) = json.loads((tmp_path / "json" / "a.json").read_text())["annotations"]
    assert entry["type"] == "segment"
