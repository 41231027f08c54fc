"""`Config`: every setting, once, with its type, range, default and one sentence.

The keys are the platform's own flat keys; the same names stand in YAML and JSON files and behind the command line's `--set`.
"""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sam2_adapter.architectures import get_architecture
from sam2_adapter.errors import ConfigError

logger = logging.getLogger(__name__)


class Config(BaseModel):
    """All settings of prediction and fine-tuning."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), strict=True, allow_inf_nan=False)

    model_cfg: str = Field(
        "sam2_hiera_s.yaml",
        description="Name of the model architecture and of its published weights, with or without '.yaml'.",
    )
    save_model_name: str = Field(
        "best_sam2_model.torch",
        description="Name of the file that fine-tuning saves the best model in; a plain file name.",
    )
    num_epochs: int = Field(100, ge=1, le=100_000, description="Largest number of passes over the training data.")
    learning_rate: float = Field(1e-5, gt=0, le=1, description="Peak learning rate of the optimizer.")
    weight_decay: float = Field(4e-5, ge=0, le=1, description="Decoupled weight decay; biases and norms are spared.")
    batch_size: int = Field(
        4, ge=1, le=65_536, description="Objects per optimizer step; on the platform also items per prediction batch."
    )
    save_interval: int = Field(10, ge=1, description="Epochs between two checkpoints.")
    patience: int = Field(10, ge=1, description="Epochs without improvement after which training stops.")
    multi_points_prediction: bool = Field(
        False, description="Points labelled 'inside' and 'outside' make one object instead of one each."
    )
    output_type: Literal["mask", "polygon"] = Field(
        "mask", description="What a prediction becomes: a mask annotation or polygon annotations."
    )
    clip_to_box: bool = Field(True, description="Cut the mask of a box prompt at its box.")
    resize: Literal["stretch", "pad"] = Field(
        "stretch",
        description="How an image is brought to the model's square: stretched, or padded at its aspect ratio.",
    )
    default_label: str = Field("object", min_length=1, description="Label of the objects whose prompt has none.")
    include_model_annotations: bool = Field(False, description="Also train on annotations that a model made.")
    embeddings_size: int = Field(
        256, ge=1, le=65_536, description="Length of the vector that an image is summarised in for similarity search."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Number format of the image encoder and mask decoder; prompts stay in fp32."
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        description="Where the model runs: 'auto', 'cpu', 'cuda', 'cuda:1', 'mps'.",
    )
    runtime: Literal["auto", "torch"] = Field("auto", description="Engine that executes the model.")

    @field_validator("model_cfg")
    @classmethod
    def _known_architecture(cls, value: str) -> str:
        get_architecture(value)
        return value

    @field_validator("output_type", mode="before")
    @classmethod
    def _existing_word_for_mask(cls, value: Any) -> Any:
        # The adapter that this one replaces calls its mask annotations "segment".
        return "mask" if value == "segment" else value

    @field_validator("save_model_name")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        if not value or value in {".", ".."} or any(c in value for c in "/\\\0:") or value != value.strip():
            raise ValueError("must be a plain file name without directories")
        return value

    @classmethod
    def from_mapping(
        cls, settings: Mapping[str, Any], *, source: str = "configuration", ignore_unknown: bool = False
    ) -> Config:
        """Parse flat settings.

        Args:
            settings: key to value; whole numbers are accepted where a float is meant.
            source: where the settings came from, for messages.
            ignore_unknown: leave unknown keys out with one warning instead of refusing them.

        Raises:
            ConfigError: unknown key, or a value of the wrong type or range; the text names key, value and what is allowed.
        """
        unknown = sorted(str(key) for key in settings if key not in cls.model_fields)
        if unknown and not ignore_unknown:
            raise ConfigError(f"{source}: {_unknown_key_sentence(unknown[0], list(cls.model_fields))}")
        if unknown:
            logger.warning("%s: ignored the unknown keys %s", source, ", ".join(unknown))
        try:
            return cls(**{key: value for key, value in settings.items() if key in cls.model_fields})
        except ValidationError as error:
            raise ConfigError(f"{source}: {_first_error_sentence(error)}") from error

    @classmethod
    def from_file(cls, path: str | Path) -> Config:
        """Parse a YAML or JSON file of flat settings.

        Raises:
            ConfigError: the file cannot be read or parsed, or holds something else than settings.
        """
        return cls.from_mapping(read_settings(path), source=str(path))


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read the flat settings of a YAML or JSON file, unchecked.

    Raises:
        ConfigError: the file cannot be read or parsed, or does not hold a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        settings = json.loads(text) if str(path).endswith(".json") else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the configuration file: {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not a valid configuration file: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: expected 'key: value' settings, but got {type(settings).__name__}.")
    return settings


def parse_assignment(assignment: str) -> tuple[str, Any]:
    """Split one KEY=VALUE of the command line; the value is read as YAML, so that numbers and booleans have their types.

    Raises:
        ConfigError: there is no '=' or no key.
    """
    key, separator, value = assignment.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {assignment}: expected KEY=VALUE, such as learning_rate=1e-4.")
    try:
        return key.strip(), _number_or_same(yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {assignment}: cannot read the value: {error}") from error


def _number_or_same(value: Any) -> Any:
    # YAML 1.1 reads 1e-4 (no dot) as a text.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _unknown_key_sentence(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(known)}."
    return f"unknown key {key!r}; {hint}"


def _first_error_sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{key} = {first['input']!r} is not allowed: {message[0].lower() + message[1:].removesuffix('.')}."
