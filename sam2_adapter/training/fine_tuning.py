"""`fine_tune`, all that `train` on the command line does: data set and model in, a folder with the tuned model out.

For example:

    result = fine_tune("my_data", "run", Config(preset="recommended"))
    predictor = load_predictor(result.model_path)
"""

from __future__ import annotations

from pathlib import Path

from sam2_adapter.config import Config
from sam2_adapter.errors import TrainingError
from sam2_adapter.formats.load import DataFormat, load_configured_dataset
from sam2_adapter.models.load import load_model
from sam2_adapter.training.events import DataRead, OnEvent
from sam2_adapter.training.processes import is_first_process
from sam2_adapter.training.records import TrainingResult
from sam2_adapter.training.trainer import train


def fine_tune(
    data: str | Path,
    output_dir: str | Path,
    config: Config | None = None,
    *,
    model: str | Path | None = None,
    name: str | None = None,
    data_format: DataFormat | None = None,
    embeddings_dir: str | Path | None = None,
    resume: bool = False,
    on_event: OnEvent | None = None,
) -> TrainingResult:
    """Read a data set, fine-tune a model on its `train` split and choose the best by its `validation` split.

    Args:
        data: data set, as in `load_dataset`.
        output_dir: folder of the run; empty or not there, unless the run in it is resumed.
        config: all settings. Where `resize` is not set, the model's own is kept.
        model: what to start from, as in `load_model`; by default `config.model_cfg`.
        name: as in `train`.
        data_format: as in `load_dataset`.
        embeddings_dir: as in `train`.
        resume: as in `train`.
        on_event: told what goes on, in the first process; see `events`.

    Raises:
        DataError: the data set cannot be read, or lacks one of the two splits.
        CheckpointError: the model cannot be read.
        TrainingError: `output_dir` is in use, or as in `train`.
    """
    config, output_dir = config or Config(), Path(output_dir)
    if is_first_process():
        _require_folder(output_dir, resume)
    dataset = load_configured_dataset(data, config, data_format)
    if on_event is not None and is_first_process():
        on_event(DataRead(dataset))
    training, validation = dataset.samples("train"), dataset.samples("validation")
    loaded = load_model(model or config.model_cfg)
    if "resize" not in config.model_fields_set:
        config = config.model_copy(update={"resize": loaded.resize})
    return train(
        loaded,
        training,
        validation,
        output_dir,
        config,
        name=name,
        data=f"{Path(data).resolve().name} ({dataset.data_format.replace('_', ' ')})",
        embeddings_dir=embeddings_dir,
        left_out=dataset.left_out,
        resume=resume,
        on_event=on_event,
    )


def _require_folder(output_dir: Path, resume: bool) -> None:
    """Refuse before the work starts what `train` would refuse after encoding all images."""
    if output_dir.exists() and not output_dir.is_dir():
        raise TrainingError(f"{output_dir} is a file. Name a folder for the run.")
    if output_dir.is_dir() and not resume and any(output_dir.iterdir()):
        raise TrainingError(
            f"{output_dir} is not empty. Go on with the run in it (--resume), or name another output folder."
        )
