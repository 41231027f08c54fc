"""Numbers, colours and names of Pascal VOC's classes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.formats.voc.classes import (
    labelmap_lines,
    line_name,
    listed_labels,
    palette,
    read_class_map,
    read_classes,
    read_object_map,
)


def test_the_palette_is_that_of_pascal_voc():
    colors = palette()
    assert len(set(colors)) == 256
    assert [colors[n] for n in (0, 1, 2, 8, 15, 20, 255)] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (64, 0, 0), (192, 128, 128), (0, 64, 128), (224, 224, 192),
    ]  # fmt: skip


def test_the_twenty_classes_unless_a_file_names_others(tmp_path):
    classes = read_classes(tmp_path)
    assert len(classes.by_number) == 20
    assert (classes.by_number[1], classes.by_number[8], classes.by_number[20]) == ("aeroplane", "cat", "tvmonitor")
    assert classes.by_color[0x800000] == "aeroplane"
    (tmp_path / "class_names.txt").write_text("__ignore__\n_background_\nwheel\ndoor\n")
    assert read_classes(tmp_path).by_number == {1: "wheel", 2: "door"}
    (tmp_path / "labelmap.txt").write_text("# label:color\nbackground:0,0,0::\ncat : x:1,2,3::\n".replace(" : x", ""))
    assert read_classes(tmp_path) == ({1: "cat"}, {0x010203: "cat"})


@pytest.mark.parametrize("line", ["cat", "cat:1,2::", "cat:1,2,256::", "cat:a,b,c::"])
def test_a_wrong_line_is_named(tmp_path, line):
    (tmp_path / "labelmap.txt").write_text(f"background:0,0,0::\n{line}\n")
    with pytest.raises(
        DataError, match=rf"labelmap\.txt: line 2: expected a line such as 'cat:64,0,0::', but got '{line}'"
    ):
        read_classes(tmp_path)


def test_what_is_written_is_read(tmp_path):
    names = ["cat", "a:b", "  two\nlines", "#x", "Background", " "]
    (tmp_path / "labelmap.txt").write_text(labelmap_lines(names))
    assert list(read_classes(tmp_path).by_number.values()) == ["cat", "a_b", "two lines", "_#x", "_Background", "_"]
    assert line_name("猫 2") == "猫 2"


def test_colours_of_the_palette_are_numbers(tmp_path):
    numbers = np.array([[0, 1], [2, 255]], np.uint8)
    picture = Image.fromarray(numbers)
    picture.putpalette([value for color in palette() for value in color])
    picture.save(tmp_path / "p.png")
    picture.convert("RGB").save(tmp_path / "rgb.png")
    np.testing.assert_array_equal(read_object_map(tmp_path / "p.png").numbers, numbers)
    np.testing.assert_array_equal(read_object_map(tmp_path / "rgb.png").numbers, numbers)
    in_numbers, in_colors = (read_class_map(tmp_path / name, (2, 2)) for name in ("p.png", "rgb.png"))
    np.testing.assert_array_equal(in_numbers.numbers, numbers)
    assert (in_numbers.are_colors, in_colors.are_colors) == (False, True)
    assert in_colors.numbers.tolist() == [[0, 0x800000], [0x008000, 0xE0E0C0]]
    with pytest.raises(ImageError):
        read_class_map(tmp_path / "p.png", (2, 3))
    Image.fromarray(numbers).save(tmp_path / "p.jpg")
    with pytest.raises(DataError, match="changes colours"):
        read_class_map(tmp_path / "p.jpg", (2, 2))


def test_other_colours_are_objects_as_in_any_label_map(tmp_path):
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[0, 0], rgb[0, 1] = (1, 2, 3), (9, 9, 1)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    assert len(np.unique(read_object_map(tmp_path / "a.png").numbers)) == 3


def test_only_a_file_lists_labels(tmp_path):
    assert listed_labels(tmp_path) == []
    (tmp_path / "class_names.txt").write_text("__ignore__\n_background_\ndog\ncat\n")
    assert listed_labels(tmp_path) == ["dog", "cat"]
    (tmp_path / "labelmap.txt").write_text(labelmap_lines(["bird", "cow"]))
    assert listed_labels(tmp_path) == ["bird", "cow"]
