"""What somebody has edited is renamed, never removed or replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.files import file_sha256
from sam2_adapter.replacing import keep_edited, remove_files


@pytest.mark.parametrize(
    ("name", "aside"),
    [("p.png", "p.edited.png"), ("noend", "noend.edited"), (f"{'ü' * 100}.json", f"{'ü' * 60}.edited.json")],
)
def test_a_changed_file_gets_another_name(tmp_path: Path, name: str, aside: str) -> None:
    path = tmp_path / name
    path.write_text("ours")
    digest = file_sha256(path)
    assert not keep_edited(path, [digest])
    path.write_text("theirs")
    assert not keep_edited(path, [])  # nothing is known of it
    assert keep_edited(path, ["0" * 64, digest])
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [(aside, "theirs")]


def test_files_are_removed_with_their_empty_folders_but_not_what_was_edited(tmp_path: Path) -> None:
    for name in ("masks/a/1.png", "masks/b/1.png", "linked/1.png", "masks/b/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("linked")
    digest = file_sha256(tmp_path / "masks/b/2.png")
    (tmp_path / "masks/b/2.png").write_text("theirs")
    listed = [(f"masks/{name}", ()) for name in ("a/1.png", "b/1.png")]
    listed += [(name, [digest]) for name in ("masks/b/2.png", "link/1.png", "gone")]
    remove_files(tmp_path, listed)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")) == [
        "linked/1.png",
        "masks/b/2.edited.png",
    ]
    assert not (tmp_path / "masks" / "a").exists()
