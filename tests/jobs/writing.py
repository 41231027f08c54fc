"""An output folder to write into, as `predict_images` makes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sam2_adapter.formats.base import OutputType
from sam2_adapter.jobs.journal import Journal
from sam2_adapter.jobs.output_folder import OutputFolder, entries_of
from sam2_adapter.jobs.predict_options import PredictOptions
from sam2_adapter.owned_folder import OwnedFolder
from sam2_adapter.predict.predictor import ModelInfo

OPTIONS = PredictOptions.from_config()


@contextmanager
def output_folder(
    directory: Path,
    formats: Sequence[str],
    info: ModelInfo,
    *,
    overlay: bool = False,
    output_type: OutputType = "mask",
    file_names: Sequence[str] = (),
) -> Iterator[OutputFolder]:
    """The results of a new run."""
    with OwnedFolder(directory, "predict") as folder:
        folder.begin(entries_of(formats, overlay=overlay))
        options = {"overlay": overlay, "output_type": output_type, "file_names": file_names}
        with OutputFolder(folder, formats, info, **options) as output:
            yield output


@contextmanager
def journaled_folder(
    directory: Path, formats: Sequence[str], info: ModelInfo, *, resume: bool
) -> Iterator[tuple[OutputFolder, Journal]]:
    """The results and the journal of a run, new or gone on with."""
    with OwnedFolder(directory, "predict", resume=resume) as folder:
        folder.begin(entries_of(formats, overlay=False))
        with Journal(folder, {}) as journal, OutputFolder(folder, formats, info, overlay=False) as output:
            yield output, journal
