"""Names of tensors: Meta's layout and transformers', both ways.

Meta's files name the tensors of `SAM2Base`, transformers' those of `Sam2Model` or `Sam2VideoModel`, and likewise for other families. The two
hold the same numbers; besides names they differ in two places: Meta keeps the four point embeddings apart, and transformers keeps a copy of
the positional matrix. The names were checked against sam2 1.1.0 and transformers 5.23.0.

In the tables of names {i}, {j} stand for a number, {qkv} for q, k or v, and {attn}, {mem_attn} for an attention of a layer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache

import torch

from sam2_adapter.models.families.architectures import families
from sam2_adapter.models.families.base import Layout
from sam2_adapter.models.families.shared import (
    NUM_POINT_EMBEDDINGS,
    POINT_EMBED,
    POSITIONS,
    POSITIONS_COPY,
    SHARED_NAMES,
)

Tensors = dict[str, torch.Tensor]

_META_POINT_EMBEDS = tuple(f"sam_prompt_encoder.point_embeddings.{i}.weight" for i in range(NUM_POINT_EMBEDDINGS))

_IMAGE_MODEL_PREFIXES = (
    "vision_encoder.",
    "prompt_encoder.",
    "mask_decoder.",
    "no_memory_embedding",
    "shared_image_embedding.",
)

# The names of several models; a file may have any number of names of its own.
_MOST_NAMES = 10_000

_PLACEHOLDERS = {
    "i": r"\d+",
    "j": r"\d",
    "qkv": r"[qkv]",
    "attn": r"self_attn|cross_attn_token_to_image|cross_attn_image_to_token",
    "mem_attn": r"self_attn|cross_attn_image",
}


def name_to_transformers(meta_name: str) -> str | None:
    """Transformers' name of one of Meta's tensors, or `None` where Meta's model has no such tensor.

    >>> name_to_transformers("image_encoder.trunk.blocks.3.norm1.weight")
    'vision_encoder.backbone.blocks.3.layer_norm1.weight'
    """
    return _renaming(_tables(), to_meta=False)(meta_name)


def name_to_meta(transformers_name: str) -> str | None:
    """Meta's name of one of transformers' tensors, or `None` where transformers' model has no such tensor."""
    return _renaming(_tables(), to_meta=True)(transformers_name)


def tensors_to_transformers(meta_tensors: Mapping[str, torch.Tensor]) -> tuple[Tensors, list[str]]:
    """Bring Meta's tensors to transformers' layout.

    Args:
        meta_tensors: image model, video memory or both, under Meta's names.

    Returns:
        The tensors under transformers' names, sharing memory where possible, and the names that are not Meta's.
    """
    unknown: list[str] = []
    tensors: Tensors = {}
    for name, tensor in meta_tensors.items():
        if name in _META_POINT_EMBEDS:
            continue
        renamed = name_to_transformers(name)
        if renamed is None:
            unknown.append(name)
        else:
            tensors[renamed] = tensor
    point_embeds = [meta_tensors[name] for name in _META_POINT_EMBEDS if name in meta_tensors]
    if len(point_embeds) == NUM_POINT_EMBEDDINGS:
        tensors[POINT_EMBED] = torch.cat(point_embeds)
    return with_positions_copy(tensors), unknown


def tensors_to_meta(tensors: Mapping[str, torch.Tensor]) -> tuple[Tensors, list[str]]:
    """Bring transformers' tensors to Meta's layout; the exact inverse of `tensors_to_transformers`.

    Returns:
        The tensors under Meta's names and the names that are not transformers'.
    """
    unknown: list[str] = []
    meta_tensors: Tensors = {}
    for name, tensor in tensors.items():
        if name == POSITIONS_COPY:
            continue
        if name == POINT_EMBED:
            meta_tensors.update(zip(_META_POINT_EMBEDS, torch.split(tensor, 1), strict=True))
            continue
        renamed = name_to_meta(name)
        if renamed is None:
            unknown.append(name)
        else:
            meta_tensors[renamed] = tensor
    return meta_tensors, unknown


def with_positions_copy(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Add the one of the two equal positional matrices that is missing, if one is: older transformers files keep only one."""
    completed = dict(tensors)
    for name, other in ((POSITIONS, POSITIONS_COPY), (POSITIONS_COPY, POSITIONS)):
        if name not in completed and other in completed:
            completed[name] = completed[other]
    return completed


def layout_of(names: Iterable[str]) -> Layout | None:
    """Tell by its names which layout a state dict has, or `None` if it is no SAM2 model's."""
    known = list(names)
    if any(name.startswith(("image_encoder.", "sam_mask_decoder.")) for name in known):
        return "meta"
    if any(name.startswith(("vision_encoder.", "mask_decoder.")) for name in known):
        return "transformers"
    return None


def is_video_tensor(transformers_name: str) -> bool:
    """Whether a tensor of transformers' layout belongs to the video memory and not to the image model."""
    return not transformers_name.startswith(_IMAGE_MODEL_PREFIXES)


def _rename(name: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str | None:
    for pattern, template in rules:
        if found := pattern.fullmatch(name):
            parts = found.groupdict()
            return template.format(**parts) + (parts["tail"] or "")
    return None


def _tables() -> tuple[tuple[str, str], ...]:
    """The names of all families; one that is registered later is there at once."""
    own = (pair for family in families() for pair in (*family.vision_names, *family.video_names))
    return (*SHARED_NAMES, *own)


@cache
def _renaming(tables: tuple[tuple[str, str], ...], to_meta: bool) -> Callable[[str], str | None]:
    """What renames by these tables; it knows the names that it has seen, since a model is renamed several times while it is loaded."""
    ordered = tuple((ours, meta) for meta, ours in tables) if to_meta else tables
    rules = tuple((_compile(source), target) for source, target in ordered)
    return lru_cache(_MOST_NAMES)(lambda name: _rename(name, rules))


def _compile(template: str) -> re.Pattern[str]:
    escaped = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    for name, expression in _PLACEHOLDERS.items():
        escaped = escaped.replace(f"{{{name}}}", f"(?P<{name}>{expression})")
    return re.compile(escaped + r"(?P<tail>\.weight|\.bias)?")
