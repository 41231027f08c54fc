"""Boxes of YOLO's text files as prompts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.annotations.prompts import RefusedPrompt
from sam2_adapter.errors import DataError, PromptError
from sam2_adapter.formats.prompt_sources import read_prompts
from sam2_adapter.formats.yolo.prompts import read_yolo_prompts
from tests.formats.folders import write_image

BOX = "1 0.5 0.25 0.25 0.5"


def make(root: Path, text: str, name: str = "a", description: str = "names: [cat, dog]") -> Path:
    (root / "labels" / "train").mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(description)
    (root / "labels" / "train" / f"{name}.txt").write_text(text)
    return root


def test_lines_of_five_numbers_are_boxes_in_pixels_of_their_image(tmp_path):
    image = write_image(tmp_path / "photos" / "a.png")
    other = write_image(tmp_path / "photos" / "b.png")
    root = make(tmp_path / "set", f"{BOX}\n0 0.1 0.1 0.2 0.1 0.2 0.2\n9.0 0.5 0.5 1 1\n")
    (found,) = read_prompts(root, [image, other]).items()
    assert found[0] == image.as_posix()
    box, whole = found[1]
    assert (box.label, box.box_xyxy) == ("dog", (12, 0, 20, 12))
    assert (whole.label, whole.box_xyxy) == (None, (0, 0, 32, 24))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("1 a 0.5 0.5 0.5", "a box is the number of a class and fractions x y width height"),
        ("1 0.5 0.5 0 0", "line 1: "),
        ("1 16 12 8 8", "line 1: coordinates are fractions from 0 to 1, but one of them is 16"),
        ("1 0.5 0.5 nan 0.5", "must be finite numbers"),
    ],
)
def test_a_line_that_is_no_box_is_refused(tmp_path, line, text):
    image = write_image(tmp_path / "a.png")
    refused, good = read_yolo_prompts(make(tmp_path / "set", f"{line}\n{BOX}\n"), [image])[image.as_posix()]
    assert isinstance(refused, RefusedPrompt)
    assert text in refused.reason
    assert good.label == "dog"


def test_nothing_for_these_images(tmp_path):
    image = write_image(tmp_path / "b.png")
    with pytest.raises(PromptError, match="there is no box for any of the images in labels/"):
        read_yolo_prompts(make(tmp_path / "set", BOX), [image])
    with pytest.raises(DataError, match="'names' is a list of class names"):
        read_yolo_prompts(make(tmp_path / "set", BOX, description="names: 5"), [image])


TURNED = "1 0.5 0.166667 0.75 0.5 0.5 0.833333 0.25 0.5"


def test_lines_of_nine_numbers_are_turned_boxes_where_the_data_set_says_so(tmp_path):
    image = write_image(tmp_path / "a.png")
    text = f"{TURNED}\n{BOX}\n0 0.1 0.1 0.2 0.1 0.2 0.2\n1 9 9 9 9 9 9 9 9\n"
    root = make(tmp_path / "set", text, description="task: obb\nnames: [cat, dog]")
    turned, box, refused = read_yolo_prompts(root, [image])[image.as_posix()]
    side = 8 * 2**0.5
    expected = (16 - side / 2, 12 - side / 2, 16 + side / 2, 12 + side / 2)
    assert turned.box_xyxy == pytest.approx(expected, abs=1e-3)
    assert (turned.label, turned.box_angle) == ("dog", pytest.approx(45, abs=1e-3))
    assert (box.box_angle, box.box_xyxy) == (0, (12, 0, 20, 12))
    assert "line 4: coordinates are fractions from 0 to 1, but one of them is 9" in refused.reason
    (found,) = read_yolo_prompts(make(tmp_path / "other", text), [image])[image.as_posix()]
    assert found.box_xyxy == box.box_xyxy


def test_boxes_of_a_file_in_another_case_are_those_of_another_picture(tmp_path):
    image = write_image(tmp_path / "a.png")
    root = make(tmp_path / "set", BOX, name="b")
    (root / "labels" / "a.txt").write_text(BOX)
    (root / "labels" / "A.txt").write_text("0 0.5 0.5 1 1")
    (found,) = read_yolo_prompts(root, [image])[image.as_posix()]
    assert found.label == "dog"
