"""Finding images by the names that files of other tools give them.

Such a name may come from another machine or system: with folders that are not here, with backslashes, as a URL, percent-encoded,
without its suffix, in another case, or with its accents composed otherwise. A name is only ever looked up among the images that
are there; it is never opened.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from sam2_adapter.images.kinds import IMAGE_SUFFIXES

Parts = tuple[str, ...]

_DRIVE = re.compile(r"^[A-Za-z]:")

COMPARISONS: tuple[Callable[[str], str], ...] = (
    lambda text: unicodedata.normalize("NFC", text),
    lambda text: unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()),
)
"""The ways in which names are compared, from the strictest on: accents composed, then also without regard to case."""


def path_parts(name: str) -> Parts:
    """The folders and the file name of a path of any system, without drive, root, `.` and `..`."""
    parts = _DRIVE.sub("", name.replace("\\", "/")).split("/")
    return tuple(part for part in parts if part not in ("", ".", ".."))


def is_foreign(name: str) -> bool:
    """Whether a name says by its form that its folders are those of another place: absolute, a URL, or leading outwards."""
    slashed = name.replace("\\", "/")
    return slashed.startswith("/") or bool(_DRIVE.match(slashed)) or "://" in name or ".." in slashed.split("/")


class ImageNames:
    """Images by their names: paths with forward slashes."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parts = {name: path_parts(name) for name in names}
        self._most_parts = max(map(len, self._parts.values()), default=0)
        self._by_file_name: list[dict[str, list[str]]] = [{} for _ in COMPARISONS]
        self._by_stem: list[dict[str, list[str]]] = [{} for _ in COMPARISONS]
        for name, parts in self._parts.items():
            if not parts:
                continue
            for level, compared in enumerate(COMPARISONS):
                self._by_file_name[level].setdefault(compared(parts[-1]), []).append(name)
                self._by_stem[level].setdefault(compared(_stem(parts[-1])), []).append(name)

    def complete(self, listed: str) -> list[str]:
        """The images whose path is, or ends with, the whole listed name; compared ever less strictly until there are some."""
        forms = list(_forms(listed))
        for is_stem in (False, True):
            for level in range(len(COMPARISONS)):
                for parts in forms:
                    found = self._ending_with(parts, level, is_stem=is_stem)
                    if found:
                        return found
        return []

    def alike_at_the_end(self, listed: str) -> list[str]:
        """The images that share the longest end of the listed name, at least the file name."""
        return self.longest_end(listed)[0]

    def longest_end(self, listed: str) -> tuple[list[str], Parts]:
        """The images that share the longest end of the listed name, at least the file name, and that end."""
        forms = list(_forms(listed))
        for is_stem in (False, True):
            for length in range(self._most_parts, 0, -1):
                ends = [parts[-length:] for parts in forms if length < len(parts)]
                for level, end in product(range(len(COMPARISONS)), ends):
                    found = self._ending_with(end, level, is_stem=is_stem)
                    if found:
                        return found, end
        return [], ()

    def _ending_with(self, parts: Parts, level: int, *, is_stem: bool) -> list[str]:
        if not parts or (is_stem and PurePosixPath(parts[-1]).suffix.lower() in IMAGE_SUFFIXES):
            return []
        compared = COMPARISONS[level]
        table = self._by_stem if is_stem else self._by_file_name
        candidates = table[level].get(compared(parts[-1]), [])
        folders = [compared(part) for part in parts[:-1]]
        return [name for name in candidates if self._folders_end_with(name, folders, compared)]

    def _folders_end_with(self, name: str, folders: Sequence[str], compared: Callable[[str], str]) -> bool:
        own = self._parts[name][:-1]
        return len(own) >= len(folders) and [compared(part) for part in own[len(own) - len(folders) :]] == list(folders)


class PathsByName:
    """Files by their names; the case of letters and the form of accents count only where names differ in nothing else."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        """Look files up by the keys of `paths`, with forward slashes."""
        self._paths = dict(paths)
        self._names: list[dict[str, list[str]]] = [{} for _ in COMPARISONS]
        for name in self._paths:
            for names, compared in zip(self._names, COMPARISONS, strict=True):
                names.setdefault(compared(name), []).append(name)

    def __bool__(self) -> bool:
        """Whether there is any file."""
        return bool(self._paths)

    def fitting(self, wanted: str) -> list[str]:
        """The names that are like this one: itself where it is there, else those found by the strictest comparison that finds some."""
        for names, compared in zip(self._names, COMPARISONS, strict=True):
            found = names.get(compared(wanted), [])
            if found:
                return [wanted] if wanted in found else found
        return []

    def get(self, wanted: str) -> Path | None:
        """The file of the only name that is like this one; `None` where there is none, or several."""
        found = self.fitting(wanted)
        return self._paths[found[0]] if len(found) == 1 else None


def find_listed(
    listed: Sequence[str],
    images: Iterable[str],
    narrow: Callable[[str, list[str]], list[str]] = lambda _, found: found,
    may_shorten: Callable[[str], bool] = lambda _: True,
) -> list[list[str]]:
    """Find the images that the names of a file mean.

    A name whose folders are not here is found by its longest end that is here, at least the file name, where that end is unique, both among
    the images and among the listed names that are looked for in this way.

    Args:
        listed: the names, in the file's order.
        images: the images that are there, paths with forward slashes.
        narrow: given a listed name and the images that it may mean, those that are meant; asked where several fit, and
            where only the end of the name does.
        may_shorten: whether a listed name may be found by its end.

    Returns:
        For each listed name the images that it may mean: none, the one, or several where that is not clear.
    """
    names = ImageNames(images)
    found = []
    for name in listed:
        fitting = names.complete(name)
        found.append(narrow(name, fitting) if len(fitting) > 1 else fitting)
    found = _most_specific(listed, found)
    taken = {candidates[0] for candidates in found if len(candidates) == 1}
    lost = {name for name, candidates in zip(listed, found, strict=True) if not candidates and may_shorten(name)}
    shortened = _by_their_ends(lost, names)
    for index, name in enumerate(listed):
        if name in shortened:
            found[index] = narrow(name, [image for image in shortened[name] if image not in taken])
    return found


def _by_their_ends(lost: Collection[str], names: ImageNames) -> dict[str, list[str]]:
    """For each listed name whose longest end that is here is the end of no other one, but for forms of it, the images with this end."""
    ends: dict[str, tuple[list[str], Parts]] = {}
    for name in lost:
        found, end = names.longest_end(name)
        if found:
            ends[name] = found, _folded(end)
    lengths = {len(end) for _, end in ends.values()}
    ends_of: dict[tuple[str, Parts], set[Parts]] = {}  # by a name in all of its forms
    for name in lost:
        ends_of.setdefault(_in_one_form(name), set()).update(_ends_of(name, lengths))
    counts = Counter(end for found in ends_of.values() for end in found)
    return {name: found for name, (found, end) in ends.items() if counts[end] == 1}


def _ends_of(name: str, lengths: Collection[int]) -> set[Parts]:
    """The ends of a listed name, in all its forms, that have so many parts."""
    return {_folded(parts[-length:]) for parts in _forms(name) for length in lengths if length <= len(parts)}


def _in_one_form(listed: str) -> tuple[str, Parts]:
    """The drive and the parts of a listed name, the same with accents composed otherwise or percent-encoded."""
    drive = _DRIVE.match(listed)
    return drive[0] if drive else "", tuple(COMPARISONS[0](part) for part in path_parts(unquote(listed.strip())))


def _folded(parts: Parts) -> Parts:
    return tuple(map(COMPARISONS[-1], parts))


def at_that_path(listed: str, fitting: list[str]) -> list[str]:
    """Of several images that a name fits the one at that very path of the data set or of its `images/`, with a suffix or without."""
    for place in (listed.lstrip("/"), f"images/{listed.lstrip('/')}"):
        exact = [image for image in fitting if place in (image, str(PurePosixPath(image).with_suffix("")))]
        if len(exact) == 1:
            return exact
    return fitting


def _most_specific(listed: Sequence[str], found: Sequence[list[str]]) -> list[list[str]]:
    """Of names that stand for one image those with the most folders, and of these those that are its own; the others stand for none.

    A name is an image's own also with its accents composed otherwise or percent-encoded, but not in another case: that may be another image.
    """
    rated = [
        (candidates[0], _rating(name, candidates[0])) if len(candidates) == 1 else None
        for name, candidates in zip(listed, found, strict=True)
    ]
    best: dict[str, tuple[int, int]] = {}
    for image, rating in filter(None, rated):
        best[image] = max(best.get(image, rating), rating)
    return [
        candidates if rating is None or rating[1] == best[rating[0]] else []
        for candidates, rating in zip(found, rated, strict=True)
    ]


def _rating(listed: str, image: str) -> tuple[int, int]:
    num_parts, spelling = specificity(listed, image)
    return num_parts, min(spelling, 2)


def best_names(names: Sequence[str], image: str) -> list[str]:
    """Of names that fit an image those that do so best, in their order; forms of one name do so equally."""
    ratings = [_rating(name, image) for name in names]
    return [name for name, rating in zip(names, ratings, strict=True) if rating == max(ratings)]


def specificity(listed: str, image: str) -> tuple[int, int]:
    """How closely a listed name names an image that it fits.

    Returns:
        How many parts the path has that it stands for, without the host of a URL; and 3 for the image's own spelling, 2 for the same name
        with accents composed otherwise or percent-encoded, 1 for such a name without its suffix, else 0.
    """
    parts, image_parts = path_parts(listed), path_parts(image)
    if parts == image_parts[len(image_parts) - len(parts) :]:
        return len(parts), 3
    without_suffix = (*image_parts[:-1], _stem(image_parts[-1]))
    composed, folded = COMPARISONS
    ways = (
        (2, image_parts, composed),
        (1, without_suffix, composed),
        (0, image_parts, folded),
        (0, without_suffix, folded),
    )
    for spelling, of_image, compared in ways:
        own = [compared(part) for part in of_image]
        for form in _forms(listed):
            if [compared(part) for part in form] == own[len(own) - len(form) :]:
                return len(form), spelling
    return len(parts), 0


def _forms(listed: str) -> Iterator[Parts]:
    """The paths that a listed name may mean: as it stands, without blanks around it, percent-decoded, and that of a URL."""
    yield path_parts(listed)
    if listed != listed.strip():
        yield path_parts(listed.strip())
    if "%" in listed:
        yield path_parts(unquote(listed))
    if "://" in listed or "?" in listed:
        try:
            url = urlsplit(listed)
        except ValueError:  # such as a bracket in the host
            return
        for value in parse_qs(url.query).get("d", []):  # how Label Studio names local files
            yield path_parts(value)
        yield path_parts(unquote(url.path))


def _stem(file_name: str) -> str:
    path = PurePosixPath(file_name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else file_name
