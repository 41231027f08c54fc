"""The model configurations, as data: their numbers and where their weights are published.

The numbers of the official models stand in `architectures.json`, those of the bundled model in `assets/sam2_nano.json`. This module imports
neither torch nor transformers at import time: the command line lists the names without paying for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any

from sam2_adapter.errors import ConfigError
from sam2_adapter.text import closest

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

_SIZES = {"tiny": "t", "small": "s", "baseplus": "b+", "base+": "b+", "base": "b+", "large": "l"}
_SIZES |= {short: short for short in _SIZES.values()}
_SIZE_AS_A_WORD = re.compile(
    r"(?:facebook/)?sam-?2(?P<version>[._-]?1)?[-_ ]?(?:hiera)?[-_ ]?(?P<size>tiny|small|base[-_ ]?plus|base\+?|large|t|s|b\+|l)"
)


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
        if self.image_size <= 0 or self.image_size % _COARSEST_STRIDE:
            raise ConfigError(
                f"Architecture {self.name!r}: image_size is {self.image_size}; expected a multiple of {_COARSEST_STRIDE}."
            )
        if self.family not in (None, SAM2, SAM2_1):
            raise ConfigError(
                f"Architecture {self.name!r}: family is {self.family!r}; expected {SAM2!r}, {SAM2_1!r} or none."
            )

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
            name=str(values["name"]),
            image_size=int(values["image_size"]),
            hiera=Hiera(**_numbers(values["hiera"], Hiera)),
            fpn_hidden_size=int(values["fpn_hidden_size"]),
            fpn_top_down_levels=tuple(values["fpn_top_down_levels"]),
            decoder=Decoder(**_numbers(values["decoder"], Decoder)),
            family=values.get("family"),
            weights=weights,
        )
    except (KeyError, TypeError) as error:
        raise ConfigError(f"Architecture {values.get('name')!r}: missing or malformed number ({error}).") from error


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
        meant = _meant(plain, known)
        hint = f" Did you mean {meant!r}?" if meant else ""
        raise ConfigError(f"Unknown model configuration {name!r}.{hint} The choices are {', '.join(known)}.")
    return known[plain]


def _meant(name: str, known: Collection[str]) -> str | None:
    """The configuration that a name probably means; people also write the size as a word, with or without `hiera`."""
    found = _SIZE_AS_A_WORD.fullmatch(name.casefold())
    if found:
        version = "sam2.1" if found["version"] else "sam2"
        spelled = f"{version}_hiera_{_SIZES[re.sub('[-_ ]', '', found['size'])]}"
        if spelled in known:
            return spelled
    return closest(name, known)


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
    return {key: tuple(values[key]) if isinstance(values[key], list | tuple) else int(values[key]) for key in fields}


def _tuples_to_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples_to_lists(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
