"""Layouts of public data sets that are not read as they are, and what to do with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sam2_adapter.input_files import NUM_BYTES, open_regular, packed

_DAVIS = "It looks like DAVIS or YouTube-VOS: put JPEGImages into images/ and Annotations into masks/, and set ignore_label=255 where borders are void."
_ADE = "It looks like ADE20K: call annotations/ masks/. Its numbers are classes: set split_parts=true to make every separate part an object."
_CITYSCAPES = (
    "It looks like Cityscapes: put leftImg8bit into images/ and the pictures *_gtFine_instanceIds.png into masks/, each under the name of its "
    "picture. Numbers below 1000 are classes, not objects."
)
_VIA = "It looks like a project of the VGG Image Annotator: export its annotations in COCO format."

_MOST_BYTES_LOOKED_AT = 4096


def advice_on(root: Path, is_known: Callable[[Path], bool]) -> str:
    """A sentence for a folder that is no data set in a known format; empty where it looks like nothing else that is known.

    Args:
        root: the folder, or a file.
        is_known: whether a folder has a known format.
    """
    if not root.is_dir():
        return _advice_on_packed(root)
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    for folder in (root, *folders):
        if advice := _advice_on_names({path.name.casefold() for path in folder.iterdir()}):
            return advice
    if any(_is_via_project(path) for path in sorted(root.glob("*.json"))):
        return _VIA
    for path in sorted(path for path in root.iterdir() if path.is_file()):
        if advice := _advice_on_packed(path):
            return advice
    known = [folder for folder in folders if is_known(folder)]
    return f"The folder {known[0]} is a data set: give its path." if known else ""


def _advice_on_names(names: set[str]) -> str:
    if names >= {"jpegimages", "annotations"} and not names & {"segmentationobject", "segmentationclass"}:
        return _DAVIS
    if names >= {"leftimg8bit", "gtfine"}:
        return _CITYSCAPES
    return _ADE if names >= {"images", "annotations"} else ""


def _advice_on_packed(path: Path) -> str:
    try:
        with open_regular(path) as file:
            how = packed(file.read(NUM_BYTES))
    except OSError:
        return ""
    return f"{path.name} is {how}: unpack it first." if how else ""


def _is_via_project(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return b'"_via_' in file.read(_MOST_BYTES_LOOKED_AT)
    except OSError:
        return False
