"""What readers share: folders by their names, whatever their case, but never results of this program."""

from __future__ import annotations

import pytest

from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import WHOLE, child, images_below, split_folders, split_name
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
