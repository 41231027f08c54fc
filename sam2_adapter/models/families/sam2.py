"""SAM2 and SAM2.1: numbers, published weights, the vision encoder's tensors, and how the image model is built.

The numbers of the official models stand in `sam2.json`, those of the bundled model in `assets/sam2_nano.json`. The video memory, which no
prediction uses but checkpoints hold, stands in `sam2_video.py`, the configuration objects of transformers in `sam2_config.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from sam2_adapter.models.families.base import (
    LARGEST_NUMBER,
    Architecture,
    Decoder,
    Layout,
    ModelFamily,
    PublishedWeights,
    Shapes,
    are_numbers,
    is_number,
)
from sam2_adapter.models.families.sam2_video import ONLY_2_1, SAM2, SAM2_1, VIDEO_NAMES, video_memory_shapes
from sam2_adapter.models.families.shared import NamedShape, convolution, linear, under, vectors
from sam2_adapter.text import shown

if TYPE_CHECKING:
    from torch import nn

# Hiera's first stage works on patches of 4 px; every further stage halves the resolution (https://arxiv.org/abs/2306.00989).
_PATCH_STRIDE = 4
_STAGE_STRIDE = 2
_NUM_STAGES = 4
_MOST_BLOCKS = 256

# The decoder sees the stages at 4, 8 and 16 px; the coarsest is the image embedding (SAM2, https://arxiv.org/abs/2408.00714, section 4).
DECODER_LEVELS = 3
EMBEDDING_STRIDE: int = _PATCH_STRIDE * _STAGE_STRIDE ** (DECODER_LEVELS - 1)

# Side of the convolution that makes patches, and width of an MLP as a multiple of its block's, in Hiera.
_PATCH_KERNEL = 7
_MLP_RATIO = 4

# A tensor of every trunk.
_PATCHES = {
    "meta": "image_encoder.trunk.patch_embed.proj.weight",
    "transformers": "vision_encoder.backbone.patch_embed.projection.weight",
}


@dataclass(frozen=True)
class Hiera:
    """The image encoder's trunk, in the words of the official configuration files.

    Attributes:
        embed_dim: channels of the first stage.
        num_heads: attention heads of the first stage.
        stages: blocks of each stage.
        global_att_blocks: blocks that attend over the whole image, counted from 0 over all stages.
        window_pos_embed_bkg_spatial_size: height and width of the position embedding, in tokens.
        window_spec: side of the attention window of each stage, in tokens.
        q_pool: number of stages that start by halving the resolution.
        embed_dim_per_stage: channels of each stage.
        num_heads_per_stage: attention heads of each stage.
    """

    embed_dim: int
    num_heads: int
    stages: tuple[int, ...]
    global_att_blocks: tuple[int, ...]
    window_pos_embed_bkg_spatial_size: tuple[int, ...]
    window_spec: tuple[int, ...]
    q_pool: int
    embed_dim_per_stage: tuple[int, ...]
    num_heads_per_stage: tuple[int, ...]

    def problem(self) -> str | None:
        """The first number that no trunk can have, as the end of a sentence."""
        per_stage = ("stages", "window_spec", "embed_dim_per_stage", "num_heads_per_stage")
        for name in (*per_stage, "window_pos_embed_bkg_spatial_size"):
            count = _NUM_STAGES if name in per_stage else 2
            if not are_numbers(getattr(self, name), LARGEST_NUMBER) or len(getattr(self, name)) != count:
                return f"hiera.{name} is {shown(getattr(self, name))}; expected {count} whole numbers from 1 to {LARGEST_NUMBER}."
        if sum(self.stages) > _MOST_BLOCKS:
            return f"hiera.stages is {shown(self.stages)}; expected at most {_MOST_BLOCKS} blocks."
        if not are_numbers(self.global_att_blocks, sum(self.stages) - 1, least=0):
            return f"hiera.global_att_blocks is {shown(self.global_att_blocks)}; expected numbers of blocks, from 0."
        if not is_number(self.q_pool, _NUM_STAGES - 1, least=0):
            return f"hiera.q_pool is {shown(self.q_pool)}; expected a number from 0 to {_NUM_STAGES - 1}."
        return self._problem_of_widths()

    def _problem_of_widths(self) -> str | None:
        if self.embed_dim != self.embed_dim_per_stage[0] or self.num_heads != self.num_heads_per_stage[0]:
            return "hiera.embed_dim and hiera.num_heads are not those of the first stage."
        widths = zip(self.embed_dim_per_stage, self.num_heads_per_stage, strict=True)
        if any(width % heads for width, heads in widths):
            return "hiera.embed_dim_per_stage cannot be divided by hiera.num_heads_per_stage."
        return None


@dataclass(frozen=True, kw_only=True)
class Sam2Architecture(Architecture):
    """All numbers of one SAM2 model.

    Attributes:
        hiera: the image encoder's trunk.
        fpn_top_down_levels: levels of the feature pyramid that receive the coarser level's features.
    """

    kind: ClassVar[str] = "sam2"
    embedding_stride: ClassVar[int] = EMBEDDING_STRIDE
    size_multiple: ClassVar[int] = EMBEDDING_STRIDE * _STAGE_STRIDE

    hiera: Hiera
    fpn_top_down_levels: tuple[int, ...]

    def problem(self) -> str | None:
        """The first number that no such model can have."""
        if self.family not in (None, SAM2, SAM2_1):
            return f"family is {shown(self.family)}; expected {SAM2!r}, {SAM2_1!r} or none."
        if not are_numbers(self.fpn_top_down_levels, _NUM_STAGES - 1, least=0):
            return f"fpn_top_down_levels is {shown(self.fpn_top_down_levels)}; expected numbers of stages, from 0."
        return self.hiera.problem()

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain types; of the kind that is meant where none is named."""
        return {key: value for key, value in super().to_dict().items() if key != "kind"}

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        """Sides of the feature levels that the decoder sees, fine to coarse, in tokens."""
        return tuple(self.low_res_mask_size // _STAGE_STRIDE**level for level in range(DECODER_LEVELS))


class Sam2Family(ModelFamily):
    """SAM2 and SAM2.1 with the Hiera encoder; see `ModelFamily`."""

    kind = "sam2"
    model_class = "Sam2Model"
    engines = ("torch", "openvino")
    image_encoder = "sam2_adapter.models.network.image_encoder:ImageEncoder"
    video_names = VIDEO_NAMES
    config_types = ("sam2", "sam2_video")
    vision_names = (
        ("image_encoder.trunk.pos_embed", "vision_encoder.backbone.pos_embed"),
        ("image_encoder.trunk.pos_embed_window", "vision_encoder.backbone.pos_embed_window"),
        ("image_encoder.trunk.patch_embed.proj", "vision_encoder.backbone.patch_embed.projection"),
        ("image_encoder.trunk.blocks.{i}.norm{j}", "vision_encoder.backbone.blocks.{i}.layer_norm{j}"),
        ("image_encoder.trunk.blocks.{i}.attn.qkv", "vision_encoder.backbone.blocks.{i}.attn.qkv"),
        ("image_encoder.trunk.blocks.{i}.attn.proj", "vision_encoder.backbone.blocks.{i}.attn.proj"),
        ("image_encoder.trunk.blocks.{i}.mlp.layers.0", "vision_encoder.backbone.blocks.{i}.mlp.proj_in"),
        ("image_encoder.trunk.blocks.{i}.mlp.layers.1", "vision_encoder.backbone.blocks.{i}.mlp.proj_out"),
        ("image_encoder.trunk.blocks.{i}.proj", "vision_encoder.backbone.blocks.{i}.proj"),
        ("image_encoder.neck.convs.{i}.conv", "vision_encoder.neck.convs.{i}"),
    )

    def architectures(self) -> Mapping[str, Sam2Architecture]:
        """The eight official models, and the bundled one."""
        return _architectures()

    def read_numbers(self, values: Mapping[str, Any], weights: PublishedWeights | None) -> Sam2Architecture:
        """Keys as the attributes of `Sam2Architecture`; further keys are ignored."""
        return _read_numbers(values, weights)

    def vision_shapes(self, architecture: Sam2Architecture) -> Shapes:
        """The tensors of Hiera and of the neck."""
        return dict([*under("backbone.", _trunk(architecture)), *_neck(architecture)])

    def video_shapes(self, architecture: Sam2Architecture) -> Shapes:
        """The tensors that `Sam2VideoModel` has besides."""
        return video_memory_shapes(architecture)

    def video_family(self, names: list[str]) -> str | None:
        """Tell SAM2 from SAM2.1."""
        return SAM2_1 if any(name.startswith(ONLY_2_1) for name in names) else SAM2

    def is_likely(self, architecture: Sam2Architecture, shapes: Shapes, layout: Layout) -> bool:
        """Whether channels of the first stage and number of blocks are those."""
        patches = shapes.get(_PATCHES[layout])
        blocks = {name.partition(".blocks.")[2].partition(".")[0] for name in shapes if ".blocks." in name}
        hiera = architecture.hiera
        return bool(patches) and (patches[0], len(blocks)) == (hiera.embed_dim, sum(hiera.stages))  # type: ignore[index]

    def build(self, architecture: Sam2Architecture) -> nn.Module:
        """Transformers' `Sam2Model`."""
        from transformers import Sam2Model

        from sam2_adapter.models.families.sam2_config import sam2_config

        return Sam2Model(sam2_config(architecture))

    def config_json(self, architecture: Sam2Architecture, dtype: str, with_video: bool) -> str:
        """Of a `Sam2Model` or `Sam2VideoModel`."""
        from sam2_adapter.models.families.sam2_config import config_json

        return config_json(architecture, dtype, with_video)

    def read_config(self, config: Mapping[str, Any]) -> Sam2Architecture:
        """Of a `Sam2Model` or `Sam2VideoModel`."""
        from sam2_adapter.models.families.sam2_config import read_config

        return read_config(config)


@cache
def _architectures() -> dict[str, Sam2Architecture]:
    files = resources.files("sam2_adapter")
    data = json.loads(files.joinpath("models", "families", "sam2.json").read_text("utf-8"))
    bundled = json.loads(files.joinpath("assets", "sam2_nano.json").read_text("utf-8"))
    architectures = {}
    for name, model in data["models"].items():
        own = {"name": name, "family": model["family"], "hiera": data["backbones"][model["backbone"]]}
        architectures[name] = _read_numbers({**data["common"], **own}, PublishedWeights(**model["weights"]))
    return {**architectures, bundled["name"]: _read_numbers(bundled, None)}


def _read_numbers(values: Mapping[str, Any], weights: PublishedWeights | None) -> Sam2Architecture:
    return Sam2Architecture(
        name=str(values["name"])[:200],
        image_size=values["image_size"],
        hiera=Hiera(**_numbers(values["hiera"], Hiera)),
        fpn_hidden_size=values["fpn_hidden_size"],
        fpn_top_down_levels=tuple(values["fpn_top_down_levels"]),
        decoder=Decoder(**_numbers(values["decoder"], Decoder)),
        family=values.get("family"),
        weights=weights,
    )


def _numbers(values: Mapping[str, Any], part: type[Hiera] | type[Decoder]) -> dict[str, Any]:
    fields = part.__dataclass_fields__
    return {key: tuple(values[key]) if isinstance(values[key], list | tuple) else values[key] for key in fields}


def _trunk(architecture: Sam2Architecture) -> Iterator[NamedShape]:
    hiera = architecture.hiera
    first = hiera.embed_dim_per_stage[0]
    yield "pos_embed", (1, first, *hiera.window_pos_embed_bkg_spatial_size)
    yield "pos_embed_window", (1, first, hiera.window_spec[0], hiera.window_spec[0])
    yield from convolution("patch_embed.projection", 3, first, _PATCH_KERNEL)
    widths = [width for width, count in zip(hiera.embed_dim_per_stage, hiera.stages, strict=True) for _ in range(count)]
    for index, (before, width) in enumerate(pairwise([first, *widths])):
        yield from under(f"blocks.{index}.", _block(before, width))


def _block(before: int, width: int) -> Iterator[NamedShape]:
    yield from vectors("layer_norm1", before)
    yield from linear("attn.qkv", before, 3 * width)
    yield from linear("attn.proj", width, width)
    yield from vectors("layer_norm2", width)
    yield from linear("mlp.proj_in", width, _MLP_RATIO * width)
    yield from linear("mlp.proj_out", _MLP_RATIO * width, width)
    if before != width:
        yield from linear("proj", before, width)


def _neck(architecture: Sam2Architecture) -> Iterator[NamedShape]:
    for index, width in enumerate(reversed(architecture.hiera.embed_dim_per_stage)):
        yield from convolution(f"neck.convs.{index}", width, architecture.fpn_hidden_size, 1)
