"""Layouts of public data sets that are not read as they are, and what to do with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

from sam2_adapter.formats.label_maps.pairs import is_name_of_mask
from sam2_adapter.images.kinds import is_image_name
from sam2_adapter.input_files import NUM_BYTES, open_regular, packed
from sam2_adapter.ownership import ownership_of

_DAVIS = "It looks like DAVIS or YouTube-VOS: put JPEGImages into images/ and Annotations into masks/, and set ignore_label=255 where borders are void."
_ADE = "It looks like ADE20K: call annotations/ masks/. Its numbers are classes: set split_parts=true to make every separate part an object."
_CITYSCAPES = (
    "It looks like Cityscapes: put leftImg8bit into images/ and the pictures *_gtFine_instanceIds.png into masks/, each under the name of its "
    "picture. Numbers below 1000 are classes, not objects."
)
_BOXES = "It looks like Pascal VOC with boxes and without masks, which there is nothing to learn from: the masks belong in SegmentationObject/."
_SUPERVISELY = "It looks like a project of Supervisely: export its annotations in COCO format."

# What JSON files of other tools hold near their beginning.
_MARKS = (
    (
        (b'"_via_', b'"shape_attributes"'),
        "a project of the VGG Image Annotator: export its annotations in COCO format.",
    ),
    (
        (b'"completed_by"', b'"from_name"', b'"annotation_results"'),
        "tasks of Label Studio: export polygons as COCO or YOLO, and brush masks as PNG, which belong in masks/ beside images/.",
    ),
    ((b'"ISAT"',), "annotations of ISAT: export them in COCO format."),
    ((b'"geometryType"',), "annotations of Supervisely: export them in COCO format."),
    ((b'"dm_format_version"',), "a project of Datumaro: export it in COCO format."),
    (
        (b'"stability_score"', b'"crop_box"', b'"predicted_iou"'),
        "files of SA-1B, one per image: put their images and annotations into one COCO file, with the 'image_id' of each.",
    ),
)

_MOST_BYTES_LOOKED_AT = 4096
_MOST_FILES_LOOKED_AT = 20


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
        if advice := _advice_on_labelled(folder) or _advice_on_names(folder):
            return advice
    if advice := _advice_on_json(root):
        return advice
    for path in sorted(path for path in root.iterdir() if path.is_file()):
        if advice := _advice_on_packed(path):
            return advice
    known = [folder for folder in folders if is_known(folder)]
    if known:
        return f"The folder {known[0]} is a data set: give its path."
    return _advice_on_pictures(root, folders)


def _advice_on_labelled(folder: Path) -> str:
    """What was labelled on the page, and exported, is never taken for data by itself; but here it is probably meant."""
    owner = ownership_of(folder)
    if owner is None or owner.command != "label":
        return ""
    path = folder / "annotations.json"
    if path.is_file():
        return f"{path} has what was labelled with sam2-adapter: give its path."
    return f"{folder} is work of sam2-adapter label: export it with --export coco, and give the path of its annotations.json."


def _advice_on_names(folder: Path) -> str:
    paths = {path.name.casefold(): path for path in folder.iterdir()}
    names = paths.keys()
    if names >= {"jpegimages", "annotations"} and not names & {"segmentationobject", "segmentationclass"}:
        return _BOXES if next(paths["annotations"].rglob("*.xml"), None) is not None else _DAVIS
    if names >= {"leftimg8bit", "gtfine"}:
        return _CITYSCAPES
    if names >= {"img", "ann"}:
        return _SUPERVISELY
    return _ADE if names >= {"images", "annotations"} else ""


def _advice_on_pictures(root: Path, folders: Sequence[Path]) -> str:
    """What to do with pictures that look like images and their masks."""
    names_of = {folder: {_stem(path) for path in folder.iterdir() if is_image_name(path)} for folder in folders}
    for first, second in combinations(names_of, 2):
        shared = names_of[first] & names_of[second]
        if shared and 2 * len(shared) >= min(len(names_of[first]), len(names_of[second])):
            return (
                f"The pictures in {first.name}/ and {second.name}/ have the same names: where those of one folder are the masks of the "
                "others, call the folders images/ and masks/."
            )
    beside = sorted(path for path in root.iterdir() if is_image_name(path))
    masks = [path for path in beside if is_name_of_mask(path.name)]
    if masks and len(masks) < len(beside):
        return f"There are masks beside images, such as {masks[0].name}: put the images into images/, and the masks into masks/."
    return ""


def _stem(path: Path) -> str:
    return path.stem.casefold()


def _advice_on_packed(path: Path) -> str:
    try:
        with open_regular(path) as file:
            how = packed(file.read(NUM_BYTES))
    except OSError:
        return ""
    return f"{path.name} is {how}: unpack it first." if how else ""


def _advice_on_json(root: Path) -> str:
    for path in sorted(root.glob("*.json"))[:_MOST_FILES_LOOKED_AT]:
        try:
            with open_regular(path) as file:
                start = file.read(_MOST_BYTES_LOOKED_AT)
        except OSError:
            continue
        for marks, what in _MARKS:
            if any(mark in start for mark in marks):
                return f"{path.name} looks like {what}"
    return ""
