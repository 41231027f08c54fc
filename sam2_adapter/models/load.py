"""From a name or a path to a model that is ready."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2_adapter.arguments import path_of, truth_value
from sam2_adapter.errors import CheckpointError, ConfigError, WeightsNotFoundError
from sam2_adapter.models.families.architectures import architecture_names, get_architecture
from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.families.names import Tensors
from sam2_adapter.models.network.preprocess import ModelWindow, Resize
from sam2_adapter.models.weights.checkpoint import LoadedCheckpoint, build_model, load_checkpoint
from sam2_adapter.models.weights.download import find_or_fetch_weights
from sam2_adapter.text import cut, printable, shown

if TYPE_CHECKING:
    from transformers import Sam2Model

DEFAULT_MODEL = "sam2_hiera_s.yaml"

# Thresholds of everything-mode that a model may carry.
_EVERYTHING = ("pred_iou_thresh", "stability_score_thresh")

_WEIGHT_SUFFIXES = (".pt", ".pth", ".torch", ".safetensors")


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model and where it comes from; as torch modules it is built when somebody asks for `model`.

    Attributes:
        tensors: the image model in transformers' layout, in the file's number format; see `state`.
        architecture: its numbers.
        name: what it is called in results: the name that a tuned model was given, else the configuration name; both
            configuration names where the weights do not tell SAM2 from SAM2.1.
        path: the weights' file or directory.
        weights_sha256: identity of the weights.
        resize: how images are brought to the model's square, as the model was trained.
        metadata: plain values that were saved beside the weights.
        video_tensors: video memory in transformers' layout, kept for writing back.
    """

    tensors: Tensors
    architecture: Architecture
    name: str
    path: Path
    weights_sha256: str
    resize: Resize
    metadata: dict[str, Any]
    video_tensors: Tensors

    @property
    def window(self) -> ModelWindow | None:
        """The windows that it was tuned on; `None` for whole images.

        Raises:
            CheckpointError: the file says something else.
        """
        return _window_of(self.metadata.get("window"), self.path)

    @property
    def base(self) -> str | None:
        """Name of the model that this one was tuned from; `None` for one that is not tuned, or that does not say."""
        base = self.metadata.get("base")
        return _text_or_none(base.get("name")) if isinstance(base, dict) else None

    @property
    def everything(self) -> dict[str, float]:
        """Thresholds of everything-mode that suit the model, by the names of the settings; those that the weights carry."""
        given = self.metadata.get("everything")
        given = given if isinstance(given, dict) else {}
        return {name: float(given[name]) for name in _EVERYTHING if _is_share(given.get(name))}

    @cached_property
    def model(self) -> Sam2Model:
        """The model in fp32, made on the CPU, in evaluation mode; whoever changes it changes it for all."""
        return build_model(self.tensors, self.architecture)

    @property
    def state(self) -> Tensors:
        """The image model's tensors in transformers' layout, as they are now."""
        return self.model.state_dict() if "model" in self.__dict__ else self.tensors


def load_model(
    source: str | Path = DEFAULT_MODEL,
    *,
    architecture: str | None = None,
    cache_dir: str | Path | None = None,
    offline: bool | None = None,
) -> LoadedModel:
    """Load a model by configuration name or from a file or directory.

    Args:
        source: configuration name with or without `.yaml`, or a path as in `load_checkpoint`. A plain name means the configuration even if a
            file of this name lies in the working directory.
        architecture: configuration name that a path should fit; recognised where not given.
        cache_dir: where downloaded weights are kept; see `default_cache_dir`.
        offline: never download; by default what `SAM2_ADAPTER_OFFLINE` and `HF_HUB_OFFLINE` say.

    Raises:
        ConfigError: unknown configuration name, or an argument of another kind.
        WeightsNotFoundError: no such file, or the weights could not be fetched.
        CheckpointError: the weights are damaged or do not fit.
    """
    if not isinstance(source, str) or not source:
        source = path_of(source, "model", "a weights file or directory, or the name of a model")
    if offline is not None:
        truth_value(offline, "offline")
    if cache_dir is not None:
        path_of(cache_dir, "cache_dir", "a folder for weights that are fetched")
    checkpoint = _load(source, architecture, cache_dir, offline)
    return LoadedModel(
        # Copied: the checkpoint's tensors may be a view of a file, which could change under the model.
        tensors={name: tensor.clone() for name, tensor in checkpoint.state.items()},
        architecture=checkpoint.architecture,
        name=_text_or_none(checkpoint.metadata.get("name")) or checkpoint.name,
        path=checkpoint.path,
        weights_sha256=checkpoint.weights_sha256,
        resize=_resize_of(checkpoint),
        metadata=checkpoint.metadata,
        video_tensors=checkpoint.video_tensors,
    )


def _load(
    source: str | Path, architecture: str | None, cache_dir: str | Path | None, offline: bool | None
) -> LoadedCheckpoint:
    if not _is_name(source):
        return load_checkpoint(source, architecture)
    named = get_architecture(str(source))
    if architecture is not None and get_architecture(architecture) is not named:
        raise ConfigError(
            f"architecture = {shown(architecture)} says what a weights file fits, but {shown(str(source))} is the name of another model; "
            "leave one of them out."
        )
    if named.weights is None:
        return _load_bundled(named)
    return load_checkpoint(find_or_fetch_weights(named, cache_dir=cache_dir, offline=offline), named)


def _is_name(source: str | Path) -> bool:
    if isinstance(source, Path):
        return False
    if source.removesuffix(".yaml") in architecture_names():
        return True
    path = Path(source)
    return not os.path.exists(path) and path.name == source and path.suffix not in _WEIGHT_SUFFIXES


def _load_bundled(architecture: Architecture) -> LoadedCheckpoint:
    bundled = resources.files("sam2_adapter").joinpath("assets", f"{architecture.name}.safetensors")
    if not bundled.is_file():
        raise WeightsNotFoundError(f"The bundled weights {bundled} are missing; install sam2-adapter again.")
    with resources.as_file(bundled) as path:
        return load_checkpoint(path, architecture)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _text_or_none(value: Any) -> str | None:
    """A name from a file, on one line and not longer than names are."""
    return cut(printable(value)) if isinstance(value, str) and value.strip() else None


def _window_of(saved: Any, path: Path) -> ModelWindow | None:
    if saved is None:
        return None
    try:
        sizes, pixels = saved["object_sizes"], saved["pixels"]
        if isinstance(sizes, int | float) and type(pixels) is int:
            return ModelWindow(float(sizes), pixels)
    except (ConfigError, TypeError, KeyError, IndexError, OverflowError):
        pass
    raise CheckpointError(
        f"{path} was saved with window = {shown(saved)}; expected its object_sizes and pixels, numbers in their ranges."
    )


def _resize_of(checkpoint: LoadedCheckpoint) -> Resize:
    resize = checkpoint.metadata.get("resize", "stretch")
    if resize not in ("stretch", "pad"):
        raise CheckpointError(
            f"{checkpoint.path} was saved with resize = {shown(resize)}; expected 'stretch' or 'pad'."
        )
    return resize  # type: ignore[no-any-return]
