"""What readers share: folders by their names, whatever their case, but never results of this program."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import (
    WHOLE,
    ReadingOptions,
    child,
    images_below,
    split_folders,
    split_name,
    usable_hw,
)
from sam2_adapter.formats.left_out import LeftOut
from tests.formats.folders import write_image

MARKER = '{"sam2-adapter": "0.2.0", "command": "predict", "entries": ["masks", "overlays"]}\n'


def test_a_name_in_any_case_and_the_exact_one_first(tmp_path):
    (tmp_path / "Masks").mkdir()
    assert child(tmp_path, "masks") == tmp_path / "Masks"
    (tmp_path / "masks").mkdir()
    assert child(tmp_path, "masks") == tmp_path / "masks"
    assert child(tmp_path, "images") is None
    assert child(tmp_path / "none", "images") is None


def test_results_of_this_program_are_no_data(tmp_path):
    write_image(tmp_path / "masks" / "a.png")
    write_image(tmp_path / "sub" / "a.png")
    (tmp_path / ".sam2-adapter.jsonl").write_text(MARKER)
    assert child(tmp_path, "masks") is None
    assert child(tmp_path, "MASKS") is None
    assert list(images_below(tmp_path)) == ["sub/a.png"]
    assert split_folders(tmp_path, "masks") == {}


def test_split_folders_by_what_they_hold(tmp_path):
    (tmp_path / "Train" / "Items").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    assert split_folders(tmp_path, "items") == {"train": tmp_path / "Train"}
    (tmp_path / "training" / "items").mkdir(parents=True)
    with pytest.raises(DataError, match="both Train and training are the train split"):
        split_folders(tmp_path, "items")
    (tmp_path / "items").mkdir()
    assert split_folders(tmp_path, "items") == {WHOLE: tmp_path}


def test_usual_words_of_splits():
    assert [split_name(word) for word in ("Train", "VAL", "valid", "testing", "fold3")] == [
        "train", "validation", "validation", "test", "fold3",
    ]  # fmt: skip


def test_pointers_and_web_pages_in_the_place_of_images_are_called_that(tmp_path: Path) -> None:
    contents = {
        "a.png": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 184416285\n",
        "b.png": b"<!DOCTYPE html><html><body>404</body></html>",
        "c.png": b"\x89PNG\r\n\x1a\nbroken",
    }
    left_out = LeftOut()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert usable_hw(tmp_path / name, name, ReadingOptions(), left_out) is None
    rows = {row["reason"]: row["examples"] for row in left_out}
    assert rows == {
        "a Git LFS pointer or a saved web page": ["a.png", "b.png"],
        "image is broken or too large": ["c.png"],
    }


def test_pages_that_are_not_read_are_said(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (60, 40), color) for color in ("red", "green")]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "b.tif")
    left_out = LeftOut()
    for name in ("a.tif", "b.tif"):
        assert usable_hw(tmp_path / name, name, ReadingOptions(), left_out) == (40, 60)
    assert left_out.remarks == (
        "1 image with more in the file than is read (a.tif: 2 pages, of which the first one is read).",
    )
