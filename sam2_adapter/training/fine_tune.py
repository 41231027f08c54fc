"""`fine_tune`, all that `train` on the command line does: data set and model in, a folder with the tuned model out.

For example:

    result = fine_tune("my_data", "run", Config(preset="recommended"))
    predictor = load_predictor(result.model_path)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sam2_adapter.arguments import call_or_none, named_text, path_of, truth_value
from sam2_adapter.config import Config, given_config
from sam2_adapter.errors import ConfigError, DataError
from sam2_adapter.formats.load import DataFormat, load_configured_dataset
from sam2_adapter.models.load import load_model
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.training.events import DataRead, OnEvent, is_first_process
from sam2_adapter.training.records import TrainingResult
from sam2_adapter.training.run_files import claim_nothing, entries_of_run, run_of_version_0_1
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
        config: all settings. Where `resize` or `window` is not set, the model's own is kept.
        model: what to start from, as in `load_model`; by default `config.model_cfg`.
        name: as in `train`.
        data_format: as in `load_dataset`.
        embeddings_dir: as in `train`.
        resume: as in `train`.
        overwrite: replace the run that is in `output_dir`.
        on_event: told what goes on, in the first process; see `events`.

    Raises:
        ConfigError: an argument is of another kind, or both `resume` and `overwrite` are set.
        DataError: the data set cannot be read, or lacks one of the two splits.
        CheckpointError: the model cannot be read.
        OutputExistsError: `output_dir` holds something else, or a run that is neither resumed nor replaced.
        FolderInUseError: another command works in `output_dir`.
        TrainingError: as in `train`.
    """
    config, output_dir = given_config(config), path_of(output_dir, "output_dir", "a folder for the run")
    path_of(data, "data", "a data set", DataError)
    for argument, value, what in (
        ("model", model, "a model, or its name"),
        ("embeddings_dir", embeddings_dir, "a folder"),
    ):
        if value is not None:
            path_of(value, argument, what)
    _check_switches(resume, overwrite)
    if name is not None:
        named_text(name, "name")
    call_or_none(on_event, "on_event")
    with _opened(output_dir, (data, model, embeddings_dir), resume, overwrite) as folder:
        dataset = load_configured_dataset(data, config, data_format)
        if on_event is not None and is_first_process():
            on_event(DataRead(dataset))
        training, validation = dataset.samples("train"), dataset.samples("validation")
        loaded = load_model(model or config.model_cfg)
        if "resize" not in config.model_fields_set:
            config = config.model_copy(update={"resize": loaded.resize})
        if "window" not in config.model_fields_set and loaded.window is not None:
            config = config.model_copy(update={"window": str(loaded.window.pixels)})
        if folder is not None:
            folder.begin(entries_of_run(config, embeddings_dir))
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


def _check_switches(resume: bool, overwrite: bool) -> None:
    for switch, is_on in (("resume", resume), ("overwrite", overwrite)):
        truth_value(is_on, switch)
    if resume and overwrite:
        raise ConfigError("resume goes on with the earlier run and overwrite replaces it; choose one.")


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
