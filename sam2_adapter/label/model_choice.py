"""`ModelChoice`: which of the session's models answers clicks, the first one or a taught one with a share of what it has learned."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sam2_adapter.config import Config
from sam2_adapter.errors import TrainingError
from sam2_adapter.label.child_process import ChildProcess, Json
from sam2_adapter.label.model_process import ModelProcess
from sam2_adapter.label.teaching_runs import Run, Runs, Used

_DEFAULT_MODEL = str(Config.model_fields["model_cfg"].default)
_WORKER = "sam2_adapter.label.teaching_worker"


class ModelChoice:
    """Changes the model of the page; belongs to one event loop."""

    def __init__(
        self, runs: Runs, first_options: Mapping[str, Any], tell_model: Callable[[Json], None], tell: Callable[[], None]
    ) -> None:
        """Choose what was in use at the end of the last session.

        Args:
            runs: of the session.
            first_options: arguments of `load_predictor` for the first model.
            tell_model: gets the news of the model's process.
            tell: called when the choice has changed.
        """
        self._runs, self._first_options, self._tell = runs, dict(first_options), tell
        self.in_use: Used | None = runs.in_use
        """The taught model that is in use; `None` is the first one."""
        self._is_changing = False
        self.process = ModelProcess(self._options(), tell_model)

    def base(self, *, used: bool) -> Json:
        """What a training starts from, to be kept with it.

        Args:
            used: the model in use, not the first one.
        """
        if self.in_use is not None and used:
            return {
                "name": self.in_use.name,
                "file": self.in_use.weights.relative_to(self._runs.directory).as_posix(),
            }
        model = str(self._first_options.get("model", _DEFAULT_MODEL))
        return {"name": "the first model", "model": os.path.abspath(model) if Path(model).exists() else model}

    async def use(self, name: str | None, share: float) -> None:
        """Answer clicks with another model from now on, also at the next start.

        Args:
            name: of a run; `None` for the first model.
            share: of what the run has learned, 0..1.

        Raises:
            TrainingError: there is no such run, nothing to use of it, or the blend cannot be made.
            ExportError: the choice cannot be kept.
        """
        if self._is_changing:
            raise TrainingError("The model is being changed already. Wait a moment.")
        run = None if name is None else self._runs.get(name)
        self._is_changing = True
        self._tell()
        try:
            used = None if run is None else Used(run, share, await self._weights(run, share))
            await asyncio.to_thread(self._runs.use, used)
            self.in_use = used
            await self.process.use(self._options())
        finally:
            self._is_changing = False
            self._tell()

    def shown(self) -> Json:
        """The choice for the page."""
        used = self.in_use
        return {
            "inUse": {"run": None if used is None else used.run.name, "share": 1.0 if used is None else used.share},
            "isChanging": self._is_changing,
        }

    async def _weights(self, run: Run, share: float) -> Path:
        result = run.result
        if result is None or not result.get("best_epoch"):
            raise TrainingError(
                f"There is nothing to use of {run.name}: it has not ended, or is not better than the model before."
            )
        target = run.weights(share)
        if target.is_file():
            return target
        request = {"kind": "blend", "base": run.base, "tuned": str(run.model), "share": share, "output": str(target)}
        heard: list[Json] = []
        ended = await ChildProcess(_WORKER).run(request, heard.append)
        last = heard[-1] if heard else {"text": f"the process ended ({ended})"}
        if last.get("news") != "done":
            raise TrainingError(f"{run.name} cannot be used: {last['text']}")
        return target

    def _options(self) -> Json:
        if self.in_use is None:
            return dict(self._first_options)
        return {**self._first_options, "model": str(self.in_use.weights)}
