"""`sam2-adapter predict --engine ray`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_adapter.errors import ConfigError

if TYPE_CHECKING:
    from sam2_adapter.annotations.prompts import Units
    from sam2_adapter.config import Config
    from sam2_adapter.jobs.ray.run import ClusterPrediction
    from sam2_adapter.jobs.tasks import GivenPrompts, ImageTask


@dataclass(frozen=True)
class ClusterRequest:
    """A run over a Ray cluster, as the command line asks for it."""

    output: str | None
    workers: int | None
    address: str | None
    max_pixels: int | None
    resume: bool
    overwrite: bool
    limit: int | None
    units: Units


def cluster_prediction(
    request: ClusterRequest, images: Sequence[str], prompts: GivenPrompts, model: str, settings: Config
) -> ClusterPrediction:
    """See what there is to do.

    Raises:
        ConfigError: Ray is not installed.
    """
    if any(find_spec(package) is None for package in ("ray", "pyarrow", "fsspec")):
        raise ConfigError(
            '--engine ray is not installed. Install it with: pip install "sam2-adapter[ray]", here and on all machines '
            "of the cluster."
        )
    from sam2_adapter.jobs.predict_options import PredictOptions
    from sam2_adapter.jobs.ray.locations import absolute
    from sam2_adapter.jobs.ray.run import ClusterOptions, ClusterPrediction
    from sam2_adapter.jobs.ray.worker import ModelChoice
    from sam2_adapter.models.families.architectures import architecture_names

    tasks = _find_tasks(images, prompts, request.limit)
    is_path = model.removesuffix(".yaml") not in architecture_names() and Path(model).exists()
    choice = ModelChoice(absolute(model) if is_path else model, settings.device, settings.runtime, settings.precision)
    options = PredictOptions.from_config(settings, units=request.units, max_pixels=request.max_pixels)
    cluster = ClusterOptions(request.address, request.workers, request.resume, request.overwrite)
    return ClusterPrediction(choice, tasks, request.output, options, cluster)


def _find_tasks(locations: Sequence[str], prompts: GivenPrompts, limit: int | None) -> list[ImageTask]:
    """Find the images at paths and URLs."""
    from sam2_adapter.jobs.ray.locations import find_sources
    from sam2_adapter.jobs.tasks import is_url, plan_tasks, prompts_for

    # A URL is no path, but its parts are those of one, which is all that names and prompts files ask of it.
    sources = {Path(source): source for source in find_sources(locations)[:limit]}
    tasks = plan_tasks(list(sources), prompts_for(list(sources), prompts).of_path)
    return [replace(task, url=source) if is_url(source := sources[task.path]) else task for task in tasks]
