"""What the result files of every image are called, so that no two images of a run share a file in any format, on any disk.

An image is called by its path without suffix where that is its own; else with its suffix; else with a part of a hash. Names are compared as
file systems do that ignore case and the normal form of accents, and a file of one image is never a folder of another.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

# File systems allow 255 bytes; what is added is at most a number of an object and a suffix.
_MOST_BYTES = 230
_HASH_DIGITS = 8

_PLAIN, _WITH_SUFFIX, _WITH_HASH = range(3)

# Of the files of an image, see `OutputFolder`; those with a folder of pictures of single objects beside them.
_SUFFIXES = (".jpg", ".json", ".png", ".txt", ".xml")
_MASK_SUFFIXES = (".json", ".png")


def names_below_shared(paths: Iterable[str | Path]) -> list[str]:
    """What the images of a run are called: their paths below the folder that all of them share, with forward slashes."""
    files = [os.path.abspath(path) for path in paths]
    shared = os.path.commonpath([os.path.dirname(file) for file in files]) if files else os.curdir
    return [Path(file).relative_to(shared).as_posix() for file in files]


def unique_stems(file_names: Sequence[str]) -> dict[str, str]:
    """File name of every image to the name of its results.

    Args:
        file_names: paths with forward slashes, each once.

    Returns:
        For every file name a path with forward slashes; `stem_of` where no other image is in the way.
    """
    level = dict.fromkeys(file_names, _PLAIN)
    stems = {name: _stem(name, _PLAIN) for name in level}
    while raised := [name for name in _in_the_way(stems, level) if level[name] < _WITH_HASH]:
        for name in raised:
            level[name] += 1
            stems[name] = _stem(name, level[name])
    return stems


def stem_of(file_name: str) -> str:
    """What an image's results are called where no other image is in the way: its path without suffix, shortened if need be."""
    return _stem(file_name, _PLAIN)


def base_of(stem: str) -> str:
    """The last part of a path with forward slashes."""
    return stem.rpartition("/")[2]


def has_longer_name(stem: str, file_name: str) -> bool:
    """Whether the results of an image are called otherwise than the image without its suffix, since another image is in the way."""
    return base_of(stem) != base_of(stem_of(file_name))


def _in_the_way(stems: Mapping[str, str], level: Mapping[str, int]) -> set[str]:
    """The images that need a longer name."""
    images: dict[str, list[str]] = defaultdict(list)
    for name, stem in stems.items():
        images[_key(stem)].append(name)
    folders = {folder for key in images for folder in _parents(key)}
    raised: set[str] = set()
    for key, names in images.items():
        if len(names) > 1:
            lowest = min(level[name] for name in names)
            raised.update(name for name in names if level[name] == lowest)
        if any(key + suffix in folders for suffix in _SUFFIXES) or any(
            key + suffix in images for suffix in _MASK_SUFFIXES
        ):
            raised.update(names)
        raised.update(_owners_of_objects(key, images))
    return raised


def _owners_of_objects(key: str, images: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The images whose pictures of single objects, such as `clip/clip_001.png`, are where this key has its files."""
    for parent in _parents(key):
        for name in images.get(parent, ()):
            inside = key[len(parent) + 1 :]
            base = re.escape(_key(base_of(stem_of(name))))
            if re.match(base + r"_\d{3,}(\.png)?(/|$)", inside):
                yield name


def _stem(file_name: str, level: int) -> str:
    folder, slash, base = file_name.rpartition("/")
    digest = hashlib.sha256(file_name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    if level == _PLAIN:
        base = _without_suffix(base)
    if level == _WITH_HASH or len(_encoded(base)) > _MOST_BYTES:
        base = f"{_cut(base)}-{digest}"
    return folder + slash + base


def _without_suffix(base: str) -> str:
    head, _, suffix = base.rpartition(".")
    return head if head.strip(".") and suffix else base


def _cut(base: str) -> str:
    most = _MOST_BYTES - _HASH_DIGITS - 1
    return base if len(_encoded(base)) <= most else _encoded(base)[:most].decode("utf-8", "ignore")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _key(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _parents(path: str) -> Iterable[str]:
    position = path.rfind("/")
    while position > 0:
        yield path[:position]
        position = path.rfind("/", 0, position)
