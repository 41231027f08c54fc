"""`sam2-adapter predict --engine ray`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_adapter.errors import ConfigError

if TYPE_CHECKING:
    from sam2_adapter.cli.predict_report import Report
    from sam2_adapter.config import Config
    from sam2_adapter.jobs.ray.run import ClusterPrediction
    from sam2_adapter.jobs.tasks import ImageTask


@dataclass(frozen=True)
class ClusterRequest:
    """A run over a Ray cluster, as the command line asks for it."""

    output: str
    workers: int | None
    address: str | None
    max_pixels: int
    resume: bool


def find_cluster_tasks(locations: Sequence[str], plan: Callable[[Sequence[Path]], list[ImageTask]]) -> list[ImageTask]:
    """Find the images at paths and URLs; `plan` names them and gives them their prompts.

    Raises:
        ConfigError: Ray is not installed.
    """
    if any(find_spec(package) is None for package in ("ray", "pyarrow", "fsspec")):
        raise ConfigError(
            '--engine ray is not installed. Install it with: pip install "sam2-adapter[ray]", here and on all machines '
            "of the cluster."
        )
    from sam2_adapter.jobs.ray.locations import find_sources
    from sam2_adapter.jobs.tasks import is_url

    # A URL is no path, but its parts are those of one, which is all that names and prompts files ask of it.
    sources = {Path(source): source for source in find_sources(locations)}
    return [replace(task, url=source) if is_url(source := sources[task.path]) else task for task in plan(list(sources))]


def cluster_prediction(
    request: ClusterRequest, tasks: Sequence[ImageTask], model: str, settings: Config
) -> ClusterPrediction:
    """See what there is to do."""
    from sam2_adapter.jobs.local import BulkOptions
    from sam2_adapter.jobs.ray.locations import absolute
    from sam2_adapter.jobs.ray.run import ClusterOptions, ClusterPrediction
    from sam2_adapter.jobs.ray.worker import ModelChoice
    from sam2_adapter.models.families.architectures import architecture_names

    is_path = model.removesuffix(".yaml") not in architecture_names() and Path(model).exists()
    choice = ModelChoice(absolute(model) if is_path else model, settings.device, settings.runtime, settings.precision)
    options = BulkOptions(settings.clip_to_box, settings.default_label, request.max_pixels)
    cluster = ClusterOptions(request.address, request.workers, request.resume)
    return ClusterPrediction(choice, tasks, absolute(request.output), options, cluster)


def run_on_cluster(prediction: ClusterPrediction, output: str, report: Report) -> None:
    """Predict on all images."""
    with report:
        report.start({**prediction.made_by, "engine": "ray"}, output)
        with closing(prediction.results()) as results:
            for result in results:
                report.add(result)
