"""A region of an image, encoded at full resolution, and answers in it.

    window = embed_window(predictor, image, Region(1200, 800, 1456, 1056))
    prediction = predict_in_window(predictor, window, [{"box": [1300, 900, 1330, 925]}])    # masks of the whole image

The whole image is shrunk to the model's square, and small things with it; a window is not, or less. Prompts and masks are in pixels of the
image throughout; low-res logits are those of the window, and `moved_logits` brings them into another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from sam2_adapter.annotations.masks import MaskPrediction
from sam2_adapter.annotations.prompts import BoolArray, FloatArray, Prompt, as_prompts
from sam2_adapter.annotations.regions import Region
from sam2_adapter.errors import PromptError
from sam2_adapter.images.sources import Pixels
from sam2_adapter.models.network.preprocess import MASK_LOGIT, PIXEL_MEAN, Geometry
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

# What stands beyond the image in a window that reaches over it: the mean colour, which the model sees as nothing.
_FILL = tuple(round(255 * mean) for mean in PIXEL_MEAN)

# A region of more pixels is shrunk before it is encoded: as floats it would fill the memory.
_MOST_PIXELS = 2**24


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

    @property
    def is_whole(self) -> bool:
        """Whether it shows the whole image, and nothing beside it."""
        return self.region == Region.whole(self.image_hw)

    @property
    def frame(self) -> Frame:
        """What its low-res logits are of."""
        return Frame(self.region, self.embedding.geometry)


class Frame(NamedTuple):
    """What low-res logits are of: a region, and how it lies in the model's square."""

    region: Region
    geometry: Geometry


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
    return Window(region, embed_regions(predictor, image, [region])[0], hw_of(image))


def hw_of(image: Pixels | RegionSource) -> tuple[int, int]:
    """(height, width) of an image in pixels."""
    return (image.shape[0], image.shape[1]) if isinstance(image, np.ndarray) else image.original_hw


def embed_regions(
    predictor: Predictor, image: Pixels | RegionSource, regions: Sequence[Region]
) -> list[ImageEmbedding]:
    """Cut regions and encode them in one call of the encoder; arguments and errors as in `embed_window`."""
    embedded = predictor.embed([_shrunk(image, region) for region in regions])
    sized = zip(regions, embedded, strict=True)
    return [replace(embedding, geometry=predictor.geometry_of(region.size_hw)) for region, embedding in sized]


def _shrunk(image: Pixels | RegionSource, region: Region) -> Pixels:
    """The pixels of a region; of a very large one, every few of them averaged, as the model's square would not show them apart."""
    step = math.ceil(math.sqrt(region.area / _MOST_PIXELS))
    if step == 1:
        return pixels_of(image, region)
    inside = region.within(hw_of(image))
    part = inside.cut(image) if isinstance(image, np.ndarray) else image.read(inside)
    small_hw = (max(1, inside.height // step), max(1, inside.width // step))
    small = cv2.resize(part, small_hw[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    x0, y0 = (region.x0 - inside.x0) // step, (region.y0 - inside.y0) // step
    around = Region(x0, y0, x0 + max(1, region.width // step), y0 + max(1, region.height // step))
    return around.filled_up(small[: around.y1, : around.x1], small_hw, _FILL)


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
        prompts: one entry per object; none means the box of the whole window. Earlier logits are those of this window.
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


def moved_logits(low_res_logits: FloatArray, earlier: Window | Frame, later: Window | Frame) -> FloatArray:
    """The logits of an answer in one window, resampled to where another window lies, so that the next answer refines them there.

    Args:
        low_res_logits: float32 h x w.
        earlier: the window that they were predicted in; `Window.whole` for the whole image.
        later: the window that they are wanted for.

    Returns:
        float32 h x w; what the earlier window does not show is background.
    """
    source, target = (place.frame if isinstance(place, Window) else place for place in (earlier, later))
    height, width = low_res_logits.shape
    x, y = _cells(source, target, 1, width), _cells(source, target, 0, height)
    grid = np.meshgrid(x, y)
    moved = cv2.remap(low_res_logits, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = _is_shown(y, height)[:, None] & _is_shown(x, width)[None]
    return np.where(shown, moved, np.float32(-MASK_LOGIT)).astype(np.float32)


def _moved(prompts: Sequence[Prompt | Mapping[str, Any]] | None, region: Region) -> list[Prompt]:
    moved = []
    for index, prompt in enumerate(as_prompts(prompts)):
        try:
            moved.append(region.prompt_in(prompt))
        except PromptError as error:
            raise PromptError(f"Prompt {index}: {error}") from error
    return moved


def _cells(source: Frame, target: Frame, axis: int, count: int) -> FloatArray:
    """Where the centres of a target's cells lie among the source's, along an axis."""
    of_square = (np.arange(count) + 0.5) * target.geometry.image_size / count
    of_image = of_square / _scale(target, axis) + _start(target, axis)
    cells = (of_image - _start(source, axis)) * _scale(source, axis) * count / source.geometry.image_size
    return (cells - 0.5).astype(np.float32)


def _start(frame: Frame, axis: int) -> int:
    return frame.region.x0 if axis else frame.region.y0


def _scale(frame: Frame, axis: int) -> float:
    """Pixels of the model's square for each of the image's."""
    return frame.geometry.input_hw[axis] / frame.geometry.original_hw[axis]


def _is_shown(cells: FloatArray, count: int) -> BoolArray:
    return (cells >= -0.5) & (cells <= count - 0.5)
