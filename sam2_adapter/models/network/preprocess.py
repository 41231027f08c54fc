"""Images into the model's square, and coordinates and masks there and back.

The numbers equal those of SAM2's own transforms: antialiased bilinear resize and ImageNet normalisation
(https://github.com/facebookresearch/sam2, `sam2/utils/transforms.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from sam2_adapter.config_views import LARGEST_WINDOW, SMALLEST_WINDOW
from sam2_adapter.errors import ConfigError
from sam2_adapter.models.network.upsampling import mask_bounds, side_of, upsampled, upsampled_masks

Resize = Literal["stretch", "pad"]

# Channel means and deviations of ImageNet for RGB in 0..1, used by SAM2.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

MOST_SIZES = 12.0
"""Side of the largest window of an object, in its sizes: what is smaller in it has too few cells of the mask."""

# Pixels of masks that are upsampled together on a GPU: 256 MiB of logits.
_DEVICE_PIXELS = 2**26

# SAM2 turns a given mask into logits of +-10 (`out_scale`, `out_bias` of `SAM2Base._use_mask_as_output`).
MASK_LOGIT = 10.0


@dataclass(frozen=True)
class ModelWindow:
    """The scale that a model was tuned at, in windows of images; checked when built.

    Attributes:
        object_sizes: side of a window in sizes of the object (its longer side), for boxes and masks.
        pixels: side of a window in pixels, for clicks.
    """

    object_sizes: float
    pixels: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.object_sizes <= MOST_SIZES or not SMALLEST_WINDOW <= self.pixels <= LARGEST_WINDOW:
            raise ConfigError(
                f"A model's windows have 1 to {MOST_SIZES:g} object sizes and {SMALLEST_WINDOW} to {LARGEST_WINDOW} pixels, but got "
                f"{self.object_sizes:g} and {self.pixels}."
            )


@dataclass(frozen=True)
class Geometry:
    """How one image lies in the model's square.

    Attributes:
        original_hw: (height, width) of the image in pixels.
        image_size: side of the model's square in pixels.
        resize: `stretch` fills the square; `pad` keeps the aspect ratio, top left, and pads the rest.
    """

    original_hw: tuple[int, int]
    image_size: int
    resize: Resize = "stretch"

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) in pixels that the image takes up in the square."""
        if self.resize == "stretch":
            return self.image_size, self.image_size
        height, width = self.original_hw
        scale = self.image_size / max(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def points_to_input(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Scale ... x 2 (x, y) pixels of the original image to pixels of the square, float32."""
        (height, width), (input_height, input_width) = self.original_hw, self.input_hw
        return (np.asarray(points, np.float64) * (input_width / width, input_height / height)).astype(np.float32)

    def samples_of(self, pixels: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What pixels of a mask are made of where logits are upsampled twice, to the square and from there to the image, as with `pad`.

        Args:
            pixels: ... x 2 (x, y), columns and rows of the original image.

        Returns:
            Four places each, float32 ... x 4 x 2 pixels of the square, and how much the value there counts, float32 ... x 4.
        """
        (height, width), (input_height, input_width) = self.original_hw, self.input_hw
        across, down = side_of(width, input_width), side_of(height, input_height)
        x, y = pixels[..., 0], pixels[..., 1]
        places, weights = [], []
        for rows, down_weight in ((down.lower, 1 - down.weight), (down.upper, down.weight)):
            for columns, across_weight in ((across.lower, 1 - across.weight), (across.upper, across.weight)):
                places.append(np.stack([columns[x], rows[y]], axis=-1) + 0.5)
                weights.append(across_weight[x] * down_weight[y])
        return np.stack(places, axis=-2).astype(np.float32), np.stack(weights, axis=-1)

    def mask_to_logits(self, mask: npt.NDArray[np.bool_], low_res_hw: tuple[int, int]) -> torch.Tensor:
        """Bring a bool mask H x W of the original image to mask-input logits, float32 h x w."""
        values = torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, None]
        placed = _place(values, self.input_hw, self.image_size)
        small = F.interpolate(placed, size=low_res_hw, mode="bilinear", align_corners=False, antialias=True)
        return (small * 2 - 1)[0, 0] * MASK_LOGIT

    def logits_to_masks(self, low_res_logits: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Where low-res logits N x h x w, upsampled bilinearly to the original image, are above 0; bool N x H x W.

        `device_logits_to_masks` does the same on the device where logits are.
        """
        if self.resize == "pad":
            low_res_logits = np.stack([self._without_padding(logits) for logits in low_res_logits])
        return upsampled_masks(low_res_logits, self.original_hw)

    def logits_to_bounds(self, low_res_logits: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The same mask as `logits_to_masks`, of logits h x w, without its pixels: what `annotations.rle.bounds_to_rle` takes."""
        if self.resize == "pad":
            low_res_logits = self._without_padding(low_res_logits)
        return mask_bounds(low_res_logits, self.original_hw)

    def device_logits_to_masks(self, low_res_logits: torch.Tensor) -> npt.NDArray[np.bool_]:
        """As `logits_to_masks`, upsampled where the logits are: only finished masks leave a GPU."""
        height, width = self.original_hw
        masks = torch.empty(len(low_res_logits), height, width, dtype=torch.bool)
        at_once = max(1, _DEVICE_PIXELS // max(height * width, self.image_size**2))
        input_height, input_width = self.input_hw
        for start in range(0, len(masks), at_once):
            placed = low_res_logits[start : start + at_once, None]
            if self.resize == "pad":
                placed = _resampled(placed, (self.image_size, self.image_size))[..., :input_height, :input_width]
            masks[start : start + at_once] = _resampled(placed, self.original_hw)[:, 0] > 0
        return masks.numpy()

    def _without_padding(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        input_height, input_width = self.input_hw
        return upsampled(logits, (self.image_size, self.image_size))[:input_height, :input_width]


def images_to_pixel_values(
    images: Sequence[npt.NDArray[np.uint8]], image_size: int, resize: Resize = "stretch", device: str = "cpu"
) -> torch.Tensor:
    """Bring images to the encoder's input.

    Args:
        images: uint8 RGB H x W x 3 in 0..255, sizes may differ.
        image_size: side of the model's square in pixels.
        resize: see `Geometry`.
        device: where to compute; on a GPU the pixels go there as bytes.

    Returns:
        float32 B x 3 x image_size x image_size, normalised; padding is 0, the mean colour.
    """
    return torch.stack([_image_to_pixel_values(image, image_size, resize, device) for image in images])


def _image_to_pixel_values(image: npt.NDArray[np.uint8], image_size: int, resize: Resize, device: str) -> torch.Tensor:
    geometry = Geometry((image.shape[0], image.shape[1]), image_size, resize)
    pixels = torch.from_numpy(np.require(image, requirements=["C", "W"]))
    if device.startswith("cuda"):
        pixels = pixels.pin_memory().to(device, non_blocking=True)
    values = pixels.permute(2, 0, 1)[None].float() / 255
    mean = torch.tensor(PIXEL_MEAN, device=values.device).view(3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=values.device).view(3, 1, 1)
    resized = F.interpolate(values, size=geometry.input_hw, mode="bilinear", align_corners=False, antialias=True)
    return _pad_to_square((resized - mean) / std, image_size)[0]


def _resampled(logits: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(logits, size_hw, mode="bilinear", align_corners=False)


def _place(values: torch.Tensor, input_hw: tuple[int, int], image_size: int) -> torch.Tensor:
    resized = F.interpolate(values, size=input_hw, mode="bilinear", align_corners=False, antialias=True)
    return _pad_to_square(resized, image_size)


def _pad_to_square(values: torch.Tensor, image_size: int) -> torch.Tensor:
    height, width = values.shape[-2:]
    return F.pad(values, (0, image_size - width, 0, image_size - height))
