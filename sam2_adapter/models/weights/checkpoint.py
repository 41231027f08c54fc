"""Checkpoints: read strictly from any layout, kept in transformers', written in Meta's.

A file that this package writes is `{"model": Meta's state dict, "format_version": ..., ...}`: Meta's own code and ultralytics read the part
under `"model"` and ignore the rest, which are plain values only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from sam2_adapter.errors import CheckpointError, ConfigError
from sam2_adapter.models.families.architectures import (
    architecture_from_config,
    architecture_from_dict,
    architecture_names,
    family_of,
    get_architecture,
    official_names,
    twin_of,
)
from sam2_adapter.models.families.base import Architecture, Layout
from sam2_adapter.models.families.names import (
    Tensors,
    is_video_tensor,
    layout_of,
    name_to_transformers,
    tensors_to_meta,
    tensors_to_transformers,
    with_positions_copy,
)
from sam2_adapter.models.families.shared import POSITIONS, POSITIONS_COPY
from sam2_adapter.models.weights.checks import check_tensors, family_of_video_tensors, honest_name, recognise
from sam2_adapter.models.weights.other_models import other_model
from sam2_adapter.models.weights.tensor_files import TensorFile, read_tensor_file, write_torch_file
from sam2_adapter.models.weights.wrappers import without_prefixes
from sam2_adapter.text import shown

if TYPE_CHECKING:
    from transformers import Sam2Model

FORMAT_VERSION = 1

# Keys of our files that callers' metadata may not use.
_RESERVED = ("model", "format_version", "architecture", "weights_sha256")

_PLAIN = (str, int, float, bool, type(None), torch.Tensor)


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """The weights of one model.

    Attributes:
        path: where they were read from.
        layout: whose names the file uses.
        architecture: what they are weights of.
        family_known: whether SAM2 and SAM2.1 could be told apart; if not, `architecture` is the SAM2 one.
        state: image model in transformers' layout, in the file's number format.
        video_tensors: video memory in transformers' layout, kept for writing back; empty where the file has none.
        metadata: plain values that were saved beside the weights by this package.
        weights_sha256: identity of the image model's values, the same in any layout and number format that holds them exactly.
    """

    path: Path
    layout: Layout
    architecture: Architecture
    family_known: bool
    state: Tensors
    video_tensors: Tensors
    metadata: dict[str, Any]
    weights_sha256: str

    @property
    def name(self) -> str:
        """The configuration name; both names where the file does not tell SAM2 from SAM2.1."""
        return honest_name(self.architecture, self.family_known)


def load_checkpoint(path: str | Path, architecture: str | Architecture | None = None) -> LoadedCheckpoint:
    """Read weights strictly: what does not fit exactly is refused.

    Args:
        path: Meta's or our `.pt`/`.torch` file, a `.safetensors` file, or a directory that transformers saved.
        architecture: what the weights should be; told by the file's metadata, its `config.json` or its shapes where not given.

    Raises:
        WeightsNotFoundError: there is no such file.
        CheckpointError: the file is damaged, unsafe, newer than this version, or does not fit.
        ConfigError: `architecture` is unknown.
    """
    file = read_tensor_file(Path(path))
    if other := other_model(file.tensors):
        raise CheckpointError(
            f"{path} holds {other}; sam2-adapter runs SAM2 and SAM2.1 ({', '.join(official_names())})."
        )
    file = replace(file, tensors=without_prefixes(file.tensors, str(path)))
    layout = layout_of(file.tensors)
    if layout is None:
        names = ", ".join(name[:80] for name in list(file.tensors)[:3])
        raise CheckpointError(f"{path} holds no SAM2 model: its tensors are {names}, ...")
    metadata = _own_metadata(file)
    tensors = with_positions_copy(file.tensors) if layout == "transformers" else file.tensors
    found, family_known = _architecture_of(file, layout, metadata, architecture)
    family = _family_of(tensors, layout)
    found = _with_family(found, family, family_known, file)
    check_tensors(tensors, found, layout, family is not None, str(path))
    state = tensors if layout == "transformers" else tensors_to_transformers(tensors)[0]
    return _checked_checkpoint(file.path, layout, found, family_known or family is not None, state, metadata)


class NoFirstValues(TorchFunctionMode):
    """Linear layers, convolutions and embeddings made within, in this thread, get no first values: they hold whatever the memory holds.

    Together with `torch.device("meta")` a model whose weights are at hand takes about half of the time to build.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Give back the tensor that a function of `torch.nn.init` was to fill, and call every other function."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def build_model(tensors: Mapping[str, torch.Tensor], architecture: Architecture) -> Sam2Model:
    """Build the image model of tensors in transformers' layout, in fp32 on the CPU and in evaluation mode; those in fp32 are shared with it."""
    with torch.device("meta"), NoFirstValues():
        model: Any = family_of(architecture).build(architecture)
    state = {name: tensor.to(torch.float32).contiguous() for name, tensor in tensors.items()}
    model.load_state_dict(state, strict=True, assign=True)
    model.train(False)
    return model  # type: ignore[no-any-return]


def save_checkpoint(
    path: str | Path,
    state: Mapping[str, torch.Tensor],
    architecture: Architecture,
    *,
    video_tensors: Mapping[str, torch.Tensor] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Write weights in Meta's layout, completely or not at all.

    Args:
        path: the file, `.pt` or `.torch`.
        state: image model in transformers' layout, such as `model.state_dict()`.
        architecture: what the weights are.
        video_tensors: video memory in transformers' layout, such as `LoadedCheckpoint.video_tensors`.
        metadata: plain values to store beside the weights.

    Returns:
        The identity of the weights, `weights_sha256`.

    Raises:
        CheckpointError: the tensors do not fit, video tensors are needed and missing, or the metadata are not plain values.
    """
    complete = {**with_positions_copy(state), **(video_tensors or {})}
    require_video_tensors(architecture, video_tensors, str(path))
    check_tensors(complete, architecture, "transformers", bool(video_tensors), f"What should be written to {path}")
    extra = dict(metadata or {})
    _require_plain(extra)
    identity = weights_sha256(complete)
    meta_tensors, _ = tensors_to_meta(complete)
    content = {
        "model": {name: _own_copy(tensor) for name, tensor in meta_tensors.items()},
        "format_version": FORMAT_VERSION,
        "architecture": architecture.to_dict(),
        "weights_sha256": identity,
        **extra,
    }
    write_torch_file(Path(path), content)
    return identity


def require_video_tensors(
    architecture: Architecture, video_tensors: Mapping[str, torch.Tensor] | None, target: str
) -> None:
    """Refuse to write an official model without its video memory; call it before work whose result is to be saved.

    Raises:
        CheckpointError: Meta's files of this architecture hold video-memory tensors, and there are none.
    """
    if architecture.has_video_model and not video_tensors:
        raise CheckpointError(
            f"{target} cannot be written in Meta's layout: the source of {honest_name(architecture)} holds the image model only, but Meta's "
            "code and ultralytics load these files strictly, video-memory tensors included. Take them from a full checkpoint of the same "
            "model with --video-tensors FILE."
        )


def weights_sha256(state: Mapping[str, torch.Tensor]) -> str:
    """Identity of the image model in transformers' layout: a hash of its names, shapes and values as fp32."""
    digest = hashlib.sha256()
    for name in sorted(state):
        # The copy of the positional matrix says nothing new and is absent in Meta's files.
        if is_video_tensor(name) or name == POSITIONS_COPY:
            continue
        values = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name} {tuple(values.shape)}\n".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def _checked_checkpoint(
    path: Path,
    layout: Layout,
    architecture: Architecture,
    family_known: bool,
    tensors: Tensors,
    metadata: dict[str, Any],
) -> LoadedCheckpoint:
    if not torch.equal(tensors[POSITIONS], tensors[POSITIONS_COPY]):
        raise CheckpointError(f"{path}: {POSITIONS} and {POSITIONS_COPY} differ, but are one matrix in SAM2.")
    state = {name: tensor for name, tensor in tensors.items() if not is_video_tensor(name)}
    video_tensors = {name: tensor for name, tensor in tensors.items() if is_video_tensor(name)}
    identity = weights_sha256(state)
    if metadata.get("weights_sha256", identity) != identity:
        raise CheckpointError(
            f"{path} is damaged: its weights are not those that were saved. Use a backup, or write it again."
        )
    return LoadedCheckpoint(path, layout, architecture, family_known, state, video_tensors, metadata, identity)


def _own_metadata(file: TensorFile) -> dict[str, Any]:
    version = file.metadata.get("format_version")
    if version is None:
        return {}  # not written by this package: what stands beside the weights is none of ours
    if not isinstance(version, int) or not 1 <= version < 1_000_000:
        raise CheckpointError(f"{file.path} has format_version {shown(version)}; expected a whole number from 1.")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{file.path} was written by a newer sam2-adapter (format_version {version}; this one reads up to {FORMAT_VERSION}). "
            "Upgrade sam2-adapter to open it."
        )
    return file.metadata


def _architecture_of(
    file: TensorFile, layout: Layout, metadata: Mapping[str, Any], named: str | Architecture | None
) -> tuple[Architecture, bool]:
    """The architecture, and whether its family is certain apart from the video tensors."""
    told = _told_architecture(file, metadata)
    if named is not None:
        wanted = get_architecture(named) if isinstance(named, str) else named
        if told is not None and told.image_model != wanted.image_model:
            raise CheckpointError(f"{file.path} says that it is {told.name}, not {wanted.name}.")
        return wanted, True
    if told is not None:
        return told, twin_of(told) is None or bool(metadata) or _is_video_config(file)
    recognised = recognise({name: tuple(tensor.shape) for name, tensor in file.tensors.items()}, layout)
    if recognised is None:
        raise CheckpointError(
            f"{file.path} holds a SAM2 model of unknown size: its shapes fit none of {', '.join(architecture_names())}. "
            "Open it from a directory with its config.json."
        )
    return recognised, twin_of(recognised) is None


def _told_architecture(file: TensorFile, metadata: Mapping[str, Any]) -> Architecture | None:
    try:
        if "architecture" in metadata:
            told = architecture_from_dict(metadata["architecture"])
            known = get_architecture(told.name) if told.name in architecture_names() else told
            return known if known.image_model == told.image_model else told
        return architecture_from_config(file.config) if file.config is not None else None
    except ConfigError as error:
        raise CheckpointError(f"{file.path}: {error}") from error


def _is_video_config(file: TensorFile) -> bool:
    return file.config is not None and str(file.config.get("model_type")).endswith("_video")


def _family_of(tensors: Tensors, layout: Layout) -> str | None:
    names = (
        list(tensors)
        if layout == "transformers"
        else [renamed for name in tensors if (renamed := name_to_transformers(name))]
    )
    return family_of_video_tensors(names)


def _with_family(architecture: Architecture, family: str | None, family_known: bool, file: TensorFile) -> Architecture:
    if family is None or family == architecture.family:
        return architecture
    if family_known and architecture.family is not None:
        raise CheckpointError(
            f"{file.path} holds the video-memory tensors of a {family} model, so it is not {architecture.name}."
        )
    return twin_of(architecture) or replace(architecture, family=family)


def _require_plain(metadata: Mapping[str, Any]) -> None:
    reserved = [key for key in metadata if key in _RESERVED]
    if reserved:
        raise CheckpointError(f"Metadata may not use the reserved keys {', '.join(reserved)}.")
    for key, value in metadata.items():
        if not isinstance(key, str) or not _is_plain(value):
            raise CheckpointError(
                f"Metadata {key!r} is not made of plain values (str, int, float, bool, list, dict, tensor)."
            )


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return type(value) in _PLAIN


def _own_copy(tensor: torch.Tensor) -> torch.Tensor:
    # torch.save writes the whole storage behind a view.
    return tensor.detach().to("cpu", copy=True).contiguous()
