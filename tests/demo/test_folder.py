"""The demo's folder: an earlier demo is replaced only when asked, and nothing else ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_adapter.demo.folder import begin_demo, open_demo_folder
from sam2_adapter.demo.scenes import load_scenes
from sam2_adapter.errors import OutputExistsError

NAMES = ("index.html", "photos/astronaut.jpg", "fine_tuning/report.html")


def _demo(directory: Path) -> None:
    """What a demo leaves, as far as it matters here."""
    with open_demo_folder(directory, overwrite=False) as folder:
        begin_demo(folder, load_scenes()[0])
        _write(directory, *NAMES)


def _write(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)


def _files(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("[!.]*") if path.is_file())


def test_an_earlier_demo_is_replaced_only_when_asked(tmp_path: Path) -> None:
    _demo(tmp_path / "out")
    with pytest.raises(OutputExistsError, match=r"earlier run\. Replace its results \(--overwrite\)"):
        open_demo_folder(tmp_path / "out", overwrite=False)
    _write(tmp_path / "out", "notes.txt", "photos/mine.jpg")
    with open_demo_folder(tmp_path / "out", overwrite=True) as folder:
        assert set(NAMES) <= set(_files(tmp_path / "out"))
        begin_demo(folder, load_scenes()[0])
    assert _files(tmp_path / "out") == ["fine_tuning/report.html", "notes.txt", "photos/mine.jpg"]


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "out", "index.html")
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="not empty"):
            open_demo_folder(tmp_path / "out", overwrite=overwrite)
    assert _files(tmp_path / "out") == ["index.html"]


def test_a_demo_of_version_0_1_is_recognised(tmp_path: Path) -> None:
    _write(tmp_path / "out", *NAMES)
    with pytest.raises(OutputExistsError, match="earlier run"):
        open_demo_folder(tmp_path / "out", overwrite=False)
    with open_demo_folder(tmp_path / "out", overwrite=True) as folder:
        begin_demo(folder, load_scenes()[0])
    assert _files(tmp_path / "out") == ["fine_tuning/report.html"]


def test_without_a_name_each_demo_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("demo", "demo2"):
        with open_demo_folder(None, overwrite=False) as folder:
            assert folder.directory == Path(name)
            begin_demo(folder, load_scenes()[0])
