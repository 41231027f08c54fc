"""The model configurations, as data: their numbers and where their weights are published.

The numbers of the official models stand in `architectures.json`, those of the bundled model in `assets/sam2_nano.json`. This module imports
neither torch nor transformers at import time: the command line lists the names without paying for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any

from sam2_adapter.errors import ConfigError
from sam2_adapter.models.families.spelling import meant_name
from sam2_adapter.text import shown

# Families of published checkpoints. Both have the same image model; their video models differ.
SAM2 = "sam2"
SAM2_1 = "sam2.1"

# Hiera's first stage works on patches of 4 px; every further stage halves the resolution (https://arxiv.org/abs/2306.00989).
_PATCH_STRIDE = 4
_STAGE_STRIDE = 2

# The decoder sees the stages at 4, 8 and 16 px; the coarsest is the image embedding (SAM2, https://arxiv.org/abs/2408.00714, section 4).
DECODER_LEVELS = 3
EMBEDDING_STRIDE: int = _PATCH_STRIDE * _STAGE_STRIDE ** (DECODER_LEVELS - 1)
_COARSEST_STRIDE = EMBEDDING_STRIDE * _STAGE_STRIDE

_NUM_STAGES = 4

# Far above any model; what is beyond is damaged or hostile, and would take memory or time without end.
_LARGEST_IMAGE = 16_384
_LARGEST_NUMBER = 16_384
_MOST_BLOCKS = 256


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
            if not _are_numbers(getattr(self, name), _LARGEST_NUMBER) or len(getattr(self, name)) != count:
                return f"hiera.{name} is {shown(getattr(self, name))}; expected {count} whole numbers from 1 to {_LARGEST_NUMBER}."
        if sum(self.stages) > _MOST_BLOCKS:
            return f"hiera.stages is {shown(self.stages)}; expected at most {_MOST_BLOCKS} blocks."
        if not _are_numbers(self.global_att_blocks, sum(self.stages) - 1, least=0):
            return f"hiera.global_att_blocks is {shown(self.global_att_blocks)}; expected numbers of blocks, from 0."
        if not _is_number(self.q_pool, _NUM_STAGES - 1, least=0):
            return f"hiera.q_pool is {shown(self.q_pool)}; expected a number from 0 to {_NUM_STAGES - 1}."
        return self._problem_of_widths()

    def _problem_of_widths(self) -> str | None:
        if self.embed_dim != self.embed_dim_per_stage[0] or self.num_heads != self.num_heads_per_stage[0]:
            return "hiera.embed_dim and hiera.num_heads are not those of the first stage."
        widths = zip(self.embed_dim_per_stage, self.num_heads_per_stage, strict=True)
        if any(width % heads for width, heads in widths):
            return "hiera.embed_dim_per_stage cannot be divided by hiera.num_heads_per_stage."
        return None


@dataclass(frozen=True)
class Decoder:
    """The numbers of the mask decoder that differ between models.

    Attributes:
        mlp_dim: hidden width of the two-way transformer's MLPs.
        num_attention_heads: attention heads.
        attention_downsample_rate: how much narrower cross-attention is than the tokens.
        iou_head_hidden_dim: hidden width of the head that predicts IoU scores.
    """

    mlp_dim: int
    num_attention_heads: int
    attention_downsample_rate: int
    iou_head_hidden_dim: int

    def problem(self, channels: int) -> str | None:
        """The first number that no decoder of this width can have, as the end of a sentence."""
        for name, value in asdict(self).items():
            if not _is_number(value, _LARGEST_NUMBER):
                return f"decoder.{name} is {shown(value)}; expected a whole number from 1 to {_LARGEST_NUMBER}."
        rate, heads = self.attention_downsample_rate, self.num_attention_heads
        if channels % rate or (channels // rate) % heads:
            return (
                f"{channels} channels cannot be divided by decoder.attention_downsample_rate and num_attention_heads."
            )
        return None


@dataclass(frozen=True)
class PublishedWeights:
    """Where the weights of a model are published.

    Attributes:
        meta_path: path of Meta's file below its download host.
        hub_repo: repository on the Hugging Face hub, with `model.safetensors`.
        num_bytes: size of Meta's file.
        sha256: SHA-256 of Meta's file.
        ultralytics_name: file name by which ultralytics recognises this model.
    """

    meta_path: str
    hub_repo: str
    num_bytes: int
    sha256: str
    ultralytics_name: str

    @property
    def file_name(self) -> str:
        """Name of Meta's file, such as `sam2_hiera_small.pt`."""
        return self.meta_path.rpartition("/")[2]


@dataclass(frozen=True)
class Architecture:
    """All numbers of one model; sizes in pixels unless said otherwise.

    Attributes:
        name: configuration name without `.yaml`.
        image_size: side of the model's square input.
        hiera: the image encoder's trunk.
        fpn_hidden_size: channels of the image embedding, the prompts and the decoder's tokens.
        fpn_top_down_levels: levels of the feature pyramid that receive the coarser level's features.
        decoder: the mask decoder.
        family: `sam2` or `sam2.1` where the model is part of a video model, else `None`.
        weights: where its weights are published, if they are.
    """

    name: str
    image_size: int
    hiera: Hiera
    fpn_hidden_size: int
    fpn_top_down_levels: tuple[int, ...]
    decoder: Decoder
    family: str | None = None
    weights: PublishedWeights | None = None

    def __post_init__(self) -> None:
        """Check what would fail obscurely later."""
        if problem := self._problem():
            raise ConfigError(f"Architecture {self.name[:100]!r}: {problem}")

    def _problem(self) -> str | None:
        """The first number that no such model can have, as the end of a sentence."""
        size = self.image_size
        if not _is_number(size, _LARGEST_IMAGE) or size % _COARSEST_STRIDE:
            return f"image_size is {shown(size)}; expected a multiple of {_COARSEST_STRIDE} up to {_LARGEST_IMAGE}."
        if self.family not in (None, SAM2, SAM2_1):
            return f"family is {shown(self.family)}; expected {SAM2!r}, {SAM2_1!r} or none."
        channels = self.fpn_hidden_size
        if not _is_number(channels, _LARGEST_NUMBER) or channels % 8:
            return f"fpn_hidden_size is {shown(channels)}; expected a multiple of 8."
        if not _are_numbers(self.fpn_top_down_levels, len(self.hiera.stages) - 1, least=0):
            return f"fpn_top_down_levels is {shown(self.fpn_top_down_levels)}; expected numbers of stages, from 0."
        return self.hiera.problem() or self.decoder.problem(channels)

    @property
    def embedding_size(self) -> int:
        """Side of the image embedding, in tokens."""
        return self.image_size // EMBEDDING_STRIDE

    @property
    def low_res_mask_size(self) -> int:
        """Side of the low-res logits, in their own pixels."""
        return self.image_size // _PATCH_STRIDE

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        """Sides of the feature levels that the decoder sees, fine to coarse, in tokens."""
        return tuple(self.low_res_mask_size // _STAGE_STRIDE**level for level in range(DECODER_LEVELS))

    @property
    def has_video_model(self) -> bool:
        """Whether Meta's checkpoints of this model also hold video-memory tensors."""
        return self.family is not None

    @property
    def twin(self) -> Architecture | None:
        """The model of the other family with the same image model, which shapes cannot tell from this one."""
        others = (_official_architectures()[name] for name in official_names() if name != self.name)
        return next((other for other in others if self.has_video_model and other.image_model == self.image_model), None)

    @property
    def image_model(self) -> tuple[Any, ...]:
        """What decides the image model; equal for twins."""
        return self.image_size, self.hiera, self.fpn_hidden_size, self.fpn_top_down_levels, self.decoder

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain types, in the form that `architecture_from_dict` reads."""
        numbers = {key: value for key, value in asdict(self).items() if key != "weights"}
        return _tuples_to_lists(numbers)  # type: ignore[no-any-return]


def architecture_from_dict(values: Mapping[str, Any], weights: PublishedWeights | None = None) -> Architecture:
    """Build an architecture from plain types; keys as the attributes of `Architecture`, further keys are ignored.

    Raises:
        ConfigError: a number is missing or of the wrong type.
    """
    try:
        return Architecture(
            name=str(values["name"])[:200],
            image_size=values["image_size"],
            hiera=Hiera(**_numbers(values["hiera"], Hiera)),
            fpn_hidden_size=values["fpn_hidden_size"],
            fpn_top_down_levels=tuple(values["fpn_top_down_levels"]),
            decoder=Decoder(**_numbers(values["decoder"], Decoder)),
            family=values.get("family"),
            weights=weights,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"The architecture has a missing or malformed number ({str(error)[:200]}).") from error


def architecture_names() -> tuple[str, ...]:
    """All configuration names, official ones first."""
    return (*official_names(), *_bundled_architectures())


def official_names() -> tuple[str, ...]:
    """The names of the eight official configurations."""
    return tuple(_official_architectures())


def get_architecture(name: str) -> Architecture:
    """Look up a configuration by name, with or without `.yaml`.

    Raises:
        ConfigError: there is no such configuration; the message lists the choices.
    """
    known = {**_official_architectures(), **_bundled_architectures()}
    plain = name.removesuffix(".yaml")
    if plain not in known:
        meant = meant_name(name, known)
        hint = f" Did you mean {meant!r}?" if meant else ""
        raise ConfigError(f"Unknown model configuration {name[:100]!r}.{hint} The choices are {', '.join(known)}.")
    return known[plain]


@cache
def _official_architectures() -> dict[str, Architecture]:
    data = json.loads(
        resources.files("sam2_adapter").joinpath("models", "families", "architectures.json").read_text("utf-8")
    )
    architectures = {}
    for name, model in data["models"].items():
        numbers = {
            **data["common"],
            "name": name,
            "family": model["family"],
            "hiera": data["backbones"][model["backbone"]],
        }
        architectures[name] = architecture_from_dict(numbers, PublishedWeights(**model["weights"]))
    return architectures


@cache
def _bundled_architectures() -> dict[str, Architecture]:
    data = json.loads(resources.files("sam2_adapter").joinpath("assets", "sam2_nano.json").read_text("utf-8"))
    return {data["name"]: architecture_from_dict(data)}


def _numbers(values: Mapping[str, Any], part: type[Hiera] | type[Decoder]) -> dict[str, Any]:
    fields = part.__dataclass_fields__
    return {key: tuple(values[key]) if isinstance(values[key], list | tuple) else values[key] for key in fields}


def _is_number(value: object, most: int, least: int = 1) -> bool:
    return type(value) is int and least <= value <= most


def _are_numbers(values: object, most: int, least: int = 1) -> bool:
    return isinstance(values, tuple) and all(_is_number(value, most, least) for value in values)


def _tuples_to_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples_to_lists(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
