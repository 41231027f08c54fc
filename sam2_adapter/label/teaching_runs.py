"""The models that a session has taught, on disk; whatever a start of the page knows of them, the next one finds again.

teaching/run1/teaching.json   what it was started with; written before the training begins
teaching/run1/accepted/       the objects that it learns from
teaching/run1/model/          the folder of the training, as `sam2-adapter train` writes it
teaching/run1/result.json     what it came to; written when the training has ended
teaching/run1/share-0.50.torch   half of what was learned, the rest as before; made when it is first used
teaching/in_use.json          which model the page uses
teaching/embeddings/          encoded pictures, for all runs
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_adapter.errors import DataError, ExportError, TrainingError
from sam2_adapter.files import read_json, reason_of, write_json
from sam2_adapter.ownership import is_inside

logger = logging.getLogger(__name__)

FOLDER = "teaching"
_FACTS, _RESULT, _IN_USE = "teaching.json", "result.json", "in_use.json"
_NAME = re.compile(r"run([1-9]\d{0,8})")
_METRICS = "metrics.json"

# What the page draws and says of an epoch.
SHOWN_OF_EPOCHS = ("epoch", "loss", "score", "miou_box", "miou_click", "miou_clicks", "miou_20_clicks", "is_best")

Json = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A training of the session.

    Attributes:
        name: `run1`, `run2`, ...
        directory: its folder.
        facts: what it was started with.
    """

    name: str
    directory: Path
    facts: Mapping[str, Any]

    @property
    def data(self) -> Path:
        """The data set that it learns from."""
        return self.directory / "accepted"

    @property
    def training(self) -> Path:
        """The folder of the training."""
        return self.directory / "model"

    @property
    def model(self) -> Path:
        """The weights with all that was learned."""
        return self.training / "best_sam2_model.torch"

    @property
    def base(self) -> str:
        """The model that it started from, as `load_model` takes it."""
        base = self.facts["base"]
        return str(self.directory.parent / base["file"]) if "file" in base else base["model"]

    def weights(self, share: float) -> Path:
        """The weights with a share of what was learned; made by whoever needs them.

        A training that was stopped may go on and replace its model: what is used of it until then is a file of its own.
        """
        if share == 1 and self.is_finished:
            return self.model
        epochs = "" if self.is_finished else f"-after-{len(self.epochs()) - 1}"
        return self.directory / f"share-{share:.2f}{epochs}.torch"

    @property
    def result(self) -> Json | None:
        """What it came to; `None` while it has not ended, and after it was killed."""
        found = _read(self.directory / _RESULT)
        return found if found is not None and isinstance(found.get("curve"), list) else None

    @property
    def is_finished(self) -> bool:
        """Whether the training came to its end; else it can go on."""
        result = self.result
        return result is not None and result.get("stopped") != "interrupted"

    def epochs(self) -> list[Json]:
        """The figures of each epoch so far; epoch 0 is the model before."""
        found = _read(self.training / _METRICS) or {}
        rows = found.get("epochs")
        return [shown_epoch(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def forget_result(self) -> None:
        """It goes on: what it came to when it was stopped does not hold any more."""
        with suppress(OSError):
            (self.directory / _RESULT).unlink()

    def write_result(self, result: Json) -> None:
        """Keep what it came to.

        Raises:
            ExportError: it cannot be written.
        """
        write_json(self.directory / _RESULT, result)

    def shown(self) -> Json:
        """The run for the page."""
        base = self.facts["base"]
        return {
            "name": self.name,
            "base": base["name"],
            "split": self.facts["shown"],
            "numEpochs": self.facts["settings"]["num_epochs"],
            "epochs": self.epochs(),
            "result": self.result,
            "isFinished": self.is_finished,
        }


@dataclass(frozen=True)
class Used:
    """A taught model that the page uses.

    Attributes:
        run: that has taught it.
        share: of what the run has learned, 0..1.
        weights: the file.
    """

    run: Run
    share: float
    weights: Path

    @property
    def name(self) -> str:
        """What it is called."""
        return self.run.name if self.share == 1 else f"{self.run.name} ({100 * self.share:g} %)"


def shown_epoch(record: Mapping[str, Any]) -> Json:
    """What the page is told of an epoch."""
    return {key: record.get(key) for key in SHOWN_OF_EPOCHS}


class Runs:
    """The runs of a session."""

    def __init__(self, directory: Path) -> None:
        """Look into `directory`, which need not be there.

        Raises:
            ExportError: there is a link in its place.
        """
        if directory.is_symlink():
            raise ExportError(
                f"{directory}: this is a link, which is not followed. Remove it, or choose another folder."
            )
        self.directory = directory
        self._runs: dict[str, Run] = {}
        for path in sorted(directory.glob("run*"), key=lambda path: (len(path.name), path.name)):
            facts = _facts(path) if _NAME.fullmatch(path.name) and not path.is_symlink() else None
            if facts is not None:
                self._runs[path.name] = Run(path.name, path, facts)

    def all(self) -> list[Run]:
        """The runs, oldest first."""
        return list(self._runs.values())

    def get(self, name: str) -> Run:
        """A run by its name.

        Raises:
            TrainingError: there is none.
        """
        if name not in self._runs:
            raise TrainingError(f"There is no model {name!r:.40} in this session.")
        return self._runs[name]

    @property
    def embeddings(self) -> Path:
        """Encoded pictures, for all runs."""
        return self.directory / "embeddings"

    def new(self) -> tuple[str, Path]:
        """The name and the folder of the next run, which is not there yet."""
        taken = [int(found[1]) for path in self.directory.glob("run*") if (found := _NAME.fullmatch(path.name))]
        name = f"run{max(taken, default=0) + 1}"
        return name, self.directory / name

    def add(self, name: str, directory: Path, facts: Json) -> Run:
        """Keep what a run is started with; from now on it is there.

        Raises:
            ExportError: it cannot be written.
        """
        write_json(directory / _FACTS, facts)
        self._runs[name] = Run(name, directory, facts)
        return self._runs[name]

    @property
    def in_use(self) -> Used | None:
        """The taught model that the page uses; `None` for the first model."""
        found = _read(self.directory / _IN_USE) or {}
        run, share, file = self._runs.get(str(found.get("run"))), found.get("share"), found.get("file")
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
            return None
        if run is None or not isinstance(file, str) or not is_inside(file):
            return None
        weights = self.directory / file
        return Used(run, float(share), weights) if weights.is_file() else None

    def use(self, used: Used | None) -> None:
        """Remember which model the page uses.

        Raises:
            ExportError: it cannot be written.
        """
        path = self.directory / _IN_USE
        if used is not None:
            file = used.weights.relative_to(self.directory).as_posix()
            write_json(path, {"run": used.run.name, "share": used.share, "file": file})
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ExportError(f"{path}: cannot remove the file: {reason_of(error)}.") from error


def _facts(directory: Path) -> Json | None:
    """What a run was started with; `None`, and a line in the log, where the file is not what we write."""
    found = _read(directory / _FACTS)
    if found is None:
        return None
    base, settings, names = (found.get(key) for key in ("base", "settings", "split"))
    is_ours = (
        isinstance(base, dict)
        and isinstance(base.get("name"), str)
        and (isinstance(base.get("model"), str) or (isinstance(base.get("file"), str) and is_inside(base["file"])))
        and isinstance(settings, dict)
        and isinstance(settings.get("num_epochs"), int)
        and isinstance(names, dict)
        and all(isinstance(names.get(side), list) for side in ("train", "validation"))
        and isinstance(found.get("shown"), dict)
    )
    if not is_ours:
        logger.warning("%s: this is not what was written there; the model is left out.", directory / _FACTS)
        return None
    return found


def _read(path: Path) -> Json | None:
    """A file of ours; `None` where it is not there or damaged."""
    if not path.is_file() or path.is_symlink():
        return None
    try:
        found = read_json(path)
    except DataError as error:
        logger.warning("%s", error)
        return None
    return found if isinstance(found, dict) else None
