"""Where COCO data sets keep their annotation files, the splits that these describe, and the folders of their images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import USUAL_SPLITS, WHOLE, child, images_below, split_name
from sam2_adapter.ownership import results_in

# Files of these names are taken at their word; others are looked into.
_USUAL_NAMES = ("annotations.json", "_annotations.coco.json")
_FOLDER = "annotations"

# A folder of more JSON files holds one per image, which is another layout.
_MOST_FILES = 64

_CHUNK = 2**20
_KEYS = (re.compile(rb'"images"\s*:'), re.compile(rb'"annotations"\s*:'))
_KEY_LENGTH = 32


class AnnotationFile(NamedTuple):
    """One annotation file.

    Attributes:
        split: the split that it describes; `WHOLE` where it describes none.
        path: the file.
        image_folder: its images lie in or below this folder.
    """

    split: str
    path: Path
    image_folder: Path


def find_parts(root: Path) -> list[AnnotationFile]:
    """The annotation files of a data set; none where it is not of this layout.

    Args:
        root: the folder, or one annotation file.

    Raises:
        DataError: several files describe the same images.
    """
    if root.is_file():
        is_json = root.suffix.lower() == ".json"
        return [AnnotationFile(WHOLE, root, _image_folder_of(root))] if is_json else []
    return _parts_of_folder(root, WHOLE) or _parts_of_subfolders(root)


def _image_folder_of(path: Path) -> Path:
    """The folder above `annotations/`, or above a folder without images; else that of the file."""
    folder = path.parent
    is_annotations = folder.name.lower() == _FOLDER or not images_below(folder)
    return folder.parent if is_annotations and folder.parent != folder else folder


def _parts_of_folder(folder: Path, split: str) -> list[AnnotationFile]:
    usual = [path for name in _USUAL_NAMES if (path := child(folder, name)) is not None and path.is_file()]
    if usual:
        return [AnnotationFile(split, usual[0], folder)]
    beside = [path for path in _json_files(folder) if _has_coco_keys(path)]
    if beside:
        return _by_split(beside, folder, split)
    inner = child(folder, _FOLDER)
    return [] if inner is None else _parts_of_annotations(inner, folder, split)


def _parts_of_annotations(inner: Path, folder: Path, split: str) -> list[AnnotationFile]:
    """All files of `annotations/`; those called `instances...` where there are some, since others describe no masks."""
    files = _json_files(inner)
    instances = [path for path in files if path.stem.lower().startswith("instances")]
    return [AnnotationFile(split or _split_of(path), path, folder) for path in instances or files]


def _by_split(paths: list[Path], folder: Path, split: str) -> list[AnnotationFile]:
    if len(paths) == 1:
        return [AnnotationFile(split or _split_of(paths[0]), paths[0], folder)]
    parts = [AnnotationFile(_split_of(path), path, folder) for path in paths]
    if split != WHOLE or len({part.split for part in parts}) < len(parts) or any(part.split == WHOLE for part in parts):
        names = ", ".join(path.name for path in paths)
        raise DataError(f"{folder}: several files hold annotations: {names}. Give the path of the one that is meant.")
    return parts


def _parts_of_subfolders(root: Path) -> list[AnnotationFile]:
    parts: list[AnnotationFile] = []
    home: dict[str, Path] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))):
        name = split_name(folder.name)
        found = _parts_of_annotation_folder(folder, root) or _parts_of_folder(folder, name)
        if found and name in home:
            raise DataError(f"{root}: both {home[name].name} and {folder.name} are the {name} split; keep one of them.")
        if found:
            home[name] = folder
        parts += found
    return parts


def _parts_of_annotation_folder(folder: Path, root: Path) -> list[AnnotationFile]:
    """The annotation files of a folder without images: these lie beside it."""
    files = [path for path in _json_files(folder) if _has_coco_keys(path)]
    if not files or images_below(folder):
        return []
    name = split_name(folder.name)
    return _by_split(files, root, name if name in USUAL_SPLITS else WHOLE)


def _json_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    own_results = results_in(folder)
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".json" and path.name not in own_results and _is_plain_file(path)
    )
    return found if len(found) <= _MOST_FILES else []


def _is_plain_file(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_file()


def _split_of(path: Path) -> str:
    words = re.split(r"[^a-z]+", path.stem.lower())
    return next((split_name(word) for word in words if split_name(word) in USUAL_SPLITS), WHOLE)


def _has_coco_keys(path: Path) -> bool:
    """Whether both keys of a COCO document stand in a file, which is looked through piece by piece."""
    missing = list(_KEYS)
    tail = b""
    try:
        with path.open("rb") as file:
            while missing and (chunk := file.read(_CHUNK)):
                missing = [key for key in missing if not key.search(tail + chunk)]
                tail = chunk[-_KEY_LENGTH:]
    except OSError:
        return False
    return not missing
