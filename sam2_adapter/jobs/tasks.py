"""`ImageTask`, one image to predict on: how the images of a run are named, and which prompts each of them has."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sam2_adapter.annotations.prompts import ENTRY_KEYS, Prompt, RefusedPrompt, Units
from sam2_adapter.annotations.usable_prompts import check_prompts
from sam2_adapter.errors import PromptError
from sam2_adapter.files import encodable
from sam2_adapter.formats.prompt_sources import listed_labels, read_prompts
from sam2_adapter.formats.prompts_file import match_prompts, unmatched_names
from sam2_adapter.formats.result_names import names_below_shared
from sam2_adapter.text import plural, shown

logger = logging.getLogger(__name__)

# Prompts as callers give them: for every image the same ones, for each image its own by name, or a file or folder of prompts.
AnyPrompt = Prompt | RefusedPrompt | Mapping[str, Any]
GivenPrompts = Sequence[AnyPrompt] | Mapping[str, Sequence[AnyPrompt]] | str | Path | None


@dataclass(frozen=True)
class ImageTask:
    """One image to predict on.

    Attributes:
        path: the file.
        name: what the results call it, a path with forward slashes that UTF-8 can hold; unique among the tasks of a run.
        prompts: one per object, also those that were refused; none is the zero-shot mode.
        url: where the file is read from instead, such as `s3://bucket/a.jpg`; `path` then has the same parts.
    """

    path: Path
    name: str
    prompts: Sequence[Prompt | RefusedPrompt] = ()
    url: str | None = None

    @property
    def source(self) -> str:
        """The path or URL, for people to read."""
        return self.url or str(self.path)

    def named(self, reason: str) -> str:
        """A reason that names the image, which many name already."""
        return reason if self.source in reason else f"{self.source}: {reason}"


class PromptsOfRun(NamedTuple):
    """The prompts of a run.

    Attributes:
        of_path: those of every image that has some.
        labels: their labels, also those for other images: in the order that the file of a labelling tool lists them in, else as they stand.
    """

    of_path: Mapping[Path, Sequence[Prompt | RefusedPrompt]]
    labels: tuple[str, ...] = ()


def is_url(location: str) -> bool:
    """Whether a location names its protocol, as `s3://bucket/photos` does."""
    return "://" in location


def plan_tasks(
    paths: Sequence[Path], prompts_of: Mapping[Path, Sequence[Prompt | RefusedPrompt]] | None = None
) -> list[ImageTask]:
    """Name every image by its path below the folder that all of them share.

    Args:
        paths: image files.
        prompts_of: the prompts of the images that have some.

    Returns:
        One task per file, also where a file was given twice under different paths.
    """
    files: dict[str, Path] = {}
    for path in paths:
        files.setdefault(os.path.abspath(path), path)
    names = _unique(map(encodable, names_below_shared(files)))
    prompts_of = prompts_of or {}
    return [ImageTask(path, name, prompts_of.get(path, ())) for name, path in zip(names, files.values(), strict=True)]


def prompts_for(paths: Sequence[Path], given: GivenPrompts) -> PromptsOfRun:
    """The prompts of every image, and their labels.

    Args:
        paths: image files.
        given: the same prompts for all of them, prompts by image name, or the path of a prompts file or of what a labelling tool has saved.

    Raises:
        PromptError: the file cannot be read, a name fits several images, or no name fits any.
    """
    if given is None:
        return PromptsOfRun({})
    if isinstance(given, str | Path):
        return _listed_prompts(read_prompts(given, paths), paths, str(given), listed_labels(given))
    if isinstance(given, Mapping):
        if _is_one_prompt(given):
            raise PromptError(
                f"prompts is a list of prompts, one per object, but got one prompt alone, {shown(given)}."
            )
        for name, entries in given.items():
            if not isinstance(name, str):
                raise PromptError(f"prompts has the names of images as keys, but got {shown(name)}.")
            _require_list(entries, f"prompts[{name!r}]")
        return _listed_prompts({name: check_prompts(entries) for name, entries in given.items()}, paths, "prompts")
    _require_list(given, "prompts")
    same = check_prompts(given)
    return PromptsOfRun(dict.fromkeys(paths, same), _labels_of(same))


def _require_list(given: object, name: str) -> None:
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping | Prompt | np.ndarray):
        raise PromptError(f"{name} is a list of prompts, one per object, but got {shown(given)}.")


def _is_one_prompt(given: Mapping[Any, Any]) -> bool:
    """Whether this is one prompt as a dict, and no image names with their prompts."""
    has_prompts = any(
        isinstance(value, list | tuple) and value and isinstance(value[0], Mapping | Prompt) for value in given.values()
    )
    return bool(given) and set(given) <= ENTRY_KEYS and not has_prompts


def prompts_sha256(prompts: Sequence[Prompt | RefusedPrompt], units: Units = "pixel") -> str:
    """Identity of prompts: other values or units, or the same in another order, have another."""
    digest = hashlib.sha256()
    for prompt in prompts:
        for entry in fields(prompt):
            value = getattr(prompt, entry.name)
            is_array = isinstance(value, np.ndarray)
            described = f"{value.dtype} {value.shape}" if is_array else repr(value)
            digest.update(f"{entry.name} {described} ".encode("utf-8", "surrogatepass"))
            digest.update(value.tobytes() if is_array else b"")
    if prompts and units != "pixel":
        digest.update(units.encode())
    return digest.hexdigest()


def _listed_prompts(
    listed: Mapping[str, Sequence[Prompt | RefusedPrompt]],
    paths: Sequence[Path],
    source: str,
    labels: Iterable[str] = (),
) -> PromptsOfRun:
    unmatched = unmatched_names(listed, paths)
    if listed and len(unmatched) == len(listed):
        raise PromptError(
            f"{source}: none of the images that it lists is among those given; the first is {unmatched[0]!r}."
        )
    if unmatched:
        told = f"{plural(len(unmatched), 'image')} that it lists {'is' if len(unmatched) == 1 else 'are'}"
        logger.warning("%s: %s not among those given, such as %r.", source, told, unmatched[0])
    used = _labels_of(prompt for prompts in listed.values() for prompt in prompts)
    return PromptsOfRun(match_prompts(listed, paths), tuple(dict.fromkeys((*labels, *used))))


def _labels_of(prompts: Iterable[Prompt | RefusedPrompt]) -> tuple[str, ...]:
    given = (prompt.label for prompt in prompts if isinstance(prompt, Prompt))
    return tuple(dict.fromkeys(label for label in given if label))


def _unique(names: Iterable[str]) -> list[str]:
    """Names, longer where an escape makes two of them equal."""
    taken: dict[str, None] = {}
    for name in names:
        unique = name
        while unique in taken:
            unique += "_"
        taken[unique] = None
    return list(taken)
