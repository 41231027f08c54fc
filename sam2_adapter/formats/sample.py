"""`Sample`, one image with its objects, as readers make it and training and evaluation use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.annotations.rle import Rle, rle_iou, rle_to_mask
from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.images.read import MAX_PIXELS, read_image


@dataclass(frozen=True)
class Sample:
    """One image and its objects. Masks are held run-length encoded and the image is read on demand, so that thousands fit in memory.

    Attributes:
        name: path of the image below the image folder, with forward slashes; unique within a split.
        image_path: the image file, or the file that the image is embedded in.
        original_hw: (height, width) of the upright image in pixels.
        objects: the ground truth, at least one object.
        ignored: the pixels that nobody has decided about, such as a void border; they count neither in training nor in measures. No
            object covers any of them. `None` where every pixel counts.
        content: reads the image file's content where it is embedded in another file; `None` where `image_path` is the image.
    """

    name: str
    image_path: Path
    original_hw: tuple[int, int]
    objects: tuple[Annotation, ...]
    ignored: Rle | None = None
    content: Callable[[], bytes] | None = None

    def __post_init__(self) -> None:
        """Check that there are objects, that all masks have the image's size, and that no object covers ignored pixels."""
        if not self.objects:
            raise DataError(f"{self.name}: a sample needs at least one object.")
        for index, annotation in enumerate(self.objects):
            if annotation.original_hw != self.original_hw:
                raise DataError(
                    f"{self.name}: the mask of object {index} has (height, width) {annotation.original_hw}, "
                    f"but the image has {self.original_hw}."
                )
        self._check_ignored()

    def _check_ignored(self) -> None:
        if self.ignored is None:
            return
        if self.ignored.original_hw != self.original_hw:
            raise DataError(
                f"{self.name}: the ignored region has (height, width) {self.ignored.original_hw}, but the image has {self.original_hw}."
            )
        for index, annotation in enumerate(self.objects):
            if rle_iou(annotation.rle, self.ignored):
                raise DataError(
                    f"{self.name}: the mask of object {index} covers pixels of the ignored region; take them out of one of the two."
                )

    def read_image(self, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
        """Read the image: uint8 RGB H x W x 3 in 0..255, upright.

        Raises:
            DataError: the file that it is embedded in is no longer what it was.
            ImageError: the file is missing, broken, too large, or no longer of the size that it had when the data set was read.
        """
        source = self.image_path if self.content is None else self.content()
        image = read_image(source, max_pixels=max_pixels, name=self.name)
        if image.shape[:2] != self.original_hw:
            raise ImageError(
                f"{self.name}: the image has (height, width) {image.shape[:2]}, but had {self.original_hw} when the data set was read."
            )
        return image

    @property
    def gt_masks(self) -> BoolArray:
        """Bool O x H x W, decoded again at each call; for large images take the objects one at a time instead."""
        return np.stack([annotation.mask for annotation in self.objects])

    @property
    def ignored_mask(self) -> BoolArray | None:
        """Bool H x W, the pixels that do not count, decoded again at each call; `None` where every pixel counts."""
        return None if self.ignored is None else rle_to_mask(self.ignored)

    def counted(self, mask: BoolArray) -> BoolArray:
        """The part of a mask bool H x W that counts: without the ignored pixels; the mask itself where every pixel counts."""
        ignored = self.ignored_mask
        return mask if ignored is None else mask & ~ignored
