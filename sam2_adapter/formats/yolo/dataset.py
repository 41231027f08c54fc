"""YOLO segmentation data sets: `data.yaml`, pictures below `images/`, and a text file below `labels/` for each.

A line of a text file is one object: the number of its class, then x y x y ... of one polygon, as fractions of the image's width and height.
Lines of five numbers are boxes, which are no masks. `data.yaml` names the classes (a list, or number to name) and, for each split, a folder or a text file with the paths of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.polygons import Polygon, polygons_to_mask
from sam2_adapter.config_errors import yaml_problem
from sam2_adapter.errors import DataError
from sam2_adapter.files import read_text
from sam2_adapter.formats.dataset_reader import (
    WHOLE,
    ReadingOptions,
    Samples,
    add_sample,
    child,
    split_name,
    usable_hw,
)
from sam2_adapter.formats.document import short
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample
from sam2_adapter.formats.yolo.images import images_of_place, place_below
from sam2_adapter.formats.yolo.lines import NUMBERS_OF_A_BOX, outline_of_line
from sam2_adapter.settings_yaml import parse_yaml

_FILE_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
_SPLIT_KEYS = ("train", "val", "valid", "validation", "test")

_NO_CLASS = "of a class without a name, labelled {!r}"


def is_yolo_data(root: Path) -> bool:
    """Whether a folder has this layout."""
    return _description_of(root) is not None


def read_yolo_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all pictures with their polygons, by split.

    Raises:
        DataError: `data.yaml` is malformed, or a folder that it names is not there.
    """
    path = _description_of(root)
    assert path is not None  # recognised before
    description = _read_description(path)
    names = _names(description, path)
    samples: Samples = {}
    for split, place in _split_places(root, description, path, left_out):
        found = samples.setdefault(split, [])
        for name, image in images_of_place(root, place, left_out).items():
            _read_image(found, name, root, image, names, options, left_out)
    return samples


def class_names(root: Path) -> dict[int, str]:
    """Number of a class to its name, of a folder that `is_yolo_data` knows.

    Raises:
        DataError: `data.yaml` is malformed.
    """
    path = _description_of(root)
    assert path is not None  # recognised before
    return _names(_read_description(path), path)


def label_of_class(word: str, names: Mapping[int, str]) -> str | None:
    """The name of the class whose number a line begins with, which tools also write with a point; `None` where it has none."""
    number = word.removesuffix(".0")
    return (names.get(int(number)) or None) if number.isdecimal() else None


def _description_of(root: Path) -> Path | None:
    found = (child(root, name) for name in _FILE_NAMES) if root.is_dir() else ()
    return next((path for path in found if path is not None and path.is_file()), None)


def _read_description(path: Path) -> Mapping[str, Any]:
    try:
        text = read_text(path)
        description = parse_yaml(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: not a valid YAML file: {yaml_problem(error, text)}") from error
    if not isinstance(description, Mapping):
        raise DataError(f"{path}: expected keys such as 'train' and 'names', but got {short(description)}.")
    return description


def _names(description: Mapping[str, Any], path: Path) -> dict[int, str]:
    """Number of a class to its name."""
    names = description.get("names")
    rows = (
        list(enumerate(names))
        if isinstance(names, list)
        else list(names.items())
        if isinstance(names, Mapping)
        else None
    )
    if rows is None and names is not None:
        raise DataError(f"{path}: 'names' is a list of class names, or numbers with names, but got {short(names)}.")
    return {int(number): str(name) for number, name in rows or () if str(number).isdecimal()}


def _split_places(root: Path, description: Mapping[str, Any], path: Path, left_out: LeftOut) -> list[tuple[str, Path]]:
    """The folders of pictures, or lists of them, with their splits; `images/` where the file names none.

    Tools name splits that were never exported, and one folder for two splits; that is remarked, as long as another folder is there.
    """
    found: list[tuple[str, Path]] = []
    missing: list[tuple[str, DataError]] = []
    for key, value in _named_folders(description):
        try:
            folder = place_below(root, value, f"{path}: {key!r}")
        except DataError as error:
            missing.append((f"{key}: {short(value)}", error))
            continue
        if any(folder == other for _, other in found):
            left_out.remark(
                "folder",
                f"named for two splits in {path.name}, of which the first one counts",
                f"{key}: {short(value)}",
            )
        else:
            found.append((split_name(key), folder))
    if missing and not found:
        raise missing[0][1]
    for name, _ in missing:
        left_out.remark("folder", f"named in {path.name} but not there", name)
    return found or [(WHOLE, child(root, "images") or root)]


def _named_folders(description: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of splits with each of their folders."""
    for key in _SPLIT_KEYS:
        value = description.get(key)
        for folder in value if isinstance(value, list) else [value] if value else []:
            yield key, folder


def _read_image(
    samples: list[Sample],
    name: str,
    root: Path,
    image: Path,
    names: Mapping[int, str],
    options: ReadingOptions,
    left_out: LeftOut,
) -> None:
    label_path = root / _label_name(name)
    lines = lines_of(label_path, left_out)
    if not lines:
        left_out.add_image(Reason.NO_ANNOTATION, name)
        return
    original_hw = usable_hw(image, name, options, left_out)
    if original_hw is None:
        return
    where = label_path.relative_to(root).as_posix()
    objects = [
        found
        for number, line in lines
        for found in _objects(line.split(), f"{where}: line {number}", original_hw, names, options, left_out)
    ]
    add_sample(samples, name, image, original_hw, objects, options, left_out)


def _label_name(name: str) -> str:
    """The text file of a picture: the last folder `images` in its path is `labels` instead."""
    parts = list(PurePosixPath(name).with_suffix(".txt").parts)
    places = [index for index, part in enumerate(parts[:-1]) if part.lower() == "images"]
    if places:
        parts[places[-1]] = "labels"
    return "/".join(parts)


def lines_of(path: Path, left_out: LeftOut) -> list[tuple[int, str]]:
    """The lines of a file that are not empty, with their numbers from 1."""
    if not path.is_file():
        return []
    try:
        text = read_text(path)
    except DataError as error:
        left_out.add_image(Reason.BROKEN_FILE, str(error))
        return []
    return [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def _objects(
    words: list[str],
    where: str,
    original_hw: tuple[int, int],
    names: Mapping[int, str],
    options: ReadingOptions,
    left_out: LeftOut,
) -> Iterator[Annotation]:
    if len(words) == NUMBERS_OF_A_BOX:
        left_out.add_object(Reason.UNSUPPORTED_TYPE, f"{where}: a box")
        return
    try:
        mask = polygons_to_mask([Polygon(outline_of_line(words, original_hw))], original_hw)
    except DataError as error:
        left_out.add_object(Reason.MALFORMED, f"{where}: {error}")
        return
    if not mask.any():
        left_out.add_object(Reason.EMPTY, where)
        return
    label = label_of_class(words[0], names)
    if not label:
        label = options.default_label
        left_out.remark("object", _NO_CLASS.format(label), where)
    yield Annotation.from_mask(mask, label)
