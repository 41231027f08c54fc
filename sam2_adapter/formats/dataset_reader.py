"""What the readers of data sets share: finding images and split folders, and counting what cannot be used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import Rle
from sam2_adapter.annotations.separate_parts import separate_parts
from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample
from sam2_adapter.images.find import find_images
from sam2_adapter.images.read import MAX_PIXELS, image_size_with_notes
from sam2_adapter.input_files import NUM_BYTES, open_regular, what_stands_in
from sam2_adapter.ownership import results_in

# Name of the split of a data set that comes without splits.
WHOLE = ""

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}

# As in `val2017`.
_YEAR = re.compile(r"[-_ ]?(19|20)\d\d$")

_REPEATED = "listed again with the same label and the same mask, used once"

SAME_IMAGE = "listed more than once: the objects of all its entries were put together"
"""What is said of such an image."""

USUAL_SPLITS = frozenset(_SPLIT_NAMES.values())

Samples = dict[str, list[Sample]]


@dataclass(frozen=True)
class ReadingOptions:
    """What readers keep and tell; see the `Config` keys of the same names.

    Attributes:
        min_area_px: objects with fewer pixels of the original image are left out.
        include_model_annotations: keep objects that a model made.
        include_crowds: keep COCO objects marked as crowds.
        ignore_label: number in label maps of pixels that do not count, such as 255 for a void border; `None` for none.
        split_parts: turn every separate part of a mask into an object.
        default_label: label of objects that have none.
        max_pixels: images with more pixels are left out.
        tell_labels: to be called with the labels that the data set lists, in the order of their numbers, used or not.
    """

    min_area_px: int = 16
    include_model_annotations: bool = False
    include_crowds: bool = False
    ignore_label: int | None = None
    split_parts: bool = False
    default_label: str = "object"
    max_pixels: int = MAX_PIXELS
    tell_labels: Callable[[Iterable[str]], None] = field(default=lambda _: None, compare=False)


def split_name(text: str) -> str:
    """Our name of a split: `train`, `validation` or `test` where the text is a usual word for it, which a year may follow; else the text."""
    return _SPLIT_NAMES.get(_YEAR.sub("", text.lower()), text)


def child(folder: Path, name: str) -> Path | None:
    """The file or folder of this name in a folder, whatever the case of its letters; the exact name wins.

    Results of this program are never taken for data.
    """
    if not folder.is_dir():
        return None
    own_results = results_in(folder)
    if (folder / name).exists() and name not in own_results:
        return folder / name
    found = (path for path in folder.iterdir() if path.name.casefold() == name.casefold())
    return min((path for path in found if path.name not in own_results), default=None)


def is_folder(path: Path | None) -> bool:
    """Whether there is a folder; `None`, as `child` gives it, is none."""
    return path is not None and path.is_dir()


def split_folders(root: Path, required: str) -> dict[str, Path]:
    """The folders that hold a file or folder `required`: `root` itself as `WHOLE`, or those of its subfolders that do, by split.

    Raises:
        DataError: two subfolders stand for the same split.
    """
    if child(root, required) is not None:
        return {WHOLE: root}
    found: dict[str, Path] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if child(folder, required) is None:
            continue
        name = split_name(folder.name)
        if name in found:
            raise DataError(
                f"{root}: both {found[name].name} and {folder.name} are the {name} split; keep one of them."
            )
        found[name] = folder
    return found


def images_below(folder: Path) -> dict[str, Path]:
    """The images of a folder and its subfolders by their path below it, with forward slashes, sorted; empty where there are none."""
    if not folder.is_dir():
        return {}
    try:
        return {path.relative_to(folder).as_posix(): path for path in find_images([folder])}
    except ImageError:
        return {}


def usable_hw(source: Path | bytes, name: str, options: ReadingOptions, left_out: LeftOut) -> tuple[int, int] | None:
    """The (height, width) of an upright image, a file or its content; `None`, and counted, where it cannot be used."""
    try:
        (height, width), notes = image_size_with_notes(source, name=name)
    except ImageError:
        left_out.add_image(
            Reason.STAND_IN if isinstance(source, Path) and _stands_in(source) else Reason.BROKEN_IMAGE, name
        )
        return None
    if height * width > options.max_pixels:
        left_out.add_image(Reason.BROKEN_IMAGE, name)
        return None
    for note in notes:
        left_out.remark("image", "with more in the file than is read", f"{name}: {note}")
    return height, width


def fits_listed(listed_hw: tuple[int | None, int | None], original_hw: tuple[int | None, int | None]) -> bool:
    """Whether a (height, width) that a file gives an image is that of the image; `None` for a side that is not given."""
    return all(listed in (None, known) for listed, known in zip(listed_hw, original_hw, strict=True))


def has_listed_size(
    name: str,
    listed_hw: tuple[int | None, int | None],
    original_hw: tuple[int, int],
    left_out: LeftOut,
    *,
    place: str = "the file",
) -> bool:
    """As `fits_listed`; an image of another size than `place` says is counted as left out."""
    if fits_listed(listed_hw, original_hw):
        return True
    reason = Reason.TURNED if listed_hw == original_hw[::-1] else Reason.OTHER_SIZE
    sizes = f"{listed_hw[1]}x{listed_hw[0]} in {place}, {original_hw[1]}x{original_hw[0]} here"
    left_out.add_image(reason, f"{name} ({sizes})")
    return False


def _stands_in(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return what_stands_in(file.read(NUM_BYTES)) is not None
    except OSError:
        return False


def add_sample(
    samples: list[Sample],
    name: str,
    path: Path,
    original_hw: tuple[int, int],
    objects: Iterable[Annotation],
    options: ReadingOptions,
    left_out: LeftOut,
    ignored: Rle | None = None,
    content: Callable[[], bytes] | None = None,
) -> None:
    """Add an image with its objects of sufficient size and its ignored region; counted as left out where there is no object."""
    if options.split_parts:
        objects = (part for annotation in objects for part in separate_parts(annotation))
    kept: dict[tuple[str, str], Annotation] = {}
    for number, annotation in enumerate(objects, start=1):
        if annotation.area >= options.min_area_px:
            if kept.setdefault((annotation.label, annotation.rle.counts), annotation) is not annotation:
                left_out.remark("object", _REPEATED, f"{name}: {annotation.label} {number}")
        else:
            left_out.add_object(Reason.TOO_SMALL, f"{name}: {annotation.label} {number} ({annotation.area} px)")
    if kept:
        samples.append(Sample(name, path, original_hw, tuple(kept.values()), ignored, content))
    else:
        left_out.add_image(Reason.NO_OBJECT_LEFT, name)
