"""What training programs put around a state dict: dictionaries, and prefixes of its names.

{"model": ...}, {"state_dict": ...}, {"ema": {"module": ...}}     checkpoints of trainers
module.     DataParallel, DistributedDataParallel, averaged models
_orig_mod.  torch.compile
model.      Lightning, and other classes that hold the model
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from sam2_adapter.errors import CheckpointError

# Keys under which programs keep the state dict, the most telling first; under any of them there may be another one.
_KEYS = (
    "model",
    "state_dict",
    "model_state_dict",
    "model_state",
    "ema",
    "ema_state_dict",
    "ema_model",
    "model_ema",
    "module",
    "net",
    "network",
    "params",
    "weights",
)
_DEEPEST = 3

# Parts of names that wrappers add, wherever they wrap.
_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")

# How often an averaged model was updated: no tensor of a model.
_COUNTERS = ("n_averaged",)

# The first names of a model's tensors; what stands before them is a prefix.
_ROOTS = ("image_encoder", "vision_encoder", "sam_mask_decoder", "sam_prompt_encoder", "mask_decoder", "prompt_encoder")


def find_state_dict(content: Mapping[Any, Any]) -> dict[str, torch.Tensor] | None:
    """The state dict in what a file holds, bare or under a key that programs use; `None` where there is none."""
    if _is_state_dict(content):
        return dict(content)
    return next((found for inner in _inner(content, _DEEPEST) if (found := _as_state_dict(inner))), None)


def without_prefixes(tensors: Mapping[str, torch.Tensor], source: str) -> dict[str, torch.Tensor]:
    """Give tensors the names that they have in the model itself.

    Args:
        tensors: a state dict.
        source: the file, for the error.

    Raises:
        CheckpointError: there are several models under different prefixes, or two tensors get one name.
    """
    plain: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if name in _COUNTERS:
            continue
        inner = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        if inner in plain:
            raise CheckpointError(f"{source} holds two tensors that are both {inner}: {name} and another one.")
        plain[inner] = tensor
    prefixes = {_prefix(name) for name in plain} - {None}
    if len(prefixes) > 1:
        shown = ", ".join(repr(prefix) for prefix in sorted(str(prefix) for prefix in prefixes)[:3])
        raise CheckpointError(
            f"{source} holds several models, whose tensors begin with {shown}. Save the state dict of one of them."
        )
    prefix = next(iter(prefixes), None) or ""
    return {name.removeprefix(prefix): tensor for name, tensor in plain.items()}


def _prefix(name: str) -> str | None:
    """What stands before the first name of a model's tensor; `None` for names of something else."""
    parts = name.split(".")
    first = next((index for index, part in enumerate(parts) if part in _ROOTS), None)
    return None if first is None else "".join(f"{part}." for part in parts[:first])


def _inner(content: Mapping[Any, Any], depth: int) -> Iterator[Mapping[Any, Any]]:
    for key in _KEYS if depth else ():
        if isinstance(inner := content.get(key), Mapping):
            yield inner
            yield from _inner(inner, depth - 1)


def _as_state_dict(content: Mapping[Any, Any]) -> dict[str, torch.Tensor] | None:
    return dict(content) if _is_state_dict(content) else None


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    )
