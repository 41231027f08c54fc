"""The weights of a model entity: its own trained ones where it has them, else the published ones."""

from __future__ import annotations

from pathlib import Path

from sam2_adapter.dataloop.settings import WEIGHTS_KEY, Settings
from sam2_adapter.errors import CheckpointError
from sam2_adapter.models.load import LoadedModel, load_model
from sam2_adapter.models.weights.checkpoint import save_checkpoint

# What a saved file says about itself; written again by every save.
_OWN_KEYS = ("model", "format_version", "architecture", "weights_sha256")


def load_weights(folder: Path, settings: Settings) -> LoadedModel:
    """Load the model that belongs to a configuration.

    Args:
        folder: where the model's artifacts lie.
        settings: names the architecture and the file, and the identity of what was trained.

    Raises:
        CheckpointError: the file is of another architecture, not the weights that this model was trained to, or missing.
    """
    config = settings.config
    path = folder / config.save_model_name
    expected = settings.weights_sha256
    if not path.is_file():
        if expected is None:
            return load_model(config.model_cfg)
        raise CheckpointError(
            f"This model was trained, but its artifacts hold no {config.save_model_name!r}. Set save_model_name to the name of its weights "
            f"file, or remove {WEIGHTS_KEY} from the configuration to start from the published weights."
        )
    loaded = load_model(path, architecture=config.model_cfg)
    if expected is not None and loaded.weights_sha256 != expected:
        raise CheckpointError(
            f"The artifact {path.name!r} holds the weights {loaded.weights_sha256[:12]} of another model; this one was trained to "
            f"{expected[:12]}. Upload its own weights again, or remove {WEIGHTS_KEY} from the configuration to accept these."
        )
    return loaded


def save_weights(loaded: LoadedModel, path: Path) -> None:
    """Write a model in the layout that `load_weights` reads, complete or not at all."""
    metadata = {key: value for key, value in loaded.metadata.items() if key not in _OWN_KEYS}
    save_checkpoint(
        path,
        loaded.state,
        loaded.architecture,
        video_tensors=loaded.video_tensors or None,
        metadata={**metadata, "resize": loaded.resize},
    )
