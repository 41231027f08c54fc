"""Splits: those that a data set names in `split.json`, and a seeded one where no validation images were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from sam2_adapter.errors import DataError
from sam2_adapter.files import read_json
from sam2_adapter.formats.dataset_reader import USUAL_SPLITS, WHOLE, split_name
from sam2_adapter.formats.image_names import ImageNames
from sam2_adapter.formats.left_out import LeftOut, Reason
from sam2_adapter.formats.sample import Sample

# A separate stream of random numbers for each use of one seed.
_SPLIT_STREAM = 1

# What is kept to check a model holds at most this share of the objects, or `fraction` where that is more; so many choices are tried.
_LARGEST_VALIDATION = 0.5
_TRIED_CHOICES = 64


def read_split_file(path: Path) -> dict[str, list[str]]:
    """Read `split.json`: split to list of image names, with or without suffix.

    Raises:
        DataError: the file has another form, or an image is in two splits.
    """
    content = read_json(path)
    is_lists = isinstance(content, dict) and all(isinstance(names, list) for names in content.values())
    if not is_lists or not all(isinstance(name, str) for names in content.values() for name in names):
        raise DataError(f'{path}: expected lists of image names by split, such as {{"train": ["a"], "test": ["b"]}}.')
    splits: dict[str, list[str]] = {}
    home: dict[str, str] = {}
    for split, names in content.items():
        for name in names:
            if home.setdefault(name, split) != split:
                raise DataError(
                    f"{path}: the image {name!r} is in {home[name]!r} and in {split!r}; an image belongs to one split."
                )
        splits.setdefault(split_name(split), []).extend(dict.fromkeys(names))
    return splits


def apply_split_file(samples: Sequence[Sample], path: Path, left_out: LeftOut) -> dict[str, list[Sample]]:
    """Distribute samples as a split file says; see `apply_splits`.

    Raises:
        DataError: the file is malformed, or as in `apply_splits`.
    """
    return apply_splits(samples, read_split_file(path), path, left_out)


def apply_splits(
    samples: Sequence[Sample], splits: Mapping[str, Sequence[str]], path: Path, left_out: LeftOut
) -> dict[str, list[Sample]]:
    """Distribute samples by lists of names; images in no split are counted as left out, names of no image are remarked.

    Args:
        samples: all samples.
        splits: split to names, which may be those that the annotation file uses: they are found as images are.
        path: the file or folder that the names come from.
        left_out: counts what is in no split.

    Raises:
        DataError: a name fits several images, or an image is in two splits.
    """
    images = ImageNames(sample.name for sample in samples)
    home_of: dict[str, str] = {}
    for split, name in ((split, name) for split, names in splits.items() for name in names):
        image = _image_of(name, images, path)
        if image is None:
            left_out.remark("name", f"in {path.name} of no image that can be used", name)
        elif home_of.setdefault(image, split) != split:
            raise DataError(
                f"{path}: the image {image!r} is in {home_of[image]!r} and in {split!r}; an image belongs to one split."
            )
    found: dict[str, list[Sample]] = {split: [] for split in splits}
    for sample in samples:
        if sample.name in home_of:
            found[home_of[sample.name]].append(sample)
        else:
            left_out.add_image(Reason.NOT_IN_SPLIT, sample.name)
    return found


def split_by_folders(samples: Sequence[Sample]) -> dict[str, list[Sample]] | None:
    """Distribute samples by the first of their folders that is called like a split.

    Returns:
        Split to samples, those of no such folder under `WHOLE`; `None` where the folders do not name several splits.
    """
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        names = (split_name(folder) for folder in PurePosixPath(sample.name).parts[:-1])
        found.setdefault(next((name for name in names if name in USUAL_SPLITS), WHOLE), []).append(sample)
    return found if len(found.keys() - {WHOLE}) > 1 else None


def _image_of(name: str, images: ImageNames, path: Path) -> str | None:
    """The image that a name of a split file stands for: the one at that very path, whatever its suffix, else the only one that fits."""
    fitting = images.complete(name) or images.alike_at_the_end(name)
    exact = [image for image in fitting if name in (image, str(PurePosixPath(image).with_suffix("")))]
    meant = exact or fitting
    if len(meant) > 1:
        raise DataError(
            f"{path}: the name {name!r} fits several images, {' and '.join(meant[:2])}; write its folder and its suffix."
        )
    return meant[0] if meant else None


def check_disjoint(splits: Mapping[str, Sequence[Sample]]) -> None:
    """Refuse an image file that is in two splits.

    Raises:
        DataError: names the image and the splits.
    """
    home: dict[Path, str] = {}
    for split, samples in splits.items():
        for sample in samples:
            other = home.setdefault(sample.image_path, split)
            if other != split:
                raise DataError(
                    f"{sample.name} is in {other!r} and in {split!r}: results on it would be too good. Keep it in one split."
                )


def split_off_validation(
    samples: Sequence[Sample], fraction: float, seed: int
) -> tuple[list[Sample], list[Sample], str]:
    """Choose validation samples at random, by image; one image alone is split by objects.

    A choice that takes more than half of the objects away from training (a crowd and an image of one object) is made again.

    Args:
        samples: at least one; their order does not matter.
        fraction: share of the images for validation, above 0 and below 1; at least one image stays on each side.
        seed: of the choice.

    Returns:
        Training samples, validation samples, and a sentence that says what was done.
    """
    rng = np.random.default_rng([seed, _SPLIT_STREAM])
    ordered = sorted(samples, key=lambda sample: sample.name)
    if len(ordered) == 1:
        return _split_objects(ordered[0], fraction, rng, seed)
    chosen = _choose_images([len(sample.objects) for sample in ordered], fraction, rng)
    train = [sample for index, sample in enumerate(ordered) if index not in chosen]
    validation = [sample for index, sample in enumerate(ordered) if index in chosen]
    note = f"No validation split was given: {len(validation)} of {len(ordered)} images were chosen for it at random (seed {seed})."
    return train, validation, note


def _split_objects(
    sample: Sample, fraction: float, rng: np.random.Generator, seed: int
) -> tuple[list[Sample], list[Sample], str]:
    count = len(sample.objects)
    if count == 1:
        note = f"There is only one object ({sample.name}): training and validation use the same one, so the result says nothing about other images."
        return [sample], [sample], note
    chosen = _choose(count, fraction, rng)
    train, validation = (
        replace(sample, objects=tuple(o for index, o in enumerate(sample.objects) if (index in chosen) is is_chosen))
        for is_chosen in (False, True)
    )
    note = f"There is only one image ({sample.name}): {len(chosen)} of its {count} objects were chosen for validation at random (seed {seed})."
    return [train], [validation], note


def _choose_images(num_objects: Sequence[int], fraction: float, rng: np.random.Generator) -> set[int]:
    """The first choice that leaves enough objects for training; where none does, the one that leaves most."""
    largest = max(_LARGEST_VALIDATION, fraction) * sum(num_objects)
    choices = []
    for _ in range(_TRIED_CHOICES):
        chosen = _choose(len(num_objects), fraction, rng)
        taken = sum(num_objects[index] for index in chosen)
        if taken <= largest:
            return chosen
        choices.append((taken, chosen))
    return min(choices, key=lambda choice: choice[0])[1]


def _choose(count: int, fraction: float, rng: np.random.Generator) -> set[int]:
    number = min(max(1, round(count * fraction)), count - 1)
    return set(rng.permutation(count)[:number].tolist())
