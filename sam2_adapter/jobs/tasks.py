"""`ImageTask`, one image to predict on, and how the images of a run are named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt


@dataclass(frozen=True)
class ImageTask:
    """One image to predict on.

    Attributes:
        path: the file.
        name: what the results call it, a path with forward slashes; unique among the tasks of a run.
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


def is_url(location: str) -> bool:
    """Whether a location names its protocol, as `s3://bucket/photos` does."""
    return "://" in location


def plan_tasks(paths: Sequence[Path], prompts_of: Mapping[Path, Sequence[Prompt | RefusedPrompt]]) -> list[ImageTask]:
    """Name every image by its path below the folder that all of them share.

    Args:
        paths: image files.
        prompts_of: the prompts of the images that have some.

    Returns:
        One task a file, also where a file was given twice under different paths.
    """
    files: dict[str, Path] = {}
    for path in paths:
        files.setdefault(os.path.abspath(path), path)
    shared = os.path.commonpath([os.path.dirname(name) for name in files]) if files else os.curdir
    return [
        ImageTask(path, Path(name).relative_to(shared).as_posix(), prompts_of.get(path, ()))
        for name, path in files.items()
    ]


def prompts_sha256(prompts: Sequence[Prompt | RefusedPrompt]) -> str:
    """Identity of prompts: other values, or the same in another order, have another."""
    digest = hashlib.sha256()
    for prompt in prompts:
        for entry in fields(prompt):
            value = getattr(prompt, entry.name)
            is_array = isinstance(value, np.ndarray)
            described = f"{value.dtype} {value.shape}" if is_array else repr(value)
            digest.update(f"{entry.name} {described} ".encode("utf-8", "surrogatepass"))
            digest.update(value.tobytes() if is_array else b"")
    return digest.hexdigest()
