"""What every family of models has: numbers, published weights, and what the rest of the package asks of it.

A family is one file: a subclass of `Architecture` with the numbers of its models, and a subclass of `ModelFamily`, registered in
`architectures.py`. Prompt encoder and mask decoder are the same in all families and stand in `shared.py`. Nothing here imports torch or
transformers at import time: the command line lists the names without paying for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sam2_adapter.errors import ConfigError
from sam2_adapter.text import shown

if TYPE_CHECKING:
    from torch import nn

Layout = Literal["meta", "transformers"]
Shapes = Mapping[str, tuple[int, ...]]

# Far above any model; what is beyond is damaged or hostile, and would take memory or time without end.
LARGEST_IMAGE = 16_384
LARGEST_NUMBER = 16_384

# The decoder's logits are four times as fine as the image embedding.
_LOGITS_PER_TOKEN = 4


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
            if not is_number(value, LARGEST_NUMBER):
                return f"decoder.{name} is {shown(value)}; expected a whole number from 1 to {LARGEST_NUMBER}."
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


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The numbers of one model that all families have; sizes in pixels unless said otherwise.

    Attributes:
        name: configuration name without `.yaml`.
        image_size: side of the model's square input.
        fpn_hidden_size: channels of the image embedding, the prompts and the decoder's tokens.
        decoder: the mask decoder.
        family: name of the video model that the model is part of, such as `sam2.1`, else `None`.
        weights: where its weights are published, if they are.
    """

    kind: ClassVar[str]
    embedding_stride: ClassVar[int] = 16
    size_multiple: ClassVar[int] = 16

    name: str
    image_size: int
    fpn_hidden_size: int
    decoder: Decoder
    family: str | None = None
    weights: PublishedWeights | None = None

    def __post_init__(self) -> None:
        """Check what would fail obscurely later."""
        if problem := self._problem_of_size() or self.problem():
            raise ConfigError(f"Architecture {self.name[:100]!r}: {problem}")

    def problem(self) -> str | None:
        """The first number of the family's own that no such model can have, as the end of a sentence."""
        return None

    def _problem_of_size(self) -> str | None:
        size, channels = self.image_size, self.fpn_hidden_size
        if not is_number(size, LARGEST_IMAGE) or size % self.size_multiple:
            return f"image_size is {shown(size)}; expected a multiple of {self.size_multiple} up to {LARGEST_IMAGE}."
        if not is_number(channels) or channels % 8:
            return f"fpn_hidden_size is {shown(channels)}; expected a multiple of 8."
        return self.decoder.problem(channels)

    @property
    def embedding_size(self) -> int:
        """Side of the image embedding, in tokens."""
        return self.image_size // self.embedding_stride

    @property
    def low_res_mask_size(self) -> int:
        """Side of the low-res logits, in their own pixels."""
        return _LOGITS_PER_TOKEN * self.embedding_size

    @property
    def has_video_model(self) -> bool:
        """Whether Meta's checkpoints of this model also hold video-memory tensors."""
        return self.family is not None

    @property
    def image_model(self) -> tuple[Any, ...]:
        """What decides the image model; equal for models that differ in their video memory only."""
        numbers = asdict(self)
        return self.kind, *(numbers[key] for key in sorted(numbers) if key not in ("name", "family", "weights"))

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain types, in the form that `architecture_from_dict` reads."""
        numbers = {key: value for key, value in asdict(self).items() if key != "weights"}
        return {"kind": self.kind, **_tuples_to_lists(numbers)}


class ModelFamily(ABC):
    """What the package asks of a family of models.

    Attributes:
        kind: its name; `Architecture.kind` of its models.
        model_class: name of the class of its image model, which has `prompt_encoder`, `mask_decoder`, `no_memory_embedding`,
            `shared_image_embedding` and `get_image_wide_positional_embeddings` as `Sam2Model` of transformers.
        engines: engines that can run it.
        image_encoder: `module:class` that makes the image encoder for prediction, called with the model and a number format.
        vision_names: names of modules and bare tensors of the vision encoder, Meta's first; see `names.py`.
        video_names: the same of the video memory.
        config_types: `model_type` in the `config.json` of its models; those of video models last.
    """

    kind: str
    model_class: str
    engines: tuple[str, ...] = ("torch",)
    image_encoder: str
    vision_names: tuple[tuple[str, str], ...]
    video_names: tuple[tuple[str, str], ...] = ()
    config_types: tuple[str, ...] = ()

    @abstractmethod
    def architectures(self) -> Mapping[str, Architecture]:
        """The models with a name: those with published weights first, then those that come with the package."""

    @abstractmethod
    def read_numbers(self, values: Mapping[str, Any], weights: PublishedWeights | None) -> Architecture:
        """Build an architecture from plain types; errors of any kind mean that they are malformed."""

    @abstractmethod
    def vision_shapes(self, architecture: Any) -> Shapes:
        """The tensors of the vision encoder in transformers' layout, without `vision_encoder.`."""

    def video_shapes(self, architecture: Any) -> Shapes:
        """The tensors of the video memory in transformers' layout; none where the family has no video model."""
        return {}

    def video_family(self, names: list[str]) -> str | None:
        """`Architecture.family` of a model with the video-memory tensors `names`, in transformers' layout."""
        return None

    def is_likely(self, architecture: Any, shapes: Shapes, layout: Layout) -> bool:
        """A quick look whether shapes could be those of an architecture."""
        return True

    @abstractmethod
    def build(self, architecture: Any) -> nn.Module:
        """The image model without values, to be called where torch makes tensors on its meta device."""

    @abstractmethod
    def config_json(self, architecture: Any, dtype: str, with_video: bool) -> str:
        """The `config.json` with which transformers opens the model, or its video model."""

    @abstractmethod
    def read_config(self, config: Mapping[str, Any]) -> Architecture:
        """Read the numbers from a `config.json`; errors of any kind mean that it is malformed."""


def is_number(value: object, most: int = LARGEST_NUMBER, least: int = 1) -> bool:
    """Whether a value is a whole number within limits."""
    return type(value) is int and least <= value <= most


def are_numbers(values: object, most: int = LARGEST_NUMBER, least: int = 1) -> bool:
    """Whether a value is a tuple of such numbers."""
    return isinstance(values, tuple) and all(is_number(value, most, least) for value in values)


def _tuples_to_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples_to_lists(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
