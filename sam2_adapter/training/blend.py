"""Blending: weights between the untouched model's and the tuned one's, which keep much of what both can do.

Weights that began alike can be averaged (Wortsman et al., Robust fine-tuning of zero-shot models, https://arxiv.org/abs/2109.01903). Only
what fine-tuning trains differs between the two; the image encoder has to be the same, bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from sam2_adapter.errors import CheckpointError, ConfigError, ExportError, OutputExistsError
from sam2_adapter.models.load import LoadedModel, load_model
from sam2_adapter.models.weights.checkpoint import save_checkpoint
from sam2_adapter.models.weights.convert import check_target_file, free_metadata, meta_path
from sam2_adapter.models.weights.tensor_files import WRITE_ERRORS, told_write_error
from sam2_adapter.training.forward import trained_names
from sam2_adapter.training.saving import PROOF_KEY, Prover

# Key of the share among a model's metadata.
BLEND_KEY = "blend"


def blended(
    untouched: Mapping[str, torch.Tensor], tuned: Mapping[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """`share` of the tuned values and 1 - `share` of the untouched ones; at 0 and 1 exactly the one or the other.

    Args:
        untouched: values by name.
        tuned: values of the same names and shapes.
        share: of the tuned values, 0..1.
    """
    return {name: torch.lerp(untouched[name].float(), value.float(), share) for name, value in tuned.items()}


def blend_checkpoints(
    base: str | Path, tuned: str | Path, share: float, output: str | Path, *, overwrite: bool = False
) -> Path:
    """Write the blend of a model and of one that was tuned from it, in Meta's layout.

    Args:
        base: the untouched model, as in `load_model`.
        tuned: the tuned one; its name, settings and `resize` are kept.
        share: of the tuned weights, 0..1.
        output: the file, or a directory to put it in.
        overwrite: replace a weights file of this name.

    Returns:
        The file that was written.

    Raises:
        ConfigError: a share outside of 0..1.
        CheckpointError: one of the two cannot be read, or they are different models or have different image encoders.
        OutputExistsError: the output is there already, or is one of the two.
        ExportError: the output cannot be written.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ConfigError(f"The share of the tuned weights is a number from 0 to 1, but got {share!r}.")
    first, second = load_model(base), load_model(tuned)
    _require_alike(first, second)
    path = meta_path(Path(output), second.architecture)
    check_target_file(path, overwrite)
    _refuse_inputs(path, first, second)
    names = trained_names(second.model)
    values = blended(
        {name: first.state[name] for name in names}, {name: second.state[name] for name in names}, float(share)
    )
    with torch.no_grad():
        for name, parameter in second.model.named_parameters():
            if name in values:
                parameter.copy_(values[name])
    metadata = {
        **free_metadata(second.metadata),
        "name": f"{second.name} (blend {share:g})",
        "resize": second.resize,
        "base": {"name": first.name, "weights_sha256": first.weights_sha256},
        BLEND_KEY: {"share": float(share), "tuned_sha256": second.weights_sha256},
        PROOF_KEY: Prover(second).prove(),
    }
    try:
        video = second.video_tensors or first.video_tensors or None
        save_checkpoint(path, second.state, second.architecture, video_tensors=video, metadata=metadata)
    except WRITE_ERRORS as error:
        raise ExportError(f"{output}: cannot write here: {told_write_error(error)}. Choose another place.") from error
    return path


def _require_alike(base: LoadedModel, tuned: LoadedModel) -> None:
    """Refuse two models that do not share all that fine-tuning leaves as it is."""
    if base.architecture.image_model != tuned.architecture.image_model:
        raise CheckpointError(
            f"{tuned.path} is {tuned.architecture.name}, but {base.path} is {base.architecture.name}: only a model and one that was tuned "
            "from it can be blended."
        )
    trained = set(trained_names(tuned.model))
    others = [name for name in tuned.state if name not in trained]
    different = [name for name in others if not torch.equal(base.state[name].float(), tuned.state[name].float())]
    if different:
        raise CheckpointError(
            f"{tuned.path} and {base.path} have different image encoders ({len(different)} of {len(others)} tensors, such as "
            f"{different[0]}): a blend of their decoders would fit neither. Name the model that {tuned.path.name} was tuned from."
        )


def _refuse_inputs(path: Path, *models: LoadedModel) -> None:
    for model in models:
        if path.exists() and model.path.exists() and os.path.samefile(path, model.path):
            raise OutputExistsError(f"{path} is one of the two models that are blended. Name another file.")
