"""COCO data sets: `annotations.json` beside the images, `<split>/_annotations.coco.json`, or `annotations/*.json` named after their splits.

An image is found by the end of its path: `file_name` is never opened, only looked up among the images that are there. One malformed object
costs only itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json
from sam2_adapter.formats.coco.objects import coco_to_images
from sam2_adapter.formats.dataset_reader import (
    WHOLE,
    ReadingOptions,
    Samples,
    add_sample,
    images_below,
    split_folders,
    split_name,
    usable_hw,
)
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample

# Ground truth has no use for the rest, such as scores of any scale.
_NEEDED_KEYS = {"id", "image_id", "category_id", "segmentation"}

_FILE_NAMES = ("annotations.json", "_annotations.coco.json")


class _Part(NamedTuple):
    """One annotation file, the split that it describes and the folder that its images are below."""

    split: str
    path: Path
    image_folder: Path


def is_coco_data(root: Path) -> bool:
    """Whether a folder, or a file, has this layout."""
    return bool(_find_parts(root))


def read_coco_data(root: Path, options: ReadingOptions, left_out: LeftOut) -> Samples:
    """Read all images with their objects, by split; crowd regions are left out.

    Args:
        root: the folder, or one annotation file with its images in the same folder or below.
        options: what to keep.
        left_out: counts what is not kept.

    Raises:
        DataError: a file is not a COCO file.
    """
    samples: Samples = {}
    seen: dict[Path, set[str]] = {}
    used: dict[tuple[str, Path], set[str]] = {}
    for part in _find_parts(root):
        images = images_below(part.image_folder)
        used_by_split = used.setdefault((part.split, part.image_folder), set())
        samples.setdefault(part.split, []).extend(_read_part(part, images, used_by_split, options, left_out))
        seen.setdefault(part.image_folder, set()).update(used_by_split)
    for folder, names in seen.items():
        _count_unnamed(folder, names, left_out)
    return samples


def _count_unnamed(folder: Path, used: set[str], left_out: LeftOut) -> None:
    """Count the images that no entry names, beside images that one names: other folders may hold anything."""
    folders = {PurePosixPath(name).parent for name in used}
    for name in images_below(folder):
        if name not in used and PurePosixPath(name).parent in folders:
            left_out.add_image(Reason.NO_ANNOTATION, name)


def _find_parts(root: Path) -> list[_Part]:
    if root.is_file():
        return [_Part(WHOLE, root, root.parent)] if root.suffix.lower() == ".json" else []
    for file_name in _FILE_NAMES:
        folders = split_folders(root, file_name)
        if folders:
            return [_Part(split, folder / file_name, folder) for split, folder in folders.items()]
    files = sorted((root / "annotations").glob("*.json"))
    instances = [path for path in files if path.stem.startswith("instances")]
    return [_Part(_split_of(path), path, root) for path in instances or files]


def _split_of(path: Path) -> str:
    words = path.stem.lower().replace("-", "_").rstrip("0123456789").split("_")
    return next((split_name(word) for word in words if split_name(word) in ("train", "validation", "test")), WHOLE)


def _read_part(
    part: _Part, images: Mapping[str, Path], used: set[str], options: ReadingOptions, left_out: LeftOut
) -> list[Sample]:
    document = _checked_document(part.path)
    categories = {
        category["id"]: category
        for category in document["categories"]
        if isinstance(category, dict) and isinstance(category.get("id"), int)
    }
    entries: dict[Any, list[Any]] = {}
    for entry in document["annotations"]:
        if isinstance(entry, dict) and isinstance(entry.get("image_id"), int):
            entries.setdefault(entry["image_id"], []).append(entry)
        else:
            left_out.add_object(Reason.MALFORMED, f"{part.path.name}: {str(entry)[:60]}")
    by_suffix = _by_suffix(images)
    samples: list[Sample] = []
    for image in document["images"]:
        name = _find_image(image, by_suffix, part.split, used, left_out)
        if name is not None:
            own_entries = entries.pop(image.get("id"), [])
            _read_image(samples, name, images[name], image, own_entries, categories, options, left_out)
    return samples


def _checked_document(path: Path) -> dict[str, list[Any]]:
    document = read_json(path)
    tables = {
        name: document.get(name) if isinstance(document, dict) else None
        for name in ("images", "annotations", "categories")
    }
    for name, table in tables.items():
        if not isinstance(table, list):
            raise DataError(f"{path}: not a COCO file: expected a list {name!r} in it.")
    return {name: list(table or ()) for name, table in tables.items()}


def _by_suffix(images: Mapping[str, Path]) -> dict[str, list[str]]:
    """Every end of every image's path, `c.png`, `b/c.png`, `a/b/c.png`, to the paths that end so."""
    found: dict[str, list[str]] = {}
    for name in images:
        parts = PurePosixPath(name).parts
        for start in range(len(parts)):
            found.setdefault("/".join(parts[start:]), []).append(name)
    return found


def _find_image(
    image: Any, by_suffix: Mapping[str, list[str]], split: str, used: set[str], left_out: LeftOut
) -> str | None:
    file_name = image.get("file_name") if isinstance(image, dict) else None
    if not isinstance(file_name, str) or not isinstance(image.get("id"), int):
        left_out.add_image(Reason.BROKEN_FILE, f"image entry {str(image)[:60]}")
        return None
    candidates = _candidates(file_name.replace("\\", "/").removeprefix("./"), by_suffix, split)
    if len(candidates) != 1 or candidates[0] in used:
        left_out.add_image(Reason.DUPLICATE_NAME if candidates else Reason.NO_IMAGE, file_name)
        used.update(candidates)
        return None
    used.add(candidates[0])
    return candidates[0]


def _candidates(file_name: str, by_suffix: Mapping[str, list[str]], split: str) -> list[str]:
    """The images that a name may mean: the one at that very place, else those of the split, else all whose paths end so."""
    found = by_suffix.get(file_name, [])
    for place in (file_name, f"images/{file_name}"):
        if place in found:
            return [place]
    return [name for name in found if _is_of_split(name, split)] or found


def _is_of_split(name: str, split: str) -> bool:
    folders = PurePosixPath(name).parts[:-1]
    return any(split_name(folder.rstrip("0123456789")) == split for folder in folders)


def _read_image(
    samples: list[Sample],
    name: str,
    path: Path,
    image: Mapping[str, Any],
    entries: list[Any],
    categories: Mapping[Any, Any],
    options: ReadingOptions,
    left_out: LeftOut,
) -> None:
    original_hw = usable_hw(path, name, options, left_out)
    if original_hw is None:
        return
    height, width = original_hw
    if (image.get("height", height), image.get("width", width)) != original_hw:
        left_out.add_image(Reason.OTHER_SIZE, name)
    elif not entries:
        left_out.add_image(Reason.NO_ANNOTATION, name)
    else:
        known = {"id": image["id"], "file_name": name, "height": height, "width": width}
        objects = _objects(known, entries, categories, left_out)
        add_sample(samples, name, path, original_hw, objects, options, left_out)


def _objects(
    image: Mapping[str, Any], entries: list[Any], categories: Mapping[Any, Any], left_out: LeftOut
) -> Iterator[Annotation]:
    for entry in entries:
        where = f"{image['file_name']}: annotation {entry.get('id')}"
        if entry.get("iscrowd"):
            left_out.add_object(Reason.CROWD, where)
        elif not entry.get("segmentation"):
            left_out.add_object(Reason.UNSUPPORTED_TYPE, where)
        else:
            category_id = entry.get("category_id")
            category = categories.get(category_id) if isinstance(category_id, int) else None
            yield from _object(image, entry, category, where, left_out)


def _object(image: Mapping[str, Any], entry: Any, category: Any, where: str, left_out: LeftOut) -> Iterator[Annotation]:
    needed = {key: value for key, value in entry.items() if key in _NEEDED_KEYS}
    document = {"images": [image], "annotations": [needed], "categories": [category] if category else []}
    try:
        found = coco_to_images(document, source=str(image["file_name"])).images[0].annotations
    except DataError as error:
        left_out.add_object(Reason.MALFORMED, str(error))
        return
    if not found:
        is_outside = _lies_outside(entry["segmentation"], image["height"], image["width"])
        left_out.add_object(Reason.OUTSIDE if is_outside else Reason.EMPTY, where)
    yield from found


def _lies_outside(segmentation: Any, height: int, width: int) -> bool:
    if not isinstance(segmentation, list):
        return False
    x = [value for ring in segmentation for value in ring[::2]]
    y = [value for ring in segmentation for value in ring[1::2]]
    return bool(min(x) >= width or min(y) >= height or max(x) <= 0 or max(y) <= 0)
