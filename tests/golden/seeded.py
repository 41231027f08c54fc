"""What both sides of the comparison make for themselves, from names and seeds: weights, images and prompts.

numpy only, so that the official package and ours may run under different versions of torch. Weights are drawn by a generator that is seeded by
the tensor's name in Meta's layout: no file needs to be shared.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

# A SAM2 model of 1.6 million parameters. What the official code fixes (two decoder layers, 8 heads, MLPs of 2048 and 256) is as it is there;
# window sizes do not divide the token grids, and one block attends globally, as in the full-size models.
SMALL_ARCHITECTURE: dict[str, Any] = {
    "name": "golden",
    "family": "sam2.1",
    "image_size": 256,
    "hiera": {
        "embed_dim": 16,
        "num_heads": 1,
        "stages": [1, 2, 3, 1],
        "global_att_blocks": [4],
        "window_pos_embed_bkg_spatial_size": [7, 7],
        "window_spec": [8, 4, 14, 7],
        "q_pool": 3,
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_heads_per_stage": [1, 2, 4, 8],
    },
    "fpn_hidden_size": 96,
    "fpn_top_down_levels": [2, 3],
    "decoder": {"mlp_dim": 2048, "num_attention_heads": 8, "attention_downsample_rate": 2, "iou_head_hidden_dim": 256},
}

# Height and width in pixels.
IMAGE_SIZES = {"square": (200, 200), "landscape": (150, 260), "portrait": (310, 130)}

PROMPT_KINDS = ("point", "points", "box", "box_points", "mask", "mask_point")


def seeded_weights(shapes: Mapping[str, tuple[int, ...]], bold: bool = False) -> dict[str, FloatArray]:
    """Values for tensors of these names (Meta's) and shapes: activations keep their size and every prompt matters.

    With `bold` the logits are as large as those of trained weights, the first mask's larger still, so that it is sometimes stable.
    """
    weights = {name: seeded_tensor(name, tuple(shape)) for name, shape in shapes.items()}
    if bold:
        for name in weights:
            if "output_hypernetworks_mlps" in name and "layers.2" in name:
                weights[name] *= np.float32(16 if "mlps.0" in name else 4)
    return weights


def seeded_tensor(name: str, shape: tuple[int, ...]) -> FloatArray:
    """float32 values that depend on the name and the shape only."""
    noise = _generator(name).standard_normal(shape)
    if "norm" in name and name.endswith("weight"):
        values = 1 + 0.1 * noise
    elif any(part in name for part in ("_token", "pos_embed", "point_embed", "_mem_embed", "mask_embed", "gaussian")):
        values = noise
    elif noise.ndim >= 2:
        values = _gain(name) * noise / math.sqrt(math.prod(shape[1:]))
    else:
        values = 0.1 * noise
    return values.astype(np.float32)


def seeded_image(name: str, hw: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """uint8 RGB H x W x 3: coarse colour patches, a few rectangles and fine noise, in whole numbers only."""
    height, width = hw
    generator = _generator(f"image {name}")
    coarse = generator.integers(0, 160, (height // 24 + 1, width // 24 + 1, 3))
    image = coarse.repeat(24, axis=0).repeat(24, axis=1)[:height, :width]
    for _ in range(6):
        top, left = generator.integers(0, height - 20), generator.integers(0, width - 20)
        image[top : top + height // 4, left : left + width // 4] = generator.integers(0, 200, 3)
    return (image + generator.integers(0, 56, image.shape)).astype(np.uint8)


def seeded_prompt(kind: str, name: str, hw: tuple[int, int], low_res_size: int) -> dict[str, Any]:
    """A prompt of one kind for an image: `points` N x 2 (x, y), `labels` N, `box` (x0, y0, x1, y1), all in pixels of the image, and
    `mask_input`, logits of low_res_size x low_res_size."""
    height, width = hw
    generator = _generator(f"{kind} {name}")
    scale = np.array([width, height])
    count = 4 if kind == "points" else 1
    points = np.round(generator.uniform(0.1, 0.9, (count, 2)) * scale, 2)
    labels = [1, 0, 1, 1][:count]
    low, high = np.round(generator.uniform(0.1, 0.4, 2) * scale, 2), np.round(generator.uniform(0.6, 0.9, 2) * scale, 2)
    box = [*low.tolist(), *high.tolist()]
    coarse = generator.standard_normal((8, 8)) * 6
    mask_input = coarse.repeat(low_res_size // 8, axis=0).repeat(low_res_size // 8, axis=1).astype(np.float32)
    parts = {
        "point": {"points": points, "labels": labels},
        "points": {"points": points, "labels": labels},
        "box": {"box": box},
        "box_points": {"box": box, "points": points, "labels": labels},
        "mask": {"mask_input": mask_input},
        "mask_point": {"points": points, "labels": labels, "mask_input": mask_input},
    }
    return parts[kind]


def checksum(weights: Mapping[str, FloatArray]) -> str:
    """SHA-256 over names and values, to tell a change of numpy's generator from a fault of the model."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weights[name]).tobytes())
    return digest.hexdigest()


def _gain(name: str) -> float:
    # Residuals add up through the trunk; unchecked they make the decoder's attention so sharp that it magnifies rounding ten thousand times,
    # and the official package would not agree with itself in double precision.
    return 0.15 if "neck" in name else 0.3 if "q_proj" in name else 1.0


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))
