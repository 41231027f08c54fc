"""Data sets of `images/` and `masks/`: one label map an image, 0 background, every other number one object.

The pairs have one path below their folders, suffix aside. `categories.json` gives labels: `{"1": "cell"}` for all images or
`{"image": {"1": "cell"}}`, where an image is named by its path without suffix. Subfolders `train/images`, `train/masks`, ... are splits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.files import read_json
from sam2_adapter.formats.dataset_reader import (
    ReadingOptions,
    Samples,
    add_sample,
    images_below,
    split_folders,
    usable_hw,
)
from sam2_adapter.formats.label_maps.objects import LabelMap, read_label_map
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample

DEFAULT_LABEL = "object"


def is_label_map_data(root: Path) -> bool:
    """Whether a folder has this layout."""
    return any((folder / "images").is_dir() for folder in split_folders(root, "masks").values())


def read_label_map_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all images that have a label map, by split.

    Raises:
        DataError: `categories.json` is malformed.
    """
    categories = _read_categories(root / "categories.json")
    return {
        split: _read_folder(folder, categories, options, left_out)
        for split, folder in split_folders(root, "masks").items()
    }


def _read_folder(
    folder: Path, categories: Mapping[str, Any], options: ReadingOptions, left_out: LeftOut
) -> list[Sample]:
    images, masks = _by_stem(folder / "images"), _by_stem(folder / "masks")
    samples: list[Sample] = []
    for stem, mask_paths in masks.items():
        if stem not in images:
            left_out.add_image(Reason.NO_IMAGE, f"masks/{mask_paths[0].name}")
    for stem, image_paths in images.items():
        name = image_paths[0].relative_to(folder / "images").as_posix()
        mask_paths = masks.get(stem, [])
        if len(image_paths) > 1 or len(mask_paths) > 1:
            left_out.add_image(Reason.DUPLICATE_NAME, ", ".join(path.name for path in (*image_paths, *mask_paths)))
        elif not mask_paths:
            left_out.add_image(Reason.NO_ANNOTATION, name)
        else:
            _read_pair(samples, name, image_paths[0], mask_paths[0], _labels_of(stem, categories), options, left_out)
    return samples


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for name, path in images_below(folder).items():
        found.setdefault(str(PurePosixPath(name).with_suffix("")), []).append(path)
    return found


def _read_pair(
    samples: list[Sample],
    name: str,
    image_path: Path,
    mask_path: Path,
    labels: Mapping[str, Any],
    options: ReadingOptions,
    left_out: LeftOut,
) -> None:
    original_hw = usable_hw(image_path, name, options, left_out)
    if original_hw is None:
        return
    try:
        label_map = read_label_map(mask_path)
    except (ImageError, DataError) as error:
        left_out.add_image(Reason.BROKEN_FILE, str(error))
        return
    if label_map.shape != original_hw:
        left_out.add_image(Reason.OTHER_SIZE, name)
    elif not label_map.any():
        left_out.add_image(Reason.NO_ANNOTATION, name)
    else:
        add_sample(samples, name, image_path, original_hw, _objects(label_map, labels), options, left_out)


def _objects(label_map: LabelMap, labels: Mapping[str, Any]) -> Iterator[Annotation]:
    """The objects of a label map in the order of their numbers."""
    mask = np.zeros(label_map.shape, np.bool_)
    for number, (rows, columns) in _boxes(label_map).items():
        mask[rows, columns] = label_map[rows, columns] == number
        label = labels.get(str(number), DEFAULT_LABEL)
        yield Annotation.from_mask(mask, label if isinstance(label, str) and label else DEFAULT_LABEL)
        mask[rows, columns] = False


def _boxes(label_map: LabelMap) -> dict[int, tuple[slice, slice]]:
    """Row and column range of every number but 0, in one pass over the pixels that are not background."""
    rows, columns = np.nonzero(label_map)
    numbers, inverse = np.unique(label_map[rows, columns], return_inverse=True)
    low = np.full((len(numbers), 2), np.iinfo(np.int64).max)
    high = np.full((len(numbers), 2), -1)
    for axis, positions in enumerate((rows, columns)):
        np.minimum.at(low[:, axis], inverse, positions)
        np.maximum.at(high[:, axis], inverse, positions)
    return {
        int(number): (slice(top, bottom + 1), slice(left, right + 1))
        for number, (top, left), (bottom, right) in zip(numbers, low.tolist(), high.tolist(), strict=True)
    }


def _read_categories(path: Path) -> Mapping[str, Any]:
    categories = read_json(path) if path.exists() else {}
    if not isinstance(categories, dict) or not all(isinstance(value, (str, dict)) for value in categories.values()):
        raise DataError(f'{path}: expected {{"1": "label"}} or {{"image": {{"1": "label"}}}}, but got something else.')
    return categories


def _labels_of(stem: str, categories: Mapping[str, Any]) -> Mapping[str, Any]:
    own = categories.get(stem)
    return own if isinstance(own, dict) else {key: value for key, value in categories.items() if isinstance(value, str)}
