"""Folders of labelme: label files and pictures, beside each other or not, in any subfolders.

A picture is found by `imagePath`, which may be a path of another machine, or else by the name of its label file; only pictures of the folder
are looked at. A label file whose picture is not there, but embedded, brings it along.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataset_reader import (
    WHOLE,
    ReadingOptions,
    Samples,
    add_sample,
    has_listed_size,
    images_below,
    usable_hw,
)
from sam2_adapter.formats.image_names import at_that_path, find_listed, is_foreign
from sam2_adapter.formats.labelme.objects import LabelFile, embedded_picture, read_label_file
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample
from sam2_adapter.formats.shapes import objects_of_shapes
from sam2_adapter.images.find import files_below
from sam2_adapter.input_files import open_regular

# The keys of a label file, of which one stands near its beginning.
_KEY = re.compile(rb'"(shapes|imageData|imagePath|lineColor)"\s*:')
_HEAD_BYTES = 2048

# Among so many JSON files of a folder one is a label file, or the folder has another layout.
_MOST_LOOKED_AT = 50

_EMBEDDED = "read out of a label file, because there is no picture of that name"


def is_labelme_data(root: Path) -> bool:
    """Whether a label file, or a folder, has this layout."""
    return any(is_label_file(path) for path, _ in zip(_json_files(root), range(_MOST_LOOKED_AT), strict=False))


def read_labelme_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all pictures that have label files."""
    folder = root if root.is_dir() else root.parent
    images = images_below(folder)
    files = dict(label_files(root, left_out))
    image_of = _find_images(files, images)
    samples: list[Sample] = []
    owner: dict[str, str] = {}
    for where, found in files.items():
        image = image_of[where]
        if image is not None and owner.setdefault(image, where) != where:
            left_out.add_image(Reason.DUPLICATE_NAME, f"{image}: {owner[image]} and {where} are both for it")
        elif image is not None:
            _read_sample(samples, image, images[image], where, found, options, left_out)
        elif found.has_picture:
            _read_embedded(samples, folder / where, where, found, options, left_out)
        else:
            left_out.add_image(Reason.NO_IMAGE, f"{where}: {found.image_name!r}")
    if root.is_dir():
        for name in sorted(images.keys() - set(image_of.values())):
            left_out.add_image(Reason.NO_ANNOTATION, name)
    return {WHOLE: samples}


def label_files(root: Path, left_out: LeftOut) -> Iterator[tuple[str, LabelFile]]:
    """Path below the folder, with forward slashes, and content of every label file; those that cannot be read are counted."""
    folder = root if root.is_dir() else root.parent
    for path in _json_files(root):
        if is_label_file(path):
            try:
                yield path.relative_to(folder).as_posix(), read_label_file(path)
            except DataError as error:
                left_out.add_image(Reason.BROKEN_FILE, str(error))


def name_of_image(where: str, found: LabelFile) -> str:
    """The path of the picture of a label file, below the folder of all label files as far as it says so."""
    listed = found.image_name.replace("\\", "/")
    if not listed:
        return str(PurePosixPath(where).with_suffix(""))
    if is_foreign(listed) and not listed.startswith(".."):
        return listed
    return posixpath.normpath(posixpath.join(posixpath.dirname(where), listed))


def _json_files(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        yield from [root] if root.suffix.lower() == ".json" else []
        return
    yield from sorted(path for path in files_below(root) if path.suffix.lower() == ".json")


def is_label_file(path: Path) -> bool:
    """Whether a file begins with a key that label files have."""
    try:
        with open_regular(path) as file:
            return _KEY.search(file.read(_HEAD_BYTES)) is not None
    except OSError:
        return False


def _find_images(files: Mapping[str, LabelFile], images: Mapping[str, Path]) -> dict[str, str | None]:
    """The picture of each label file: by the name that it gives, else by its own name."""
    listed = [name_of_image(where, found) for where, found in files.items()]
    own = [str(PurePosixPath(where).with_suffix("")) for where in files]
    by_name, by_own_name = find_listed(listed, images, at_that_path), find_listed(own, images, at_that_path)
    return {
        where: (first if len(first) == 1 else second if len(second) == 1 else [None])[0]
        for where, first, second in zip(files, by_name, by_own_name, strict=True)
    }


def _read_sample(
    samples: list[Sample],
    name: str,
    image: Path,
    where: str,
    found: LabelFile,
    options: ReadingOptions,
    left_out: LeftOut,
) -> None:
    original_hw = usable_hw(image, name, options, left_out)
    if original_hw is None or not _fits(found, original_hw, name, left_out):
        return
    objects = _objects(found, original_hw, where, options, left_out)
    if found.entries:
        add_sample(samples, name, image, original_hw, objects, options, left_out)
    else:
        left_out.add_image(Reason.NO_ANNOTATION, name)


def _read_embedded(
    samples: list[Sample], path: Path, where: str, found: LabelFile, options: ReadingOptions, left_out: LeftOut
) -> None:
    try:
        content = embedded_picture(path)
    except DataError as error:
        left_out.add_image(Reason.BROKEN_FILE, str(error))
        return
    original_hw = usable_hw(content, where, options, left_out)
    if original_hw is None or not _fits(found, original_hw, where, left_out):
        return
    left_out.remark("image", _EMBEDDED, where)
    objects = _objects(found, original_hw, where, options, left_out)
    content_of = partial(embedded_picture, path)
    add_sample(samples, where, path, original_hw, objects, options, left_out, content=content_of)


def _fits(found: LabelFile, original_hw: tuple[int, int], name: str, left_out: LeftOut) -> bool:
    return has_listed_size(name, found.listed_hw, original_hw, left_out, place="the label file")


def _objects(
    found: LabelFile, original_hw: tuple[int, int], where: str, options: ReadingOptions, left_out: LeftOut
) -> list[Annotation]:
    shapes, problems = found.read_shapes(original_hw, where)
    return objects_of_shapes(shapes, options.default_label, left_out, problems)
