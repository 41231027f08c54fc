"""`fine_tune`, all that `train` on the command line does: data set and model in, a folder with the tuned model out.

For example:

    result = fine_tune("my_data", "run", Config(preset="recommended"))
    predictor = load_predictor(result.model_path)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sam2_adapter.config import Config, given_config
from sam2_adapter.formats.load import DataFormat, load_configured_dataset
from sam2_adapter.models.load import load_model
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.ownership import Ownership
from sam2_adapter.training.events import DataRead, OnEvent, is_first_process
from sam2_adapter.training.records import METRICS_NAME, METRICS_TABLE_NAME, REPORT_NAME, TrainingResult
from sam2_adapter.training.run_files import CHECKPOINT_FOLDER, TENSORBOARD_FOLDER, claim_nothing
from sam2_adapter.training.run_state import STATE_NAME, checkpoint_paths
from sam2_adapter.training.setup import EMBEDDINGS_FOLDER
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
    overwrite: bool = False,
    on_event: OnEvent | None = None,
) -> TrainingResult:
    """Read a data set, fine-tune a model on its `train` split and choose the best by its `validation` split.

    Args:
        data: data set, as in `load_dataset`.
        output_dir: folder of the run; empty or not there, unless the run in it is resumed or replaced.
        config: all settings. Where `resize` is not set, the model's own is kept.
        model: what to start from, as in `load_model`; by default `config.model_cfg`.
        name: as in `train`.
        data_format: as in `load_dataset`.
        embeddings_dir: as in `train`.
        resume: as in `train`.
        overwrite: replace the run that is in `output_dir`.
        on_event: told what goes on, in the first process; see `events`.

    Raises:
        DataError: the data set cannot be read, or lacks one of the two splits.
        CheckpointError: the model cannot be read.
        OutputExistsError: `output_dir` holds something else, or a run that is neither resumed nor replaced.
        FolderInUseError: another command works in `output_dir`.
        TrainingError: as in `train`.
    """
    config, output_dir = given_config(config), Path(output_dir)
    with _opened(output_dir, (data, model, embeddings_dir), resume, overwrite) as folder:
        dataset = load_configured_dataset(data, config, data_format)
        if on_event is not None and is_first_process():
            on_event(DataRead(dataset))
        training, validation = dataset.samples("train"), dataset.samples("validation")
        loaded = load_model(model or config.model_cfg)
        if "resize" not in config.model_fields_set:
            config = config.model_copy(update={"resize": loaded.resize})
        if folder is not None:
            folder.begin(_entries(config, embeddings_dir))
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
            claim=folder.claim if folder is not None else claim_nothing,
            on_event=on_event,
        )


def _opened(
    output_dir: Path, inputs: Sequence[str | Path | None], resume: bool, overwrite: bool
) -> AbstractContextManager[OwnedFolder | None]:
    """The folder of the run, checked and locked by the first process; the others follow it."""
    if not is_first_process():
        return nullcontext()
    read = [path for path in inputs if path is not None]
    return OwnedFolder(
        output_dir, "train", resume=resume, overwrite=overwrite, inputs=read, recognise=run_of_version_0_1
    )


def _entries(config: Config, embeddings_dir: str | Path | None) -> list[str]:
    """The top-level names that a run writes."""
    entries = [config.save_model_name, REPORT_NAME, METRICS_NAME, METRICS_TABLE_NAME, CHECKPOINT_FOLDER]
    entries += [EMBEDDINGS_FOLDER] if embeddings_dir is None and config.disk_mib else []
    return entries + ([TENSORBOARD_FOLDER] if config.tensorboard else [])


_FILES_OF_VERSION_0_1 = frozenset({REPORT_NAME, METRICS_NAME, METRICS_TABLE_NAME})
_FOLDERS_OF_VERSION_0_1 = frozenset({CHECKPOINT_FOLDER, EMBEDDINGS_FOLDER, TENSORBOARD_FOLDER})


def run_of_version_0_1(directory: Path, found: Collection[str]) -> Ownership | None:
    """The run that version 0.1 has left in a folder, which marked nothing: a model, a report, figures, checkpoints, and no more."""
    names = set(found)
    models = {name for name in names if name.endswith(".torch") and not name.startswith(".")}
    known = _FILES_OF_VERSION_0_1 | _FOLDERS_OF_VERSION_0_1 | models
    if not names <= known or len(models) > 1 or not names & {CHECKPOINT_FOLDER, METRICS_NAME}:
        return None
    files = [name for name in names if name in _FILES_OF_VERSION_0_1 | models]
    files += [f"{CHECKPOINT_FOLDER}/{path.name}" for path in checkpoint_paths(directory / CHECKPOINT_FOLDER)]
    files += [f"{CHECKPOINT_FOLDER}/{STATE_NAME}"]
    return Ownership("train", frozenset(names), lambda: files)
