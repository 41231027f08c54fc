"""What a model is taught with: the accepted objects as a data set that training reads, and which pictures are kept to check the model.

accepted/annotations.json   COCO, of the objects as they were when teaching began
accepted/split.json         which pictures teach and which check; not there for a single picture, whose objects are shared out
accepted/images/            the pictures, as second names of the same files where the disk knows that, else as copies
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Any

from sam2_adapter import __version__
from sam2_adapter.annotations.colors import Color
from sam2_adapter.annotations.objects import AnnotatedImage
from sam2_adapter.config_views import LARGEST_WINDOW, SMALLEST_WINDOW
from sam2_adapter.errors import ExportError, TrainingError
from sam2_adapter.files import reason_of, write_json
from sam2_adapter.formats.base import WritingTarget
from sam2_adapter.formats.registry import load_format, output_formats
from sam2_adapter.formats.result_names import unique_stems
from sam2_adapter.formats.sample import Sample
from sam2_adapter.formats.splits import split_off_validation
from sam2_adapter.label.objects import Object, annotations_of
from sam2_adapter.label.picture_work import PictureWork
from sam2_adapter.label.pictures import Picture
from sam2_adapter.text import plural

FORMAT = "coco"
_IMAGES = "images"
_SPLIT = "split.json"

# With fewer objects to check the model, what is measured says little.
_FEW = 10


@dataclass(frozen=True)
class Split:
    """Which objects teach, and which check the model.

    Attributes:
        training: pictures to learn from.
        validation: pictures that are kept to check the model; of a single picture other objects.
        view_px: longer side, in pixels, of the part of a picture that most objects were answered in; `None` where most were answered on the
            whole picture.
    """

    training: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    view_px: int | None = None

    @property
    def is_by_picture(self) -> bool:
        """Whether no picture is on both sides."""
        return not {sample.name for sample in self.training} & {sample.name for sample in self.validation}

    @property
    def names(self) -> dict[str, list[str]]:
        """The names of the pictures on each side, as `split.json` has them."""
        sides = (("train", self.training), ("validation", self.validation))
        return {side: [sample.name for sample in samples] for side, samples in sides}

    @property
    def sentence(self) -> str:
        """What teaches and what checks, in words."""
        taught = f"The model learns from {_objects(self.training)} in {plural(len(self.training), 'picture')}; "
        kept = _objects(self.validation)
        if not self.is_by_picture:
            told = f"{taught}{kept} of the same picture {_are(_count(self.validation))} kept to check it."
        else:
            count = len(self.validation)
            told = f"{taught}{plural(count, 'picture')} with {kept} {_are(count)} kept to check it."
        if self.view_px is None:
            return told
        return (
            f"{told} It sees parts of the pictures of {self.view_px} pixels, since most objects were answered in the visible window, and is for "
            "answers in such windows."
        )

    @property
    def warning(self) -> str:
        """A sentence where the check will say little; else empty."""
        if not self.is_by_picture:
            return "All objects are in one picture: how the model does on other pictures cannot be told. Label more pictures."
        count = _count(self.validation)
        if count < _FEW:
            return f"{plural(count, 'object')} to check the model with {_are(count)} few: small differences say little. The more you accept, the better."
        return ""

    def shown(self) -> dict[str, Any]:
        """The split for the page."""
        return {
            "train": {"images": len(self.training), "objects": _count(self.training)},
            "validation": {"images": len(self.validation), "objects": _count(self.validation)},
            "view": self.view_px,
            "sentence": self.sentence,
            "warning": self.warning,
        }


class Accepted:
    """The accepted objects of a session as samples, and the pictures that they lie in."""

    def __init__(
        self,
        work: Mapping[str, PictureWork],
        pictures: Sequence[Picture],
        min_area_px: int,
        *,
        follows_views: bool = True,
        labels: Mapping[str, Color | None] | None = None,
    ) -> None:
        """Take the objects as they are now.

        Args:
            work: name of the picture to what was labelled in it.
            pictures: of the session; objects of others, and of files that are gone, have no pixels to learn from.
            min_area_px: smaller objects are left out, as training does.
            follows_views: the views that objects were answered in say what the model sees; else it sees whole pictures, or what is set.
            labels: as in `WritingTarget`: all of the session, in their order.
        """
        stems = unique_stems([picture.name for picture in pictures])
        self._labels = labels or {}
        self._annotated: dict[str, AnnotatedImage] = {}
        self._paths: dict[str, Path] = {}
        self.samples: list[Sample] = []
        views: list[int | None] = []
        for picture in pictures:
            done = work.get(picture.name)
            objects = annotations_of(list(done.objects.values()), done.original_hw) if done else []
            objects = [annotation for annotation in objects if annotation.rle.area >= min_area_px]
            if done is None or not objects or not picture.path.is_file():
                continue
            name = f"{_IMAGES}/{stems[picture.name]}{PurePosixPath(picture.name).suffix}"
            self.samples.append(Sample(name, picture.path, done.original_hw, tuple(objects)))
            self._annotated[name] = AnnotatedImage(name, done.original_hw, tuple(objects))
            self._paths[name] = picture.path
            views += [_view_px(item) for item in done.objects.values() if item.get("steps")]
        self.view_px = _typical(views) if follows_views else None

    def split(self, share: float, seed: int, earlier: Mapping[str, Collection[str]] | None = None) -> Split:
        """Choose the pictures that are kept to check the model.

        Args:
            share: of the pictures, above 0 and below 1.
            seed: of the choice.
            earlier: `names` of the split that the model was taught with which is to learn more: what it has learned from cannot check it.

        Raises:
            TrainingError: there are too few objects; the text says what to do.
        """
        count = _count(self.samples)
        if count < 2:
            told = "Nothing is accepted yet" if not count else "One accepted object is too few"
            raise TrainingError(
                f"{told}: the model needs objects to learn from, and others to check it with. 40 objects in 10 pictures are a good start."
            )
        if earlier is None:
            training, validation, _ = split_off_validation(self.samples, share, seed)
            return Split(tuple(training), tuple(validation), self.view_px)
        return self._split_as_before(share, seed, earlier)

    def _split_as_before(self, share: float, seed: int, earlier: Mapping[str, Collection[str]]) -> Split:
        has_taught, has_checked = set(earlier["train"]), set(earlier["validation"])
        training = [sample for sample in self.samples if sample.name in has_taught]
        validation = [sample for sample in self.samples if sample.name in has_checked - has_taught]
        new = [sample for sample in self.samples if sample.name not in has_taught | has_checked]
        if len(new) > 1:
            more, kept, _ = split_off_validation(new, share, seed)
            training, validation = training + more, validation + kept
        elif new:
            (training if validation else validation).extend(new)
        if not training or not validation:
            raise TrainingError(
                "The model in use has learned from every picture that has objects, so that none can check it. Label another picture, or "
                "start from the first model."
            )
        training.sort(key=lambda sample: sample.name)
        validation.sort(key=lambda sample: sample.name)
        return Split(tuple(training), tuple(validation), self.view_px)

    def write(self, directory: Path, split: Split) -> None:
        """Write the data set.

        Args:
            directory: a folder that is not there yet.
            split: of these objects.

        Raises:
            ExportError: it cannot be written.
        """
        entry = output_formats()[FORMAT]
        open_writer = load_format(entry).open_writer
        assert open_writer is not None  # the table says that it is written
        try:
            directory.mkdir(parents=True)
            for name, path in self._paths.items():
                _put_picture(path, directory / name)
        except OSError as error:
            raise ExportError(f"{directory}: cannot write here: {reason_of(error)}. Make room on the disk.") from error
        made_by = {"tool": f"sam2-adapter {__version__}"}
        target = WritingTarget(directory / entry.results, lambda _: None, "accepted", made_by, labels=self._labels)
        writer = open_writer(target)
        for name, image in self._annotated.items():
            writer.add(image, name)
        writer.close()
        if split.is_by_picture:
            write_json(directory / _SPLIT, split.names)


def _view_px(item: Object) -> int | None:
    """Longer side of the view that an accepted object was last answered in; `None` for the whole picture."""
    view = item["steps"][-1].get("view")
    if not isinstance(view, list) or len(view) != 4 or not all(type(side) is int for side in view):
        return None
    return int(max(view[2] - view[0], view[3] - view[1]))


def _typical(views: Sequence[int | None]) -> int | None:
    """The middle one of the views where more than half of the answers were given in one."""
    sides = [side for side in views if side is not None]
    if 2 * len(sides) <= len(views):
        return None
    return min(max(round(median(sides)), SMALLEST_WINDOW), LARGEST_WINDOW)


def _put_picture(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = path.resolve()
    with suppress(OSError, NotImplementedError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _count(samples: Sequence[Sample]) -> int:
    return sum(len(sample.objects) for sample in samples)


def _objects(samples: Sequence[Sample]) -> str:
    return plural(_count(samples), "object")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
