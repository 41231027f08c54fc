"""Write seeded weights of an official configuration in Meta's layout; runs where the `sam2` package is installed.

python seeded_weights.py CONFIG_NAME TARGET.pt
"""

from __future__ import annotations

import sys
import zlib

import torch
from sam2.build_sam import build_sam2


def main() -> None:
    """Fill each tensor from a generator seeded by its name: matrices by 1 / sqrt(fan-in), norms around 1, the rest around 0."""
    config_name, target = sys.argv[1:]
    state = build_sam2(f"configs/sam2/{config_name}.yaml", None, device="cpu").state_dict()
    for name, tensor in state.items():
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim >= 2:
            tensor.copy_(noise / tensor[0].numel() ** 0.5)
        else:
            tensor.copy_(0.02 * noise + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
    torch.save({"model": state}, target)


if __name__ == "__main__":
    main()
