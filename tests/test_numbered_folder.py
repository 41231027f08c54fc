"""The folder of a command that is given none: a new number for each run, past whatever has the name."""

from __future__ import annotations

from pathlib import Path

from sam2_adapter.numbered_folder import open_numbered_folder


def test_numbered_folders(tmp_path: Path) -> None:
    base = tmp_path / "predictions"
    used = []
    for _ in range(3):
        with open_numbered_folder(base, "predict") as folder:
            folder.begin(["annotations.json"])
            used.append(folder.directory.name)
    assert used == ["predictions", "predictions2", "predictions3"]
    (tmp_path / "predictions4").mkdir()
    (tmp_path / "predictions4" / "mine").write_text("")
    (tmp_path / "predictions05").mkdir()
    with open_numbered_folder(base, "predict", resume=True) as folder, open_numbered_folder(base, "predict") as new:
        assert (folder.directory.name, folder.is_resumed) == ("predictions3", True)
        with open_numbered_folder(base, "predict") as at_the_same_time:
            assert (new.directory.name, at_the_same_time.directory.name) == ("predictions5", "predictions6")
    with open_numbered_folder(base, "train", overwrite=True) as other:
        assert other.directory.name == "predictions5"


def test_a_link_that_leads_nowhere_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "predictions").symlink_to(tmp_path / "nowhere")
    with open_numbered_folder(tmp_path / "predictions", "predict") as folder:
        assert folder.directory.name == "predictions2"
    assert (tmp_path / "predictions").is_symlink()
