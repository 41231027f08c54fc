"""A region of an image, encoded at full resolution, and answers in it.

    window = embed_window(predictor, image, Region(1200, 800, 1456, 1056))
    prediction = predict_in_window(predictor, window, [{"box": [1300, 900, 1330, 925]}])    # masks of the whole image

The whole image is shrunk to the model's square, and small things with it; a window is not, or less. Prompts and masks are in pixels of the
image throughout; low-res logits are those of the window, and `moved_logits` brings them into another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import cv2
import numpy as np

from sam2_adapter.annotations.masks import MaskPrediction
from sam2_adapter.annotations.prompts import FloatArray, Prompt, as_prompts
from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import PromptError
from sam2_adapter.images.sources import Pixels
from sam2_adapter.models.network.preprocess import MASK_LOGIT, PIXEL_MEAN
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

# What stands beyond the image in a window that reaches over it: the mean colour, which the model sees as nothing.
_FILL = tuple(round(255 * mean) for mean in PIXEL_MEAN)


class RegionSource(Protocol):
    """An image of which parts are read, such as a file that is larger than the memory."""

    @property
    def original_hw(self) -> tuple[int, int]:
        """(height, width) of the upright image in pixels."""

    def read(self, region: Region) -> Pixels:
        """The pixels of a region that lies inside the image, uint8 RGB height x width x 3."""


@dataclass(frozen=True, eq=False)
class Window:
    """A region of an image, encoded; a value, as an embedding is.

    Attributes:
        region: where it lies in the image.
        embedding: of the region's pixels.
        image_hw: (height, width) of the whole image in pixels.
    """

    region: Region
    embedding: ImageEmbedding
    image_hw: tuple[int, int]

    @classmethod
    def whole(cls, embedding: ImageEmbedding) -> Window:
        """The window that is the whole image."""
        return cls(Region.whole(embedding.original_hw), embedding, embedding.original_hw)


def pixels_of(image: Pixels | RegionSource, region: Region) -> Pixels:
    """The pixels of a region, uint8 RGB height x width x 3; the mean colour where it reaches beyond the image.

    Raises:
        PromptError: the region lies outside the image.
    """
    if isinstance(image, np.ndarray):
        return region.cut(image, _FILL)
    return region.filled_up(image.read(region.within(image.original_hw)), image.original_hw, _FILL)


def embed_window(predictor: Predictor, image: Pixels | RegionSource, region: Region) -> Window:
    """Cut a region at full resolution and encode it.

    Args:
        predictor: the model.
        image: uint8 RGB H x W x 3 in 0..255, or something that reads parts of one.
        region: where; may reach beyond the image.

    Raises:
        PromptError: the region lies outside the image.
        ImageError: the region cannot be read.
    """
    image_hw = (image.shape[0], image.shape[1]) if isinstance(image, np.ndarray) else image.original_hw
    return Window(region, predictor.embed(pixels_of(image, region)), image_hw)


def predict_window_parts(
    predictor: Predictor,
    window: Window,
    prompts: Sequence[Prompt | Mapping[str, Any]] | None = None,
    multimask_output: bool | None = None,
) -> Iterator[tuple[list[int], MaskPrediction]]:
    """As `Predictor.predict_parts`, with prompts in pixels of the image and masks of the window only.

    Args:
        predictor: the model.
        window: where to look.
        prompts: one entry an object; none means the box of the whole window. Earlier logits are those of this window.
        multimask_output: as in `Predictor.predict`.

    Yields:
        Positions in `prompts` and the prediction for them; its masks are bool O x M x height x width of `window.region`.

    Raises:
        PromptError: a prompt is malformed, or nothing of it lies in the window.
    """
    yield from predictor.predict_parts(window.embedding, _moved(prompts, window.region), multimask_output)


def predict_in_window(
    predictor: Predictor,
    window: Window,
    prompts: Sequence[Prompt | Mapping[str, Any]] | None = None,
    multimask_output: bool | None = None,
) -> MaskPrediction:
    """As `Predictor.predict`, of what a window shows.

    Args:
        predictor: the model.
        window: where to look.
        prompts: as in `predict_window_parts`.
        multimask_output: as in `Predictor.predict`.

    Returns:
        Masks of the whole image, bool O x M x H x W, with nothing set outside the window; scores; and logits of the window.
        `Region.cuts_off` says which masks reach its edge.

    Raises:
        PromptError: a prompt is malformed, or nothing of it lies in the window.
    """
    found = predictor.predict(window.embedding, _moved(prompts, window.region), multimask_output)
    return replace(found, masks=window.region.paste(found.masks, window.image_hw))


def moved_logits(low_res_logits: FloatArray, earlier: Window, later: Window) -> FloatArray:
    """The logits of an answer in one window, resampled to where another window lies, so that the next answer refines them there.

    Args:
        low_res_logits: float32 h x w.
        earlier: the window that they were predicted in; `Window.whole` for the whole image.
        later: the window that they are wanted for.

    Returns:
        float32 h x w; what the earlier window does not show is background.
    """
    maps = []
    for axis in (1, 0):
        cells = low_res_logits.shape[axis]
        size, start = later.embedding.geometry.image_size, (later.region.y0, later.region.x0)[axis]
        of_image = (np.arange(cells) + 0.5) * size / cells / _scale(later, axis) + start
        of_square = (of_image - (earlier.region.y0, earlier.region.x0)[axis]) * _scale(earlier, axis)
        maps.append(of_square * low_res_logits.shape[axis] / earlier.embedding.geometry.image_size - 0.5)
    x, y = np.meshgrid(*(values.astype(np.float32) for values in maps))
    moved = cv2.remap(low_res_logits, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = _shown(maps[1], low_res_logits.shape[0])[:, None] & _shown(maps[0], low_res_logits.shape[1])[None]
    return np.where(shown, moved, np.float32(-MASK_LOGIT)).astype(np.float32)


def _moved(prompts: Sequence[Prompt | Mapping[str, Any]] | None, region: Region) -> list[Prompt]:
    moved = []
    for index, prompt in enumerate(as_prompts(prompts)):
        try:
            moved.append(region.prompt_in(prompt))
        except PromptError as error:
            raise PromptError(f"Prompt {index}: {error}") from error
    return moved


def _scale(window: Window, axis: int) -> float:
    """Pixels of the model's square for each of the image's."""
    geometry = window.embedding.geometry
    return geometry.input_hw[axis] / geometry.original_hw[axis]


def _shown(cells: FloatArray, count: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    found: np.ndarray[Any, np.dtype[np.bool_]] = (cells >= -0.5) & (cells <= count - 0.5)
    return found
