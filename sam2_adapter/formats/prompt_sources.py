"""Where prompts come from: a prompts file of ours, or the boxes and points that a labelling tool has saved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sam2_adapter.errors import DataError, PromptError
from sam2_adapter.formats.base import Format, ListedPrompts
from sam2_adapter.formats.prompts_file import read_prompts_file
from sam2_adapter.formats.registry import FORMATS, load_format

_TABLES = frozenset({".csv", ".tsv", ".ods", ".xls", ".xlsx"})


def read_prompts(path: str | Path, image_paths: Sequence[Path] = ()) -> ListedPrompts:
    """Read the prompts of all images from a file or folder of any kind.

    Args:
        path: a prompts file, or a file or folder of a format that has prompts.
        image_paths: the images that they may be for, as in `read_prompts_file`.

    Returns:
        Image name, as written there, to its prompts in order; one that cannot be used is a `RefusedPrompt` at its position.

    Raises:
        PromptError: it cannot be read, or has no prompts.
    """
    path = Path(path)
    if not os.path.exists(path):
        return read_prompts_file(path, image_paths)
    found = _format_of(path)
    if found is not None and found.read_prompts is not None:
        try:
            return found.read_prompts(path, image_paths)
        except DataError as error:
            raise PromptError(str(error)) from error
    sources = [entry.name for entry in FORMATS if entry.has_prompts]
    if path.is_dir():
        raise PromptError(
            f"{path}: a folder without prompts. Expected a prompts file, or files of {' or '.join(sources)} with boxes or points."
        )
    if path.suffix.lower() in _TABLES:
        raise PromptError(
            f'{path}: tables are not read. A prompts file is JSON, such as {{"images": {{"street.jpg": [{{"box": [10, 20, 200, 180]}}]}}}}; or '
            f"give files of {' or '.join(sources)}."
        )
    return read_prompts_file(path, image_paths)


def listed_labels(path: str | Path) -> Sequence[str]:
    """The labels that a file or folder of prompts lists, in the order of their numbers; none where it is a prompts file of ours.

    Raises:
        PromptError: it cannot be read.
    """
    found = _format_of(Path(path))
    try:
        return found.read_labels(Path(path)) if found is not None and found.read_labels is not None else ()
    except DataError as error:
        raise PromptError(str(error)) from error


def _format_of(path: Path) -> Format | None:
    """The format with prompts that a path is of; `None` for a prompts file of ours and for what is no prompts at all."""
    formats = (load_format(entry) for entry in FORMATS if entry.has_prompts)
    return next((found for found in formats if found.recognise is not None and found.recognise(path)), None)
