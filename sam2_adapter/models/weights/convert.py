"""Checkpoints between Meta's layout and transformers'."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from sam2_adapter.errors import CheckpointError, ExportError, OutputExistsError
from sam2_adapter.files import refuse_to_replace
from sam2_adapter.models.families.architectures import family_of
from sam2_adapter.models.families.base import Architecture
from sam2_adapter.models.families.names import Tensors
from sam2_adapter.models.network.preprocess import PIXEL_MEAN, PIXEL_STD
from sam2_adapter.models.weights.checkpoint import LoadedCheckpoint, load_checkpoint, save_checkpoint
from sam2_adapter.models.weights.checks import honest_name
from sam2_adapter.models.weights.tensor_files import (
    CONFIG_NAME,
    SAFETENSORS_SUFFIX,
    WRITE_ERRORS,
    told_write_error,
    write_directory,
)

logger = logging.getLogger(__name__)

# Files of these names may be replaced where that is asked for.
_WEIGHTS_SUFFIXES = ("", ".bin", ".ckpt", ".pt", ".pth", ".torch")

# ultralytics builds SAM2.1 whenever this stands anywhere in the path that it is given (`ultralytics/models/sam/build.py`).
_ULTRALYTICS_MARK_OF_2_1 = "sam2.1"


def convert_checkpoint(
    source: str | Path,
    target: str | Path,
    *,
    to: Literal["meta", "transformers"] = "meta",
    for_ultralytics: bool = False,
    video_tensors: str | Path | None = None,
    architecture: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a checkpoint in another layout; every value stays bit for bit what it was.

    Args:
        source: a file or directory as in `load_checkpoint`.
        target: the file for Meta's layout (or an existing directory to put it in), or the new directory for transformers'.
        to: the layout to write.
        for_ultralytics: write Meta's layout under the file name by which ultralytics knows the model; `target` is a directory or that name.
        video_tensors: a full checkpoint of the same model to take the video-memory tensors from, for a source without them.
        architecture: configuration name of the source; recognised where not given.
        overwrite: replace the target file, or a target directory that an earlier call has written.

    Returns:
        The file or directory that was written.

    Raises:
        OutputExistsError: the target is there already; one that is no weights file by its name also with `overwrite`.
        ExportError: the target cannot be written.
        CheckpointError: the source does not fit, has no video-memory tensors and Meta's layout needs them, or the target will not do.
    """
    if for_ultralytics and to != "meta":
        raise CheckpointError(
            "ultralytics reads Meta's layout only; leave out the transformers layout or the name for ultralytics."
        )
    checkpoint = load_checkpoint(source, architecture)
    found, video = _with_video_tensors(checkpoint, video_tensors)
    try:
        if to == "transformers":
            _write_transformers(Path(target), checkpoint, found, video, overwrite)
            return Path(target)
        path = _ultralytics_path(Path(target), found) if for_ultralytics else meta_path(Path(target), found)
        check_target_file(path, overwrite)
        metadata = free_metadata(checkpoint.metadata)
        save_checkpoint(path, checkpoint.state, found, video_tensors=video, metadata=metadata)
    except WRITE_ERRORS as error:
        raise ExportError(f"{target}: cannot write here: {told_write_error(error)}. Choose another place.") from error
    return path


def check_target_file(path: Path, overwrite: bool) -> None:
    """Refuse a name of another kind of file, and one that is there and is not to be replaced."""
    if path.suffix.lower() == SAFETENSORS_SUFFIX:
        raise CheckpointError(
            f"{path}: Meta's layout is a file of PyTorch, which no reader of safetensors opens. Name it {path.stem}.pt."
        )
    if not overwrite:
        refuse_to_replace(path)
    if os.path.lexists(path) and path.suffix.lower() not in _WEIGHTS_SUFFIXES:
        raise OutputExistsError(f"{path} exists already and is no weights file by its name. Name another file.")


def _with_video_tensors(checkpoint: LoadedCheckpoint, donor_path: str | Path | None) -> tuple[Architecture, Tensors]:
    if donor_path is None or checkpoint.video_tensors:
        return checkpoint.architecture, checkpoint.video_tensors
    donor = load_checkpoint(donor_path)
    if not donor.video_tensors:
        raise CheckpointError(
            f"{donor_path} has no video-memory tensors either; name a full checkpoint from Meta or the hub."
        )
    wanted = checkpoint.architecture
    known_family = wanted.family if checkpoint.family_known else None
    other_family = known_family not in (None, donor.architecture.family)
    if donor.architecture.image_model != wanted.image_model or other_family:
        raise CheckpointError(
            f"{donor_path} holds the video-memory tensors of {donor.name}, but {checkpoint.path} is {checkpoint.name}. "
            "Name a full checkpoint of the same model."
        )
    return donor.architecture, donor.video_tensors


def _write_transformers(
    target: Path, checkpoint: LoadedCheckpoint, architecture: Architecture, video: Tensors, overwrite: bool
) -> None:
    dtype = str(next(iter(checkpoint.state.values())).dtype).removeprefix("torch.")
    config = family_of(architecture).config_json(architecture, dtype, bool(video))
    # Cloned: safetensors refuses tensors that share memory, such as the positional matrix and its copy.
    tensors = {name: tensor.clone().contiguous() for name, tensor in {**checkpoint.state, **video}.items()}
    documents = {CONFIG_NAME: config, **_processor_documents(architecture, bool(video))}
    write_directory(target, tensors, documents, _json_metadata(checkpoint.metadata), overwrite=overwrite)
    if checkpoint.metadata.get("resize") == "pad":
        logger.warning("This model was trained with resize = 'pad'; transformers' processor stretches images.")


def _processor_documents(architecture: Architecture, with_video: bool) -> dict[str, str]:
    """What `Sam2Processor.from_pretrained` and `Sam2VideoProcessor.from_pretrained` read, as the hub's repositories have it."""
    processor = "Sam2VideoProcessor" if with_video else "Sam2Processor"
    side, mask_side = architecture.image_size, architecture.low_res_mask_size
    images = {
        "image_processor_type": "Sam2ImageProcessor",
        "processor_class": processor,
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": side, "width": side},
        "mask_size": {"height": mask_side, "width": mask_side},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(PIXEL_MEAN),
        "image_std": list(PIXEL_STD),
    }
    documents = {
        "preprocessor_config.json": images,
        "processor_config.json": {"processor_class": processor, "target_size": side, "point_pad_value": -10},
    }
    if with_video:
        videos = {key: value for key, value in images.items() if key not in ("image_processor_type", "mask_size")}
        documents["video_preprocessor_config.json"] = {"video_processor_type": "Sam2VideoVideoProcessor", **videos}
    return {name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}


def meta_path(target: Path, architecture: Architecture) -> Path:
    """The file to write in Meta's layout: the target, or one inside it where it is a directory."""
    if not target.is_dir():
        return target
    return target / (architecture.weights.file_name if architecture.weights else f"{architecture.name}.pt")


def _ultralytics_path(target: Path, architecture: Architecture) -> Path:
    if architecture.weights is None:
        raise CheckpointError(f"ultralytics knows no model {architecture.name}; it knows the eight official ones.")
    name = architecture.weights.ultralytics_name
    path = target if target.name == name else target / name
    if target.suffix and target.name != name and not target.is_dir():
        raise CheckpointError(
            f"ultralytics tells models by their file name: call the target {name}, not {target.name}."
        )
    directory = str(path.parent)
    if _ULTRALYTICS_MARK_OF_2_1 in directory and _ULTRALYTICS_MARK_OF_2_1 not in name:
        raise CheckpointError(
            f"ultralytics would take {path} for SAM2.1, because of {_ULTRALYTICS_MARK_OF_2_1!r} in the name of its directory, but it is "
            f"{honest_name(architecture, family_known=True)}. Use a directory without it."
        )
    return path


def free_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What callers stored: `save_checkpoint` adds the rest again."""
    return {
        key: value for key, value in metadata.items() if key not in ("format_version", "architecture", "weights_sha256")
    }


def _json_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a safetensors header can hold: everything but tensors."""
    return {key: value for key, value in metadata.items() if not _holds_tensor(value)}


def _holds_tensor(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_tensor, value.values()))
    return any(map(_holds_tensor, value)) if isinstance(value, list | tuple) else isinstance(value, torch.Tensor)
