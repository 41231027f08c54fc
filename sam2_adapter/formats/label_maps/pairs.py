"""Which mask of `masks/` belongs to which image of `images/`: they have one path below their folders, up to habits of tools.

A mask may carry the image's whole name (`p.jpg.png`), or a word behind or before it (`p_mask.png`, `mask_p.png`); an image too, where its
mask carries one (`img_1.png` and `mask_1.png`). The case of letters and the form of accents count only where names differ in nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from sam2_adapter.formats.image_names import COMPARISONS
from sam2_adapter.images.kinds import IMAGE_SUFFIXES

_WORDS = re.compile(
    r"[ _.-]+(cp[ _-]?masks?|masks?|segmentations?|segmented|seg|labels?|label[ _-]?map|instances?|annotations?|gt|matte)$",
    re.IGNORECASE,
)


_MASK_WORDS = "masks?|segmentations?|seg|labels?|instances?|annotations?|gt"
_IMAGE_WORDS = "images?|imgs?|im|rgb|photos?|pics?|raw|orig|original|input|sat|leftImg8bit|training"

# A word before a name ends where a digit or a separator follows.
_MASK_PREFIX, _IMAGE_PREFIX = (
    re.compile(rf"^({words})([ _.-]+|(?=\d))", re.IGNORECASE) for words in (_MASK_WORDS, _IMAGE_WORDS)
)
_IMAGE_SUFFIX = re.compile(rf"[ _.-]+({_IMAGE_WORDS})$", re.IGNORECASE)

# Whether words were taken off, which of `COMPARISONS` is meant, and the name in the form for that.
_Key = tuple[bool, int, str]


class Pairs(NamedTuple):
    """Images with their masks.

    Attributes:
        masks_of: image to the masks that may be its own, best ones only; an image without a mask has none.
        rivals_of: image to all images that the same masks fit as well, itself included.
        unpaired: masks that fit no image.
    """

    masks_of: dict[str, list[str]]
    rivals_of: dict[str, list[str]]
    unpaired: list[str]


def pair_masks(images: Iterable[str], masks: Iterable[str]) -> Pairs:
    """Pair masks with images by their paths, with forward slashes, below their folders."""
    images = list(images)
    by_key: dict[_Key, list[str]] = {}
    for image in images:
        for key in dict.fromkeys(_keys_of_image(image)):
            by_key.setdefault(key, []).append(image)
    ranked: dict[str, list[tuple[int, str]]] = {image: [] for image in images}
    rivals_of: dict[str, list[str]] = {image: [image] for image in images}
    unpaired = []
    for mask in masks:
        rank, fitting = _first_fitting(mask, by_key)
        for image in fitting:
            ranked[image].append((rank, mask))
            rivals_of[image] = fitting if len(fitting) > 1 else rivals_of[image]
        if not fitting:
            unpaired.append(mask)
    masks_of: dict[str, list[str]] = {}
    for image, found in ranked.items():
        best = min((rank for rank, _ in found), default=0)
        masks_of[image] = [mask for rank, mask in found if rank == best]
        unpaired += [mask for rank, mask in found if rank != best]
    return Pairs(masks_of, rivals_of, unpaired)


def is_name_of_mask(name: str) -> bool:
    """Whether a picture is called like a mask, such as `p_mask.png`."""
    return _WORDS.search(_without_suffix(name)) is not None


def _first_fitting(mask: str, by_key: dict[_Key, list[str]]) -> tuple[int, list[str]]:
    """The images that fit a mask in the strictest way in which any does, and the rank of that way."""
    for rank, key in enumerate(_keys_of_mask(mask)):
        if key in by_key:
            return rank, by_key[key]
    return 0, []


def _keys_of_image(image: str) -> Iterator[_Key]:
    stem = _without_suffix(image)
    for name in (stem, image):
        yield from _keys(name)
    for name in dict.fromkeys((stem, _IMAGE_SUFFIX.sub("", stem), _without_prefix(stem, _IMAGE_PREFIX))):
        yield from _keys(name, is_bare=True)


def _keys_of_mask(mask: str) -> Iterator[_Key]:
    stem = _without_suffix(mask)
    shorter = _WORDS.sub("", stem)
    for name in dict.fromkeys((stem, shorter, _without_image_suffix(shorter))):
        yield from _keys(name)
    for name in (shorter, _without_prefix(stem, _MASK_PREFIX)):
        if name != stem:
            yield from _keys(name, is_bare=True)


def _without_prefix(name: str, prefix: re.Pattern[str]) -> str:
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{prefix.sub('', base) or base}"


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _without_image_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES else name


def _keys(name: str, *, is_bare: bool = False) -> Iterator[_Key]:
    return ((is_bare, level, compared(name)) for level, compared in enumerate(COMPARISONS))
