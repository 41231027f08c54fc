"""The pictures of the demo as inputs of the image encoder: what a model of this machine is tried with."""

from __future__ import annotations

from importlib import resources

import numpy as np
import torch
from PIL import Image

from sam2_adapter.models.network.preprocess import images_to_pixel_values

# How channels of tokens move together is taken from some; how well that serves another is seen on the last.
CALIBRATION = ("coins.png", "flower.jpg", "retina.jpg")
HELD_OUT = "astronaut.jpg"


def picture_pixel_values(name: str, image_size: int) -> torch.Tensor:
    """A picture of the demo as 1 x 3 x S x S pixel values."""
    with resources.files("sam2_adapter").joinpath("assets", "demo", name).open("rb") as file, Image.open(file) as image:
        return images_to_pixel_values([np.asarray(image.convert("RGB"))], image_size, "stretch")
