"""`Config`: every setting, once, with its type, range, default and one sentence.

The keys are the platform's own flat keys; the same names stand in YAML and JSON files and behind the command line's `--set`.
Defaults are the mission's; `preset: recommended` replaces those that nothing else sets by values that measured better.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from sam2_adapter.config_errors import unknown_key, wrong_value
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.config_file import presets, read_settings
from sam2_adapter.config_views import (
    LARGEST_WINDOW,
    SMALLEST_WINDOW,
    EncodingLimits,
    LossWeights,
    PredictionSettings,
    PromptMix,
    TrainedParts,
    VariantName,
    WindowName,
)
from sam2_adapter.errors import ConfigError
from sam2_adapter.models.families.architectures import get_architecture

logger = logging.getLogger(__name__)

# Losses that do not look at the mask itself, and the grid that losses are computed on.
_OTHER_LOSS_KEYS = ("loss_grid", "loss_iou_score", "loss_object_score", "loss_other_candidates")

_MIB = 2**20


class Config(EverythingSettings):
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
    default_label: str = Field(
        "object", min_length=1, description="Label of objects whose prompt or annotation has none."
    )
    include_model_annotations: bool = Field(False, description="Also train on annotations that a model made.")
    include_crowds: bool = Field(
        False, description="Also use COCO objects marked `iscrowd: 1`, as some tools mark every brush mask."
    )
    ignore_label: int | None = Field(
        None,
        ge=0,
        lt=2**32,
        description="Number in label maps of pixels that do not count, neither in training nor in measures, such as 255 for a void border.",
    )
    split_parts: bool = Field(
        False, description="Make every separate part of a mask in a data set an object of its own."
    )
    window: WindowName = Field(
        "off",
        description="Where small prompts are answered: 'auto' cuts a window out of the image, at full resolution, around boxes and masks that are "
        "small for the model; a number of pixels also around each click. In training, what the model is tuned on.",
        json_schema_extra={
            "expected": f"'off', 'auto' or a number of pixels from {SMALLEST_WINDOW} to {LARGEST_WINDOW}",
            "choices": ["off", "auto"],
        },
    )
    max_windows: int = Field(
        64, ge=1, le=4096, description="Most windows of an image; prompts beyond them are answered on the whole image."
    )
    embeddings_size: int = Field(
        256, ge=1, le=65_536, description="Length of the vector that an image is summarised in for similarity search."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = Field(
        "auto",
        description="Number format of the image encoder and mask decoder; prompts stay in fp32. 'int8' is the encoder's with OpenVINO.",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        description="Where the model runs: 'auto', 'cpu', 'cuda', 'cuda:1', 'mps'.",
        json_schema_extra={
            "expected": "'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'",
            "choices": ["auto", "cpu", "cuda", "cuda:1", "mps"],
        },
    )
    runtime: Literal["auto", "torch", "openvino"] = Field(
        "auto",
        description="Engine that executes the model; 'auto' is OpenVINO on a CPU once the model is compiled for it, else torch.",
    )

    preset: Literal["mission", "recommended"] = Field(
        "mission", description="Named values of the settings that are not given: see the column of each."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Decides the order of objects, the prompts and the split.")
    deterministic: bool = Field(False, description="Refuse GPU operations whose result varies from run to run; slower.")
    validation_share: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Part of the training images to validate with where the data set has no such split.",
    )
    min_area_px: int = Field(
        16, ge=1, description="Objects with fewer pixels of the original image are left out of data sets."
    )
    variants: tuple[VariantName, ...] = Field(
        ("original",), min_length=1, description="Versions of each image to train on, each encoded once."
    )
    trained_parts: TrainedParts = Field(
        "decoder",
        description="Prompt encoder and mask decoder, or what draws and scores the candidates of a click alone.",
    )
    prompt_box: float = Field(0.5, ge=0, description="Weight, among first prompts, of a box with jitter.")
    prompt_tight_box: float = Field(0.0, ge=0, description="Weight of the exact box.")
    prompt_click: float = Field(0.5, ge=0, description="Weight of one point anywhere in the object.")
    prompt_centre_click: float = Field(0.0, ge=0, description="Weight of one point in the middle of the object.")
    prompt_clicks: float = Field(0.0, ge=0, description="Weight of several points inside and outside.")
    prompt_box_and_clicks: float = Field(0.0, ge=0, description="Weight of a box with jitter and several points.")
    max_points: int = Field(3, ge=1, description="Most points inside, and outside, of a prompt of several points.")
    correction_share: float = Field(0.5, ge=0, le=1, description="Part of the objects that get correction clicks.")
    correction_rounds: int = Field(3, ge=0, description="Correction clicks of such an object, one after the other.")
    correction_spread: bool = Field(
        False,
        description="Draw the number of correction clicks anew for each step, from 1 to `correction_rounds`, each doubling equally often.",
    )
    correction_losses: Literal["all", "ends"] = Field(
        "all",
        description="Answers that are trained where clicks follow: all of them, or the first and the last, for less time and memory.",
    )
    loss_focal: float = Field(20.0, ge=0, description="Weight of the focal loss over the pixels.")
    loss_bce: float = Field(0.0, ge=0, description="Weight of the binary cross-entropy over the pixels.")
    loss_dice: float = Field(1.0, ge=0, description="Weight of the Dice loss.")
    loss_iou_score: float = Field(1.0, ge=0, description="Weight of the error of predicted IoU scores.")
    loss_object_score: float = Field(1.0, ge=0, description="Weight of the cross-entropy of the object score.")
    loss_other_candidates: float = Field(
        0.0, ge=0, description="Weight of the mean mask loss of the two candidates that fit worse than the best one."
    )
    iou_score_error: Literal["l1", "mse"] = Field(
        "l1", description="Error of predicted IoU scores: absolute, or squared."
    )
    loss_grid: int = Field(
        128,
        ge=1,
        le=1024,
        description="Least cells along a side of the grid on which the loss compares masks; coarser low-res logits are upsampled to it.",
    )
    warmup_share: float = Field(
        0.05, ge=0, le=1, description="Part of the optimizer steps in which the learning rate rises."
    )
    final_learning_rate: float = Field(
        0.1, ge=0, le=1, description="Learning rate at the end, as a part of the peak; 1 keeps it constant."
    )
    max_gradient_norm: float = Field(1.0, ge=0, description="Gradients are scaled down to this norm; 0 leaves them.")
    average_decay: float = Field(
        0.0, ge=0, lt=1, description="Decay of a moving average of the weights to save instead of them; 0: none."
    )
    micro_batch: int = Field(
        8, ge=1, description="Most objects in one decoder pass while training; halved when memory runs out."
    )
    encode_batch: int = Field(4, ge=1, description="Images in one encoder call while training.")
    memory_mib: int = Field(
        2048, ge=0, description="Encoded images kept in memory, MiB, for all processes of a machine together."
    )
    disk_mib: int = Field(20_480, ge=0, description="Encoded images kept on disk, MiB; 0 keeps none.")
    min_free_mib: int = Field(2048, ge=0, description="Space of the disk that is left to others, MiB.")
    general_set: str = Field(
        "bundled",
        min_length=1,
        description="Data set that shows what is forgotten: its path, 'bundled' for photographs of the package, or 'none'.",
    )
    blend: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = Field(
        1.0,
        description="Share of the tuned weights in the saved model, the rest is untouched; 'auto' chooses by validation and general set.",
        json_schema_extra={"expected": "a number from 0 to 1, or 'auto'", "choices": ["auto"]},
    )
    tensorboard: bool = Field(
        False, description="Also write the figures of every epoch for TensorBoard (needs `sam2-adapter[tensorboard]`)."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, settings: Any) -> Any:
        preset = settings.get("preset", "mission") if isinstance(settings, Mapping) else None
        values = presets().get(preset, {}) if isinstance(preset, str) else {}
        return {**values, **settings} if values else settings

    @model_validator(mode="after")
    def _something_to_train_with(self) -> Self:
        for prefix, what in (("prompt_", "kind of prompt"), ("loss_", "loss of the mask")):
            keys = [key for key in type(self).model_fields if key.startswith(prefix) and key not in _OTHER_LOSS_KEYS]
            if not any(getattr(self, key) for key in keys):
                raise ValueError(f"{', '.join(keys)} are all 0; at least one {what} needs a weight above 0")
        return self

    @model_validator(mode="after")
    def _something_to_choose_by(self) -> Self:
        if self.blend == "auto" and self.general_set == "none":
            raise ValueError(
                "blend = 'auto' holds what is gained against what is lost on the general set, but general_set is 'none'; give one, or "
                "blend as a number"
            )
        return self

    @field_validator("variants", mode="before")
    @classmethod
    def _list_or_text(cls, value: Any) -> Any:
        # The platform and `--set` give a text.
        names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
        return tuple(names) if isinstance(names, list) else names

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

    if not TYPE_CHECKING:  # type checkers take the keys from the fields

        def __init__(self, **settings: Any) -> None:
            """Check settings given by name.

            Raises:
                ConfigError: unknown key, or a value of the wrong type or range.
            """
            try:
                super().__init__(**settings)
            except ValidationError as error:
                raise ConfigError(wrong_value(error, type(self).model_fields)) from error

    @property
    def prediction(self) -> PredictionSettings:
        """Which objects an image has."""
        everything = self.everything if self.without_prompts == "everything" else None
        return PredictionSettings(self.clip_to_box, self.default_label, self.window, self.max_windows, everything)

    @property
    def prompt_mix(self) -> PromptMix:
        """How often each kind of first prompt is drawn in training."""
        return PromptMix(**{field.name: getattr(self, f"prompt_{field.name}") for field in fields(PromptMix)})

    @property
    def losses(self) -> LossWeights:
        """How the parts of the loss count."""
        names = [field.name for field in fields(LossWeights) if field.name != "iou_score_error"]
        return LossWeights(
            **{name: getattr(self, f"loss_{name}") for name in names}, iou_score_error=self.iou_score_error
        )

    @property
    def encoding(self) -> EncodingLimits:
        """How images are encoded and kept while training."""
        return EncodingLimits(self.encode_batch, self.memory_mib * _MIB, self.disk_mib * _MIB, self.min_free_mib * _MIB)

    @property
    def everything(self) -> EverythingSettings:
        """How all objects of an image are found without prompts."""
        return EverythingSettings(**{name: getattr(self, name) for name in EverythingSettings.model_fields})

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
            raise ConfigError(f"{source}: {unknown_key(unknown[0], list(cls.model_fields))}")
        if unknown:
            logger.warning("%s: ignored the unknown keys %s", source, ", ".join(unknown))
        try:
            return cls(**{key: value for key, value in settings.items() if key in cls.model_fields})
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from error.__cause__

    @classmethod
    def from_file(cls, path: str | Path) -> Config:
        """Parse a YAML or JSON file of flat settings.

        Raises:
            ConfigError: the file cannot be read or parsed, or holds something else than settings.
        """
        return cls.from_mapping(read_settings(path), source=str(path))


def given_config(config: Config | None) -> Config:
    """The settings of a call, which may be left out.

    Raises:
        ConfigError: it is something else, such as a dict or the name of a file.
    """
    if config is None:
        return Config()
    if not isinstance(config, Config):
        raise ConfigError(
            f"config is a Config, but got a {type(config).__name__}: make one with Config(num_epochs=3), "
            "Config.from_mapping({...}) or Config.from_file('settings.yaml')."
        )
    return config
