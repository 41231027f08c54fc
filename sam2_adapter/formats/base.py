"""What a format is: how it is recognised, read and written. Each format makes one `Format`; `registry` lists them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sam2_adapter.annotations.colors import Color
from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.annotations.prompts import Prompt, RefusedPrompt
from sam2_adapter.files import write_file
from sam2_adapter.formats.dataset_reader import ReadingOptions, Samples
from sam2_adapter.formats.left_out import LeftOut

OutputType = Literal["mask", "polygon"]

# Image name, as a file writes it, to its prompts in order, those that cannot be used among them.
ListedPrompts = dict[str, list[Prompt | RefusedPrompt]]


@dataclass(frozen=True)
class WritingTarget:
    """Where a writer writes, and what its files say.

    Attributes:
        path: the file or folder of this format in the output folder.
        claim: to be called with the path of every file before it is written, so that the file is known as ours.
        model_name: what made the masks.
        made_by: further facts about that, plain JSON types.
        output_type: what objects become where the format holds masks and polygons.
        wrote: to be called with the path of a file of an image that is written once more, so that nobody's edits are seen in it.
        labels: what a list of classes begins with, in this order, whether objects have them or not, each with its colour where it has one;
            other labels follow as they are first used.
    """

    path: Path
    claim: Callable[[Path], None]
    model_name: str
    made_by: Mapping[str, Any]
    output_type: OutputType = "mask"
    wrote: Callable[[Path], None] = lambda _: None
    labels: Mapping[str, Color | None] = field(default_factory=dict)

    def claimed(self, below: str) -> Path:
        """The path of a file below `path`, claimed."""
        path = self.path / below
        self.claim(path)
        return path

    def renew(self, below: str, content: bytes) -> None:
        """Write a file of an image of an earlier run again where it changed."""
        path = self.path / below
        if not path.is_file() or path.read_bytes() != content:
            self.claim(path)
            write_file(path, lambda file: file.write(content))
            self.wrote(path)


@dataclass(frozen=True)
class Written:
    """What was written for one image.

    Attributes:
        files: those that belong to this image alone.
        notes: what the format could not hold, one sentence each.
    """

    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


class Writer(ABC):
    """Writes images one by one; the base of the writers, for formats with files of their own for each image."""

    @abstractmethod
    def add(self, image: AnnotatedImage, stem: str) -> Written:
        """Write one image; its files are called after `stem`, a path with forward slashes.

        Raises:
            ExportError: a file cannot be written, or the format cannot hold the image.
        """

    def add_done(self, image: AnnotatedImage, stem: str) -> Written:
        """Take over an image whose own files are there already."""
        return Written()

    def close(self) -> tuple[Path, ...]:
        """Complete the files that hold all images; returns their paths."""
        return ()


@dataclass(frozen=True)
class Format:
    """A format; what it cannot do is `None`.

    Attributes:
        recognise: whether a path is a data set of this format.
        read_dataset: all samples of a data set by split; what is not kept is counted.
        read_labels: the labels that a path which `recognise` knows lists, in the order of their numbers, used or not.
        read_prompts: the boxes and points of a file or folder that `recognise` knows, as prompts, for these images.
        open_writer: starts to write results.
    """

    recognise: Callable[[Path], bool] | None = None
    read_dataset: Callable[[Path, ReadingOptions, LeftOut], Samples] | None = None
    read_labels: Callable[[Path], Sequence[str]] | None = None
    read_prompts: Callable[[Path, Sequence[Path]], ListedPrompts] | None = None
    open_writer: Callable[[WritingTarget], Writer] | None = None
