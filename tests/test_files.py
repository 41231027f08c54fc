"""Files that are complete or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.errors import ExportError, OutputExistsError
from sam2_adapter.files import encodable, read_json, refuse_to_replace, remove_partial_files, write_file, write_json


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"a": 1})

    def fail(_: object) -> None:
        raise OSError("the disk is full")

    with pytest.raises(ExportError, match="the disk is full"):
        write_file(tmp_path / "deep" / "a.json", fail)
    assert read_json(tmp_path / "deep" / "a.json") == {"a": 1}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.json"]


def test_only_our_own_partial_files_are_removed(tmp_path: Path) -> None:
    ours, mine = tmp_path / f".a.png.{'0af3' * 8}.part", tmp_path / ".mine.part"
    for path in (ours, mine):
        path.write_bytes(b"")
    remove_partial_files(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]


def test_a_target_that_exists_is_refused(tmp_path: Path) -> None:
    refuse_to_replace(tmp_path / "mine.pt")
    (tmp_path / "mine.pt").symlink_to("nowhere")
    with pytest.raises(OutputExistsError, match=r"mine\.pt exists already.*--overwrite"):
        refuse_to_replace(tmp_path / "mine.pt")


def test_text_that_utf_8_cannot_hold_is_escaped() -> None:
    assert encodable("caf\udce9 \u4f60") == "caf\\udce9 \u4f60"
