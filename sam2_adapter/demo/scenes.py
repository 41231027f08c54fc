"""What the demo shows: bundled photographs and the prompts on them."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.prompts import Prompt, as_prompts
from sam2_adapter.images.read import read_image


@dataclass(frozen=True)
class Scene:
    """One photograph and its prompts.

    Attributes:
        photo: file name of the bundled photograph.
        mode: name of the prediction mode.
        title: heading.
        text: a sentence or two on what is shown.
        credit: who made the photograph.
        entries: the prompts in the form of a prompts file.
    """

    photo: str
    mode: str
    title: str
    text: str
    credit: str
    entries: tuple[dict[str, Any], ...] = ()

    @cached_property
    def prompts(self) -> list[Prompt]:
        """The prompts, checked."""
        return as_prompts(self.entries)

    @property
    def prompts_name(self) -> str:
        """File name for the prompts as a prompts file."""
        return f"{Path(self.photo).stem}.prompts.json"

    def command(self, folder: str) -> str:
        """The command that does the same, for photographs and their prompts files in `folder`."""
        words = ["sam2-adapter", "predict", f"{folder}/{self.photo}", "--model", "sam2_nano"]
        simple = [_as_option(entry) for entry in self.entries]
        if all(simple):
            words += [word for option in simple for word in option]
        else:
            words += ["--prompts", f"{folder}/{self.prompts_name}"]
        return shlex.join(words)


@dataclass(frozen=True)
class Refinement:
    """One object that is corrected click by click.

    Attributes:
        photo: file name of the bundled photograph.
        title: heading.
        text: a sentence or two on what is shown.
        credit: who made the photograph.
        clicks: (x, y, label) each, label 1 foreground and 0 background.
    """

    photo: str
    title: str
    text: str
    credit: str
    clicks: tuple[tuple[float, float, int], ...]


def load_scenes() -> tuple[list[Scene], Refinement]:
    """The scenes that ship with the package."""
    document = json.loads(_asset("scenes.json").decode("utf-8"))
    scenes = [
        Scene(**{key: value for key, value in scene.items() if key != "prompts"}, entries=tuple(scene["prompts"]))
        for scene in document["scenes"]
    ]
    refinement = document["refinement"]
    clicks = tuple((float(x), float(y), int(label)) for x, y, label in refinement["clicks"])
    return scenes, Refinement(**{**refinement, "clicks": clicks})


def read_photo(name: str) -> npt.NDArray[np.uint8]:
    """A bundled photograph, uint8 RGB H x W x 3."""
    return read_image(photo_bytes(name), name=name)


def photo_bytes(name: str) -> bytes:
    """The file of a bundled photograph."""
    return _asset(name)


def _asset(name: str) -> bytes:
    return resources.files("sam2_adapter").joinpath("assets", "demo", name).read_bytes()


def _as_option(entry: dict[str, Any]) -> list[str]:
    """A prompt as an option of the command line; empty where there is none for it."""
    if set(entry) == {"box"}:
        return ["--box", ",".join(map(str, entry["box"]))]
    if set(entry) == {"points"} and len(entry["points"]) == 1:
        return ["--point", ",".join(map(str, entry["points"][0]))]
    return []
