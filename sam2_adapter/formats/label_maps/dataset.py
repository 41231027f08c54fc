"""Data sets of `images/` and `masks/`: one label map per image, 0 for the background, every other number one object.

A number that `ignore_label` names is no object: its pixels are the image's ignored region.

`paired` reads them, `pairs` says which mask is whose. `categories.json` gives labels: `{"1": "cell"}` for all images or `{"image": {"1": "cell"}}`, where an
image is named by its path without suffix. Subfolders `train/images`, `train/masks`, ... are splits. Masks that `predict` wrote are read
as well where they were put beside their images: the pictures of single objects are passed over, and the file that names the numbers gives
the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json
from sam2_adapter.formats.dataset_reader import (
    WHOLE,
    ReadingOptions,
    Samples,
    child,
    images_below,
    is_folder,
    split_folders,
)
from sam2_adapter.formats.label_maps.paired import PairedMasks
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.sample import Sample
from sam2_adapter.ownership import results_in


def is_label_map_data(root: Path) -> bool:
    """Whether a folder has this layout."""
    return root.is_dir() and any(is_folder(child(folder, "images")) for folder in _folders(root).values())


def read_label_map_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all images that have a label map, by split.

    Raises:
        DataError: `categories.json` is malformed.
    """
    categories = _read_categories(root / "categories.json")
    return {split: _read_folder(folder, categories, options, left_out) for split, folder in _folders(root).items()}


def _folders(root: Path) -> dict[str, Path]:
    """The folders with masks, by split; `predict` may have written them beside the images, so that they can be corrected there."""
    if "masks" in results_in(root) and (root / "masks").is_dir():
        return {WHOLE: root}
    return split_folders(root, "masks")


def _read_folder(
    folder: Path, categories: Mapping[str, Any], options: ReadingOptions, left_out: LeftOut
) -> list[Sample]:
    """The images of one folder of `images/` and `masks/`."""
    mask_folder = child(folder, "masks") or folder / "masks"
    found = images_below(mask_folder)
    masks = {name: path for name, path in found.items() if not _is_picture_of_one_object(name, path, found)}
    if mask_folder.name in results_in(folder):
        left_out.remark("folder", "of masks that predict made, taken as true masks", mask_folder.name)

    def labels_of(image: str, mask: str, *_: object) -> Mapping[str, Any]:
        own = categories.get(str(PurePosixPath(image).with_suffix("")))
        if isinstance(own, dict):
            return own
        if categories:
            return {key: value for key, value in categories.items() if isinstance(value, str)}
        return _legend_labels(masks[mask].with_suffix(".json"))

    images = images_below(child(folder, "images") or folder / "images")
    return PairedMasks(images, masks, labels_of, options, left_out, folder=mask_folder.name).read()


def _is_picture_of_one_object(name: str, path: Path, masks: Mapping[str, Path]) -> bool:
    """Whether `p/p_001.png` is one of the pictures that `predict` writes beside the label map `p.png` and its legend `p.json`."""
    folder = PurePosixPath(name).parent
    stem, _, digits = PurePosixPath(name).stem.rpartition("_")
    is_numbered = stem == PurePosixPath(folder.name).stem and digits.isdigit() and len(digits) >= 3
    return is_numbered and f"{folder}.png" in masks and path.parent.with_name(f"{path.parent.name}.json").is_file()


def _legend_labels(path: Path) -> dict[str, Any]:
    """Number to label from the file that `predict` writes beside a label map; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        document = read_json(path)
    except DataError:
        return {}
    objects = document.get("objects") if isinstance(document, dict) else None
    rows = [row for row in objects if isinstance(row, dict)] if isinstance(objects, list) else []
    return {str(row.get("number")): row.get("label") for row in rows}


def _read_categories(path: Path) -> Mapping[str, Any]:
    categories = read_json(path) if path.exists() else {}
    if not isinstance(categories, dict) or not all(isinstance(value, (str, dict)) for value in categories.values()):
        raise DataError(f'{path}: expected {{"1": "label"}} or {{"image": {{"1": "label"}}}}, but got something else.')
    return categories
