"""What the tests of the engine compute with."""

from __future__ import annotations

import torch

from tests.small_model import IMAGE_SIZE


def pixel_values(count, image_size=IMAGE_SIZE):
    return torch.randn(count, 3, image_size, image_size, generator=torch.Generator().manual_seed(7))
