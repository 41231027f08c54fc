"""Data sets of `images/` and `masks/`: one label map per image, 0 for the background, every other number one object.

A number that `ignore_label` names is no object: its pixels are the image's ignored region.

`paired` reads them, `pairs` says which mask is whose, `categories` what the numbers are called. Subfolders `train/images`, `train/masks`, ... are splits. Masks that `predict` wrote are read
as well where they were put beside their images: the pictures of single objects are passed over, and the file that names the numbers gives
the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sam2_adapter.formats.dataset_reader import (
    WHOLE,
    ReadingOptions,
    Samples,
    child,
    images_below,
    is_folder,
    split_folders,
)
from sam2_adapter.formats.label_maps.categories import NAME, Categories, legend_of
from sam2_adapter.formats.label_maps.paired import PairedMasks
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.sample import Sample
from sam2_adapter.images.find import files_below
from sam2_adapter.ownership import results_in

_ARRAYS = (".npy", ".npz", ".mat", ".h5", ".hdf5", ".pkl", ".pt", ".zarr")
_ARRAY = "of numbers, which are not read: save label maps as PNG or TIFF"


def is_label_map_data(root: Path) -> bool:
    """Whether a folder has this layout."""
    return root.is_dir() and any(is_folder(child(folder, "images")) for folder in _folders(root).values())


def read_label_map_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all images that have a label map, by split.

    Raises:
        DataError: `categories.json` is malformed.
    """
    categories = Categories(root / NAME)
    options.tell_labels(categories.labels)
    return {split: _read_folder(folder, categories, options, left_out) for split, folder in _folders(root).items()}


def listed_labels(root: Path) -> list[str]:
    """The labels of `categories.json` that are for all images, in the order of their numbers.

    Raises:
        DataError: `categories.json` is malformed.
    """
    return Categories(root / NAME).labels


def _folders(root: Path) -> dict[str, Path]:
    """The folders with masks, by split; `predict` may have written them beside the images, so that they can be corrected there."""
    if "masks" in results_in(root) and (root / "masks").is_dir():
        return {WHOLE: root}
    return split_folders(root, "masks")


def _read_folder(folder: Path, categories: Categories, options: ReadingOptions, left_out: LeftOut) -> list[Sample]:
    """The images of one folder of `images/` and `masks/`."""
    mask_folder = child(folder, "masks") or folder / "masks"
    found = images_below(mask_folder)
    masks = {name: path for name, path in found.items() if not _is_picture_of_one_object(name, path, found)}
    if mask_folder.name in results_in(folder):
        left_out.remark("folder", "of masks that predict made, taken as true masks", mask_folder.name)

    images = images_below(child(folder, "images") or folder / "images")
    names_of = categories.names_of(images, left_out)

    def labels_of(image: str, mask: str, *_: object) -> Mapping[str, Any]:
        return names_of[image] if categories else legend_of(masks[mask])

    _remark_other_files(mask_folder, left_out)
    return PairedMasks(images, masks, labels_of, options, left_out, folder=mask_folder.name).read()


def _is_picture_of_one_object(name: str, path: Path, masks: Mapping[str, Path]) -> bool:
    """Whether `p/p_001.png` is one of the pictures that `predict` writes beside the label map `p.png` and its legend `p.json`."""
    folder = PurePosixPath(name).parent
    stem, _, digits = PurePosixPath(name).stem.rpartition("_")
    is_numbered = stem in (folder.name, PurePosixPath(folder.name).stem) and digits.isdigit() and len(digits) >= 3
    return is_numbered and f"{folder}.png" in masks and path.parent.with_name(f"{path.parent.name}.json").is_file()


def _remark_other_files(mask_folder: Path, left_out: LeftOut) -> None:
    """Say which files of arrays lie among the masks: people save label maps so."""
    if mask_folder.is_dir():
        for path in sorted(files_below(mask_folder)):
            if path.suffix.lower() in _ARRAYS:
                left_out.remark("file", _ARRAY, f"{mask_folder.name}/{path.relative_to(mask_folder).as_posix()}")
