"""Data sets of CVAT: XML files, in the folder or in `annotations/`, and the pictures that they list.

A picture is found by its name among those that are there. `subset` names its split, or the name of the file does where there are several.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.formats.cvat.document import ListedImage, looks_like_cvat, read_document
from sam2_adapter.formats.cvat.objects import read_shapes
from sam2_adapter.formats.dataset_reader import (
    SAME_IMAGE,
    USUAL_SPLITS,
    WHOLE,
    ReadingOptions,
    Samples,
    add_sample,
    child,
    has_listed_size,
    images_below,
    split_name,
    usable_hw,
)
from sam2_adapter.formats.image_names import at_that_path, find_listed
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample
from sam2_adapter.formats.shapes import objects_of_shapes
from sam2_adapter.ownership import results_in

_SUFFIX = ".xml"
_FOLDER = "annotations"


def is_cvat_data(root: Path) -> bool:
    """Whether an XML file, or a folder, has this layout."""
    return bool(cvat_files(root))


def cvat_files(root: Path) -> list[Path]:
    """The XML files of CVAT: the file itself, or those of a folder or else of its `annotations/`."""
    if root.is_file():
        return [root] if root.suffix.lower() == _SUFFIX and looks_like_cvat(root) else []
    inner = child(root, _FOLDER)
    return _files_of(root) or (_files_of(inner) if inner is not None else [])


def read_cvat_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all pictures with their objects, by split.

    Raises:
        DataError: a file is not of this format; the text names it.
    """
    documents = {path: read_document(path) for path in cvat_files(root)}
    options.tell_labels(label for document in documents.values() for label in document.labels)
    folder = root if root.is_dir() else root.parent
    images = images_below(folder)
    listed = [
        (image, _split_of(image, path, is_one_of_many=len(documents) > 1))
        for path, document in documents.items()
        for image in document.images
    ]
    names = find_listed([image.name for image, _ in listed], images, at_that_path)
    samples: Samples = {}
    entries: dict[tuple[str, str], list[ListedImage]] = {}
    for (image, split), found in zip(listed, names, strict=True):
        if len(found) == 1:
            entries.setdefault((split, found[0]), []).append(image)
        else:
            left_out.add_image(Reason.DUPLICATE_NAME if found else Reason.NO_IMAGE, image.name)
    for (split, name), same in entries.items():
        _read_image(samples.setdefault(split, []), name, images[name], same, options, left_out)
    if root.is_dir():
        for name in sorted(images.keys() - {name for found in names for name in found}):
            left_out.add_image(Reason.NO_ANNOTATION, name)
    return samples


def listed_labels(root: Path) -> list[str]:
    """The labels of the tasks, in their order.

    Raises:
        DataError: a file is not of this format.
    """
    return list(dict.fromkeys(label for path in cvat_files(root) for label in read_document(path).labels))


def _files_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    own_results = results_in(folder)
    found = (path for path in folder.iterdir() if path.suffix.lower() == _SUFFIX and path.name not in own_results)
    return sorted(path for path in found if looks_like_cvat(path))


def _split_of(image: ListedImage, path: Path, *, is_one_of_many: bool) -> str:
    if image.subset:
        return split_name(image.subset)
    named = split_name(path.stem)
    return named if is_one_of_many and named in USUAL_SPLITS else WHOLE


def _read_image(
    samples: list[Sample],
    name: str,
    path: Path,
    entries: Sequence[ListedImage],
    options: ReadingOptions,
    left_out: LeftOut,
) -> None:
    """Read an image with the objects of all its entries."""
    if not any(entry.elements for entry in entries):
        left_out.add_image(Reason.NO_ANNOTATION, name)
        return
    original_hw = usable_hw(path, name, options, left_out)
    fitting = [
        entry
        for entry in entries
        if original_hw is not None and has_listed_size(name, entry.listed_hw, original_hw, left_out)
    ]
    if original_hw is None or not fitting:
        return
    if len(fitting) > 1:
        left_out.remark("image", SAME_IMAGE, name)
    objects: list[Annotation] = []
    for entry in fitting:
        shapes, problems = read_shapes(entry, original_hw)
        objects += objects_of_shapes(shapes, options.default_label, left_out, problems)
    add_sample(samples, name, path, original_hw, objects, options, left_out)
