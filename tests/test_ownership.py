"""Whose a folder is, by its marker, which strangers may have written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import JOURNAL_NAME, MARKER_NAME, listed_files, ownership_of, results_in


def test_a_folder_of_ours_names_its_command_and_its_results(tmp_path: Path) -> None:
    assert (ownership_of(tmp_path), results_in(tmp_path)) == (None, frozenset())
    assert results_in(tmp_path / "missing") == frozenset()
    with OwnedFolder(tmp_path, "predict") as folder:
        folder.begin(["annotations.json", "masks"])
        folder.claim(tmp_path / "masks" / "a.png")
    owner = ownership_of(tmp_path)
    assert owner is not None
    assert (owner.command, owner.entries) == ("predict", {"annotations.json", "masks"})
    assert list(listed_files(tmp_path)) == ["masks/a.png"]


def test_lines_that_lead_elsewhere_or_are_damaged_are_left_out(tmp_path: Path) -> None:
    header = {"sam2-adapter": "1", "command": "predict", "entries": ["a", 3]}
    lines = ["/etc/passwd", "../a", "a/../../b", "", "a\0b", {"name": "c"}, 7, "fine/a.png"]
    text = "\n".join(map(json.dumps, [header, *lines])) + '\n"torn'
    (tmp_path / MARKER_NAME).write_text(text)
    assert list(listed_files(tmp_path)) == ["fine/a.png"]
    assert results_in(tmp_path) == {"a"}


@pytest.mark.parametrize("settings", [None, [], {}, {"tool": "other 1.0"}, {"tool": 3}])
def test_a_foreign_journal_makes_no_folder_ours(tmp_path: Path, settings: object) -> None:
    (tmp_path / JOURNAL_NAME).write_text(json.dumps({"settings": settings}) + "\n")
    assert ownership_of(tmp_path) is None


def test_predictions_of_version_0_1(tmp_path: Path) -> None:
    settings = {"tool": "sam2-adapter 0.1.0", "formats": ["coco", "masks"], "overlay": True}
    lines = [{"settings": settings}, {"name": "a.png", "files": ["masks/a.png", "/etc/passwd", 3]}, {"files": 3}, []]
    (tmp_path / JOURNAL_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    owner = ownership_of(tmp_path)
    assert owner is not None
    assert owner.files is not None
    assert (owner.command, owner.entries) == ("predict", {"annotations.json", "masks", "overlays"})
    assert list(owner.files()) == ["annotations.json", "masks/a.png", JOURNAL_NAME]
