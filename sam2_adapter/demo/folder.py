"""The demo's folder: by the rule of all commands, an earlier demo is replaced only when asked, and nothing else ever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from sam2_adapter.demo.fine_tuning import DATA_FOLDER, RUN_FOLDER
from sam2_adapter.demo.scenes import Scene, load_scenes
from sam2_adapter.numbered_folder import open_numbered_folder
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import Ownership

PAGE_NAME = "index.html"
PHOTOS_FOLDER = "photos"

_COMMAND = "demo"
_ENTRIES = (PAGE_NAME, PHOTOS_FOLDER, DATA_FOLDER, RUN_FOLDER)


def open_demo_folder(directory: str | Path | None, *, overwrite: bool) -> OwnedFolder:
    """Check and lock the folder; `None` takes a new one in the working directory.

    Raises:
        OutputExistsError: it is not ours, or holds an earlier demo.
        ExportError: it cannot be written to.
    """
    if directory is None:
        return open_numbered_folder(
            _COMMAND, _COMMAND, overwrite=overwrite, can_resume=False, recognise=_demo_of_version_0_1
        )
    return OwnedFolder(directory, _COMMAND, overwrite=overwrite, can_resume=False, recognise=_demo_of_version_0_1)


def begin_demo(folder: OwnedFolder, scenes: Sequence[Scene]) -> None:
    """Remove an earlier demo, and note what this one writes; the run in `fine_tuning/` is replaced by `fine_tune`.

    Raises:
        OutputExistsError: a file that is not the demo's is in the way.
    """
    folder.begin(_ENTRIES)
    for name in _files(scenes):
        folder.claim(folder.directory / name)


def _files(scenes: Sequence[Scene]) -> list[str]:
    photos = {name for scene in scenes for name in (scene.photo, scene.prompts_name)}
    data = resources.files("sam2_adapter").joinpath("assets", "demo", DATA_FOLDER)
    return [
        PAGE_NAME,
        *(f"{PHOTOS_FOLDER}/{name}" for name in sorted(photos)),
        *_below(data, DATA_FOLDER),
    ]


def _below(folder: Traversable, name: str) -> list[str]:
    found = []
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        found += _below(entry, path) if entry.is_dir() else [path]
    return sorted(found)


def _demo_of_version_0_1(directory: Path, names: Collection[str]) -> Ownership | None:
    is_one = PAGE_NAME in names and RUN_FOLDER in names and set(names) <= set(_ENTRIES)
    return Ownership(_COMMAND, frozenset(_ENTRIES), lambda: _files(load_scenes()[0])) if is_one else None
