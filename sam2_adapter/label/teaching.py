"""`Teaching`: fine-tunes on what was accepted, in a process of its own at low priority, while the page goes on; one training at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sam2_adapter.config import Config
from sam2_adapter.errors import ConfigError, ExportError, TrainingError
from sam2_adapter.files import reason_of
from sam2_adapter.label.child_process import ChildProcess, Json
from sam2_adapter.label.model_choice import ModelChoice
from sam2_adapter.label.pictures import Picture
from sam2_adapter.label.teaching_data import FORMAT, Accepted, Split
from sam2_adapter.label.teaching_progress import TeachingProgress
from sam2_adapter.label.teaching_runs import Run, Runs
from sam2_adapter.label.work import Work

WORKER = "sam2_adapter.label.teaching_worker"

# What teaching sets where nothing else is given. Few objects are soon learned by heart, and what the model knows of corrections is soon lost: only what
# draws and scores the candidates of a click learns, for few epochs. All that was learned is saved, so that any share of it can be chosen; a state after
# each epoch, so that little is lost; encoded pictures are kept once for all runs, below this size.
_SETTINGS = {
    "preset": "recommended",
    "num_epochs": 10,
    "trained_parts": "candidates",
    "correction_share": 0.0,
    "save_interval": 1,
    "disk_mib": 4096,
}
_FIXED = {"blend": 1.0, "save_model_name": "best_sam2_model.torch"}


class Teaching:
    """Trainings of a session; belongs to one event loop.

    Attributes:
        state: `idle`, `running` or `stopping`.
        trouble: what went wrong with the newest training; empty where nothing did.
    """

    def __init__(
        self,
        runs: Runs,
        work: Work,
        pictures: Sequence[Picture],
        choice: ModelChoice,
        settings: Mapping[str, Any],
        tell: Callable[[Json], None],
    ) -> None:
        """Nothing is started.

        Args:
            runs: of the session.
            work: what is accepted.
            pictures: of the session.
            choice: which model is in use.
            settings: of the configuration, in place of ours.
            tell: gets the news.

        Raises:
            ConfigError: a setting is unknown or not allowed.
        """
        for key in _FIXED.keys() & settings.keys():
            raise ConfigError(
                f"--set {key}: teaching sets this itself. Leave it away; how much of what was learned is used is chosen on the page."
            )
        self.state, self.trouble = "idle", ""
        self._runs, self._work, self._pictures, self._choice = runs, work, list(pictures), choice
        self._settings = {**_SETTINGS, **settings, **_FIXED}
        self._config = Config.from_mapping(self._settings, source="teaching")
        self._tell = tell
        self._run: Run | None = None
        self._progress: TeachingProgress | None = None
        self._epochs: list[Json] = []
        self._heard_end = False
        self._child: ChildProcess | None = None
        self._task: asyncio.Task[None] | None = None

    def split(self, *, from_used: bool) -> Split:
        """What would be taught now; slow with many objects.

        Args:
            from_used: start from the model in use, not from the first one.

        Raises:
            TrainingError: there are too few objects.
        """
        return self._accepted().split(self._config.validation_share, self._config.seed, self._earlier(from_used))

    async def start(self, *, num_epochs: int | None = None, from_used: bool = False) -> None:
        """Start a new training.

        Args:
            num_epochs: most passes over the objects; as set where not given.
            from_used: start from the model in use, not from the first one.

        Raises:
            TrainingError: one is running, there is no model yet, or there are too few objects.
            ConfigError: a number of epochs that is not allowed.
            ExportError: the objects cannot be written.
        """
        self._refuse_second()
        settings = self._settings | ({} if num_epochs is None else {"num_epochs": num_epochs})
        Config.from_mapping(settings, source="teaching")
        base = self._choice.base(used=from_used)
        self.state = "running"  # nobody else may start one while files are written
        try:
            run = await asyncio.to_thread(self._prepare, settings, base, from_used)
        finally:
            self.state = "idle"
        self._start(run)

    def resume(self, name: str) -> None:
        """Go on with a training that was stopped or killed.

        Raises:
            TrainingError: one is running, there is no such run, or it is finished.
        """
        self._refuse_second()
        run = self._runs.get(name)
        if run.is_finished:
            raise TrainingError(f"{name} has learned all that it was to learn. Teach anew instead.")
        self._start(run)

    def stop(self) -> None:
        """End the training in good order: the best model and its last whole epoch are kept.

        Raises:
            TrainingError: none is running.
        """
        if self._child is None or self.state != "running":
            raise TrainingError("Nothing is being taught.")
        self.state = "stopping"
        self._child.send({"kind": "stop"})
        self._tell_all()

    async def close(self) -> None:
        """End the process at once; a training can go on from its last whole epoch."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def shown(self) -> Json:
        """How things are, for the page."""
        runs = [run.shown() for run in self._runs.all()]
        for told in runs:
            if self._run is not None and told["name"] == self._run.name and self.state != "idle":
                told.update(epochs=self._epochs, result=None, isFinished=False)
        return {
            "state": self.state,
            "run": None if self._run is None else self._run.name,
            "progress": None if self._progress is None else self._progress.shown(),
            "trouble": self.trouble,
            "numEpochs": self._config.num_epochs,
            "runs": runs,
            **self._choice.shown(),
        }

    def _refuse_second(self) -> None:
        if self.state != "idle":
            raise TrainingError("A model is being taught already. Wait until that has ended, or stop it.")

    def _accepted(self) -> Accepted:
        follows_views = "window" not in self._settings
        return Accepted(
            self._work.snapshot(),
            self._pictures,
            self._config.min_area_px,
            follows_views=follows_views,
            labels=self._work.label_colors,
        )

    def _earlier(self, from_used: bool) -> Mapping[str, Any] | None:
        used = self._choice.in_use
        return used.run.facts["split"] if from_used and used is not None else None

    def _prepare(self, settings: Json, base: Json, from_used: bool) -> Run:
        accepted = self._accepted()
        split = accepted.split(self._config.validation_share, self._config.seed, self._earlier(from_used))
        if split.view_px is not None:
            settings = {**settings, "window": str(split.view_px)}
        name, directory = self._runs.new()
        run_facts = {
            "teaching": 1,
            "base": base,
            "settings": settings,
            "split": split.names,
            "shown": split.shown(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        accepted.write(directory / "accepted", split)
        return self._runs.add(name, directory, run_facts)

    def _start(self, run: Run) -> None:
        self.state, self.trouble, self._run, self._heard_end = "running", "", run, False
        run.forget_result()
        self._epochs = run.epochs()
        self._progress = TeachingProgress(run.facts["settings"]["num_epochs"], max(0, len(self._epochs) - 1))
        self._child = ChildProcess(WORKER, _environment())
        self._task = asyncio.create_task(self._keep(self._child, run))
        self._tell_all()

    async def _keep(self, child: ChildProcess, run: Run) -> None:
        request = {
            "kind": "teach",
            "data": str(run.data),
            "format": FORMAT,
            "output": str(run.training),
            "model": run.base,
            "name": run.name,
            "settings": run.facts["settings"],
            "embeddings": str(self._runs.embeddings),
        }
        try:
            ended = await child.run(request, self._take)
        except OSError as error:
            ended = f"it cannot start: {reason_of(error)}"
        if not self._heard_end:
            self.trouble = f"The training ended unexpectedly ({ended}). Whatever it had learned in whole epochs is kept; it can go on."
        self.state, self._progress, self._child = "idle", None, None
        self._tell_all()

    def _take(self, message: Json) -> None:
        assert self._run is not None  # it was started
        assert self._progress is not None
        kind = message["news"]
        self._progress.take(message)
        if kind == "epoch":
            self._epochs = [epoch for epoch in self._epochs if epoch["epoch"] < message["epoch"]["epoch"]]
            self._epochs.append(message["epoch"])
            self._tell({"news": "teachingEpoch", "run": self._run.name, "epochs": self._epochs})
        elif kind in ("done", "failed", "stopped"):
            self._end(self._run, message)
        self._tell({"news": "teachingProgress", "run": self._run.name, "progress": self._progress.shown()})

    def _end(self, run: Run, message: Json) -> None:
        self._heard_end = True
        if message["news"] == "failed":
            self.trouble = message["text"]
        elif message["news"] == "done":
            try:
                run.write_result(message["result"])
            except ExportError as error:
                self.trouble = str(error)

    def _tell_all(self) -> None:
        self._tell({"news": "teaching", "teaching": self.shown()})


def _environment() -> dict[str, str]:
    """Half of the cores, so that clicks are answered in the meantime; what is set already holds."""
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 2) // 2))}
