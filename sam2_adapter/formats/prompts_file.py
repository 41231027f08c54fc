"""Reading a prompts file: which prompts belong to which image.

    {"images": {"street.jpg": [{"box": [10, 20, 200, 180], "label": "car"},
                               {"points": [[50, 60], [90, 10]], "labels": [1, 0]},
                               {"mask": "masks/roof.png"},
                               {"mask": "earlier/roof.npz"}]}}

One entry per object; its keys are those of `Prompt.from_dict`. A `mask` is a picture (see `read_mask`) or a `.npz` file
with earlier logits under the key `low_res_logits`; its path is relative to the prompts file and must stay in that
folder, since prompts files come from other people. An entry that cannot be used does not affect the others.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.prompt_values import short
from sam2_adapter.annotations.prompts import FloatArray, Prompt, RefusedPrompt
from sam2_adapter.errors import ImageError, PromptError
from sam2_adapter.files import read_json, reason_of
from sam2_adapter.formats.image_names import at_that_path, best_names, find_listed, is_foreign
from sam2_adapter.formats.result_names import names_below_shared
from sam2_adapter.images.mask_files import read_mask
from sam2_adapter.images.read import image_size, image_size_with_notes
from sam2_adapter.input_files import open_regular

LOGITS_KEY = "low_res_logits"

Listed = Prompt | RefusedPrompt

# Logits of one object are 256 x 256 numbers; this is far above any model's and keeps a crafted file from filling the
# memory.
_MAX_LOGITS_BYTES = 64 * 2**20


def read_prompts_file(path: str | Path, image_paths: Sequence[Path] = ()) -> dict[str, list[Prompt | RefusedPrompt]]:
    """Read the prompts of all images that a prompts file lists.

    Args:
        path: JSON file of the form shown at the head of this module.
        image_paths: the images that it may be for; a mask of another size than its image is refused before it is decoded.

    Returns:
        Image name, as written in the file, to its prompts in order. An entry that is malformed, or whose mask cannot be read,
        is a `RefusedPrompt` at its position.

    Raises:
        PromptError: the file itself cannot be read or has another form.
    """
    path = Path(path)
    document = read_json(path, PromptError)
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, dict) or len(document) != 1:
        raise PromptError(
            f'{path}: expected {{"images": {{"name.jpg": [prompts], ...}}}} and nothing else, but got {short(document)}.'
        )
    image_of = {name: image for image, names in _chosen_names(images, image_paths).items() for name in names}
    return {name: _read_entries(path.parent, entries, image_of.get(name)) for name, entries in images.items()}


def match_prompts(
    prompts_of: Mapping[str, Sequence[Listed]], image_paths: Iterable[Path]
) -> dict[Path, Sequence[Listed]]:
    """Find the prompts of every image by its name.

    A name in a prompts file fits an image whose path ends with it, folder by folder: `a.jpg` fits `photos/a.jpg`,
    `photos/a.jpg` fits only that. Of several images that a name fits, the one that the results call so is meant. Of several names that fit an image the longest counts; forms of one name count together. The case of letters and the form of
    accents count only where names differ in nothing else, and a path of another machine fits the image of its file name where
    that is unique.

    Args:
        prompts_of: image name to prompts, as `read_prompts_file` returns them.
        image_paths: the images.

    Returns:
        Image path to prompts, for the images with a name that fits.

    Raises:
        PromptError: one name fits several images.
    """
    chosen = _chosen_names(prompts_of, list(image_paths))
    _check_unambiguous(chosen)
    return {path: [prompt for name in names for prompt in prompts_of[name]] for path, names in chosen.items()}


def unmatched_names(prompts_of: Mapping[str, Sequence[Listed]], image_paths: Iterable[Path]) -> list[str]:
    """The names of a prompts file that stand for none of the images, in the file's order; usually misspelt."""
    used = {name for names in _chosen_names(prompts_of, list(image_paths)).values() for name in names}
    return [name for name in prompts_of if name not in used]


def _chosen_names(names: Iterable[str], image_paths: Sequence[Path]) -> dict[Path, list[str]]:
    """Of the names that fit an image those that fit it best: several where they are one name in other forms."""
    listed = list(names)
    images = {path.as_posix(): path for path in image_paths}
    called = dict(zip(images, names_below_shared(images), strict=True))

    def narrow(name: str, candidates: list[str]) -> list[str]:
        own = at_that_path(name, [called[image] for image in candidates])
        return [image for image in candidates if called[image] in own]

    fitting: dict[str, list[str]] = {}
    for name, candidates in zip(listed, find_listed(listed, images, narrow, is_foreign), strict=True):
        for image in candidates:
            fitting.setdefault(image, []).append(name)
    return {path: best_names(fitting[image], image) for image, path in images.items() if image in fitting}


def _check_unambiguous(chosen: Mapping[Path, Sequence[str]]) -> None:
    owner: dict[str, Path] = {}
    for image_path, name in ((path, name) for path, names in chosen.items() for name in names):
        if name in owner:
            raise PromptError(
                f"The name {name!r} in the prompts file fits two images, {owner[name]} and {image_path}; "
                "write the folder before the name, such as 'folder/name.jpg'."
            )
        owner[name] = image_path


def _read_entries(folder: Path, entries: Any, image: Path | None) -> list[Listed]:
    if not isinstance(entries, list):
        return [RefusedPrompt(f"The prompts of an image are a list, but got {short(entries)}.")]
    allowed_hw = _size_of(image) if any(isinstance(entry, dict) and "mask" in entry for entry in entries) else ()
    return [_read_entry(folder, entry, allowed_hw) for entry in entries]


def _size_of(image: Path | None) -> tuple[tuple[int, int], ...]:
    """The (height, width) that masks of an image must have; none for an image that cannot be read here."""
    try:
        return () if image is None else (image_size(image),)
    except ImageError:  # told when the image is read
        return ()


def _read_entry(folder: Path, entry: Any, allowed_hw: Sequence[tuple[int, int]]) -> Listed:
    try:
        if isinstance(entry, dict) and entry.get("mask") is not None:
            entry = {**entry, "mask": _read_prompt_mask(folder, entry["mask"], allowed_hw)}
        return Prompt.from_dict(entry)
    except (PromptError, ImageError) as error:
        return RefusedPrompt(str(error))


def _read_prompt_mask(folder: Path, name: Any, allowed_hw: Sequence[tuple[int, int]]) -> npt.NDArray[Any]:
    if not isinstance(name, str) or not name:
        raise PromptError(f"'mask' is the path of a picture or .npz file, but got {short(name)}.")
    mask_path = _path_inside(folder, name)
    if mask_path.suffix.lower() == ".npz":
        return _read_logits(mask_path)
    mask = read_mask(mask_path, allowed_hw=allowed_hw, name=f"mask {name!r}")
    for note in image_size_with_notes(mask_path)[1]:
        raise PromptError(
            f"mask {name!r}: it cannot be told which picture of the file is meant ({note}). Save the mask as a file of its own."
        )
    return mask


def _path_inside(folder: Path, name: str) -> Path:
    try:
        path = (folder / name).resolve()
        is_inside = path.is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError) as error:  # null characters, loops of links
        raise PromptError(f"mask {name!r} is no usable path: {reason_of(error)}.") from error
    if not is_inside:
        raise PromptError(
            f"mask {name!r} lies outside the folder of the prompts file; put the mask beside or below the prompts file."
        )
    return path


def _read_logits(path: Path) -> FloatArray:
    try:
        with open_regular(path) as file:
            _check_logits_size(file, path)
            with np.load(file, allow_pickle=False) as arrays:
                logits = np.asarray(arrays[LOGITS_KEY])
    except PromptError:
        raise
    except FileNotFoundError:
        raise PromptError(f"mask {path.name!r}: there is no such file. Check the path.") from None
    except (
        Exception
    ) as error:  # damaged archives raise almost anything: BadZipFile, zlib.error, EOFError, SyntaxError, ...
        reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        raise PromptError(f"mask {path.name!r} is not a readable .npz file of numbers{reason}.") from error
    return _one_object(logits, path.name)


def _check_logits_size(file: IO[bytes], path: Path) -> None:
    """Hold the size that the archive and the array in it claim against the limit; the file is left at its start."""
    with zipfile.ZipFile(file) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        size = sizes.get(f"{LOGITS_KEY}.npy")
        if size is not None and size <= _MAX_LOGITS_BYTES:
            with archive.open(f"{LOGITS_KEY}.npy") as member:
                size = max(size, _claimed_bytes(member))
    file.seek(0)
    if size is None:
        found = ", ".join(sorted(name.removesuffix(".npy") for name in sizes)) or "nothing"
        raise PromptError(f"mask {path.name!r} needs an array {LOGITS_KEY!r}, but holds {found[:80]}.")
    if size > _MAX_LOGITS_BYTES:
        raise PromptError(
            f"mask {path.name!r}: {LOGITS_KEY!r} has {size:,} bytes, more than the logits of one object can have."
        )


def _claimed_bytes(member: IO[bytes]) -> int:
    version = np.lib.format.read_magic(member)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(member)
    return prod(shape) * dtype.itemsize


def _one_object(logits: npt.NDArray[Any], name: str) -> FloatArray:
    """Earlier logits h x w; a prediction saves them with leading axes for objects and masks, which must be single."""
    if (
        logits.ndim < 2
        or any(length != 1 for length in logits.shape[:-2])
        or not np.issubdtype(logits.dtype, np.floating)
    ):
        raise PromptError(
            f"mask {name!r}: {LOGITS_KEY!r} are floats h x w of one object, but got {logits.dtype} of shape {logits.shape}."
        )
    with np.errstate(over="ignore"):  # infinities are refused by the prompt, with a better text
        return logits.reshape(logits.shape[-2:]).astype(np.float32)
