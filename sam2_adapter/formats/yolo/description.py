"""What describes a YOLO data set: `data.yaml` or another YAML file of this form, or the `classes.txt` that Label Studio writes instead.

`data.yaml` names the classes (a list, or number to name) and, for each split, a folder or a text file with the paths of pictures, perhaps
below `path`. `task: obb` says that lines are turned boxes. `classes.txt` has the name of one class per line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sam2_adapter.config_errors import yaml_problem
from sam2_adapter.errors import DataError
from sam2_adapter.files import read_text
from sam2_adapter.formats.dataset_reader import child, split_name
from sam2_adapter.formats.document import short
from sam2_adapter.formats.left_out import LeftOut
from sam2_adapter.formats.yolo.images import place_below, places_of
from sam2_adapter.input_files import open_regular
from sam2_adapter.ownership import results_in
from sam2_adapter.settings_yaml import parse_yaml

_FILE_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
_CLASS_LIST = "classes.txt"
_SUFFIXES = (".yaml", ".yml")
_SPLIT_KEYS = ("train", "val", "valid", "validation", "test")

# What other YAML files are recognised by.
_HEAD_BYTES = 2**16
_NAMES_KEY = re.compile(rb"^names\s*:", re.MULTILINE)
_PLACE_KEY = re.compile(rb"^(path|train|val)\s*:", re.MULTILINE)

# The task of sets of turned boxes ("oriented bounding boxes"), as a word; folders are also called `yolo11obb`.
_TURNED_BOXES = re.compile("(?<![a-z])obb(?![a-z0-9])")

# How YAML writes what is not given.
_NOTHING = ("", "~", "null", "Null", "NULL", None)

# More digits than the number of any class has.
_MOST_DIGITS = 9


@dataclass(frozen=True)
class Description:
    """The description of a data set.

    Attributes:
        path: the file.
        names: number of a class to its name.
        bases: the folders that the paths of splits may begin in, the likeliest one first.
        places: key of a split and a folder or list that it names, as they are written.
        has_key_points: whether lines are boxes with key points, which are no outlines.
        has_turned_boxes: whether lines of nine numbers are the four corners of turned boxes, which are no outlines either.
        folder_tells: whether only the name of the folder says that.
    """

    path: Path
    names: Mapping[int, str]
    bases: tuple[Path, ...]
    places: tuple[tuple[str, Any], ...] = ()
    has_key_points: bool = False
    has_turned_boxes: bool = False
    folder_tells: bool = False

    @property
    def root(self) -> Path:
        """The folder of the data set."""
        return self.path.parent

    @property
    def labels(self) -> list[str]:
        """The names of the classes, each once, in the order of their numbers."""
        return list(dict.fromkeys(name for _, name in sorted(self.names.items()) if name))

    def splits(self, left_out: LeftOut) -> list[tuple[str, Path]]:
        """The folders of pictures, or lists of them, with their splits; none where the file names none.

        Tools name splits that were never exported, and one folder for two splits; that is remarked, as long as another folder is there.

        Raises:
            DataError: none of them is there.
        """
        found: list[tuple[str, Path]] = []
        missing: list[tuple[str, DataError]] = []
        for key, value in self.places:
            try:
                folder = place_below(self.bases, value, f"{self.path}: {key!r}")
            except DataError as error:
                missing.append((f"{key}: {short(value)}", error))
                continue
            if any(folder == other for _, other in found):
                text = f"named for two splits in {self.path.name}, of which the first one counts"
                left_out.remark("folder", text, f"{key}: {short(value)}")
            else:
                found.append((split_name(key), folder))
        if missing and not found:
            raise missing[0][1]
        for name, _ in missing:
            left_out.remark("folder", f"named in {self.path.name} but not there", name)
        return found


def find_description(root: Path) -> Path | None:
    """The file that describes a data set, of a folder or the file itself; `None` where there is none, or several of other names."""
    if root.is_file():
        is_one = root.name.lower() in _FILE_NAMES or (
            root.suffix.lower() in _SUFFIXES and _looks_like_a_description(root)
        )
        return root if is_one else None
    if not root.is_dir():
        return None
    usual = (child(root, name) for name in _FILE_NAMES)
    found = [path for path in usual if path is not None and path.is_file()]
    return found[0] if found else _other_description(root)


def read_description(path: Path) -> Description:
    """Read a description that `find_description` has found.

    Raises:
        DataError: it is malformed.
    """
    root = path.parent
    if path.suffix.lower() not in _SUFFIXES:
        lines = [line.strip() for line in read_text(path).splitlines()]
        names = dict(enumerate(line for line in lines if line))
        return Description(path, names, (root,), has_turned_boxes=_says_turned_boxes(root, None), folder_tells=True)
    content = _content(path)
    bases = (*places_of(root, content.get("path")), root)
    is_pose = content.get("kpt_shape") not in _NOTHING
    task, names, places = content.get("task"), _names(content.get("names"), path), tuple(_places(content))
    return Description(path, names, bases, places, is_pose, _says_turned_boxes(root, task), task in _NOTHING)


def label_of_class(word: str, names: Mapping[int, str]) -> str | None:
    """The name of the class whose number a line begins with, which tools also write with a point; `None` where it has none."""
    number = word.removesuffix(".0")
    return (names.get(int(number)) or None) if number.isdecimal() and len(number) <= _MOST_DIGITS else None


def _says_turned_boxes(root: Path, task: Any) -> bool:
    """What `task` says; where nothing does, what the name of the folder says, as in `cars.v1i.yolov8-obb`."""
    if task not in _NOTHING:
        return isinstance(task, str) and _TURNED_BOXES.search(task.lower()) is not None
    return _TURNED_BOXES.search(os.path.basename(os.path.abspath(root)).lower()) is not None


def _other_description(root: Path) -> Path | None:
    own_results = results_in(root)
    files = sorted(path for path in root.iterdir() if not path.name.startswith(".") and path.name not in own_results)
    found = [path for path in files if path.suffix.lower() in _SUFFIXES and _looks_like_a_description(path)]
    if len(found) == 1:
        return found[0]
    class_list, labels = child(root, _CLASS_LIST), child(root, "labels")
    has_labels = labels is not None and next(labels.rglob("*.txt"), None) is not None
    return class_list if has_labels and class_list is not None and class_list.is_file() else None


def _looks_like_a_description(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            start = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return _NAMES_KEY.search(start) is not None and _PLACE_KEY.search(start) is not None


def _content(path: Path) -> Mapping[str, Any]:
    text = read_text(path)
    try:
        content = parse_yaml(text, as_texts=True)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path}: not a valid YAML file: {yaml_problem(error, text)}") from error
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: expected keys such as 'train' and 'names', but got {short(content)}.")
    return content


def _names(given: Any, path: Path) -> dict[int, str]:
    """Number of a class to its name."""
    if given in _NOTHING:
        return {}
    rows = dict(enumerate(given)) if isinstance(given, list) else given
    is_numbered = isinstance(rows, Mapping) and all(
        isinstance(name, str) and str(number).isdecimal() and len(str(number)) <= _MOST_DIGITS
        for number, name in rows.items()
    )
    if not is_numbered:
        raise DataError(f"{path}: 'names' is a list of class names, or numbers with names, but got {short(given)}.")
    return {int(number): name if name.strip() else "" for number, name in rows.items()}


def _places(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of splits with each of their folders."""
    for key in _SPLIT_KEYS:
        value = content.get(key)
        for place in value if isinstance(value, list) else [] if value in _NOTHING else [value]:
            yield key, place
