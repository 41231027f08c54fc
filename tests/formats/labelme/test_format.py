"""labelme as a format: files to put beside the pictures, and its boxes and points as prompts."""

from __future__ import annotations

import pytest

from sam2_adapter.errors import PromptError
from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.labelme.format import LabelmeWriter, read_labelme_prompts
from sam2_adapter.formats.load import load_dataset
from tests.formats.examples import annotated_image
from tests.formats.folders import write_image, write_json
from tests.formats.labelme.label_files import SQUARE, label_file, shape


@pytest.mark.parametrize("output_type", ["mask", "polygon"])
def test_results_are_a_data_set_when_the_pictures_join_them(tmp_path, output_type):
    image = annotated_image()
    written = LabelmeWriter(WritingTarget(tmp_path, lambda _: None, "small", {"tool": "x"}, output_type)).add(
        image, "street/a"
    )
    assert written.files == (tmp_path / "street" / "a.json",)
    write_image(tmp_path / "street" / "a.jpg", image.original_hw)
    (sample,) = load_dataset(tmp_path, min_area_px=1, validation_share=0).samples("train")
    assert sample.name == "street/a.jpg"
    assert [found.label for found in sample.objects] == ["cat", "dog", "cat", "猫", "dog"]


def test_boxes_and_points_are_prompts(tmp_path, caplog):
    write_json(
        tmp_path / "street" / "a.json",
        label_file(
            shape("rectangle", [[1, 2], [10, 12]], group=3),
            shape("point", [[4, 5]], group=3),
            shape("point", [[9, 9]], label="dog"),
            shape("polygon", SQUARE),
            shape("rectangle", [[1, 2], [10]]),
        ),
    )
    write_json(tmp_path / "b.json", label_file(shape("rectangle", [[1, 2], [10, 12]]), image="C:\\x\\b.png"))
    found = read_labelme_prompts(tmp_path)
    assert list(found) == ["C:\\x\\b.png".replace("\\", "/"), "street/a.png"]
    both, click, refused = found["street/a.png"]
    assert (both.label, both.box_xyxy, both.point_coords.tolist()) == ("cat", (1, 2, 10, 12), [[4, 5]])
    assert (click.label, click.box_xyxy, click.point_coords.tolist()) == ("dog", None, [[9, 9]])
    assert "street/a.json: shape 5: 'points' is a list of [x, y]" in refused.reason
    assert "1 shape is neither box nor point and no prompt, such as street/a.json: shape 4." in caplog.text


def test_label_files_without_boxes_and_points_are_no_prompts(tmp_path):
    write_json(tmp_path / "a.json", label_file(shape("polygon", SQUARE)))
    with pytest.raises(PromptError, match="there is no box and no point in it"):
        read_labelme_prompts(tmp_path / "a.json")
